"""Features of a series over a window: min-max scaling, moving mean, rolling deviation.

The preprocessing of HASH (section 4.3: min-max to [0, 1], 5-minute moving average, 1-hour rolling
standard deviation), batched over `[series]` and causal. A window with too few known values is
unknown. Nothing here judges; these feed models that want scaled inputs and charts for people.
"""

from types import ModuleType
from typing import Any, NamedTuple


class Window(NamedTuple):
    """The last values of every series.

    Attributes:
        ring: Values in the order of their slots, NaN for unknown, `[series, length]`.
        slot: Where the next value goes, an integer scalar.
    """

    ring: Any
    slot: Any


class Range(NamedTuple):
    """The smallest and largest value of every series so far, NaN before the first, `[series]`."""

    low: Any
    high: Any


def empty_window(xp: ModuleType, series: int, length: int) -> Window:
    """Return a window that holds nothing.

    Args:
        xp: numpy or jax.numpy.
        series: Number of rows.
        length: Ticks it looks back; 300 for five minutes of one-second ticks.

    Raises:
        ValueError: The length is below 1.
    """
    if length < 1:
        raise ValueError(f"a window needs a length of 1 or more, got {length}")
    return Window(ring=xp.full((series, length), xp.nan), slot=xp.asarray(0))


def push(xp: ModuleType, window: Window, values: Any) -> Window:
    """Return the window after one more tick; what is not finite counts as unknown.

    Args:
        xp: numpy or jax.numpy.
        window: The window before.
        values: Float `[series]`.
    """
    length = window.ring.shape[1]
    fresh = xp.asarray(values, dtype=window.ring.dtype)
    fresh = xp.where(xp.isfinite(fresh), fresh, xp.nan)
    here = xp.arange(length) == window.slot
    return Window(ring=xp.where(here, fresh[:, None], window.ring), slot=(window.slot + 1) % length)


def moving_mean(xp: ModuleType, window: Window, *, min_known: int = 1) -> Any:
    """Return the mean of the known values, NaN where fewer than `min_known` are known."""
    known = xp.isfinite(window.ring)
    count = xp.sum(known, axis=1)
    # Dividing first keeps the sum of huge values finite.
    share = xp.where(known, window.ring, 0.0) / xp.maximum(count, 1)[:, None]
    return xp.where(count >= max(min_known, 1), xp.sum(share, axis=1), xp.nan)


def rolling_deviation(xp: ModuleType, window: Window, *, min_known: int = 2) -> Any:
    """Return the sample standard deviation, NaN where fewer than `min_known` (or 2) are known.

    Two passes over the window, so that a large level does not swallow a small spread; scaled by
    the largest departure, so that squares stay finite.
    """
    known = xp.isfinite(window.ring)
    count = xp.sum(known, axis=1)
    centre = xp.where(count > 0, moving_mean(xp, window), 0.0)
    off = xp.where(known, window.ring - centre[:, None], 0.0)
    largest = xp.max(xp.abs(off), axis=1)
    unit = xp.where(largest > 0.0, largest, 1.0)
    squares = xp.sum((off / unit[:, None]) ** 2, axis=1)
    spread = unit * xp.sqrt(squares / xp.maximum(count - 1, 1))
    return xp.where(count >= max(min_known, 2), spread, xp.nan)


def empty_range(xp: ModuleType, series: int) -> Range:
    """Return ranges that hold nothing."""
    return Range(low=xp.full(series, xp.nan), high=xp.full(series, xp.nan))


def widen(xp: ModuleType, seen: Range, values: Any) -> Range:
    """Return the ranges with one more tick of values; what is not finite changes nothing."""
    fresh = xp.asarray(values, dtype=seen.low.dtype)
    fresh = xp.where(xp.isfinite(fresh), fresh, xp.nan)
    return Range(low=xp.fmin(seen.low, fresh), high=xp.fmax(seen.high, fresh))


def scale(xp: ModuleType, seen: Range, values: Any) -> Any:
    """Return values with the range mapped to [0, 1].

    A value outside the range maps outside [0, 1]: clipping would hide a departure. In a range of
    no width its only value is 0 and any other is unknown, because there is no unit to say it in.

    Args:
        xp: numpy or jax.numpy.
        seen: Ranges that were learnt before.
        values: Float `[series]`.
    """
    fresh = xp.asarray(values, dtype=seen.low.dtype)
    # Halves of large values, so that the width of all floats is finite; the smallest have no half.
    part = xp.where(xp.maximum(xp.abs(seen.low), xp.abs(seen.high)) > 1.0, 0.5, 1.0)
    width = seen.high * part - seen.low * part
    flat = xp.where(fresh == seen.low, 0.0, xp.nan)
    off = fresh * part - seen.low * part
    scaled = off / xp.where(width > 0.0, width, 1.0)
    return xp.where(xp.isfinite(fresh), xp.where(width > 0.0, scaled, flat), xp.nan)
