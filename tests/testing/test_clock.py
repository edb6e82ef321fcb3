"""The fake clock moves only when told and starts at no round moment."""

import pytest

from homeostat.base.units import HOUR, MINUTE, SECOND, TimeNs
from homeostat.server import clock as real
from homeostat.server.clock import Clock
from homeostat.testing import START_NS, FakeClock
from homeostat.testing.clock import JUMP_NS


def test_it_moves_only_when_told() -> None:
    clock = FakeClock()
    assert clock.now() == clock.now() == START_NS
    assert clock.advance(5) == clock.now() == START_NS + 5


@pytest.mark.parametrize("unit", [1000, SECOND, MINUTE, HOUR])
def test_its_start_is_no_round_moment(unit: int) -> None:
    assert START_NS % unit != 0


def test_time_does_not_go_back_and_a_set_clock_is_reported_once() -> None:
    clock = FakeClock()
    with pytest.raises(ValueError, match="time does not go back"):
        clock.advance(-1)
    clock.jump(-HOUR)
    assert clock.now() == START_NS
    assert (clock.jumped_by(), clock.jumped_by()) == (-HOUR, 0)


def test_it_starts_after_a_journal_that_is_ahead_of_it() -> None:
    clock = FakeClock()
    clock.not_before(TimeNs(START_NS - 5))
    assert clock.now() == START_NS
    clock.not_before(TimeNs(START_NS + 5))
    assert clock.now() == START_NS + 6
    assert clock.jumped_by() == 0
    clock.not_before(TimeNs(START_NS + 5 + HOUR))
    assert (clock.jumped_by(), clock.jumped_by()) == (-HOUR, 0)


def test_its_wall_moves_with_time_and_is_set_without_it() -> None:
    clock = FakeClock()
    clock.not_before(TimeNs(START_NS + HOUR - 1))
    assert (clock.now(), clock.wall()) == (START_NS + HOUR, START_NS)
    clock.jump(3 * HOUR)
    clock.advance(5)
    assert (clock.now(), clock.wall()) == (START_NS + HOUR + 5, START_NS + 3 * HOUR + 5)


def test_it_calls_a_jump_what_the_controllers_clock_does() -> None:
    assert JUMP_NS == real.JUMP_NS


def test_it_offers_what_the_controllers_clock_offers() -> None:
    offered = {name for name in vars(Clock) if not name.startswith("_")}
    assert offered <= {name for name in vars(FakeClock) if not name.startswith("_")}
