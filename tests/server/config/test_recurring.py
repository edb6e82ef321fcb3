"""Freeze calendars: rules by the clock on the wall, and what comes next; in doubt it is frozen."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from homeostat.base.units import SECOND, TimeNs
from homeostat.server.config import recurring
from homeostat.server.config.freezes import FreezeSpec, next_freeze
from homeostat.server.config.recurring import checked, reached

PARIS = ZoneInfo("Europe/Paris")
REACH = timedelta(days=35)


def at(text: str) -> TimeNs:
    return TimeNs(round(datetime.fromisoformat(text).timestamp()) * SECOND)


def rule(rrule: str, opens: str = "16:00", **more: Any) -> dict[str, Any]:
    end = {} if "for" in more else {"to": "20:00"}
    return {"rrule": rrule, "from": opens, "tz": "Europe/Paris", **end, **more}


def freeze(*rules: dict[str, Any], **more: Any) -> FreezeSpec:
    return FreezeSpec.model_validate({"recurring": list(rules), **more})


@pytest.mark.parametrize(
    ("text", "moment", "frozen"),
    [
        ("FREQ=WEEKLY;BYDAY=FR", "2026-01-02T16:00:00+01:00", True),
        ("FREQ=WEEKLY;BYDAY=FR", "2026-01-02T20:00:00+01:00", False),
        ("RRULE:FREQ=WEEKLY;BYDAY=FR", "2026-07-03T14:00:00+00:00", True),  # 16:00 in summer
        ("freq=monthly;byday=-1fr", "2026-01-30T17:00:00+01:00", True),
        ("FREQ=MONTHLY;BYDAY=-1FR", "2026-01-23T17:00:00+01:00", False),
        ("FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24,25", "2027-12-25T17:00:00+01:00", True),
        ("FREQ=DAILY", "2031-05-05T17:00:00+02:00", True),
        ("FREQ=WEEKLY;BYDAY=FR;UNTIL=20260109", "2026-01-09T17:00:00+01:00", True),
        ("FREQ=WEEKLY;BYDAY=FR;UNTIL=20260109", "2026-01-16T17:00:00+01:00", False),
        ("FREQ=WEEKLY;BYDAY=FR;UNTIL=20260108T230000Z", "2026-01-09T17:00:00+01:00", True),
        ("FREQ=WEEKLY;BYDAY=FR;UNTIL=20260108T225959Z", "2026-01-09T17:00:00+01:00", False),
    ],
)
def test_a_rule_names_days_and_the_wall_clock_the_hours(
    text: str, moment: str, *, frozen: bool
) -> None:
    assert freeze(rule(text)).covers("m", at(moment)) is frozen


def test_a_rule_that_counts_begins_on_its_day() -> None:
    other = freeze(rule("FREQ=WEEKLY;INTERVAL=2;COUNT=2", start="2026-01-02"))
    fridays = [f"2026-01-{day:02d}T17:00:00+01:00" for day in (2, 9, 16, 23, 30)]
    assert [other.covers("m", at(day)) for day in fridays] == [True, False, True, False, False]


def test_a_long_window_goes_on_over_days() -> None:
    spec = freeze(rule("FREQ=MONTHLY;BYMONTHDAY=28", "12:00", **{"for": "6d"}))
    assert spec.covers("m", at("2026-03-05T11:59:00+01:00")) is True  # from 28 February
    assert spec.covers("m", at("2026-03-06T12:00:00+01:00")) is False


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("FREQ=HOURLY", "DAILY, WEEKLY"),
        ("FREQ=WEEKLY;BYDAY=FR;BYHOUR=3", "from and to"),
        ("FREQ=WEEKLY;BYWEEKNO=3", "known:"),
        ("FREQ=WEEKLY", "add BYDAY"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=FR", "add start"),
        ("FREQ=WEEKLY;COUNT=1;BYDAY=FR", "add start"),
        ("FREQ=WEEKLY;BYDAY=XX", "is no rule"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "no day in ten years"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=31", "no day in ten years"),
        ("FREQ=DAILY;UNTIL=tomorrow", "20261231"),
        ("FREQ=DAILY;FREQ=WEEKLY", "twice"),
        ("every friday", "KEY=VALUE"),
    ],
)
def test_a_rule_that_cannot_be_kept_is_refused_with_the_fix(text: str, fix: str) -> None:
    with pytest.raises(ValidationError) as caught:
        freeze(rule(text))
    assert fix in str(caught.value)


def test_a_rule_is_tried_where_the_calendar_is_the_same_and_few_years_follow() -> None:
    for day in (date(2024, 2, 29), date(2026, 11, 23), date(9000, 1, 1), date(9999, 12, 31)):
        late = recurring._late(day)
        assert (late.month, late.day, late.weekday()) == (day.month, day.day, day.weekday())
        assert 9999 - late.year <= max(9999 - day.year, 0)
        assert 9999 - late.year < 411


def test_a_window_says_its_end_or_its_length() -> None:
    for wrong in (rule("FREQ=DAILY", **{"for": "1h"}) | {"to": "17:00"}, {
        key: value for key, value in rule("FREQ=DAILY").items() if key != "to"
    }):  # fmt: skip
        with pytest.raises(ValidationError, match="to or for"):
            freeze(wrong)


def test_the_clock_put_forward_reaches_a_time_as_it_jumps() -> None:
    spring = date(2026, 3, 29)  # 02:00 becomes 03:00
    for last in (False, True):
        jumped = reached(spring, time(2, 30), PARIS, last=last)
        assert jumped == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


def test_the_clock_put_back_starts_at_the_first_and_ends_at_the_second() -> None:
    autumn = date(2026, 10, 25)  # 03:00 becomes 02:00
    assert reached(autumn, time(2, 30), PARIS, last=False) == datetime(
        2026, 10, 25, 0, 30, tzinfo=UTC
    )
    assert reached(autumn, time(2, 30), PARIS, last=True) == datetime(
        2026, 10, 25, 1, 30, tzinfo=UTC
    )


ZONES = ("Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC")


@given(
    day=st.dates(date(2000, 1, 1), date(2037, 12, 31)),
    minute=st.integers(0, 24 * 60 - 1),
    zone=st.sampled_from(ZONES),
)
def test_at_what_is_reached_the_wall_shows_that_time_or_has_jumped_over_it(
    day: date, minute: int, zone: str
) -> None:
    wanted, hangs = time(minute // 60, minute % 60), ZoneInfo(zone)
    first, last = (reached(day, wanted, hangs, last=late) for late in (False, True))
    assert first <= last <= first + timedelta(hours=1)
    wall = datetime.combine(day, wanted)
    for moment in (first, last):
        assert moment.astimezone(hangs).replace(tzinfo=None) >= wall
    before = (first - timedelta(minutes=1)).astimezone(hangs).replace(tzinfo=None)
    assert before < wall


def test_outside_maintenance_windows_it_is_frozen() -> None:
    spec = freeze(rule("FREQ=WEEKLY;BYDAY=TU,TH"), maintenance=True, reason="only Tue and Thu")
    assert spec.covers("m", at("2026-01-06T17:00:00+01:00")) is False  # a Tuesday
    assert spec.covers("m", at("2026-01-06T20:00:00+01:00")) is True
    found = next_freeze([spec], "m", at("2026-01-06T17:00:00+01:00"), REACH)
    assert found == (
        at("2026-01-06T20:00:00+01:00"), at("2026-01-08T16:00:00+01:00"), "only Tue and Thu",
    )  # fmt: skip


def test_the_next_freeze_is_told_and_what_touches_is_one() -> None:
    friday = freeze(rule("FREQ=WEEKLY;BYDAY=FR"), reason="Friday")
    night = FreezeSpec.model_validate({
        "reason": "night", "deployments": ["m"],
        "weekly": [{"days": ["Fri"], "from": "20:00", "to": "06:00", "tz": "Europe/Paris"}],
    })  # fmt: skip
    now = at("2026-01-01T12:00:00+01:00")
    both = next_freeze([night, friday], "m", now, REACH)
    start = at("2026-01-02T16:00:00+01:00")
    assert both == (start, at("2026-01-03T06:00:00+01:00"), "Friday")
    alone = next_freeze([night, friday], "other", now, REACH)
    assert alone == (start, at("2026-01-02T20:00:00+01:00"), "Friday")
    within = at("2026-01-02T18:00:00+01:00")
    assert next_freeze([friday], "m", within, REACH) == (
        within, at("2026-01-02T20:00:00+01:00"), "Friday",
    )  # fmt: skip
    assert next_freeze([friday], "m", now, timedelta(hours=1)) is None
    always = freeze(rule("FREQ=DAILY", "00:00", **{"for": "2d"}))
    assert next_freeze([always], "m", now, REACH) == (now, None, "")


@given(
    minutes=st.lists(st.integers(0, 60 * 24 * 40), min_size=1, max_size=20),
    maintenance=st.booleans(),
)
def test_windows_and_moments_tell_the_same(minutes: list[int], *, maintenance: bool) -> None:
    spec = freeze(
        rule("FREQ=WEEKLY;BYDAY=SU", "01:30", **{"for": "3h"}),
        rule("FREQ=DAILY", "23:30"),
        maintenance=maintenance,
    )
    since = datetime(2026, 10, 1, tzinfo=UTC)  # the clock is put back within
    until = since + timedelta(days=41)
    windows = spec.windows(since, until)
    assert all(one[1] < two[0] for one, two in pairwise(windows))
    for minute in minutes:
        moment = since + timedelta(minutes=minute)
        inside = any(begin <= moment < end for begin, end in windows)
        assert spec.covers("m", TimeNs(round(moment.timestamp()) * SECOND)) is inside


def test_one_freeze_more_never_frees_anything() -> None:
    now = at("2026-01-02T17:00:00+01:00")
    friday, open_now = freeze(rule("FREQ=WEEKLY;BYDAY=FR")), freeze(
        rule("FREQ=WEEKLY;BYDAY=FR"), maintenance=True
    )  # fmt: skip
    assert any(one.covers("m", now) for one in (friday, open_now))


def test_a_rule_is_written_in_one_way() -> None:
    assert checked("rrule:byday=fr;freq=weekly", None) == "FREQ=WEEKLY;BYDAY=FR"
