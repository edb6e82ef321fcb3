"""Exact intervals for a probability: Clopper-Pearson, and the incomplete beta function behind it.

Exact means that the interval covers at least as often as it says, for every n and p; it is wider
than it need be for few trials. Trials must be independent: clustered ones want `bootstrap`, or one
trial per cluster. Standard library only.
"""

import math
from typing import Final

_TERMS: Final = 10_000
_TINY: Final = 1e-300
_HALVINGS: Final = 200  # of [0, 1]: far below what a double can tell


def clopper_pearson(events: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the two-sided interval for a probability.

    Args:
        events: How often it was seen, 0..trials.
        trials: At least 1.
        confidence: In (0, 1); half of the rest lies on either side.

    Raises:
        ValueError: The counts or the confidence are impossible.

    Source: Clopper & Pearson, Biometrika 26 (1934); in beta quantiles as in Brown, Cai & DasGupta,
    Statistical Science 16 (2001), section 4.2.1.

    >>> [round(x, 4) for x in clopper_pearson(1, 10)]
    [0.0025, 0.445]
    """
    side = 0.5 + 0.5 * confidence
    return lower_bound(events, trials, side), upper_bound(events, trials, side)


def upper_bound(events: int, trials: int, confidence: float = 0.95) -> float:
    """Return the one-sided upper bound of a probability; see `clopper_pearson`.

    >>> round(upper_bound(0, 43), 3), round(upper_bound(0, 4300), 4)
    (0.067, 0.0007)
    """
    _require(events, trials, confidence)
    if events == trials:
        return 1.0
    return beta_quantile(confidence, events + 1.0, float(trials - events))


def lower_bound(events: int, trials: int, confidence: float = 0.95) -> float:
    """Return the one-sided lower bound of a probability; see `clopper_pearson`.

    >>> lower_bound(0, 43)
    0.0
    """
    _require(events, trials, confidence)
    if events == 0:
        return 0.0
    return beta_quantile(1.0 - confidence, float(events), trials - events + 1.0)


def beta_quantile(p: float, a: float, b: float) -> float:
    """Return the p-quantile of a beta distribution, by bisection of `beta_cdf`.

    Raises:
        ValueError: p is not in 0..1, or a shape is not positive.
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"need 0 <= p <= 1, got {p}")
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        if middle in {low, high}:
            break
        low, high = (middle, high) if beta_cdf(middle, a, b) < p else (low, middle)
    return 0.5 * (low + high)


def beta_cdf(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b).

    Raises:
        ValueError: x is not in 0..1, or a shape is not positive.

    Source: the continued fraction 26.5.8 of Abramowitz & Stegun, on the side where it converges.
    """
    if not (0.0 <= x <= 1.0 and a > 0.0 and b > 0.0):
        raise ValueError(f"need 0 <= x <= 1 and positive shapes, got x={x}, a={a}, b={b}")
    if x in {0.0, 1.0}:
        return x
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _fraction(x, a, b) / a
    return 1.0 - front * _fraction(1.0 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction by Lentz's method."""
    c, d = 1.0, 1.0 / _away(1.0 - (a + b) * x / (a + 1.0))
    out = d
    for m in range(1, _TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for step in (even, odd):
            d = 1.0 / _away(1.0 + step * d)
            c = _away(1.0 + step / c)
            out *= c * d
        if abs(c * d - 1.0) < 1e-15:  # noqa: PLR2004 - float precision
            break
    return out


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def _require(events: int, trials: int, confidence: float) -> None:
    if not (trials >= 1 and 0 <= events <= trials and 0.0 < confidence < 1.0):
        raise ValueError(
            f"need 0 <= events <= trials, trials >= 1 and 0 < confidence < 1, "
            f"got {events} of {trials} at {confidence}"
        )
