"""Work done apart: its results are there once, however many use them.

XLA's compiler for processors fuses an operation that looks cheap into each of its uses, and those
into each of theirs: left to itself it makes three operations of each one of the twin's, which cost
as much to compile as to run. What is worked out apart is a function of its own in the compiled
program, and the compiler is told not to put its body into the caller's. The results are the same.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.core import Tracer
from jax.experimental.xla_metadata import set_xla_metadata

T = TypeVar("T")


def apart(work: Callable[[], T]) -> T:
    """Return what `work` returns, a pytree of arrays.

    Args:
        work: A function that is written on the spot, of what stands around it.
    """
    if not _compiling(work):
        return work()
    found: T = jax.jit(work)()
    held: T = jax.tree.map(_marked, found)
    return held


def untouched(work: Callable[[], Array]) -> Array:
    """Return what `work` returns, float32, in memory that what is made of it is not written to.

    Where a result takes its operand's place, the compiler cannot tell that no value is read after
    it was written, and goes through them one by one: five times slower where logarithms or
    exponentials are taken. It never writes a number over bits that stand for one.

    Args:
        work: As in `apart`.
    """
    if not _compiling(work):
        return work()
    found: Array = jax.jit(lambda: lax.bitcast_convert_type(work(), jnp.uint32))()
    return lax.bitcast_convert_type(_marked(found), jnp.float32)


def _compiling(work: Callable[[], Any]) -> bool:
    """Return whether a program is being made, and not numbers."""
    around = [cell.cell_contents for cell in getattr(work, "__closure__", None) or ()]
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(around))


def _marked(leaf: Array) -> Array:
    # The mark goes to what made the value: the call. The compiler knows it by this name.
    marked: Array = set_xla_metadata(leaf, inlineable="false")  # type: ignore[no-untyped-call]
    return marked
