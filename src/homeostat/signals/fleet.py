"""The fleet's signals, tick by tick: reports and the world in, one aligned frame out.

Joins what sources said with what read-back proves (is the process there, how full is its memory)
and what rounds of probes add up to (consecutive failures). Judges nothing but belief.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.base import names, raw
from homeostat.base.columns import Catalogue, Columns
from homeostat.base.evidence import Quality, SeriesKey, Signals, SourceReport
from homeostat.base.policy import Managed
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Replica, ReplicaState, Snapshot
from homeostat.signals import rounds, table
from homeostat.signals.derive import Derived, Limits, derive
from homeostat.signals.frame import Frame, Histogram, PageState
from homeostat.signals.pages import AHEAD_NS
from homeostat.signals.plan import COLUMN, Plan, plan, series
from homeostat.signals.quality import GOOD, QUALITIES, STALE
from homeostat.signals.table import RawTable

# For series of a deployment that nobody manages (any more).
_FRESH_NS: Final = 2 * SECOND
_LEAST: Final = 20.0
_PROBES: Final = frozenset({names.PROBE_HEALTH, names.PROBE_INFERENCE})
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRun:
    """Consecutive failed probe rounds of one replica.

    Attributes:
        failures: So many in a row, up to now.
        at: Time of the last round counted.
        incarnation: The process they were about, -1 for unknown.
    """

    failures: float
    at: int
    incarnation: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FleetState:
    """What the signals room remembers between two ticks.

    Attributes:
        table: The raw series.
        plan: Index arrays of its layout.
        probes: Probe runs by deployment and subject.
    """

    table: RawTable
    plan: Plan
    probes: dict[tuple[str, str], ProbeRun]


class _Row(NamedTuple):
    """One series of a frame, before it is an array; there are thousands on every tick."""

    key: SeriesKey
    value: float
    age_ns: int
    samples: float
    quality: Quality
    resolution: float = 0.0


class Fleet:
    """The signals room as one part; see `loop.sense.SignalsPart`."""

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()

    def init(self) -> FleetState:
        """Return the state of a fleet that nothing was heard of."""
        raw_table = table.empty(self.config.windows[-1])
        return FleetState(table=raw_table, plan=plan(raw_table), probes={})

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
        layout = state.plan if state.plan.layout == raw_table.layout else plan(raw_table)
        limits = _limits(layout, managed)
        found = derive(raw_table, layout, limits, now, tick, config.windows)
        rows = _rows(layout, found)
        probes, failures = _probe_failures(state.probes, raw_table, rows, world)
        rows += failures + _of_world(world, managed, now)
        rows.sort(key=_order)
        frame = Frame(
            signals=_signals(rows, managed, world, now, tick),
            resolution=np.array([row.resolution for row in rows]),
            histograms=_histograms(layout, found),
            invalid=dict(zip(layout.entities, found.invalid.tolist(), strict=True)),
            pages=_pages(raw_table, layout, managed, now),
        )
        return FleetState(table=raw_table, plan=layout, probes=probes), frame


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


def _rows(layout: Plan, found: Derived) -> list[_Row]:
    return list(
        map(
            _Row,
            layout.keys,
            found.value.tolist(),
            found.age_ns.tolist(),
            found.samples.tolist(),
            [QUALITIES[code] for code in found.code.tolist()],
            found.resolution.tolist(),
        )
    )


def _probe_failures(
    runs: dict[tuple[str, str], ProbeRun],
    raw_table: RawTable,
    rows: list[_Row],
    world: Sequence[Snapshot],
) -> tuple[dict[tuple[str, str], ProbeRun], list[_Row]]:
    """Count consecutive failed rounds; a round fails when either of its probes does."""
    incarnation = {
        (snapshot.deployment, names.replica(replica.name)): replica.incarnation
        for snapshot in world
        for replica in snapshot.replicas
    }
    probes = [row for row in rows if row.key.signal in _PROBES]
    by_subject: dict[tuple[str, str], list[_Row]] = {}
    for row in probes:
        by_subject.setdefault((row.key.deployment, row.key.subject), []).append(row)
    out, counted = {}, []
    for subject, pair in sorted(by_subject.items()):
        run = runs.get(subject, ProbeRun(failures=0.0, at=table.NEVER, incarnation=-1))
        process = incarnation.get(subject, run.incarnation)
        if process != run.incarnation:
            run = ProbeRun(failures=0.0, at=run.at, incarnation=process)
        believed = [row for row in pair if row.quality is Quality.GOOD]
        at = max(_at(raw_table, row.key) for row in pair)
        if believed and at > run.at:
            failed = any(row.value < 1.0 for row in believed)
            run = replace(run, failures=run.failures + 1.0 if failed else 0.0, at=at)
        out[subject] = run
        worst = believed[0] if believed else pair[0]
        counted.append(
            _Row(
                key=series(worst.key.deployment, worst.key.subject, names.PROBE_FAILURES),
                value=run.failures if believed else np.nan,
                age_ns=worst.age_ns,
                samples=1.0,
                quality=worst.quality,
            )
        )
    return out, counted


def _at(raw_table: RawTable, key: SeriesKey) -> int:
    row = raw_table.index.get((key, None))
    return table.NEVER if row is None else int(raw_table.at[row])


def _of_world(world: Sequence[Snapshot], managed: Sequence[Managed], now: TimeNs) -> list[_Row]:
    """Return what read-back alone proves of each replica."""
    fresh = {entry.name: fresh_ns(entry) for entry in managed}
    rows = []
    for snapshot in world:
        age = now - snapshot.observed_at
        old = age > fresh.get(snapshot.deployment, _FRESH_NS) or age < -AHEAD_NS
        for replica in snapshot.replicas:
            subject = names.replica(replica.name)
            for signal, value in _facts(replica):
                believed = not old and value is not None
                rows.append(
                    _Row(
                        key=series(snapshot.deployment, subject, signal),
                        value=value if believed and value is not None else np.nan,
                        age_ns=max(age, 0),
                        samples=1.0,
                        quality=_why(old=old, known=value is not None),
                    )
                )
    return rows


def _facts(replica: Replica) -> tuple[tuple[str, float | None], ...]:
    limit, used = replica.memory_limit_bytes, replica.memory_bytes
    share = used / limit if used is not None and limit is not None and limit > 0 else None
    return (
        (names.PROCESS_UP, 0.0 if replica.state is ReplicaState.GONE else 1.0),
        (names.MEMORY_SHARE, share if share is None or share >= 0.0 else None),
    )


def _why(*, old: bool, known: bool) -> Quality:
    if old:
        return Quality.STALE
    return Quality.GOOD if known else Quality.MISSING


def _order(row: _Row) -> tuple[str, str, str]:
    return row.key.deployment, row.key.subject, row.key.signal


def _signals(
    rows: list[_Row],
    managed: Sequence[Managed],
    world: Sequence[Snapshot],
    now: TimeNs,
    tick: int,
) -> Signals[np.ndarray[tuple[int], np.dtype[np.float64]]]:
    values = np.array([row.value for row in rows], dtype=np.float64)
    quality = [row.quality for row in rows]
    naive = {entry.name for entry in managed if not entry.guard.evidence_rules}
    for place, row in enumerate(rows if naive else ()):
        # What comparable controllers do with absent data; only to show what it leads to.
        if row.key.deployment in naive and row.quality is not Quality.GOOD:
            values[place], quality[place] = 0.0, Quality.GOOD
    return Signals(
        at=now,
        tick=tick,
        keys=tuple(row.key for row in rows),
        values=values,
        age_ns=np.array([row.age_ns for row in rows], dtype=np.int64),
        samples=np.array([row.samples for row in rows], dtype=np.float64),
        quality=tuple(quality),
        world=tuple(sorted(world, key=lambda snapshot: snapshot.deployment)),
    )


def _histograms(layout: Plan, found: Derived) -> tuple[Histogram, ...]:
    out = []
    for number, (entity, signal) in enumerate(layout.histograms):
        if signal != raw.PREDICTION and raw.feature_name(signal) is None:
            continue
        size = int(layout.sizes[number])
        counts = found.counts[number, :size]
        believed = found.histogram_code[number] == GOOD and not np.isnan(counts).any()
        code = found.histogram_code[number]
        deployment, subject = layout.entities[entity]
        out.append(
            Histogram(
                deployment=deployment,
                subject=subject,
                signal=signal,
                bounds=tuple(layout.bounds[number, :size].tolist()),
                counts=counts if believed else np.full(size, np.nan),
                quality=QUALITIES[code] if believed or code != GOOD else Quality.FEW,
            )
        )
    return tuple(out)


def _pages(
    raw_table: RawTable, layout: Plan, managed: Sequence[Managed], now: TimeNs
) -> tuple[PageState, ...]:
    fresh = {entry.name: fresh_ns(entry) for entry in managed}
    counts = layout.scalars[:, _SERVING]
    serving = set(raw_table.page[counts[counts >= 0]].tolist())
    out = []
    for page, number in sorted(raw_table.page_index.items()):
        source, deployment, subject = page
        # What a gateway says of its pools is on the gateway's own page.
        shared = subject.startswith("pool:")
        shared = shared and (source, deployment, names.GATEWAY) in raw_table.page_index
        if number not in serving or shared:
            continue
        age = now - int(raw_table.page_at[number])
        old = age > fresh.get(deployment, _FRESH_NS) or age < -AHEAD_NS
        code = int(raw_table.page_code[number])
        reason = QUALITIES[code] if code != GOOD else QUALITIES[STALE]
        out.append(
            PageState(
                source=source,
                deployment=deployment,
                subject=subject,
                quality=reason if old else Quality.GOOD,
                age_ns=min(max(age, 0), 10**18),
            )
        )
    return tuple(out)


STATE_CLASSES: Final = (
    FleetState,
    RawTable,
    table.Memo,
    table.Places,
    Catalogue,
    Plan,
    ProbeRun,
    SeriesKey,
)
"""What `stats.arrays.from_bytes` must know to read this part's state."""
