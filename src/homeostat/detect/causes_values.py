"""Causes in our own eyes, value by value: what cannot be, what vanished, what changed its unit.

A page may be read in time and still say nonsense. What needs no model of the deployment is asked
here: what a signal can be by its definition (a share is at most one, a process that runs has some
memory), what holds between two signals of one request (it cannot be answered sooner than the device
computes), and what no fault of a service does (all latencies times exactly a thousand). These are
parity relations of analytical redundancy (Chow & Willsky, IEEE Transactions on Automatic Control 29
(1984)); a relation that is violated speaks against the sensors, whatever else they say.
"""

from collections.abc import Iterator
from typing import Final

from homeostat.base import names
from homeostat.base.evidence import Family, Quality, Suspicion
from homeostat.detect.case import CROWD, MORE_ARRIVALS, REFUSED, Case, median, suspicion
from homeostat.detect.causes_zeros import zeros

# Shares and ratios of counts: at most 1; windows of two counters may be a scrape apart.
_SHARES: Final = frozenset({
    names.ERROR_RATIO, names.REFUSED_RATIO, names.BATCH_FULL_SHARE, names.ACCURACY,
    names.LABEL_COVERAGE, names.INVALID_SHARE, names.PROBE_HEALTH, names.PROBE_INFERENCE,
    names.MEMORY_SHARE,
})  # fmt: skip
_MOST_SHARE: Final = 1.05
# What a replica that serves can never be: a clock shows no zero, a process takes some memory.
_NEVER_ZERO: Final = (names.MEMORY_SHARE, names.DEVICE_TIME, names.LATENCY_P50, names.LATENCY_P95)
_BOUNDED: Final = _SHARES | {*_NEVER_ZERO}
# What nearly every value is: within these, ends included, there is nothing to look at.
_LEAST_ABOVE_ZERO: Final = 5e-324
_WELL: Final = {
    signal: (
        _LEAST_ABOVE_ZERO if signal in _NEVER_ZERO else 0.0,
        _MOST_SHARE if signal in _SHARES else float("inf"),
    )
    for signal in sorted(_BOUNDED)
}
# A request takes at least a batch's time on the device; half allows for batches that differ.
_SOONER: Final = 0.5
# Factors between units that are mistaken for each other: s, ms, us, minutes, hours, percent, KiB.
_UNITS: Final = (60.0, 100.0, 1000.0, 1024.0, 3600.0, 1e6)
_FACTORS: Final = (*_UNITS, *(1.0 / unit for unit in _UNITS))
_SAME: Final = 0.08
# A level that a process does not leave within a scrape without being another process.
_LEAP: Final = 6.0
# What every replica with traffic says, or the platform of it.
_SAID: Final = (
    names.MEMORY_SHARE, names.CPU_SHARE, names.DEVICE_TIME, names.BATCH_SIZE, names.QUEUE_LENGTH,
    names.ARRIVAL_RATE, names.PROBE_LATENCY,
)  # fmt: skip
# Series that were there before and are gone from pages that came: as many of those that serve.
_VANISHED_SHARE: Final = 0.5


def values(case: Case) -> tuple[Suspicion, ...]:
    """Values contradict what they are, each other, or their past."""
    because = [*_impossible(case), *_units(case), *_vanished(case), *zeros(case)]
    if not because:
        return ()
    where = names.GATEWAY if all("gateway" in one for one in because) else names.MODEL
    return (suspicion(Family.SENSOR, where, 0.915, *because[:3]),)


def believable(signal: str, value: float) -> bool:
    """Return whether a value is one that the signal can have.

    >>> believable("memory_share", 0.4), believable("memory_share", 40.0)
    (True, False)
    """
    return 0.0 <= value <= (_MOST_SHARE if signal in _SHARES else float("inf"))


def _impossible(case: Case) -> Iterator[str]:
    """Yield what no value of its signal can be, one sentence for each signal."""
    if not all_well(case):
        yield from one_by_one(case)
    sooner = _sooner(case)
    if sooner:
        yield sooner


def all_well(case: Case) -> bool:
    """Return whether surely no value is one that its signal cannot have."""
    for signal, (least, most) in _WELL.items():
        for value in case.believed.get(signal, {}).values():
            if not least <= value <= most:
                return False
    return True


def one_by_one(case: Case) -> Iterator[str]:
    """Yield what no value of its signal can be, having looked at each where it stands."""
    told = set()
    serving = {case.subjects[replica.name] for replica in case.serving}
    for (subject, signal), reading in case.readings.items():
        value = reading.value
        if signal not in _BOUNDED or value is None or reading.quality is not Quality.GOOD:
            continue
        if signal in told:
            continue
        zero = value == 0.0 and signal in _NEVER_ZERO and (subject in serving or _answers(subject))
        if zero or not believable(signal, value):
            told.add(signal)
            yield f"{signal} of {subject} reads {value:.4g}, which it cannot be"


def _answers(subject: str) -> bool:
    """Return whether a subject is one whose latencies are those of answers."""
    return subject == names.GATEWAY or subject.startswith("pool:")


def _sooner(case: Case) -> str:
    """Return that requests are answered sooner than they are computed, empty if not."""
    p50 = case.value(names.GATEWAY, names.LATENCY_P50)
    times = case.known(case.serving, names.DEVICE_TIME)
    if p50 is None or not times or p50 >= _SOONER * median(times):
        return ""
    usual = case.usual.get((names.GATEWAY, names.LATENCY_P50))
    failed = case.value(names.GATEWAY, names.ERROR_RATIO)
    refused = case.value(names.GATEWAY, names.REFUSED_RATIO)
    # What fails or is refused is answered sooner, and what always was so is how it is measured.
    if usual is None or failed is None or failed > _SAME:
        return ""
    if refused is not None and refused > REFUSED:
        return ""
    least = median(times)
    if usual < least:
        return ""
    return f"gateway: half of the requests take {p50:.3g} ms, their batches {least:.3g} ms"


def _units(case: Case) -> Iterator[str]:
    """Yield signals that are what they were in another unit, while what they hang on is not."""
    fell = _memory_fell(case)
    if fell is not None:
        yield f"memory of every process fell to {fell:.2g} of the usual, and none is new"
    factors = [
        value / usual
        for signal in (names.LATENCY_P50, names.LATENCY_P95)
        if (value := case.value(names.GATEWAY, signal)) is not None
        and (usual := case.usual.get((names.GATEWAY, signal)))
    ]
    if len(factors) < 2:  # noqa: PLR2004 - p50 and p95
        return
    units = [
        unit for unit in _FACTORS if all(abs(factor / unit - 1.0) <= _SAME for factor in factors)
    ]
    if units and _devices_as_ever(case):
        for unit in units:
            yield f"gateway: every latency is {unit:.3g} times the usual, and nothing else moved"


def _memory_fell(case: Case) -> float | None:
    """Return the largest share of the usual that memory has, None where it did not fall so far."""
    most = None
    values = case.believed.get(names.MEMORY_SHARE, {})
    for replica in case.serving:
        subject = case.subjects[replica.name]
        value = values.get(subject)
        if value is None or not (usual := case.usual.get((subject, names.MEMORY_SHARE))):
            continue
        share = value / usual
        if not share < 1.0 / _LEAP:
            return None  # one that did not fall is enough
        most = share if most is None else max(most, share)
    return most


def _devices_as_ever(case: Case) -> bool:
    """Return whether arrivals, devices and queues are what they were, and nothing fails."""
    ratios = case.paces()
    queues = case.known(case.serving, names.QUEUE_LENGTH)
    failed = case.value(names.GATEWAY, names.ERROR_RATIO)
    return (
        bool(ratios)
        and median(ratios) <= 1.0 + 2.0 * _SAME
        and case.risen(names.GATEWAY, names.ARRIVAL_RATE, MORE_ARRIVALS, 0.0) is False
        and (not queues or median(queues) < CROWD)
        and failed is not None
        and failed <= case.managed.objective.error_ratio
    )


def _vanished(case: Case) -> Iterator[str]:
    """Yield signals that most of those that serve have stopped to say, on pages that came."""
    if not case.missing:
        return
    stopped = [signal for _, signal in case.missing]
    heard = {subject for subject, quality in case.pages if quality is Quality.GOOD}
    there = [
        subject
        for replica in case.serving
        if (subject := case.subjects[replica.name]) in heard and not case.failing(replica)
    ]
    for signal in _SAID:
        if stopped.count(signal) <= _VANISHED_SHARE * len(there):
            continue  # not even if all of them had been learnt
        gone = [one for one in there if _stopped(case, one, signal)]
        if len(there) > 1 and len(gone) > _VANISHED_SHARE * len(there):
            yield f"{len(gone)} of {len(there)} replicas no longer say their {signal}"
    if names.GATEWAY not in heard:
        return
    for signal in (names.ARRIVAL_RATE, names.LATENCY_P50, names.LATENCY_P95):
        if _stopped(case, names.GATEWAY, signal):
            yield f"gateway no longer says its {signal}"


def _stopped(case: Case, subject: str, signal: str) -> bool:
    """Return whether a series that was learnt is not on its page any more."""
    return (subject, signal) in case.missing and (subject, signal) in case.usual
