"""Units: time as integer nanoseconds, and the few conversions that need a name.

Times are `TimeNs` (nanoseconds since the epoch, an int) so that equality, ordering and replay
are exact; durations are plain ints whose names end in `_ns`.
"""

from typing import Final, NewType

TimeNs = NewType("TimeNs", int)

MILLISECOND: Final = 1_000_000
SECOND: Final = 1_000_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE


def ns(seconds: float) -> int:
    """Return a duration in nanoseconds.

    >>> ns(1.5)
    1500000000
    """
    return round(seconds * SECOND)


def seconds(duration_ns: int) -> float:
    """Return a duration in seconds.

    >>> seconds(250_000_000)
    0.25
    """
    return duration_ns / SECOND
