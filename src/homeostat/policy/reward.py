"""Rewards: what a policy is asked to maximise, in stated units. Two of them.

`level_reward` is the default. It charges what is wrong now, per hour, in hourly budgets of the
deployment, so that a large deployment counts no more than a small one:

    r = -(violation * bad + quality * worse + cost * usd / budget) * hours

`hash_reward` is HASH's, exactly as written (section 3.2), and is there as an option:

    R = w1 (-LatencyDelta) + w2 (+ThroughputDelta) + w3 (-ErrorDelta) + w4 (-ResourceCost)

It starves the service. Write Phi = -w1 latency + w2 throughput - w3 errors. The first three terms
are Phi' - Phi = (g Phi' - Phi) + (1 - g) Phi' for a discount g: the first part is potential-based
shaping, which changes no policy's rank (Ng, Harada & Russell, ICML 1999); what is left is the level
of the service weighed by 1 - g against a resource cost weighed by 1. At g = 0.99 a replica costs a
hundred times what the paper's weights seem to say. `tests/policy/test_reward.py` solves it.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A deployment over one stretch; NaN = not known.

    Attributes:
        latency_ms: p95 of latency, milliseconds.
        throughput_rps: Answers per second.
        error_ratio: Failed / answered, 0..1.
        usd_per_hour: Spend.
        violated: Share of the stretch in which the objectives were missed, 0..1.
        quality_loss: Share of answers that are worse than promised, 0..1; NaN where no labels
            come, which the default reward counts as unknown, not as good.
    """

    latency_ms: float
    throughput_rps: float
    error_ratio: float
    usd_per_hour: float
    violated: float
    quality_loss: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class HashWeights:
    """The four weights of HASH's reward; the paper prints none, so each is 1 per its unit.

    Attributes:
        latency: w1, per millisecond.
        throughput: w2, per request and second.
        errors: w3, per unit of the error ratio.
        resources: w4, per USD and hour.
    """

    latency: float = 1.0
    throughput: float = 1.0
    errors: float = 1.0
    resources: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What the default reward weighs, in hourly budgets.

    Attributes:
        violation: An hour in which the objectives are missed throughout. The lab's value J charges
            hours of violation in the same unit, so that what is learnt is what is judged.
        quality: An hour in which every answer is worse than promised.
        cost: An hour's spend of exactly the budget.
        budget_usd_per_hour: What the deployment may spend in an hour.
        quality_known: Whether quality is measured here; without, its term is left out for all,
            never taken for zero loss of one and unknown of another.
    """

    violation: float = 10.0
    quality: float = 5.0
    cost: float = 1.0
    budget_usd_per_hour: float
    quality_known: bool = False

    def __post_init__(self) -> None:
        """Refuse a budget that nothing can be measured in.

        Raises:
            ValueError: The budget is not above 0.
        """
        if not 0.0 < self.budget_usd_per_hour < math.inf:
            raise ValueError(
                f"reward: budget_usd_per_hour must be above 0, got {self.budget_usd_per_hour}; "
                "the reward is counted in hourly budgets"
            )


def hash_reward(weights: HashWeights, before: Service, after: Service) -> float:
    """Return HASH's reward of a step, exactly as the paper writes it; see the module's warning.

    Args:
        weights: w1 to w4.
        before: The service at the last step.
        after: The service now; its spend is the resource cost.

    Returns:
        R, in the sum of the weights' units; NaN when something it reads is not known.

    >>> calm = Service(latency_ms=100, throughput_rps=50, error_ratio=0, usd_per_hour=2, violated=0)
    >>> hash_reward(HashWeights(), calm, calm)
    -2.0
    """
    return (
        weights.latency * -(after.latency_ms - before.latency_ms)
        + weights.throughput * (after.throughput_rps - before.throughput_rps)
        + weights.errors * -(after.error_ratio - before.error_ratio)
        + weights.resources * -after.usd_per_hour
    )


def level_reward(level: Level, seen: Service, hours: float) -> float:
    """Return the default reward of a stretch.

    Args:
        level: What is weighed.
        seen: The service over the stretch.
        hours: How long it was.

    Returns:
        At most 0, in hourly budgets; NaN when something it reads is not known.

    Raises:
        ValueError: The stretch has no length.

    >>> level = Level(budget_usd_per_hour=4.0)
    >>> calm = Service(latency_ms=100, throughput_rps=50, error_ratio=0, usd_per_hour=2, violated=0)
    >>> level_reward(level, calm, hours=1.0)
    -0.5
    """
    if not 0.0 < hours < math.inf:
        raise ValueError(f"reward: a stretch lasts longer than 0 h, got {hours}")
    charged = level.violation * seen.violated
    charged += level.cost * seen.usd_per_hour / level.budget_usd_per_hour
    if level.quality_known:
        charged += level.quality * seen.quality_loss
    return -charged * hours


def least_reward(level: Level, hours: float, most_usd_per_hour: float) -> float:
    """Return the lowest reward that a stretch can have: it bounds what a bandit has to learn."""
    worst = Service(
        latency_ms=math.inf, throughput_rps=0.0, error_ratio=1.0,
        usd_per_hour=most_usd_per_hour, violated=1.0, quality_loss=1.0,
    )  # fmt: skip
    return level_reward(level, worst, hours)
