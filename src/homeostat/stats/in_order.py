"""Sums that are the same alone and in a batch: added up one after the other, along the first axis.

NumPy's own sum pairs its terms by how an array lies in memory, so that a row by itself and the same
row among others may differ in the last digit.
"""

from typing import Any

import numpy as np


def total(parts: Any) -> Any:
    """Return the sum over the first axis, `[...]`.

    Args:
        parts: At least one along the first axis, `[part, ...]`.

    >>> float(total(np.array([0.5, 0.25, 2.0])))
    2.75
    """
    return np.cumsum(parts, axis=0)[-1]
