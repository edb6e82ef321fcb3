"""What feedback can make more or less of: one deployment's evidence as one strength a channel.

A channel is a family of signal as one detector sees it: each charted signal, each kind of fault
that the rules know, shares with a limit, the objectives, and how much of the deployment is silent.
Strength 1 is where the shipped detector draws its line, 0 is nothing at all, NaN is unknown. Within
a channel the worst replica speaks. Bins of strength are what feedback counts; unknown is a bin of
its own, never the lowest one.

Not here: what a bin is worth (`feedback_odds`), when it is told of (`feedback`).
"""

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.base import names
from homeostat.base.evidence import Evidence, Family, Quality, Reading, Verdict

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_UP, _DOWN, _BOTH = (True, False), (False, True), (True, True)
CHARTS: Final[Mapping[str, tuple[bool, bool]]] = {
    names.ARRIVAL_RATE: _BOTH,
    names.ERROR_RATIO: _UP,
    names.REFUSED_RATIO: _UP,
    names.LATENCY_P50: _UP,
    names.LATENCY_P95: _UP,
    names.PROBE_LATENCY: _UP,
    names.CPU_SHARE: _UP,
    names.DEVICE_SHARE: _UP,
    names.DEVICE_TIME: _UP,
    names.BATCH_SIZE: _BOTH,
    names.BATCH_FULL_SHARE: _UP,
    names.QUEUE_LENGTH: _UP,
    names.ACCURACY: _DOWN,
}
"""Charted signals, and whether a rise and a fall matter; a test holds them to `detect.matters`."""

SHARES: Final[Mapping[str, float]] = {
    names.PREDICTION_SHIFT: 0.15,
    names.FEATURE_SHIFT: 0.15,
    names.INVALID_SHARE: 0.01,
    names.MEMORY_SHARE: 0.9,
    names.PROBE_FAILURES: 3.0,
}
"""Signals with a fixed line, and where it is shipped (`detect.shift`, `detect.matters`, guards)."""

_BY_LOOP: Final = frozenset({Family.BUDGET, Family.CONTROL})
RULES: Final = tuple(family for family in Family if family not in _BY_LOOP)
"""What rules of one tick suspect; of hours, and of what others did, the loop speaks."""

OBJECTIVES: Final = "objectives"
SILENCE: Final = "silence"
CHANNELS: Final = (
    *(f"chart {signal}" for signal in CHARTS),
    *(f"share {signal}" for signal in SHARES),
    *(f"rule {family}" for family in RULES),
    OBJECTIVES,
    SILENCE,
)
"""Every channel, in the order of every array over channels."""
_PLACE: Final = {name: place for place, name in enumerate(CHANNELS)}

# Half the readings gone is where `detect.causes_traffic` calls a deployment blind.
_SILENT: Final = 0.5
# Urgent evidence (a dead process) asks for no persistence: it counts as twice the surest rule.
_URGENT: Final = 1.0
# A band of no width (a signal that never moved) makes any departure infinitely many bands.
_MOST: Final = 1024.0
_NARROW: Final = 1e-9

# Half-octaves from an eighth of the shipped line to eight times it: a chart's band is known to
# about a tenth after an hour, so finer bins would count noise. Octaves beyond.
_EDGES: Final = 2.0 ** np.concatenate([np.arange(-6, 7) / 2.0, np.arange(4.0, 11.0)])
BINS: Final = len(_EDGES) + 2
"""Bins of strength: the first is unknown, the others rise."""
UNKNOWN: Final = 0


def strengths(evidence: Evidence) -> Floats:
    """Return each channel's strength on one tick, `[channel]`: 1 is the shipped line, NaN unknown.

    Args:
        evidence: Of one deployment.
    """
    out = np.full(len(CHANNELS), np.nan)
    silent = heard = 0
    for reading in evidence.readings:
        heard += 1
        if reading.quality is not Quality.GOOD or reading.value is None:
            # Too few events to judge is a quiet deployment, not a silent one.
            silent += reading.quality is not Quality.FEW
            continue
        if (found := _strength(reading)) is not None:
            place, strength = found
            out[place] = np.fmax(out[place], strength)
    for family in RULES:
        out[_PLACE[f"rule {family}"]] = 0.0
    for one in evidence.suspicions:
        if one.family not in RULES:
            continue
        place = _PLACE[f"rule {one.family}"]
        out[place] = max(out[place], one.confidence + _URGENT * one.urgent)
    if evidence.slo_met is not None:
        out[_PLACE[OBJECTIVES]] = 0.0 if evidence.slo_met else 1.0
    if heard:
        out[_PLACE[SILENCE]] = silent / heard / _SILENT
    return out


def _strength(reading: Reading) -> tuple[int, float] | None:
    """Return the channel of a believed reading and its strength there; None where it has none."""
    value, signal = reading.value or 0.0, reading.signal
    if signal in SHARES:
        return _PLACE[f"share {signal}"], value / SHARES[signal]
    if signal not in CHARTS or (reading.low is None and reading.high is None):
        return None
    up, down = CHARTS[signal]
    low = reading.low if reading.low is not None else 0.0
    high = reading.high if reading.high is not None else low
    away = value - (low + high) / 2.0
    if (away > 0.0 and not up) or (away < 0.0 and not down):
        return _PLACE[f"chart {signal}"], 0.0
    bands = abs(away) / max((high - low) / 2.0, _NARROW)
    # What does not matter is not told of however sure it is; it stays just below the line.
    most = _MOST if reading.verdict is Verdict.ANOMALOUS else math.nextafter(1.0, 0.0)
    return _PLACE[f"chart {signal}"], min(bands, most)


def binned(strength: Floats) -> Ints:
    """Return the bin of each strength, any shape.

    >>> binned(np.array([np.nan, 0.0, 0.99, 1.0, 1000.0]))
    array([ 0,  1,  7,  8, 20])
    """
    found = np.searchsorted(_EDGES, strength, side="right") + 1
    return np.where(np.isnan(strength), UNKNOWN, found).astype(np.int64)
