"""The block bootstrap of a time series: how uncertain an estimate is when neighbours are alike.

Rows are cut into stretches that are longer than their errors remember, and whole stretches are
drawn; an estimate needs only its sums over each stretch, so that a draw is one small product.
Sources: Kuensch, "The jackknife and the bootstrap for general stationary observations", Annals of
Statistics 17 (1989); Kline & Santos, "A score based approach to wild bootstrap inference", Journal
of Econometric Methods 1 (2012), for one Newton step instead of a new fit of every draw.
"""

import math
from statistics import NormalDist
from typing import Final

import numpy as np

from homeostat.twin.fit_frame import Floats, Ints

DRAWS: Final = 400
LEVEL: Final = 0.9
_FEWEST: Final = 8  # blocks; with fewer, whole rows are drawn
_LAGS: Final = 200


def block_length(errors: Floats) -> int:
    """Return how many rows make a block: n^(1/3), or twice as long as errors remember.

    Args:
        errors: In time order; NaN where unknown.
    """
    known = errors[np.isfinite(errors)]
    n = len(known)
    if n < 2 * _FEWEST or not known.std() > 0:
        return 1
    centred = known - known.mean()
    spectrum = np.abs(np.fft.rfft(centred, 2 * n)) ** 2
    lags = np.fft.irfft(spectrum)[: min(n // 4, _LAGS)]
    alike = lags / lags[0]
    below = np.flatnonzero(alike < 2.0 / math.sqrt(n))
    memory = 1.0 + 2.0 * float(alike[1 : below[0] if len(below) else None].sum())
    return int(min(max(n ** (1 / 3), 2.0 * memory, 1.0), n / _FEWEST))


def blocks(rows: int, length: int) -> Ints:
    """Return the number of the block of each row [rows]; the last one may be up to twice as long.

    >>> blocks(5, 2)
    array([0, 0, 1, 1, 1])
    """
    return np.minimum(np.arange(rows) // length, max(rows // length - 1, 0))


def counts(number: int, draws: int, seed: int) -> Floats:
    """Return how often each block is in each draw [draws, number]."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(number, np.full(number, 1.0 / number), draws).astype(float)


def sums(values: Floats, block: Ints) -> Floats:
    """Return sums over blocks of values [n, ...] as [blocks, ...]."""
    out = np.zeros((int(block.max()) + 1, *values.shape[1:]))
    np.add.at(out, block, values)
    return out


def wider(draws: Floats, middle: Floats | float, number: int) -> Floats:
    """Return draws about their middle, as wide as so few blocks ask for.

    A resample of B blocks has (B - 1) / B of their variance, and an interval from them needs
    Student's t instead of the normal quantile (Cornish-Fisher's first term).
    """
    free = max(number - 1, 2)
    z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
    student = 1.0 + (z * z + 1.0) / (4.0 * free)
    return np.asarray(middle + (draws - middle) * student * math.sqrt(number / free))


def interval(draws: Floats, level: float = LEVEL) -> tuple[float, float]:
    """Return the percentile interval of draws; (nan, nan) if none is finite."""
    known = draws[np.isfinite(draws)]
    if not len(known):
        return math.nan, math.nan
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
