"""What the seat's learner knows of a situation: few numbers, each with a place for not known."""

import math
from typing import Final

from homeostat.base import names
from homeostat.base.actions import HOLD
from homeostat.base.evidence import Evidence, Quality
from homeostat.base.guard import GuardState
from homeostat.base.units import HOUR, TimeNs
from homeostat.policy.features import Encoder, Floats, Scale

# Twice what was promised is as bad as is told apart; a p-value of 1e-10 likewise.
ENCODER: Final = Encoder((
    Scale(name="latency_share", low=0.0, high=2.0),
    Scale(name="error_share", low=0.0, high=2.0),
    Scale(name="utilisation", low=0.0, high=1.5),
    Scale(name="worst_score", low=0.0, high=10.0),
    Scale(name="confidence", low=0.0, high=1.0),
    Scale(name="breach_held", low=0.0, high=1.0),
    Scale(name="hours_since_action", low=0.0, high=1.0),
))
"""Order and number are what is remembered: change them and nothing learnt before fits."""


def context(seen: GuardState, now: TimeNs) -> Floats:
    """Return the context `[ENCODER.size]` of a decision.

    Args:
        seen: What the guards see.
        now: The time.
    """
    evidence, managed = seen.evidence, seen.managed
    if evidence is None:
        return ENCODER.encode({})
    promised = managed.objective
    held = None if seen.rehearsal is None else seen.rehearsal.of(HOLD)
    last = max((one.at for one in seen.past), default=None)
    return ENCODER.encode({
        "latency_share": believed(evidence, names.GATEWAY, names.LATENCY_P95)
        / promised.latency_p95_ms,
        "error_share": believed(evidence, names.GATEWAY, names.ERROR_RATIO)
        / max(promised.error_ratio, 1e-6),
        "utilisation": believed(evidence, names.pool(managed.stable_pool), names.UTILISATION),
        "worst_score": max(
            (one.neg_log10_p for one in evidence.anomalies if one.neg_log10_p is not None),
            default=math.nan,
        ),
        "confidence": max((one.confidence for one in evidence.suspicions), default=0.0),
        "breach_held": math.nan if held is None else held.foreseen.breach.p50,
        # Nothing within memory is long ago, and known to be.
        "hours_since_action": 1.0 if last is None else (now - last) / HOUR,
    })


def believed(evidence: Evidence, subject: str, signal: str) -> float:
    """Return a reading that is believed, NaN for any other."""
    for one in evidence.readings:
        if (one.subject, one.signal) == (subject, signal):
            good = one.quality is Quality.GOOD and one.value is not None
            return one.value if good and one.value is not None else math.nan
    return math.nan
