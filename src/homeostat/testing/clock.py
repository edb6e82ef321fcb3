"""A clock that tests move by hand, starting at an odd moment.

Code that compares the wrong clocks, divides a time by a second and expects no remainder, or takes
zero for "never" breaks at once here; under a clock that starts at zero it would pass.
"""

from typing import Final

from homeostat.base.units import SECOND, TimeNs

START_NS: Final = TimeNs(1_700_000_003_141_592_653)
"""Where a `FakeClock` starts: 2023-11-14T22:13:23.141592653Z, no round moment in any unit."""

JUMP_NS: Final = 2 * SECOND
"""From here on a journal from the future is told as a jump, as the controller's clock does."""


class FakeClock:
    """Offers what the controller's clock offers, and moves only when told.

    Args:
        start: The first time it shows.

    >>> clock = FakeClock()
    >>> clock.advance(1_500_000_000) - START_NS
    1500000000
    """

    def __init__(self, start: TimeNs = START_NS) -> None:
        self._now = start
        self._jumped_ns = 0
        self._ahead_ns = 0

    def now(self) -> TimeNs:
        """Return the time; asking does not move it."""
        return self._now

    def not_before(self, at: TimeNs) -> None:
        """Never say a time before this one (a journal's last), or this one again."""
        pushed_ns = max(0, at + 1 - self._now)
        self._now = TimeNs(self._now + pushed_ns)
        self._ahead_ns += pushed_ns
        if pushed_ns >= JUMP_NS:
            self._jumped_ns -= pushed_ns

    def wall(self) -> TimeNs:
        """Return what the machine's clock shows."""
        return TimeNs(self._now - self._ahead_ns)

    def jumped_by(self) -> int:
        """Return by how much the wall clock moved against ours since the last call, else 0."""
        jumped_ns, self._jumped_ns = self._jumped_ns, 0
        return jumped_ns

    def advance(self, by_ns: int) -> TimeNs:
        """Let time pass and return the new time.

        Raises:
            ValueError: Time does not go back; use `jump` for a wall clock that was set.
        """
        if by_ns < 0:
            raise ValueError(f"time does not go back: advance({by_ns}); use jump() for a set clock")
        self._now = TimeNs(self._now + by_ns)
        return self._now

    def jump(self, by_ns: int) -> None:
        """Set the wall clock by this much; our own time does not move, `jumped_by` reports it."""
        self._jumped_ns += by_ns
        self._ahead_ns -= by_ns
