"""A pool of batching replicas behind a balancer, event by event: many runs side by side in NumPy.

The mean latency of `reference` without its users, some twenty times as many events a second: what a
comparison near full load needs, where a queue forgets slowly. By Little's law, jobs in the system
over arrivals; nobody's own latency is kept. Batches, routing and chance are those of `reference`,
which judges it; it shares no code and no approximation with the twin.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from homeostat.lab.reference import Routing
from homeostat.lab.reference_station import Station

_CHUNK: Final = 512  # random numbers are drawn in blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean latency, measured.

    Attributes:
        seconds: The mean.
        error: Its standard error, from the spread between runs, seconds.
        arrivals: Requests that it is of.
    """

    seconds: float
    error: float
    arrivals: int


def mean_latency(
    station: Station,
    load: float,
    *,
    replicas: int,
    routing: Routing,
    ca2: float,
    runs: int,
    arrivals: int,
    seed: int,
) -> Mean:
    """Return the stationary mean latency; half as many arrivals before are not counted.

    Args:
        station: Each of the replicas; `queue_delay_s` must be 0.
        load: Arrivals over what all replicas serve in full batches, below 1.
        replicas: How many.
        routing: How requests find one.
        ca2: Squared coefficient of variation of the time between arrivals at the pool, 1 or more.
        runs: Independent ones, side by side.
        arrivals: Of each run that count, on average.
        seed: Equal seeds give equal means.

    Raises:
        ValueError: Something is asked for that is not simulated here.
    """
    if station.queue_delay_s or not 0.0 < load < 1.0 or ca2 < 1.0:
        raise ValueError(
            f"no queue delay, a load in (0, 1) and ca2 >= 1 are simulated, got "
            f"{station.queue_delay_s}, {load} and {ca2}; use `reference.simulate`"
        )
    rate = load * station.capacity * replicas
    pool = _Pool(station, replicas, routing, rate, ca2, runs, np.random.default_rng(seed))
    span = arrivals / rate
    pool.run_until(span / 2.0)
    pool.area[:], pool.came[:] = 0.0, 0
    pool.run_until(span * 3.0 / 2.0)
    each = pool.area / span / rate  # Little's law with the known rate: a ratio would be biased
    return Mean(
        seconds=float(each.mean()),
        error=float(each.std(ddof=1) / np.sqrt(runs)),
        arrivals=int(pool.came.sum()),
    )


@dataclass(slots=True, eq=False)
class _Pool:
    """All runs at their own time; every step is one event of each run."""

    station: Station
    replicas: int
    routing: Routing
    rate: float
    ca2: float
    runs: int
    chance: np.random.Generator
    waiting: np.ndarray = field(init=False)
    serving: np.ndarray = field(init=False)
    ends: np.ndarray = field(init=False)
    clock: np.ndarray = field(init=False)
    area: np.ndarray = field(init=False)
    came: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        shape = (self.runs, self.replicas)
        self.waiting, self.serving = np.zeros(shape, int), np.zeros(shape, int)
        # The last column is the next arrival.
        self.ends = np.full((self.runs, self.replicas + 1), np.inf)
        self.clock, self.area = np.zeros(self.runs), np.zeros(self.runs)
        self.came = np.zeros(self.runs, int)
        self.ends[:, -1] = self._gaps((self.runs,))

    def run_until(self, end: float) -> None:
        """Play every event up to a time, and count the jobs up to it."""
        rows = np.arange(self.runs)
        while len(rows := rows[self.ends[rows].min(axis=1) <= end]):
            self._some(rows, end)
        jobs = self.waiting.sum(axis=1) + self.serving.sum(axis=1)
        self.area += jobs * (end - self.clock)
        self.clock[:] = end

    def _some(self, rows: np.ndarray, end: float) -> None:
        """Play a block of events of some runs, each run's until its next one is too late."""
        gaps, works = self._gaps((_CHUNK, len(rows))), self._works((_CHUNK, len(rows)))
        picks, keep = self._picks((_CHUNK, len(rows))), np.arange(len(rows))
        for k in range(_CHUNK):
            going = self.ends[rows].min(axis=1) <= end
            if not going.all():
                rows, keep = rows[going], keep[going]
            if not len(rows):
                return
            self._event(rows, gaps[k, keep], works[k, keep], picks[k, :, keep].T)

    def _event(
        self, rows: np.ndarray, gaps: np.ndarray, works: np.ndarray, picks: np.ndarray
    ) -> None:
        which = self.ends[rows].argmin(axis=1)
        now = self.ends[rows, which]
        held = self.waiting[rows].sum(axis=1) + self.serving[rows].sum(axis=1)
        self.area[rows] += held * (now - self.clock[rows])
        self.clock[rows] = now
        arrives = which == self.replicas
        here, come = rows[arrives], now[arrives]
        self.ends[here, -1] = come + gaps[arrives]
        self.came[here] += 1
        at = self._chosen(here, picks[:, arrives])
        self.waiting[here, at] += 1
        which[arrives] = at
        done = rows[~arrives]
        self.serving[done, which[~arrives]] = 0
        self.ends[done, which[~arrives]] = np.inf
        queue = self.waiting[rows, which]
        free = (self.serving[rows, which] == 0) & (queue > 0)
        begun, at = rows[free], which[free]
        size = np.minimum(queue[free], self.station.batch_max)
        self.waiting[begun, at] -= size
        self.serving[begun, at] = size
        took = (self.station.tau0_s + self.station.alpha_s * size) * works[free]
        self.ends[begun, at] = now[free] + took

    def _chosen(self, rows: np.ndarray, picks: np.ndarray) -> np.ndarray:
        first = picks[0]
        if self.replicas == 1 or self.routing is Routing.RANDOM:
            return np.asarray(first)
        jobs = self.waiting[rows] + self.serving[rows]
        if self.routing is Routing.SHORTEST:
            # Of equally short ones any: the first from a place chosen at random on.
            turned = (np.arange(self.replicas) + first[:, None]) % self.replicas
            least = np.take_along_axis(jobs, turned, axis=1).argmin(axis=1)
            return np.asarray((least + first) % self.replicas)
        second = (first + 1 + picks[1]) % self.replicas
        row = np.arange(len(rows))
        return np.asarray(np.where(jobs[row, second] < jobs[row, first], second, first))

    def _picks(self, shape: tuple[int, int]) -> np.ndarray:
        """Return two different replicas, the second counted from the first [chunk, 2, runs]."""
        first = self.chance.integers(0, self.replicas, shape)
        other = self.chance.integers(0, max(self.replicas - 1, 1), shape)
        return np.stack([first, other], axis=1)

    def _gaps(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return times between arrivals: exponential, or balanced hyperexponential above ca2 1."""
        gaps = self.chance.exponential(1.0, shape)
        if self.ca2 <= 1.0:
            return np.asarray(gaps / self.rate)
        share = 0.5 * (1.0 + np.sqrt((self.ca2 - 1.0) / (self.ca2 + 1.0)))
        fast = self.chance.random(shape) < share
        return np.asarray(gaps / np.where(fast, 2 * share, 2 * (1 - share)) / self.rate)

    def _works(self, shape: tuple[int, int]) -> np.ndarray:
        """Return lognormal factors of service times with mean 1."""
        if not self.station.cv2:
            return np.ones(shape)
        sd = np.sqrt(np.log1p(self.station.cv2))
        return np.asarray(np.exp(sd * self.chance.standard_normal(shape) - sd**2 / 2))
