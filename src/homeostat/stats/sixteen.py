"""Sizes in 16 bits: in order, a thousandth of each, over 64 octaves.

A number of 0 or more keeps its place among others, which is all that a rank asks, and its size to
half a thousandth, which a tail fitted to a few dozen of them never notices. The upper bits of a
number in single precision, rounded, counted from 2^-40 on: scores of `detect.screen` are a million
spreads at most. (Half precision would end at 65,504 and lose small ones.) The same in NumPy and
JAX, and on every machine.
"""

from types import ModuleType
from typing import Any, Final

EMPTY: Final = 0
"""The code of no number at all, below all others; those too small to be told from 0 have 1."""

_SHIFT: Final = 13  # ten of a single's 23 bits of fraction stay
_HALF: Final = 1 << (_SHIFT - 1)
_LEAST: Final = 2.0**-40
_FIRST: Final = ((127 - 40) << 23) - (1 << _SHIFT)  # bits of what has code 0
_LAST: Final = (1 << 16) - 1


def coded(xp: ModuleType, sizes: Any) -> Any:
    """Return codes, uint16, of finite numbers of 0 or more in single precision; any shape."""
    bits = xp.maximum(sizes, xp.float32(_LEAST)).view(xp.int32)
    code = (bits - _FIRST + _HALF) >> _SHIFT
    return xp.minimum(code, _LAST).astype(xp.uint16)


def sized(xp: ModuleType, codes: Any) -> Any:
    """Return the numbers of codes in single precision, -inf for `EMPTY`; any shape."""
    bits = (codes.astype(xp.int32) << _SHIFT) + _FIRST
    known = xp.where(codes > 1, bits.view(xp.float32), xp.float32(0.0))
    return xp.where(codes == EMPTY, -xp.float32(xp.inf), known)
