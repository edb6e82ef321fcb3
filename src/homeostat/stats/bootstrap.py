"""The clustered bootstrap: how uncertain a statistic of grouped observations is.

Clusters are drawn first, members of the drawn ones second, both with replacement; so the interval
speaks of new clusters too, not only of new members of these. A resample is a row of counts: how
often each observation is in it. Statistics are functions of such rows, so that one draw serves
every statistic, and paired arms stay paired. Percentile intervals; with a handful of clusters they
are too narrow (see `exact` for counts).

Source: Davison & Hinkley, "Bootstrap Methods and their Application" (1997), section 3.8, strategy
2; Efron & Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
"""

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def resamples(clusters: Sequence[Hashable], draws: int, *, seed: int) -> Floats:
    """Return how often each observation is in each resample [draws, observation].

    Args:
        clusters: The cluster of each observation.
        draws: Resamples.
        seed: Equal seeds give equal resamples.

    Returns:
        Counts. With a single cluster only its members are drawn.

    Raises:
        ValueError: There are no observations.
    """
    if not clusters:
        raise ValueError("need at least one observation to resample")
    generator = np.random.default_rng(seed)
    names = list(dict.fromkeys(clusters))
    number = {name: index for index, name in enumerate(names)}
    of = np.array([number[name] for name in clusters])
    chosen = generator.multinomial(len(names), np.full(len(names), 1.0 / len(names)), size=draws)
    out = np.zeros((draws, len(of)))
    for index in range(len(names)):
        members = np.flatnonzero(of == index)
        size = len(members)
        # A cluster drawn k times brings k independent samples of its own size.
        out[:, members] = generator.multinomial(
            chosen[:, index] * size, np.full(size, 1.0 / size), size=draws
        )
    return out


def interval(values: Floats, confidence: float = 0.95) -> tuple[float, float] | None:
    """Return the percentile interval of a statistic over resamples; None when it is unknown.

    Args:
        values: The statistic of each resample; NaN where it could not be worked out.
        confidence: In (0, 1).

    >>> interval(np.arange(1001.0), 0.5)
    (250.0, 750.0)
    """
    known = values[np.isfinite(values)]
    if not known.size:
        return None
    tail = 0.5 * (1.0 - confidence)
    low, high = np.quantile(known, [tail, 1.0 - tail])
    return float(low), float(high)


def ratio(weights: Floats, top: npt.ArrayLike, bottom: npt.ArrayLike) -> Floats:
    """Return the ratio of sums in each resample; NaN where the lower sum is 0.

    Args:
        weights: Rows of counts [draws, observation].
        top: One number per observation.
        bottom: One number per observation.
    """
    above = weights @ np.asarray(top, dtype=np.float64)
    below = weights @ np.asarray(bottom, dtype=np.float64)
    safe = np.where(below == 0.0, 1.0, below)
    return np.asarray(np.where(below == 0.0, np.nan, above / safe))
