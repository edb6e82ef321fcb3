"""Acting: a policy in many environments side by side, for a stretch of steps.

Episodes that are over are begun anew within the stretch. What was expected from where a step led to
is asked before that, so that an episode that was cut off is valued by where it was cut.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from homeostat.learn import ppo_masked
from homeostat.learn.ppo_config import Config
from homeostat.learn.ppo_net import Weights, expected, logits
from homeostat.learn.ppo_world import Environment, Result, Rollout, Seen, Tally


class Acting(NamedTuple):
    """Where acting stands between two steps.

    Attributes:
        states: Of the environments `[environment, ...]`.
        seen: What they show `[environment, ...]`.
        key: Of all that is drawn from here on.
        tally: Of this stretch.
    """

    states: Any
    seen: Seen
    key: Array
    tally: Tally


def no_tally(environment: Environment, so_far: Array) -> Tally:
    """Return a tally of nothing, but for the rewards of the episodes under way."""
    zero = jnp.float32(0.0)
    return Tally(
        so_far=so_far,
        finished=zero,
        episodes=jnp.int32(0),
        refused=jnp.int32(0),
        chosen=jnp.zeros(len(environment.actions), jnp.int32),
        reward=zero,
        costs=jnp.zeros(len(environment.costs), jnp.float32),
    )


def begin(environment: Environment, config: Config, world: Any, key: Array) -> Acting:
    """Return environments at the beginning of their first episodes."""
    key, own = jax.random.split(key)
    keys = jax.random.split(own, config.environments)
    states, seen = jax.vmap(environment.reset, in_axes=(None, 0))(world, keys)
    return Acting(states, seen, key, no_tally(environment, jnp.zeros(config.environments)))


def collect(
    environment: Environment, config: Config, world: Any, weights: Weights, acting: Acting
) -> tuple[Acting, Rollout]:
    """Return where a stretch of acting ends, and all that happened in it."""
    acting = acting._replace(tally=no_tally(environment, acting.tally.so_far))
    one = partial(_step, environment, config, world, weights)
    return jax.lax.scan(one, acting, None, length=config.length)


def _step(
    environment: Environment,
    config: Config,
    world: Any,
    weights: Weights,
    acting: Acting,
    _: None,
) -> tuple[Acting, Rollout]:
    states, seen = acting.states, acting.seen
    key, of_action, of_step, of_reset = jax.random.split(acting.key, 4)
    log_p = ppo_masked.log_probabilities(logits(jnp, weights, seen.numbers), seen.mask)
    chosen = ppo_masked.drawn(of_action, log_p)
    # The mask is asked for again where the action is carried out: one that it forbids is held back
    # and counted, and whoever trains stops at the first.
    allowed = jax.vmap(environment.mask, in_axes=(None, 0))(world, states)
    action, refused = ppo_masked.executed(chosen, allowed)
    keys = jax.random.split(of_step, config.environments)
    step = jax.vmap(environment.step, in_axes=(None, 0, 0, 0))
    states, result = step(world, states, action, keys)
    over = result.ended | result.cut
    rollout = Rollout(
        numbers=seen.numbers,
        mask=seen.mask,
        action=chosen,
        log_p=ppo_masked.of_action(log_p, chosen),
        value=expected(jnp, weights, seen.numbers),
        after=expected(jnp, weights, result.seen.numbers),
        reward=_channels(environment, config, result),
        ended=result.ended,
        over=over,
    )
    tally = _tallied(acting.tally, result, action, refused, over)
    states, seen = _begun_anew(environment, world, states, result.seen, over, of_reset)
    return Acting(states, seen, key, tally), rollout


def _channels(environment: Environment, config: Config, result: Result) -> Array:
    """Return the scaled reward and the limited costs `[environment, channel]`."""
    places = [environment.costs.index(limit.name) for limit in config.limits]
    costs = [result.costs[:, place] for place in places]
    return jnp.stack([config.reward_scale * result.reward, *costs], axis=-1)


def _tallied(tally: Tally, result: Result, action: Array, refused: Array, over: Array) -> Tally:
    so_far = tally.so_far + result.reward
    hit = action[:, None] == jnp.arange(tally.chosen.shape[0])
    return Tally(
        so_far=jnp.where(over, 0.0, so_far),
        finished=tally.finished + jnp.sum(jnp.where(over, so_far, 0.0)),
        episodes=tally.episodes + jnp.sum(over, dtype=jnp.int32),
        refused=tally.refused + jnp.sum(refused, dtype=jnp.int32),
        chosen=tally.chosen + jnp.sum(hit, axis=0, dtype=jnp.int32),
        reward=tally.reward + jnp.sum(result.reward),
        costs=tally.costs + jnp.sum(result.costs, axis=0),
    )


def _begun_anew(
    environment: Environment, world: Any, states: Any, seen: Seen, over: Array, key: Array
) -> tuple[Any, Seen]:
    """Return the environments with those that are over at the beginning of another episode."""

    def anew() -> tuple[Any, Seen]:
        keys = jax.random.split(key, over.shape[0])
        fresh = jax.vmap(environment.reset, in_axes=(None, 0))(world, keys)

        def either(new: Array, old: Array) -> Array:
            return jnp.where(over.reshape(over.shape + (1,) * (new.ndim - 1)), new, old)

        found: tuple[Any, Seen] = jax.tree.map(either, fresh, (states, seen))
        return found

    found: tuple[Any, Seen] = jax.lax.cond(over.any(), anew, lambda: (states, seen))
    return found
