"""Many canaries at once: which of them are harmful, with few false ones among those named.

Each canary's own verdict is wrong with chance alpha; of a thousand harmless ones fifty would be
named. e-BH names those whose evidence stands out of the whole fleet: of the named at most `level`
are harmless on average, however the canaries depend on each other (`stats.ebh`). It only says what
to look at first and what may stop a fleet; a single canary's rollback needs no fleet.
"""

from collections.abc import Sequence

import numpy as np

from homeostat.base.canary import CanaryJudgement
from homeostat.stats.ebh import e_bh


def harmful(judged: Sequence[CanaryJudgement], level: float = 0.05) -> tuple[int, ...]:
    """Return the places of the canaries that are harmful beyond chance, ascending.

    Args:
        judged: The newest of each; all at moments that were not chosen by looking at the others.
        level: False discovery rate, in (0, 1).

    Raises:
        ValueError: The level is out of range.
    """
    e = np.array([one.harm_e for one in judged], dtype=np.float64)
    return tuple(np.flatnonzero(e_bh(e, level)).tolist()) if len(e) else ()
