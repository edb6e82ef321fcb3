"""Counts from uniform draws: what a counter shows of a rate the twin knows exactly.

One uniform draw gives one count, by inversion, so that two replays with the same draws and
different rates stay as alike as they can (common random numbers). Small means are exact to 1e-6;
large ones are the rounded normal. `jax.random.binomial` and `poisson` loop until all lanes accept,
which a program that runs thousands of lanes side by side cannot afford.
"""

from collections.abc import Callable
from typing import Final

import jax.numpy as jnp
from jax import Array

from homeostat.twin.apart import apart
from homeostat.twin.chance import as_normal

_TERMS: Final = 28
# At a mean of 10 the 28th term of a Poisson is 1e-6, and the normal's rounding is off by < 1 %.
_EXACT_BELOW: Final = 10.0


def binomial(uniform: Array, number: Array, chance: Array) -> Array:
    """Return how many of so many trials succeed [...].

    Args:
        uniform: Draws, 0..1 [...].
        number: Trials, whole [...].
        chance: Of success, 0..1 [...].
    """
    flipped = chance > 0.5  # noqa: PLR2004 - the rarer outcome is the one to count
    rare = jnp.where(flipped, 1.0 - chance, chance)
    mean = number * rare
    few = mean < _EXACT_BELOW
    trials = jnp.where(few, number, 0.0)
    term = jnp.exp(trials * jnp.log1p(-rare))
    odds = rare / (1.0 - rare)
    found = apart(lambda: _invert(uniform, term, lambda k: (trials - k) / (k + 1.0) * odds))
    found = jnp.where(few, found, 0.0)
    normal = jnp.round(mean + jnp.sqrt(mean * (1.0 - rare)) * _normal(uniform))
    count = jnp.clip(jnp.where(few, found, normal), 0.0, number)
    return jnp.where(flipped, number - count, count)


def poisson(uniform: Array, mean: Array) -> Array:
    """Return a count with a mean [...].

    Args:
        uniform: Draws, 0..1 [...].
        mean: >= 0 [...].
    """
    few = mean < _EXACT_BELOW
    small = jnp.where(few, mean, 0.0)
    found = apart(lambda: _invert(uniform, jnp.exp(-small), lambda k: small / (k + 1.0)))
    normal = jnp.maximum(jnp.round(mean + jnp.sqrt(mean) * _normal(uniform)), 0.0)
    return jnp.where(few, found, normal)


def whole(uniform: Array, mean: Array) -> Array:
    """Return a neighbouring whole number with the same mean: 2.3 is 3 three times in ten.

    Args:
        uniform: Draws, 0..1 [...].
        mean: [...].
    """
    return jnp.floor(mean + uniform)


def _normal(uniform: Array) -> Array:
    return apart(lambda: as_normal(jnp.clip(uniform, 1e-7, 1.0 - 1e-7)))


def _invert(uniform: Array, term: Array, ratio: Callable[[float], Array]) -> Array:
    """Return the number of terms that lie below the draw.

    Args:
        uniform: Draws.
        term: Probability of 0.
        ratio: Probability of k + 1 / that of k.
    """
    below, count = term, jnp.zeros_like(term)
    for k in range(_TERMS):
        count = count + (uniform > below)
        term = term * jnp.maximum(ratio(float(k)), 0.0)
        below = below + term
    return count
