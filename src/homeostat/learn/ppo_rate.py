"""HASH's rule for the learning rate, and the form of it that can be used.

As written (the paper's appendix): a' = a exp(beta (R' - R)). The exponents telescope: after T
updates it is a_0 exp(beta (R_T - R_0)), whatever came between. It has no memory, and learns the
faster the better the policy has become: over returns from -175 to 110 with beta = 0.1 the rate
grows by e^28.5. The default here takes the change in standard deviations of the returns so far, at
most one of them, and keeps the rate between a tenth of the first one and three times it.
"""

from typing import Final, NamedTuple

import jax.numpy as jnp
from jax import Array

from homeostat.learn.ppo_config import HashRate

LEAST: Final = 0.1  # of the first rate, like MOST: research on adaptive control, section 5
MOST: Final = 3.0
_TINY: Final = 1e-8


class Rate(NamedTuple):
    """A learning rate and what its rule remembers; scalars.

    Attributes:
        now: The rate.
        last: Return of the last update; NaN = none yet.
        returns: How many there were.
        mean: Of them.
        squares: Sum of their squared distances from it.
    """

    now: Array
    last: Array
    returns: Array
    mean: Array
    squares: Array


def begin(rate: float) -> Rate:
    """Return a rate that has seen no return."""
    zero = jnp.float32(0.0)
    return Rate(jnp.float32(rate), jnp.float32(jnp.nan), zero, zero, zero)


def follow(rule: HashRate, first: float, rate: Rate, found: Array) -> Rate:
    """Return the rate after an update's return; one that is not known changes nothing.

    Args:
        rule: How it follows.
        first: The rate at the start.
        rate: So far.
        found: Mean return of this update's episodes; NaN = none was over.
    """
    known = jnp.isfinite(found)
    change = jnp.where(known & jnp.isfinite(rate.last), found - rate.last, 0.0)
    count = rate.returns + known
    off = jnp.where(known, found - rate.mean, 0.0)
    mean = rate.mean + off / jnp.maximum(count, 1.0)
    squares = rate.squares + off * jnp.where(known, found - mean, 0.0)
    if rule.as_written:
        now = rate.now * jnp.exp(rule.beta * change)
    else:
        spread = jnp.sqrt(squares / jnp.maximum(count - 1.0, 1.0))
        scaled = jnp.clip(change / jnp.maximum(spread, _TINY), -1.0, 1.0)
        now = jnp.clip(rate.now * jnp.exp(rule.beta * scaled), LEAST * first, MOST * first)
    return Rate(now, jnp.where(known, found, rate.last), count, mean, squares)
