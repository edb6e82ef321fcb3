"""Hedge loses little to the best policy in hindsight, whatever the losses, and says its chances."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.policy import hedge


def regret(losses: np.ndarray) -> np.ndarray:
    """Expected regret after each round `[T]`."""
    state, paid = hedge.init(losses.shape[1]), []
    for row in losses:
        paid.append(float(hedge.weights(state) @ row))
        state = hedge.step(state, row)
    return np.asarray(np.cumsum(paid) - np.cumsum(losses, axis=0).min(axis=1))


@given(
    seed=st.integers(0, 1000), policies=st.sampled_from([2, 6, 64]),
    shape=st.sampled_from(["even", "best", "turns", "spite"]),
)  # fmt: skip
def test_regret_stays_below_the_bound_at_every_round(seed: int, policies: int, shape: str) -> None:
    rng = np.random.default_rng(seed)
    losses = rng.random((120, policies))
    if shape == "best":
        losses[:, 0] *= 0.5
    if shape == "turns":
        losses[:60, 0], losses[60:, 0] = 0.0, 1.0
    if shape == "spite":
        losses = np.tile(np.eye(policies), (120, 1))[:120]
    for t, value in enumerate(regret(losses), start=1):
        assert value <= hedge.bound(t, policies)


def test_a_round_that_is_not_scored_in_full_changes_no_weight() -> None:
    state = hedge.step(hedge.init(2), np.array([0.0, 1.0]))
    after = hedge.step(state, np.array([math.nan, 0.0]))
    assert hedge.weights(after).tolist() == hedge.weights(state).tolist()
    assert (after.rounds, after.unknown) == (1, 1)


def test_who_is_not_permitted_gets_nothing() -> None:
    state = hedge.step(hedge.init(3), np.array([0.0, 1.0, 1.0]))
    shares = hedge.weights(state, np.array([False, True, True]))
    assert shares.tolist() == [0.0, 0.5, 0.5]
    with pytest.raises(ValueError, match="hold"):
        hedge.weights(state, np.zeros(3, dtype=bool))


@given(shares=st.lists(st.sampled_from([0.0, 0.25, 0.5]), min_size=2, max_size=5))
def test_chances_are_the_shares_of_rolls(shares: list[float]) -> None:
    if sum(shares) == 0.0:
        shares[0] = 1.0
    even = np.array(shares) / sum(shares)
    rolls = [*((np.arange(200) + 0.5) / 200), 0.0, math.nextafter(1.0, 0.0)]
    drawn = [hedge.picked(even, float(roll)) for roll in rolls]
    counts = np.bincount([number for number, _ in drawn], minlength=len(even)) / len(rolls)
    assert counts == pytest.approx(even, abs=0.02)
    assert all(chance == even[number] > 0.0 for number, chance in drawn)


def test_losses_of_another_number_of_policies_are_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        hedge.step(hedge.init(2), np.zeros(3))
