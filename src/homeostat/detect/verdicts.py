"""From claims to readings: one verdict per series, with the band and the reason.

A detector may say that a value is unlikely; it is anomalous only if it is also far enough off, and
in the direction that hurts. Values that cannot be believed are unknown, whatever anybody claims.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from homeostat.base import names
from homeostat.base.evidence import Anomaly, Quality, Reading, SeriesKey, Verdict
from homeostat.base.policy import Managed
from homeostat.base.ports import SignalsLike
from homeostat.detect.panel import CHARTED, Claims

# A process this close to its limit is in danger whatever the trend (kernel reclaim starts earlier).
MEMORY_HIGH: Final = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """When a departure from the usual matters.

    Attributes:
        up: A rise matters.
        down: A fall matters.
        least: Smallest departure that matters, in the signal's unit.
        share: Smallest departure that matters, as a share of the usual value.
    """

    up: bool = True
    down: bool = False
    least: float = 0.0
    share: float = 0.0


# Small against what an objective can feel, large against a window's noise.
MATTERS: Final = {
    names.ARRIVAL_RATE: Matter(down=True, least=5.0, share=0.3),
    names.ERROR_RATIO: Matter(least=0.01),
    names.REFUSED_RATIO: Matter(least=0.01),
    names.LATENCY_P50: Matter(least=10.0, share=0.3),
    names.LATENCY_P95: Matter(least=20.0, share=0.3),
    names.PROBE_LATENCY: Matter(least=50.0, share=1.0),
    names.CPU_SHARE: Matter(least=0.2, share=0.5),
    names.DEVICE_TIME: Matter(least=5.0, share=0.3),
    names.BATCH_SIZE: Matter(down=True, least=0.5, share=0.3),
    names.BATCH_FULL_SHARE: Matter(least=0.3),
    names.QUEUE_LENGTH: Matter(least=3.0, share=1.0),
    names.ACCURACY: Matter(up=False, down=True, least=0.03),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What one deployment's series look like on one tick.

    Attributes:
        readings: By row order.
        anomalies: Detectors' claims that matter, and their unknowns.
        usual: Guarded means by (subject, signal), known ones only.
        history: Recent values by (subject, signal), oldest first.
        fallen: Highest value the process has come down from by itself, by (subject, signal).
        learnt: Ticks learnt from, by (subject, signal).
    """

    readings: tuple[Reading, ...]
    anomalies: tuple[Anomaly, ...]
    usual: dict[tuple[str, str], float]
    history: dict[tuple[str, str], Any]
    fallen: dict[tuple[str, str], float]
    learnt: dict[tuple[str, str], float]


def judge(signals: SignalsLike, claims: Claims, managed: Sequence[Managed]) -> dict[str, Judged]:
    """Return each managed deployment's readings and claims.

    Args:
        signals: The tick's aligned series.
        claims: What the detectors say of them.
        managed: The deployments; others are left out.
    """
    rows: dict[str, list[int]] = {entry.name: [] for entry in managed}
    for row, key in enumerate(signals.keys):
        if key.deployment in rows:
            rows[key.deployment].append(row)
    plain = _Plain.of(signals, claims)
    return {entry.name: _deployment(rows[entry.name], plain, entry) for entry in managed}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plain:
    """The arrays as Python numbers: read once, quickly."""

    keys: tuple[SeriesKey, ...]
    value: list[float]
    age: list[int]
    samples: list[float]
    quality: tuple[Quality, ...]
    low: list[float]
    high: list[float]
    usual: list[float]
    learnt: list[float]
    fallen: list[float]
    history: Any
    judged: list[bool]
    scores: dict[str, list[float]]
    alarms: dict[str, list[bool]]

    @classmethod
    def of(cls, signals: SignalsLike, claims: Claims) -> "_Plain":
        return cls(
            keys=signals.keys,
            value=signals.values.tolist(),
            age=signals.age_ns.tolist(),
            samples=signals.samples.tolist(),
            quality=signals.quality,
            low=claims.low.tolist(),
            high=claims.high.tolist(),
            usual=claims.usual.tolist(),
            learnt=claims.learnt.tolist(),
            fallen=claims.fallen.tolist(),
            history=claims.history,
            judged=_judged(claims, len(signals.keys)),
            scores={name: score.tolist() for name, score in claims.scores.items()},
            alarms={name: alarm.tolist() for name, alarm in claims.alarms.items()},
        )


def _judged(claims: Claims, rows: int) -> list[bool]:
    """Return where at least one detector has a baseline."""
    known = [~np.isnan(score) for score in claims.scores.values()]
    judged = np.any(known, axis=0) if known else np.zeros(rows, dtype=bool)
    return [bool(one) for one in judged]


def _deployment(rows: list[int], plain: _Plain, managed: Managed) -> Judged:
    readings, anomalies = [], []
    usual, history, fallen, learnt = {}, {}, {}, {}
    for row in rows:
        key = plain.keys[row]
        name = (key.subject, key.signal)
        claimed = _claimed(row, plain) if key.signal in CHARTED else []
        anomalies += claimed
        readings.append(_reading(row, plain, _verdict(row, plain, claimed, managed)))
        if plain.usual[row] == plain.usual[row]:
            usual[name] = plain.usual[row]
        learnt[name] = plain.learnt[row]
        if key.signal == names.MEMORY_SHARE:
            history[name], fallen[name] = plain.history[row], plain.fallen[row]
    return Judged(
        readings=tuple(readings),
        anomalies=tuple(anomalies),
        usual=usual,
        history=history,
        fallen=fallen,
        learnt=learnt,
    )


def _claimed(row: int, plain: _Plain) -> list[Anomaly]:
    key, out = plain.keys[row], []
    for name, alarms in plain.alarms.items():
        score = plain.scores[name][row]
        unknown = plain.quality[row] is not Quality.GOOD or score != score  # noqa: PLR0124 - NaN
        if unknown or (alarms[row] and _matters(row, plain)):
            out.append(
                Anomaly(
                    detector=name,
                    subject=key.subject,
                    signal=key.signal,
                    verdict=Verdict.UNKNOWN if unknown else Verdict.ANOMALOUS,
                    neg_log10_p=None if unknown else score,
                )
            )
    return out


def _matters(row: int, plain: _Plain) -> bool:
    usual, matter = plain.usual[row], MATTERS.get(plain.keys[row].signal, Matter())
    if usual != usual:  # noqa: PLR0124 - NaN is not itself
        return True
    change = plain.value[row] - usual
    right = matter.up if change > 0.0 else matter.down
    return right and abs(change) >= max(matter.least, matter.share * abs(usual))


def _verdict(row: int, plain: _Plain, claimed: list[Anomaly], managed: Managed) -> Verdict:
    key = plain.keys[row]
    if plain.quality[row] is not Quality.GOOD:
        return Verdict.UNKNOWN
    broken = _rule(key, plain.value[row], managed)
    if broken or (claimed and any(claim.verdict is Verdict.ANOMALOUS for claim in claimed)):
        return Verdict.ANOMALOUS
    if key.signal not in CHARTED or broken is False:
        return Verdict.HEALTHY
    return Verdict.HEALTHY if plain.judged[row] else Verdict.UNKNOWN


def _rule(key: SeriesKey, value: float, managed: Managed) -> bool | None:
    """Return whether a fixed rule is broken; None where no rule sfallen of the series."""
    promised = managed.objective
    match key.signal:
        case names.PROCESS_UP | names.PROBE_HEALTH | names.PROBE_INFERENCE:
            return value < 1.0
        case names.PROBE_FAILURES:
            return value >= managed.guard.failed_probes
        case names.MEMORY_SHARE:
            return value >= MEMORY_HIGH
        case names.ACCURACY:
            return promised.accuracy is not None and value < promised.accuracy
        case names.LATENCY_P95 if key.subject == names.GATEWAY:
            return value > promised.latency_p95_ms or None
        case names.ERROR_RATIO if key.subject == names.GATEWAY:
            return value > promised.error_ratio or None
        case _:
            return None


def _reading(row: int, plain: _Plain, verdict: Verdict) -> Reading:
    key, value = plain.keys[row], plain.value[row]
    return Reading(
        subject=key.subject,
        signal=key.signal,
        value=value if plain.quality[row] is Quality.GOOD else None,
        verdict=verdict,
        quality=plain.quality[row],
        low=_known(plain.low[row]),
        high=_known(plain.high[row]),
        age_ns=plain.age[row],
        samples=plain.samples[row],
    )


def _known(edge: float) -> float | None:
    return edge if edge == edge else None  # noqa: PLR0124 - NaN is not itself
