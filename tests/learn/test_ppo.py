"""PPO on decision processes so small that their optimum is solved beside it.

All of them are tables of one size, which the program takes as an argument: it is compiled once.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from typing_extensions import override

from homeostat.learn import ppo_file, train
from homeostat.learn.ppo import Learner, Trainer
from homeostat.learn.ppo_config import Config, HashRate, Limit
from homeostat.learn.ppo_masked import MaskedActionError
from homeostat.learn.ppo_net import Weights, expected, greedy
from homeostat.learn.ppo_world import Result, Seen

pytestmark = pytest.mark.slow

STATES, ACTIONS = 6, 4
PLAIN = Config(length=32, hidden=(16, 16), rate=5e-3, discount=0.9, entropy_weight=0.003)
PRICED = replace(
    PLAIN,
    limits=(Limit(name="cost", most=0.25, gain=0.3),),
    value_clip=10.0,
    most_kl=None,
    hash_rate=HashRate(),
)


class Table(NamedTuple):
    """A decision process; every field `[state, action]` but the last."""

    to: Any
    reward: Any
    cost: Any
    allowed: Any
    ends: Any
    cut_after: Any


class State(NamedTuple):
    at: Array
    steps: Array


@dataclass
class Tables:
    """The environment of a table; which one is an argument of its functions."""

    world: Table
    observations = tuple(f"at {state}" for state in range(STATES))
    actions = ("hold", "one", "two", "three")
    costs = ("cost",)

    def reset(self, world: Table, key: Array) -> tuple[State, Seen]:
        state = State(jnp.int32(0), jnp.int32(0))
        return state, self.seen(world, state)

    def mask(self, world: Table, state: State) -> Array:
        return jnp.asarray(world.allowed)[state.at]

    def seen(self, world: Table, state: State) -> Seen:
        return Seen(jax.nn.one_hot(state.at, STATES), self.mask(world, state))

    def step(self, world: Table, state: State, action: Array, key: Array) -> tuple[State, Result]:
        after = State(world.to[state.at, action], state.steps + 1)
        return after, Result(
            seen=self.seen(world, after),
            reward=world.reward[state.at, action],
            costs=world.cost[state.at, action][None],
            ended=world.ends[state.at, action],
            cut=after.steps >= world.cut_after,
        )


def table(**fields: Any) -> Table:
    shape = (STATES, ACTIONS)
    usual: dict[str, Any] = {
        "to": np.zeros(shape, np.int32),
        "reward": np.zeros(shape, np.float32),
        "cost": np.zeros(shape, np.float32),
        "allowed": np.ones(shape, bool),
        "ends": np.zeros(shape, bool),
        "cut_after": np.int32(20),
    }
    return Table(**(usual | fields))


def bandit() -> Table:
    """Four arms, an episode a pull."""
    reward = np.tile(np.array([0.1, 0.5, 0.9, 0.3], np.float32), (STATES, 1))
    return table(reward=reward, ends=np.ones((STATES, ACTIONS), bool))


def chain() -> Table:
    """Only the way to the right is paid, and at its end alone; every other action goes back."""
    to = np.zeros((STATES, ACTIONS), np.int32)
    to[:, 1] = np.minimum(np.arange(STATES) + 1, STATES - 1)
    reward, ends = np.zeros((STATES, ACTIONS), np.float32), np.zeros((STATES, ACTIONS), bool)
    reward[STATES - 2, 1], ends[STATES - 2, 1] = 1.0, True
    return table(to=to, reward=reward, ends=ends)


def temptation() -> Table:
    """The chain; the third action would pay a hundred times its end, and is forbidden."""
    found = chain()
    reward, allowed = found.reward.copy(), found.allowed.copy()
    reward[:, 2], allowed[:, 2] = 100.0, False
    return found._replace(reward=reward, allowed=allowed)


def treadmill() -> Table:
    """One a step for ever, cut off after five."""
    return table(reward=np.ones((STATES, ACTIONS), np.float32), cut_after=np.int32(5))


def dear() -> Table:
    """What pays 1 costs 1, what pays nothing costs nothing; an episode a step."""
    gain = np.zeros((STATES, ACTIONS), np.float32)
    gain[:, 1] = 1.0
    return table(reward=gain, cost=gain, ends=np.ones((STATES, ACTIONS), bool))


@cache
def trainer(config: Config) -> Trainer:
    return Trainer(Tables(bandit()), config)


def trained(
    world: Table, config: Config, updates: int, seeds: tuple[int, ...] = (0, 1)
) -> tuple[Learner, np.ndarray]:
    found = trainer(config)
    found.environment = Tables(world)
    learner, curve = train.begin(found, seeds)
    for progress in train.train(found, learner, curve, updates):
        learner, curve = progress.learner, progress.curve
    return learner, curve


def of_seed(learner: Learner, number: int) -> Weights:
    one: Weights = jax.tree.map(lambda leaf: np.asarray(leaf[number]), learner.weights)
    return one


def choices(world: Table, weights: Weights) -> np.ndarray:
    return np.asarray(greedy(weights, np.eye(STATES), world.allowed))


def worth(world: Table, policy: np.ndarray, discount: float) -> np.ndarray:
    """Solve what a policy is worth from every state, episodes never cut."""
    rows = np.arange(STATES)
    goes_on = discount * ~world.ends[rows, policy]
    moves = np.zeros((STATES, STATES))
    moves[rows, world.to[rows, policy]] = goes_on
    return np.asarray(np.linalg.solve(np.eye(STATES) - moves, world.reward[rows, policy]))


def optimum(world: Table, discount: float) -> np.ndarray:
    """Solve the process by iterating values over what is allowed."""
    value = np.zeros(STATES)
    for _ in range(500):
        then = np.where(world.ends, 0.0, value[world.to])
        value = np.where(world.allowed, world.reward + discount * then, -np.inf).max(axis=1)
    return value


@pytest.mark.sampled(3)
@pytest.mark.parametrize("make", [bandit, chain, temptation], ids=lambda made: made.__name__)
def test_every_seed_finds_the_optimum_of_a_process_that_can_be_solved(make: Any) -> None:
    world = make()
    learner, _ = trained(world, PLAIN, 40)
    for seed in (0, 1):
        weights = of_seed(learner, seed)
        found = worth(world, choices(world, weights), PLAIN.discount)
        best = optimum(world, PLAIN.discount)
        assert found[0] == pytest.approx(best[0], abs=1e-6)
        said = expected(np, weights, np.eye(STATES)[:1])[0, 0]
        assert said == pytest.approx(best[0], abs=0.12)


def test_what_is_forbidden_is_never_done_though_it_would_pay_the_most() -> None:
    world = temptation()
    learner, curve = trained(world, PLAIN, 40)
    assert np.nanmax(train.column(curve, "finished")) < 2.0  # one such step would be 100
    assert world.allowed[np.arange(STATES), choices(world, of_seed(learner, 0))].all()


def test_an_action_that_is_forbidden_where_it_is_carried_out_ends_the_run() -> None:
    class Shifting(Tables):
        @override
        def mask(self, world: Table, state: State) -> Array:
            """Say one thing when asked what to show, another when it is carried out."""
            return super().mask(world, state) & (jnp.arange(ACTIONS) == 0)

        @override
        def seen(self, world: Table, state: State) -> Seen:
            return Seen(jax.nn.one_hot(state.at, STATES), super().mask(world, state))

    found = Trainer(Shifting(bandit()), PLAIN)
    with pytest.raises(MaskedActionError, match="actions of one update are masked now"):
        found.update(found.begin((0, 1)))


def test_an_episode_that_is_cut_off_is_worth_what_would_have_come() -> None:
    learner, _ = trained(treadmill(), PLAIN, 60)
    said = expected(np, of_seed(learner, 0), np.eye(STATES)[:1])[0, 0]
    # 1 / (1 - 0.9) = 10; taken for an end it would be about 2.5, the mean of what is left of five.
    assert said == pytest.approx(10.0, rel=0.15)


@pytest.mark.long
def test_a_limited_cost_comes_down_to_its_limit_and_a_free_one_does_not() -> None:
    free, _ = trained(dear(), PLAIN, 40)
    assert (choices(dear(), of_seed(free, 0)) == 1).all()
    _, curve = trained(dear(), PRICED, 120)
    late = train.column(curve, "reward")[-60:].mean(axis=0)  # of this process the same as the cost
    assert np.all(late > 0.10)
    assert np.all(late < 0.40)


def test_the_rate_follows_the_returns_only_within_its_bounds() -> None:
    _, curve = trained(dear(), PRICED, 120)
    rates = train.column(curve, "rate")
    assert rates.min() < PRICED.rate < rates.max()
    assert rates.min() >= 0.0999 * PRICED.rate
    assert rates.max() <= 3.0001 * PRICED.rate


def test_seeds_side_by_side_know_nothing_of_each_other() -> None:
    one, _ = trained(chain(), PLAIN, 3, (0, 1))
    other, _ = trained(chain(), PLAIN, 3, (1, 0))
    for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(left[0], right[1])
    assert not np.array_equal(of_seed(one, 0).policy[0], of_seed(one, 1).policy[0])


def test_a_policy_that_is_far_enough_learns_no_further_in_that_update() -> None:
    wild = replace(PLAIN, rate=0.3)
    _, curve = trained(bandit(), wild, 2)
    assert train.column(curve, "learnt").min() < 1.0
    assert train.column(curve, "learnt").min() > 0.0


def test_a_run_that_was_broken_off_and_taken_up_ends_bit_for_bit_as_one_that_was_not() -> None:
    whole, curve = trained(chain(), PLAIN, 5)
    said = train.manifest(trainer(PLAIN), (0, 1), {"code": "x"})
    part, early = trained(chain(), PLAIN, 2)
    data = ppo_file.save(part, early, said)
    del part
    fresh = Trainer(Tables(chain()), PLAIN)
    learner, late = train.resumed(fresh, (0, 1), data, said)
    for progress in train.train(fresh, learner, late, 5):
        learner, late = progress.learner, progress.curve
    np.testing.assert_array_equal(late, curve)
    for left, right in zip(jax.tree.leaves(learner), jax.tree.leaves(whole), strict=True):
        assert np.asarray(left).tobytes() == np.asarray(right).tobytes()
    assert ppo_file.save(learner, late, said) == ppo_file.save(whole, curve, said)


def test_a_run_is_not_taken_up_as_another_one() -> None:
    learner, curve = trained(chain(), PLAIN, 1)
    said = train.manifest(trainer(PLAIN), (0, 1), {"code": "x"})
    data = ppo_file.save(learner, curve, said)
    like = trainer(PLAIN).shapes((0, 1))
    with pytest.raises(ppo_file.PpoFileError, match=r"seeds: it has \[1\] and lacks \[2\]"):
        ppo_file.load(data, like, said | {"seeds": [0, 2]})
    with pytest.raises(ppo_file.PpoFileError, match="code: 'x', not 'y'"):
        ppo_file.load(data, like, said | {"code": "y"})
    other = said | {"config": said["config"] | {"discount": 0.5}}
    with pytest.raises(ppo_file.PpoFileError, match=r"config: discount is 0\.9, not 0\.5"):
        ppo_file.load(data, like, other)
    renamed = said | {"observations": ["elsewhere", *said["observations"][1:]]}
    with pytest.raises(ppo_file.PpoFileError, match="lacks \\['elsewhere'\\]"):
        ppo_file.load(data, like, renamed)


def test_a_limit_on_what_nobody_counts_is_refused() -> None:
    with pytest.raises(ValueError, match="no such cost; there are cost"):
        Trainer(Tables(dear()), replace(PLAIN, limits=(Limit(name="price", most=1.0),)))
