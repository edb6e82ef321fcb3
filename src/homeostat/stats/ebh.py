"""e-BH: which of many hypotheses do their e-values speak against, with a false discovery rate.

Rejects the k largest of d e-values for the largest k with k e_(k) / d >= 1 / level. At most `level`
of the rejected are false on average, however the e-values depend on each other.

Source: Wang & Ramdas, "False discovery rate control with e-values", JRSS B 84 (2022).
"""

import numpy as np
import numpy.typing as npt


def e_bh(e: npt.NDArray[np.float64], level: float) -> npt.NDArray[np.bool_]:
    """Return which hypotheses are rejected, `[hypothesis]`.

    Args:
        e: e-values, 0 or more, `[hypothesis]`; NaN is never rejected, and counts as one.
        level: False discovery rate, in (0, 1).

    Raises:
        ValueError: The level is out of range.

    >>> e_bh(np.array([50.0, 3.0, 45.0, 0.5]), 0.05).tolist()
    [True, False, True, False]
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"e-BH: level must be in (0, 1), got {level}")
    known = np.where(np.isnan(e), 0.0, e)
    largest = np.sort(known)[::-1]
    rank = np.arange(1, len(e) + 1)
    enough = rank * largest >= len(e) / level
    if not enough.any():
        return np.zeros(len(e), dtype=bool)
    rejected: npt.NDArray[np.bool_] = known >= largest[np.flatnonzero(enough)[-1]]
    return rejected
