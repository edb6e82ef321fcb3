"""A deployment as it stands, in the twin's words: read back and measured, nothing guessed."""

import math
from dataclasses import dataclass
from typing import Final

from homeostat.twin.shapes import VARIANTS, Phase

_SERVING: Final = frozenset({Phase.READY, Phase.DRAINING, Phase.HUNG})
UNBOUNDED: Final = 1e6  # a limit that nobody told the twin of


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One replica as it stands.

    Attributes:
        name: As the world calls it.
        variant: Which pool it serves.
        phase: Where in its life it is.
        jobs: Requests it holds; NaN = not known.
        memory_gib: In use; NaN = not known.
    """

    name: str
    variant: int
    phase: Phase
    jobs: float = math.nan
    memory_gib: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What is forecast of the load for one moment.

    Attributes:
        seconds: From now.
        quantiles: The rate over that of now with probability 5 %, 50 % and 95 %.
    """

    seconds: float
    quantiles: tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A deployment as it stands: what is read back and what is measured, nothing guessed.

    Attributes:
        rate_rps: Attempts per second that arrive, as the gateway counts them.
        requests: How many of them the rate was counted from.
        slots: Replicas, sorted by variant, as the twin lays them out.
        weights: Traffic shares of the variants, sum 1 [V].
        batch_max: Largest batch in force.
        wanted: Replicas that are asked for, of each variant; NaN = as many as there are [V].
        pools: What the variants are called.
        concurrency: Requests one replica holds; NaN = no limit known.
        in_flight_limit: Requests the gateway lets be in flight; 0 = no limit.
        median_s: Median latency; NaN = not known.
        mean_batch: Mean batch of the stable pool; NaN = not known.
        memory_limit_gib: Of a replica; NaN = not known.
        usd_per_hour: Price of a replica.
        most: Most replicas the policy allows.
        spares: Warm spare processes.
        failing: Share of the attempts that fail; NaN = not known.
        ahead: Forecast of the load, soonest first; empty = there is none.
        latency_ms: p95 that was promised.
        error_ratio: That was promised.
    """

    rate_rps: float
    requests: float
    slots: tuple[Slot, ...]
    weights: tuple[float, float, float]
    batch_max: float
    latency_ms: float
    error_ratio: float
    wanted: tuple[float, float, float] = (math.nan, math.nan, math.nan)
    pools: tuple[str, ...] = ("a", "b", "canary")
    concurrency: float = math.nan
    in_flight_limit: float = 0.0
    median_s: float = math.nan
    mean_batch: float = math.nan
    memory_limit_gib: float = math.nan
    usd_per_hour: float = 0.0
    most: float = 32.0
    spares: float = 0.0
    failing: float = math.nan
    ahead: tuple[Ahead, ...] = ()

    def __post_init__(self) -> None:
        """Refuse replicas in another order than the twin's.

        Raises:
            ValueError: They are not sorted by variant.
        """
        order = [slot.variant for slot in self.slots]
        if order != sorted(order):
            raise ValueError(f"replicas sorted by variant are asked for, got variants {order}")

    @property
    def peak_rps(self) -> float:
        """The highest rate that is as likely as not, now or ahead."""
        return self.rate_rps * max([1.0, *(one.quantiles[1] for one in self.ahead)])

    @property
    def unread_memory(self) -> tuple[str, ...]:
        """Replicas that serve under a memory limit and whose memory in use nobody read."""
        if not math.isfinite(self.memory_limit_gib):
            return ()
        return tuple(
            slot.name
            for slot in self.slots
            if slot.phase in _SERVING and math.isnan(slot.memory_gib)
        )

    @property
    def target(self) -> tuple[float, ...]:
        """Replicas that are to be there, of each variant [V]."""
        there = [sum(slot.variant == at for slot in self.slots) for at in range(VARIANTS)]
        pairs = zip(self.wanted, there, strict=True)
        return tuple(float(count) if math.isnan(asked) else asked for asked, count in pairs)
