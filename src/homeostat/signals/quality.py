"""Which values may be believed: one code per series and per page, never a number in their place.

A page is what one source says about one subject. It is refused whole when it did not come, when it
is frozen (nothing on it moved although a witness saw traffic), or when its counters went back
without a restart. Source of the list: reliability of metric pages in comparable controllers, where
absent, zero and stale data were the common cause of wrong scale-downs (KEDA 3065, Argo NaN rules).
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.base.evidence import Quality

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int8]
Bools = npt.NDArray[np.bool_]

QUALITIES: Final = (
    Quality.GOOD,
    Quality.MISSING,
    Quality.UNREACHABLE,
    Quality.STALE,
    Quality.ABSURD,
    Quality.FEW,
)
"""Position in this tuple is the code; arrays hold codes, values hold `Quality`."""

GOOD: Final = 0
MISSING: Final = 1
UNREACHABLE: Final = 2
STALE: Final = 3
ABSURD: Final = 4
FEW: Final = 5

MOST_JUDGED: Final = 1e15
"""No gauge is beyond: detectors count to there, and what they cut off would be a constant, which is
healthy for ever."""
MOST_COUNTED: Final = 2.0**53
"""No counter is beyond: its increments would not be exact."""

# Page reports are exact copies of counters, so any backward step is real. A counter that is low for
# this many rounds in a row, and moves, was restarted by something that gives no start time.
REBASE_ROUNDS: Final = 5
# Start times that are estimated from whole seconds of uptime move by less than this (base.raw).
SAME_EPOCH_S: Final = 2.0


def code_of(quality: Quality) -> int:
    """Return a quality's code.

    >>> code_of(Quality.STALE)
    3
    """
    return QUALITIES.index(quality)


def worst(codes: Codes, axis: int = 0) -> Codes:
    """Return the worst code along an axis: a sum of several series is as good as its worst part."""
    worst_codes: Codes = codes.max(axis=axis)
    return worst_codes


def absurd_values(values: Floats, counters: Bools) -> Bools:
    """Return where a raw value cannot be believed by itself.

    Args:
        values: Raw values as they were on the page.
        counters: True where the series is a counter or a bucket.

    Returns:
        True where it is NaN or infinite, larger than may be judged or counted, or a negative
        counter.
    """
    most = np.where(counters, MOST_COUNTED, MOST_JUDGED)
    odd: Bools = ~(np.abs(values) <= most) | (counters & (values < 0.0))
    return odd


def went_back(values: Floats, last: Floats, counters: Bools) -> Bools:
    """Return where a counter is below its last believed value; unknown last values say nothing."""
    with np.errstate(invalid="ignore"):
        back: Bools = counters & (values < last)
    return back


def new_epoch(epoch: Floats, last: Floats) -> Bools:
    """Return where the counting process is surely another one, by its start time alone."""
    with np.errstate(invalid="ignore"):
        other: Bools = np.abs(epoch - last) >= SAME_EPOCH_S
    return other


def share_of(pages: int, page: Ints, part: Bools, whole: Bools) -> tuple[Ints, Ints]:
    """Return per page how many of its series are in `part` and in `whole`."""
    return (
        np.bincount(page[part], minlength=pages),
        np.bincount(page[whole], minlength=pages),
    )
