"""The health score of one deployment on one tick, from all that the senses know of it.

Puts the parts together: the promise now, what the forecasts say of it, memory on its way to its
limit, alarms, suspicions. How much each takes away is in `health` and `health_parts`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

from homeostat.base import names
from homeostat.base.evidence import (
    Anomaly,
    Forecast,
    Health,
    HealthPart,
    Quality,
    Reading,
    Suspicion,
    Verdict,
)
from homeostat.base.many import many
from homeostat.base.policy import Objective
from homeostat.base.units import MINUTE
from homeostat.detect import health_parts
from homeostat.detect.breach_time import LEVELS, TimeLeft
from homeostat.detect.health import Concern, Losses, Part, health

_LOSSES: Final = Losses()
_VALUES: Final = {one: one.value for one in Concern}
# A person reads so many; the worst of each concern is among them, and a journal holds them.
_MOST: Final = 8
_DIGITS: Final = 4
_SCORE_DIGITS: Final = 1
# Alarms on these are missing where they are not known; a sparse series elsewhere may stay silent.
_PROMISED: Final = frozenset({names.GATEWAY, names.MODEL})
_EARLIEST: Final = (0.05,)


def health_of(
    *,
    readings: Mapping[tuple[str, str], Reading],
    forecasts: Sequence[Forecast],
    anomalies: Sequence[Anomaly],
    suspicions: Sequence[Suspicion],
    objective: Objective,
) -> Health:
    """Return one number for how a deployment is.

    Args:
        readings: By (subject, signal).
        forecasts: What is about to happen under HOLD.
        anomalies: Claims of the detectors that are not HEALTHY.
        suspicions: What is suspected.
        objective: What was promised.
    """
    parts = [
        *_promise(readings, objective),
        *_ahead(readings, forecasts, objective),
        *_alarms(anomalies),
        *(health_parts.suspicion(one, _LOSSES) for one in suspicions),
    ]
    found = health(parts, _LOSSES)
    return Health(
        score=round(found.score, _SCORE_DIGITS),
        low=round(found.low, _SCORE_DIGITS),
        high=round(found.high, _SCORE_DIGITS),
        verdict=found.verdict,
        parts=_told(found.parts[:_MOST]),
    )


def _told(parts: Sequence[Part]) -> tuple[HealthPart, ...]:
    """Return the parts that take away or are unknown, as evidence carries them."""
    some = [part for part in parts if part.loss > 0.0 or part.verdict is not Verdict.HEALTHY]
    if not some:
        return ()
    concerns, subjects, signals, verdicts, losses, _, because = zip(*some, strict=True)
    return tuple(
        many(
            HealthPart,
            len(some),
            concern=[_VALUES[one] for one in concerns],
            subject=subjects,
            signal=signals,
            verdict=verdicts,
            loss=[round(one, _DIGITS) for one in losses],
            because=because,
        )
    )


def _promise(readings: Mapping[tuple[str, str], Reading], objective: Objective) -> Iterator[Part]:
    promised: list[tuple[str, str, float | None, bool]] = [
        (names.GATEWAY, names.LATENCY_P95, objective.latency_p95_ms, False),
        (names.GATEWAY, names.ERROR_RATIO, objective.error_ratio, False),
        (names.MODEL, names.ACCURACY, objective.accuracy, True),
    ]
    for subject, signal, limit, at_least in promised:
        if limit is None:
            continue
        seen = readings.get((subject, signal))
        value = None if seen is None or seen.quality is not Quality.GOOD else seen.value
        yield health_parts.objective(
            subject, signal, value, limit, at_least=at_least, losses=_LOSSES
        )


def _ahead(
    readings: Mapping[tuple[str, str], Reading],
    forecasts: Sequence[Forecast],
    objective: Objective,
) -> Iterator[Part]:
    """Return what is coming: promises, demand where its capacity is known, memory in sight."""
    promised = {(names.GATEWAY, names.LATENCY_P95), (names.GATEWAY, names.ERROR_RATIO)}
    promised |= set() if objective.accuracy is None else {(names.MODEL, names.ACCURACY)}
    for one in forecasts:
        key = (one.subject, one.signal)
        # Demand of which no capacity is known is no promise of anybody's.
        if one.chances and (key in promised or one.chances[0] is not None):
            minutes = _minutes(one.horizons_ns)
            yield health_parts.breach(*key, one.chances, minutes, _LOSSES)
        elif one.signal == names.CPU_SHARE:
            pass  # demand may explain the climb; where it does not, what is suspected counts
        elif not one.chances and (left := _left(one)) is not None:
            yield health_parts.time_left(*key, left, _LOSSES)
        elif not one.chances and not _read(readings.get(key)):
            # Nothing is in sight of what nobody sees, too: that is no news of its health.
            yield health_parts.time_left(*key, None, _LOSSES)
        promised.discard(key)
    for subject, signal in sorted(promised):  # nobody forecasts it
        nothing = [None] * len(_LOSSES.urgency)
        minutes = (0.0,) * len(nothing)
        yield health_parts.breach(subject, signal, nothing, minutes, _LOSSES)


def _left(one: Forecast) -> TimeLeft | None:
    """Return when a share is full, None where no climb is claimed.

    By its quantiles, never later than what is acted on; where they are not known, by that alone.
    """
    if one.left_ns:
        first, *rest = one.left_ns
        known = [at for at in (first, one.time_to_limit_ns) if at is not None]
        at_ns = (min(known, default=None), *rest)
        return TimeLeft(levels=LEVELS, at_ns=at_ns, in_sight=math.nan)
    if one.time_to_limit_ns is None:
        return None
    return TimeLeft(levels=_EARLIEST, at_ns=(one.time_to_limit_ns,), in_sight=math.nan)


def _read(reading: Reading | None) -> bool:
    """Return whether a value was read that is believed; without a reading nothing is."""
    return reading is not None and reading.quality is Quality.GOOD and reading.value is not None


@lru_cache(maxsize=64)
def _minutes(horizons_ns: tuple[int, ...]) -> tuple[float, ...]:
    return tuple([at / MINUTE for at in horizons_ns])


def _alarms(anomalies: Sequence[Anomaly]) -> Iterator[Part]:
    for claim in anomalies:
        alarms = claim.verdict is Verdict.ANOMALOUS
        if alarms or claim.subject in _PROMISED:
            yield health_parts.alarm(
                claim.subject, claim.signal, claim.neg_log10_p, _LOSSES, alarms=alarms
            )
