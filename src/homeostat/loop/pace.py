"""How a version's device time follows its batch size, learnt while all is well.

A replica that is behind gets larger batches, and larger batches take longer: whoever compares
replicas must take that out first. Fading sums over the (batch size, device time) pairs of the
replicas that serve, and the line through them; the same arithmetic as the diagnosis uses
(`detect.usual`), kept here because the loop remembers per deployment what its guards rest on.
"""

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

from homeostat.base.state import Pace

# Pairs fade over 600 ticks; fewest pairs, and smallest spread of sizes, that give a slope worth
# using; standard errors that it is put above its estimate. All as in `detect.usual`.
_FADE: Final = 1.0 - 1.0 / 600.0
_LEAST_PAIRS: Final = 30.0
_LEAST_SPREAD: Final = 0.05
_ERRORS: Final = 2.0


def learn(before: Pace | None, version: str, pairs: Iterable[tuple[float, float]]) -> Pace:
    """Return the sums with one tick's pairs; those of another version are forgotten.

    Args:
        before: The sums so far, None before any.
        version: The version that the pairs are of.
        pairs: (batch size, device time in ms), all positive.
    """
    kept = before if before is not None and before.version == version else Pace(version=version)
    n, x, y, xx, xy, yy = (
        _FADE * one for one in (kept.n, kept.x, kept.y, kept.xx, kept.xy, kept.yy)
    )
    for size, time in pairs:
        n, x, y = n + 1.0, x + size, y + time
        xx, xy, yy = xx + size * size, xy + size * time, yy + time * time
    return Pace(version=version, n=n, x=x, y=y, xx=xx, xy=xy, yy=yy)


class Line(NamedTuple):
    """What a version's device time is at its usual batch, and what a request more adds.

    Attributes:
        size: Usual batch.
        time: Its device time, ms.
        slope: Most ms a request more that the pairs allow; None where it cannot be told.
    """

    size: float
    time: float
    slope: float | None

    def at(self, size: float) -> float:
        """Return the most device time that a batch of a size explains, in ms.

        A batch twice as large as usual takes at most twice as long (setup time is not negative);
        the learnt slope, two standard errors up, says less where there is one.
        """
        most = self.time * max(size / self.size, 1.0)
        if self.slope is None:
            return most
        return min(max(self.time + self.slope * (size - self.size), 0.0), most)


def line(pace: Pace) -> Line | None:
    """Return the line through the pairs; None before any pair."""
    if pace.n < 1.0 or pace.x <= 0.0 or pace.y <= 0.0:
        return None
    usual, time = pace.x / pace.n, pace.y / pace.n
    return Line(usual, time, _slope(pace, usual, time))


def _slope(pace: Pace, usual: float, time: float) -> float | None:
    spread = pace.xx / pace.n - usual * usual
    if pace.n < _LEAST_PAIRS or spread < _LEAST_SPREAD**2:
        return None
    slope = (pace.xy / pace.n - usual * time) / spread
    left = max(pace.yy / pace.n - time * time - slope * slope * spread, 0.0)
    return max(slope, 0.0) + _ERRORS * math.sqrt(left / (pace.n * spread))
