"""Rows to ticks: what is missing is unknown, and nothing that comes later changes what was said."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.cli import detect_ticks as ticks
from homeostat.cli.detect_cells import Ints

SECOND = 10**9


def at(seconds: list[float]) -> Ints:
    return (np.array(seconds) * SECOND).astype(np.int64)


def timed(seconds: list[float]) -> ticks.Timing:
    return ticks.timing(ticks.new_grid(), at(seconds))[1]


steps = st.lists(st.sampled_from([60.0, 60.0, 60.0, 60.0, 61.0, 0.0, 120.0, 600.0, -60.0, 7.5]))


@given(steps=steps.filter(bool), pieces=st.lists(st.integers(1, 9), max_size=6))
def test_what_times_say_does_not_depend_on_what_comes_later_or_on_the_pieces(
    steps: list[float], pieces: list[int]
) -> None:
    times = at(np.cumsum([1000.0, *steps]).tolist())
    _, whole = ticks.timing(ticks.new_grid(), times)
    grid, begun = ticks.new_grid(), 0
    for size in [*pieces, len(times)]:
        part = times[begun : begun + size]
        if not len(part):
            break
        grid, said = ticks.timing(grid, part)
        for mine, all_of_it in zip(said, whole, strict=True):
            np.testing.assert_array_equal(mine, all_of_it[begun : begun + size])
        begun += size


@given(holes=st.sets(st.integers(5, 80), max_size=20), step=st.sampled_from([0.1, 15.0, 86400.0]))
def test_rows_missing_from_a_grid_are_counted_where_they_are_missing(
    holes: set[int], step: float
) -> None:
    there = [k for k in range(90) if k not in holes]
    said = timed([k * step for k in there])
    expected = [0, *(b - a - 1 for a, b in pairwise(there))]
    assert said.missing.tolist() == expected


def test_a_grid_that_jitters_is_a_grid_and_random_times_are_none() -> None:
    chance = np.random.default_rng(1)
    jitter = np.arange(200) * 60.0 + chance.uniform(-4.0, 4.0, 200)
    jitter[100:] += 600.0
    assert timed(jitter.tolist()).missing.tolist() == [0] * 100 + [10] + [0] * 99
    random = np.cumsum(chance.exponential(60.0, 400))
    assert timed(random.tolist()).missing.sum() < 40


def test_the_step_follows_a_change_of_the_sampling_and_tells_it() -> None:
    times = [*np.arange(50) * 15.0, *(49 * 15.0 + np.arange(1, 51) * 60.0)]
    said = timed(times)
    assert said.missing[:50].sum() == 0
    assert set(said.missing[50:58].tolist()) == {3}
    assert said.missing[66:].sum() == 0
    assert said.changed.sum() == 1


def test_repeated_and_earlier_times_are_ticks_of_their_own_and_told() -> None:
    said = timed([*np.arange(10) * 60.0, 540.0, 300.0, 360.0])
    assert said.repeated.tolist() == [False] * 10 + [True, False, False]
    assert said.back.tolist() == [False] * 11 + [True, False]
    assert said.missing.sum() == 0


def test_a_gap_of_years_is_cut_and_told() -> None:
    said = timed([*np.arange(10) * 1.0, 1e9])
    assert said.missing[-1] == ticks.MOST_MISSING
    assert said.cut.tolist() == [False] * 10 + [True]


def test_too_few_rows_make_no_grid() -> None:
    assert timed([0.0]).missing.tolist() == [0]
    assert timed([0.0, 60.0, 600.0]).missing.tolist() == [0, 0, 0]


def rates(seconds: list[float], values: list[float]) -> list[float]:
    table = np.array(values, dtype=float)[:, None]
    _, out = ticks.rates(ticks.new_counts(1), at(seconds), table, np.array([True]))
    return list(out.ravel().tolist())


@pytest.mark.parametrize(
    ("seconds", "values", "expected"),
    [
        ([0, 10, 20], [5, 25, 25], [np.nan, 2.0, 0.0]),
        ([0, 10, 20, 30], [50, 60, 3, 13], [np.nan, 1.0, np.nan, 1.0]),
        ([0, 10, 20, 30], [5, np.nan, 45, 55], [np.nan, np.nan, 2.0, 1.0]),
        ([0, 10, 10, 20], [5, 15, 25, 35], [np.nan, 1.0, np.nan, 2.0]),
        ([0], [7], [np.nan]),
    ],
    ids=["rises", "starts again", "is not known", "at one time", "alone"],
)
def test_a_counter_is_its_increments_over_the_time_they_cover(
    seconds: list[float], values: list[float], expected: list[float]
) -> None:
    np.testing.assert_array_equal(rates(seconds, values), expected)


@given(
    values=st.lists(st.one_of(st.floats(0.0, 1e6), st.just(np.nan)), min_size=1, max_size=30),
    cut=st.integers(1, 29),
)
def test_counters_go_on_where_they_were(values: list[float], cut: int) -> None:
    times, table = np.arange(len(values)) // 2 * SECOND, np.array(values)[:, None]
    flags = np.array([True])
    _, whole = ticks.rates(ticks.new_counts(1), times, table, flags)
    counts, first = ticks.rates(ticks.new_counts(1), times[:cut], table[:cut], flags)
    _, then = ticks.rates(counts, times[cut:], table[cut:], flags)
    np.testing.assert_array_equal(np.concatenate([first, then]), whole)


def test_a_gauge_beside_a_counter_is_left_alone() -> None:
    table = np.array([[1.0, 5.0], [3.0, 4.0]])
    _, out = ticks.rates(ticks.new_counts(2), at([0, 1]), table, np.array([True, False]))
    np.testing.assert_array_equal(out, [[np.nan, 5.0], [2.0, 4.0]])
