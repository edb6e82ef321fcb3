"""Does the linear model still hold? An e-detector on what the ellipsoids did not foresee.

While the model holds, an outcome is further from its estimate than the ellipsoid is wide only by
noise. So exp(s l (residual) - l b - l^2 sigma^2 / 2), b the width, has a mean of at most 1 for
either sign s and any l, and the Shiryaev-Roberts sums M <- (M + 1) times it reach `threshold` once
in `threshold` outcomes or more on average. The mean over signs and three l is watched.

Source: Shin, Ramdas & Rinaldo, "E-detectors", NEJSDS 2 (2024); the noise is sub-Gaussian.
An alarm says that the estimates are not to be trusted, not why: drift, or a world that is not
linear. What follows from it is in `bandit`: the arm starts anew, with a wider ellipsoid.
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# In units of 1 / sigma: the best for shifts of a quarter, a half and a whole deviation and more.
_STEPS: Final = (0.25, 0.5, 1.0)
_SIGNS: Final = (1.0, -1.0)
KINDS: Final = len(_STEPS) * len(_SIGNS)
"""Watches per output."""


def calm(outputs: int) -> Floats:
    """Return the logarithms of sums that have seen nothing, `[output, KINDS]`."""
    return np.full((outputs, KINDS), -np.inf)


def stepped(watch: Floats, residual: Floats, width: Floats, sigma: Floats) -> Floats:
    """Return the sums after one outcome.

    Args:
        watch: Before, `[output, KINDS]`, logarithms.
        residual: Outcome less estimate, `[output]`.
        width: Half widths of the ellipsoids there, `[output]`.
        sigma: Deviation of the noise, `[output]`.
    """
    rate = np.array([step * sign for step in _STEPS for sign in _SIGNS]) / sigma[:, None]
    grown = rate * residual[:, None] - np.abs(rate) * width[:, None]
    grown -= (rate * sigma[:, None]) ** 2 / 2.0
    return np.asarray(np.logaddexp(watch, 0.0) + grown)


def evidence(watch: Floats) -> float:
    """Return the logarithm of the largest mean of the sums: an alarm from log(threshold) on."""
    return float(np.logaddexp.reduce(watch, axis=1).max()) - math.log(KINDS)
