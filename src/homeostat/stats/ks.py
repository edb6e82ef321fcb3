"""Kolmogorov-Smirnov on histogram counts: the largest gap between two cumulative shares.

Bins hide gaps inside them, so that the p-value errs to the large side. It is for one look: whoever
looks after every tick wants `share_test`.

Source: Smirnov, Ann. Math. Stat. 19 (1948); the finite-sample correction is Stephens', JRSS B 32
(1970).
"""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
# What a term must be worth beside the first, in nats, to be added: a double has 16 digits.
_WORTH: Final = 40.0
# Below this the series of the tail converges too slowly, and the tail is 1 to three digits.
_SMALL: Final = 0.3


def distance(now: Floats, then: Floats) -> Any:
    """Return the largest gap between the cumulative shares of two histograms, in [0, 1].

    Args:
        now: Counts `[bin, ...]`.
        then: Counts of the reference, of the same shape.

    Returns:
        `[...]`; NaN where a histogram is empty.

    >>> float(distance(np.array([3.0, 1.0, 0.0]), np.array([1.0, 1.0, 2.0])))
    0.5
    """
    return np.abs(cumulative(now) - cumulative(then)).max(axis=0)


def two_sample(now: Floats, then: Floats) -> float:
    """Return -log10 p that two histograms come from one distribution.

    Args:
        now: Counts `[bin]`, at least one event in all.
        then: Counts of the reference.

    Raises:
        ValueError: A histogram is empty.

    >>> two_sample(np.array([5.0, 5.0]), np.array([50.0, 50.0]))
    0.0
    """
    n, m = float(now.sum()), float(then.sum())
    if not (n > 0.0 and m > 0.0):
        raise ValueError(f"KS needs events in both histograms, got {n:g} and {m:g}")
    return of_gap(float(distance(now, then)), n, m)


def of_gap(gap: float, now: float, then: float) -> float:
    """Return -log10 p of a largest gap between two samples of these sizes, both above 0.

    >>> round(of_gap(0.1, 400.0, 4000.0), 2)
    2.9
    """
    root = math.sqrt(now / (1.0 + now / then))
    return neg_log10_tail((root + 0.12 + 0.11 / root) * gap)


def neg_log10_tail(size: float) -> float:
    """Return -log10 P(K > size) of Kolmogorov's distribution.

    >>> round(neg_log10_tail(1.3581), 4)
    1.301
    """
    if size < _SMALL:
        return 0.0
    # 2 sum (-1)^(k-1) exp(-2 k^2 x^2), with the first term taken out so that nothing underflows.
    last = math.ceil(math.sqrt(1.0 + 0.5 * _WORTH / (size * size)))
    rest = sum(
        (-1.0) ** (k - 1) * math.exp(-2.0 * (k * k - 1) * size * size) for k in range(1, last + 1)
    )
    return max((2.0 * size * size - math.log(2.0 * rest)) / math.log(10.0), 0.0)


def cumulative(counts: Floats) -> Floats:
    """Return the share of events at or below each bin, `[bin, ...]`; NaN without events."""
    through = np.cumsum(counts, axis=0)
    shares: Floats = through / np.where(through[-1] > 0.0, through[-1], np.nan)
    return shares
