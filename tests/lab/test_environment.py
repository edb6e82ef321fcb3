"""The environment as a whole, without compiling it: a step leads to what a reset begins with."""

import jax
import jax.numpy as jnp
import pytest

from homeostat.lab import environment_draw
from homeostat.lab.environment import Deployment, world_of
from homeostat.lab.environment_actions import NAMES
from homeostat.lab.environment_reward import COSTS
from homeostat.lab.environment_seen import OBSERVATIONS

pytestmark = pytest.mark.slow


def test_a_step_leaves_a_state_of_the_same_shapes_and_types() -> None:
    drawn = environment_draw.episodes(2, known=(), slots=8, length_s=900)
    one = Deployment(world=world_of(drawn))
    key = jax.eval_shape(lambda: jax.random.PRNGKey(0))
    before, seen = jax.eval_shape(one.reset, one.world, key)
    action = jax.eval_shape(lambda: jnp.int32(0))
    after, result = jax.eval_shape(one.step, one.world, before, action, key)
    begun, led = (
        {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(state)}
        for state in (before, after)
    )
    assert list(begun) == list(led)
    for name, leaf in led.items():
        assert (leaf.shape, leaf.dtype) == (begun[name].shape, begun[name].dtype), name
        # A weak type would make the second scrape another program than the first.
        assert not leaf.weak_type, name
    for told in (seen, result.seen):
        assert (told.numbers.shape, told.numbers.dtype) == ((len(OBSERVATIONS),), jnp.float32)
        assert (told.mask.shape, told.mask.dtype) == ((len(NAMES),), jnp.bool_)
    assert result.reward.shape == result.ended.shape == result.cut.shape == ()
    assert result.costs.shape == (len(COSTS),)
    assert float(one.world.scrapes) == 60.0


def test_episodes_of_two_lengths_make_no_world() -> None:
    short = environment_draw.episodes(1, known=(), slots=8, length_s=900)
    long = environment_draw.episodes(1, known=(), slots=8, length_s=1800)
    with pytest.raises(ValueError, match=r"one length are needed, got \[900, 1800\] seconds"):
        world_of((*short, *long))
