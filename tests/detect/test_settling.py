"""Which levels may become usual by themselves: none that hurt, no second step, no hang."""

import math
from dataclasses import replace

import numpy as np
import pytest

from homeostat.detect import settling
from homeostat.detect.settling import QUIET, REST, Levels

NOBODY = np.zeros(1, dtype=bool)
ME = np.ones(1, dtype=bool)
SLOT = np.zeros(1, dtype=np.int64)


def around(level: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(level, 1.0, (32, 1))


def hear(state: Levels, alarm: np.ndarray, usual: float, value: float | None = None) -> Levels:
    at = np.array([usual if value is None else value])
    return settling.heard(state, alarm, at, np.array([usual]), around(usual))


def off(
    state: Levels, usual: float, to: float = 50.0, *, ticks: int = 70, slope: float = 0.0,
    before: np.ndarray | None = None,
) -> Levels:  # fmt: skip
    past = around(usual) if before is None else before
    for tick in range(ticks):
        at = np.array([to + slope * tick])
        heard = settling.heard(state, ME, at, np.array([usual]), past)
        state = settling.judged(heard, NOBODY, ME)
    return state


def fits(state: Levels, level: float, tick: int, *, now: np.ndarray | None = None) -> bool:
    return settling.permitted(state, SLOT, around(level) if now is None else now, tick).size == 1


def moved(state: Levels, frm: float, to: float, tick: int) -> Levels:
    """Go off, settle, and begin anew."""
    state = off(state, frm, to)
    assert fits(state, to, tick)
    return settling.begun(state, SLOT, around(to), tick)


def test_a_row_that_is_not_off_has_nothing_to_begin_anew() -> None:
    assert not fits(settling.init(1), 50.0, 300)
    over = off(settling.init(1), 10.0)
    for _ in range(QUIET):
        over = hear(over, NOBODY, 10.0)
    assert not fits(over, 50.0, 300)


def test_a_level_that_was_there_on_one_bad_tick_stays_off_until_it_has_gone_back() -> None:
    state = settling.judged(off(settling.init(1), 10.0), ME, ME)
    assert not fits(off(state, 10.0, ticks=1000), 50.0, 1300)
    for _ in range(QUIET):
        state = hear(state, NOBODY, 10.0)
    assert fits(off(state, 10.0), 50.0, 1300)
    calm = settling.judged(settling.init(1), ME, ME)  # a bad tick on which it was not off
    assert fits(off(calm, 10.0), 50.0, 300)


def test_the_range_grows_once_a_day_whatever_the_size_of_the_steps() -> None:
    state = moved(settling.init(1), 10.0, 50.0, 300)
    assert not fits(off(state, 50.0, 90.0), 90.0, 800)
    assert not fits(off(state, 50.0, -40.0), -40.0, 800)
    assert fits(off(state, 50.0, 10.0), 10.0, 800)
    assert fits(off(state, 50.0, 90.0), 90.0, 300 + REST)
    assert not fits(off(state, 50.0, 90.0), 90.0, 299 + REST)


def test_going_back_and_forth_in_the_range_grows_nothing() -> None:
    state, level = moved(settling.init(1), 10.0, 50.0, 300), 50.0
    for tick in range(600, 5000, 300):
        before, level = level, 60.0 - level
        state = moved(state, before, level, tick)
    # Each time at the upper edge of what noise allows: the range itself stays.
    assert (state.low[0], state.high[0]) == (10.0, pytest.approx(50.0, abs=1.0))
    assert not fits(off(state, 50.0, 53.0), 53.0, 5300)


def test_a_new_level_that_does_not_move_to_the_last_bit_may_be_a_sensor_that_hangs() -> None:
    state, still = off(settling.init(1), 10.0), np.full((32, 1), 50.0)
    assert not fits(state, 50.0, 300, now=still)
    nearly = still.copy()
    nearly[::2] += 0.001
    assert fits(state, 50.0, 300, now=nearly)
    constant = off(settling.init(1), 10.0, before=np.full((32, 1), 10.0))
    assert fits(constant, 50.0, 300, now=still)  # a setting: it never moved


def test_a_silence_clears_nothing_that_is_held_against_a_row() -> None:
    """A step in a bad minute, and a page that is dark for half an hour afterwards."""
    state = settling.judged(off(settling.init(1), 10.0), ME, ME)
    for _ in range(4 * QUIET):
        state = hear(state, NOBODY, 10.0, math.nan)
    assert not fits(off(state, 10.0), 50.0, 1300)
    for _ in range(QUIET):
        state = hear(state, NOBODY, 10.0)
    assert fits(off(state, 10.0), 50.0, 1300)


def test_who_was_not_seen_before_may_be_a_sensor_that_hangs() -> None:
    dark = np.full((32, 1), np.nan)
    state, still = off(settling.init(1), 10.0, before=dark), np.full((32, 1), 50.0)
    assert not fits(state, 50.0, 300, now=still)


def test_what_nobody_sees_does_not_become_usual() -> None:
    state = off(settling.init(1), 10.0)
    assert not fits(state, 50.0, 300, now=np.full((32, 1), np.nan))


def test_a_person_clears_what_is_held_against_a_row_and_no_other() -> None:
    two = settling.init(2)
    both, usual = np.ones(2, dtype=bool), np.array([10.0, 10.0])
    heard = settling.heard(two, both, usual, usual, np.tile(around(10.0), 2))
    two = settling.judged(heard, both, both)
    cleared = settling.cleared(two, SLOT)
    assert cleared.spoilt.tolist() == [False, True]
    assert cleared.quiet.tolist() == [QUIET, 0]
    assert two.spoilt.tolist() == [True, True]


def test_states_are_never_written_to() -> None:
    state = off(settling.init(1), 10.0)
    kept = replace(state, **{name: getattr(state, name).copy() for name in Levels.__slots__})
    settling.begun(state, SLOT, around(50.0), 300)
    hear(state, ME, 10.0)
    settling.judged(state, ME, ME)
    for name in Levels.__slots__:
        np.testing.assert_array_equal(getattr(state, name), getattr(kept, name))


def went(state: Levels, *, told: bool) -> Levels:
    for _ in range(70):
        state = settling.judged(hear(state, ME, 10.0, 50.0), NOBODY, ME if told else NOBODY)
    return state


def test_what_nobody_was_told_of_does_not_become_usual_by_itself() -> None:
    assert not fits(went(settling.init(1), told=False), 50.0, 300)
    over = went(settling.init(1), told=True)
    assert fits(over, 50.0, 300)
    # One onset is long over when the next level is off.
    for _ in range(QUIET):
        over = hear(over, NOBODY, 10.0)
    assert not fits(went(over, told=False), 50.0, 700)


@pytest.mark.parametrize("slope", [0.01, 0.1, 1.0])
def test_what_is_on_its_way_has_not_settled_however_slowly_it_goes(slope: float) -> None:
    start = 13.0  # three deviations: then a chart sees it
    state = off(settling.init(1), 10.0, start, ticks=300, slope=slope)
    assert not fits(state, start + 300 * slope, 310)
    # ... nor when it has come to an end: it went there as a leak goes.
    assert not fits(off(state, 10.0, start + 300 * slope, ticks=900), start + 300 * slope, 1300)


def test_a_step_in_noise_has_arrived() -> None:
    every = 400
    noise = np.random.default_rng(0).normal(14.0, 1.0, (300, every))
    state, all_of, usual = settling.init(every), np.ones(every, dtype=bool), np.full(every, 10.0)
    past = np.random.default_rng(1).normal(10.0, 1.0, (32, every))
    for values in noise:
        heard = settling.heard(state, all_of, values, usual, past)
        state = settling.judged(heard, ~all_of, all_of)
    assert settling.permitted(state, np.arange(every), noise[-32:], 310).size >= 0.98 * every
