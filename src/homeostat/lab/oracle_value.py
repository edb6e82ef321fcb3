"""What a plan of the oracle comes to when it is looked ahead in the twin.

As J in `metrics_score`: violated hours at so many hourly budgets each, and the spend, in hourly
budgets. Which harm an own change did is left to who asks: it takes the HOLD counterfactual.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from homeostat.lab.thresholds import FROZEN
from homeostat.lab.world import Step
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Truth
from homeostat.twin.params import Params
from homeostat.twin.shapes import TICK_S


class Outlook(eqx.Module):
    """What a plan comes to; without the leading axis of candidates.

    Attributes:
        budgets: Violation cost and spend over the horizon, in hourly budgets.
        short: Capacity below organic demand [ticks], bool.
        destroyed: Whether the last healthy replica or rollback target was.
    """

    budgets: Array
    short: Array
    destroyed: Array


def rate(params: Params, truth: Truth) -> Array:
    """Return violation cost and spend of each tick, hourly budgets per hour.

    Violated is what `judge_view.violated` says.
    """
    slack = 1e-3 * (1.0 - params.promise.availability)
    unavailable = truth.good < (params.promise.availability - slack) * truth.offered
    slow = truth.p99_s > params.promise.p99_s
    poor = truth.quality < params.quality.floor
    violated = (unavailable | slow | poor).astype(jnp.float32)
    return FROZEN.value_budgets * violated + truth.usd_per_hour / params.money.budget_usd_per_hour


@eqx.filter_jit
def look(
    one: Step, batch: tuple[Any, Any, Any], index: Array, plans: Orders, left: Array
) -> Outlook:
    """Return what plans come to, from the present states.

    Args:
        one: The twin's step for one episode.
        batch: Parameters, faults and states of the batch.
        index: Episode of each plan [C].
        plans: Orders of the scrapes to come [C, H, ...].
        left: Scrapes until the episode ends; later ones count for nothing.
    """

    def each(which: Array, plan: Orders) -> Outlook:
        params, faults, state = jax.tree.map(lambda leaf: leaf[which], batch)

        def step(state: Any, orders: Orders) -> tuple[Any, Outlook]:
            state, truth, _ = one(params, faults, state, orders)
            budgets = rate(params, truth).sum() * (TICK_S / 3600.0)
            short = truth.capacity < truth.demand
            return state, Outlook(budgets=budgets, short=short, destroyed=truth.destroyed.any())

        _, seen = jax.lax.scan(step, state, plan)
        counts = jnp.arange(seen.budgets.shape[0]) < left
        return Outlook(
            budgets=jnp.where(counts, seen.budgets, 0.0).sum(),
            short=(seen.short & counts[:, None]).reshape(-1),
            destroyed=(seen.destroyed & counts).any(),
        )

    return jax.vmap(each)(index, plans)
