"""From recordings to one grid of ticks: what was known at each step, and what the world was then.

A row counts for the step in which it ends. Several rows of one step become their mean, latencies
weighted by requests; a step of which less than half was recorded is unknown. Nothing is carried
over from step to step.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.base import names
from homeostat.base.errors import ConfigError
from homeostat.base.policy import Managed
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Levers, Replica, ReplicaState, Snapshot, Stamp
from homeostat.signals import past
from homeostat.signals.past import Recorded
from homeostat.twin.fit_frame import Frame

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST_TICKS: Final = 200_000
MOST_REPLICAS: Final = 512
_HALF: Final = 0.5
_MS: Final = 1000.0
_LATENCIES: Final = ("latency_p50_s", "latency_p95_s", "latency_p99_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Evenly spaced ticks; each stands for the step that ends at it.

    Attributes:
        first_ns: The first tick, nanoseconds since 1970.
        step_ns: Between two ticks.
        ticks: How many.
    """

    first_ns: int
    step_ns: int
    ticks: int

    @property
    def step_s(self) -> float:
        """Seconds between two ticks."""
        return self.step_ns / SECOND

    def at(self, tick: int) -> TimeNs:
        """Return a tick's time."""
        return TimeNs(self.first_ns + tick * self.step_ns)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """One deployment's recorded past on a grid.

    Attributes:
        recorded: What its signals were.
        ready: Replicas that served [tick]; NaN = unknown.
        starting: Replicas on their way; NaN = unknown [tick].
        wanted: Replicas that were asked for; NaN = unknown [tick].
        limit: Largest batch in force; NaN = unknown [tick].
        first: Its first tick with a row.
        last: Its last one.
    """

    recorded: Recorded
    ready: Floats = field(repr=False)
    starting: Floats = field(repr=False)
    wanted: Floats = field(repr=False)
    limit: Floats = field(repr=False)
    first: int
    last: int

    @property
    def name(self) -> str:
        """The deployment's."""
        return self.recorded.deployment


def grid_of(frames: Sequence[Frame], step_ns: int, since_ns: int | None = None) -> Grid:
    """Return the grid that covers recordings.

    Args:
        frames: The recordings, at least one.
        step_ns: Between two ticks.
        since_ns: How far back from the latest row; None = all of it.

    Raises:
        ConfigError: That would be too many ticks.
    """
    last = max(math.ceil(float(one.time_s[-1]) * SECOND / step_ns - 1e-9) for one in frames)
    first = min(math.ceil(float(one.time_s[0]) * SECOND / step_ns - 1e-9) for one in frames)
    if since_ns is not None:
        first = max(first, last - since_ns // step_ns + 1)
    ticks = last - first + 1
    if ticks > MOST_TICKS:
        raise ConfigError(
            f"{ticks} steps of {step_ns / SECOND:g} s; at most {MOST_TICKS} are replayed: "
            "choose a longer --step or a shorter --since"
        )
    return Grid(first_ns=first * step_ns, step_ns=step_ns, ticks=ticks)


def history(frame: Frame, managed: Managed, grid: Grid) -> History:
    """Return a recording on a grid.

    Args:
        frame: The recording.
        managed: The deployment that it is of.
        grid: Steps no shorter than the recording's own.

    Raises:
        ConfigError: The recording is coarser than the grid, outside of it, or absurd.
    """
    if frame.usual_step_s > grid.step_s * (1.0 + 1e-6):
        raise ConfigError(
            f"{frame.source}: one row each {frame.usual_step_s:g} s; --step {grid.step_s:g}s is "
            f"finer than that: choose {frame.usual_step_s:g}s or more"
        )
    binned = _Binned(frame, grid)
    if not binned.heard.any():
        raise ConfigError(f"{frame.source}: none of its rows lies within the time that is replayed")
    ready = np.round(binned("replicas"))
    if np.nanmax(np.append(ready, 0.0)) > MOST_REPLICAS:
        raise ConfigError(f"{frame.source}: more than {MOST_REPLICAS} replicas; check the column")
    where = np.flatnonzero(binned.heard)
    limit = binned("batch_limit")
    columns = {
        name: values
        for name, values in _columns(binned, ready, limit).items()
        if np.isfinite(values).any()
    }
    pool = managed.stable_pool
    most = int(np.nanmax(np.append(ready, 0.0)))
    return History(
        recorded=Recorded(
            deployment=managed.name,
            pool=pool,
            step_s=grid.step_s,
            columns=columns,
            heard=binned.heard,
            slots=tuple(slot(pool, number) for number in range(most)),
        ),
        ready=ready,
        starting=np.round(binned("replicas_starting")),
        wanted=np.round(binned("replicas_wanted")),
        limit=limit,
        first=int(where[0]),
        last=int(where[-1]),
    )


def slot(pool: str, number: int) -> str:
    """Return the name of a replica's slot; history only counts them.

    >>> slot("a", 0)
    'a-1'
    """
    return f"{pool}-{number + 1}"


class Worlds:
    """The world as it was recorded, one snapshot a tick.

    Args:
        one: The deployment's history.
        managed: Its configuration.
    """

    def __init__(self, one: History, managed: Managed) -> None:
        self._one, self._managed = one, managed
        self._made: dict[tuple[float, ...], tuple[tuple[Replica, ...], Levers]] = {}
        # Nobody recorded who may write: that it is us is a premise, and the report says so.
        actuators = sorted({managed.scale_actuator, managed.traffic_actuator or ""} - {""})
        self._stamps = tuple(
            Stamp(actuator=name, token=None, intent=None, epoch=None) for name in actuators
        )

    def at(self, tick: int, now: TimeNs) -> Snapshot | None:
        """Return the world at a tick, None where nobody recorded how many replicas there were."""
        one = self._one
        key = tuple(
            float(column[tick]) for column in (one.ready, one.starting, one.wanted, one.limit)
        )
        if math.isnan(key[0]):
            return None
        known = tuple(-1.0 if math.isnan(value) else value for value in key)
        if known not in self._made:
            self._made[known] = self._replicas(known), self._levers(known)
        replicas, levers = self._made[known]
        return Snapshot(
            deployment=one.name,
            observed_at=now,
            replicas=replicas,
            releases=(),
            levers=levers,
            stamps=self._stamps,
        )

    def _replicas(self, known: tuple[float, ...]) -> tuple[Replica, ...]:
        ready, starting = int(known[0]), max(int(known[1]), 0)
        pool = self._managed.stable_pool
        made = [
            Replica(
                name=slot(pool, number),
                pool=pool,
                version=None,
                state=ReplicaState.READY if number < ready else ReplicaState.STARTING,
                incarnation=1,
            )
            for number in range(min(ready + starting, MOST_REPLICAS))
        ]
        return tuple(sorted(made, key=lambda replica: replica.name))

    def _levers(self, known: tuple[float, ...]) -> Levers:
        ready, starting, wanted, limit = known
        asked = wanted if wanted >= 0.0 else ready + max(starting, 0.0)
        levers: dict[str, int] = {names.lever_replicas(self._managed.stable_pool): int(asked)}
        if limit >= 1.0:
            levers[names.BATCH_MAX] = round(limit)
        return tuple(sorted(levers.items()))


class _Binned:
    """A recording's columns on the grid.

    Args:
        frame: The recording.
        grid: The ticks.
    """

    def __init__(self, frame: Frame, grid: Grid) -> None:
        self._frame, self._ticks = frame, grid.ticks
        ends = np.ceil(frame.time_s * SECOND / grid.step_ns - 1e-6).astype(np.int64)
        self._at: Ints = ends - grid.first_ns // grid.step_ns
        self._inside = (self._at >= 0) & (self._at < grid.ticks)
        self._step_s = np.minimum(frame.step_s, grid.step_s)
        self._least = _HALF * grid.step_s
        self.heard = self._sum(self._step_s, self._inside) >= self._least
        rate = frame["request_rate"]
        self._asked = np.where(np.isfinite(rate), rate, 0.0) * self._step_s

    def __call__(self, name: str) -> Floats:
        """Return a column's mean by tick, NaN where less than half of the tick is known."""
        values = self._frame[name]
        known = self._inside & np.isfinite(values)
        weight = self._step_s
        if name in _LATENCIES and (self._asked > 0.0).any():
            weight = self._asked
            known &= self._asked > 0.0  # of no requests there is no latency
        covered = self._sum(self._step_s, known)
        total = self._sum(weight, known)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self._sum(weight * np.where(known, values, 0.0), known) / total
        return np.where((covered >= self._least) & (total > 0.0), mean, np.nan)

    def _sum(self, values: Floats, which: npt.NDArray[np.bool_]) -> Floats:
        total: Floats = np.bincount(
            self._at[which], weights=values[which], minlength=self._ticks
        ).astype(np.float64)
        return total


def _columns(binned: _Binned, ready: Floats, limit: Floats) -> Mapping[str, Floats]:
    """Return what the senses read, in their units."""
    arrived, unique = binned("attempt_rate"), binned("request_rate")
    arrived = np.where(np.isfinite(arrived), arrived, unique)
    failed, served = binned("error_rate"), binned("throughput")
    with np.errstate(invalid="ignore", divide="ignore"):
        answered = np.where(np.isfinite(served), failed + served, arrived)
        errors = np.where(answered > 0.0, failed / answered, np.nan)
        queued = binned("queue") / np.where(ready >= 1.0, ready, np.nan)
        # Little's law: what is being served at once is what is served, times how long it takes.
        running = binned("running")
        service = np.where(served > 0.0, running / served, np.nan)
        each = np.where(ready >= 1.0, running / ready, np.nan)
    return {
        past.ARRIVALS: arrived,
        past.ERRORS: np.clip(errors, 0.0, 1.0),
        past.P50: _MS * binned("latency_p50_s"),
        past.P95: _MS * binned("latency_p95_s"),
        past.BATCH: _or(binned("batch_size"), each),
        past.SERVICE: _MS * _or(binned("service_s"), service),
        past.QUEUED: queued,
        past.BATCH_LIMIT: limit,
    }


def _or(first: Floats, other: Floats) -> Floats:
    """Return a column, or another where nothing of it was recorded at all: they are not mixed."""
    return first if np.isfinite(first).any() else other
