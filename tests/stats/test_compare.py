"""Comparisons over the same tasks, held against what is known by hand and by chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.stats.compare import holm, mean_estimate, middle, middle_estimate, sign_flip

numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)


@given(numbers)
def test_the_middle_is_scipys_trimmed_mean_where_a_quarter_is_whole(values: list[float]) -> None:
    from scipy.stats import trim_mean  # noqa: PLC0415 - slow to import

    four_times = values * 4
    wanted = trim_mean(four_times, 0.25)
    assert middle(four_times) == pytest.approx(wanted, rel=1e-9, abs=1e-6)
    # Every number four times has the same middle as once, which is how parts are to be counted.
    assert middle(values) == pytest.approx(wanted, rel=1e-9, abs=1e-6)


def test_one_disaster_moves_the_mean_and_not_the_middle() -> None:
    calm = np.ones((10, 10))
    struck = calm.copy()
    struck[0, 0] = -1000.0
    assert middle_estimate(struck).value == middle_estimate(calm).value == 1.0
    assert mean_estimate(struck).value < -8.0


def test_the_interval_covers_other_runs_of_the_same_tasks() -> None:
    """Tasks as far apart as can be: were they drawn anew too, nothing would ever be left out."""
    chance = np.random.default_rng(0)
    tasks = np.linspace(-50.0, 50.0, 12)[:, None]
    hits, widths = 0, []
    for number in range(300):
        found = mean_estimate(tasks + chance.normal(size=(12, 8)), draws=300, seed=number)
        hits += found.low <= 0.0 <= found.high
        widths.append(found.high - found.low)
    assert 0.88 <= hits / 300 <= 0.98
    assert np.mean(widths) < 1.0


def test_one_run_of_each_task_has_no_interval() -> None:
    found = middle_estimate(np.arange(5.0)[:, None])
    assert (found.value, np.isnan(found.low), np.isnan(found.high)) == (2.0, True, True)


def test_runs_that_never_differ_have_no_interval_either() -> None:
    found = mean_estimate(np.repeat(np.arange(5.0)[:, None], 4, axis=1))
    assert (found.value, np.isnan(found.low)) == (2.0, True)
    assert not np.isnan(mean_estimate([[1.0, 1.0], [1.0, 2.0]]).low)


def test_nothing_and_what_is_no_number_is_refused() -> None:
    for bad in ([], [1.0, np.nan], [np.inf]):
        with pytest.raises(ValueError, match="need numbers"):
            middle(bad)
        with pytest.raises(ValueError, match="need differences"):
            sign_flip(bad)
    for bad in ([-0.1], [1.1], [np.nan]):
        with pytest.raises(ValueError, match="p-values are in"):
            holm(bad)


def test_flips_are_exact_for_few_tasks() -> None:
    # Of the 32 ways to sign five equal differences two are as far from 0 as they are.
    assert sign_flip(np.ones(5)) == pytest.approx(2 / 32, abs=0.006)
    assert sign_flip([1.0, -1.0]) == 1.0
    assert sign_flip(np.zeros(4)) == 1.0


def test_flips_find_nothing_where_nothing_is_and_something_where_something_is() -> None:
    chance = np.random.default_rng(1)
    none = [sign_flip(chance.standard_cauchy(20), draws=400, seed=n) for n in range(400)]
    assert np.mean(np.array(none) <= 0.05) <= 0.08
    assert sign_flip(chance.normal(1.0, 1.0, 43)) < 1e-3


@given(st.lists(st.floats(0.0, 1.0), max_size=20))
def test_holm_never_lowers_a_value_and_keeps_their_order(values: list[float]) -> None:
    found = holm(values)
    assert all(b >= a for a, b in zip(values, found, strict=True))
    assert all(one <= 1.0 for one in found)
    by_value = [one for _, one in sorted(zip(values, found, strict=True))]
    assert by_value == sorted(by_value)
    if values:
        assert min(found) == pytest.approx(min(1.0, len(values) * min(values)))


def test_holm_rejects_no_true_hypothesis_more_often_than_promised() -> None:
    chance = np.random.default_rng(2)
    false = [min(holm(chance.uniform(size=8).tolist())) <= 0.05 for _ in range(4000)]
    assert np.mean(false) <= 0.05 + 0.011  # three standard deviations of 4,000 trials
