"""Ranges that one wild value cannot stretch; windows and components that come back."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vae_by_hand import STRAIGHT, curve

from homeostat.detect.vae_config import Config
from homeostat.detect.vae_inputs import Inputs, components, fit, restored, scaled, windows

TICKS = 800


def learnt(values: Any, config: Config = STRAIGHT, believed: Any = None) -> Inputs:
    """Fit on windows without unbelieved ticks."""
    kept = np.ones(len(values), dtype=bool) if believed is None else believed
    whole = np.lib.stride_tricks.sliding_window_view(kept, config.window).all(axis=1)
    return fit(config, values, np.flatnonzero(whole), kept)


def test_a_plain_range_is_the_minimum_and_the_maximum() -> None:
    values = curve(1, TICKS)
    plain = Config(window=2, components=8, latent=2, range_quantile=0.0)
    inputs = learnt(values, plain)
    assert np.array_equal(inputs.low, values.min(axis=0))
    assert scaled(np, plain, inputs, values).values.min() == 0.0
    assert scaled(np, plain, inputs, values).values.max() == pytest.approx(1.0, abs=1e-12)


def test_one_wild_value_hardly_stretches_a_guarded_range() -> None:
    values = curve(1, 4000)
    wild = values.copy()
    wild[7, 2] += 1e6
    ratio = learnt(wild).span / learnt(values).span
    assert ratio == pytest.approx(np.ones(6), abs=0.02)


def test_what_is_not_believed_sets_no_range_and_no_component() -> None:
    values, believed = curve(1, TICKS), np.ones(TICKS, dtype=bool)
    believed[300:400] = False
    wrong = values.copy()
    wrong[300:400] = 1e9 * np.random.default_rng(2).standard_normal((100, 6))
    for right, other in zip(
        learnt(values, believed=believed), learnt(wrong, believed=believed), strict=True
    ):
        assert np.array_equal(right, other)


@settings(max_examples=20)
@given(scale=st.floats(1e-6, 1e6), offset=st.floats(-1e3, 1e3), column=st.integers(0, 5))
def test_units_do_not_matter(scale: float, offset: float, column: int) -> None:
    values = curve(1, TICKS)
    other = values.copy()
    other[:, column] = values[:, column] * scale + offset * scale
    ours, theirs = learnt(values), learnt(other)
    assert scaled(np, STRAIGHT, theirs, other).values == pytest.approx(
        scaled(np, STRAIGHT, ours, values).values, abs=1e-6
    )


def test_values_beyond_the_margin_are_clipped_and_far_ones_named() -> None:
    values = curve(1, TICKS)
    inputs = learnt(values)
    middle = inputs.low + 0.5 * inputs.span
    for ranges, share, far in ((1.2, 1.7, False), (5.0, 2.0, False), (20.0, 2.0, True)):
        said = scaled(np, STRAIGHT, inputs, middle + ranges * inputs.span)
        assert said.values == pytest.approx(np.full(6, share))
        assert said.far.all() == far
        below = scaled(np, STRAIGHT, inputs, middle - ranges * inputs.span)
        assert below.values == pytest.approx(np.full(6, 1.0 - share))
        assert below.far.all() == far


def test_a_constant_column_is_in_the_middle_until_it_moves() -> None:
    values = curve(1, TICKS)
    values[:, 3] = 1e7
    inputs = learnt(values)
    assert inputs.span[3] == 0.0
    row = values[:1].copy()
    assert scaled(np, STRAIGHT, inputs, row).values[0, 3] == 0.5
    row[0, 3] = 1e7 + 1e-4  # rounding
    assert scaled(np, STRAIGHT, inputs, row).values[0, 3] == 0.5
    row[0, 3] = 1e7 + 1.0
    said = scaled(np, STRAIGHT, inputs, row)
    assert said.values[0, 3] == 1.0 + STRAIGHT.margin
    assert not said.far[0, 3]


def test_a_column_constant_but_for_rare_bursts_has_the_range_of_the_bursts() -> None:
    values = curve(1, 4000)
    values[:, 4] = 0.0
    values[10, 4] = 2.0
    assert learnt(values).span[4] == 2.0


def test_windows_hold_each_tick_with_those_before_it() -> None:
    values = np.arange(10.0).reshape(5, 2)
    assert np.array_equal(
        windows(values, 3), [[0, 1, 2, 3, 4, 5], [2, 3, 4, 5, 6, 7], [4, 5, 6, 7, 8, 9]]
    )


def test_components_come_back_up_to_what_was_left_out() -> None:
    values, many = curve(1, TICKS), Config(window=2, components=12, latent=3)
    inputs = learnt(values, many)
    flat = windows(scaled(np, many, inputs, values).values, 2)
    parts = components(np, inputs, flat)
    gap = flat - restored(np, inputs, parts)
    count = int(inputs.kept.sum())
    assert 2 <= count < 12
    assert np.square(gap).sum() / np.square(flat - flat.mean(axis=0)).sum() < 0.011
    # They are principal: uncorrelated, largest first, and of mean variance 1.
    covariance = np.cov(parts[:, :count].T, bias=True)
    assert covariance == pytest.approx(np.diag(np.diag(covariance)), abs=1e-9)
    assert np.all(np.diff(np.diag(covariance)) <= 0.0)
    assert np.diag(covariance).mean() == pytest.approx(1.0, abs=1e-9)
    assert not parts[:, count:].any()


def test_columns_that_all_stand_still_give_no_components_and_no_error() -> None:
    inputs = learnt(np.ones((TICKS, 6)))
    assert inputs.kept.sum() == 0
    flat = windows(scaled(np, STRAIGHT, inputs, np.ones((4, 6))).values, 2)
    assert np.array_equal(restored(np, inputs, components(np, inputs, flat)), flat)
