"""A choice among the actions that a mask allows: probabilities, entropy, draws, and the last check.

What is masked has probability 0 exactly, and takes no part in the entropy: counted over all
actions it would pay a policy for narrowing its own choice. A large negative number in place of an
infinity loses both by rounding (stable-baselines3-contrib issues 81, 195, 200, 247).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from homeostat.base.errors import HomeostatError


class MaskedActionError(HomeostatError):
    """An action that the mask forbids was about to be carried out: a bug, never a wish."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} masked now; the policy's mask and the one at its execution differ: "
            "ask the policy again with the mask of now"
        )


def log_probabilities(logits: Array, mask: Array) -> Array:
    """Return the logarithms of the probabilities; -inf of what is masked.

    Args:
        logits: Of the network `[..., action]`, finite.
        mask: True = allowed; of every row at least one `[..., action]`.
    """
    # The greatest allowed one first: a forbidden one would push the others out of float32.
    allowed = jnp.where(mask, logits, -jnp.inf)
    shifted = allowed - jax.lax.stop_gradient(jnp.max(allowed, axis=-1, keepdims=True))
    total = jnp.sum(jnp.where(mask, jnp.exp(jnp.where(mask, shifted, 0.0)), 0.0), axis=-1)
    return jnp.where(mask, shifted - jnp.log(total)[..., None], -jnp.inf)


def entropy(log_p: Array) -> Array:
    """Return the entropy over what is allowed, nats `[...]`; 0 where one action is."""
    known = jnp.isfinite(log_p)
    safe = jnp.where(known, log_p, 0.0)
    return -jnp.sum(jnp.where(known, jnp.exp(safe) * safe, 0.0), axis=-1)


def of_action(log_p: Array, action: Array) -> Array:
    """Return the log-probability of the actions taken `[...]`."""
    return jnp.take_along_axis(log_p, action[..., None], axis=-1)[..., 0]


def drawn(key: Array, log_p: Array) -> Array:
    """Return an action of each row, drawn by its probabilities: int32 `[...]`.

    By Gumbel's trick: -inf plus any noise stays the least, so nothing masked is ever drawn.
    """
    noise = jax.random.gumbel(key, log_p.shape)
    return jnp.argmax(jnp.where(jnp.isfinite(log_p), log_p + noise, -jnp.inf), axis=-1).astype(
        jnp.int32
    )


def executed(action: Array, mask: Array, instead: int = 0) -> tuple[Array, Array]:
    """Return what is carried out of the actions under the mask of now, and which were refused.

    Args:
        action: Chosen `[...]`.
        mask: At execution `[..., action]`.
        instead: What stands in for a refused one: holding still.
    """
    allowed = jnp.take_along_axis(mask, action[..., None], axis=-1)[..., 0]
    return jnp.where(allowed, action, instead), ~allowed


def checked(action: Any, mask: Any) -> int:
    """Return the action's number, for the last step before the world.

    Raises:
        MaskedActionError: The mask of now forbids it, or there is no such action.
    """
    number, allowed = int(action), np.asarray(mask, bool)
    if not 0 <= number < allowed.shape[-1] or not allowed[number]:
        raise MaskedActionError(f"action {number} is")
    return number
