"""What a row's newest value has that its past had not."""

from typing import Any

import numpy as np
import pytest

from homeostat.detect.screen import LOOKS, Config, Screen

STEP, LEVEL, LASTING, SPREAD = (LOOKS.index(one) for one in ("step", "level", "lasting", "spread"))


def _play(values: Any, learn: Any = np.True_) -> Any:
    """Return the looks, `[time, look, row]`."""
    screen = Screen(Config())
    state, out = screen.init(np, values.shape[1]), []
    may = np.broadcast_to(np.asarray(learn), values.shape)
    for tick, one in enumerate(values):
        state, looks = screen.step(np, state, one, may[tick])
        out.append(looks)
    return np.array(out)


def _noise(ticks: int = 600, rows: int = 1) -> Any:
    return np.random.default_rng(0).normal(size=(ticks, rows))


def test_a_spike_shows_in_step_and_level_more_than_anything_before() -> None:
    values = _noise()
    values[500] += 12.0
    looks = _play(values)
    for look in (STEP, LEVEL):
        assert looks[500, look, 0] > 2.0 * np.nanmax(looks[100:500, look, 0])


def test_a_small_shift_that_lasts_shows_in_the_lasting_departure_alone() -> None:
    values = _noise()
    values[500:560] += 2.0
    looks = _play(values)
    assert np.nanmax(looks[515:560, LASTING, 0]) > 1.8 * np.nanmax(looks[100:500, LASTING, 0])
    assert np.nanmax(looks[515:560, STEP, 0]) < 1.5 * np.nanmax(looks[100:500, STEP, 0])


@pytest.mark.parametrize("factor", [4.0, 0.0])
def test_steps_that_grow_or_stop_show_in_the_spread(factor: float) -> None:
    values = _noise()
    values[500:560] *= factor
    looks = _play(values)
    assert np.nanmax(looks[510:560, SPREAD, 0]) > 1.8 * np.nanmax(looks[150:500, SPREAD, 0])


def test_an_incident_does_not_soon_become_the_level() -> None:
    values = _noise(800)
    values[500:] += 10.0
    looks = _play(values)[:, LEVEL, 0]
    # After 280 ticks of 500 that it knew before, it is still beyond nine of ten of them.
    assert np.median(looks[760:]) > np.quantile(looks[100:500], 0.9)


def test_the_unit_does_not_matter() -> None:
    values = _noise(300, 2)
    values[200:220] += 5.0
    np.testing.assert_array_equal(_play(values), _play(values * 1024.0))


def test_the_zero_of_the_unit_does_not_matter() -> None:
    values = _noise(300, 2)
    np.testing.assert_allclose(_play(values), _play(values + 1024.0), rtol=1e-5, atol=1e-6)


def test_the_zero_of_the_unit_does_not_matter_to_a_row_that_stands_still_between_bursts() -> None:
    values = np.zeros((700, 1))
    values[460:462, 0], values[570:573, 0] = 2e6, (2e7, 1e8, 5e7)
    values[640] = 9011.2
    looks, shifted = _play(values), _play(values + 2.0**30)
    np.testing.assert_allclose(looks, shifted, rtol=1e-6)
    assert looks[570, LEVEL, 0] > 1e5
    assert (looks[580:640, LEVEL] == 0.0).all()


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_a_row_that_stood_still_is_judged_by_what_it_does_once_it_moves(unit: float) -> None:
    values = np.concatenate([np.zeros((100, 1)), 5.0 + _noise(700)])
    values[760:790] += 8.0
    looks = _play(values * unit)
    assert looks[100, LEVEL, 0] > 1e5  # that it moved is told
    known = looks[200:, LEVEL, 0]
    assert np.median(known[:560]) < 3.0
    assert known[560] > 1.5 * known[:560].max()


def test_rounding_far_from_zero_is_less_than_one_spread_and_noise_there_is_judged() -> None:
    level = np.full((400, 2), 1e6)
    level[:, 0] += np.random.default_rng(1).choice([0.0, 1e-3], 400)
    level[:, 1] += 100.0 * _noise(400)[:, 0]
    level[390, 1] += 1500.0
    looks = _play(level)
    assert np.nanmax(looks[:, [STEP, LEVEL], 0]) < 1.0
    assert looks[390, LEVEL, 1] > 8.0


def test_silence_is_unknown_and_the_next_value_is_judged_as_before() -> None:
    values = _noise(300, 2)
    values[200:210, 0] = np.nan
    looks = _play(values)
    assert np.isnan(looks[200:210, :, 0]).all()
    assert np.isfinite(looks[210:, LEVEL, 0]).all()
    np.testing.assert_array_equal(looks[:, :, 1], _play(values[:, 1:])[:, :, 0])


def test_what_may_not_be_learnt_changes_no_later_level() -> None:
    values = _noise(400)
    values[200:260] += 30.0
    learn = np.ones(values.shape, dtype=bool)
    learn[200:260] = False
    guarded, open_ = _play(values, learn), _play(values)
    calm = _play(np.delete(values, np.s_[200:260], axis=0))
    np.testing.assert_allclose(guarded[300:, LEVEL], calm[240:, LEVEL])
    assert not np.allclose(open_[300:, LEVEL], calm[240:, LEVEL])


@pytest.mark.parametrize("value", [0.0, 7.5])
def test_a_constant_is_judged_and_its_end_shows(value: float) -> None:
    values = np.full((300, 1), value)
    values[250] += 1.0
    looks = _play(values)
    assert (looks[60:250, [STEP, LEVEL]] == 0.0).all()
    assert looks[250, LEVEL, 0] > 30.0


@pytest.mark.parametrize(
    ("settings", "name"),
    [({"long": 10.0}, "long"), ({"short": 1.0}, "short"), ({"warmup": 4}, "warmup"),
     ({"floor_relative": -1.0}, "floor_relative")],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Config(**settings)
