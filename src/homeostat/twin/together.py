"""What deployments that are played side by side can do as one: skip a stage, write one row.

Most of the time nothing is broken anywhere in a fleet, and all of it is at the same scrape. Asked
of one deployment at a time, as `jax.vmap` asks, neither is of use: a condition becomes a choice
between two results that are both worked out, and a write becomes a loop over the fleet. What is
asked here is asked once for the whole fleet; each deployment's result is the same as alone.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import jax.numpy as jnp
from jax import Array, lax
from jax.custom_batching import custom_vmap

T = TypeVar("T")


def if_any(flag: Array, work: Callable[[], T], rest: Callable[[], T]) -> T:
    """Return what `work` returns if the flag is up anywhere in the fleet, otherwise `rest`'s.

    Args:
        flag: Of one deployment, bool.
        work: Right in any case.
        rest: The same as `work` for a deployment whose flag is down, and cheaper.
    """
    found: T = lax.cond(_anywhere(flag), work, rest)
    return found


def put_row(rows: Array, at: Array, row: Array) -> Array:
    """Return the rows [R, ...] with one of them replaced [...]; `at` is 0..R-1, int32."""
    written: Array = _put(rows, at, row)
    return written


@custom_vmap
def _anywhere(flag: Array) -> Array:
    return flag


@_anywhere.def_vmap
def _anywhere_of_many(size: int, batched: list[bool], flags: Array) -> tuple[Array, bool]:
    del size
    # Asked again: a fleet may itself be one of several, side by side.
    return _anywhere(flags.any(axis=0) if batched[0] else flags), False


@custom_vmap
def _put(rows: Array, at: Array, row: Array) -> Array:
    written: Array = lax.dynamic_update_index_in_dim(rows, row, at, 0)
    return written


@_put.def_vmap
def _put_in_many(
    size: int, batched: list[bool], rows: Array, at: Array, row: Array
) -> tuple[Array, bool]:
    """Write place by place, each for all who write there: once, when all are at the same place."""
    rows, at, row = (
        value if each else jnp.broadcast_to(value, (size, *value.shape))
        for value, each in zip((rows, at, row), batched, strict=True)
    )

    def turn(state: tuple[Any, Any]) -> tuple[Any, Any]:
        left, done = state
        place = jnp.where(left, at, -1).max()
        mine = left & (at == place)
        old = lax.dynamic_index_in_dim(done, place, 1, keepdims=False)
        new = jnp.where(mine.reshape(size, *(1,) * (row.ndim - 1)), row, old)
        return left & ~mine, lax.dynamic_update_index_in_dim(done, new, place, 1)

    everybody = jnp.ones(size, bool)
    _, written = lax.while_loop(lambda state: state[0].any(), turn, (everybody, rows))
    return written, True
