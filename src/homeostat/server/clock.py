"""The controller's clock: wall time that never goes back, and a report when the wall jumps.

Times are the wall clock at start plus monotonic time since, so a stepped or set clock moves no
deadline. The jump itself is news: ages of what others stamped become suspect.
"""

import time

from homeostat.base.units import SECOND, TimeNs

# Beyond this the wall clock was set, not slewed (NTP slews by at most 0.5 ms/s).
JUMP_NS = 2 * SECOND


class Clock:
    """Wall time anchored to the monotonic clock.

    Attributes:
        not_before: The journal's last time; a wall clock behind it does not turn time back.
    """

    def __init__(self, not_before: TimeNs | None = None) -> None:
        """Anchor the clock now."""
        wall = time.time_ns()
        self._wall = max(wall, (not_before or 0) + 1)
        self._monotonic = time.monotonic_ns()
        self._offset = self._wall - wall

    def now(self) -> TimeNs:
        """Return the time in nanoseconds since the epoch; it never decreases."""
        return TimeNs(self._wall + time.monotonic_ns() - self._monotonic)

    def jumped_by(self) -> int:
        """Return by how much the wall clock moved against ours since the last call, else 0."""
        offset = self.now() - time.time_ns()
        moved = self._offset - offset
        if abs(moved) < JUMP_NS:
            return 0
        self._offset = offset
        return moved
