"""From evidence and the world as read back to a situation that the twin can start from.

Nothing is guessed here: what a rehearsal cannot do without and nobody has read is said by name, and
there is no rehearsal. What it can do without stays not-a-number, and is drawn from a prior or taken
as settled.
"""

import math
from dataclasses import dataclass
from typing import Final

from homeostat.base import names
from homeostat.base.evidence import Evidence, Reading
from homeostat.base.policy import Managed
from homeostat.base.units import SECOND
from homeostat.base.world import Replica, ReplicaState, Snapshot
from homeostat.twin.rehearse_situation import Ahead, Situation, Slot
from homeostat.twin.shapes import SLOT_COUNTS, VARIANTS, Phase, Variant

_GIB: Final = 2.0**30
_PERCENT: Final = 100.0
_PHASES: Final = {
    ReplicaState.STARTING: Phase.LOADING,
    ReplicaState.READY: Phase.READY,
    ReplicaState.DRAINING: Phase.DRAINING,
    ReplicaState.GONE: Phase.DEAD,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """What is not known, without which nothing can be rehearsed.

    Attributes:
        reasons: One sentence each.
    """

    reasons: tuple[str, ...]


def situation(managed: Managed, evidence: Evidence | None) -> Situation | Unseen:
    """Return the deployment as it stands, or what of it is not known.

    Args:
        managed: Its configuration.
        evidence: The latest tick's.
    """
    if evidence is None:
        return Unseen(reasons=("nothing was measured yet",))
    if evidence.world is None:
        return Unseen(reasons=("the deployment could not be read",))
    read = _Read(managed, evidence, evidence.world)
    missing = read.missing()
    return Unseen(reasons=missing) if missing else read.situation()


class _Read:
    """One tick of one deployment."""

    def __init__(self, managed: Managed, evidence: Evidence, world: Snapshot) -> None:
        self.managed = managed
        self.world = world
        self.forecasts = evidence.forecasts
        self.readings = {(r.subject, r.signal): r for r in evidence.readings}
        self.pools = _pools(managed, world)
        self.rate = self._reading(names.GATEWAY, names.ARRIVAL_RATE)
        self.batch = world.lever(names.BATCH_MAX)
        self.there = sorted(
            (r for r in world.replicas if not self._spare(r) and r.pool in self.pools),
            key=lambda r: (self.pools.index(r.pool), r.name),
        )

    def missing(self) -> tuple[str, ...]:
        """Return what a rehearsal cannot do without."""
        found = []
        if self.rate is None or self.rate.value is None:
            found.append("the arrival rate is not known")
        if not isinstance(self.batch, int | float):
            found.append("the largest batch could not be read")
        if not self.there:
            found.append("no replica could be read")
        if len(self.there) >= SLOT_COUNTS[-1]:
            found.append(f"{len(self.there)} replicas; the twin has {SLOT_COUNTS[-1]} slots")
        others = {r.pool for r in self.world.replicas} - set(self.pools)
        if others:
            found.append(f"the twin has three pools; {', '.join(sorted(others))} is one more")
        if self._weights() is None:
            found.append("the traffic's split over the pools could not be read")
        limit = self.world.lever(names.GATEWAY_LIMIT)
        if limit is not None and math.isnan(self._lever(names.GATEWAY_LIMIT)):
            found.append("the gateway's limit could not be read")
        elif limit and math.isnan(self._value(names.GATEWAY, names.LATENCY_P50)):
            found.append(
                "the gateway limits requests in flight, and without a median latency nobody knows "
                "which rate that is"
            )
        return tuple(found)

    def situation(self) -> Situation:
        """Return the deployment.

        Raises:
            AssertionError: Something needed is missing; `missing` says what.
        """
        managed, rate, weights = self.managed, self.rate, self._weights()
        if rate is None or rate.value is None or weights is None:
            raise AssertionError("asked for although something is missing")
        median = self._value(names.GATEWAY, names.LATENCY_P50)
        limits = [r.memory_limit_bytes for r in self.there if r.memory_limit_bytes]
        return Situation(
            rate_rps=rate.value,
            requests=rate.samples,
            slots=tuple(self._slot(r) for r in self.there),
            weights=weights,
            batch_max=self._lever(names.BATCH_MAX),
            latency_ms=managed.objective.latency_p95_ms,
            error_ratio=managed.objective.error_ratio,
            wanted=_three([self._lever(names.lever_replicas(p)) for p in self.pools], math.nan),
            pools=self.pools,
            concurrency=self._lever(names.CONCURRENCY),
            in_flight_limit=_or(self._lever(names.GATEWAY_LIMIT), 0.0),
            median_s=median / 1000.0,
            mean_batch=self._mean_batch(),
            memory_limit_gib=min(limits) / _GIB if limits else math.nan,
            usd_per_hour=managed.replica_usd_per_hour,
            most=self._most(),
            spares=float(self.world.spares),
            failing=self._failing(),
            ahead=self._ahead(),
        )

    def _failing(self) -> float:
        """Return the share of attempts that fail and are tried again; NaN if it is not known.

        Who is refused on purpose is told to stay away: only what was let in and failed comes back.
        """
        refused = self._value(names.GATEWAY, names.REFUSED_RATIO)
        if math.isnan(refused):
            if self.world.lever(names.GATEWAY_LIMIT):
                return math.nan
            refused = 0.0  # nobody is refused where there is no limit
        failed = self._value(names.GATEWAY, names.ERROR_RATIO)
        return min(max(failed, 0.0), 1.0) * (1.0 - refused) if not math.isnan(failed) else failed

    def _ahead(self) -> tuple[Ahead, ...]:
        """Return the forecast of the stable pool's load over its rate of now; empty if none."""
        key = (names.pool(self.managed.stable_pool), names.ARRIVAL_RATE)
        rate = self._value(*key)
        for one in self.forecasts:
            if (one.subject, one.signal) == key and rate > 0.0:
                pairs = zip(one.horizons_ns, one.quantiles, strict=False)
                found = [(ns / SECOND, *(value / rate for value in many)) for ns, many in pairs]
                return tuple(
                    Ahead(seconds=at, quantiles=(low, middle, high))
                    for at, low, middle, high in found
                    if math.isfinite(low) and 0.0 <= low <= middle <= high < math.inf
                )
        return ()

    def _reading(self, subject: str, signal: str) -> Reading | None:
        return self.readings.get((subject, signal))

    def _value(self, subject: str, signal: str) -> float:
        found = self._reading(subject, signal)
        return math.nan if found is None or found.value is None else found.value

    def _lever(self, name: str) -> float:
        value = self.world.lever(name)
        return float(value) if isinstance(value, int | float) else math.nan

    def _spare(self, replica: Replica) -> bool:
        """Return whether a slot is empty because no more replicas are wanted."""
        wanted = self._lever(names.lever_replicas(replica.pool))
        if replica.state is not ReplicaState.GONE or math.isnan(wanted):
            return False
        there = sum(
            one.pool == replica.pool and one.state is not ReplicaState.GONE
            for one in self.world.replicas
        )
        return there >= wanted

    def _slot(self, replica: Replica) -> Slot:
        subject = names.replica(replica.name)
        waiting = self._value(subject, names.QUEUE_LENGTH)
        batch = self._value(subject, names.BATCH_SIZE)
        memory = replica.memory_bytes
        return Slot(
            name=replica.name,
            variant=self.pools.index(replica.pool),
            phase=_PHASES[replica.state],
            # Below one batch it is the load's own coming and going, which the twin settles itself.
            jobs=waiting + batch if waiting >= batch else math.nan,
            memory_gib=math.nan if memory is None else memory / _GIB,
        )

    def _mean_batch(self) -> float:
        sizes = [
            self._value(names.replica(r.name), names.BATCH_SIZE)
            for r in self.there
            if r.pool == self.managed.stable_pool and r.state is ReplicaState.READY
        ]
        known = [size for size in sizes if not math.isnan(size)]
        return sum(known) / len(known) if known else math.nan

    def _weights(self) -> tuple[float, float, float] | None:
        """Return traffic shares: as read back, else all to the only pool with replicas."""
        serving = {r.pool for r in self.there}
        shares = [self._lever(names.lever_weight(pool)) / _PERCENT for pool in self.pools]
        if len(serving) == 1:
            only = self.pools.index(min(serving))
            return _three([float(at == only) for at in range(VARIANTS)], 0.0)
        unknown = [at for at, share in enumerate(shares) if math.isnan(share)]
        known = sum(share for share in shares if not math.isnan(share))
        if unknown == [Variant.A] and known <= 1.0 + 1e-9:
            shares[Variant.A] = max(1.0 - known, 0.0)  # the stable pool has what the others leave
        elif unknown or known <= 0.0:
            return None
        total = sum(shares)
        return _three([share / total for share in shares], 0.0)

    def _most(self) -> float:
        prefix = names.lever_replicas("")
        highs = [
            limit.high
            for limit in self.managed.guard.limits
            if limit.lever in {prefix, names.lever_replicas(self.managed.stable_pool)}
        ]
        others = sum(r.pool != self.managed.stable_pool for r in self.there)
        return max(highs, default=float(len(self.there) + 1)) + others


def _pools(managed: Managed, world: Snapshot) -> tuple[str, ...]:
    """Return the pools in the order of the twin's variants: stable, fallback, a third."""
    named = [managed.stable_pool]
    if managed.fallback_pool is not None:
        named.append(managed.fallback_pool)
    others = sorted({r.pool for r in world.replicas} - set(named))
    return tuple((named + others)[:VARIANTS])


def _three(values: list[float], rest: float) -> tuple[float, float, float]:
    """Return one number for each variant."""
    padded = (*values, *[rest] * (VARIANTS - len(values)))
    return padded[0], padded[1], padded[2]


def _or(value: float, other: float) -> float:
    return other if math.isnan(value) else value
