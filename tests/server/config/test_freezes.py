from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from homeostat.base.units import SECOND, TimeNs
from homeostat.server.config import load
from homeostat.server.config.freezes import FreezeSpec, Weekly


def at(text: str) -> TimeNs:
    return TimeNs(round(datetime.fromisoformat(text).timestamp()) * SECOND)


def weekly(days: list[str], start: str, end: str, tz: str = "Europe/Paris") -> FreezeSpec:
    one = {"days": days, "from": start, "to": end, "tz": tz}
    return FreezeSpec.model_validate({"weekly": [one]})


@pytest.mark.parametrize(
    ("moment", "frozen"),
    [
        ("2026-01-02T15:59:59+01:00", False),
        ("2026-01-02T16:00:00+01:00", True),  # a Friday
        ("2026-01-02T15:00:00+00:00", True),
        ("2026-01-02T23:58:59+01:00", True),
        ("2026-01-02T23:59:00+01:00", False),
        ("2026-01-03T17:00:00+01:00", False),
        ("2026-07-03T14:00:00+00:00", True),  # summer time: 16:00 in Paris
        ("2026-07-03T13:59:00+00:00", False),
    ],
)
def test_a_weekly_window_keeps_local_time_all_year(moment: str, *, frozen: bool) -> None:
    assert weekly(["Fri"], "16:00", "23:59").covers("m", at(moment)) is frozen


@pytest.mark.parametrize(
    ("moment", "frozen"),
    [
        ("2026-01-02T22:00:00+00:00", True),
        ("2026-01-03T05:59:00+00:00", True),
        ("2026-01-03T06:00:00+00:00", False),
        ("2026-01-02T05:00:00+00:00", False),
        ("2026-01-03T22:00:00+00:00", False),
    ],
)
def test_a_window_may_go_on_into_the_next_day(moment: str, *, frozen: bool) -> None:
    assert weekly(["Fri"], "22:00", "06:00", "UTC").covers("m", at(moment)) is frozen


def test_a_window_over_the_change_of_the_clocks_ends_by_the_wall() -> None:
    # 2026-03-29 02:00 becomes 03:00 in Paris; the window from 01:00 to 04:00 lasts two hours.
    night = weekly(["Sun"], "01:00", "04:00")
    assert night.covers("m", at("2026-03-29T01:59:00+00:00"))
    assert not night.covers("m", at("2026-03-29T02:00:00+00:00"))


def test_a_stretch_holds_its_start_and_not_its_end() -> None:
    spec = FreezeSpec.model_validate({
        "deployments": ["a"],
        "once": [{"start": "2026-12-24T12:00:00+01:00", "end": "2026-12-27T08:00:00+01:00"}],
    })
    assert spec.covers("a", at("2026-12-24T11:00:00+00:00"))
    assert not spec.covers("a", at("2026-12-27T07:00:00+00:00"))
    assert not spec.covers("b", at("2026-12-24T11:00:00+00:00"))


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"once": [{"start": "2026-12-24T12:00:00", "end": "2026-12-27T08:00:00"}]},
        {"once": [{"start": "2026-12-27T08:00:00Z", "end": "2026-12-24T12:00:00Z"}]},
        {"weekly": [{"days": [], "from": "10:00", "to": "11:00", "tz": "UTC"}]},
        {"weekly": [{"days": ["Fri"], "from": "24:00", "to": "11:00", "tz": "UTC"}]},
        {"weekly": [{"days": ["Friday"], "from": "10:00", "to": "11:00", "tz": "UTC"}]},
        {"weekly": [{"days": ["Fri"], "from": "10:00", "to": "11:00", "tz": "../etc/passwd"}]},
        {"weekly": [{"days": ["Fri"], "from": "10:00", "to": "11:00", "tz": "Mars/Olympus"}]},
        {"weekly": [{"days": ["Fri"], "from": "10:00", "to": "11:00", "tz": "Europe"}]},
    ],
)
def test_a_freeze_that_says_no_time_is_refused(spec: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FreezeSpec.model_validate(spec)


def test_a_freeze_reaches_the_guards() -> None:
    config = load(["examples/managed-model.yaml", "examples/policies/demo.yaml"])
    assert not config.managed()[0].guard.frozen
    friday = at("2026-01-02T17:00:00+01:00")
    assert config.managed(friday)[0].guard.frozen
    assert config.managed(friday)[0].policy_digest == config.managed()[0].policy_digest


def test_a_week_is_covered_by_all_its_days() -> None:
    days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    always = Weekly.model_validate({"days": days, "from": "00:00", "to": "00:00", "tz": "UTC"})
    assert all(always.covers(datetime(2026, 1, day, 12, tzinfo=UTC)) for day in range(1, 15))
