"""When the data of a fit were recorded: the fit's own date, whatever its file's time says.

A recording that counts its seconds from somewhere else than 1970 has none: a date is read from the
data or not known, never guessed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

# Before 2000 nobody recorded what is served here: such times count from somewhere else.
_FIRST_S: Final = 946_684_800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A stretch of time.

    Attributes:
        begins_s: Seconds since 1970, UTC; NaN = not known.
        ends_s: The same of its end.
    """

    begins_s: float
    ends_s: float

    @property
    def is_dated(self) -> bool:
        """True when the data say when they were recorded."""
        return math.isfinite(self.ends_s)


UNDATED: Final = Window(begins_s=math.nan, ends_s=math.nan)


def spanning(begins_s: float, ends_s: float) -> Window:
    """Return the window of times as they are written; undated if they count from somewhere else.

    >>> spanning(0.0, 3600.0).is_dated
    False
    >>> spanning(1.7e9, 1.7e9 + 3600.0).is_dated
    True
    """
    if not begins_s >= _FIRST_S:
        return UNDATED
    return Window(begins_s=begins_s, ends_s=ends_s)


def together(windows: Sequence[Window]) -> Window:
    """Return from the first beginning to the last end; undated as soon as one of them is."""
    if not windows or not all(one.is_dated for one in windows):
        return UNDATED
    return Window(
        begins_s=min(one.begins_s for one in windows), ends_s=max(one.ends_s for one in windows)
    )


def text(seconds: float) -> str | None:
    """Return a time as people and scripts read it, whole seconds; None if it is not known.

    >>> text(1.7e9)
    '2023-11-14T22:13:20Z'
    """
    if not math.isfinite(seconds):
        return None
    return f"{np.datetime64(math.floor(seconds), 's')}Z"


def from_text(written: str | None) -> float:
    """Return what `text` wrote; NaN for None.

    Raises:
        ValueError: It is no time in UTC.

    >>> from_text("2023-11-14T22:13:20Z")
    1700000000.0
    """
    if written is None:
        return math.nan
    if not written.endswith("Z"):
        raise ValueError(f"{written!r} is no time in UTC; write 2023-11-14T22:13:20Z")
    seconds = float(np.datetime64(written[:-1], "s").astype(np.int64))
    if not seconds >= _FIRST_S:
        raise ValueError(f"{written!r} is no time at which anything was recorded")
    return seconds
