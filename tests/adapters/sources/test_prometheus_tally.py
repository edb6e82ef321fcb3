"""What counters gained is exact: across restarts, gaps and processes that come and go."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.adapters.sources.prometheus_tally import FORGOTTEN_S, Tally


def test_a_counter_gains_nothing_at_first_because_nobody_knows_when() -> None:
    tally = Tally()
    assert tally.gained("a", [(1.0, 5.0), (2.0, 9.0)], from_zero=False) == 0.0
    assert tally.gained("a", [(2.0, 9.0), (3.0, 12.0)], from_zero=False) == 3.0


def test_a_counter_that_was_watched_before_it_appeared_began_at_zero() -> None:
    assert Tally().gained("a", [(1.0, 5.0), (2.0, 9.0)], from_zero=True) == 9.0


def test_a_restart_gains_what_it_shows_since() -> None:
    tally = Tally()
    tally.gained("a", [(1.0, 100.0)], from_zero=False)
    # 100 -> 110, restart, 4 -> 6.
    assert tally.gained("a", [(2.0, 110.0), (3.0, 4.0), (4.0, 6.0)], from_zero=False) == 16.0


def test_a_sample_is_counted_once_though_windows_overlap() -> None:
    tally = Tally()
    tally.gained("a", [(1.0, 1.0)], from_zero=False)
    window = [(1.0, 1.0), (2.0, 3.0)]
    assert [tally.gained("a", window, from_zero=False) for _ in range(3)] == [2.0, 0.0, 0.0]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -1.0])
def test_an_odd_sample_is_no_gain_and_loses_none(odd: float) -> None:
    tally = Tally()
    tally.gained("a", [(1.0, 1.0)], from_zero=False)
    assert math.isnan(tally.gained("a", [(2.0, odd)], from_zero=False))
    assert tally.gained("a", [(3.0, 8.0)], from_zero=False) == 7.0


def test_what_was_silent_for_long_is_a_stranger_again() -> None:
    tally = Tally()
    tally.gained("a", [(1.0, 1.0)], from_zero=False)
    tally.forget(FORGOTTEN_S + 1.0)
    assert "a" in tally
    tally.forget(FORGOTTEN_S + 1.5)
    assert "a" not in tally


_STEPS = st.lists(
    st.tuples(st.integers(0, 50), st.booleans(), st.booleans()), min_size=1, max_size=30
)


@settings(max_examples=60)
@given(_STEPS)
def test_the_gain_is_what_happened_however_it_is_cut_into_rounds(
    steps: list[tuple[int, bool, bool]],
) -> None:
    """Each step: requests, whether the process starts again after them, whether a round ends."""
    tally = Tally()
    tally.gained("a", [(0.0, 0.0)], from_zero=False)
    value, true, told, window = 0, 0, 0.0, []
    for at, (requests, restarts, asks) in enumerate(steps, start=1):
        value, true = value + requests, true + requests
        window.append((float(at), float(value)))
        if restarts:
            value = 0
            window.append((at + 0.5, 0.0))
        if asks:
            told += tally.gained("a", window, from_zero=False)
            window = window[-1:]
    told += tally.gained("a", window, from_zero=False)
    assert told == true
