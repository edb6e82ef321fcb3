"""The fleet's tests in the loop: every charted series of every deployment, at one false share.

`fleet_told` says of a fleet that stays as it is which of its entities are told of, so that of all
that is told at most a share is false. Here deployments are the entities, their charted series come
and go, and a value that cannot be believed is none. A series that has gone keeps its past for
`FORGET` ticks; a deployment is gone with its last series. While an action of ours is in flight a
deployment is not tested: what moves is our own doing.

Where there is a budget of false incidents each test has its share of that besides
(`stats.fdr_budget`): the fleet may tell falsely as often as the budget says, and on top of it of
the share of what it tells. O(1) a series and tick. Nothing is said of what has not been seen for
`warm` ticks, or by a fleet that is too young.

Not here: what people are told because of it (`loop.telling`), causes, and what is no chart
(histograms, probes, objectives, memory).
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from homeostat.base.evidence import Quality, SeriesKey
from homeostat.base.fleetwide import Fleetwide
from homeostat.base.ports import SignalsLike
from homeostat.base.units import TimeNs
from homeostat.detect import fleet_blocks, fleet_chain, fleet_told, fused, stack_incident
from homeostat.detect.layout import Layout
from homeostat.stats import conformal, edetector_blocks, fdr, fdr_past, whiten
from homeostat.stats.fdr_budget import Budget

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

WARM: Final = 800
"""Known ticks of a series before it is tested, as in the fleet gate; 3 h 20 min at 15 s.

After 480 its table of past errors is not full, and nothing was found in log-normal noise.
"""
FORGET: Final = 600
"""Ticks after which a series that has gone is forgotten, as in the panel."""
_DAY_S: Final = 86_400.0


def _told() -> fleet_told.Config:
    """Return the settings of the tests in the loop.

    Seasons are not looked for: it takes three times as long, and on a made-up fleet of 320 series
    with a season and levels that jump nothing was found then. What is false stays as promised.
    """
    return fleet_told.Config(chain=fleet_chain.Config(seasons=None), warm=WARM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        told: Of the tests; its rate is the share of what is told that may be false.
        false_incidents: What may be false besides, per 1,000 signals and day, above 0; None: none.
        tick_s: How long a tick is, seconds.
    """

    told: fleet_told.Config = field(default_factory=_told)
    false_incidents: float | None = None
    tick_s: float = 15.0

    def __post_init__(self) -> None:
        """Refuse a budget that no level meets.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        if not 0.0 < self.tick_s < float("inf"):
            raise ValueError(f"fleetwide: tick_s must be above 0 and finite, got {self.tick_s}")
        self.each  # noqa: B018 - a budget that cannot be kept raises here

    @property
    def each(self) -> float:
        """The level that each series' test has from the budget, 0 without one."""
        if self.false_incidents is None:
            return 0.0
        per_day = max(_DAY_S / (self.tick_s * self.told.block), 1.0)
        return Budget(false_incidents=self.false_incidents, tests_per_day=per_day).level


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FleetwideState:
    """What is remembered.

    Attributes:
        frame: The frame's series for which `rows` and `where` were worked out.
        rows: Its charted rows.
        where: Of each of them, its place among the fleet's series.
        series: The fleet's, sorted by deployment, subject and signal.
        last: Tick of the last frame that had each. `[series]`
        fleet: Of the tests; None while there is no series.
        tested: Series that were tested in the last block. Bool `[series]`
        off: Series that are told of. Bool `[series]`
        since: When the fleet first told of a deployment, of which it still tells.
    """

    frame: tuple[SeriesKey, ...]
    rows: Ints
    where: Ints
    series: tuple[SeriesKey, ...]
    last: Ints
    fleet: fleet_told.FleetState | None
    tested: Bools
    off: Bools
    since: dict[str, TimeNs]


class Seen(NamedTuple):
    """One deployment on one tick.

    Attributes:
        said: What is told of it.
        quiet: Series that were tested and that the fleet does not tell of, as (subject, signal),
            where there is a budget and the fleet tells of none of the deployment's.
    """

    said: Fleetwide
    quiet: tuple[tuple[str, str], ...]


class FleetTests:
    """The tests as one part; see `loop.sense_parts.FleetwidePart`. Causal and pure.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = Config() if config is None else config
        self._last: fleet_told.Fleet | None = None

    def init(self) -> FleetwideState:
        """Return the state before any series."""
        none = np.zeros(0, dtype=np.int64)
        return FleetwideState(
            frame=(), rows=none, where=none, series=(), last=none, fleet=None,
            tested=none > 0, off=none > 0, since={},
        )  # fmt: skip

    def step(
        self, state: FleetwideState, signals: SignalsLike, layout: Layout, busy: Collection[str]
    ) -> tuple[FleetwideState, dict[str, Seen]]:
        """Test one tick of the fleet.

        Args:
            state: From `init` or the last step.
            signals: The tick's aligned series.
            layout: Their rows.
            busy: Deployments with an action of ours in flight.

        Returns:
            The next state, and what is said of each deployment that has a charted series.
        """
        state = self._seated(state, layout, signals.tick)
        if state.fleet is None:
            return state, {}
        values = np.full(len(state.series), np.nan)
        values[state.where] = _believed(signals, layout, state.rows, busy)
        names, columns = _owners(state.series)
        after, told = self._fleet(columns).step(state.fleet, values)
        of = np.repeat(np.arange(len(names)), columns)
        tested, off = state.tested, state.off & told.active[of]
        if told.block is not None:
            tested = np.isfinite(told.block)
            off = (off | told.unusual) & told.active[of]
        since = {
            name: state.since.get(name, signals.at)
            for name, active in zip(names, told.active.tolist(), strict=True)
            if active
        }
        state = replace(state, fleet=after, tested=tested, off=off, since=since)
        return state, self._said(state, names, columns, told)

    def _seated(self, state: FleetwideState, layout: Layout, tick: int) -> FleetwideState:
        """Return the state with a place for each charted series of the frame."""
        if layout.keys is state.frame or layout.keys == state.frame:
            if not state.where.size:
                return state
            last = state.last.copy()
            last[state.where] = tick
            return replace(state, last=last)
        rows = np.flatnonzero(layout.charted)
        now = [layout.keys[row] for row in rows.tolist()]
        before = dict(zip(state.series, range(len(state.series)), strict=True))
        kept = [k for k, at in before.items() if tick - int(state.last[at]) <= FORGET]
        series = tuple(sorted(dict.fromkeys([*kept, *now]), key=_order))
        place = {key: at for at, key in enumerate(series)}
        old = np.array([before.get(key, -1) for key in series], dtype=np.int64)
        where = np.array([place[key] for key in now], dtype=np.int64)
        last = np.where(old >= 0, state.last[old] if state.last.size else -1, -1)
        last[where] = tick
        there = old >= 0
        tested, off = np.zeros(len(series), dtype=bool), np.zeros(len(series), dtype=bool)
        tested[there], off[there] = state.tested[old[there]], state.off[old[there]]
        return replace(
            state,
            frame=layout.keys,
            rows=rows,
            where=where,
            series=series,
            last=last,
            fleet=self._moved(state, series, old),
            tested=tested,
            off=off,
        )

    def _moved(
        self, state: FleetwideState, series: tuple[SeriesKey, ...], old: Ints
    ) -> fleet_told.FleetState | None:
        """Return the tests' state for other series."""
        if not series:
            return None
        names, columns = _owners(series)
        fleet = self._fleet(columns)
        if state.fleet is None:
            return fleet.init()
        before = {name: at for at, name in enumerate(_owners(state.series)[0])}
        entities = np.array([before.get(name, -1) for name in names], dtype=np.int64)
        return fleet.moved(state.fleet, old, entities)

    def _fleet(self, columns: tuple[int, ...]) -> fleet_told.Fleet:
        """Return the tests of deployments of so many series each; the last ones are at hand."""
        if self._last is None or self._last.columns != columns:
            self._last = fleet_told.Fleet(columns, self.config.told, each=self.config.each)
        return self._last

    def _said(
        self,
        state: FleetwideState,
        names: tuple[str, ...],
        columns: tuple[int, ...],
        told: fleet_told.Told,
    ) -> dict[str, Seen]:
        evidence, active = told.neg_log10_p.tolist(), told.active.tolist()
        tested, off = state.tested.tolist(), state.off.tolist()
        out, first = {}, 0
        for name, count, found, lasts in zip(names, columns, evidence, active, strict=True):
            own = range(first, first + count)
            first += count
            known = found == found  # noqa: PLR0124 - NaN is not itself
            quiet = known and not lasts and self.config.false_incidents is not None
            said = Fleetwide(
                told=True if lasts else (False if known else None),
                neg_log10_p=found if known else None,
                since=state.since.get(name),
                series=tuple(_name(state.series[at]) for at in own if off[at]),
                tested=sum(tested[at] for at in own),
                share=self.config.told.rate,
                false_incidents=self.config.false_incidents,
            )
            still = (at for at in own if tested[at]) if quiet else ()
            out[name] = Seen(said, tuple(_name(state.series[at]) for at in still))
        return out


def _believed(
    signals: SignalsLike, layout: Layout, rows: Ints, busy: Collection[str]
) -> npt.NDArray[np.float64]:
    """Return the values of charted rows, NaN where nothing may be believed or we are at work."""
    values = np.array(signals.values[rows], dtype=np.float64)
    good = [signals.quality[row] is Quality.GOOD for row in rows.tolist()]
    values[~np.array(good, dtype=bool)] = np.nan
    if busy:
        mine = np.array([name in busy for name in layout.deployments], dtype=bool)
        values[mine[layout.owner[rows]]] = np.nan
    return values


def _owners(series: tuple[SeriesKey, ...]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the deployments in order, and how many series each has."""
    groups = [(name, len(list(own))) for name, own in groupby(one.deployment for one in series)]
    return tuple(name for name, _ in groups), tuple(count for _, count in groups)


def _order(key: SeriesKey) -> tuple[str, str, str]:
    return key.deployment, key.subject, key.signal


def _name(key: SeriesKey) -> tuple[str, str]:
    return key.subject, key.signal


def budgeted(
    false_incidents: float | None, share: float | None, *, tick_s: float
) -> tuple[fused.Config, Config | None]:
    """Return the settings of the score and of the fleet's tests; None where those do not run.

    A budget is for both, half of it each: what the score opens, and what rules open from charts.

    Args:
        false_incidents: The budget, per 1,000 signals and day; None for none.
        share: Of what the fleet tells, the share that may be false; None: nothing is tested.
        tick_s: The shortest interval, seconds.

    Raises:
        ValueError: No level meets the budget.
    """
    if share is None:
        return fused.Config(false_incidents=false_incidents, tick_s=tick_s), None
    half = None if false_incidents is None else false_incidents / 2.0
    tests = Config(told=replace(_told(), rate=share), false_incidents=half, tick_s=tick_s)
    return fused.Config(false_incidents=half, tick_s=tick_s), tests


STATE_CLASSES: Final = (
    FleetwideState,
    SeriesKey,
    fleet_told.FleetState,
    fleet_chain.ChainState,
    fleet_blocks.BlocksState,
    stack_incident.State,
    whiten.Model,
    conformal.Table,
    edetector_blocks.Block,
    fdr.Balance,
    fdr_past.Past,
)
"""What `stats.arrays.from_bytes` must know to read this part's state."""
