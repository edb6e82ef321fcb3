"""The parts of PPO against their definitions: masks, advantages, the rate, the settings."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.learn import ppo_masked, ppo_rate
from homeostat.learn.ppo_advantage import advantages
from homeostat.learn.ppo_config import Config, HashRate, Limit
from homeostat.learn.ppo_net import greedy, logits, start

pytestmark = pytest.mark.slow

ACTIONS = 5
numbers = st.lists(st.floats(-1e4, 1e4), min_size=ACTIONS, max_size=ACTIONS)
masks = st.lists(st.booleans(), min_size=ACTIONS, max_size=ACTIONS).filter(any)


@settings(max_examples=30)
@given(numbers, masks)
def test_probabilities_are_those_of_a_softmax_over_what_is_allowed(
    given_logits: list[float], mask: list[bool]
) -> None:
    found = np.asarray(
        ppo_masked.log_probabilities(jnp.array(given_logits, jnp.float32), jnp.array(mask))
    )
    allowed = np.array(given_logits, np.float32).astype(float)[mask]
    wanted = allowed - allowed.max() - np.log(np.exp(allowed - allowed.max()).sum())
    np.testing.assert_allclose(found[mask], wanted, rtol=1e-4, atol=1e-4)
    assert np.isneginf(found[~np.array(mask)]).all()
    p = np.exp(wanted)
    entropy = -np.sum(np.where(p > 0, p * np.where(p > 0, wanted, 0.0), 0.0))
    measured = float(ppo_masked.entropy(jnp.asarray(found)))
    assert measured == pytest.approx(entropy, abs=1e-3)


def test_a_forbidden_logit_has_no_gradient_and_no_part_in_the_entropy() -> None:
    mask = jnp.array([True, True, False, False, False])

    def both(values: Any) -> Any:
        log_p = ppo_masked.log_probabilities(values, mask)
        return ppo_masked.entropy(log_p) + log_p[0]

    slope = np.asarray(jax.grad(both)(jnp.array([0.3, -0.2, 9.0, 1e30, -5.0])))
    assert np.isfinite(slope).all()
    assert (slope[2:] == 0.0).all()
    assert (slope[:2] != 0.0).all()
    even = ppo_masked.log_probabilities(jnp.zeros(ACTIONS), mask)
    assert float(ppo_masked.entropy(even)) == pytest.approx(math.log(2.0), rel=1e-5)


def test_a_forbidden_action_is_never_drawn_however_much_the_network_wants_it() -> None:
    mask = jnp.array([True, False, True, True, False])
    wish = jnp.array([0.0, 50.0, 1.0, -30.0, 1e30])
    rows = jnp.broadcast_to(ppo_masked.log_probabilities(wish, mask), (20_000, ACTIONS))
    found = np.bincount(np.asarray(ppo_masked.drawn(jax.random.PRNGKey(3), rows)), minlength=5)
    assert found[1] == found[4] == 0
    assert found[2] / found[[0, 2]].sum() == pytest.approx(math.e / (1.0 + math.e), abs=0.015)


def test_what_is_forbidden_at_its_execution_becomes_holding_still_and_is_told() -> None:
    action, refused = ppo_masked.executed(
        jnp.array([2, 1]), jnp.array([[True, True, False], [True, True, True]])
    )
    assert action.tolist() == [0, 1]
    assert refused.tolist() == [True, False]
    with pytest.raises(ppo_masked.MaskedActionError, match="action 2 is masked now"):
        ppo_masked.checked(2, [True, True, False])
    with pytest.raises(ppo_masked.MaskedActionError, match="action -1"):
        ppo_masked.checked(-1, [True, True, True])
    assert ppo_masked.checked(np.int32(1), [True, True, False]) == 1


def test_a_policy_served_by_numpy_does_what_the_trained_one_does_and_keeps_to_the_mask() -> None:
    rng = np.random.default_rng(4)
    weights = start(rng, 7, (8, 8), ACTIONS, 2)
    seen = rng.standard_normal((50, 7)).astype(np.float32)
    mask = rng.random((50, ACTIONS)) < 0.5
    mask[:, 0] = True
    compiled = jnp.where(jnp.asarray(mask), logits(jnp, weights, jnp.asarray(seen)), -jnp.inf)
    np.testing.assert_array_equal(greedy(weights, seen, mask), np.argmax(compiled, axis=-1))
    first = weights.policy[0]
    np.testing.assert_allclose(first @ first.T, 2.0 * np.eye(7), atol=1e-5)  # orthogonal, gain 2


@pytest.mark.parametrize(("ended", "cut"), [(True, False), (False, True)])
def test_advantages_are_sums_of_surprises_to_the_end_of_the_episode(
    *, ended: bool, cut: bool
) -> None:
    rng = np.random.default_rng(1)
    steps, discount, trace = 7, 0.9, 0.8
    reward, value, after = rng.standard_normal((3, steps, 2, 3)).astype(np.float32)
    stops, over = np.zeros((steps, 2), bool), np.zeros((steps, 2), bool)
    stops[3, 0], over[3, 0] = ended, ended or cut
    found = np.asarray(
        advantages(
            jnp.asarray(reward), jnp.asarray(value), jnp.asarray(after),
            ended=jnp.asarray(stops), over=jnp.asarray(over), discount=discount, trace=trace,
        )
    )  # fmt: skip
    comes = np.where(stops[..., None], 0.0, discount * after)
    surprise = reward + comes - value
    for place, begin in np.ndindex(2, steps):
        last = 3 if place == 0 and over[3, 0] and begin <= 3 else steps - 1
        weights = (discount * trace) ** np.arange(last + 1 - begin)
        wanted = weights @ surprise[begin : last + 1, place]
        np.testing.assert_allclose(found[begin, place], wanted, atol=1e-5)


def test_as_hash_wrote_it_the_rate_forgets_all_but_the_first_and_the_last_return() -> None:
    rule, first = HashRate(beta=0.1, as_written=True), 1e-3
    returns = [-20.0, 3.0, -7.5, 11.0, 30.0, -4.0, 2.0]
    rate = ppo_rate.begin(first)
    for found in returns:
        rate = ppo_rate.follow(rule, first, rate, jnp.float32(found))
    wanted = first * math.exp(rule.beta * (returns[-1] - returns[0]))
    assert float(rate.now) == pytest.approx(wanted, rel=1e-4)
    far = ppo_rate.follow(rule, first, rate, jnp.float32(287.0))  # a policy that became good
    assert float(far.now) > 1e10 * first


@settings(max_examples=20)
@given(st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), min_size=1, max_size=12))
def test_the_rate_that_is_used_stays_within_its_bounds_and_ignores_what_is_unknown(
    returns: list[float],
) -> None:
    rule, first = HashRate(beta=5.0), 1e-3
    rate = ppo_rate.begin(first)
    for found in returns:
        before = rate
        rate = ppo_rate.follow(rule, first, rate, jnp.float32(found))
        assert 0.0999 * first <= float(rate.now) <= 3.0001 * first
        if math.isnan(found):
            assert float(rate.now) == float(before.now)
            assert float(rate.returns) == float(before.returns)


def test_the_rate_moves_by_standard_deviations_of_the_returns_so_far() -> None:
    rates = [ppo_rate.begin(1.0)]
    for found in (1.0, 3.0, 2.0):  # mean 2, deviation 1: the last change is -1 of them
        rates += [ppo_rate.follow(HashRate(beta=0.1), 1.0, rates[-1], jnp.float32(found))]
    assert float(rates[-1].now / rates[-2].now) == pytest.approx(math.exp(-0.1), rel=1e-5)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"environments": 0}, "environments must be 1 or more, got 0"),
        ({"minibatches": 3}, "do not make 3 equal minibatches"),
        ({"discount": 1.01}, r"discount must be in 0\.\.1, got 1\.01"),
        ({"rate": 0.0}, "rate must be above 0"),
        ({"reward_scale": math.nan}, "reward_scale must be above 0, got nan"),
        ({"most_kl": -1.0}, "most_kl must be above 0"),
        ({"entropy_weight": -0.1}, "entropy_weight must be 0 or more"),
        ({"hidden": (8, 0)}, "hidden layers need 1 unit"),
    ],
)
def test_settings_that_no_run_can_have_are_refused_by_name(
    wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Config(**wrong)


def test_a_limit_needs_a_price_that_can_rise() -> None:
    with pytest.raises(ValueError, match="limit lost: most must be 0 or more"):
        Limit(name="lost", most=-1.0)
    with pytest.raises(ValueError, match="gain and most_multiplier"):
        Limit(name="lost", most=0.1, gain=0.0)
    with pytest.raises(ValueError, match="beta must be finite"):
        HashRate(beta=math.inf)
