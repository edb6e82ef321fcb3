"""Counters to ratios and quantiles over a window, and the pages' own resolution.

Increments are exact up to 2**53; a rate is a window's increments over the time they cover, so a
missed round lengthens the time and loses no event. Counts are set against counts of the same
seconds. Nothing here divides by an absent count.
"""

from typing import NamedTuple

import numpy as np

from homeostat.signals.quality import Floats, Ints


class Quantile(NamedTuple):
    """Quantiles of several histograms.

    Attributes:
        value: In the unit of `le`, NaN where a histogram is empty. `[histogram]`.
        resolution: Width of the bucket that holds it, the error of the value at most; infinite in
            the last bucket, where the value is a lower bound. `[histogram]`.
    """

    value: Floats
    resolution: Floats


def ratio(part: Floats, whole: Floats) -> Floats:
    """Return part / whole, NaN where the whole is unknown, zero or negative.

    >>> ratio(np.array([1.0, 0.0]), np.array([4.0, 0.0])).tolist()
    [0.25, nan]
    """
    out: Floats = np.full(np.shape(whole), np.nan)
    with np.errstate(invalid="ignore"):
        np.divide(part, whole, out=out, where=whole > 0.0)
    return out


def stretched(events: Floats, covered: Floats, wanted: Floats) -> Floats:
    """Return events as of another time than they cover: as if they went on as they came.

    Args:
        events: Counts over a window.
        covered: Seconds of the window that they cover.
        wanted: Seconds of the window that what they are compared with covers.

    Returns:
        Exactly the events where both cover the same; NaN where either covers nothing.

    >>> stretched(np.array([8.0, 8.0, 8.0]), np.array([4.0, 4.0, 0.0]), np.array([4.0, 5.0, 1.0]))
    array([ 8., 10., nan])
    """
    out: Floats = events * np.where(covered == wanted, 1.0, ratio(wanted, covered))
    return out


def shortest(samples: Floats, least: Floats) -> Ints:
    """Return per row the shortest window that holds enough samples, else the longest.

    Args:
        samples: Events per window, shortest first, `[window, row]`.
        least: Fewest that a judgement needs. `[row]`
    """
    with np.errstate(invalid="ignore"):
        enough = samples >= least
    out: Ints = np.where(enough.any(axis=0), enough.argmax(axis=0), samples.shape[0] - 1)
    return out


def pick(per_window: Floats, window: Ints) -> Floats:
    """Return `per_window[window[row], row]` for each row."""
    out: Floats = per_window[window, np.arange(per_window.shape[1])]
    return out


def quantile(cumulative: Floats, bounds: Floats, q: float) -> Quantile:
    """Return quantiles of cumulative bucket counts, linear inside the bucket.

    Args:
        cumulative: Events at or below each bound within the window, `[histogram, bucket]`; rows
            shorter than the widest repeat their last column.
        bounds: Upper bounds, ascending, `[histogram, bucket]`; the last one may be infinite.
        q: Fraction in (0, 1).

    Returns:
        Values and the resolution they have. Same rule as Prometheus `histogram_quantile`: the
        first bucket starts at zero (or at its bound, if that is negative), the infinite bucket
        answers with its lower bound.
    """
    # A page written while it is read may count a request in one bucket and not yet in the next.
    steady = np.maximum.accumulate(np.nan_to_num(cumulative, nan=0.0), axis=1)
    total = steady[:, -1]
    rows = np.arange(len(total))
    target = q * total
    place = np.argmax(steady >= target[:, None], axis=1)
    upper = bounds[rows, place]
    before = np.maximum(place - 1, 0)
    first = place == 0
    lower = np.where(first, np.minimum(upper, 0.0), bounds[rows, before])
    below = np.where(first, 0.0, steady[rows, before])
    inside = steady[rows, place] - below
    open_end = np.isinf(upper)
    share = np.divide(target - below, inside, out=np.zeros_like(total), where=inside > 0.0)
    width = np.where(open_end, 0.0, np.where(open_end, 0.0, upper) - lower)
    value = lower + width * np.clip(share, 0.0, 1.0)
    known = (total > 0.0) & ~np.isnan(cumulative).any(axis=1) & np.isfinite(value)
    return Quantile(
        value=np.where(known, value, np.nan),
        resolution=np.where(known, np.where(open_end, np.inf, width), np.nan),
    )


def bins(cumulative: Floats) -> Floats:
    """Return counts per bucket from cumulative counts, never negative; last axis is the bucket."""
    steady = np.maximum.accumulate(cumulative, axis=-1)
    out: Floats = np.diff(steady, axis=-1, prepend=0.0)
    return out
