"""The controller's clock: wall time that never goes back, and a report when the wall jumps.

Times are the wall clock at start plus monotonic time since, so a stepped or set clock moves no
deadline. The jump itself is news: ages of what others stamped become suspect. A journal whose last
time lies in the future is the same news: the wall clock went back between two lives. What people
write in calendar time (a freeze, how long records are kept) goes by `wall`, not by `now`.
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
        """Never say a time before this: the journal's last one, when the wall clock is behind.

        Ours stays ahead for as long as the process lives: records must be in order. How far it
        runs ahead of the wall clock then is told by `jumped_by`, if it is more than a slew.
        """
        self._wall += max(0, at + 1 - self.now())

    def wall(self) -> TimeNs:
        """Return what the machine's clock shows now, right or wrong; it may go back."""
        return TimeNs(time.time_ns())

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
