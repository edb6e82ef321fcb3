"""The controller's clock over a wall clock that people set and machines suspend."""

import time

import pytest

from homeostat.base.units import HOUR, SECOND, TimeNs
from homeostat.server.clock import JUMP_NS, Clock

WALL = 1_700_000_003_141_592_653


class Hands:
    """The machine's two clocks, moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.monotonic = WALL, 77
        monkeypatch.setattr(time, "time_ns", lambda: self.wall)
        monkeypatch.setattr(time, "monotonic_ns", lambda: self.monotonic)

    def pass_by(self, by_ns: int) -> None:
        self.wall += by_ns
        self.monotonic += by_ns


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    return Hands(monkeypatch)


def test_it_shows_the_wall_clock_and_goes_with_time(hands: Hands) -> None:
    clock = Clock()
    assert clock.now() == WALL
    hands.pass_by(5 * SECOND)
    assert clock.now() == WALL + 5 * SECOND
    assert clock.jumped_by() == 0


@pytest.mark.parametrize("by_ns", [-HOUR, -JUMP_NS, JUMP_NS, HOUR])
def test_a_wall_clock_that_is_set_moves_no_time_and_is_told_once(hands: Hands, by_ns: int) -> None:
    clock = Clock()
    hands.wall += by_ns
    hands.pass_by(SECOND)
    assert clock.now() == WALL + SECOND
    assert clock.jumped_by() == by_ns
    assert clock.jumped_by() == 0
    hands.pass_by(SECOND)
    assert clock.now() == WALL + 2 * SECOND


def test_a_wall_clock_that_is_slewed_is_no_news(hands: Hands) -> None:
    clock = Clock()
    hands.wall += JUMP_NS - 1
    assert clock.jumped_by() == 0


def test_two_jumps_are_two_pieces_of_news(hands: Hands) -> None:
    clock = Clock()
    hands.wall += HOUR
    assert clock.jumped_by() == HOUR
    hands.wall -= 3 * HOUR
    assert clock.jumped_by() == -3 * HOUR


def test_it_never_shows_a_time_before_the_journals_last(hands: Hands) -> None:
    """The wall clock was set back between two lives: records must still be in order."""
    clock = Clock()
    last = TimeNs(WALL + HOUR)
    clock.not_before(last)
    assert clock.now() > last
    hands.pass_by(SECOND)
    assert clock.now() == last + 1 + SECOND


def test_a_journal_from_the_future_is_a_jump_of_the_wall_clock_told_once(hands: Hands) -> None:
    """Another deployment's last time, further ahead, belongs to the same piece of news."""
    clock = Clock()
    clock.not_before(TimeNs(WALL + HOUR - 1))
    clock.not_before(TimeNs(WALL + 2 * HOUR - 1))
    assert clock.jumped_by() == -2 * HOUR
    hands.pass_by(SECOND)
    assert clock.jumped_by() == 0


def test_a_journal_that_ends_a_moment_ahead_is_no_news(hands: Hands) -> None:
    clock = Clock()
    clock.not_before(TimeNs(WALL + JUMP_NS - 2))
    assert clock.now() == WALL + JUMP_NS - 1
    assert clock.jumped_by() == 0


@pytest.mark.parametrize("by_ns", [-HOUR, HOUR])
def test_the_wall_is_what_the_machine_shows_whatever_our_own_time_is(
    hands: Hands, by_ns: int
) -> None:
    clock = Clock()
    hands.wall += by_ns  # set while we run
    assert (clock.now(), clock.wall()) == (WALL, WALL + by_ns)
    clock.not_before(TimeNs(WALL + 3 * HOUR))  # a wrong time in the journal
    assert clock.wall() == WALL + by_ns


def test_a_journal_from_before_now_moves_nothing(hands: Hands) -> None:
    clock = Clock()
    clock.not_before(TimeNs(WALL - HOUR))
    clock.not_before(TimeNs(0))
    assert clock.now() == WALL
