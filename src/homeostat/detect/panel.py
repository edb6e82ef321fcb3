"""All detectors over all series of the fleet, once per tick: claims, bands, and what is usual.

Keeps the detectors' states aligned with the series, tells each where it may learn, and holds the
short history that forecasts and guarded means read. Verdicts on single series are in `verdicts`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from homeostat.base import names
from homeostat.base.evidence import SeriesKey
from homeostat.base.ports import Detector, SignalsLike
from homeostat.base.world import ReplicaState, Snapshot
from homeostat.detect import settling, usual
from homeostat.detect.layout import Layout, Part, layout
from homeostat.detect.settling import Levels
from homeostat.detect.slots import Slots, assign, carried, no_slots, placed, seen_again
from homeostat.detect.usual import Device, Pairs, Usual

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

HISTORY: Final = 32
# Memory given back, as a share of the limit: page accounting alone moves by less.
DROP: Final = 0.02
_FORGET: Final = 600
_FIRST_SLOTS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PanelState:
    """What the panel remembers, one entry per slot unless said otherwise.

    Attributes:
        tick: The last step's tick, -1 before the first.
        slots: Which series is where.
        layout: The rows of the last tick's frame.
        where: The slot of each of them. `[row]`
        detectors: Each detector's state, by name.
        history: The last values, NaN where unknown. `[column, slot]`
        fallen: Highest value that each series' process has come down from by itself.
        usual: Guarded means.
        levels: What is held against taking a new level for usual.
        calm: Ticks in a row on which each deployment may be learnt from. By deployment.
        pairs: Batch sizes and device times. By deployment.
        incarnation: Of each replica. By (deployment, subject).
    """

    tick: int
    slots: Slots
    layout: Layout
    where: Ints
    detectors: dict[str, Any]
    history: Floats
    fallen: Floats
    usual: Usual
    levels: Levels
    calm: dict[str, int] = field(default_factory=dict)
    pairs: dict[str, Pairs] = field(default_factory=dict)
    incarnation: dict[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Claims:
    """What the detectors say, one entry per row of the frame.

    Attributes:
        scores: -log10 p by detector, NaN for unknown. `[row]` each.
        alarms: Alarms by detector. `[row]` each.
        low: Lower edge of the first band known. `[row]`
        high: Upper edge. `[row]`
        usual: Guarded mean, NaN before there is one. `[row]`
        learnt: Values behind it. `[row]`
        history: The last values, oldest first, this tick's included. `[remembered, column]`
        fallen: Highest value that the series' process has come down from. `[row]`
        devices: Device time against batch size, by deployment.
        layout: The rows of the frame.
    """

    scores: dict[str, Floats]
    alarms: dict[str, Bools]
    low: Floats
    high: Floats
    usual: Floats
    learnt: Floats
    history: Floats
    fallen: Floats
    devices: dict[str, Device]
    layout: Layout


class Panel:
    """The detectors as one part; see `loop.sense.PanelPart`."""

    def __init__(self, detectors: Mapping[str, Detector[Any]]) -> None:
        self._detectors = dict(sorted(detectors.items()))

    def init(self) -> PanelState:
        """Return the state before any series."""
        size = _FIRST_SLOTS
        return PanelState(
            tick=-1,
            slots=no_slots(size),
            layout=layout(()),
            where=np.zeros(0, dtype=np.int64),
            detectors={name: part.init(np, size) for name, part in self._detectors.items()},
            history=np.full((HISTORY, size), np.nan),
            fallen=np.full(size, np.nan),
            usual=Usual(mean=np.full(size, np.nan), count=np.zeros(size)),
            levels=settling.init(size),
        )

    def step(
        self, state: PanelState, signals: SignalsLike, learn: frozenset[str]
    ) -> tuple[PanelState, Claims]:
        """Judge one tick, then learn from it where that is allowed.

        Args:
            state: From `init` or the last step.
            signals: The tick's aligned series.
            learn: Deployments in which nothing is suspected and nothing of ours is in flight.
        """
        state = self._aligned(state, signals)
        state, reborn = _reborn(state, signals.world)
        state = _forget_processes(state, reborn)
        rows, where, size = state.layout, state.where, len(state.slots.keys)
        values = np.full(size, np.nan)
        told = _of_servers(rows, signals)
        values[where] = told
        calm = _calm(state.calm, rows.deployments, learn)
        ticks = np.array([calm[name] for name in rows.deployments], dtype=np.int64)[rows.owner]
        ready = np.zeros(size, dtype=bool)
        ready[where] = ticks > 0
        seen = np.full(size, np.nan)
        seen[where] = np.where(rows.charted, signals.values, np.nan)
        outputs, detectors, alarm = {}, {}, np.zeros(size, dtype=bool)
        for name, part in self._detectors.items():
            detectors[name], outputs[name] = part.step(np, state.detectors[name], seen, ready)
            alarm |= np.asarray(outputs[name].alarm, dtype=bool)
        levels = settling.heard(state.levels, alarm, seen, state.usual.mean, state.history)
        claims = _claims(state, outputs, told, signals.tick)
        allowed = np.zeros(size, dtype=bool)
        allowed[where] = ticks > usual.DELAY
        state = replace(state, detectors=detectors, calm=calm, levels=levels)
        return _remember(state, values, allowed, signals.tick), claims

    def _aligned(self, state: PanelState, signals: SignalsLike) -> PanelState:
        if signals.keys == state.layout.keys:
            return replace(state, slots=seen_again(state.slots, state.where, signals.tick))
        before, rows = len(state.slots.keys), layout(signals.keys, state.layout)
        known = rows.taken_over(state.layout, state.where)
        slots, where, fresh = assign(state.slots, rows.keys, signals.tick, _FORGET, known)
        state = replace(state, slots=slots, layout=rows, where=where)
        if not fresh.any():
            return state
        size = len(slots.keys)
        empty = (
            np.full((HISTORY, size), np.nan),
            np.full(size, np.nan),
            Usual(mean=np.full(size, np.nan), count=np.zeros(size)),
            settling.init(size),
        )
        history, fallen, means, levels = carried(
            (state.history, state.fallen, state.usual, state.levels), empty, fresh, before
        )
        detectors = {
            name: carried(state.detectors[name], part.init(np, size), fresh, before)
            for name, part in self._detectors.items()
        }
        return replace(
            state,
            detectors=detectors,
            history=history,
            fallen=fallen,
            usual=means,
            levels=levels,
        )

    def settled(
        self,
        state: PanelState,
        keys: Sequence[SeriesKey],
        unsure: frozenset[str],
        told: frozenset[str],
    ) -> tuple[PanelState, tuple[SeriesKey, ...]]:
        """Take note of how the tick was judged; let levels that settled become usual, if they may.

        Args:
            state: From this tick's step.
            keys: Series whose level has changed for good, all being well throughout.
            unsure: Deployments that were not known to be well on this tick.
            told: Deployments of which an onset lasts.

        Returns:
            The next state, and the series whose level is usual from now on.
        """
        if unsure or told:
            both = _of(state, unsure), _of(state, told)
            state = replace(state, levels=settling.judged(state.levels, *both))
        known = [state.slots.index[key] for key in keys if key in state.slots.index]
        if not known:
            return state, ()
        slots = np.array(known, dtype=np.int64)
        slots = settling.permitted(state.levels, slots, _past(state, slots), state.tick)
        levels = settling.begun(state.levels, slots, _past(state, slots), state.tick)
        return self._begun(replace(state, levels=levels), slots), _keys(state, slots)

    def renewed(
        self, state: PanelState, deployments: frozenset[str]
    ) -> tuple[PanelState, tuple[SeriesKey, ...]]:
        """Return the state in which what some deployments do now is usual: a person says so.

        Args:
            state: From `init` or the last step.
            deployments: Whose; their rows that are off begin anew.

        Returns:
            The next state, and the series whose level is usual from now on.
        """
        off = _of(state, deployments) & (state.levels.quiet < settling.QUIET)
        slots = np.flatnonzero(off)
        levels = settling.cleared(state.levels, slots)
        return self._begun(replace(state, levels=levels), slots), _keys(state, slots)

    def _begun(self, state: PanelState, slots: Ints) -> PanelState:
        """Return the state in which some slots know of nothing but their last values.

        Those are of the new level, so that charts judge on and nothing is unknown meanwhile.
        """
        if not slots.size:
            return state
        past, size = _past(state, slots), len(state.slots.keys)
        detectors = {}
        for name, part in self._detectors.items():
            fresh = part.init(np, len(slots))
            for values in past:
                fresh, _ = part.step(np, fresh, values, np.ones(len(slots), dtype=bool))
            detectors[name] = placed(state.detectors[name], fresh, slots, size)
        means = usual.begun(state.usual, slots, past)
        return replace(state, detectors=detectors, usual=means)


def _reborn(
    state: PanelState, world: Sequence[Snapshot]
) -> tuple[PanelState, frozenset[tuple[str, str]]]:
    """Return which replicas run another process than on the last tick."""
    live = {
        (snapshot.deployment, names.replica(replica.name)): replica.incarnation
        for snapshot in world
        for replica in snapshot.replicas
    }
    known = state.incarnation
    reborn = frozenset(subject for subject, now in live.items() if known.get(subject, now) != now)
    return replace(state, incarnation=known | live), reborn


def _forget_processes(state: PanelState, reborn: frozenset[tuple[str, str]]) -> PanelState:
    """Drop the history of replaced processes: their memory is not the new one's."""
    slots = (
        [slot for key, slot in state.slots.index.items() if (key.deployment, key.subject) in reborn]
        if reborn
        else []
    )
    if not slots:
        return state
    history, fallen = state.history.copy(), state.fallen.copy()
    history[:, slots], fallen[slots] = np.nan, np.nan
    return replace(state, history=history, fallen=fallen)


def _calm(before: dict[str, int], present: Sequence[str], learn: frozenset[str]) -> dict[str, int]:
    return {name: before.get(name, usual.DELAY) + 1 if name in learn else 0 for name in present}


def _of_servers(rows: Layout, signals: SignalsLike) -> Floats:
    """Return the tick's values, without the device memory of who is not known to serve.

    What a process takes while it starts is no growth: models are loaded, and many servers set aside
    most of a device. Neither a trend nor what is usual is learnt from it.
    """
    values: Floats = signals.values
    remembered = rows.remembered.tolist()
    which = [row for row in remembered if rows.signals[row] == names.DEVICE_MEMORY_SHARE]
    if not which:
        return values
    serving = {
        (snapshot.deployment, names.replica(replica.name))
        for snapshot in signals.world
        for replica in snapshot.replicas
        if replica.state is ReplicaState.READY
    }
    idle = [r for r in which if (rows.keys[r].deployment, rows.subjects[r]) not in serving]
    out = values.copy()
    out[idle] = np.nan
    return out


def _claims(state: PanelState, outputs: dict[str, Any], values: Floats, tick: int) -> Claims:
    where = state.where
    low = high = np.full(len(where), np.nan)
    for output in outputs.values():
        low = np.where(np.isnan(low), np.asarray(output.low, dtype=np.float64)[where], low)
        high = np.where(np.isnan(high), np.asarray(output.high, dtype=np.float64)[where], high)
    columns = (tick - np.arange(HISTORY)[::-1]) % HISTORY
    remembered = state.layout.remembered
    history = state.history[columns[:, None], where[remembered]].T.copy()
    history[:, -1] = values[remembered]
    return Claims(
        scores={
            name: np.asarray(output.neg_log10_p, dtype=np.float64)[where]
            for name, output in outputs.items()
        },
        alarms={
            name: np.asarray(output.alarm, dtype=bool)[where] for name, output in outputs.items()
        },
        low=np.maximum(low, 0.0) + 0.0,  # no signal of ours is ever negative, nor minus zero
        high=high + 0.0,
        usual=state.usual.mean[where],
        learnt=state.usual.count[where],
        history=history,
        fallen=state.fallen[where],
        devices={
            name: found for name, pairs in state.pairs.items() if (found := usual.device(pairs))
        },
        layout=state.layout,
    )


def _of(state: PanelState, deployments: frozenset[str]) -> Bools:
    """Return the slots of the last frame's rows of some deployments, `[slot]`."""
    rows, out = state.layout, np.zeros(len(state.slots.keys), dtype=bool)
    whose = np.array([name in deployments for name in rows.deployments], dtype=bool)
    out[state.where] = whose[rows.owner]
    return out


def _keys(state: PanelState, slots: Ints) -> tuple[SeriesKey, ...]:
    """Return whose slots some are."""
    return tuple(key for slot in slots.tolist() if (key := state.slots.keys[slot]) is not None)


def _past(state: PanelState, slots: Ints) -> Floats:
    """Return the last values of some slots, oldest first, `[column, slots]`."""
    columns = (state.tick - np.arange(HISTORY)[::-1]) % HISTORY
    out: Floats = state.history[columns[:, None], slots]
    return out


def _remember(state: PanelState, values: Floats, allowed: Bools, tick: int) -> PanelState:
    """Return the state with one more tick of values, learnt late where that is allowed."""
    history = state.history.copy()
    passed = max(min(tick - state.tick, HISTORY), 1) if state.tick >= 0 else HISTORY
    history[(tick - np.arange(passed)) % HISTORY] = np.nan  # ticks that never came are gaps
    history[tick % HISTORY] = values
    before = history[(tick - 1) % HISTORY]
    delayed = history[(tick - usual.DELAY) % HISTORY]
    pairs = dict(state.pairs)
    for name, part in state.layout.parts.items():
        if len(part.sizes) and state.calm[name] > usual.DELAY:
            own = delayed[state.where[state.layout.first[name] :]]
            so_far = pairs.get(name, Pairs())
            pairs[name] = usual.learn_pairs(so_far, own[part.sizes], own[part.times])
    return replace(
        state,
        tick=tick,
        history=history,
        fallen=np.where(values < before - DROP, np.fmax(state.fallen, before), state.fallen),
        usual=usual.learn(state.usual, delayed, allowed),
        pairs=pairs,
    )


STATE_CLASSES: Final = (PanelState, Slots, Layout, Part, Usual, Levels, Pairs, SeriesKey)
"""What `stats.arrays.from_bytes` must know to read this part's state, its detectors' apart."""
