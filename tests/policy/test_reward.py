"""Rewards say what they charge; HASH's is as written, and what it asks for is shown."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.policy.reward import (
    HashWeights,
    Level,
    Service,
    hash_reward,
    least_reward,
    level_reward,
)

SOME = st.floats(0.0, 1e3)
SEEN = st.builds(
    Service,
    latency_ms=SOME,
    throughput_rps=SOME,
    error_ratio=st.floats(0.0, 1.0),
    usd_per_hour=SOME,
    violated=st.floats(0.0, 1.0),
    quality_loss=st.floats(0.0, 1.0),
)
MOST_REPLICAS = 8
LOAD = 5.5  # in units of what one replica serves: six are needed


def served(replicas: int) -> Service:
    """A station with so many replicas: what does not fit is late and fails (fluid limit)."""
    missing = max(LOAD - replicas, 0.0)
    return Service(
        latency_ms=100.0 + 100.0 * missing,
        throughput_rps=100.0 * min(LOAD, replicas),
        error_ratio=missing / LOAD,
        usd_per_hour=float(replicas),
        violated=float(missing > 0.0),
        quality_loss=0.0,
    )


def settled(reward: Callable[[Service, Service], float], discount: float) -> int:
    """Replicas at which the best policy rests, by value iteration; it starts with enough."""
    counts = range(1, MOST_REPLICAS + 1)
    worth = dict.fromkeys(counts, 0.0)

    def after(n: int) -> list[int]:
        return [m for m in (n - 1, n, n + 1) if m in worth]

    def gain(n: int, m: int) -> float:
        return reward(served(n), served(m)) + discount * worth[m]

    for _ in range(800):
        worth = {n: max(gain(n, m) for m in after(n)) for n in counts}
    now = 6
    for _ in range(20):
        now = max(after(now), key=lambda m: gain(now, m))
    return now


# Weights that look as if service came first: 100 ms, 100 answers a second and all errors are worth
# 0.3, 0.3 and 1; a replica costs a tenth.
MODEST = HashWeights(latency=0.003, throughput=0.003, errors=1.0, resources=0.1)


def test_hash_reward_starves_the_service_that_the_level_reward_keeps() -> None:
    level = Level(budget_usd_per_hour=float(MOST_REPLICAS), quality_known=True)
    assert settled(lambda a, b: hash_reward(MODEST, a, b), 0.99) == 1
    assert settled(lambda a, b: level_reward(level, b, 1.0), 0.99) == 6


def test_hash_reward_starves_less_where_the_future_counts_less() -> None:
    """It is the factor 1 - g that does it: the same weights keep the service for a short sight."""
    assert settled(lambda a, b: hash_reward(MODEST, a, b), 0.5) == 6


@given(path=st.lists(SEEN, min_size=2, max_size=8))
def test_all_but_the_cost_of_hash_reward_cancels_over_a_path(path: list[Service]) -> None:
    weights = HashWeights()
    total = sum(hash_reward(weights, a, b) for a, b in itertools.pairwise(path))
    ends = hash_reward(weights, path[0], path[-1])
    between = sum(seen.usd_per_hour for seen in path[1:-1])
    assert total == pytest.approx(ends - between, abs=1e-6)


def test_each_term_of_hash_reward_has_its_weight_and_sign() -> None:
    before = Service(
        latency_ms=1.0, throughput_rps=2.0, error_ratio=0.1, usd_per_hour=9.0, violated=0.0
    )
    after = Service(
        latency_ms=4.0, throughput_rps=7.0, error_ratio=0.3, usd_per_hour=11.0, violated=0.0
    )
    weights = HashWeights(latency=1.0, throughput=10.0, errors=100.0, resources=1000.0)
    assert hash_reward(weights, before, after) == pytest.approx(-3.0 + 50.0 - 20.0 - 11000.0)


def test_the_level_reward_is_in_hourly_budgets() -> None:
    level = Level(violation=10.0, quality=5.0, cost=1.0, budget_usd_per_hour=4.0)
    seen = Service(
        latency_ms=1.0, throughput_rps=1.0, error_ratio=0.0, usd_per_hour=2.0, violated=0.25,
        quality_loss=0.1,
    )  # fmt: skip
    assert level_reward(level, seen, 2.0) == pytest.approx(-2.0 * (2.5 + 0.5))
    known = Level(budget_usd_per_hour=4.0, quality_known=True)
    assert level_reward(known, seen, 1.0) == pytest.approx(-(2.5 + 0.5 + 0.5))


def test_what_is_not_known_makes_the_reward_unknown_and_not_good() -> None:
    seen = served(6)
    blind = Service(
        latency_ms=1.0, throughput_rps=1.0, error_ratio=0.0, usd_per_hour=1.0, violated=math.nan
    )
    assert math.isnan(level_reward(Level(budget_usd_per_hour=1.0), blind, 1.0))
    labels = Level(budget_usd_per_hour=1.0, quality_known=True)
    unlabelled = Service(
        latency_ms=1.0, throughput_rps=1.0, error_ratio=0.0, usd_per_hour=1.0, violated=0.0
    )
    assert math.isnan(level_reward(labels, unlabelled, 1.0))
    dark = Service(
        latency_ms=math.nan, throughput_rps=1.0, error_ratio=0.0, usd_per_hour=1.0, violated=0.0
    )
    assert math.isnan(hash_reward(HashWeights(), seen, dark))


@given(seen=SEEN)
def test_the_level_reward_stays_between_its_bounds(seen: Service) -> None:
    level = Level(budget_usd_per_hour=2.0, quality_known=True)
    assert least_reward(level, 0.5, 1e3) <= level_reward(level, seen, 0.5) <= 0.0


@pytest.mark.parametrize("budget", [0.0, -1.0, math.nan, math.inf])
def test_a_budget_that_measures_nothing_is_refused(budget: float) -> None:
    with pytest.raises(ValueError, match="budget_usd_per_hour"):
        Level(budget_usd_per_hour=budget)


def test_a_stretch_without_length_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than 0 h"):
        level_reward(Level(budget_usd_per_hour=1.0), served(3), 0.0)


def test_values_are_plain_numbers() -> None:
    assert isinstance(level_reward(Level(budget_usd_per_hour=1.0), served(3), 1.0), float)
    assert not isinstance(hash_reward(HashWeights(), served(3), served(4)), np.generic)
