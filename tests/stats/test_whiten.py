"""Errors without memory, models that faults do not teach, and gaps."""

from typing import Any

import numpy as np
import pytest

from homeostat.stats.arrays import from_bytes, to_bytes
from homeostat.stats.whiten import Config, Model, Whitener

WHITENER = Whitener(Config())


def ar1(ticks: int, series: int, phi: float, *, seed: int) -> Any:
    """Return a stationary AR(1) with mean 50 and deviation 2, `[tick, series]`."""
    rng = np.random.default_rng(seed)
    y, out = rng.standard_normal(series), []
    for _ in range(ticks):
        y = phi * y + np.sqrt(1.0 - phi * phi) * rng.standard_normal(series)
        out.append(50.0 + 2.0 * y)
    return np.array(out)


def all_errors(values: Any, *, allowed: bool = True) -> tuple[Any, Model]:
    """Return errors in sigmas `[tick, series]` and the last model."""
    state, out = WHITENER.init(np, values.shape[1]), []
    for row in values:
        out.append(WHITENER.errors(np, state, row).sigmas)
        state = WHITENER.learn(np, state, row, allowed)
    return np.array(out), state


@pytest.mark.parametrize("phi", [0.0, 0.6, 0.9])
def test_errors_have_no_memory_and_unit_spread(phi: float) -> None:
    errors, _ = all_errors(ar1(900, 60, phi, seed=1))
    late = errors[400:]
    alike = (late[1:] * late[:-1]).mean() / (late * late).mean()
    assert abs(alike) < 0.05
    assert late.std() == pytest.approx(1.0, abs=0.05)


def test_a_shift_stays_visible_until_patience_ends() -> None:
    values = ar1(300, 40, 0.5, seed=2)
    values[200:] += 30.0  # 15 deviations
    errors, _ = all_errors(values)
    patience = WHITENER.config.patience
    assert (errors[200 : 200 + patience] > 3.5).mean() > 0.99
    assert (np.abs(errors[202 + patience :]) < 3.5).mean() > 0.9


def test_a_fault_does_not_teach_where_it_may_not() -> None:
    values = ar1(300, 4, 0.3, seed=3)
    _, state = all_errors(values[:200])
    frozen = state
    for row in values[200:] + 3.0:
        frozen = WHITENER.learn(np, frozen, row, False)
    assert np.array_equal(frozen.mean, state.mean)
    assert np.array_equal(frozen.scale2, state.scale2)
    assert not np.array_equal(frozen.last, state.last)


@pytest.mark.parametrize("nothing", [np.nan, np.inf, -np.inf])
def test_a_gap_is_unknown_and_widens_what_is_expected(nothing: float) -> None:
    values = ar1(200, 2, 0.9, seed=4)
    _, state = all_errors(values)
    row = np.array([nothing, 50.0])
    assert np.isnan(WHITENER.errors(np, state, row).sigmas).tolist() == [True, False]
    after = WHITENER.learn(np, state, row, True)
    assert after.mean[0] == state.mean[0]
    before, now = (WHITENER.errors(np, one, values[0]) for one in (state, after))
    assert now.sd[0] > before.sd[0]
    assert abs(now.expected[0] - state.mean[0]) <= abs(before.expected[0] - state.mean[0])


def test_a_constant_is_no_error_rounding_included() -> None:
    values = np.full((100, 2), 0.3) * [1.0, 1e9]
    values[::2] *= 1.0 + 3e-16
    errors, _ = all_errors(values)
    assert (np.abs(errors[40:]) < 1.0).all()


def test_shifting_and_scaling_the_data_changes_no_error() -> None:
    values = ar1(150, 3, 0.7, seed=5)
    plain, _ = all_errors(values)
    moved, _ = all_errors(8.0 * values + 1024.0)
    assert np.allclose(plain, moved, atol=1e-6, equal_nan=True)


def test_a_row_restarts_alone_and_a_stored_model_goes_on_bit_for_bit() -> None:
    values = ar1(80, 2, 0.5, seed=6)
    _, state = all_errors(values)
    assert to_bytes(from_bytes(to_bytes(state), [Model])) == to_bytes(state)
    after = WHITENER.restart(np, state, np.array([True, False]))
    known = np.isfinite(WHITENER.errors(np, after, values[0]).sigmas)
    assert known.tolist() == [False, True]


@pytest.mark.parametrize(
    "wrong",
    [{"weight": 0.0}, {"warmup": 1}, {"doubt_sigmas": 0.0}, {"patience": 0},
     {"sigma_floor_relative": -1.0}],
)  # fmt: skip
def test_a_setting_that_cannot_work_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"whiten: {next(iter(wrong))} must"):
        Config(**wrong)


def test_what_lies_ahead_fades_to_the_level_and_becomes_less_sure() -> None:
    values = ar1(300, 3, 0.9, seed=7)
    _, state = all_errors(values)
    next_one = WHITENER.errors(np, state, values[0])
    ahead = [WHITENER.ahead(np, state, ticks) for ticks in (1, 5, 400)]
    assert np.array_equal(ahead[0][0], next_one.expected)
    assert (np.diff([np.abs(value - state.mean) for value, _ in ahead], axis=0) <= 0.0).all()
    assert (np.diff([sd for _, sd in ahead], axis=0) > 0.0).all()
    assert ahead[2][0] == pytest.approx(state.mean, abs=0.01)


def test_a_level_moves_for_its_rows_alone_and_keeps_what_it_is_not_told() -> None:
    _, state = all_errors(ar1(200, 3, 0.6, seed=8))
    rows = np.array([True, True, False])
    moved = WHITENER.move(np, state, rows, np.full(3, 90.0), np.array([5.0, np.nan, 5.0]))
    expected, sd = WHITENER.ahead(np, moved, 1)
    assert expected[:2].tolist() == [90.0, 90.0]
    assert moved.scale2[0] == 25.0
    assert sd[0] == pytest.approx(5.0, rel=0.01)
    assert moved.scale2[1] == state.scale2[1]
    assert [part[2] for part in moved] == [part[2] for part in state]


def test_learning_with_what_was_said_is_learning_without() -> None:
    chance = np.random.default_rng(5)
    whitener = Whitener(Config())
    state = whitener.init(np, 6)
    for _ in range(200):
        values = chance.normal(3.0, 1.0, 6)
        values[chance.random(6) < 0.1] = np.nan
        allowed = chance.random(6) < 0.9
        plain = whitener.learn(np, state, values, allowed)
        said = whitener.errors(np, state, values)
        state = whitener.learn(np, state, values, allowed, said)
        assert to_bytes(state) == to_bytes(plain)
