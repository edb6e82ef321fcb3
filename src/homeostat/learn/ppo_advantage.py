"""How much better than expected every step of a rollout was.

Source: Schulman et al., "High-Dimensional Continuous Control Using Generalized Advantage
Estimation" (2016), eq. 16. An episode that was cut off goes on without us: what would have come is
the value of where it was cut, while nothing comes after one that ended (Pardo et al., "Time Limits
in Reinforcement Learning", ICML 2018). Taking the one for the other teaches that time kills.
"""

import jax
import jax.numpy as jnp
from jax import Array


def advantages(
    rewards: Array,
    values: Array,
    after: Array,
    *,
    ended: Array,
    over: Array,
    discount: float,
    trace: float,
) -> Array:
    """Return the advantages of a rollout.

    Args:
        rewards: Of each step, channel by channel `[step, environment, channel]`.
        values: Expected from where each step began, the same shape.
        after: Expected from where each step led to, before anything is begun anew, the same shape.
        ended: Whether nothing comes after a step `[step, environment]`.
        over: Whether the episode is over, ended or cut off `[step, environment]`.
        discount: Of what comes a step later.
        trace: lambda: 0 = one step is looked at, 1 = all.
    """
    goes_on = (~ended)[..., None].astype(rewards.dtype)
    same_episode = (~over)[..., None].astype(rewards.dtype)
    surprise = rewards + discount * after * goes_on - values

    def back(later: Array, step: tuple[Array, Array]) -> tuple[Array, Array]:
        found, same = step
        now = found + discount * trace * same * later
        return now, now

    last = jnp.zeros_like(surprise[0])
    return jax.lax.scan(back, last, (surprise, same_episode), reverse=True)[1]
