"""Windows that come again by an iCalendar rule (RRULE), on the clock on the wall.

A rule says on which days a window starts; `from` says when, by the clock of its time zone. Where
that clock is put forward over the time, the window starts (or ends) as the clock reaches it, that
is at once; where the clock is put back and shows the time twice, it starts at the first and ends at
the second: in doubt it is frozen. The rules are read by python-dateutil.
Source: RFC 5545, section 3.3.10.
"""

import re
from collections.abc import Iterator
from datetime import MAXYEAR, UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rrulestr

Window = tuple[datetime, datetime]

FREQUENCIES: Final = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
KEYS: Final = (
    "FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS", "WKST",
)  # fmt: skip
# What tells the day of a rule that has no start of its own.
_DAYS: Final = {"WEEKLY": {"BYDAY"}, "MONTHLY": {"BYDAY", "BYMONTHDAY"}, "YEARLY": {"BYMONTH"}}
_SINCE: Final = date(2024, 1, 1)  # a Monday: where rules begin that do not say
_EVER: Final = timedelta(days=3660)
_UNTIL: Final = re.compile(r"([0-9]{8})(T([0-9]{6})(Z?))?\Z")


def checked(text: str, start: date | None) -> str:
    """Return a rule in its canonical form.

    Args:
        text: The rule, with or without `RRULE:` before it.
        start: The day from which on it counts, None where the rule needs none.

    Raises:
        ValueError: It is no rule, not of the subset that is kept, or names no day in ten years.
    """
    parts = _parts(text)
    freq = parts["FREQ"]
    if start is None:
        for key in ("COUNT", "INTERVAL"):
            if parts.get(key, "1") != "1" or (key == "COUNT" and key in parts):
                raise ValueError(f"{key} counts from a day; add start: 2026-01-01")
        needed = _DAYS.get(freq, set())
        if needed and not needed & parts.keys():
            raise ValueError(
                f"{text!r} does not say on which day; add {' or '.join(sorted(needed))}, or start: "
                "2026-01-01"
            )
    said = ";".join(f"{key}={value}" for key, value in parts.items())
    begin = start or _SINCE
    endless = ";".join(part for part in said.split(";") if not part.startswith(("COUNT", "UNTIL")))
    try:
        _rule(said, begin, "UTC")
        late = _late(begin)
        limit = datetime.combine(late, time()) + _EVER
        first = next(iter(_rule(endless, late, "UTC").replace(until=limit)), None)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        raise ValueError(f"{text!r} is no rule ({error}); write FREQ=WEEKLY;BYDAY=FR") from error
    if first is None:
        raise ValueError(f"{text!r} names no day in ten years; mend it")
    return said


def _late(day: date) -> date:
    """Return the last day of the same place in the calendar that ten years can follow.

    Of a rule that names no day its reader tries every day until the last year there is; from 2024
    on that took seconds. The calendar repeats every 400 years, weekdays included.

    >>> _late(date(2024, 1, 1))
    datetime.date(9624, 1, 1)
    """
    return day.replace(year=day.year + max((MAXYEAR - 11 - day.year) // 400, 0) * 400)


def _parts(text: str) -> dict[str, str]:
    """Return a rule's parts, FREQ first.

    Raises:
        ValueError: A part is none, unknown or said twice.
    """
    body = text.strip().upper().removeprefix("RRULE:")
    parts: dict[str, str] = {}
    for part in body.split(";"):
        key, equals, value = part.partition("=")
        if not equals or not value:
            raise ValueError(f"{part!r} is no part of a rule; write KEY=VALUE: FREQ=WEEKLY")
        if key not in KEYS:
            fix = (
                "write the time as from and to"
                if key in {"BYHOUR", "BYMINUTE", "BYSECOND"}
                else f"known: {', '.join(KEYS)}"
            )
            raise ValueError(f"{key} is not supported; {fix}")
        if key in parts:
            raise ValueError(f"{key} twice; keep one")
        parts[key] = value
    if parts.get("FREQ") not in FREQUENCIES:
        raise ValueError(f"FREQ={parts.get('FREQ')}: write one of {', '.join(FREQUENCIES)}")
    if "COUNT" in parts and "UNTIL" in parts:
        raise ValueError("COUNT and UNTIL exclude each other; keep one")
    if "UNTIL" in parts and not _UNTIL.match(parts["UNTIL"]):
        raise ValueError(f"UNTIL={parts['UNTIL']}: write 20261231, or 20261231T120000Z")
    return {"FREQ": parts.pop("FREQ"), **parts}


def _rule(said: str, start: date, tz: str) -> rrule:
    """Return a rule over days by the wall clock; a limit in UTC is put on that clock.

    Raises:
        ValueError: It is no rule.
    """
    kept = []
    for part in said.split(";"):
        found = _UNTIL.match(part.removeprefix("UNTIL=")) if part.startswith("UNTIL=") else None
        if found is None:
            kept.append(part)
            continue
        day, at, zulu = found[1], found[3] or "235959", found[4] or ""
        limit = datetime.strptime(day + at, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        if zulu:
            limit = limit.astimezone(ZoneInfo(tz))
        kept.append(f"UNTIL={limit:%Y%m%dT%H%M%S}")
    first = datetime.combine(start, time())
    rule = rrulestr(";".join(kept), dtstart=first)
    if not isinstance(rule, rrule):
        raise ValueError("several rules in one; write one")  # noqa: TRY004 - said to people
    return rule


@lru_cache(maxsize=4096)
def days(said: str, start: date | None, tz: str, since: date, until: date) -> tuple[date, ...]:
    """Return the days on which a rule's window starts, from one day to another, both included.

    Args:
        said: The rule, as `checked` returned it.
        start: The day from which on it counts.
        tz: The time zone of the wall clock.
        since: The first day.
        until: The last day.
    """
    rule = _rule(said, start or _SINCE, tz)
    found = rule.between(datetime.combine(since, time()), datetime.combine(until, time()), inc=True)
    return tuple(one.date() for one in found)


def reached(day: date, clock: time, zone: ZoneInfo, *, last: bool) -> datetime:
    """Return when a wall clock reaches a time, in UTC.

    Args:
        day: The day.
        clock: The time.
        zone: Where the clock hangs.
        last: The last time it does, where it is put back over it; else the first.
    """
    wall = datetime.combine(day, clock)
    early, late = (
        wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)
    )  # by the offset before a change, and by that after it
    if early <= late:
        return late if last else early
    # The clock is put forward over this time: it is reached as the clock jumps.
    low, high = late, early
    offset = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


def windows(
    starts: Iterator[date], begin: time, end: time | timedelta, zone: ZoneInfo
) -> Iterator[Window]:
    """Yield the windows that start on some days.

    Args:
        starts: The days.
        begin: When they start.
        end: When they end by the clock, on the next day if that is not later; or how long they are.
        zone: Where the clock hangs.
    """
    for day in starts:
        first = reached(day, begin, zone, last=False)
        if isinstance(end, timedelta):
            yield first, first + end
            continue
        over = day if end > begin else day + timedelta(days=1)
        yield first, reached(over, end, zone, last=True)


def merged(found: list[Window]) -> list[Window]:
    """Return windows in order, those that touch as one."""
    out: list[Window] = []
    for begin, end in sorted(found):
        if end <= begin:
            continue
        if out and begin <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((begin, end))
    return out
