"""Generalised extreme Studentised deviate test (ESD): how many values are outliers, and which?

Rosner's test takes away the most deviant value again and again; the last deviation that is beyond
its critical value says how many are outliers, so that neighbours cannot hide each other. The hybrid
form measures deviations from the median in median absolute deviations.
Sources: Rosner, "Percentage points for a generalized ESD many-outlier procedure", Technometrics 25
(1983), eqs. 2.2 and 2.5; Hochenbaum, Vallis & Kejariwal, "Automatic anomaly detection in the cloud
via statistical learning", arXiv:1704.07706 (2017), section 4.3 (the hybrid).

What is left after i removals is always a run of the sorted values, because the most deviant value
is at one of its ends: a removal costs O(1), the whole test one sort.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.stats.student import upper_quantiles

# Makes the median absolute deviation of normal values their standard deviation.
MAD_SIGMA: Final = 1.4826


class Direction(StrEnum):
    """Which deviations count."""

    BOTH = "both"
    POS = "pos"
    NEG = "neg"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Esd:
    """The test's steps.

    Attributes:
        removed: Place of each removed value in the input, most deviant first. `[step]`
        deviation: R, how far each was out when it was removed, in scales. `[step]`
        critical: Lambda, beyond which R is significant. `[step]`
        outliers: How many of the removed are outliers.
    """

    removed: npt.NDArray[np.int64]
    deviation: npt.NDArray[np.float64]
    critical: npt.NDArray[np.float64]
    outliers: int

    @property
    def found(self) -> npt.NDArray[np.int64]:
        """The outliers' places in the input, most deviant first."""
        return self.removed[: self.outliers]


def critical_values(
    n: int, steps: int, alpha: float, *, two_sided: bool = True
) -> npt.NDArray[np.float64]:
    """Return lambda_1, lambda_2, ... for n values (Rosner 1983, eq. 2.5).

    Args:
        n: Number of values tested, at least `steps` + 2.
        steps: How many outliers there may be at most.
        alpha: Probability to find any where there is none, in (0, 1).
        two_sided: Whether deviations count in both directions.

    Raises:
        ValueError: An impossible size or level.

    >>> critical_values(54, 3, 0.05).round(3)
    array([3.159, 3.151, 3.144])
    """
    if not 0 <= steps <= n - 2 or not 0.0 < alpha < 1.0:
        raise ValueError(
            f"need 0 <= steps <= n - 2 and 0 < alpha < 1, got {steps} of {n} at {alpha}"
        )
    if not steps:
        return np.empty(0)
    left = n - np.arange(1.0, steps + 1.0)  # n - i
    tail = alpha / ((2.0 if two_sided else 1.0) * (left + 1.0))
    t = upper_quantiles(tail, left - 1.0)
    out: npt.NDArray[np.float64] = t * left / np.sqrt((left - 1.0 + t * t) * (left + 1.0))
    return out


def esd(
    values: npt.NDArray[np.float64],
    most: int,
    alpha: float = 0.05,
    *,
    direction: Direction = Direction.BOTH,
    hybrid: bool = True,
) -> Esd:
    """Test values for outliers.

    Args:
        values: `[value]`, finite.
        most: How many outliers there may be at most.
        alpha: Probability to find any where there is none, in (0, 1).
        direction: Which deviations count.
        hybrid: Median and median absolute deviation; else mean and standard deviation.

    Returns:
        The steps; fewer than `most` when the values left have no spread, because a deviation
        cannot be measured in it.

    Raises:
        ValueError: An unknown value, or an impossible size or level.
    """
    if not np.isfinite(values).all():
        raise ValueError("need finite values; drop or fill the unknown ones")
    two_sided = direction is Direction.BOTH
    critical = critical_values(len(values), most, alpha, two_sided=two_sided)
    removed, deviation = _removals(values, most, direction, hybrid=hybrid)
    critical = critical[: len(removed)]
    beyond = np.flatnonzero(deviation > critical)
    return Esd(
        removed=removed,
        deviation=deviation,
        critical=critical,
        outliers=int(beyond[-1]) + 1 if len(beyond) else 0,
    )


def _removals(
    values: npt.NDArray[np.float64], most: int, direction: Direction, *, hybrid: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the removed places and their deviations.

    Of equal deviations the earliest value goes first: from the low end equal values are taken in
    order of place, from the high end too, so that each end has its own order.
    """
    places = np.arange(len(values))
    low_order = np.lexsort((places, values)).tolist()
    high_order = np.lexsort((-places, values)).tolist()
    ordered = np.sort(values).tolist()
    low, high = 0, len(ordered) - 1
    removed: list[int] = []
    deviation: list[float] = []
    measure: Callable[[int, int], tuple[float, float]]
    measure = _Robust(ordered).measure if hybrid else _Moments(ordered).measure
    for _ in range(most):
        centre, scale = measure(low, high)
        if not scale > 0.0:
            break
        under = (centre - ordered[low]) / scale
        over = (ordered[high] - centre) / scale
        down = direction is Direction.NEG or (direction is Direction.BOTH and under > over)
        if direction is Direction.BOTH and under == over:
            down = low_order[low] < high_order[high]
        removed.append(low_order[low] if down else high_order[high])
        deviation.append(under if down else over)
        low, high = (low + 1, high) if down else (low, high - 1)
    return np.array(removed, dtype=np.int64), np.array(deviation)


class _Robust:
    """Median and median absolute deviation of a run of sorted values that only ever shrinks.

    The half nearest to the median is itself a run; its start is remembered, because it moves by a
    place or two from one call to the next.
    """

    def __init__(self, ordered: list[float]) -> None:
        self._ordered = ordered
        self._near = 0

    def measure(self, low: int, high: int) -> tuple[float, float]:
        """Return centre and scale of the values from place `low` to `high`, both included."""
        s, size = self._ordered, high - low + 1
        centre = 0.5 * (s[low + (size - 1) // 2] + s[low + size // 2])
        half = (size + 1) // 2  # the median distance is the half-th smallest, or just above it
        start = min(max(self._near, low), high - half + 1)

        def leans_up(first: int) -> bool:
            return s[first + half - 1] - centre >= centre - s[first]

        while start > low and leans_up(start - 1):
            start -= 1
        while start + half <= high and not leans_up(start):
            start += 1
        self._near = start
        middle = max(s[start + half - 1] - centre, centre - s[start])
        if start > low and centre - s[start - 1] < middle:  # its lower neighbour may be tighter
            start -= 1
            middle = centre - s[start]
        if size % 2 == 0:
            below = centre - s[start - 1] if start > low else math.inf
            above = s[start + half] - centre if start + half <= high else math.inf
            middle = 0.5 * (middle + min(below, above))
        return centre, MAD_SIGMA * middle


class _Moments:
    """Mean and standard deviation of a run of sorted values."""

    def __init__(self, ordered: list[float]) -> None:
        shifted = np.array(ordered) - float(np.median(ordered)) if ordered else np.empty(0)
        self._shift = float(np.median(ordered)) if ordered else 0.0
        self._sums = np.concatenate(([0.0], np.cumsum(shifted)))
        self._squares = np.concatenate(([0.0], np.cumsum(shifted * shifted)))

    def measure(self, low: int, high: int) -> tuple[float, float]:
        """Return centre and scale of the values from place `low` to `high`, both included."""
        size = high - low + 1
        mean = float(self._sums[high + 1] - self._sums[low]) / size
        square = float(self._squares[high + 1] - self._squares[low])
        variance = max(square - size * mean * mean, 0.0) / max(size - 1, 1)
        return mean + self._shift, variance**0.5
