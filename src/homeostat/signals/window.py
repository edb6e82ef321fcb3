"""Rings aligned to the tick: `[row, column]`, one column per tick, NaN where nothing was known.

A column is addressed by its tick's number, so rows that skip ticks stay aligned and a gap is a
gap. Sums and lengths are over the last so many ticks; nothing here knows what a row means.
"""

from typing import Any

import numpy as np

from homeostat.signals.quality import Floats, Ints


def columns(tick: int, length: int, width: int) -> Ints:
    """Return the ring columns of the last `length` ticks, newest first.

    Args:
        tick: The current tick's number.
        length: How many ticks, at most `width`.
        width: The ring's width.

    >>> columns(7, 3, 5).tolist()
    [2, 1, 0]
    """
    return (tick - np.arange(min(length, width), dtype=np.int64)) % width


def opened(ring: Floats, tick: int, last_tick: int) -> Floats:
    """Return a copy of the ring with the columns of all ticks after `last_tick` emptied."""
    out = ring.copy()
    width = ring.shape[1]
    out[:, columns(tick, max(tick - last_tick, 1), width)] = np.nan
    return out


def sums(ring: Floats, tick: int, lengths: tuple[int, ...]) -> Floats:
    """Return sums over the last ticks, unknown columns left out; `[length, row]`.

    A row with no known column in a window sums to NaN there: nothing known is not zero.
    """
    # One tick after the other for all rows at once: a row has few columns, there are many rows.
    part = ring[:, columns(tick, max(lengths), ring.shape[1])].T
    known = ~np.isnan(part)
    np.copyto(part, 0.0, where=~known)
    out = np.empty((len(lengths), ring.shape[0]))
    total, some, done = np.zeros(ring.shape[0]), np.zeros(ring.shape[0], dtype=bool), 0
    for place, length in enumerate(lengths):
        for column in range(done, min(length, len(part))):
            total += part[column]
            some |= known[column]
        done = length
        out[place] = np.where(some, total, np.nan)
    return out


def in_order(ring: Floats, tick: int) -> Floats:
    """Return the ring's columns oldest first.

    >>> in_order(np.array([[3.0, 4.0, 2.0]]), 4).tolist()
    [[2.0, 3.0, 4.0]]
    """
    out: Floats = ring[:, columns(tick, ring.shape[1], ring.shape[1])[::-1]]
    return out


def capacity_for(rows: int, least: int = 16) -> int:
    """Return the power of two that holds so many rows.

    >>> capacity_for(17)
    32
    """
    return max(least, 1 << max(rows - 1, 0).bit_length())


def grown(array: Any, rows: int, fill: float) -> Any:
    """Return an array of the same type with more rows, the new ones filled."""
    out = np.full((rows, *array.shape[1:]), fill, dtype=array.dtype)
    out[: array.shape[0]] = array
    return out
