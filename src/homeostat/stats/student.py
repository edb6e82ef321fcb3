"""Quantiles of Student's t far in the tail: what a test of many points at a small level needs.

From `_MANY` degrees of freedom on the quantile is expanded around the normal one; below that the
expansion is the start of Newton's method on the exact tail.
"""

import math
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.stats.exact import beta_cdf

# The expansion's next term is below x^11 / (1000 f^5): 1e-11 at f = 1000 and x = 4.5.
_MANY: Final = 1000.0
_STEPS: Final = 60
_SMALL: Final = 1e-14


def upper_quantiles(
    tail: npt.NDArray[np.float64], dof: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return t with P(T > t) = tail, to about 1e-10 of its size.

    Args:
        tail: Probabilities in (0, 0.5). `[case]`
        dof: Degrees of freedom, at least 1. `[case]`

    Raises:
        ValueError: A probability or a number of degrees out of range.

    Source: the expansion is Fisher & Cornish, Technometrics 2 (1960) (Abramowitz & Stegun 26.7.5);
    the tail is A & S 26.7.1.

    >>> upper_quantiles(np.array([0.025, 0.025]), np.array([5.0, 1e9])).round(6)
    array([2.570582, 1.959964])
    """
    if not ((tail > 0.0) & (tail < 0.5)).all() or not (dof >= 1.0).all():  # noqa: PLR2004 - a tail
        raise ValueError(f"need 0 < tail < 0.5 and dof >= 1, got {tail.min()}, {dof.min()}")
    normal = NormalDist()
    x = np.array([-normal.inv_cdf(p) for p in tail.tolist()])
    out = _expanded(x, dof)
    for case in np.flatnonzero(dof < _MANY).tolist():
        out[case] = _refined(float(out[case]), float(tail[case]), float(dof[case]))
    return out


def _expanded(x: npt.NDArray[np.float64], dof: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    s = x * x
    one = (s + 1.0) / 4.0
    two = ((5.0 * s + 16.0) * s + 3.0) / 96.0
    three = (((3.0 * s + 19.0) * s + 17.0) * s - 15.0) / 384.0
    four = ((((79.0 * s + 776.0) * s + 1482.0) * s - 1920.0) * s - 945.0) / 92160.0
    out: npt.NDArray[np.float64] = x + x / dof * (one + (two + (three + four / dof) / dof) / dof)
    return out


def _refined(start: float, tail: float, dof: float) -> float:
    """Solve for ln t by Newton: the tail's logarithm is nearly a straight line in it."""
    y, wanted = math.log(max(start, 1e-3)), math.log(tail)
    log_scale = math.lgamma(0.5 * (dof + 1.0)) - math.lgamma(0.5 * dof)
    log_scale -= 0.5 * math.log(dof * math.pi)
    for _ in range(_STEPS):
        t = math.exp(y)
        above = 0.5 * beta_cdf(dof / (dof + t * t), 0.5 * dof, 0.5)
        density = math.exp(log_scale - 0.5 * (dof + 1.0) * math.log1p(t * t / dof))
        step = (math.log(above) - wanted) * above / (t * density)
        y += step
        if abs(step) < _SMALL:
            break
    return math.exp(y)
