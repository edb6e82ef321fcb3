"""Where chance comes from: one key per episode, split by purpose and moment, never by call.

Whatever a controller does, the same episode meets the same load noise, the same n-th start of the
same slot takes the same time, and the same scrape has the same noise: common random numbers, so
that two policies differ by what they did alone.
"""

from enum import IntEnum

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

_WORDS = 5
_UNIT = 1.0 / (1 << 24)


class Purpose(IntEnum):
    """What a key is for; numbers are part of every recorded result and never change."""

    LOAD = 1
    LIFE = 2
    WRITES = 3
    LABELS = 4
    TELEMETRY = 5
    TRAINING = 6
    LISTING = 7


class Draws(eqx.Module):
    """One draw for the next process of every slot; each [S].

    Attributes:
        delay: Standard normal: how long its machine takes.
        load: Standard normal: how long its model takes to load.
        luck: Uniform: whether it comes up broken.
        poison: Exponential, mean 1: poisonous requests it survives.
    """

    delay: Array
    load: Array
    luck: Array
    poison: Array


def key_for(key: Array, purpose: Purpose) -> Array:
    """Return the episode's key for one purpose."""
    return jax.random.fold_in(key, int(purpose))


def normals(key: Array, first: Array, count: int) -> Array:
    """Return the load noise of `count` ticks from tick `first` on, standard normal [count]."""
    own = key_for(key, Purpose.LOAD)
    ticks = first + jnp.arange(count)
    bits = jax.vmap(lambda tick: jax.random.bits(jax.random.fold_in(own, tick)))(ticks)
    return _normal(_uniform(bits))


def of_processes(key: Array, starts: Array) -> Draws:
    """Return the draws of each slot's process number `starts` [S]."""
    own = key_for(key, Purpose.LIFE)

    def one(slot: Array, number: Array) -> Array:
        process = jax.random.fold_in(jax.random.fold_in(own, slot), number)
        return jax.random.bits(process, (_WORDS,))

    words = _uniform(jax.vmap(one)(jnp.arange(starts.shape[0]), starts))
    return Draws(
        delay=_normal(words[:, 0]),
        load=_normal(words[:, 1]),
        luck=words[:, 2],
        poison=-jnp.log(words[:, 3]),
    )


def of_write(key: Array, now_s: Array) -> Array:
    """Return three uniform draws for the writes of the scrape that begins now."""
    own = jax.random.fold_in(key_for(key, Purpose.WRITES), now_s.astype(jnp.int32))
    return _uniform(jax.random.bits(own, (3,)))


def of_listing(key: Array, slots: int) -> Array:
    """Return a uniform draw per slot for the whole episode [S]."""
    return _uniform(jax.random.bits(key_for(key, Purpose.LISTING), (slots,)))


def _uniform(bits: Array) -> Array:
    """Return numbers in (0, 1) from 32-bit words."""
    return ((bits >> 8).astype(jnp.float32) + 0.5) * _UNIT


def _normal(uniform: Array) -> Array:
    return jnp.sqrt(2.0) * jax.lax.erf_inv(2.0 * uniform - 1.0)
