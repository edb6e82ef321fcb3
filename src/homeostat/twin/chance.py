"""Where chance comes from: one key per episode, split by purpose and moment, never by call.

Whatever a controller does, the same episode meets the same load noise, the same n-th start of the
same slot takes the same time, and the same scrape has the same noise: common random numbers, so
that two policies differ by what they did alone.

A draw is a hash of the key and of what it is for. `jax.random` does the same with 20 rounds of
Threefry, in loops that cost the twin a fifth of its time; two rounds of a tested integer hash are
plenty for noise that no adversary reads. Source: Wellons, "Prospecting for hash functions" (2018),
`lowbias32`; each input bit flips each output bit with probability 0.5 within 0.2 %.
"""

import math
from enum import IntEnum
from typing import Final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

_UNIT: Final = 1.0 / (1 << 24)
_LARGEST: Final = 1.0 - _UNIT  # the float32 below 1
_ERF_INV_MIDDLE: Final = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
    -0.00125372503, -0.00417768164, 0.246640727, 1.50140941,
)  # fmt: skip
_ERF_INV_TAIL: Final = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773,
    -0.0076224613, 0.00943887047, 1.00167406, 2.83297682,
)  # fmt: skip
_GOLDEN: Final = np.uint32(0x9E3779B9)  # 2^32 / golden ratio: spreads consecutive numbers


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
    return fold(key, jnp.uint32(int(purpose)))


def fold(key: Array, number: Array) -> Array:
    """Return the key that belongs to a number, for example a scrape's.

    Args:
        key: Any JAX key; the answer is two words, uint32 [2], which are one as well.
        number: Whole, any integer type.
    """
    left, right = _halves(key)
    step = number.astype(jnp.uint32) * _GOLDEN
    first = _mix(left ^ step)
    return jnp.stack([first, _mix((right + step) ^ first)])


def words(key: Array, shape: tuple[int, ...]) -> Array:
    """Return 32 random bits for each place of an array."""
    left, right = _halves(key)
    place = jnp.arange(math.prod(shape), dtype=jnp.uint32).reshape(shape)
    return _mix(_mix(place * _GOLDEN + left) ^ right)


def uniform(key: Array, shape: tuple[int, ...]) -> Array:
    """Return uniform draws in (0, 1)."""
    return _uniform(words(key, shape))


def normal(key: Array, shape: tuple[int, ...]) -> Array:
    """Return standard normal draws."""
    return as_normal(uniform(key, shape))


def normals(key: Array, first: Array, count: int) -> Array:
    """Return the load noise of `count` ticks from tick `first` on, standard normal [count]."""
    own = key_for(key, Purpose.LOAD)
    ticks = (first + jnp.arange(count)).astype(jnp.uint32)
    return as_normal(_uniform(_mix(_mix(ticks * _GOLDEN + own[0]) ^ own[1])))


def of_processes(key: Array, starts: Array) -> Draws:
    """Return the draws of each slot's process number `starts` [S]."""
    own = key_for(key, Purpose.LIFE)
    slots = jnp.arange(starts.shape[0], dtype=jnp.uint32)
    process = _mix(_mix(slots * _GOLDEN + own[0]) ^ (starts.astype(jnp.uint32) * _GOLDEN + own[1]))
    draws = [_uniform(_mix(process + jnp.uint32(k) * _GOLDEN)) for k in range(1, 5)]
    return Draws(
        delay=as_normal(draws[0]),
        load=as_normal(draws[1]),
        luck=draws[2],
        poison=-jnp.log(draws[3]),
    )


def of_write(key: Array, now_s: Array) -> Array:
    """Return three uniform draws for the writes of the scrape that begins now."""
    return uniform(fold(key_for(key, Purpose.WRITES), now_s.astype(jnp.int32)), (3,))


def of_listing(key: Array, slots: int) -> Array:
    """Return a uniform draw per slot for the whole episode [S]."""
    return uniform(key_for(key, Purpose.LISTING), (slots,))


def _halves(key: Array) -> tuple[Array, Array]:
    data = jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key
    return data[0], data[1]


def _mix(word: Array) -> Array:
    """Return the word, every bit of which depends on every bit of the argument."""
    word = (word ^ (word >> 16)) * np.uint32(0x7FEB352D)
    word = (word ^ (word >> 15)) * np.uint32(0x846CA68B)
    return word ^ (word >> 16)


def _uniform(bits: Array) -> Array:
    """Return numbers in (0, 1) from 32-bit words."""
    # 24 bits and a half need 25: of the greatest word the half would be rounded up, to 1.
    return jnp.minimum(((bits >> 8).astype(jnp.float32) + 0.5) * _UNIT, _LARGEST)


def as_normal(uniform_: Array) -> Array:
    """Return standard normal draws from uniform ones.

    By the inverse of the error function, which is a third of the inverse normal law's work, in
    steps that fill vectors (`jax.lax.erf_inv` takes five times as long). Source: Giles,
    "Approximating the erfinv function", GPU Computing Gems (2012), single precision.
    """
    x = 2.0 * uniform_ - 1.0
    w = -jnp.log((1.0 - x) * (1.0 + x))
    middle = _polynomial(_ERF_INV_MIDDLE, w - 2.5)
    tail = _polynomial(_ERF_INV_TAIL, jnp.sqrt(w) - 3.0)
    return math.sqrt(2.0) * x * jnp.where(w < 5.0, middle, tail)  # noqa: PLR2004 - as in the paper


def _polynomial(factors: tuple[float, ...], x: Array) -> Array:
    """Return a polynomial, factors of the highest powers first."""
    total = jnp.full_like(x, factors[0])
    for factor in factors[1:]:
        total = total * x + factor
    return total
