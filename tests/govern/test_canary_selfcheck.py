"""A self-check: the judge's false alarms are counted and set beside what is promised."""

import pytest

from homeostat.govern.canary_selfcheck import SelfCheck


def test_before_the_first_ramp_nothing_is_known() -> None:
    check = SelfCheck(promised=0.05)
    assert (check.rate, check.interval) == (None, (0.0, 1.0))
    assert not check.is_broken
    assert not check.is_shown


@pytest.mark.parametrize(
    ("runs", "alarms", "broken", "shown"),
    [
        (99, 0, False, True),
        (58, 0, False, False),
        (99, 1, False, True),
        (20, 2, False, False),
        (2, 2, True, False),
        (119, 20, True, False),
    ],
)
def test_false_alarms_break_the_promise_beyond_chance_alone(
    runs: int,
    alarms: int,
    broken: bool,  # noqa: FBT001 - the answer
    shown: bool,  # noqa: FBT001 - the answer
) -> None:
    check = SelfCheck(promised=0.05, runs=runs, alarms=alarms)
    assert check.rate == pytest.approx(alarms / runs)
    assert (check.is_broken, check.is_shown) == (broken, shown)
