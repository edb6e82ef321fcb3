"""Choosing between two arrays where nearly always all of one is chosen: then nothing is copied.

Masks of a batch (known, may be learnt from, not new) are mostly true all over; to ask that costs a
tenth of choosing. What comes back may be the very array that was given, so nobody may write to it.
Under JAX, where nothing can be asked, it is `where`.
"""

from types import ModuleType
from typing import Any

import numpy as np


def where(xp: ModuleType, mask: Any, yes: Any, no: Any) -> Any:
    """Return `xp.where(mask, yes, no)`.

    Args:
        xp: numpy or jax.numpy.
        mask: Bool array.
        yes: Array of the same shape.
        no: Array of the same shape, or a number.
    """
    if xp is np and mask.all():
        return yes
    return xp.where(mask, yes, no)


def alike(xp: ModuleType, values: Any) -> Any:
    """Return the number that all of an array are, None if they differ, are none or cannot be known.

    Args:
        xp: numpy or jax.numpy.
        values: Known numbers, any shape.
    """
    if xp is not np or not values.size:
        return None
    least = values.min()
    return least if least == values.max() else None
