"""A budget of false incidents becomes a level of evidence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.detect import stack_incident
from homeostat.detect.stack_budget import CURVE, LEVELS, level_of, levels_of
from homeostat.stats.fdr_budget import MOST, Budget

BUDGETS = st.floats(1e-6, MOST)
TICKS = st.floats(0.1, 1e6)


def test_at_the_levels_that_were_counted_the_budget_is_three_times_what_was_counted() -> None:
    for level, log10_rate in zip(LEVELS, CURVE, strict=True):
        per_day = 10.0**log10_rate * 288.0
        budget = Budget(false_incidents=3.0 * 1000.0 * per_day, tests_per_day=288.0)
        assert level_of(budget) == pytest.approx(level)


def test_at_short_ticks_the_budget_is_eight_times_what_was_counted() -> None:
    for tick_s in (1.0, 15.0, 60.0):
        per_day = 10.0 ** CURVE[-1] * 86_400.0 / tick_s
        said = Budget(false_incidents=8.0 * 1000.0 * per_day, tests_per_day=86_400.0 / tick_s)
        assert level_of(said) == pytest.approx(LEVELS[-1])


def test_a_clock_that_trembles_moves_the_level_by_little() -> None:
    steady, trembling = levels_of(1.0, 300.0), levels_of(1.0, 299.0)
    assert steady <= trembling <= steady + 0.01


@given(BUDGETS, TICKS, st.integers(1, 500))
def test_a_smaller_budget_a_shorter_tick_and_fewer_signals_need_more_evidence(
    budget: float, tick_s: float, signals: int
) -> None:
    level = levels_of(budget, tick_s, signals=signals)
    assert LEVELS[0] <= level < 30.0
    assert levels_of(budget / 2.0, tick_s, signals=signals) >= level
    assert levels_of(budget, tick_s / 2.0, signals=signals) >= level
    assert levels_of(budget, tick_s, signals=2 * signals) <= level


@given(BUDGETS, st.floats(1.0, 86_400.0), st.integers(1, 500))
def test_both_ways_of_asking_agree(budget: float, tick_s: float, signals: int) -> None:
    said = Budget(false_incidents=budget, tests_per_day=86_400.0 / tick_s)
    expected = level_of(said, signals=signals)
    assert float(levels_of(budget, tick_s, signals=signals)) == pytest.approx(expected)


def test_a_tick_of_unknown_or_absurd_length_is_taken_for_the_shortest_usual_one() -> None:
    usual = levels_of(1.0, 15.0)
    odd = levels_of(1.0, np.array([np.nan, np.inf, 0.0, -300.0]))
    assert odd.tolist() == [usual] * 4
    assert levels_of(1.0, 86_400.0) == levels_of(1.0, 7 * 86_400.0)


@pytest.mark.parametrize("budget", [0.0, -1.0, float("nan"), float("inf"), 500.1])
def test_a_budget_out_of_range_is_named(budget: float) -> None:
    with pytest.raises(ValueError, match=f"at most 500, got {budget:g}"):
        levels_of(budget, 15.0)


def test_an_entity_without_a_signal_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a signal, got 0"):
        levels_of(1.0, 15.0, signals=0)
    with pytest.raises(ValueError, match="needs a signal, got 0"):
        level_of(Budget(false_incidents=1.0, tests_per_day=288.0), signals=0)


def test_a_level_of_its_own_starts_an_incident_and_one_below_stay_moves_stay_along() -> None:
    config = stack_incident.Config(start=2.6, stay=1.7, quiet=2)
    evidence = np.array([3.0, 3.0, 1.2])
    start = np.array([2.6, 4.0, 1.0])
    state, starts = stack_incident.step(np, config, stack_incident.init(np, 3), evidence, start)
    assert starts.tolist() == [True, False, True]
    # Evidence of 1.2 goes on with what 1.0 may start, and is quiet for the others.
    state, _ = stack_incident.step(np, config, state, np.full(3, 1.2), start)
    state, _ = stack_incident.step(np, config, state, np.full(3, 1.2), start)
    assert state.active.tolist() == [False, False, True]


def test_the_level_of_the_settings_said_aloud_changes_nothing() -> None:
    config = stack_incident.Config(start=2.6, stay=1.7, quiet=3)
    evidence = np.random.default_rng(4).exponential(1.0, (400, 5))
    evidence[::17, 2] = np.nan
    one = two = stack_incident.init(np, 5)
    for row in evidence:
        one, began = stack_incident.step(np, config, one, row)
        two, also = stack_incident.step(np, config, two, row, np.full(5, 2.6))
        np.testing.assert_array_equal(began, also)
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)
