"""The stack over a fleet: deployments of like width side by side, one tick at a time.

See `detect.fused_groups` for places and growth. Values that are not charted are not looked at, and
what is missing is NaN: a column of padding is one that never says anything.

A batch holds at most `MOST` deployments, and at most as many get a place on one tick, because
models of relations are fitted when so many rows have been learnt: a fleet that starts on one tick
would be fitted on one tick. Who has no place yet is not scored yet.
"""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from homeostat.base.evidence import SeriesKey
from homeostat.base.ports import SignalsLike
from homeostat.detect import changepoint, stack, stack_incident
from homeostat.detect.changepoint_config import Config as ChangeConfig
from homeostat.detect.fused_groups import (
    Name,
    Plan,
    grown,
    kept,
    leaves,
    plan,
    renewed,
    seated,
    width_for,
)
from homeostat.detect.fused_wires import Key, Wires
from homeostat.detect.layout import Layout

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
# A deployment that was not heard of for so many ticks gives its row up, as series do their slots.
_FORGET: Final = 600
# Levels that change for good are looked for on every fourth tick: they stay, and looking is dear.
_STRIDE: Final = 4
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
        seen: What is remembered of them.
        incident: The onset of each.
    """

    owners: tuple[str, ...]
    names: tuple[tuple[Name, ...], ...]
    last: Ints
    seen: Seen
    incident: stack_incident.State


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batches:
    """All groups.

    Attributes:
        groups: By width and number.
        keys: The frame's series for which `rows` and `cells` were worked out; none while a
            deployment waits for its place.
        rows: Of each group, the charted rows of the frame.
        cells: Of each group, where their values go: place times width plus column.
    """

    groups: dict[Key, Group]
    keys: tuple[SeriesKey, ...]
    rows: dict[Key, Ints]
    cells: dict[Key, Ints]


class _Plan(NamedTuple):
    """How states of one width are made up; see `fused_groups`.

    Attributes:
        where: Where entities are in the arrays of `Seen`.
        but_rare: The same without what stays when levels and relations begin anew.
        units: Neighbours there.
        blank: One entity that has seen nothing.
    """

    where: Plan
    but_rare: Plan
    units: tuple[int, ...]
    blank: Seen


class Batch:
    """See the module. Causal and pure; deployments are independent of each other.

    Args:
        config: Of the stack.
    """

    def __init__(self, config: stack.StackConfig) -> None:
        self.stack = stack.Stack(config)
        self.changes = changepoint.Changepoint(ChangeConfig())
        self._plans: dict[int, _Plan] = {}
        self._wires = Wires()

    def init(self) -> Batches:
        """Return no groups."""
        return Batches(groups={}, keys=(), rows={}, cells={})

    def step(
        self,
        state: Batches,
        signals: SignalsLike,
        layout: Layout,
        learn: frozenset[str],
        renew: frozenset[str],
    ) -> tuple[Batches, dict[Key, stack.Said]]:
        """Judge one tick, then learn from it; see `fused.Fused.step`.

        Args:
            state: From `init` or the last step.
            signals: The tick's aligned series.
            layout: Their rows.
            learn: Deployments from which may be learnt.
            renew: Deployments whose levels and relations begin anew before the tick.
        """
        if layout.keys is not state.keys:
            same = layout.keys == state.keys  # as after a restart
            state = (
                replace(state, keys=layout.keys)
                if same
                else self._seated(state, layout, signals.tick)
            )
        groups, out = {}, {}
        for key, group in state.groups.items():
            groups[key], out[key] = self._group(
                group, key[0], state.rows[key], state.cells[key], signals, learn, renew
            )
        return replace(state, groups=groups), out

    def _group(
        self,
        group: Group,
        width: int,
        rows: Ints,
        cells: Ints,
        signals: SignalsLike,
        learn: frozenset[str],
        renew: frozenset[str],
    ) -> tuple[Group, stack.Said]:
        count = len(group.owners)
        if not renew.isdisjoint(group.owners):
            anew = np.array([name in renew for name in group.owners])
            group = self._renewed(group, width, anew)
        values = np.full(count * width, np.nan)
        values[cells] = signals.values[rows]
        allowed = np.array([name in learn for name in group.owners])
        told, said = self.stack.step(
            group.seen.stack, values.reshape(count, width), allowed[:, None]
        )
        last = group.last.copy()
        last[cells // width] = signals.tick
        group = replace(group, last=last, seen=group.seen._replace(stack=told))
        if signals.tick % _STRIDE:
            return group, said
        changes, _ = self.changes.step(np, group.seen.changes, values, np.repeat(allowed, width))
        group = replace(group, seen=group.seen._replace(changes=changes))
        news = changes.restart.reshape(count, width).any(axis=1) & group.incident.active
        # The level has changed for good, and it was told: what is usual begins anew.
        return (self._renewed(group, width, news) if news.any() else group), said

    def _renewed(self, group: Group, width: int, which: Bools) -> Group:
        """Return the group with levels and relations of some entities as if new.

        How rare a score was in their past stays: the unit of scores is each column's own spread.
        """
        plan = self._plan(width)
        seen = renewed(plan.but_rare, plan.units, group.seen, plan.blank, which)
        return replace(group, seen=seen)

    def _seated(self, state: Batches, layout: Layout, tick: int) -> Batches:
        """Return the batches with a place for the deployments of the frame."""
        groups = {key: _freed(group, tick) for key, group in state.groups.items()}
        where = {
            name: (key, place)
            for key, group in groups.items()
            for place, name in enumerate(group.owners)
            if name
        }
        placed = 0
        for name, part in layout.parts.items():
            at = where.get(name)
            if at is not None:
                known = groups[at[0]].names[at[1]]
                if self._wires.knows(name, part, known):
                    continue
                columns = seated(known, part, at[0][0])
                groups[at[0]] = _named(groups[at[0]], at[1], name if columns else "", columns or ())
                if columns is not None:
                    continue
                del where[name]
            if placed < MOST and part.charted.any():
                key, place = where[name] = self._place(groups, width_for(int(part.charted.sum())))
                columns = seated((), part, key[0])
                groups[key] = _named(groups[key], place, name, columns or ())
                placed += 1
        keys = layout.keys if placed < MOST else ()
        groups = {key: self._sized(group, key[0]) for key, group in groups.items()}
        where = {
            name: (key, place)
            for key, group in groups.items()
            for place, name in enumerate(group.owners)
            if name
        }
        names = {key: group.names for key, group in groups.items()}
        rows, cells = self._wires.of(layout, where, names)
        return Batches(groups=groups, keys=keys, rows=rows, cells=cells)

    def _place(self, groups: dict[Key, Group], width: int) -> tuple[Key, int]:
        """Return a free place of a group, which has seen nothing once `_sized` has made it."""
        number = 0
        while (key := (width, number)) in groups:
            group = groups[key]
            if "" in group.owners or len(group.owners) < MOST:
                break
            number += 1
        if key not in groups:
            groups[key] = Group(
                owners=("",),
                names=((),),
                last=np.full(1, -1, dtype=np.int64),
                seen=self._plan(width).blank,
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
            self._plans[width] = _Plan(where, but_rare, units, blank)
        return self._plans[width]


def _freed(group: Group, tick: int) -> Group:
    """Return the group without deployments that were not heard of for long."""
    old = [bool(name) and group.last[at] < tick - _FORGET for at, name in enumerate(group.owners)]
    if not any(old):
        return group
    return replace(
        group,
        owners=tuple("" if gone else name for gone, name in zip(old, group.owners, strict=True)),
        names=tuple(() if gone else one for gone, one in zip(old, group.names, strict=True)),
    )


def _named(group: Group, place: int, owner: str, columns: tuple[Name, ...]) -> Group:
    owners, every = list(group.owners), list(group.names)
    owners[place], every[place] = owner, columns
    return replace(group, owners=tuple(owners), names=tuple(every))


STATE_CLASSES: Final = (Batches, Group, Seen, SeriesKey)
"""What `stats.arrays.from_bytes` must know to read the batches, beside the stack's classes."""
