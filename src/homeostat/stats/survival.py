"""Kaplan-Meier: how long something takes when some of it was not watched to its end.

A time is either that of the event or that after which nobody watched (censored). Rows of weights
(see `bootstrap`) take the place of single samples, so that intervals cost one matrix operation.
Beyond the last watched time nothing is known: the curve stays where it is, so that a restricted
mean counts who never recovered for the whole horizon, never for nothing.

Source: Kaplan & Meier, JASA 53 (1958); restricted mean: Royston & Parmar, BMC Medical Research
Methodology 13 (2013), section 2.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_CHUNK = 256  # rows at a time: a few MB of work space


def curve(
    times: npt.ArrayLike, events: npt.ArrayLike, weights: Floats | None = None
) -> tuple[Floats, Floats]:
    """Return the ordered distinct times and the share still waiting after each.

    Args:
        times: Of the event or of the end of watching, at least 0 [n].
        events: Whether it was the event [n].
        weights: Rows of counts [draws, n]; None = every observation once.

    Returns:
        Times [k] and shares [draws, k]. Who leaves at the time of an event is still at risk.

    Raises:
        ValueError: There are no observations, or a time is negative or NaN.

    >>> at, waiting = curve([1, 2, 2, 3], [True, True, False, True])
    >>> waiting[0].tolist()
    [0.75, 0.5, 0.0]
    """
    when = np.asarray(times, dtype=np.float64)
    if not when.size or not (when >= 0.0).all():
        raise ValueError(f"need times >= 0, got {when[:5]}; leave out what does not apply")
    rows = np.ones((1, when.size)) if weights is None else weights
    at, place = np.unique(when, return_inverse=True)
    out = np.empty((len(rows), at.size))
    for first in range(0, len(rows), _CHUNK):
        part = slice(first, first + _CHUNK)
        out[part] = _waiting(rows[part], place, np.asarray(events, dtype=bool), at.size)
    return at, out


def restricted_mean(
    times: npt.ArrayLike,
    events: npt.ArrayLike,
    horizon: float,
    weights: Floats | None = None,
) -> Floats:
    """Return the mean of min(time, horizon) in each row [draws]; see `curve`.

    Raises:
        ValueError: The horizon is not positive.

    >>> restricted_mean([1, 2, 2, 3], [True, True, False, True], 10.0).tolist()
    [2.25]
    """
    if not horizon > 0.0:
        raise ValueError(f"need a positive horizon, got {horizon}")
    at, waiting = curve(times, events, weights)
    edges = np.clip(np.concatenate([[0.0], at, [np.inf]]), 0.0, horizon)
    before = np.concatenate([np.ones((len(waiting), 1)), waiting], axis=1)
    return np.asarray(before @ np.diff(edges))


def quantile(
    times: npt.ArrayLike, events: npt.ArrayLike, share: float, weights: Floats | None = None
) -> Floats:
    """Return the time by which such a share has had the event [draws]; inf = not while watched.

    >>> quantile([1, 2, 2, 3], [True, True, False, True], 0.5).tolist()
    [2.0]
    """
    at, waiting = curve(times, events, weights)
    done = waiting <= 1.0 - share + 1e-12
    return np.asarray(np.where(done.any(axis=1), at[done.argmax(axis=1)], np.inf))


def _waiting(
    weights: Floats, place: npt.NDArray[np.intp], events: npt.NDArray[np.bool_], size: int
) -> Floats:
    """Return the product over times of 1 - events / at risk [rows, size]."""
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(size))
    leaving = np.add.reduceat(weights[:, order], starts, axis=1)
    happened = np.add.reduceat((weights * events)[:, order], starts, axis=1)
    at_risk = np.cumsum(leaving[:, ::-1], axis=1)[:, ::-1]
    kept = 1.0 - happened / np.where(at_risk > 0.0, at_risk, 1.0)
    return np.asarray(np.cumprod(kept, axis=1))
