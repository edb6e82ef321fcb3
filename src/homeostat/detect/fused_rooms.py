"""Batches of rows for deployments: places, and how a batch grows and shrinks.

See `detect.fused_groups` for the arrays and `detect.fused_batch` for who sits where.
"""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from homeostat.base.evidence import SeriesKey
from homeostat.detect import changepoint, stack, stack_incident
from homeostat.detect.changepoint_config import Config as ChangeConfig
from homeostat.detect.fused_groups import (
    Name,
    Plan,
    filled,
    grown,
    kept,
    leaves,
    plan,
    renewed,
)
from homeostat.detect.fused_wires import Key

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
# Free places cost as much as taken ones. So a batch grows to what is wanted, by a quarter at least
# lest a fleet that comes one by one is copied each time; and shrinks once a quarter is free. Two
# places at least: products of a single matrix may differ in the last bit from those of several.
_SHARE: Final = 4
_LEAST: Final = 2
MOST: Final = 32
# Of `screen_rows.State`: what is not about a level.
_STAY: Final = ("season", "rates", "reach")


class Seen(NamedTuple):
    """What is remembered of a batch's entities.

    Attributes:
        stack: The stack's state.
        changes: Change points, one row a column.
    """

    stack: stack.StackState
    changes: changepoint.State


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """The deployments of one width.

    Attributes:
        owners: Who has which place; empty for a free one.
        names: Each place's columns.
        last: The tick at which each place was last heard of, -1 where never. `[place]`
        heard: The tick at which each column last had a value, or got its series if it had none
            since; -1 where the place has not been anybody's. `[place, column]`
        seen: What is remembered of them.
        incident: The onset of each.
    """

    owners: tuple[str, ...]
    names: tuple[tuple[Name, ...], ...]
    last: Ints
    heard: Ints
    seen: Seen
    incident: stack_incident.State


class _Plan(NamedTuple):
    """How states of one width are made up; see `fused_groups`.

    Attributes:
        where: Where entities are in the arrays of `Seen`.
        but_rare: The same without what stays when levels and relations begin anew.
        levels: That without change points, which have found their new level themselves.
        units: Neighbours there.
        blank: One entity that has seen nothing.
    """

    where: Plan
    but_rare: Plan
    levels: Plan
    units: tuple[int, ...]
    blank: Seen


class Rooms:
    """Groups of places for deployments.

    Args:
        config: Of the stack.
    """

    def __init__(self, config: stack.StackConfig) -> None:
        self.stack = stack.Stack(config)
        self.changes = changepoint.Changepoint(ChangeConfig())
        self._plans: dict[int, _Plan] = {}

    def _renewed(self, group: Group, width: int, which: Bools, *, levels: bool = False) -> Group:
        """Return the group with levels and relations of some entities as if new.

        How rare a score was in their past stays: the unit of scores is each column's own spread.
        With `levels` so do change points: other columns' changes may be under way still.
        """
        plan = self._plan(width)
        where = plan.levels if levels else plan.but_rare
        seen = renewed(where, plan.units, group.seen, plan.blank, which)
        return replace(group, seen=seen)

    def _place(
        self, groups: dict[Key, Group], width: int, clock: Seen | None = None
    ) -> tuple[Key, int]:
        """Return a free place of a group, which has seen nothing once `_sized` has made it.

        Args:
            groups: To which a new one is added where it must.
            width: Of its rows.
            clock: What is remembered of some deployment by whose clock the group must go.
        """
        number, times = 0, None if clock is None else _times(clock)
        while (key := (width, number)) in groups:
            group = groups[key]
            if ("" in group.owners or len(group.owners) < MOST) and (
                times is None or _times(group.seen) == times
            ):
                break
            number += 1
        if key not in groups:
            blank = self._plan(width).blank
            groups[key] = Group(
                owners=("",),
                names=((),),
                last=np.full(1, -1, dtype=np.int64),
                heard=np.full((1, width), -1, dtype=np.int64),
                seen=blank if clock is None else _timed(blank, clock),
                incident=stack_incident.init(np, 1),
            )
        elif "" not in groups[key].owners:
            group = groups[key]
            groups[key] = replace(group, owners=(*group.owners, ""), names=(*group.names, ()))
        place = groups[key].owners.index("")
        last = groups[key].last
        if place < len(last) and last[place] >= 0:  # somebody had it before
            groups[key] = self._emptied(groups[key], width, place)
        return key, place

    def _sized(self, group: Group, width: int) -> Group:
        """Return the group with as many places as it needs; one that is empty keeps its clock."""
        if max(len(group.owners), _LEAST) > len(group.last):
            return self._grown(group, width)
        taken = [place for place, name in enumerate(group.owners) if name]
        spare = [place for place, name in enumerate(group.owners) if not name]
        taken = sorted(taken + spare[: max(_LEAST - len(taken), 0)])
        free = len(group.owners) - len(taken)
        return self._shrunk(group, width, taken) if _SHARE * free >= len(group.owners) else group

    def _emptied(self, group: Group, width: int, place: int) -> Group:
        which = np.arange(len(group.last)) == place
        plan = self._plan(width)
        active, calm = group.incident
        return replace(
            group,
            heard=np.where(which[:, None], -1, group.heard),
            seen=renewed(plan.where, plan.units, group.seen, plan.blank, which),
            incident=stack_incident.State(active & ~which, np.where(which, 0.0, calm)),
        )

    def _grown(self, group: Group, width: int) -> Group:
        before = len(group.last)
        after = max(len(group.owners), min(before + before // _SHARE, MOST), _LEAST)
        more, free = after - before, after - len(group.owners)
        plan = self._plan(width)
        return Group(
            owners=group.owners + ("",) * free,
            names=group.names + ((),) * free,
            last=np.concatenate([group.last, np.full(more, -1, dtype=np.int64)]),
            heard=np.concatenate([group.heard, np.full((more, width), -1, dtype=np.int64)]),
            seen=grown(plan.where, plan.units, group.seen, plan.blank, before, after),
            incident=stack_incident.State(
                np.concatenate([group.incident.active, np.zeros(more, dtype=bool)]),
                np.concatenate([group.incident.calm, np.zeros(more)]),
            ),
        )

    def _shrunk(self, group: Group, width: int, taken: list[int]) -> Group:
        plan = self._plan(width)
        return Group(
            owners=tuple(group.owners[place] for place in taken),
            names=tuple(group.names[place] for place in taken),
            last=group.last[taken],
            heard=group.heard[taken],
            seen=kept(plan.where, plan.units, group.seen, taken, len(group.owners)),
            incident=stack_incident.State(*(part[taken] for part in group.incident)),
        )

    def _fresh(self, width: int, entities: int) -> Seen:
        return Seen(
            stack=self.stack.init(width, entities=entities),
            changes=self.changes.init(np, entities * width),
        )

    def _plan(self, width: int) -> _Plan:
        """Return how states of this width are made up; worked out once."""
        if width not in self._plans:
            where = plan(lambda entities: self._fresh(width, entities))
            blank = self._fresh(width, 1)
            rows = len(leaves(blank.stack.rows))
            own = len(leaves(blank.changes))
            units = tuple(
                width if number < rows or number >= len(where) - own else 1
                for number in range(len(where))
            )
            each = blank.stack.rows._asdict().items()
            stays = [name in _STAY for name, part in each for _ in leaves(part)]
            stays += [False] * (len(where) - rows)
            but_rare = tuple(
                None if stay else place for stay, place in zip(stays, where, strict=True)
            )
            levels = but_rare[: len(where) - own] + (None,) * own
            self._plans[width] = _Plan(where, but_rare, levels, units, blank)
        return self._plans[width]


def named(group: Group, place: int, owner: str, columns: tuple[Name, ...]) -> Group:
    """Return the group with a place's owner and its columns' names."""
    owners, every, before = list(group.owners), list(group.names), len(group.names[place])
    owners[place], every[place] = owner, columns
    heard = group.heard
    if place < len(heard) and len(columns) > before:
        heard = heard.copy()
        heard[place, before : len(columns)] = -1
    return replace(group, owners=tuple(owners), names=tuple(every), heard=heard)


def _times(seen: Seen) -> tuple[int, ...]:
    """Return the clocks of a state: what has no axis."""
    return tuple(int(leaf) for leaf in leaves(seen) if np.ndim(leaf) == 0)


def _timed(blank: Seen, clock: Seen) -> Seen:
    """Return a state that has seen nothing, by the clocks of another one."""
    pairs = zip(leaves(blank), leaves(clock), strict=True)
    out = filled(blank, [new if np.ndim(new) else old for new, old in pairs])
    return Seen(*out)


STATE_CLASSES: Final = (Group, Seen, SeriesKey)
"""What `stats.arrays.from_bytes` must know to read groups, beside the stack's classes."""
