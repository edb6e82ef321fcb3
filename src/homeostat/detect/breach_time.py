"""When will a share that climbs (memory, KV cache) reach its limit? Quantiles of the time left.

`forecast` claims a climb by its earliest credible time, and asks here for the rest. A trend and
what surrounds it are played on: the slope as uncertain as its ranks say (Theil-Sen, Sen 1968; the
variance of the rank statistic corrected for neighbours that are alike, Hamed & Rao, Journal of
Hydrology 204 (1998), equation 19), and around it the departures of the past as they followed
moments like this one, so that a garbage collector's sawtooth goes on as a sawtooth and reaches the
limit with a tooth. Each such path crosses at some time or not in sight; the quantiles are theirs.

No chance is drawn: the same values give the same answer. A process that climbs within what it has
come down from by itself, and of whose teeth fewer than two were seen, is unknown.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from homeostat.detect.panel import DROP
from homeostat.stats.robust import LEAST_POINTS

LEVELS: Final = (0.05, 0.5, 0.95)
"""Quantiles of the time that are told."""

Floats = npt.NDArray[np.float64]

# Of the moments of the past, the quarter most like this one, at most so many.
_ALIKE: Final = 4
_MOST_ALIKE: Final = 24
# A trend is believed for four times as long as it was seen.
_REACH: Final = 4
# Pairs grow with the square: longer histories are thinned to at most so many values.
_MOST: Final = 128
# Below so many falls a sawtooth is not known as one, see `time_to_limit` of `forecast`.
_TEETH: Final = 2
# A tooth of so many values tells as much as one value; few teeth leave more room than many.
# Chosen on simulated sawteeth, like the shares above.
_PER_TOOTH: Final = 6.0
_FEW_TEETH: Final = 4.0
# Standard normal quantiles of 0.05, 0.15 .. 0.95: the middles of ten equally probable parts.
_NORMAL: Final = (
    -1.6448536, -1.0364334, -0.6744898, -0.3853205, -0.1256613,
    0.1256613, 0.3853205, 0.6744898, 1.0364334, 1.6448536,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLeft:
    """When a limit is reached if nobody acts.

    Attributes:
        levels: Probabilities, ascending: the limit is reached by `at_ns[i]` with `levels[i]`.
        at_ns: Time from the last value on; None: not in sight.
        in_sight: Share of paths that reach the limit at all within four times the history.
    """

    levels: tuple[float, ...]
    at_ns: tuple[int | None, ...]
    in_sight: float


def time_left(
    values: Any,
    fallen: float,
    step_ns: int,
    *,
    limit: float = 1.0,
    levels: Sequence[float] = LEVELS,
) -> TimeLeft | None:
    """Return quantiles of the time until the limit, None where too little is known.

    Args:
        values: Share of the limit, oldest first, equally spaced; NaN where unknown.
        fallen: Highest share this process has come down from by itself, NaN for none.
        step_ns: Time between two values.
        limit: What must not be reached.
        levels: Quantiles, ascending in (0, 1).

    Raises:
        ValueError: Levels do not ascend in (0, 1).
    """
    asked = tuple(levels)
    if not asked or list(asked) != sorted({*asked}) or not 0.0 < asked[0] <= asked[-1] < 1.0:
        raise ValueError(f"time left: levels must ascend in (0, 1), got {asked}")
    history, stride = _thinned(np.asarray(values, dtype=np.float64))
    known = history[np.isfinite(history)]
    if len(known) < LEAST_POINTS:
        return None
    if known[-1] >= limit:
        return TimeLeft(levels=asked, at_ns=(0,) * len(asked), in_sight=1.0)
    if _been_here(known, fallen):
        return None
    cross = np.sort(_crossings(history, limit).ravel())
    at = [cross[min(math.ceil(level * len(cross)) - 1, len(cross) - 1)] for level in asked]
    return TimeLeft(
        levels=asked,
        at_ns=tuple(round(one * stride * step_ns) if math.isfinite(one) else None for one in at),
        in_sight=float(np.isfinite(cross).mean()),
    )


def _thinned(values: Floats) -> tuple[Floats, int]:
    """Return at most `_MOST` values, each the highest of its block: teeth must not be cut off."""
    stride = -(-len(values) // _MOST)
    if stride <= 1:
        return values, 1
    padded = np.concatenate([np.full(-len(values) % stride, np.nan), values]).reshape(-1, stride)
    highest = np.where(np.isnan(padded), -np.inf, padded).max(axis=1)
    return np.where(np.isinf(highest), np.nan, highest), stride


def _been_here(known: Floats, fallen: float) -> bool:
    """Return whether this is a tooth, and too few were seen to say what lies under them."""
    falls = int((np.diff(known) < -DROP).sum())
    return math.isfinite(fallen) and falls < _TEETH and float(known[-1]) <= fallen + DROP


def _crossings(history: Floats, limit: float) -> Floats:
    """Return the step at which each path reaches the limit, inf for never. `[slope, moment]`."""
    at = np.flatnonzero(np.isfinite(history)).astype(np.float64)
    known = history[np.isfinite(history)]
    last = float(len(history) - 1)
    centre = float(at.mean())
    slopes, middle = _slopes(at, known)
    level = float(np.median(known - middle * (at - centre)))
    rest = known - level - middle * (at - centre)
    ahead = np.arange(1.0, _REACH * len(history) + 1.0)
    lines = level + slopes[:, None] * (last + ahead - centre)  # [slope, step]
    # Lines through the centre part at its end: the present is where it is on all of them.
    start = level + slopes * (last - centre)
    own = float(known[-1]) - start
    moments = _alike(rest)
    turns = (moments[:, None] + ahead.astype(np.int64)[None, :]) % len(rest)
    # What is off today fades into what was off then, over as long as neighbours are alike.
    fade = _likeness(rest) ** ahead
    extra = (own[:, None, None] - rest[moments][None, :, None]) * fade
    paths = lines[:, None, :] + rest[turns][None] + extra
    hit = paths >= limit
    first = ahead[hit.argmax(axis=2)]
    return np.where(hit.any(axis=2), first, np.inf)


def _alike(rest: Floats) -> npt.NDArray[np.int64]:
    """Return the moments of the past most like the last one, without it."""
    count = max(min(len(rest) // _ALIKE, _MOST_ALIKE), 1)
    order = np.argsort(np.abs(rest[:-1] - rest[-1]), kind="stable")
    return np.sort(order[:count])


def _likeness(rest: Floats) -> float:
    """Return the correlation of neighbours, in [0, 0.98]."""
    power = float((rest * rest).sum())
    return min(max(float((rest[1:] * rest[:-1]).sum()) / power, 0.0), 0.98) if power > 0.0 else 0.0


def _slopes(at: Floats, known: Floats) -> tuple[Floats, float]:
    """Return equally probable slopes per step, ascending, and the median one."""
    n = len(known)
    # Within a tooth everything climbs: only what lies a tooth apart tells of the trend.
    teeth = int((np.diff(known) < -DROP).sum())
    tooth = n // (teeth + 1) if teeth else 1
    first, second = np.triu_indices(n, k=tooth)
    slopes = np.sort((known[second] - known[first]) / (at[second] - at[first]))
    middle = float(np.median(slopes))
    teeth_wider = tooth / _PER_TOOTH * (1.0 + _FEW_TEETH / max(teeth, 1))
    wider = max(_inflation(known - middle * at), teeth_wider)
    sigma = math.sqrt(n * (n - 1) * (2 * n + 5) / 18.0 * wider)
    pairs = len(slopes)
    share = pairs / (n * (n - 1) / 2.0)
    ranks = [round((pairs + z * sigma * share) / 2.0) for z in _NORMAL]
    return slopes[np.clip(ranks, 0, pairs - 1)], middle


def _inflation(rest: Floats) -> float:
    """Return by how much neighbours that are alike widen the rank statistic, at least 1."""
    n = len(rest)
    ranks = np.argsort(np.argsort(rest, kind="stable"), kind="stable") - (n - 1) / 2.0
    power = float((ranks * ranks).sum())
    lags = np.arange(1, n // 2)
    alike = np.array([float((ranks[lag:] * ranks[:-lag]).sum()) / power for lag in lags])
    weight = (n - lags) * (n - lags - 1.0) * (n - lags - 2.0)
    # Only what is more than chance (two sigmas of white noise) counts.
    alike = np.where(np.abs(alike) > 2.0 / math.sqrt(n), alike, 0.0)
    return max(1.0 + 2.0 / (n * (n - 1.0) * (n - 2.0)) * float((weight * alike).sum()), 1.0)
