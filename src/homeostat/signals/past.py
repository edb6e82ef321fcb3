"""Recorded history in the place of sources: a table of rows becomes one frame a tick.

What a range query answers is a rate or a quantile already; nothing is derived here and nothing is
filled in. A row that is not there is a silent gateway, a cell that is not there is missing: a gap
is unknown, never zero. Means over a pool are said of each of its replicas, so what all of them
share can be diagnosed and none of them can be blamed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from homeostat.base import names
from homeostat.base.evidence import Increments, Quality, SeriesKey, Signals
from homeostat.base.policy import Managed
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Snapshot
from homeostat.signals.frame import Frame, PageState

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

ARRIVALS: Final = "arrivals"
ERRORS: Final = "errors"
P50: Final = "p50_ms"
P95: Final = "p95_ms"
BATCH: Final = "batch"
SERVICE: Final = "service_ms"
QUEUED: Final = "queued"
BATCH_LIMIT: Final = "batch_limit"
COLUMNS: Final = (ARRIVALS, ERRORS, P50, P95, BATCH, SERVICE, QUEUED, BATCH_LIMIT)
"""What a history may hold of one deployment, in the units of `base.names`; `queued` is a replica's
share of those that wait."""

_GATEWAY: Final = {
    names.ARRIVAL_RATE: ARRIVALS,
    names.ERROR_RATIO: ERRORS,
    names.LATENCY_P50: P50,
    names.LATENCY_P95: P95,
}
_REPLICA: Final = {
    names.DEVICE_TIME: SERVICE,
    names.BATCH_SIZE: BATCH,
    names.QUEUE_LENGTH: QUEUED,
    names.BATCH_MAX: BATCH_LIMIT,
}
# A ratio or a quantile of too few requests is not judged; a rate of few is a low rate.
_SUMMARISES: Final = frozenset({names.ERROR_RATIO, names.LATENCY_P50, names.LATENCY_P95})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recorded:
    """One deployment's history on the grid of ticks.

    Attributes:
        deployment: Its name.
        pool: Its stable pool.
        step_s: Seconds that a tick stands for.
        columns: By the names of `COLUMNS`, those that were recorded at all; NaN = unknown [tick].
        heard: Where anything was recorded [tick].
        slots: Names of replica slots that its readings speak of.
    """

    deployment: str
    pool: str
    step_s: float
    columns: Mapping[str, Floats] = field(repr=False)
    heard: Bools = field(repr=False)
    slots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rows:
    """The series of some deployments, and where their numbers are.

    Attributes:
        keys: The series, sorted.
        column: Of each, its column in the table. `[series]`
        arrivals: The column of its deployment's arrivals. `[series]`
        step_s: Seconds of a tick. `[series]`
        least: Fewest requests that it may summarise; 0 where it may be of any. `[series]`
    """

    keys: tuple[SeriesKey, ...]
    column: Ints
    arrivals: Ints
    step_s: Floats
    least: Floats


class Past:
    """Recorded histories as the first stage of the senses; see `loop.sense_parts.SignalsPart`.

    Args:
        recorded: The deployments, all on one grid of ticks; tick 0 is the first.
    """

    def __init__(self, recorded: Sequence[Recorded]) -> None:
        self._by_name = {one.deployment: one for one in recorded}
        self._table, self._place = _table(recorded)
        self._rows: dict[tuple[str, ...], _Rows] = {}

    def init(self) -> None:
        """Return the state: everything is in the table."""

    def step(
        self,
        state: None,
        reports: Sequence[Any],
        world: Sequence[Snapshot],
        managed: Sequence[Managed],
        now: TimeNs,
        tick: int,
    ) -> tuple[None, Frame]:
        """Return what was recorded for one tick.

        Args:
            state: None.
            reports: None are taken: the table says it all.
            world: The deployments as recorded.
            managed: Those whose history covers this tick.
            now: The tick's time.
            tick: Its number, a place on the grid.

        Raises:
            ValueError: Reports were given beside the history.
        """
        if reports:
            raise ValueError("a history has no live sources beside it")
        rows = self._rows_of(tuple(entry.name for entry in managed), managed)
        values = self._table[tick, rows.column]
        samples = np.nan_to_num(self._table[tick, rows.arrivals] * rows.step_s)
        few = samples < rows.least
        missing = np.isnan(values)
        quality = [
            Quality.FEW if little else Quality.MISSING if gone else Quality.GOOD
            for little, gone in zip((few & ~missing).tolist(), missing.tolist(), strict=True)
        ]
        signals: Signals[Floats] = Signals(
            at=now,
            tick=tick,
            keys=rows.keys,
            values=np.where(few, np.nan, values),
            age_ns=np.zeros(len(rows.keys), dtype=np.int64),
            samples=samples,
            quality=tuple(quality),
            world=tuple(sorted(world, key=lambda snapshot: snapshot.deployment)),
        )
        heard = [self._by_name[entry.name] for entry in managed]
        return state, Frame(
            signals=signals,
            resolution=np.zeros(len(rows.keys)),
            histograms=(),
            invalid={},
            pages=tuple(_page(one, tick) for one in heard),
            increments={
                entry.name: (self._increment(entry.name, tick),) for entry in managed if entry.slos
            },
        )

    def _rows_of(self, named: tuple[str, ...], managed: Sequence[Managed]) -> _Rows:
        if named not in self._rows:
            self._rows[named] = _rows([self._by_name[name] for name in named], managed, self._place)
        return self._rows[named]

    def _increment(self, name: str, tick: int) -> Increments:
        """Return what the deployment served in one tick; latencies by bound are not recorded."""
        one = self._by_name[name]
        rate, errors = (
            float(one.columns[column][tick]) if column in one.columns else np.nan
            for column in (ARRIVALS, ERRORS)
        )
        if np.isnan(rate) or np.isnan(errors):
            return Increments(
                pool="", answered=None, failed=None, seconds=None, quality=Quality.MISSING
            )
        answered = rate * one.step_s
        return Increments(pool="", answered=answered, failed=errors * answered, seconds=one.step_s)


def _table(recorded: Sequence[Recorded]) -> tuple[Floats, dict[tuple[str, str], int]]:
    """Return all columns side by side [tick, column], and where each deployment's are."""
    place: dict[tuple[str, str], int] = {}
    columns: list[Floats] = []
    for one in recorded:
        for name in (ARRIVALS, *(c for c in COLUMNS if c != ARRIVALS and c in one.columns)):
            place[one.deployment, name] = len(columns)
            columns.append(one.columns.get(name, np.full(len(one.heard), np.nan)))
    return np.stack(columns, axis=1), place


def _rows(
    recorded: Sequence[Recorded], managed: Sequence[Managed], place: Mapping[tuple[str, str], int]
) -> _Rows:
    found: list[tuple[SeriesKey, int, int, float, float]] = []
    for one, entry in zip(recorded, managed, strict=True):
        arrivals = place[one.deployment, ARRIVALS]
        for subject, signal, column in _series(one):
            key = SeriesKey(deployment=one.deployment, subject=subject, signal=signal)
            least = entry.guard.min_samples if signal in _SUMMARISES else 0.0
            found.append((key, place[one.deployment, column], arrivals, one.step_s, least))
    found.sort(key=lambda row: (row[0].deployment, row[0].subject, row[0].signal))
    return _Rows(
        keys=tuple(row[0] for row in found),
        column=np.array([row[1] for row in found], dtype=np.int64),
        arrivals=np.array([row[2] for row in found], dtype=np.int64),
        step_s=np.array([row[3] for row in found]),
        least=np.array([row[4] for row in found]),
    )


def _series(one: Recorded) -> list[tuple[str, str, str]]:
    """Return subject, signal and column of each series that a deployment has."""
    at_gateway = [
        (names.GATEWAY, signal, column)
        for signal, column in _GATEWAY.items()
        if column in one.columns
    ]
    pooled = [(names.pool(one.pool), names.ARRIVAL_RATE, ARRIVALS)]
    of_replicas = [
        (names.replica(slot), signal, column)
        for slot in one.slots
        for signal, column in _REPLICA.items()
        if column in one.columns
    ]
    return at_gateway + [row for row in pooled if ARRIVALS in one.columns] + of_replicas


def _page(one: Recorded, tick: int) -> PageState:
    heard = bool(one.heard[tick])
    return PageState(
        source="history",
        deployment=one.deployment,
        subject=names.GATEWAY,
        quality=Quality.GOOD if heard else Quality.UNREACHABLE,
        age_ns=0 if heard else round(one.step_s * SECOND),
    )
