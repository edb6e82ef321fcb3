"""What training pays, from the truth of a scrape: `policy.reward` as arrays, and what is counted.

The level reward charges what is wrong now, in hourly budgets, as the lab's value J does. HASH's is
there as the paper writes it, and starves the service (see `policy.reward`).
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

import jax.numpy as jnp
from jax import Array

from homeostat.policy.reward import HashWeights, Level
from homeostat.twin.outputs import Truth
from homeostat.twin.params import Params

COSTS: Final = ("violation", "poor_quality", "over_budget", "lost", "pages", "actions")
"""Shares of a scrape in which the objectives were missed, quality was below its floor, spend above
its budget; share of requests lost by our own actions; persons told; changes made."""


class Kind(StrEnum):
    """Which reward."""

    LEVEL = "level"
    HASH = "hash"


_LEVEL: Final = Level(budget_usd_per_hour=1.0)  # for its weights; the budget is the deployment's


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """What is paid.

    Attributes:
        kind: Which reward.
        violation: An hour in which the objectives are missed throughout, in hourly budgets.
        quality: An hour in which every answer is worse than promised.
        cost: An hour's spend of exactly the budget.
        page: A person told. Nobody comes in training, so a page that cost nothing would be one
            more way of holding still.
        hash_weights: w1 to w4 of HASH's.
    """

    kind: Kind = Kind.LEVEL
    violation: float = _LEVEL.violation
    quality: float = _LEVEL.quality
    cost: float = _LEVEL.cost
    page: float = 0.1
    hash_weights: HashWeights = field(default_factory=HashWeights)


class Served(NamedTuple):
    """A deployment over one scrape; scalars, as `policy.reward.Service`."""

    latency_ms: Array
    throughput_rps: Array
    error_ratio: Array
    usd_per_hour: Array
    violated: Array
    quality_loss: Array


def served(deployment: Params, truth: Truth) -> Served:
    """Return the service over a scrape.

    Args:
        deployment: What was promised.
        truth: Second by second [ticks].

    Returns:
        Violated is what `judge_view.violated` says; what quality lacks of its floor is lost.
    """
    promise, floor = deployment.promise, deployment.quality.floor
    # Float32 sums of rates: a thousandth of the promised loss is below what they can tell.
    slack = 1e-3 * (1.0 - promise.availability) * truth.offered
    violated = truth.good < promise.availability * truth.offered - slack
    violated |= (truth.p99_s > promise.p99_s) | (truth.quality < floor)
    return Served(
        latency_ms=1000.0 * truth.p95_s.mean(),
        throughput_rps=truth.good.mean(),
        error_ratio=truth.errors.sum() / jnp.maximum(truth.attempts.sum(), 1e-6),
        usd_per_hour=truth.usd_per_hour.mean(),
        violated=violated.mean(),
        quality_loss=jnp.clip(floor - truth.quality, 0.0, 1.0).mean(),
    )


def paid(
    reward: Reward, deployment: Params, before: Served, after: Served, told: Array, hours: float
) -> Array:
    """Return the reward of a scrape.

    Args:
        reward: What is paid.
        deployment: Whose budget is the unit.
        before: The scrape before; NaN = there was none, and nothing has changed.
        after: This one.
        told: Bool: a person was told.
        hours: Length of the scrape.
    """
    if reward.kind is Kind.HASH:
        weights = reward.hash_weights

        def by(field: str) -> Array:
            change = getattr(after, field) - getattr(before, field)
            return jnp.where(jnp.isnan(change), 0.0, change)

        return (
            weights.latency * -by("latency_ms")
            + weights.throughput * by("throughput_rps")
            + weights.errors * -by("error_ratio")
            + weights.resources * -after.usd_per_hour
        )
    charged = reward.violation * after.violated + reward.quality * after.quality_loss
    charged += reward.cost * after.usd_per_hour / deployment.money.budget_usd_per_hour
    return -charged * hours - reward.page * told


def counted(deployment: Params, truth: Truth, told: Array, acted: Array) -> Array:
    """Return the costs of a scrape [COSTS]."""
    budget = deployment.money.budget_usd_per_hour
    return jnp.stack([
        served(deployment, truth).violated,
        (truth.quality < deployment.quality.floor).mean(),
        (truth.usd_per_hour > budget).mean(),
        truth.undrained.sum() / jnp.maximum(truth.offered.sum(), 1e-6),
        told.astype(jnp.float32),
        acted.astype(jnp.float32),
    ])
