"""Deployments of different width in batches, and batches that grow: places for the fused score.

A detector of whole entities takes arrays `[entity, column]`. Deployments have as many charted
series as they have, and replicas come and go; so a deployment gets a row of the narrowest of a few
widths with room to spare, and each of its series keeps its column for as long as it is heard of
(`detect.fused_columns`). A deployment that outgrows its row moves to a wider one with all that is
known of it, and with the onset that lasts.

States are nested tuples of arrays with the entity on some axis, of which nothing is known but this:
between a state of two entities and one of three, it is the axis that differs, by as much as each
entity takes. That is enough to carry rows over to a larger batch.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from homeostat.detect.layout import Part

Ints = npt.NDArray[np.int64]
Name = tuple[str, str]

# Multiples of 8 with steps of a third to a half: at most so much of a batch is padding.
_WIDTHS: Final = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
# A replica more than there are now, of nine charted series.
_SPARE: Final = 9

# Of an array: its entity axis, and how much of it an entity takes; None where it has none.
Plan = tuple[tuple[int, int] | None, ...]


def width_for(series: int) -> int:
    """Return the width of a row for so many series, with room for some more.

    >>> width_for(20), width_for(100), width_for(2000)
    (32, 128, 2048)
    """
    wanted = series + _SPARE
    fits = next((width for width in _WIDTHS if width >= wanted), None)
    return -(-wanted // _WIDTHS[-1]) * _WIDTHS[-1] if fits is None else fits


def seated(known: Sequence[Name], part: Part, width: int) -> tuple[Name, ...] | None:
    """Return the columns' names once a deployment's charted series have theirs; None: no room.

    Args:
        known: The columns' names so far.
        part: The deployment's rows.
        width: Columns there are.
    """
    had = set(known)
    charted = ((part.subjects[r], part.signals[r]) for r in np.flatnonzero(part.charted).tolist())
    names = (*known, *(name for name in charted if name not in had))
    return names if len(names) <= width else None


def places(names: Sequence[Name], part: Part) -> tuple[Ints, Ints]:
    """Return the rows of a deployment's part that have a column, and the column of each."""
    at = {name: column for column, name in enumerate(names)}
    rows = np.flatnonzero(part.charted).tolist()
    columns = [at.get((part.subjects[row], part.signals[row]), -1) for row in rows]
    found = [(row, column) for row, column in zip(rows, columns, strict=True) if column >= 0]
    both = np.array(found, dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def plan(init: Callable[[int], Any]) -> Plan:
    """Return where entities are in the arrays of a state; `init` makes one of so many."""
    pairs = zip(leaves(init(2)), leaves(init(3)), strict=True)
    return tuple(_axis(np.shape(two), np.shape(three)) for two, three in pairs)


def _axis(two: tuple[int, ...], three: tuple[int, ...]) -> tuple[int, int] | None:
    for axis, (small, large) in enumerate(zip(two, three, strict=True)):
        if small != large:
            return axis, large - small
    return None


def grown(where: Plan, units: Sequence[int], old: Any, blank: Any, before: int, after: int) -> Any:
    """Return a state of more entities, in which the first ones are those of an old one.

    Args:
        where: From `plan`.
        units: Of each array, how many neighbours on the entity axis belong to one entity; arrays
            may repeat that over several looks.
        old: A state of `before` entities.
        blank: One of a single entity that has seen nothing, as all the others are to be.
        before: How many there were.
        after: How many there are to be, more than before.
    """
    out = []
    for place, unit, was, new in zip(where, units, leaves(old), leaves(blank), strict=True):
        if place is None:
            out.append(was)
            continue
        axis, size = place
        whole = np.empty((*was.shape[:axis], after * size, *was.shape[axis + 1 :]), dtype=was.dtype)
        apart = whole.reshape(_apart(whole.shape, place, unit, after))
        front: tuple[Any, ...] = (slice(None),) * (axis + 1)
        apart[(*front, slice(0, before))] = np.reshape(was, _apart(was.shape, place, unit, before))
        apart[(*front, slice(before, after))] = np.reshape(new, _apart(new.shape, place, unit, 1))
        out.append(whole)
    return filled(old, out)


def renewed(where: Plan, units: Sequence[int], state: Any, blank: Any, which: Any) -> Any:
    """Return a state in which some entities have seen nothing.

    Args:
        where: From `plan`; None also for arrays that are to stay.
        units: As in `grown`.
        state: Of as many entities as `which` has.
        blank: Of a single one that has seen nothing.
        which: Bool `[entity]`.
    """
    out = []
    for place, unit, was, new in zip(where, units, leaves(state), leaves(blank), strict=True):
        if place is None:
            out.append(was)
            continue
        whole = np.array(was, order="C")
        apart = whole.reshape(_apart(whole.shape, place, unit, len(which)))
        index: tuple[Any, ...] = (*(slice(None),) * (place[0] + 1), np.flatnonzero(which))
        apart[index] = np.reshape(new, _apart(new.shape, place, unit, 1))
        out.append(whole)
    return filled(state, out)


def kept(where: Plan, units: Sequence[int], state: Any, places: Sequence[int], before: int) -> Any:
    """Return a state of some of its entities only.

    Args:
        where: From `plan`.
        units: As in `grown`.
        state: Of `before` entities.
        places: Which of them.
        before: How many there were.
    """
    out = []
    for place, unit, was in zip(where, units, leaves(state), strict=True):
        if place is None:
            out.append(was)
            continue
        axis, size = place
        apart = np.reshape(was, _apart(was.shape, place, unit, before))
        some = np.take(apart, places, axis=axis + 1)
        out.append(some.reshape(*was.shape[:axis], len(places) * size, *was.shape[axis + 1 :]))
    return filled(state, out)


def _apart(
    shape: tuple[int, ...], place: tuple[int, int], unit: int, entities: int
) -> tuple[int, ...]:
    """Return a shape with the entity axis taken apart: looks, entities, neighbours."""
    axis, size = place
    return (*shape[:axis], size // unit, entities, unit, *shape[axis + 1 :])


def leaves(value: Any) -> list[Any]:
    """Return the arrays of nested tuples, in order."""
    if isinstance(value, tuple):
        return [leaf for part in value for leaf in leaves(part)]
    return [value]


def filled(shape: Any, arrays: list[Any]) -> Any:
    """Return nested tuples of a shape with these arrays; takes them from the list's front."""
    if not isinstance(shape, tuple):
        return arrays.pop(0)
    parts = [filled(part, arrays) for part in shape]
    return type(shape)(*parts) if hasattr(shape, "_fields") else tuple(parts)
