"""Causes in the traffic and in our own eyes: load, batching, and pages that cannot be believed."""

from typing import Final

from homeostat.base import names
from homeostat.base.evidence import Family, Quality, Suspicion
from homeostat.base.world import Replica
from homeostat.detect.case import CROWD, FULL, MORE_ARRIVALS, REFUSED, Case, median, suspicion

# Device time within this factor of what batch size explains is flat.
_EXPLAINED: Final = 1.5
# Of the batches, where the maximum was lowered.
_FULL_LOWERED: Final = 0.5
# Attempts of one user, at the most.
_ATTEMPTS: Final = 4.0
# Batches so much fuller, on devices so much less busy: both beyond what a window trembles by.
_HELD: Final = 1.35
_IDLER: Final = 0.85
# A batch this far above usual grew with the load; a cap does not let it.
_BATCH_GREW: Final = 1.5
# One request in fifty fails: more than a blip (`causes_common` asks for as many).
_FAILS: Final = 0.02
# Half the pages: what is left is not enough to see the deployment by.
_BLIND_SHARE: Final = 0.5


def sensor(case: Case) -> tuple[Suspicion, ...]:
    """The gateway's page, or half of all pages, cannot be believed."""
    if all(quality is Quality.GOOD for _, quality in case.pages):
        return ()
    lost = [
        (subject, quality)
        for subject, quality in case.pages
        if quality is not Quality.GOOD and not case.silent_for_a_reason(subject)
    ]
    seen = [
        subject
        for subject, quality in case.pages
        if quality is Quality.GOOD or not case.silent_for_a_reason(subject)
    ]
    gateway = next((quality for subject, quality in lost if subject == names.GATEWAY), None)
    if gateway is None and (not lost or len(lost) < _BLIND_SHARE * len(seen)):
        return ()
    kinds = ", ".join(sorted({quality.value for _, quality in lost}))
    return (
        suspicion(
            Family.SENSOR,
            names.GATEWAY if len(lost) == 1 and gateway is not None else names.MODEL,
            0.93,
            f"{len(lost)} of {len(seen)} metrics pages cannot be believed ({kinds})",
            "the gateway's page is one of them" if gateway is not None else "",
        ),
    )


def load(case: Case) -> tuple[Suspicion, ...]:
    """More arrives, the devices are as fast as ever, and requests wait.

    Users of what fails ask again: arrivals that fail while nothing waits in any server are not what
    overwhelms them. A server that is overwhelmed fails what has waited too long, so it has a queue.
    """
    pain = felt(case)
    if not pain or _fails_without_waiting(case):
        return ()
    rate, usual = _arrivals(case)
    if rate is None or usual is None or rate < MORE_ARRIVALS * usual:
        return ()
    if not _devices_flat(case):
        return ()
    return (
        suspicion(
            Family.LOAD,
            names.GATEWAY,
            0.75,
            f"{rate:.0f} requests arrive per second, usually {usual:.0f}",
            "device time is what the batches explain",
            *pain,
        ),
    )


def _fails_without_waiting(case: Case) -> bool:
    """Return whether requests are known to fail, and to wait or be refused in no server."""
    failed = case.value(names.GATEWAY, names.ERROR_RATIO)
    queues, full = case.own(names.QUEUE_LENGTH), case.own(names.BATCH_FULL_SHARE)
    if failed is None or failed < max(case.managed.objective.error_ratio, _FAILS) or not queues:
        return False
    refused = (case.value(names.GATEWAY, names.REFUSED_RATIO), *case.own(names.REFUSED_RATIO))
    if any(ratio is not None and ratio > REFUSED for ratio in refused):
        return False
    return max(queues) < 1.0 and (not full or median(full) < FULL)


def herd(case: Case) -> tuple[Suspicion, ...]:
    """More arrives than users who ask again can make of what usually does: direct evidence.

    Clients give up after a few attempts (four at most in what is simulated, and in most libraries
    three), so that several times the usual is demand by itself, whatever else is broken: a crowd,
    or all who waited for the end of an outage. It must last like any other word: a burst of two
    seconds looks the same and ends by itself.
    """
    rate, usual = _arrivals(case)
    p95, promised = _p95(case), case.managed.objective.latency_p95_ms
    if rate is None or not usual or rate < _ATTEMPTS * usual or p95 is None or p95 <= promised:
        return ()
    return (
        suspicion(
            Family.LOAD,
            names.GATEWAY,
            0.9,
            f"{rate:.0f} requests arrive per second, usually {usual:.0f}: more than asking again",
            *felt(case),
        ),
    )


def filling(case: Case) -> tuple[Suspicion, ...]:
    """Batches hold more than usual while devices do less: requests are held back to fill them.

    Requests that have become more work keep a device busier, and its batches grow because each
    takes longer. Where somebody raised the largest batch or the time it may wait for more, batches
    grow although the device stands idle between them, and everybody waits for the last to come.
    """
    pain = felt(case)
    rate, usual = _arrivals(case)
    if not pain or rate is None or not usual or rate >= MORE_ARRIVALS * usual:
        return ()
    size, usually, queues = (
        case.own(names.BATCH_SIZE),
        case.usually(names.BATCH_SIZE),
        case.own(names.QUEUE_LENGTH),
    )
    if not size or not usually or not queues or median(queues) >= CROWD:
        return ()
    shares = [pair for replica in case.stable if (pair := _busy(case, replica)) is not None]
    if 2 * len(shares) <= len(case.stable) or not _devices_flat(case):
        return ()
    now, before = (median(column) for column in zip(*shares, strict=True))
    if median(size) < _HELD * median(usually) or now > _IDLER * before:
        return ()
    return (
        suspicion(
            Family.FILLING,
            names.pool(case.managed.stable_pool),
            0.775,
            f"batches hold {median(size):.1f}, usually {median(usually):.1f}",
            f"devices are busy for {now:.0%} of the time, usually {before:.0%}",
            *pain,
        ),
    )


def _busy(case: Case, replica: Replica) -> tuple[float, float] | None:
    """Return the share of the time that a device works, and what it usually is."""
    signals = (names.ARRIVAL_RATE, names.DEVICE_TIME, names.BATCH_SIZE)
    keys = [(case.subjects[replica.name], signal) for signal in signals]
    now, usual = [case.value(*key) for key in keys], [case.usual.get(key) for key in keys]
    values = [value for value in (*now, *usual) if value is not None and value > 0.0]
    if len(values) < 2 * len(signals):
        return None
    rate, time, size, *before = values
    return rate * time / size / 1000.0, before[0] * before[1] / before[2] / 1000.0


def batching(case: Case) -> tuple[Suspicion, ...]:
    """Batches are at a maximum that is too small for traffic that has not grown."""
    pain, full = felt(case), case.own(names.BATCH_FULL_SHARE)
    if not pain or not full or median(full) < _FULL_LOWERED:
        return ()
    rate, usual = _arrivals(case)
    cap, usual_cap = case.own(names.BATCH_MAX), case.usually(names.BATCH_MAX)
    lowered = bool(cap and usual_cap) and median(cap) < 0.9 * median(usual_cap)
    if median(full) < (_FULL_LOWERED if lowered else FULL) or not _devices_flat(case):
        return ()
    grew = _grew(case)
    flat = rate is not None and usual is not None and rate < MORE_ARRIVALS * usual
    # Retries of requests that waited too long look like arrivals: a lowered maximum says more.
    if not lowered and (not flat or grew is not False):
        return ()
    return (
        suspicion(
            Family.BATCHING,
            names.pool(case.managed.stable_pool),
            0.78,
            f"{median(full):.0%} of the batches are full",
            f"the maximum is {median(cap):.0f}, usually {median(usual_cap):.0f}" if lowered else "",
            f"{rate:.0f} requests arrive per second, usually {usual:.0f}"
            if rate is not None and usual is not None
            else "",
            *pain,
        ),
    )


def _grew(case: Case) -> bool | None:
    size, usual = case.own(names.BATCH_SIZE), case.usually(names.BATCH_SIZE)
    if not size or not usual:
        return None
    return median(size) > _BATCH_GREW * median(usual)


def _arrivals(case: Case) -> tuple[float | None, float | None]:
    key = (names.GATEWAY, names.ARRIVAL_RATE)
    return case.value(*key), case.usual.get(key)


def _devices_flat(case: Case) -> bool:
    """Return whether batch size explains the device time of most replicas."""
    ratios = case.own_paces()
    return bool(ratios) and median(ratios) <= _EXPLAINED


def felt(case: Case) -> tuple[str, ...]:
    """Return how users feel that requests wait, one sentence each; empty when none do.

    Failing at once is no waiting: errors alone are never taken for load.
    """
    if "felt" not in case.told:  # several rules ask
        case.told["felt"] = _felt(case)
    out: tuple[str, ...] = case.told["felt"]
    return out


def _felt(case: Case) -> tuple[str, ...]:
    out = []
    p95, promised = _p95(case), case.managed.objective.latency_p95_ms
    if p95 is not None and p95 > promised:
        out.append(f"p95 {p95:.0f} ms, promised {promised:.0f} ms")
    elif p95 is not None and case.risen(names.GATEWAY, names.LATENCY_P95, 1.6, 40.0):
        usual = case.usual[names.GATEWAY, names.LATENCY_P95]
        out.append(f"p95 {p95:.0f} ms, usually {usual:.0f} ms")
    own, at_gateway = (
        case.own(names.REFUSED_RATIO),
        case.value(names.GATEWAY, names.REFUSED_RATIO),
    )
    known = own if at_gateway is None else [at_gateway, *own]
    refused = [ratio for ratio in known if ratio > REFUSED]
    if refused:
        out.append(f"{max(refused):.1%} of the requests are refused")
    queues = case.own(names.QUEUE_LENGTH)
    if queues and median(queues) >= CROWD:
        out.append(f"{median(queues):.0f} requests wait in each server")
    return tuple(out)


def _p95(case: Case) -> float | None:
    return case.value(names.GATEWAY, names.LATENCY_P95)
