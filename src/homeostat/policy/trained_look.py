"""What of a deployment a trained policy looks at: believed readings, pools, levers, prices.

What is not believed, not there or not said is NaN; nothing is filled in. A pool that the
configuration does not have is known to have no replicas.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from homeostat.base import names
from homeostat.base.evidence import Evidence, Quality
from homeostat.base.policy import Managed
from homeostat.base.world import ReplicaState, Snapshot
from homeostat.policy.levers import limit_of


class Look(NamedTuple):
    """One deployment on one tick.

    Attributes:
        values: Believed readings by subject and signal.
        ages_ns: Ages of the gateway's readings.
        managed: Its configuration.
        world: As read back.
    """

    values: Mapping[tuple[str, str], float]
    ages_ns: tuple[int, ...]
    managed: Managed
    world: Snapshot

    def value(self, subject: str, signal: str) -> float:
        """Return a believed reading, NaN for any other."""
        return self.values.get((subject, signal), math.nan)

    def gateway(self, signal: str) -> float:
        """Return a believed reading of the gateway."""
        return self.value(names.GATEWAY, signal)

    def lever(self, name: str) -> float:
        """Return a lever's live number, NaN where there is none."""
        live = self.world.lever(name)
        known = isinstance(live, int | float) and not isinstance(live, bool)
        return float(live) if known and isinstance(live, int | float) else math.nan

    def serving(self, pool: str | None = None) -> tuple[str, ...]:
        """Return the subjects of the replicas in rotation, of one pool or of all."""
        return tuple(
            names.replica(one.name)
            for one in self.world.replicas
            if one.state is ReplicaState.READY and pool in {None, one.pool}
        )

    def of_serving(self, signal: str, pool: str | None = None) -> list[float]:
        """Return a signal of each replica in rotation, NaN where it is not known."""
        return [self.value(one, signal) for one in self.serving(pool)]

    def high(self, lever: str) -> float:
        """Return the upper bound of a lever, NaN where it has none that is above 0."""
        limit = limit_of(self.managed.guard, lever)
        return limit.high if limit is not None and 0.0 < limit.high < math.inf else math.nan

    @property
    def places(self) -> float:
        """The most replicas that are permitted: in training, the slots of the deployment."""
        return self.high(names.lever_replicas(self.managed.stable_pool))

    def wanted(self) -> float:
        """Return how many replicas are ordered, of all pools; NaN where no pool says."""
        found = [
            self.lever(lever)
            for lever, _ in self.world.levers
            if lever.startswith(names.lever_replicas(""))
        ]
        return sum(found) if found else math.nan

    def price(self, pool: str) -> float:
        """Return what a replica of a pool costs in an hour, USD; NaN where nobody said."""
        if self.managed.money is not None:
            milli = self.managed.money.price(pool)
            return math.nan if milli is None else milli / 1000.0
        usual = self.managed.replica_usd_per_hour
        return usual if usual > 0.0 else math.nan

    def work(self, pool: str) -> float:
        """Return the work of a pool in ready replicas, NaN where one of them says too little.

        The rate at the batches seen, as training has it: what is used is never taken for less.
        """
        each = [
            1000.0 * size / took if took > 0.0 else math.nan
            for size, took in zip(
                self.of_serving(names.BATCH_SIZE, pool),
                self.of_serving(names.DEVICE_TIME, pool),
                strict=True,
            )
        ]
        usual = sum(each) / len(each) if each else math.nan
        rate = self.value(names.pool(pool), names.ARRIVAL_RATE)
        return rate / usual if usual > 0.0 else math.nan


def look(evidence: Evidence, managed: Managed) -> Look | None:
    """Return what there is to see, None where the deployment could not be read."""
    if evidence.world is None:
        return None
    values = {
        (one.subject, one.signal): one.value
        for one in evidence.readings
        if one.quality is Quality.GOOD and one.value is not None and math.isfinite(one.value)
    }
    ages = tuple(one.age_ns for one in evidence.readings if one.subject == names.GATEWAY)
    return Look(values, ages, managed, evidence.world)
