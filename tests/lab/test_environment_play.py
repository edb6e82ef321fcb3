"""Stepping an environment from outside, and Gymnasium's classes around it where it is installed."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from homeostat.lab.environment_gym import NAME, register, single, stepped, vector
from homeostat.lab.environment_play import Play
from homeostat.learn.ppo_world import Result, Seen

pytestmark = pytest.mark.slow

LENGTH = 3


class State(NamedTuple):
    start: Array
    steps: Array


class Counter:
    """Begins at a drawn number, pays the action's number, forbids the last one at even steps."""

    observations = ("start", "steps")
    actions = ("hold", "one", "two")
    costs = ("cost",)
    world = ()

    def reset(self, world: Any, key: Array) -> tuple[State, Seen]:
        state = State(jax.random.uniform(key), jnp.float32(0.0))
        return state, self.seen(state)

    def mask(self, world: Any, state: State) -> Array:
        return (jnp.arange(3) < 2) | (state.steps % 2 == 1)

    def seen(self, state: State) -> Seen:
        numbers = jnp.stack([state.start, state.steps / LENGTH])
        return Seen(numbers, self.mask((), state))

    def step(self, world: Any, state: State, action: Array, key: Array) -> tuple[State, Result]:
        after = State(state.start, state.steps + 1.0)
        reward, over = action.astype(jnp.float32), after.steps >= LENGTH
        costs = jnp.full(1, 0.5)
        return after, Result(self.seen(after), reward, costs, jnp.asarray(a=False), over)


def test_the_same_seed_is_the_same_play_and_another_one_is_not() -> None:
    one, other = Play(Counter(), 4), Play(Counter(), 4)
    first, mask = one.reset(7)
    assert first.dtype == np.float32
    assert mask.tolist() == [[True, True, False]] * 4
    assert len(set(first[:, 0].tolist())) == 4
    np.testing.assert_array_equal(first, other.reset(7)[0])
    np.testing.assert_array_equal(one.reset()[0], other.reset()[0])
    assert not np.array_equal(first, one.reset(8)[0])


def test_what_is_forbidden_is_not_carried_out_and_is_told() -> None:
    play = Play(Counter(), 3)
    play.reset(0)
    found = play.step([0, 1, 2])
    assert found.reward.tolist() == [0.0, 1.0, 0.0]
    assert found.refused.tolist() == [False, False, True]
    assert found.mask.all()  # after one step everything is allowed
    assert play.step([2, 2, 2]).reward.tolist() == [2.0, 2.0, 2.0]
    assert play.step([0, 0, 0]).cut.all()


def test_episodes_that_are_over_begin_anew_and_the_others_stay() -> None:
    play, over = Play(Counter(), 2), np.zeros(2, bool)
    first, _ = play.reset(1)
    last = [stepped(play, [1, 1], over)[0] for _ in range(LENGTH)][-1]
    assert last.cut.all()
    assert last.seen[:, 0].tolist() == first[:, 0].tolist()
    found, after = stepped(play, [1, 1], np.array([True, False]))
    assert found.seen[0, 0] != first[0, 0]
    assert found.seen[0, 1] == 0.0
    assert found.seen[1, 0] == first[1, 0]
    assert found.reward.tolist() == [0.0, 1.0]
    assert found.mask[0].tolist() == [True, True, False]
    assert after.tolist() == [False, True]


def test_a_step_before_a_reset_and_an_action_that_is_none_are_refused() -> None:
    play = Play(Counter())
    with pytest.raises(ValueError, match="reset before the first step"):
        play.step([0])
    play.reset()
    with pytest.raises(ValueError, match=r"actions are 0 to 2, got \[3\]"):
        play.step([3])
    with pytest.raises(ValueError, match="needs 1 environment or more, got 0"):
        Play(Counter(), 0)


def test_gymnasium_takes_the_environment_for_one_of_its_own() -> None:
    gymnasium = pytest.importorskip("gymnasium", reason="gymnasium is not installed")
    from gymnasium.utils.env_checker import check_env  # noqa: PLC0415 - as above

    check_env(single(Counter()), skip_render_check=True)
    register(Counter())
    made = gymnasium.make(NAME)
    _, info = made.reset(seed=3)
    assert info["action_mask"].tolist() == [True, True, False]
    assert made.step(2)[4]["refused"]
    assert made.unwrapped.action_masks().all()


def test_gymnasium_takes_the_vector_for_one_of_its_own() -> None:
    pytest.importorskip("gymnasium", reason="gymnasium is not installed")
    made = vector(Counter(), 3)
    seen, info = made.reset(seed=3)
    assert made.observation_space.contains(seen)
    assert info["action_mask"].shape == (3, 3)
    _, reward, _, cut, info = [made.step([1, 1, 1]) for _ in range(LENGTH)][-1]
    assert reward.tolist() == [1.0] * 3
    assert cut.all()
    assert info["cost:cost"].tolist() == [0.5] * 3
    assert made.step([1, 1, 1])[1].tolist() == [0.0] * 3
