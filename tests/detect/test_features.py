"""Windowed features agree with their definitions, batch or streamed, whole or with gaps."""

import statistics
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from homeostat.detect.features import (
    Window,
    empty_range,
    empty_window,
    moving_mean,
    push,
    rolling_deviation,
    scale,
    widen,
)

ODD_OR_EVEN = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([np.nan, np.inf, -np.inf]))


def filled(values: Any, length: int) -> Window:
    window = empty_window(np, values.shape[1], length)
    for row in values:
        window = push(np, window, row)
    return window


@given(hnp.arrays(float, st.tuples(st.integers(1, 30), st.integers(1, 3)), elements=ODD_OR_EVEN))
def test_mean_and_deviation_equal_their_definitions_over_the_last_values(values: Any) -> None:
    window = filled(values, 7)
    means, deviations = moving_mean(np, window), rolling_deviation(np, window)
    for row in range(values.shape[1]):
        known = [v for v in values[-7:, row].tolist() if np.isfinite(v)]
        if known:
            assert means[row] == pytest.approx(statistics.fmean(known), rel=1e-12, abs=1e-9)
        else:
            assert np.isnan(means[row])
        if len(known) >= 2:
            expected = statistics.stdev(known)
            assert deviations[row] == pytest.approx(expected, rel=1e-6, abs=1e-9)
        else:
            assert np.isnan(deviations[row])


def test_a_small_spread_on_a_large_level_is_not_swallowed() -> None:
    values = 1e9 + np.array([[0.0], [1.0], [2.0], [3.0]])
    assert rolling_deviation(np, filled(values, 4))[0] == pytest.approx(statistics.stdev(range(4)))


def test_a_window_with_too_few_known_values_is_unknown() -> None:
    values = np.array([[1.0, 1.0], [np.nan, 2.0], [np.nan, 3.0]])
    window = filled(values, 3)
    assert np.isnan(moving_mean(np, window, min_known=2)).tolist() == [True, False]
    assert np.isnan(rolling_deviation(np, window, min_known=1)).tolist() == [True, False]


def test_huge_values_stay_finite() -> None:
    window = filled(np.full((5, 1), 1.7e308), 5)
    with np.errstate(all="raise"):
        assert moving_mean(np, window)[0] == pytest.approx(1.7e308)
        assert rolling_deviation(np, window)[0] <= 1e294  # rounding of the mean only


def test_a_push_leaves_the_window_before_it_as_it_was() -> None:
    before = filled(np.ones((2, 2)), 3)
    copy = before.ring.copy()
    push(np, before, np.zeros(2))
    assert np.array_equal(before.ring, copy, equal_nan=True)


def test_a_window_of_no_length_is_refused() -> None:
    with pytest.raises(ValueError, match="length of 1 or more, got 0"):
        empty_window(np, 1, 0)


@given(hnp.arrays(float, (12, 2), elements=st.floats(-1e12, 1e12)))
@example(np.array([[5e-324, 0.0], [0.0, 1.0]]))  # the smallest float has no half
def test_scaling_maps_what_was_seen_onto_zero_to_one(values: Any) -> None:
    seen = empty_range(np, 2)
    for row in values:
        seen = widen(np, seen, row)
    scaled = np.array([scale(np, seen, row) for row in values])
    assert ((scaled >= 0.0) & (scaled <= 1.0)).all()
    spread = values.max(axis=0) > values.min(axis=0)
    assert (scaled.max(axis=0) == np.where(spread, 1.0, 0.0)).all()
    assert (scaled.min(axis=0) == 0.0).all()


def test_a_departure_is_not_clipped_and_a_gap_is_not_scaled() -> None:
    seen = widen(np, widen(np, empty_range(np, 3), [0.0, 0.0, 5.0]), [10.0, np.nan, 5.0])
    assert scale(np, seen, [25.0, 0.0, 5.0]).tolist() == [2.5, 0.0, 0.0]
    assert np.isnan(scale(np, seen, [np.nan, np.inf, 6.0])).all()
    assert np.isnan(scale(np, empty_range(np, 1), [1.0])).all()


@pytest.mark.slow
def test_jax_agrees() -> None:
    jnp: ModuleType = pytest.importorskip("jax.numpy")
    rng = np.random.default_rng(3)
    ours, theirs = empty_window(np, 4, 5), empty_window(jnp, 4, 5)
    for _ in range(13):
        row = np.where(rng.random(4) < 0.2, np.nan, rng.standard_normal(4))
        ours, theirs = push(np, ours, row), push(jnp, theirs, jnp.asarray(row))
        for feature in (moving_mean, rolling_deviation):
            left, right = feature(np, ours), np.asarray(feature(jnp, theirs))
            assert np.allclose(left, right, rtol=1e-5, atol=1e-6, equal_nan=True)
