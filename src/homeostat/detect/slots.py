"""Slots for the fleet's series in batched state: grown by powers of two, recycled when unused.

Detectors keep arrays whose last axis is the series. Growing a state means taking a fresh one of
the new size and copying the old rows over; recycling a slot means copying fresh rows over it.
Works for any state made of arrays, tuples, named tuples, dicts and frozen dataclasses.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from homeostat.base.evidence import SeriesKey


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slots:
    """Which series is in which slot.

    Attributes:
        keys: By slot, None for a free one; the length is a power of two.
        index: The slot of each series.
        seen: Tick at which each slot was last used, -1 for a free one. `[slot]`
    """

    keys: tuple[SeriesKey | None, ...]
    index: dict[SeriesKey, int]
    seen: npt.NDArray[np.int64]


def no_slots(size: int) -> Slots:
    """Return free slots, as many as a power of two."""
    return Slots(keys=(None,) * size, index={}, seen=np.full(size, -1, dtype=np.int64))


def assign(
    slots: Slots,
    keys: Sequence[SeriesKey],
    tick: int,
    forget: int,
    known: npt.NDArray[np.int64] | None = None,
) -> tuple[Slots, npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return slots that hold these series, the slot of each, and which slots start afresh.

    Args:
        slots: The slots so far.
        keys: This tick's series.
        tick: The tick's number.
        forget: A series unseen for more ticks than this loses its slot.
        known: The slots of those that are known to have kept theirs, else -1. `[series]`
    """
    where = np.full(len(keys), -1, dtype=np.int64) if known is None else known.copy()
    for row in np.flatnonzero(where < 0).tolist():
        where[row] = slots.index.get(keys[row], -1)
    seen = slots.seen.copy()
    seen[where[where >= 0]] = tick  # before anything is taken for unused
    slots = replace(slots, seen=seen)
    fresh = np.zeros(len(slots.keys), dtype=bool)
    missing = np.flatnonzero(where < 0).tolist()
    if missing:
        slots, fresh = _placed(slots, [keys[row] for row in missing], tick, forget)
        where[missing] = [slots.index[keys[row]] for row in missing]
        slots.seen[where] = tick
    return slots, where, fresh


def seen_again(slots: Slots, where: npt.NDArray[np.int64], tick: int) -> Slots:
    """Return the slots after a tick whose series are all in the slots given."""
    seen = slots.seen.copy()
    seen[where] = tick
    return replace(slots, seen=seen)


def _placed(
    slots: Slots, missing: Sequence[SeriesKey], tick: int, forget: int
) -> tuple[Slots, npt.NDArray[np.bool_]]:
    # Nearly always a few series come and none goes: what is copied is copied whole, and only what
    # comes or goes is looked at. A slot never used, or free again, was seen at -1.
    keys, index, seen = list(slots.keys), dict(slots.index), slots.seen.copy()
    for slot in np.flatnonzero((seen >= 0) & (seen < tick - forget)).tolist():
        key, keys[slot], seen[slot] = keys[slot], None, -1
        if key is not None:
            del index[key]
    size = len(keys)
    while size - len(index) < len(missing):
        size *= 2
    keys += [None] * (size - len(keys))
    seen = np.append(seen, np.full(size - len(seen), -1, dtype=np.int64))
    fresh = np.zeros(size, dtype=bool)
    free = np.flatnonzero(seen < 0)[: len(missing)]
    fresh[free] = True
    for slot, key in zip(free.tolist(), sorted(missing, key=_order), strict=True):
        keys[slot], index[key] = key, slot
    return Slots(keys=tuple(keys), index=index, seen=seen), fresh


def _order(key: SeriesKey) -> tuple[str, str, str]:
    return key.deployment, key.subject, key.signal


def carried(old: Any, fresh: Any, restart: npt.NDArray[np.bool_], before: int) -> Any:
    """Return `fresh` with the rows of `old` that do not restart.

    Args:
        old: State over `before` slots.
        fresh: State of the same structure over `len(restart)` slots.
        restart: Slots that start afresh. `[slot]`
        before: How many slots the old state has.
    """
    size = len(restart)
    keep, again = np.flatnonzero(~restart[:before]), np.flatnonzero(restart)

    def leaf(a: Any, b: Any) -> Any:
        if not isinstance(b, np.ndarray) or not b.ndim or b.shape[-1] != size:
            return a  # not per series: the old value goes on
        if before == size:
            out = a.copy()
            out[..., again] = b[..., again]
            return out
        out = b.copy()
        out[..., keep] = a[..., keep]
        return out

    return _zipped(leaf, old, fresh)


def placed(old: Any, new: Any, where: npt.NDArray[np.int64], size: int) -> Any:
    """Return `old` with some of its slots as in `new`.

    Args:
        old: State over `size` slots.
        new: State of the same structure over as many as `where` has.
        where: Their slots.
        size: How many slots there are.
    """

    def leaf(a: Any, b: Any) -> Any:
        if not isinstance(b, np.ndarray) or not b.ndim or b.shape[-1] != len(where):
            return a  # not per series: the old value goes on
        if a.shape[-1] != size:
            return a
        out = a.copy()
        out[..., where] = b
        return out

    return _zipped(leaf, old, new)


def _zipped(leaf: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    if is_dataclass(b) and not isinstance(b, type):
        parts = {f.name: _zipped(leaf, getattr(a, f.name), getattr(b, f.name)) for f in fields(b)}
        return replace(b, **parts)
    if isinstance(b, tuple):
        items: Iterable[Any] = (_zipped(leaf, x, y) for x, y in zip(a, b, strict=True))
        return type(b)(*items) if hasattr(b, "_fields") else tuple(items)
    if isinstance(b, dict):
        return {name: _zipped(leaf, a[name], value) for name, value in b.items()}
    return leaf(a, b)
