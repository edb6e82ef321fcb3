"""The grid on which the twin's kernel is held to the reference, and the reference's side of it.

Every combination of the variation of service times and of arrivals, the balancer, the number of
replicas and the largest batch that the lab's deployments lie between, at three loads. Where
arrivals are Poisson and the balancer looks at nothing, every replica is a queue of its own and the
closed form is exact; everything else is simulated. The tests keep what was measured, and measure a
part of it anew.
"""

import itertools
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from homeostat.lab.reference import Routing
from homeostat.lab.reference_pool import Mean, mean_latency
from homeostat.lab.reference_station import Station
from homeostat.twin import closed_forms

TAU0_S: Final = 0.02
ALPHA_S: Final = 0.002
LOADS: Final = (0.5, 0.8, 0.95)
_MOST_AT_EASE: Final = 0.8
# Counted arrivals of all runs, by load: standard errors of 0.2 to 1.2 %.
_ARRIVALS: Final = {0.5: 1_000_000, 0.8: 3_000_000, 0.95: 12_000_000}
# Of one run, for each replica: as many arrivals, and full batches, as it takes to forget an empty
# start. With a quarter of the batches (32 at 0.8, cv2 1) the mean was 6 % short of the exact one.
_EACH: Final = {0.5: 1_000, 0.8: 2_000, 0.95: 8_000}
_BATCHES: Final = {0.5: 125, 0.8: 250, 0.95: 8_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One combination.

    Attributes:
        cv2: Squared coefficient of variation of service times.
        ca2: The same of the times between arrivals at the pool.
        routing: `random` or `p2c`.
        replicas: How many.
        batch: Largest.
        load: Arrivals over what they serve in full batches.
    """

    cv2: float
    ca2: float
    routing: str
    replicas: int
    batch: int
    load: float

    @property
    def name(self) -> str:
        """What people call it."""
        return (
            f"cv2 {self.cv2:g}, ca2 {self.ca2:g}, {self.routing}, {self.replicas} replicas, "
            f"batch {self.batch}, load {self.load:g}"
        )

    @property
    def gate(self) -> float:
        """How far the kernel's mean may be from the reference's, relative."""
        return 0.02 if self.load <= _MOST_AT_EASE else 0.05

    @property
    def is_exact(self) -> bool:
        """True where the closed form holds; near full load it may need too many states."""
        return self.ca2 == 1.0 and (self.routing == Routing.RANDOM or self.replicas == 1)


def cells() -> Iterator[Cell]:
    """Yield the grid; one replica alone is the same under both balancers and is there once."""
    every = itertools.product(
        (0.3, 1.0), (1.0, 1.5), (Routing.RANDOM, Routing.TWO_CHOICES), (1, 4), (1, 8, 32), LOADS
    )
    for cv2, ca2, routing, replicas, batch, load in every:
        if replicas > 1 or routing == Routing.RANDOM:
            yield Cell(
                cv2=cv2, ca2=ca2, routing=routing.value, replicas=replicas, batch=batch, load=load
            )


def measured(cell: Cell, *, seed: int = 1, share: float = 1.0) -> Mean:
    """Return the reference's mean latency.

    Args:
        cell: The combination.
        seed: Equal seeds give equal means.
        share: Of the usual number of arrivals that is simulated.
    """
    station = Station(tau0_s=TAU0_S, alpha_s=ALPHA_S, batch_max=cell.batch, cv2=cell.cv2)
    if cell.is_exact:
        with suppress(ValueError):  # of too many states: then it is simulated too
            rate = cell.load * station.capacity
            exact = closed_forms.batch_queue(rate, TAU0_S, ALPHA_S, cell.batch, cv2=cell.cv2)
            return Mean(seconds=exact.latency_s, error=0.0, arrivals=0)
    each = max(_EACH[cell.load], _BATCHES[cell.load] * cell.batch) * cell.replicas
    return mean_latency(
        station,
        cell.load,
        replicas=cell.replicas,
        routing=Routing(cell.routing),
        ca2=cell.ca2,
        runs=max(round(share * _ARRIVALS[cell.load] / each), 50),
        arrivals=each,
        seed=seed,
    )
