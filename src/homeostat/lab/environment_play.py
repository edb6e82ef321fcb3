"""An environment stepped from outside, several of it side by side: what Gymnasium's classes wrap.

Not for training: `learn.ppo` steps within one compiled program. Here every step crosses between
Python and the program once, for whoever brings a learner of their own.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from homeostat.learn import ppo_masked
from homeostat.learn.ppo_world import Environment, Seen


class Stepped(NamedTuple):
    """What a step came to, NumPy; the first axis is the environment.

    Attributes:
        seen: Observations, float32 `[n, number]`.
        mask: What is allowed next, bool `[n, action]`.
        reward: Float64 `[n]`; float32 is not a number that everybody's statistics take.
        ended: Nothing comes after it `[n]`.
        cut: The episode stops though the deployment goes on `[n]`.
        costs: Float64 `[n, cost]`.
        refused: The action was forbidden, and holding still was carried out instead `[n]`.
    """

    seen: np.ndarray
    mask: np.ndarray
    reward: np.ndarray
    ended: np.ndarray
    cut: np.ndarray
    costs: np.ndarray
    refused: np.ndarray


class Play:
    """Several of an environment, stepped together.

    Args:
        environment: What is acted in.
        count: How many.

    Raises:
        ValueError: There is none.
    """

    def __init__(self, environment: Environment, count: int = 1) -> None:
        if count < 1:
            raise ValueError(f"play: needs 1 environment or more, got {count}")
        self.environment = environment
        self.count = count
        self._reset = jax.jit(jax.vmap(environment.reset, in_axes=(None, 0)))
        self._step = jax.jit(self._all)
        self._key: Array | None = None
        self._states: Any = None
        self._seen = np.zeros((count, len(environment.observations)), np.float32)
        self._mask = np.zeros((count, len(environment.actions)), bool)

    def reset(self, seed: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Begin every episode anew.

        Args:
            seed: Of all that follows, at least 0; None = go on drawing as before, from 0 at first.

        Returns:
            Observations and masks.
        """
        if seed is not None or self._key is None:
            self._key = jax.random.PRNGKey(seed or 0)
        self._key, own = jax.random.split(self._key)
        keys = jax.random.split(own, self.count)
        self._states, seen = self._reset(self.environment.world, keys)
        return self._told(seen)

    def step(self, actions: Any) -> Stepped:
        """Carry out one action of each; what is forbidden becomes holding still, and is told.

        Raises:
            ValueError: Nothing was reset yet, or there is no such action.
        """
        if self._key is None:
            raise ValueError("play: reset before the first step")
        wanted = np.asarray(actions, np.int32).reshape(self.count)
        if wanted.min() < 0 or wanted.max() >= len(self.environment.actions):
            raise ValueError(
                f"play: actions are 0 to {len(self.environment.actions) - 1}, got {wanted.tolist()}"
            )
        self._key, own = jax.random.split(self._key)
        self._states, result, refused = self._step(
            self.environment.world, self._states, jnp.asarray(wanted), own
        )
        seen, mask = self._told(result.seen)
        return Stepped(
            seen=seen,
            mask=mask,
            reward=np.asarray(result.reward, np.float64),
            ended=np.asarray(result.ended),
            cut=np.asarray(result.cut),
            costs=np.asarray(result.costs, np.float64),
            refused=np.asarray(refused),
        )

    def again(self, over: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Begin those episodes anew that are over; the others stay where they are.

        Args:
            over: Bool `[n]`.

        Returns:
            Observations and masks of all; of those that go on, as they were told last.
        """
        states, seen, mask = self._states, self._seen, self._mask
        fresh, anew = self.reset()

        def either(new: Array, old: Array) -> Array:
            return jnp.where(over.reshape(over.shape + (1,) * (new.ndim - 1)), new, old)

        self._states = jax.tree.map(either, self._states, states)
        self._seen = np.where(over[:, None], fresh, seen)
        self._mask = np.where(over[:, None], anew, mask)
        return self._seen, self._mask

    @property
    def mask(self) -> np.ndarray:
        """Return what is allowed now, bool `[n, action]`."""
        return self._mask

    def _all(self, world: Any, states: Any, actions: Array, key: Array) -> Any:
        environment = self.environment
        allowed = jax.vmap(environment.mask, in_axes=(None, 0))(world, states)
        carried, refused = ppo_masked.executed(actions, allowed)
        keys = jax.random.split(key, self.count)
        step = jax.vmap(environment.step, in_axes=(None, 0, 0, 0))
        states, result = step(world, states, carried, keys)
        return states, result, refused

    def _told(self, seen: Seen) -> tuple[np.ndarray, np.ndarray]:
        self._seen, self._mask = np.asarray(seen.numbers), np.asarray(seen.mask)
        return self._seen, self._mask
