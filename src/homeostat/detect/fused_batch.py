"""The stack over a fleet: deployments of like width side by side, one tick at a time.

See `detect.fused_groups` for places and growth. Values that are not charted are not looked at, and
what is missing is NaN: a column of padding is one that never says anything.

A batch holds at most `MOST` deployments, and at most as many get a place on one tick, because
models of relations are fitted when so many rows have been learnt: a fleet that starts on one tick
would be fitted on one tick. Who has no place yet is not scored yet.

Series come and go (`detect.fused_columns`), and a deployment that outgrows its row takes what is
known of its columns, and its onset, along: into a batch whose clock is that of the one it leaves,
since seasons are remembered by the batch's ticks.
"""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from homeostat.base.evidence import SeriesKey
from homeostat.base.ports import SignalsLike
from homeostat.detect import fused_rooms, stack, stack_incident
from homeostat.detect.fused_columns import put, reseated
from homeostat.detect.fused_groups import kept, seated, width_for
from homeostat.detect.fused_rooms import MOST, Group, Rooms, Seen, named
from homeostat.detect.fused_settled import News
from homeostat.detect.fused_wires import Key, Wires
from homeostat.detect.layout import Layout, Part

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
# A deployment that was not heard of for so many ticks gives its row up, as series do their slots.
_FORGET: Final = 600
# Levels that change for good are looked for on every fourth tick: they stay, and looking is dear.
_STRIDE: Final = 4
_NONE: Final = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batches:
    """All groups.

    Attributes:
        groups: By width and number.
        keys: The frame's series for which `rows` and `cells` were worked out; none while a
            deployment waits for its place.
        rows: Of each group, the charted rows of the frame.
        cells: Of each group, where their values go: place times width plus column.
        waiting: Charted rows of the frame whose deployment has a place and no column for them.
    """

    groups: dict[Key, Group]
    keys: tuple[SeriesKey, ...]
    rows: dict[Key, Ints]
    cells: dict[Key, Ints]
    waiting: Ints


class _Mover(NamedTuple):
    """A deployment that goes to a wider row, as its old one knew it.

    Attributes:
        key: Its new group.
        known: Columns whose past goes along.
        seen: What is remembered of it alone.
        incident: Its onset, `[1]`.
        heard: As in `Group`, `[column]`.
    """

    key: Key
    known: int
    seen: Seen
    incident: stack_incident.State
    heard: Ints


class Batch(Rooms):
    """See the module. Causal and pure; deployments are independent of each other.

    Args:
        config: Of the stack.
    """

    def __init__(self, config: stack.StackConfig) -> None:
        super().__init__(config)
        self._wires = Wires()

    def init(self) -> Batches:
        """Return no groups."""
        return Batches(groups={}, keys=(), rows={}, cells={}, waiting=_NONE)

    def step(
        self,
        state: Batches,
        signals: SignalsLike,
        layout: Layout,
        learn: frozenset[str],
        renew: frozenset[str],
    ) -> tuple[Batches, dict[Key, stack.Said], tuple[News, ...]]:
        """Judge one tick, then learn from it; see `fused.Fused.step`.

        Args:
            state: From `init` or the last step.
            signals: The tick's aligned series.
            layout: Their rows.
            learn: Deployments from which may be learnt.
            renew: Deployments whose levels and relations begin anew before the tick.

        Returns:
            The next state, what each group's stack says, and levels that have settled on this tick.
        """
        if layout.keys is not state.keys:
            same = layout.keys == state.keys  # as after a restart
            state = (
                replace(state, keys=layout.keys) if same else self._seated(state, layout, signals)
            )
        elif state.waiting.size and np.isfinite(signals.values[state.waiting]).any():
            state = self._seated(state, layout, signals)
        groups, out, news = {}, {}, []
        for key, group in state.groups.items():
            groups[key], out[key], settled = self._group(
                group, key[0], state.rows[key], state.cells[key], signals, learn, renew
            )
            news += settled
        return replace(state, groups=groups), out, tuple(news)

    def _group(
        self,
        group: Group,
        width: int,
        rows: Ints,
        cells: Ints,
        signals: SignalsLike,
        learn: frozenset[str],
        renew: frozenset[str],
    ) -> tuple[Group, stack.Said, list[News]]:
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
        last, heard = group.last.copy(), group.heard.copy()
        last[cells // width] = signals.tick
        heard[np.isfinite(values).reshape(count, width)] = signals.tick
        group = replace(group, last=last, heard=heard, seen=group.seen._replace(stack=told))
        if signals.tick % _STRIDE:
            return group, said, []
        changes, _ = self.changes.step(np, group.seen.changes, values, np.repeat(allowed, width))
        group = replace(group, seen=group.seen._replace(changes=changes))
        settled = changes.restart.reshape(count, width)
        if not settled.any():
            return group, said, []
        news = _news(group, settled, changes.ago.reshape(count, width))
        told = settled.any(axis=1) & group.incident.active
        # The level has changed for good, and it was told: what is usual begins anew.
        return (self._renewed(group, width, told, levels=True) if told.any() else group), said, news

    def _seated(self, state: Batches, layout: Layout, signals: SignalsLike) -> Batches:
        """Return the batches with a place for the deployments of the frame."""
        groups = {key: _freed(group, signals.tick) for key, group in state.groups.items()}
        where = _where(groups)
        movers: dict[str, _Mover] = {}
        placed = 0
        for name, part in layout.parts.items():
            at, room = where.get(name), placed < MOST
            if at is not None:
                row = layout.first[name]
                values = signals.values[row : row + len(part.keys)]
                if self._at_home(groups, at, (name, part), values, signals.tick) or not room:
                    continue
                movers[name] = self._moved(groups, at, name, part, values)
                placed += 1
            elif room and part.charted.any():
                key, place = self._place(groups, width_for(int(part.charted.sum())))
                columns = seated((), part, key[0])
                groups[key] = named(groups[key], place, name, columns or ())
                placed += 1
        keys = layout.keys if placed < MOST else ()
        groups = {key: self._sized(group, key[0]) for key, group in groups.items()}
        for name, mover in movers.items():
            groups[mover.key] = self._arrived(groups[mover.key], name, mover)
        groups = {
            key: replace(group, heard=np.where(group.heard < 0, signals.tick, group.heard))
            for key, group in groups.items()
        }
        names = {key: group.names for key, group in groups.items()}
        rows, cells = self._wires.of(layout, _where(groups), names)
        waiting = self._wires.waiting(layout)
        return Batches(groups=groups, keys=keys, rows=rows, cells=cells, waiting=waiting)

    def _at_home(
        self,
        groups: dict[Key, Group],
        at: tuple[Key, int],
        whose: tuple[str, Part],
        values: Floats,
        tick: int,
    ) -> bool:
        """Give a deployment's series the columns of its row; return False if it needs a wider one.

        A series that is heard waits for its column while enough others are silent that may be gone.
        """
        (key, place), (name, part) = at, whose
        group = groups[key]
        known = group.names[place]
        if self._wires.all_seated(name, part, known):
            return True
        columns = seated(known, part, key[0])
        if columns is not None:
            groups[key] = named(group, place, name, columns)
            return True
        idle = tick - group.heard[place, : len(known)]
        seats = reseated(known, part, key[0], np.isfinite(values), idle)
        if seats.anew:
            group = self._anew(group, key[0], place, seats.anew)
        groups[key] = named(group, place, name, seats.names)
        return len(seats.lacking) <= seats.leaving

    def _anew(self, group: Group, width: int, place: int, columns: tuple[int, ...]) -> Group:
        """Return the group with some columns of a place as if new."""
        plan, count, chosen = self._plan(width), len(group.last), np.array(columns)
        seen = put(plan.where, plan.units, group.seen, plan.blank, (place, count), chosen)
        which = np.zeros((count, width), dtype=bool)
        which[place, chosen] = True
        return replace(
            group,
            heard=np.where(which, -1, group.heard),
            seen=seen._replace(stack=self.stack.without(seen.stack, which)),
        )

    def _moved(
        self, groups: dict[Key, Group], at: tuple[Key, int], name: str, part: Part, values: Floats
    ) -> _Mover:
        """Take a deployment out of its row and give it a wider one that is yet to be made."""
        key, place = at
        group, plan = groups[key], self._plan(key[0])
        known, count = group.names[place], len(group.last)
        alone = kept(plan.where, plan.units, group.seen, [place], count)
        incident = stack_incident.State(*(part[[place]] for part in group.incident))
        heard = group.heard[place, : len(known)]
        idle = np.zeros(len(known), dtype=np.int64)
        lacking = reseated(known, part, key[0], np.isfinite(values), idle).lacking
        groups[key] = named(group, place, "", ())
        wide, there = self._place(groups, width_for(len(known) + len(lacking)), alone)
        groups[wide] = named(groups[wide], there, name, (*known, *lacking))
        return _Mover(wide, len(known), alone, incident, heard)

    def _arrived(self, group: Group, name: str, mover: _Mover) -> Group:
        """Return the group with what is known of a deployment that came from a narrower row."""
        place, count, width = group.owners.index(name), len(group.last), mover.key[0]
        plan, columns = self._plan(width), np.arange(mover.known)
        source = mover.seen._replace(stack=self.stack.widened(mover.seen.stack, width))
        at = (place, count)
        seen = put(plan.where, plan.units, group.seen, source, at, columns, whole=True)
        heard = group.heard.copy()
        heard[place, : mover.known] = mover.heard
        which = np.arange(count) == place
        active, calm = group.incident
        return replace(
            group,
            heard=heard,
            seen=seen,
            incident=stack_incident.State(
                np.where(which, mover.incident.active, active),
                np.where(which, mover.incident.calm, calm),
            ),
        )


def _news(group: Group, settled: Bools, ago: Floats) -> list[News]:
    """Return the series of the columns that have settled, in the order of their places."""
    return [
        News(
            key=SeriesKey(
                deployment=group.owners[place],
                subject=group.names[place][column][0],
                signal=group.names[place][column][1],
            ),
            ticks=_STRIDE * (int(ago[place, column]) + 1),
        )
        for place, column in np.argwhere(settled).tolist()
        if column < len(group.names[place])  # padding has no name
    ]


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


def _where(groups: dict[Key, Group]) -> dict[str, tuple[Key, int]]:
    return {
        name: (key, place)
        for key, group in groups.items()
        for place, name in enumerate(group.owners)
        if name
    }


STATE_CLASSES: Final = (Batches, *fused_rooms.STATE_CLASSES)
"""What `stats.arrays.from_bytes` must know to read the batches, beside the stack's classes."""
