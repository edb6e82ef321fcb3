"""What each strength of each channel has been worth: counts that add up, and odds from them.

A stretch of time is counted by the highest bin that each channel reached in it. Reaching a bin is
worth ln P(reached | trouble) / P(reached | none): how many times more often troubled stretches
reach it. Odds rise with strength and are never below nothing: a stronger departure never counts as
less, and no amount of feedback makes evidence speak for health. Without counts nothing is worth
anything. Counts fade, so that last year's noise does not outvote this month's.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from homeostat.learn.feedback_channels import BINS, CHANNELS, UNKNOWN

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

QUIET, TROUBLE = 0, 1
# Made-up stretches of each kind that reached a bin, besides the seen ones: one half is Jeffreys'
# prior for a share, so that one stretch decides nothing.
_PRIOR: Final = 0.5


class Counts(NamedTuple):
    """Weighted stretches.

    Attributes:
        reached: That reached each bin as their highest, `[2, channel, bin]`.
        stretches: In all, `[2]`.
    """

    reached: Any
    stretches: Any


def none() -> Counts:
    """Return no counts."""
    return Counts(reached=np.zeros((2, len(CHANNELS), BINS)), stretches=np.zeros(2))


def added(counts: Counts, peaks: Ints, *, trouble: bool, weight: float, fade: float) -> Counts:
    """Return the counts with one more stretch.

    Args:
        counts: Before.
        peaks: Highest bin of each channel in the stretch, `[channel]`.
        trouble: What it was.
        weight: How far that is believed.
        fade: Share of the counts of this kind that is forgotten with each sure stretch.
    """
    kind = TROUBLE if trouble else QUIET
    reached, stretches = counts.reached.copy(), counts.stretches.copy()
    reached[kind] *= (1.0 - fade) ** weight
    stretches[kind] *= (1.0 - fade) ** weight
    reached[kind, np.arange(len(peaks)), peaks] += weight
    stretches[kind] += weight
    return Counts(reached=reached, stretches=stretches)


def merged(one: Counts, other: Counts) -> Counts:
    """Return the counts of two deployments, or of two controllers, as one."""
    return Counts(reached=one.reached + other.reached, stretches=one.stretches + other.stretches)


def odds(counts: Counts, *, kind: int = QUIET, without: float = 0.0) -> Floats:
    """Return what each bin is worth, natural logarithm, 0 or more, `[channel, bin]`.

    Unknown is worth nothing: what was not reported proves neither trouble nor health.

    Args:
        counts: Of stretches.
        kind: Of the stretches that are taken off.
        without: How many are taken off every bin, to judge one that was counted.
    """
    known = counts.reached.copy()
    known[:, :, UNKNOWN] = 0.0
    beyond = known[:, :, ::-1].cumsum(axis=2)[:, :, ::-1]
    # A channel that was silent in a stretch does not say that the stretch was calm in it.
    beyond[kind] = np.maximum(beyond[kind] - without, 0.0)
    told = beyond[:, :, :1]
    share = (beyond + _PRIOR) / (told + 2.0 * _PRIOR)
    worth = np.maximum(np.log(share[TROUBLE]) - np.log(share[QUIET]), 0.0)
    worth[:, UNKNOWN] = 0.0
    return np.asarray(np.maximum.accumulate(worth, axis=1))
