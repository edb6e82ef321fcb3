"""Chi-square tail in the log domain, and the two-sample test on histogram counts.

Only counts, no densities: small samples get large p-values by construction. Tails far beyond
float range keep their size because everything stays a logarithm.
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

_LN10: Final = math.log(10.0)
_TERMS: Final = 500
_TINY: Final = 1e-300
# Cochran, Biometrics 10 (1954): expected counts below this make the statistic too large.
_LEAST_EXPECTED: Final = 5.0


def neg_log10_tail(statistic: float, degrees: int) -> float:
    """Return -log10 P(X >= statistic) for a chi-square variable.

    Args:
        statistic: At least 0.
        degrees: Degrees of freedom, at least 1.

    Returns:
        0 for a statistic of 0; grows without bound, never infinite for finite input.

    Raises:
        ValueError: A negative or unknown statistic, or no degrees of freedom.

    >>> round(neg_log10_tail(3.841458820694124, 1), 6)
    1.30103
    """
    if not statistic >= 0.0 or degrees < 1:
        raise ValueError(f"need statistic >= 0 and degrees >= 1, got {statistic}, {degrees}")
    a, x = degrees / 2.0, statistic / 2.0
    if x == 0.0:
        return 0.0
    scale = a * math.log(x) - x - math.lgamma(a)
    if x < a + 1.0:
        lower = math.exp(min(scale + math.log(_series(a, x)), 0.0))
        return max(-math.log1p(-min(lower, 1.0 - 1e-16)) / _LN10, 0.0)
    return max(-(scale + math.log(_fraction(a, x))) / _LN10, 0.0)


def _series(a: float, x: float) -> float:
    """Return the lower incomplete gamma function's series (Abramowitz & Stegun 6.5.29)."""
    term = total = 1.0 / a
    for n in range(1, _TERMS):
        term *= x / (a + n)
        total += term
        if term < total * 1e-16:
            break
    return total


def _fraction(a: float, x: float) -> float:
    """Return the upper function's continued fraction by Lentz's method (A & S 6.5.31)."""
    b = x + 1.0 - a
    c, d = 1.0 / _TINY, 1.0 / b
    out = d
    for n in range(1, _TERMS):
        step = -n * (n - a)
        b += 2.0
        d = step * d + b
        d = 1.0 / (d if abs(d) > _TINY else _TINY)
        c = b + step / c
        c = c if abs(c) > _TINY else _TINY
        out *= d * c
        if abs(d * c - 1.0) < 1e-15:  # noqa: PLR2004 - float precision
            break
    return out


def two_sample(now: npt.NDArray[np.float64], then: npt.NDArray[np.float64]) -> float:
    """Return -log10 p that two histograms come from one distribution (Pearson homogeneity).

    Args:
        now: Counts per bin, at least one event in all.
        then: Counts per bin of the reference, at least one event in all.

    Returns:
        0 when there are fewer than two bins to compare. Neighbouring bins are merged until each
        expects enough events.
    """
    share = float(now.sum()) / float(now.sum() + then.sum())
    pairs = _merged(now, then, share)
    if len(pairs) < 2:  # noqa: PLR2004 - one bin cannot differ
        return 0.0
    statistic = 0.0
    for seen, reference in pairs:
        expected = (seen + reference) * share
        other = (seen + reference) * (1.0 - share)
        statistic += (seen - expected) ** 2 / expected + (reference - other) ** 2 / other
    return neg_log10_tail(statistic, len(pairs) - 1)


def _merged(
    now: npt.NDArray[np.float64], then: npt.NDArray[np.float64], share: float
) -> list[tuple[float, float]]:
    least = _LEAST_EXPECTED / min(share, 1.0 - share)
    pairs: list[tuple[float, float]] = []
    seen = reference = 0.0
    for a, b in zip(now.tolist(), then.tolist(), strict=True):
        seen, reference = seen + a, reference + b
        if seen + reference >= least:
            pairs.append((seen, reference))
            seen = reference = 0.0
    if pairs and seen + reference > 0.0:
        last = pairs.pop()
        pairs.append((last[0] + seen, last[1] + reference))
    return pairs
