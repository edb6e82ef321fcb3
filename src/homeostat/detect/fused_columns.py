"""Columns of a deployment whose replicas come and go: who gets which, and what goes with them.

Replicas of a rolling update have names of their own, so its series are new ones, and those of the
replicas before are heard of no more. A row that kept a column for each series that ever was would
be full after a release or two. So once there is no room, a series that has been unheard of for
`UNHEARD` ticks gives its column up to one that is heard, of the same signal where there is one. The
column then begins anew; the others, how they go together, and the onset that lasts stay.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from homeostat.detect.fused_groups import Name, Plan, filled, leaves
from homeostat.detect.layout import Part

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# The longest window that a signal looks back over: until then the last values still speak.
UNHEARD: Final = 20


class Seats(NamedTuple):
    """What became of a deployment's columns.

    Attributes:
        names: Of the columns.
        anew: Columns that are another series' now.
        lacking: Series that are heard and have no column.
        leaving: Columns of series that are not heard now, which may soon be free.
    """

    names: tuple[Name, ...]
    anew: tuple[int, ...]
    lacking: tuple[Name, ...]
    leaving: int


def reseated(known: Sequence[Name], part: Part, width: int, heard: Bools, idle: Ints) -> Seats:
    """Return the columns once the series that are heard have theirs, as far as there is room.

    Args:
        known: The columns' names so far.
        part: The deployment's rows.
        width: Columns there are.
        heard: Where there is a value on this tick. `[row]`
        idle: Ticks for which each of the known columns has had none, before this tick.
    """
    rows = np.flatnonzero(part.charted & heard).tolist()
    now = [(part.subjects[row], part.signals[row]) for row in rows]
    here, had = set(now), set(known)
    wanted = [name for name in now if name not in had]
    room = width - len(known)
    names, lacking = [*known, *wanted[:room]], wanted[room:]
    away = [column for column, name in enumerate(known) if name not in here]
    free = sorted(
        (column for column in away if idle[column] >= UNHEARD),
        key=lambda column: (-int(idle[column]), column),
    )
    anew: list[int] = []
    for alike in (True, False):
        left = []
        for name in lacking:
            fits = (one for one in free if not alike or names[one][1] == name[1])
            column = next(fits, None)
            if column is None:
                left.append(name)
                continue
            free.remove(column)
            names[column] = name
            anew.append(column)
        lacking = left
    return Seats(tuple(names), tuple(sorted(anew)), tuple(lacking), len(away) - len(anew))


def put(
    where: Plan,
    units: Sequence[int],
    into: Any,
    source: Any,
    at: tuple[int, int],
    columns: Ints,
    *,
    whole: bool = False,
) -> Any:
    """Return a state in which some columns of an entity are those of a state of a single one.

    Args:
        where: From `fused_groups.plan`, of the state that is changed.
        units: Of each of its arrays, its neighbours of one entity: above 1 where they are columns.
        into: The state that is changed; of as many entities as `at` says.
        source: Of one entity, which may have another number of columns.
        at: The entity, and how many there are.
        columns: Which columns, in both.
        whole: What is of the entity as a whole is taken over too; else it is not touched.
    """
    place, count = at
    out = []
    for axis_size, unit, was, new in zip(where, units, leaves(into), leaves(source), strict=True):
        if axis_size is None or (unit == 1 and not whole):
            out.append(was)
            continue
        axis, size = axis_size
        looks = size // unit
        copy = np.array(was, order="C")
        apart = copy.reshape(*was.shape[:axis], looks, count, unit, *was.shape[axis + 1 :])
        one = np.reshape(new, (*new.shape[:axis], looks, -1, *new.shape[axis + 1 :]))
        front: tuple[Any, ...] = (slice(None),) * (axis + 1)
        which: Any = slice(None) if unit == 1 else columns
        apart[(*front, place, which)] = one[(*front, which)]
        out.append(copy)
    return filled(into, out)
