"""Robust estimates: a slope that a few wild points cannot turn, with an exact interval."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

# Kendall's normal approximation is good from here on (Kendall, "Rank Correlation Methods").
LEAST_POINTS: Final = 10
# Pairs of up to so many values are kept: 64 KiB for the longest.
_FEW: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """A trend.

    Attributes:
        slope: Median of all pairwise slopes, per step.
        low: Lower confidence bound.
        high: Upper confidence bound.
        level: The line's value at the last point.
        kendall_z: Mann-Kendall's statistic in sigmas; positive for a rise.
    """

    slope: float
    low: float
    high: float
    level: float
    kendall_z: float


def theil_sen(values: npt.NDArray[np.float64], z: float = 3.0) -> Slope | None:
    """Return the Theil-Sen trend of equally spaced values, None when there are too few.

    Args:
        values: In time order; NaN where unknown, which keeps its place in time.
        z: Width of the interval in sigmas.

    Source: Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 63 (1968):
    the interval's ranks are those of Kendall's statistic.

    >>> trend = theil_sen(np.arange(12.0))
    >>> trend.slope, trend.level
    (1.0, 11.0)
    """
    step = np.flatnonzero(np.isfinite(values))
    n = len(step)
    if n < LEAST_POINTS:
        return None
    known = values[step]
    first, second = _pairs(n)
    rise = known[second] - known[first]
    slopes = np.sort(rise / (step[second] - step[first]))
    sigma = math.sqrt(n * (n - 1) * (2 * n + 5) / 18.0)
    score = float(np.sign(rise).sum())
    half = z * sigma
    pairs = len(slopes)
    low = min(max(math.floor((pairs - half) / 2.0), 0), pairs - 1)
    high = min(max(math.ceil((pairs + half) / 2.0), 0), pairs - 1)
    # The median of what is sorted already, as `np.median` takes it.
    slope = float((slopes[(pairs - 1) // 2] + slopes[pairs // 2]) / 2.0)
    level = float(np.median(known - slope * (step - step[-1])))
    return Slope(
        slope=slope,
        low=float(slopes[low]),
        high=float(slopes[high]),
        level=level,
        kendall_z=score / sigma,
    )


def _pairs(n: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return all pairs of n places; those of the short histories of every tick are kept."""
    return _few_pairs(n) if n <= _FEW else np.triu_indices(n, k=1)


@cache
def _few_pairs(n: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    first, second = np.triu_indices(n, k=1)
    first.flags.writeable = second.flags.writeable = False
    return first, second
