"""Causes that all replicas share: more work in a request, a front end, the way, what is behind.

Users wait, and no replica differs from its peers. Where they wait tells why (the decomposition of a
response time along its path; Jain, "The Art of Computer Systems Performance Analysis" (1991), 33):
on the device, though no more requests arrive: a request has become more work. In the server's queue
while its device idles: the process in front of it. Nowhere in the replicas: before or behind them,
and probes, which take the same way and ask for little, tell which of the two.

All but the front end are named by exclusion, and ratios and quantiles look back further than device
times do: what has just ended looks as if it were nowhere. So nothing is named within the longest
window of a release or a start, `loop.incidents` waits longer for these, and nobody acts on them.
"""

from typing import Final

from homeostat.base import names
from homeostat.base.evidence import Family, Suspicion
from homeostat.base.world import ReplicaState
from homeostat.detect import since_release
from homeostat.detect.case import CROWD, FULL, MORE_ARRIVALS, REFUSED, Case, median, suspicion

# Ratios and quantiles look back over up to so many scrapes, see docs/explanation/signals.md.
LONGEST_WINDOW: Final = 20
# Device time or batches this far above the usual are more than noise: windows of some hundred
# requests spread by a tenth.
_MORE: Final = 1.35
# The slowest and the fastest replica of a common cause are alike.
_ALIKE: Final = 1.25
# A batch this far above the usual is one in which requests have waited.
_GREW: Final = 1.3
# Device time within this factor of what batch size explains is flat.
_FLAT: Final = 1.5
# Below this share of the largest batch a device takes whatever waits.
_IDLE: Final = 0.5
# Of the processor: one core, or twice what is usual.
_ONE_CORE: Final = 0.9
_BUSY: Final = 2.0
# Probes are few: twice the usual and so many milliseconds more on nearly all of them.
_PROBES: Final = 2.0
_PROBES_MS: Final = 30.0
_NEARLY_ALL: Final = 0.75
# Errors that users see and replicas do not make: this share of them at most is theirs.
_OTHERS: Final = 0.5
_ERRORS_LEAST: Final = 0.02
# Of the replicas that are wanted.
_HALF: Final = 0.5
# Latency: as `causes_traffic` has it.
_LATER: Final = 1.6
_LATER_MS: Final = 40.0


def frontend(case: Case) -> tuple[Suspicion, ...]:
    """Requests wait in the servers while batches have room and devices are as fast as ever."""
    queues = case.own(names.QUEUE_LENGTH)
    if not queues or median(queues) < CROWD:
        return ()
    full = case.own(names.BATCH_FULL_SHARE)
    size, cap = case.own(names.BATCH_SIZE), case.own(names.BATCH_MAX)
    cpu, usual = case.own(names.CPU_SHARE), case.usually(names.CPU_SHARE)
    if not (full and size and cap and cpu and usual):
        return ()
    if median(full) >= _IDLE or median(size) > _IDLE * median(cap) or not _flat(case):
        return ()
    if median(cpu) < _ONE_CORE and median(cpu) < _BUSY * median(usual):
        return ()
    return (
        suspicion(
            Family.FRONTEND,
            names.pool(case.managed.stable_pool),
            0.77,
            f"{median(queues):.0f} requests wait in each server, batches hold {median(size):.0f} "
            f"of {median(cap):.0f}",
            f"processor share {median(cpu):.2f}, usually {median(usual):.2f}",
            "device time is what the batches explain",
        ),
    )


def path(case: Case) -> tuple[Suspicion, ...]:
    """Users wait or fail, and neither in the replicas' queues nor on their devices."""
    # Users of what fails ask again; without failures more arrivals are a load.
    pain = _errors(case) or (_latency(case) if _no_more_arrive(case) else "")
    if not pain or not _well(case) or not _settled(case):
        return ()
    probes = _probes(case)
    if probes is None:
        return ()
    slow, known = probes
    if slow >= _NEARLY_ALL * known:
        return (
            suspicion(
                Family.NETWORK,
                names.MODEL,
                0.76,
                pain,
                f"probes are slow on {slow} of {known} replicas, with and without traffic",
                "queues, batches and device times are as usual",
            ),
        )
    if slow > (1.0 - _NEARLY_ALL) * known:
        return ()  # neither all of them nor nearly none: no common cause
    return (
        suspicion(
            Family.DEPENDENCY,
            names.MODEL,
            0.76,
            pain,
            f"probes are as quick as ever on {known - slow} of {known} replicas",
            "queues, batches and device times are as usual",
        ),
    )


def work(case: Case) -> tuple[Suspicion, ...]:
    """A request takes more than it did: all devices are slower, or fuller with as many arrivals."""
    pain = _latency(case)
    if not pain or not _no_more_arrive(case) or not _all_there(case) or not _settled(case):
        return ()
    if since_release.age_ns(case) is not None:
        return ()  # what a release did is not told apart from what users do
    ratios = case.own_paces()
    size, usual = case.own(names.BATCH_SIZE), case.usually(names.BATCH_SIZE)
    if len(ratios) < 2 or not size or not usual:  # noqa: PLR2004 - one alone has no peers
        return ()
    slower = median(ratios) >= _MORE and max(ratios) <= _ALIKE * min(ratios)
    fuller = median(size) >= _MORE * median(usual) and max(size) <= _ALIKE * min(size)
    if not slower and not fuller:
        return ()
    return (
        suspicion(
            Family.WORK,
            names.GATEWAY,
            0.74,
            f"devices are {median(ratios):.1f} times slower than batches explain" if slower else "",
            f"batches hold {median(size):.1f}, usually {median(usual):.1f}" if fuller else "",
            "no more requests arrive than usual, and all replicas are alike",
            pain,
        ),
    )


def starting(case: Case) -> tuple[Suspicion, ...]:
    """Users suffer while half or more of the replicas that are wanted are still coming up."""
    pool = case.managed.stable_pool
    own = [replica for replica in case.replicas if replica.pool == pool]
    begin = sum(replica.state is ReplicaState.STARTING for replica in own)
    if not begin:
        return ()
    lever = names.lever_replicas(pool)
    wanted = None if case.world is None else case.world.lever(lever)
    errors = case.value(names.GATEWAY, names.ERROR_RATIO)
    refused = case.value(names.GATEWAY, names.REFUSED_RATIO)
    fails = errors is not None and errors > max(case.managed.objective.error_ratio, _ERRORS_LEAST)
    pain = _latency(case) or (f"{errors:.1%} of the requests fail" if fails else "")
    if not pain and refused is not None and refused > REFUSED:
        pain = f"{refused:.1%} of the requests are refused"
    if not isinstance(wanted, int | float) or not pain or begin < max(_HALF * wanted, 1.0):
        return ()
    why = f"{begin} of {wanted:.0f} replicas are starting"
    return (suspicion(Family.STARTING, names.pool(pool), 0.73, why, pain),)


def _no_more_arrive(case: Case) -> bool:
    """Return whether arrivals are known not to have risen."""
    return case.risen(names.GATEWAY, names.ARRIVAL_RATE, MORE_ARRIVALS, 0.0) is False


def _settled(case: Case) -> bool:
    """Return whether the longest window lies wholly after the last release and the last start."""
    if case.world is None:
        return False
    window = LONGEST_WINDOW * case.managed.scrape_ns
    times = [one.since for one in case.world.releases]
    times += [one.started_at for one in case.replicas if one.started_at is not None]
    return all(case.world.observed_at - at > window for at in times)


def _all_there(case: Case) -> bool:
    """Return whether as many replicas serve the stable pool as are wanted, none of them failing."""
    return _as_many(case) and not any(case.failing(replica) for replica in case.stable)


def _as_many(case: Case) -> bool:
    """Return whether as many replicas are ready in the stable pool as are wanted."""
    wanted = case.world and case.world.lever(names.lever_replicas(case.managed.stable_pool))
    return isinstance(wanted, int | float) and len(case.stable) >= wanted


def _fail_elsewhere(case: Case) -> bool:
    """Return whether users fail more than twice as often as they meet a replica that fails.

    What all replicas call fails the probes of each of them now and then, and three in a row on one.
    """
    ratio, rate = (case.value(names.GATEWAY, s) for s in (names.ERROR_RATIO, names.ARRIVAL_RATE))
    failing = [replica for replica in case.stable if case.failing(replica)]
    theirs = case.known(failing, names.ARRIVAL_RATE)
    if not ratio or not rate or len(theirs) < len(failing):
        return False
    return sum(theirs) / rate < _OTHERS * ratio


def _well(case: Case) -> bool:
    """Return whether the stable pool's replicas are seen to be as they were."""
    size, usual = case.own(names.BATCH_SIZE), case.usually(names.BATCH_SIZE)
    queues, full = case.own(names.QUEUE_LENGTH), case.own(names.BATCH_FULL_SHARE)
    refused = case.value(names.GATEWAY, names.REFUSED_RATIO)
    if not (size and usual and queues and full) or not _flat(case):
        return False
    if not _all_there(case) and not (_as_many(case) and _fail_elsewhere(case)):
        return False
    waits = median(queues) >= CROWD or median(full) >= FULL or max(queues) >= CROWD * CROWD
    turned_away = refused is not None and refused > REFUSED
    return median(size) <= _GREW * median(usual) and not waits and not turned_away


def _flat(case: Case) -> bool:
    ratios = case.own_paces()
    return bool(ratios) and max(ratios) <= _FLAT


def _latency(case: Case) -> str:
    """Return how users wait, empty where they do not."""
    if "latency" not in case.told:  # several rules ask
        case.told["latency"] = _waits(case)
    out: str = case.told["latency"]
    return out


def _waits(case: Case) -> str:
    p95, promised = case.value(names.GATEWAY, names.LATENCY_P95), case.managed.objective
    if p95 is None:
        return ""
    if p95 > promised.latency_p95_ms:
        return f"p95 {p95:.0f} ms, promised {promised.latency_p95_ms:.0f} ms"
    if case.risen(names.GATEWAY, names.LATENCY_P95, _LATER, _LATER_MS):
        usual = case.usual[names.GATEWAY, names.LATENCY_P95]
        return f"p95 {p95:.0f} ms, usually {usual:.0f} ms"
    return ""


def _errors(case: Case) -> str:
    """Return how users fail where replicas do not, empty where it is not so."""
    ratio = case.value(names.GATEWAY, names.ERROR_RATIO)
    if ratio is None:
        return ""
    usual = case.usual.get((names.GATEWAY, names.ERROR_RATIO), 0.0)
    floor = max(case.managed.objective.error_ratio, _ERRORS_LEAST)
    if ratio < floor + usual:
        return ""
    own = case.own(names.ERROR_RATIO)
    if own and max(own) > _OTHERS * ratio:
        return ""
    return f"{ratio:.1%} of the requests fail, and not in the replicas"


def _probes(case: Case) -> tuple[int, int] | None:
    """Return how many replicas' probes are slow, and of how many that is known; None: too few."""
    slow = known = 0
    for replica in case.serving:
        subject = case.subjects[replica.name]
        risen = case.risen(subject, names.PROBE_LATENCY, _PROBES, _PROBES_MS)
        known += risen is not None
        slow += bool(risen)
    return (slow, known) if known > 1 and 2 * known > len(case.serving) else None
