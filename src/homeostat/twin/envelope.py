"""How strong each fault is at a moment: the time shapes of `shapes.Shape`, evaluated.

Strength only; what a fault does with it is in `effects`, what ends it early in `cures`.
"""

from typing import Final

import jax.numpy as jnp
from jax import Array

from homeostat.twin.faults import Faults
from homeostat.twin.shapes import Shape

# A rise over `ramp_s` that is visibly convex: e^3, so that half way up it is at 18 %.
_RISE: Final = 3.0
_LEAST_S: Final = 1e-3


def strength(faults: Faults, t: Array) -> Array:
    """Return how strong each fault is, 0..1 [..., F].

    Args:
        faults: One episode's.
        t: Seconds since its beginning [...].
    """
    since = t[..., None] - faults.start_s
    ramp = jnp.maximum(faults.ramp_s, _LEAST_S)
    risen = jnp.clip(since / ramp, 0.0, 1.0)
    length = faults.stop_s - faults.start_s
    tail = jnp.maximum((length - faults.ramp_s) / 3.0, _LEAST_S)
    rise = jnp.expm1(_RISE * risen) / jnp.expm1(_RISE)
    decay = jnp.exp(-jnp.maximum(since - faults.ramp_s, 0.0) / tail)
    period = jnp.maximum(faults.period_s, _LEAST_S)
    # Not `jnp.mod`: the remainder of floats is a call for each of them, and no vector's.
    phase = since - period * jnp.floor(since / period)
    steps = jnp.clip(jnp.floor(4.0 * since / ramp) + 1.0, 0.0, 4.0) / 4.0
    by_shape = (
        jnp.where(faults.ramp_s > 0.0, risen, 1.0),
        rise * decay,
        0.5 - 0.5 * jnp.cos(2.0 * jnp.pi * phase / period),
        jnp.where(phase < faults.ramp_s, 1.0, 0.0),
        jnp.where(since < 1.0, 1.0, 0.0),
        steps,
        _late(faults, t),
    )
    found = jnp.zeros_like(since)
    for shape, value in zip(Shape, by_shape, strict=True):
        found = jnp.where(faults.shape == shape, value, found)
    return jnp.where(within(faults, t), found, 0.0)


def within(faults: Faults, t: Array) -> Array:
    """Return whether each fault's time has come and not gone [..., F], bool."""
    late = faults.shape == Shape.QUIET_THEN_PEAK
    begins = jnp.where(late, jnp.maximum(faults.start_s, faults.stop_s), faults.start_s)
    ends = jnp.where(late, jnp.inf, faults.stop_s)
    now = t[..., None]
    return (now >= begins) & (now < ends) & jnp.isfinite(begins)


def _late(faults: Faults, t: Array) -> Array:
    since = t[..., None] - faults.stop_s
    up = jnp.clip(since / jnp.maximum(faults.ramp_s, _LEAST_S), 0.0, 1.0)
    return jnp.where(faults.ramp_s > 0.0, up, 1.0)
