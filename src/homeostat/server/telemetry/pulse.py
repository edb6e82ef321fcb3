"""How the controller itself is doing: what the runtime tells, and nothing that it could not lose.

Numbers only. Nothing here is journaled, and nothing decides by it.
"""

from collections import Counter

from homeostat.base.units import SECOND, TimeNs


class Pulse:
    """Counts of this process, since it began."""

    __slots__ = ("journal_failures", "journal_ok", "notices", "turned_at")

    def __init__(self) -> None:
        self.turned_at: TimeNs | None = None
        """The end of the last whole turn, or when it began to lead; None in standby."""
        self.journal_ok: bool | None = None
        self.journal_failures = 0
        self.notices: Counter[tuple[str, str]] = Counter()

    def leads(self, now: TimeNs) -> None:
        """Say that this controller leads from now on."""
        self.turned_at = now

    def ends(self) -> None:
        """Say that it leads no more."""
        self.turned_at = None

    def turned(self, now: TimeNs) -> None:
        """Say that a whole turn of the loop is over; one that ended meanwhile leads no more."""
        if self.turned_at is not None:
            self.turned_at = now

    def wrote(self, *, kept: bool) -> None:
        """Count one write to the journal."""
        self.journal_ok = kept
        self.journal_failures += not kept

    def told(self, notifier: str, *, well: bool) -> None:
        """Count one notice to people."""
        self.notices[notifier, "told" if well else "failed"] += 1

    def lag_s(self, now: TimeNs, period_ns: int) -> float | None:
        """Return how overdue the next turn is, seconds; None in standby.

        Args:
            now: The time, by the clock that the turns were told by.
            period_ns: Between the beginnings of two turns.
        """
        if self.turned_at is None:
            return None
        return max(0, now - self.turned_at - period_ns) / SECOND
