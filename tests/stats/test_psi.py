"""Sizes of shifts: known values, what chance makes of them, and no size without events."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.stats.psi import psi, total_variation

COUNTS = st.lists(st.integers(0, 10_000), min_size=4, max_size=4).filter(lambda c: sum(c) > 0)


def test_the_index_has_the_value_of_its_definition() -> None:
    now, then = np.array([0.2, 0.3, 0.5]) * 1e7, np.array([0.3, 0.3, 0.4]) * 1e7
    expected = (-0.1) * np.log(0.2 / 0.3) + 0.1 * np.log(0.5 / 0.4)
    assert psi(now, then) == pytest.approx(expected, rel=1e-5)
    assert total_variation(now, then) == pytest.approx(0.1)


def test_by_chance_the_index_is_as_large_as_the_samples_are_small() -> None:
    rng, shares = np.random.default_rng(1), np.full(10, 0.1)
    now, then = rng.multinomial(500, shares, 400).T, rng.multinomial(2000, shares, 400).T
    mean = psi(now.astype(float), then.astype(float)).mean()
    assert mean == pytest.approx(9.0 * (1 / 500 + 1 / 2000), rel=0.1)


@given(COUNTS, COUNTS)
def test_sizes_are_symmetric_bounded_and_zero_for_the_same(one: list[int], two: list[int]) -> None:
    now, then = np.array(one, dtype=float), np.array(two, dtype=float)
    assert psi(now, then) >= 0.0
    assert np.isfinite(psi(now, then))
    assert psi(now, then) == pytest.approx(psi(then, now))
    assert 0.0 <= total_variation(now, then) <= 1.0 + 1e-12
    assert total_variation(now, 3.0 * now) == pytest.approx(0.0, abs=1e-12)


def test_an_empty_histogram_has_no_size() -> None:
    assert np.isnan(psi(np.zeros(3), np.ones(3)))
    assert np.isnan(total_variation(np.ones(3), np.zeros(3)))
