"""The `Freeze` kind: when nothing may be changed, except back.

Stretches of time, weekly windows in a named time zone, and windows by an iCalendar rule. A window
whose end lies before its start goes on into the next day. With `maintenance: true` the times are
those at which changes are allowed, and everything outside them is frozen. Freezes add up: whatever
any of them says is frozen.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from homeostat.base.units import SECOND, TimeNs
from homeostat.server.config import recurring
from homeostat.server.config.guardrails import Strict
from homeostat.server.config.recurring import Window
from homeostat.server.config.units import Duration

Day = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
_DAYS: Final[tuple[Day, ...]] = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["16:00"])]
_ONE_DAY: Final = timedelta(days=1)
_LONGEST: Final = timedelta(days=31)  # of a window by a rule


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError) as error:  # not found is a KeyError only in its own class
        raise ValueError(f"no time zone {name!r}; write one like Europe/Paris or UTC") from error
    except KeyError:
        raise ValueError(f"no time zone {name!r}; write one like Europe/Paris or UTC") from None
    return name


Zone = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_known_zone)]


class Weekly(Strict):
    """The same hours on some days of every week."""

    days: tuple[Day, ...] = Field(min_length=1, description="Days on which the window starts.")
    start: Clock = Field(alias="from", description="Local time, HH:MM.")
    end: Clock = Field(alias="to", description="Local time; not later than `from` = the next day.")
    tz: Zone = Field(description="Time zone, for example Europe/Paris.")

    def windows(self, since: datetime, until: datetime) -> Iterable[Window]:
        """Yield every window that overlaps a stretch of time, and perhaps some beside it."""
        zone = ZoneInfo(self.tz)
        first, last = _days_of(since, until, zone, _ONE_DAY)
        every = (first + timedelta(days=n) for n in range((last - first).days + 1))
        starts = (day for day in every if _DAYS[day.weekday()] in self.days)
        return recurring.windows(starts, _clock(self.start), _clock(self.end), zone)

    def covers(self, moment: datetime) -> bool:
        """Return whether the window is open at a moment (any time zone)."""
        return any(begin <= moment < end for begin, end in self.windows(moment, moment))


class Recurring(Strict):
    """Windows on the days that an iCalendar rule names."""

    rrule: str = Field(
        min_length=1,
        max_length=500,
        examples=["FREQ=MONTHLY;BYDAY=-1FR"],
        description="RFC 5545: " + ", ".join(recurring.KEYS) + ".",
    )
    start: Clock = Field(alias="from", description="Local time, HH:MM.")
    end: Clock | None = Field(
        default=None, alias="to", description="Local time; not later than `from` = the next day."
    )
    length: Duration | None = Field(
        default=None, alias="for", description="Instead of `to`: how long, up to 31 days."
    )
    tz: Zone = Field(description="Time zone, for example Europe/Paris.")
    begins: date | None = Field(
        default=None, alias="start", description="The day from which the rule counts."
    )

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        if (self.end is None) == (self.length is None):
            raise ValueError("says to or for; write one of them")
        if self._long > _LONGEST:
            raise ValueError("for: longer than 31 days; write once: [...] or overlapping windows")
        recurring.checked(self.rrule, self.begins)
        return self

    @property
    def _long(self) -> timedelta:
        return _ONE_DAY if self.length is None else timedelta(seconds=self.length / SECOND)

    def windows(self, since: datetime, until: datetime) -> Iterable[Window]:
        """Yield every window that overlaps a stretch of time, and perhaps some beside it."""
        zone = ZoneInfo(self.tz)
        first, last = _days_of(since, until, zone, self._long)
        said = recurring.checked(self.rrule, self.begins)
        starts = recurring.days(said, self.begins, self.tz, first, last)
        end = self._long if self.end is None else _clock(self.end)
        return recurring.windows(iter(starts), _clock(self.start), end, zone)


class Stretch(Strict):
    """One stretch of time."""

    start: AwareDatetime = Field(description="With its offset: 2026-12-24T12:00:00+01:00.")
    end: AwareDatetime = Field(description="With its offset; later than start.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end <= self.start:
            raise ValueError(f"end {self.end} is not after start {self.start}; swap them")
        return self

    def windows(self, _since: datetime, _until: datetime) -> Iterable[Window]:
        """Yield the stretch."""
        yield self.start.astimezone(UTC), self.end.astimezone(UTC)

    def covers(self, moment: datetime) -> bool:
        """Return whether the stretch holds a moment."""
        return self.start <= moment < self.end


class FreezeSpec(Strict):
    """What is frozen, and when."""

    reason: str = Field(default="", max_length=500, description="For people.")
    deployments: tuple[str, ...] = Field(default=(), description="Names; empty for all.")
    weekly: tuple[Weekly, ...] = Field(default=(), max_length=100)
    recurring: tuple[Recurring, ...] = Field(default=(), max_length=100)
    once: tuple[Stretch, ...] = Field(default=(), max_length=1000)
    maintenance: bool = Field(
        default=False,
        strict=True,
        description="The times are those at which changes are allowed; outside them it is frozen.",
    )

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if not self.times:
            raise ValueError("says no time; add weekly: [...], recurring: [...] or once: [...]")
        return self

    @property
    def times(self) -> tuple[Weekly | Recurring | Stretch, ...]:
        """Every time that is said."""
        return (*self.weekly, *self.recurring, *self.once)

    def covers(self, deployment: str, now: TimeNs) -> bool:
        """Return whether a deployment is frozen."""
        if self.deployments and deployment not in self.deployments:
            return False
        moment = datetime.fromtimestamp(now / SECOND, UTC)
        inside = any(
            begin <= moment < end
            for one in self.times
            for begin, end in one.windows(moment, moment)
        )
        return inside is not self.maintenance

    def windows(self, since: datetime, until: datetime) -> list[Window]:
        """Return when it is frozen within a stretch of time, in order, cut to it."""
        found = recurring.merged([
            (max(since, begin), min(until, end))
            for one in self.times
            for begin, end in one.windows(since, until)
        ])
        if not self.maintenance:
            return found
        edges = [since, *(edge for window in found for edge in window), until]
        return recurring.merged(list(zip(edges[::2], edges[1::2], strict=True)))


def next_freeze(
    freezes: Iterable[FreezeSpec], deployment: str, now: TimeNs, reach: timedelta
) -> tuple[TimeNs, TimeNs | None, str] | None:
    """Return the freeze in force, or the next one: start, end and reason; None for none.

    Several that touch are one, with the reason of the first. The end is None where it lies beyond
    the reach.

    Args:
        freezes: Every freeze.
        deployment: The deployment.
        now: The time.
        reach: How far ahead to look.
    """
    since = datetime.fromtimestamp(now / SECOND, UTC)
    until = since + reach
    found: list[tuple[datetime, datetime, str]] = []
    for spec in freezes:
        if spec.deployments and deployment not in spec.deployments:
            continue
        found += [(begin, end, spec.reason) for begin, end in spec.windows(since, until)]
    if not found:
        return None
    begin, end, reason = min(found, key=lambda one: (one[0], -one[1].timestamp()))
    for start, stop, _ in sorted(found, key=lambda one: one[0]):
        end = max(end, stop) if start <= end else end
    return _ns(begin), None if end >= until else _ns(end), reason


def _ns(moment: datetime) -> TimeNs:
    return TimeNs(round(moment.timestamp()) * SECOND)


def _clock(text: str) -> time:
    return time.fromisoformat(text)


def _days_of(
    since: datetime, until: datetime, zone: ZoneInfo, long: timedelta
) -> tuple[date, date]:
    """Return the first and last local day on which a window that matters could start."""
    return (since - long).astimezone(zone).date() - _ONE_DAY, until.astimezone(zone).date()
