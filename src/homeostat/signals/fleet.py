"""The fleet's signals, tick by tick: reports and the world in, one aligned frame out.

Joins what sources said with what read-back proves (is the process there, how full is its memory)
and what rounds of probes add up to (consecutive failures). Judges nothing but belief.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from homeostat.base import names, raw
from homeostat.base.columns import Catalogue, Columns
from homeostat.base.evidence import Quality, SeriesKey, Signals, SourceReport
from homeostat.base.many import many
from homeostat.base.policy import Managed
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Replica, ReplicaState, Snapshot
from homeostat.signals import rounds, table
from homeostat.signals.arms import increments
from homeostat.signals.derive import Derived, Limits, derive
from homeostat.signals.frame import Frame, Histogram, PageState
from homeostat.signals.fresh import fresh
from homeostat.signals.order import Order, Rows, merged, ordered, unsorted
from homeostat.signals.pages import AHEAD_NS
from homeostat.signals.plan import COLUMN, Plan, plan, series
from homeostat.signals.probes import ProbeRun, probe_failures
from homeostat.signals.quality import FEW, GOOD, MISSING, QUALITIES, STALE, Codes, Floats, Ints
from homeostat.signals.table import RawTable

# For series of a deployment that nobody manages (any more).
_FRESH_NS: Final = 2 * SECOND
_LEAST: Final = 20.0
# Whoever counts these serves requests.
_SERVING: Final = [COLUMN[raw.REQUESTS_OK], COLUMN[raw.REQUESTS_ARRIVED]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings of the signals room.

    Attributes:
        windows: Windows to choose from in ticks, shortest first: a series uses the shortest that
            holds enough events.
        forget_ticks: A series unseen for so long is dropped.
        most_series: Most raw series remembered; about 300 bytes each.
    """

    windows: tuple[int, ...] = (1, 2, 5, 10, 20)
    forget_ticks: int = 600
    most_series: int = 262_144

    def __post_init__(self) -> None:
        """Refuse windows that are empty or out of order.

        Raises:
            ValueError: Names the setting and its value.
        """
        if not self.windows or sorted(set(self.windows)) != list(self.windows):
            raise ValueError(f"signals: windows must rise, got {self.windows}")
        if self.windows[0] < 1 or self.forget_ticks <= self.windows[-1] or self.most_series < 1:
            raise ValueError(f"signals: windows, forget_ticks or most_series too small: {self}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FleetState:
    """What the signals room remembers between two ticks.

    Attributes:
        table: The raw series.
        plan: Index arrays of its layout.
        probes: Probe runs by deployment and subject.
        order: In which order the last frame's series are.
    """

    table: RawTable
    plan: Plan
    probes: dict[tuple[str, str], ProbeRun]
    order: Order


class Fleet:
    """The signals room as one part; see `loop.sense.SignalsPart`."""

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()

    def init(self) -> FleetState:
        """Return the state of a fleet that nothing was heard of."""
        raw_table = table.empty(self.config.windows[-1])
        return FleetState(table=raw_table, plan=plan(raw_table), probes={}, order=unsorted())

    def step(
        self,
        state: FleetState,
        reports: Sequence[SourceReport | Columns[Any]],
        world: Sequence[Snapshot],
        managed: Sequence[Managed],
        now: TimeNs,
        tick: int,
    ) -> tuple[FleetState, Frame]:
        """Return the next state and this tick's frame.

        Args:
            state: From `init` or the last step; tick numbers only rise.
            reports: This tick's rounds, at most one per source, in any order.
            world: The deployments as last read back.
            managed: The deployments' configuration.
            now: The tick's time.
            tick: The tick's number.
        """
        config = self.config
        raw_table = rounds.take(
            state.table,
            reports,
            world,
            now,
            tick,
            forget_ticks=config.forget_ticks,
            most_series=config.most_series,
        )
        layout = (
            state.plan if state.plan.layout == raw_table.layout else plan(raw_table, state.plan)
        )
        limits = _limits(layout, managed)
        found = derive(raw_table, layout, limits, now, tick, config.windows)
        probes, failures = probe_failures(state.probes, raw_table, layout, found, world)
        order, all_rows = merged(
            state.order, layout, found, failures, _of_world(world, managed, now)
        )
        frame = Frame(
            signals=_signals(order, all_rows, managed, world, now, tick),
            resolution=ordered(order, found.resolution, 0.0),
            histograms=tuple(_histograms(layout, found)),
            invalid=dict(zip(layout.entities, found.invalid.tolist(), strict=True)),
            pages=tuple(_pages(raw_table, layout, managed, now)),
            increments=increments(raw_table, layout, managed, tick, world),
            fresh=fresh(raw_table, layout, tick),
        )
        return FleetState(table=raw_table, plan=layout, probes=probes, order=order), frame


def _limits(layout: Plan, managed: Sequence[Managed]) -> Limits:
    by_name = {entry.name: entry for entry in managed}
    fresh, least = [], []
    for deployment, _ in layout.entities:
        entry = by_name.get(deployment)
        fresh.append(_FRESH_NS if entry is None else fresh_ns(entry))
        least.append(_LEAST if entry is None else entry.guard.min_samples)
    return Limits(fresh_ns=np.array(fresh, dtype=np.int64), least=np.array(least, dtype=np.float64))


def fresh_ns(managed: Managed) -> int:
    """Return the oldest age at which evidence of a deployment is believed, in nanoseconds."""
    return round(managed.guard.fresh_scrapes * managed.scrape_ns)


def _of_world(world: Sequence[Snapshot], managed: Sequence[Managed], now: TimeNs) -> Rows:
    """Return what read-back alone proves of each replica."""
    fresh = {entry.name: fresh_ns(entry) for entry in managed}
    rows = Rows(keys=[], value=[], age_ns=[], samples=[], code=[])
    for snapshot in world:
        age = now - snapshot.observed_at
        old = age > fresh.get(snapshot.deployment, _FRESH_NS) or age < -AHEAD_NS
        known, unknown = (STALE, STALE) if old else (GOOD, MISSING)
        for replica in snapshot.replicas:
            subject = names.replica(replica.name)
            for signal, value in _facts(replica):
                rows.keys.append(series(snapshot.deployment, subject, signal))
                rows.value.append(np.nan if old or value is None else value)
                rows.code.append(unknown if value is None else known)
        rows.age_ns.extend([max(age, 0)] * (len(rows.keys) - len(rows.age_ns)))
    rows.samples.extend([1.0] * len(rows.keys))
    return rows


def _facts(replica: Replica) -> tuple[tuple[str, float | None], ...]:
    limit, used = replica.memory_limit_bytes, replica.memory_bytes
    share = used / limit if used is not None and limit is not None and limit > 0 else None
    return (
        (names.PROCESS_UP, 0.0 if replica.state is ReplicaState.GONE else 1.0),
        (names.MEMORY_SHARE, share if share is None or share >= 0.0 else None),
    )


def _signals(
    order: Order,
    rows: tuple[Floats, Ints, Floats, Codes],
    managed: Sequence[Managed],
    world: Sequence[Snapshot],
    now: TimeNs,
    tick: int,
) -> Signals[Floats]:
    values, samples, code = rows[0], rows[2], rows[3]
    age: Any = rows[1]
    quality = [QUALITIES[one] for one in code.tolist()]
    naive = {entry.name for entry in managed if not entry.guard.evidence_rules}
    for place, key in enumerate(order.keys if naive else ()):
        # What comparable controllers do with absent data; only to show what it leads to.
        if key.deployment in naive and quality[place] is not Quality.GOOD:
            values[place], quality[place] = 0.0, Quality.GOOD
    return Signals(
        at=now,
        tick=tick,
        keys=order.keys,
        values=values,
        age_ns=age,
        samples=samples,
        quality=tuple(quality),
        world=tuple(sorted(world, key=lambda snapshot: snapshot.deployment)),
    )


def _histograms(layout: Plan, found: Derived) -> list[Histogram]:
    chosen = layout.shown
    if not len(chosen):
        return []
    shown = chosen.tolist()
    code, counts = found.histogram_code[chosen], found.counts[chosen]
    # Short histograms repeat their last bucket: what is unknown there is unknown within.
    good = (code == GOOD) & ~np.isnan(counts).any(axis=1)
    reason = np.where(good | (code != GOOD), code, FEW).tolist()
    bounds = [layout.cuts[number] for number in shown]
    whose = [layout.histograms[number] for number in shown]
    return many(
        Histogram,
        len(shown),
        deployment=[layout.entities[entity][0] for entity, _ in whose],
        subject=[layout.entities[entity][1] for entity, _ in whose],
        signal=[signal for _, signal in whose],
        bounds=bounds,
        counts=[
            own[: len(cut)] if believed else np.full(len(cut), np.nan)
            for own, cut, believed in zip(counts, bounds, good.tolist(), strict=True)
        ],
        quality=[QUALITIES[one] for one in reason],
    )


def _pages(
    raw_table: RawTable, layout: Plan, managed: Sequence[Managed], now: TimeNs
) -> list[PageState]:
    fresh = {entry.name: fresh_ns(entry) for entry in managed}
    counts = layout.scalars[:, _SERVING]
    serving = np.zeros(len(raw_table.pages), dtype=bool)
    serving[raw_table.page[counts[counts >= 0]]] = True
    there = serving.tolist()
    shown = [(page, number) for page, number in layout.pages if there[number]]
    numbers = [number for _, number in shown]
    age = now - raw_table.page_at[numbers]
    limit = np.array([fresh.get(page[1], _FRESH_NS) for page, _ in shown], dtype=np.int64)
    old = (age > limit) | (age < -AHEAD_NS)
    code = raw_table.page_code[numbers]
    reason = np.where(old, np.where(code == GOOD, STALE, code), GOOD).tolist()
    return many(
        PageState,
        len(shown),
        source=[page[0] for page, _ in shown],
        deployment=[page[1] for page, _ in shown],
        subject=[page[2] for page, _ in shown],
        quality=[QUALITIES[one] for one in reason],
        age_ns=np.clip(age, 0, 10**18).tolist(),
    )


STATE_CLASSES: Final = (
    FleetState,
    Order,
    RawTable,
    table.Memo,
    table.Places,
    Catalogue,
    Plan,
    ProbeRun,
    SeriesKey,
)
"""What `stats.arrays.from_bytes` must know to read this part's state."""
