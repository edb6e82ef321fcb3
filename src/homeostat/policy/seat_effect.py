"""What came of a choice, and what was foreseen of one, in the numbers that the seat learns from.

Reward is the level reward (`reward`) in shares of the worst hour: -1 is an hour in which the
objectives were missed throughout and the whole budget was spent. It charges each scrape of the
horizon, so that whoever recovers sooner has more. Costs are two shares in 0..1: of
ending outside the objectives, and of requests that failed, one in twenty of which is as bad as is
told apart. All of them can be foreseen by a twin and measured afterwards; what cannot be is left
out.
"""

import math
from typing import Final

from homeostat.base import names
from homeostat.base.learning import Awaited, Payoff, Tally
from homeostat.base.policy import Managed
from homeostat.base.rehearsal import MOST_FAILED, Prospect
from homeostat.policy.levers import limit_of
from homeostat.policy.reward import Level, Service, level_reward

COSTS: Final = ("missed", "failed")
"""Names of the costs, in the order of their places."""
_KNOWN: Final = 0.5  # of the ticks: with fewer a mean speaks of another time


def room(missed: float, failed: float) -> tuple[float, float]:
    """Return how much a choice may add to each cost, from the limits of the policy."""
    return missed, failed / MOST_FAILED


def foreseen(prospect: Prospect | None, managed: Managed) -> tuple[float, ...]:
    """Return reward and costs as the twin foresees them of one candidate; NaN = not known."""
    if prospect is None:
        return (math.nan,) * (1 + len(COSTS))
    means = prospect.means
    if means is None:
        return (math.nan,) * (1 + len(COSTS))
    reward = _reward(managed, means.missed, means.usd_per_hour)
    return (reward, 1.0 - prospect.holds, means.failed)


def payoff(awaited: Awaited, managed: Managed) -> Payoff:
    """Return what was measured beside what was foreseen of the incumbent; NaN = not known.

    Args:
        awaited: The pick, with the sums of what was seen since. Harm that is its own is a miss
            throughout, however well it looks since it was undone.
        managed: The deployment's configuration.
    """
    tally = awaited.tally
    last = [met for met in tally.met if met is not None]
    known = len(last) > 0 and len(last) >= _KNOWN * len(tally.met)
    ended = sum(not met for met in last) / len(last) if known else math.nan
    missed = 1.0 if awaited.harm else ended
    violated = 1.0 if awaited.harm else _mean(tally, tally.missed)
    reward = _reward(managed, violated, _mean(tally, tally.spend))
    return Payoff(
        pick_id=awaited.pick.id,
        reward=reward,
        base_reward=awaited.base[0],
        costs=(missed, _failed(_mean(tally, tally.errors))),
        base_costs=awaited.base[1:],
    )


def latency(tally: Tally) -> float:
    """Return the mean p95 over the ticks of which it is known, milliseconds; NaN = not known."""
    return _mean(tally, tally.latency)


def _mean(tally: Tally, part: tuple[int, float]) -> float:
    """Return the mean of what was known, NaN where that was less than half of the ticks."""
    known, total = part
    return total / known if known and known >= _KNOWN * tally.ticks else math.nan


def _failed(error_ratio: float) -> float:
    # min() of NaN and a number depends on their order; NaN has to come back as it is.
    return error_ratio if math.isnan(error_ratio) else min(error_ratio / MOST_FAILED, 1.0)


def _reward(managed: Managed, violated: float, usd_per_hour: float) -> float:
    level = _level(managed)
    seen = Service(
        latency_ms=math.nan, throughput_rps=math.nan, error_ratio=math.nan,
        usd_per_hour=usd_per_hour if level.cost else 0.0, violated=violated,
    )  # fmt: skip
    return level_reward(level, seen, hours=1.0 / (level.violation + level.cost))


def _level(managed: Managed) -> Level:
    """Return what the reward weighs: spending only where somebody named a price.

    Without a budget it is measured in what the most replicas that are permitted would cost.
    """
    guard = managed.guard
    budget = guard.budget_usd_per_hour
    if budget is None:
        most = limit_of(guard, names.lever_replicas(managed.stable_pool))
        budget = managed.replica_usd_per_hour * (most.high if most is not None else 0.0)
    if not 0.0 < budget < math.inf:
        return Level(cost=0.0, budget_usd_per_hour=1.0)
    return Level(budget_usd_per_hour=budget)
