"""Event-driven reference: a cluster of batching replicas and users who give up, request by request.

The judge of the tick model wherever one station without clients is not enough: routing, timeouts,
retries, servers that do or do not notice that nobody waits any more. Slow on purpose (a heap and
Python objects, some 2e5 events a second): it shares no code and no approximation with the twin.
Tests and the tables' builder use it; no episode does.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np

from homeostat.lab.reference_station import Station

_CHUNK: Final = 4096  # random numbers are drawn in blocks: one at a time costs more than an event


class Routing(StrEnum):
    """How an attempt finds its replica."""

    RANDOM = "random"
    TWO_CHOICES = "p2c"  # the shorter of two chosen at random
    SHORTEST = "jsq"  # the shortest of all, ties at random


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """What users do when no answer comes.

    Attributes:
        timeout_s: After which an attempt is given up.
        retries: Attempts after the first.
        backoff_s: Mean of the exponential wait before the next attempt; 0 = at once.
        cancel: Share of given-up attempts that the server drops if their batch has not begun.
    """

    timeout_s: float = np.inf
    retries: int = 0
    backoff_s: float = 0.0
    cancel: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of the requests; arrays in the order of their arrival.

    Attributes:
        arrival_s: First attempt of each unique request.
        latency_s: From then to the answer in time of any attempt; inf = never.
        attempts: Attempts made for each.
        sample_s: Times at which the system was looked at.
        jobs: Attempts in the system, waiting or served, at these times [samples].
        completed: Attempts whose work the servers finished, wanted or not.
        dropped: Attempts dropped by the servers because nobody waited any more.
    """

    arrival_s: np.ndarray
    latency_s: np.ndarray
    attempts: np.ndarray
    sample_s: np.ndarray
    jobs: np.ndarray
    completed: int
    dropped: int

    def goodput(self, begin_s: float, end_s: float) -> float:
        """Return the share answered in time of the requests that arrived in an interval."""
        chosen = (self.arrival_s >= begin_s) & (self.arrival_s < end_s)
        return float(np.isfinite(self.latency_s[chosen]).mean()) if chosen.any() else float("nan")


@dataclass(slots=True, eq=False)
class _Attempt:
    """One attempt; `over` once it was answered, given up, or dropped."""

    request: int
    number: int
    begun: bool = False
    over: bool = False
    dropped: bool = False


@dataclass(slots=True, eq=False)
class _Replica:
    waiting: deque[tuple[float, _Attempt]] = field(default_factory=deque)
    serving: list[_Attempt] = field(default_factory=list)
    timer: bool = False
    gone: int = 0  # dropped attempts still in `waiting`

    @property
    def jobs(self) -> int:
        return len(self.waiting) - self.gone + len(self.serving)


class _Chance:
    """Uniform and normal numbers, drawn in blocks."""

    def __init__(self, source: np.random.Generator) -> None:
        self._uniform = itertools.chain.from_iterable(
            iter(lambda: source.random(_CHUNK).tolist(), None)
        )
        self._normal = itertools.chain.from_iterable(
            iter(lambda: source.standard_normal(_CHUNK).tolist(), None)
        )

    def uniform(self) -> float:
        return float(next(self._uniform))

    def normal(self) -> float:
        return float(next(self._normal))

    def below(self, count: int) -> int:
        return int(self.uniform() * count)


class _Cluster:
    """The running simulation; every event is (time, tie-break, what to do)."""

    def __init__(
        self, station: Station, replicas: int, routing: Routing, users: Users, chance: _Chance
    ) -> None:
        self.station, self.routing, self.users, self.chance = station, routing, users, chance
        self.replicas = [_Replica() for _ in range(replicas)]
        self.events: list[tuple[float, int, Callable[[float], None]]] = []
        self.order = itertools.count()
        self.answered: dict[int, float] = {}
        self.tries: dict[int, int] = {}
        self.completed = self.dropped = 0
        self.log_sd = float(np.sqrt(np.log1p(station.cv2)))

    def at(self, when: float, do: Callable[[float], None]) -> None:
        heapq.heappush(self.events, (when, next(self.order), do))

    def run_until(self, end: float) -> None:
        while self.events and self.events[0][0] <= end:
            when, _, do = heapq.heappop(self.events)
            do(when)

    def arrive(self, now: float, request: int, number: int = 0) -> None:
        attempt = _Attempt(request, number)
        self.tries[request] = number + 1
        replica = self._choose()
        replica.waiting.append((now, attempt))
        if np.isfinite(self.users.timeout_s):
            self.at(now + self.users.timeout_s, lambda at: self._give_up(at, replica, attempt))
        self._begin(now, replica)

    def _choose(self) -> _Replica:
        pool = self.replicas
        if len(pool) == 1:
            return pool[0]
        first = pool[self.chance.below(len(pool))]
        if self.routing is Routing.RANDOM:
            return first
        if self.routing is Routing.TWO_CHOICES:
            second = pool[self.chance.below(len(pool) - 1)]
            second = pool[-1] if second is first else second
            return second if second.jobs < first.jobs else first
        least = min(replica.jobs for replica in pool)
        shortest = [replica for replica in pool if replica.jobs == least]
        return shortest[self.chance.below(len(shortest))]

    def _begin(self, now: float, replica: _Replica, *, due: bool = False) -> None:
        """Begin a batch if the replica is free and the batch is full or has waited long enough."""
        if replica.serving:
            return
        waiting, station = replica.waiting, self.station
        while waiting and waiting[0][1].dropped:
            waiting.popleft()
            replica.gone -= 1
        if not waiting:
            return
        start = waiting[0][0] + station.queue_delay_s
        if len(waiting) - replica.gone < station.batch_max and now < start and not due:
            if not replica.timer:
                replica.timer = True
                self.at(start, lambda at: self._due(at, replica))
            return
        while waiting and len(replica.serving) < station.batch_max:
            _, attempt = waiting.popleft()
            if attempt.dropped:
                replica.gone -= 1
                continue
            attempt.begun = True
            replica.serving.append(attempt)
        took = station.tau0_s + station.alpha_s * len(replica.serving)
        if self.log_sd:
            took *= np.exp(self.log_sd * self.chance.normal() - self.log_sd**2 / 2)
        self.at(now + took, lambda at: self._finish(at, replica))

    def _due(self, now: float, replica: _Replica) -> None:
        replica.timer = False
        waited = bool(replica.waiting) and now >= replica.waiting[0][0] + self.station.queue_delay_s
        self._begin(now, replica, due=waited)

    def _finish(self, now: float, replica: _Replica) -> None:
        self.completed += len(replica.serving)
        for attempt in replica.serving:
            if not attempt.over:
                attempt.over = True
                self.answered.setdefault(attempt.request, now)
        replica.serving = []
        self._begin(now, replica)

    def _give_up(self, now: float, replica: _Replica, attempt: _Attempt) -> None:
        if attempt.over:
            return
        attempt.over, users = True, self.users
        if not attempt.begun and users.cancel and self.chance.uniform() < users.cancel:
            attempt.dropped = True
            replica.gone += 1
            self.dropped += 1
        if attempt.number < users.retries:
            wait = 0.0
            if users.backoff_s:
                wait = -users.backoff_s * float(np.log(1.0 - self.chance.uniform()))
            request, number = attempt.request, attempt.number + 1
            self.at(now + wait, lambda at: self.arrive(at, request, number))


def simulate(
    station: Station,
    arrivals: np.ndarray,
    *,
    source: np.random.Generator,
    replicas: int = 1,
    routing: Routing = Routing.RANDOM,
    users: Users | None = None,
    sample_s: np.ndarray | None = None,
) -> Outcome:
    """Return what becomes of every request; the system starts empty and is run until it is again.

    Args:
        station: Each of the replicas.
        arrivals: Ascending times of unique requests, seconds [requests]; see `reference_arrivals`.
        source: Of chance: the same source state gives the same outcome.
        replicas: How many.
        routing: How attempts find a replica.
        users: What users do; None = they wait for ever.
        sample_s: Ascending times at which to count the jobs in the system.

    Raises:
        ValueError: No replica, or arrivals that are not ascending.
    """
    if replicas < 1:
        raise ValueError(f"a cluster needs at least one replica, got {replicas}")
    if np.any(np.diff(arrivals) < 0):
        raise ValueError("arrivals must be ascending; sort them first")
    samples = np.empty(0) if sample_s is None else np.asarray(sample_s, float)
    cluster = _Cluster(station, replicas, routing, users or Users(), _Chance(source))
    jobs, looked = np.zeros(len(samples), int), 0
    for request, when in enumerate(arrivals.tolist()):
        while looked < len(samples) and samples[looked] <= when:
            cluster.run_until(samples[looked])
            jobs[looked] = sum(replica.jobs for replica in cluster.replicas)
            looked += 1
        cluster.run_until(when)
        cluster.arrive(when, request)
    for place in range(looked, len(samples)):
        cluster.run_until(samples[place])
        jobs[place] = sum(replica.jobs for replica in cluster.replicas)
    cluster.run_until(np.inf)
    count = len(arrivals)
    done = np.array([cluster.answered.get(request, np.inf) for request in range(count)])
    return Outcome(
        arrival_s=arrivals,
        latency_s=done - arrivals,
        attempts=np.array([cluster.tries[request] for request in range(count)]),
        sample_s=samples,
        jobs=jobs,
        completed=cluster.completed,
        dropped=cluster.dropped,
    )
