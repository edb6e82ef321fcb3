"""Strengths of faults over a stretch of ticks, with the two primitives that carry a clock.

A cache fills again with `cache_warm_s` after its onset, and machines come back `spot_unavailable_s`
after theirs: time constants counted from the beginning of an instance, which only the instance
knows.
"""

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from homeostat.twin import envelope
from homeostat.twin.faults import Faults
from homeostat.twin.primitives import INDEX
from homeostat.twin.shapes import Shape


class Strengths(eqx.Module):
    """Of each fault, by block of ticks.

    Attributes:
        strength: 0..1 [blocks, F].
        within: Whether its time has come and not gone [blocks, F], bool.
    """

    strength: Array
    within: Array


def strengths(faults: Faults, now_s: Array, blocks: int, seconds: int) -> Strengths:
    """Return how strong the faults are in the next blocks.

    A block takes the strength of its beginning, so that no fault acts before its time; one that
    lasts for an instant acts in the block that it falls into.

    Args:
        faults: One episode's.
        now_s: Beginning of the first block.
        blocks: How many.
        seconds: Length of each.
    """
    times = now_s + jnp.arange(blocks * seconds)
    every = envelope.strength(faults, times).reshape(blocks, seconds, -1)
    instant = faults.shape == Shape.IMPULSE
    strength = jnp.where(instant, every.max(axis=1), every[:, 0])
    begins = times.reshape(blocks, seconds)[:, 0]
    within = envelope.within(faults, begins) | (strength > 0.0)
    since = begins[:, None] - faults.start_s
    warm_s = jnp.where(faults.primitive == INDEX["cache_warm_s"], faults.magnitude, 0.0).sum()
    fills = jnp.exp(-jnp.maximum(since, 0.0) / jnp.maximum(warm_s, 1.0))
    cache = (faults.primitive == INDEX["cache_hit"]) & (warm_s > 0.0)
    spot = faults.primitive == INDEX["spot_unavailable_s"]
    strength = jnp.where(cache, strength * fills, strength)
    strength = jnp.where(spot & (since >= faults.magnitude), 0.0, strength)
    return Strengths(strength=strength, within=within)
