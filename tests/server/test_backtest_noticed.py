"""Which incident noticed a breach: one of its time, of the deployment, and not of its data."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from homeostat.base.evidence import Family, Incident
from homeostat.base.units import MINUTE
from homeostat.server.backtest.found import Breach, Course, _noticed
from homeostat.server.backtest.play import Seen
from homeostat.server.backtest.recorded import Grid

TICKS = 200
BREACH = Breach(first=100, last=110, missed=11)
SEEN = cast("Seen", SimpleNamespace(chance=np.full(TICKS, np.nan), ready=np.ones(TICKS, bool)))
GRID = cast("Grid", SimpleNamespace(step_ns=1 * MINUTE))


def course(
    name: str, confirmed: int, closed: int | None = None, family: Family = Family.LOAD
) -> Course:
    incident = cast("Incident", SimpleNamespace(id=name, family=family))
    return Course(
        incident=incident, opened=confirmed - 1, confirmed=confirmed, closed=closed, felt=True
    )


def noticed(*courses: Course) -> tuple[str, int | None, str]:
    one = _noticed(BREACH, courses, SEEN, GRID)
    return one.incident, one.confirmed, one.standing


@pytest.mark.parametrize(
    ("confirmed", "closed", "expected"),
    [
        (103, None, ("i-1", 103, "")),
        (110, 115, ("i-1", 110, "")),
        (111, None, ("", None, "")),  # too late
        (85, None, ("i-1", 85, "")),  # a quarter of an hour before: it warned of this one
        (84, None, ("", None, "i-1")),  # whose it is, nobody can say
        (10, 100, ("", None, "i-1")),
        (90, 99, ("", None, "")),  # over before it began
    ],
)
def test_a_breach_is_noticed_by_an_incident_of_its_time(
    confirmed: int, closed: int | None, expected: tuple[str, int | None, str]
) -> None:
    assert noticed(course("i-1", confirmed, closed)) == expected


def test_data_that_are_not_believed_notice_nothing() -> None:
    assert noticed(course("i-1", 103, family=Family.SENSOR)) == ("", None, "")
    assert noticed(course("i-1", 45, family=Family.SENSOR)) == ("", None, "")


def test_an_hour_of_silence_before_an_overload_is_not_its_detection() -> None:
    blind, load = course("i-1", 45, family=Family.SENSOR), course("i-2", 104)
    assert noticed(blind, load) == ("i-2", 104, "")


def test_what_stood_before_does_not_hide_what_came() -> None:
    assert noticed(course("i-1", 5), course("i-2", 104)) == ("i-2", 104, "")
