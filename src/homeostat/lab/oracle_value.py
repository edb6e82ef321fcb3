"""What plans of the oracle come to when they are looked ahead in the twin.

As J in `metrics_score`: violated hours at so many hourly budgets each, and the spend, in hourly
budgets. Which harm an own change did takes the HOLD counterfactual: here is only what is needed to
tell. The look ahead runs the very program that plays the episode, so what it foresees comes true
to the bit; that needs batches of the same width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from homeostat.lab.judge_view import array, column
from homeostat.lab.oracle_harm import harm
from homeostat.lab.thresholds import FROZEN
from homeostat.lab.types import Episode
from homeostat.lab.world import Batch
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Truth
from homeostat.twin.shapes import SCRAPE_S, TICK_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What plans come to.

    Attributes:
        budgets: Violation cost and spend over the horizon, in hourly budgets [C].
        short: Capacity below organic demand [C, ticks], bool.
        destroyed: Whether the last healthy replica or rollback target was [C].
        harm: Risk weights of what else plans would cause (`oracle_harm`) [C].
    """

    budgets: np.ndarray
    short: np.ndarray
    destroyed: np.ndarray
    harm: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised:
    """What episodes are held to, each [N, 1]."""

    availability: np.ndarray
    p99_s: np.ndarray
    floor: np.ndarray
    budget_usd_per_hour: np.ndarray

    @classmethod
    def to(cls, episodes: Sequence[Episode]) -> "Promised":
        """Read it from the episodes."""
        some = tuple(episodes)
        return cls(
            availability=column(some, lambda p: p.promise.availability),
            p99_s=column(some, lambda p: p.promise.p99_s),
            floor=column(some, lambda p: p.quality.floor),
            budget_usd_per_hour=column(some, lambda p: p.money.budget_usd_per_hour),
        )

    def rate(self, truth: Truth) -> np.ndarray:
        """Return violation cost and spend of each tick, hourly budgets per hour [N, T].

        Violated is what `judge_view.violated` says.
        """
        offered = array(truth.offered)
        slack = 1e-3 * (1.0 - self.availability) * offered
        violated = array(truth.good) < self.availability * offered - slack
        violated |= array(truth.p99_s) > self.p99_s
        violated |= array(truth.quality) < self.floor
        spend = array(truth.usd_per_hour) / self.budget_usd_per_hour
        return np.asarray(FROZEN.value_budgets * violated + spend)


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What has been until now, as far back as the judge looks; the same seconds for all.

    Attributes:
        truth: What was [N, P ticks, ...].
        orders: Those in force [N, P scrapes, ...].
        hold: What comes of holding, in these seconds and in those looked ahead [N, P + H ticks].
    """

    truth: Truth
    orders: Orders
    hold: Truth


def look(batch: Batch, index: np.ndarray, plans: Orders, past: Past | None = None) -> Outlook:
    """Return what plans come to from a batch's present states, which stay as they are.

    Args:
        batch: The episodes as they stand.
        index: Episode of each plan [C]; as many as the batch is wide, at most.
        plans: Orders of the scrapes to come [C, H, ...].
        past: What was, and what comes of holding; None = no harm is looked for.
    """
    count = len(index)
    full = jnp.asarray(np.concatenate([index, np.repeat(index[-1:], batch.width - count)]))
    params, faults, state = jax.tree.map(
        lambda leaf: leaf[full], (batch.params, batch.faults, batch.state)
    )
    episodes = [batch.episodes[i] for i in index]
    promised = Promised.to(episodes)
    scrapes = np.asarray(plans.admit_rps).shape[1]
    budgets = np.zeros(count)
    short = np.zeros((count, scrapes * SCRAPE_S), bool)
    destroyed = np.zeros(count, bool)
    parts: list[Truth] = []
    for at in range(scrapes):
        orders = batch.filled(jax.tree.map(lambda leaf, at=at: leaf[:, at], plans))
        state, truth, _ = batch.steps.advance(params, faults, state, orders)
        seen: Truth = jax.tree.map(lambda leaf: np.asarray(leaf)[:count], truth)
        budgets += promised.rate(seen).sum(axis=1) * (TICK_S / 3600.0)
        short[:, at * SCRAPE_S : (at + 1) * SCRAPE_S] = array(seen.capacity) < array(seen.demand)
        destroyed |= np.asarray(seen.destroyed).any(axis=1)
        parts.append(seen)
    caused = np.zeros(count)
    if past is not None:
        was, hold, told = jax.tree.map(
            lambda leaf: leaf[index], (past.truth, past.hold, past.orders)
        )
        whole: Truth = jax.tree.map(lambda *leaves: np.concatenate(leaves, axis=1), was, *parts)
        orders = jax.tree.map(lambda a, b: np.concatenate([a, b], axis=1), told, plans)
        caused = harm(episodes, whole, hold, orders)
    return Outlook(budgets=budgets, short=short, destroyed=destroyed, harm=caused)
