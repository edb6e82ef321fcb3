"""Proximal policy optimisation with masks, cut episodes and limited costs: two compiled programs.

`Trainer.update` acts for a stretch (`ppo_collect`) and learns from it (here): the clipped surrogate
(Schulman et al., "Proximal Policy Optimization Algorithms", 2017, eq. 7), entropy over what is
allowed, values clipped on request, no further step once the policy is too far from the one that
acted. Costs are priced by multipliers (Lagrange; Altman, "Constrained Markov Decision Processes",
1999; Ray, Achiam & Amodei 2019): that bounds means, in training's own episodes. It is no guard.

Seeds run side by side: every array of a `Learner` has a leading axis of them.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax  # type: ignore[import-untyped]
from jax import Array

from homeostat.learn import ppo_collect, ppo_masked, ppo_net, ppo_rate
from homeostat.learn.ppo_advantage import advantages
from homeostat.learn.ppo_collect import Acting
from homeostat.learn.ppo_config import Config
from homeostat.learn.ppo_net import Weights
from homeostat.learn.ppo_rate import Rate
from homeostat.learn.ppo_world import Environment, Rollout

_ADAM_EPS: Final = 1e-5  # Andrychowicz et al. (2021) and every widely used PPO; Adam's own is 1e-8
_TINY: Final = 1e-8


class Learner(NamedTuple):
    """All that a training run is made of between two updates; `[seed, ...]`.

    Attributes:
        weights: Of policy and values.
        memory: Of Adam.
        rate: The learning rate.
        prices: Multiplier of each limited cost `[limit]`.
        acting: Where the environments stand.
        key: Of the order in which steps are learnt from.
        updates: Done so far, int32.
    """

    weights: Weights
    memory: Any
    rate: Rate
    prices: Array
    acting: Acting
    key: Array
    updates: Array


class Figures(NamedTuple):
    """What an update came to; `[seed]` each.

    Attributes:
        reward: Mean reward of a step, unscaled.
        finished: Mean reward of an episode that was over; NaN = none was.
        episodes: How many were.
        refused: Actions that the mask of their execution forbade.
        chosen: How often each action was carried out `[seed, action]`.
        costs: Mean of every cost per step `[seed, cost]`.
        entropy: Of the policy, nats, mean over steps.
        kl: Distance from the policy that acted where learning stopped, nats.
        policy_loss: Negative surrogate, mean over the steps that were made.
        value_loss: The same for the values.
        explained: Share of the variance of what came that was expected; NaN = nothing varied.
        learnt: Share of the minibatches that were learnt from.
        rate: Learning rate that was used.
        prices: Multipliers after it `[seed, limit]`.
    """

    reward: Array
    finished: Array
    episodes: Array
    refused: Array
    chosen: Array
    costs: Array
    entropy: Array
    kl: Array
    policy_loss: Array
    value_loss: Array
    explained: Array
    learnt: Array
    rate: Array
    prices: Array


class _Batch(NamedTuple):
    numbers: Array
    mask: Array
    action: Array
    log_p: Array
    value: Array
    wanted: Array
    better: Array


class _Course(NamedTuple):
    """Within an update: what changes from minibatch to minibatch."""

    weights: Weights
    memory: Any
    stopped: Array
    kl: Array


class Trainer:
    """Trains policies in one environment.

    Args:
        environment: What is acted in.
        config: How.
        options: Of the compiler, for the program that acts; see `twin.program.OPTIONS`.

    Raises:
        ValueError: A limit is on a cost that the environment does not count.
    """

    def __init__(
        self,
        environment: Environment,
        config: Config,
        options: Mapping[str, bool | int | str] | None = None,
    ) -> None:
        for limit in config.limits:
            if limit.name not in environment.costs:
                raise ValueError(
                    f"limit {limit.name}: no such cost; there are {', '.join(environment.costs)}"
                )
        self.environment = environment
        self.config = config
        self._adam = optax.chain(
            optax.clip_by_global_norm(config.longest_gradient), optax.scale_by_adam(eps=_ADAM_EPS)
        )
        act = partial(ppo_collect.collect, environment, config)
        begin = partial(ppo_collect.begin, environment, config)
        more = dict(options) if options is not None else None
        self._begin = jax.jit(jax.vmap(begin, in_axes=(None, 0)), compiler_options=more)
        self._act = jax.jit(jax.vmap(act, in_axes=(None, 0, 0)), compiler_options=more)
        self._learn = jax.jit(jax.vmap(self._one))

    def begin(self, seeds: Sequence[int]) -> Learner:
        """Return learners that know nothing, one for each seed.

        Raises:
            ValueError: There is no seed.
        """
        if not seeds:
            raise ValueError("ppo: no seeds; give at least one")
        keys = jnp.stack([jax.random.split(jax.random.PRNGKey(seed)) for seed in seeds])
        acting = self._begin(self.environment.world, keys[:, 0])
        return self._of(seeds, keys[:, 1], acting)

    def shapes(self, seeds: Sequence[int]) -> Any:
        """Return what `begin` would, with shapes and types for arrays; compiles nothing."""
        keys = jnp.stack([jax.random.split(jax.random.PRNGKey(seed)) for seed in seeds])
        acting = jax.eval_shape(self._begin, self.environment.world, keys[:, 0])
        return jax.eval_shape(lambda: self._of(seeds, keys[:, 1], acting=None))._replace(
            acting=acting
        )

    def _of(self, seeds: Sequence[int], keys: Array, acting: Any) -> Learner:
        config, environment = self.config, self.environment
        drawn = [
            ppo_net.start(
                np.random.default_rng(seed), len(environment.observations), config.hidden,
                len(environment.actions), config.channels,
            )
            for seed in seeds
        ]  # fmt: skip
        weights = jax.tree.map(lambda *leaves: jnp.stack(leaves), *drawn)
        count = len(seeds)
        return Learner(
            weights=weights,
            memory=jax.vmap(self._adam.init)(weights),
            rate=jax.tree.map(lambda leaf: jnp.repeat(leaf, count), ppo_rate.begin(config.rate)),
            prices=jnp.zeros((count, len(config.limits))),
            acting=acting,
            key=keys,
            updates=jnp.zeros(count, jnp.int32),
        )

    def update(self, learner: Learner) -> tuple[Learner, Figures]:
        """Act for a stretch and learn from it.

        Raises:
            MaskedActionError: An action was forbidden where it was carried out.
            FloatingPointError: Something left the finite numbers.
        """
        acting, rollout = self._act(self.environment.world, learner.weights, learner.acting)
        learner, figures = self._learn(learner._replace(acting=acting), rollout)
        if refused := int(figures.refused.sum()):
            raise ppo_masked.MaskedActionError(f"{refused} actions of one update are")
        if not np.isfinite(np.asarray(figures.value_loss)).all():
            raise FloatingPointError(
                f"ppo: the loss of update {int(learner.updates[0])} is no number; "
                "a reward or an observation is none, or reward_scale is far off"
            )
        return learner, figures

    def _one(self, learner: Learner, rollout: Rollout) -> tuple[Learner, Figures]:
        """Learn from one seed's stretch."""
        config, tally = self.config, learner.acting.tally
        batch = _batch(config, rollout, learner.prices)
        key, own = jax.random.split(learner.key)
        course, (steps, policy_loss, value_loss) = self._epochs(learner, batch, own)
        finished = jnp.where(tally.episodes > 0, tally.finished / tally.episodes, jnp.nan)
        costs = tally.costs / config.steps
        prices = _prices(self.environment, config, learner.prices, costs)
        rate = learner.rate
        if config.hash_rate is not None:
            rate = ppo_rate.follow(config.hash_rate, config.rate, rate, finished)
        count = jnp.maximum(steps.sum(), 1.0)
        log_p = ppo_masked.log_probabilities(
            ppo_net.logits(jnp, learner.weights, batch.numbers), batch.mask
        )
        figures = Figures(
            reward=tally.reward / config.steps,
            finished=finished,
            episodes=tally.episodes,
            refused=tally.refused,
            chosen=tally.chosen,
            costs=costs,
            entropy=ppo_masked.entropy(log_p).mean(),
            kl=course.kl,
            policy_loss=policy_loss.sum() / count,
            value_loss=value_loss.sum() / count,
            explained=_explained(batch),
            learnt=steps.mean(),
            rate=learner.rate.now,
            prices=prices,
        )
        after = learner._replace(
            weights=course.weights, memory=course.memory, rate=rate, prices=prices, key=key,
            updates=learner.updates + 1,
        )  # fmt: skip
        return after, figures

    def _epochs(
        self, learner: Learner, batch: _Batch, key: Array
    ) -> tuple[_Course, tuple[Array, Array, Array]]:
        """Go through the rows in an order of its own in each epoch, a minibatch at a time."""
        config = self.config
        course = _Course(learner.weights, learner.memory, jnp.asarray(a=False), jnp.float32(0.0))
        orders = jax.vmap(lambda one: jax.random.permutation(one, config.steps))(
            jax.random.split(key, config.epochs)
        )
        parts = orders.reshape(config.epochs * config.minibatches, -1)
        step = partial(self._minibatch, batch, learner.rate.now)
        found: tuple[_Course, tuple[Array, Array, Array]] = jax.lax.scan(step, course, parts)
        return found

    def _minibatch(
        self, batch: _Batch, rate: Array, course: _Course, rows: Array
    ) -> tuple[_Course, tuple[Array, Array, Array]]:
        """Make one step of learning, unless the policy is too far already."""
        part = jax.tree.map(lambda leaf: leaf[rows], batch)
        slope, (kl, policy_loss, value_loss) = jax.grad(partial(_loss, self.config), has_aux=True)(
            course.weights, part
        )
        most = jnp.inf if self.config.most_kl is None else self.config.most_kl
        stopped = course.stopped | (kl > most)
        change, memory = self._adam.update(slope, course.memory, course.weights)
        weights = jax.tree.map(lambda old, by: old - rate * by, course.weights, change)
        kept = jax.tree.map(
            lambda new, old: jnp.where(stopped, old, new),
            (weights, memory),
            (course.weights, course.memory),
        )
        made = 1.0 - stopped
        seen_kl = jnp.where(course.stopped, course.kl, kl)
        after = _Course(kept[0], kept[1], stopped, seen_kl)
        return after, (made, made * policy_loss, made * value_loss)


def _batch(config: Config, rollout: Rollout, prices: Array) -> _Batch:
    """Return a stretch as rows to learn from, with one advantage of reward and priced costs."""
    found = advantages(
        rollout.reward, rollout.value, rollout.after, ended=rollout.ended, over=rollout.over,
        discount=config.discount, trace=config.trace,
    )  # fmt: skip
    wanted = found + rollout.value
    # A mean over the reward and the costs: prices that grow must not grow the step as well.
    better = (found[..., 0] - found[..., 1:] @ prices) / (1.0 + prices.sum())
    better = (better - better.mean()) / (better.std() + _TINY)
    parts = (
        rollout.numbers, rollout.mask, rollout.action, rollout.log_p, rollout.value, wanted, better,
    )  # fmt: skip
    return _Batch(*(leaf.reshape(config.steps, *leaf.shape[2:]) for leaf in parts))


def _loss(
    config: Config, weights: Weights, part: _Batch
) -> tuple[Array, tuple[Array, Array, Array]]:
    """Return the loss of rows, and the distance, the policy's loss and the values' within it."""
    log_p = ppo_masked.log_probabilities(ppo_net.logits(jnp, weights, part.numbers), part.mask)
    change = ppo_masked.of_action(log_p, part.action) - part.log_p
    ratio = jnp.exp(change)
    near = jnp.clip(ratio, 1.0 - config.clip, 1.0 + config.clip)
    policy_loss = -jnp.minimum(ratio * part.better, near * part.better).mean()
    value = ppo_net.expected(jnp, weights, part.numbers)
    missed = jnp.square(value - part.wanted)
    if config.value_clip is not None:
        moved = jnp.clip(value - part.value, -config.value_clip, config.value_clip)
        missed = jnp.maximum(missed, jnp.square(part.value + moved - part.wanted))
    value_loss = 0.5 * missed.sum(axis=-1).mean()
    total = policy_loss + config.value_weight * value_loss
    total -= config.entropy_weight * ppo_masked.entropy(log_p).mean()
    # Never below 0, and of small variance: Schulman, "Approximating KL divergence" (2020), k3.
    kl = (ratio - 1.0 - change).mean()
    return total, (kl, policy_loss, value_loss)


def _prices(environment: Environment, config: Config, prices: Array, costs: Array) -> Array:
    """Return the multipliers after a stretch with these mean costs."""
    if not config.limits:
        return prices
    places = jnp.array([environment.costs.index(limit.name) for limit in config.limits])
    most = jnp.array([limit.most for limit in config.limits])
    gain = jnp.array([limit.gain for limit in config.limits])
    end = jnp.array([limit.most_multiplier for limit in config.limits])
    return jnp.clip(prices + gain * (costs[places] - most), 0.0, end)


def _explained(batch: _Batch) -> Array:
    wanted, value = batch.wanted[:, 0], batch.value[:, 0]
    spread = wanted.var()
    return jnp.where(spread > _TINY, 1.0 - (wanted - value).var() / spread, jnp.nan)
