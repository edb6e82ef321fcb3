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
    """Of each fault, over a scrape.

    Attributes:
        ticks: 0..1 at each tick, one more before the first [ticks + 1, F].
        strength: 0..1 in each block of ticks [blocks, F].
        within: Whether its time has come and not gone [blocks, F], bool.
    """

    ticks: Array
    strength: Array
    within: Array


def strengths(faults: Faults, now_s: Array, blocks: int, ticks: int, dt: float) -> Strengths:
    """Return how strong the faults are in the next blocks.

    A block takes the strength of its beginning, so that no fault acts before its time; one that
    lasts for an instant acts in the block that it falls into.

    Args:
        faults: One episode's.
        now_s: Beginning of the first block.
        blocks: How many.
        ticks: In each.
        dt: Length of a tick, seconds.
    """
    times = now_s + (jnp.arange(blocks * ticks + 1) - 1.0) * dt
    every = envelope.strength(faults, times)
    by_block = every[1:].reshape(blocks, ticks, -1)
    instant = faults.shape == Shape.IMPULSE
    strength = jnp.where(instant, by_block.max(axis=1), by_block[:, 0])
    begins = times[1:].reshape(blocks, ticks)[:, 0]
    within = envelope.within(faults, begins) | (strength > 0.0)
    since = begins[:, None] - faults.start_s
    warm_s = jnp.where(faults.primitive == INDEX["cache_warm_s"], faults.magnitude, 0.0).sum()
    fills = jnp.exp(-jnp.maximum(since, 0.0) / jnp.maximum(warm_s, 1.0))
    cache = (faults.primitive == INDEX["cache_hit"]) & (warm_s > 0.0)
    spot = faults.primitive == INDEX["spot_unavailable_s"]
    strength = jnp.where(cache, strength * fills, strength)
    strength = jnp.where(spot & (since >= faults.magnitude), 0.0, strength)
    return Strengths(ticks=every, strength=strength, within=within)
