"""The controller's clock: wall time that never goes back, and a report when the wall jumps.

Times are the wall clock at start plus monotonic time since, so a stepped or set clock moves no
deadline. The jump itself is news: ages of what others stamped become suspect.
"""

import time

from homeostat.base.units import SECOND, TimeNs

# Beyond this the wall clock was set, not slewed (NTP slews by at most 0.5 ms/s).
JUMP_NS = 2 * SECOND


class Clock:
    """Wall time anchored to the monotonic clock."""

    def __init__(self) -> None:
        """Anchor the clock now."""
        self._wall = time.time_ns()
        self._monotonic = time.monotonic_ns()
        self._offset = 0

    def not_before(self, at: TimeNs) -> None:
        """Never say a time before this: the journal's last one, when the wall clock is behind."""
        behind = at + 1 - self.now()
        if behind > 0:
            self._wall += behind
            self._offset += behind

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
