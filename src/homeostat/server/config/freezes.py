"""The `Freeze` kind: when nothing may be changed, except back.

One stretch of time (`start` to `end`) or a weekly window in a named time zone. The zone decides
what 16:00 means, summer time included. A window whose end lies before its start goes on into the
next day.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from homeostat.base.units import SECOND, TimeNs
from homeostat.server.config.guardrails import Strict

Day = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
_DAYS: Final[tuple[Day, ...]] = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["16:00"])]
_ONE_DAY: Final = timedelta(days=1)


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
    end: Clock = Field(alias="to", description="Local time; earlier than `from` = the next day.")
    tz: Zone = Field(description="Time zone, for example Europe/Paris.")

    def covers(self, moment: datetime) -> bool:
        """Return whether the window is open at a moment (any time zone)."""
        zone = ZoneInfo(self.tz)
        today = moment.astimezone(zone).date()
        for day in (today - _ONE_DAY, today):
            if _DAYS[day.weekday()] not in self.days:
                continue
            start = _at(day.isoformat(), self.start, zone)
            last = day if self.end > self.start else day + _ONE_DAY
            if start <= moment < _at(last.isoformat(), self.end, zone):
                return True
        return False


class Stretch(Strict):
    """One stretch of time."""

    start: AwareDatetime = Field(description="With its offset: 2026-12-24T12:00:00+01:00.")
    end: AwareDatetime = Field(description="With its offset; later than start.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end <= self.start:
            raise ValueError(f"end {self.end} is not after start {self.start}; swap them")
        return self

    def covers(self, moment: datetime) -> bool:
        """Return whether the stretch holds a moment."""
        return self.start <= moment < self.end


class FreezeSpec(Strict):
    """What is frozen, and when."""

    reason: str = Field(default="", max_length=500, description="For people.")
    deployments: tuple[str, ...] = Field(default=(), description="Names; empty for all.")
    weekly: tuple[Weekly, ...] = Field(default=(), max_length=100)
    once: tuple[Stretch, ...] = Field(default=(), max_length=1000)

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if not self.weekly and not self.once:
            raise ValueError("says no time; add weekly: [...] or once: [...]")
        return self

    def covers(self, deployment: str, now: TimeNs) -> bool:
        """Return whether a deployment is frozen."""
        if self.deployments and deployment not in self.deployments:
            return False
        moment = datetime.fromtimestamp(now / SECOND, UTC)
        return any(one.covers(moment) for one in self.weekly) or any(
            one.covers(moment) for one in self.once
        )


def _at(day: str, clock: str, zone: ZoneInfo) -> datetime:
    # Compared in UTC: two local times of one zone compare by the clock's face, whatever the season.
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=zone).astimezone(UTC)
