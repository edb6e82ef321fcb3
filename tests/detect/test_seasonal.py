"""The seasonal detector: what it finds and learns from, and that it is one with `conformal`."""

from typing import Any

import numpy as np
import pytest

from homeostat.detect import conformal
from homeostat.detect.seasonal import Config, SeasonalDetector, SeasonalState
from homeostat.detect.seasonal_memory import SeasonalMemory
from homeostat.stats.arrays import from_bytes, to_bytes
from homeostat.stats.conformal import Table
from homeostat.stats.edetector import Evidence
from homeostat.stats.whiten import Model

DETECTOR = SeasonalDetector(Config())
PERIOD = 48


def season(ticks: int, series: int, *, period: int = PERIOD, seed: int = 1) -> Any:
    """Return a sharp season of three deviations with normal noise of one, `[tick, series]`."""
    rng = np.random.default_rng(seed)
    phase = (np.arange(ticks)[:, None] + rng.integers(0, period, series)) % period
    wave = 3.0 * np.sin(2.0 * np.pi * phase / period) + 4.0 * (phase < period // 8)
    return 100.0 + wave + rng.standard_normal((ticks, series))


def play(
    values: Any, *, learn: Any = True, state: SeasonalState | None = None
) -> tuple[SeasonalState, Any]:
    """Return the last state and the alarms `[tick, series]`."""
    now, out = state or DETECTOR.init(np, values.shape[1]), []
    for row in values:
        now, said = DETECTOR.step(np, now, row, learn)
        out.append(said.alarm)
    return now, np.array(out)


def test_without_a_season_it_is_the_conformal_detector_value_for_value() -> None:
    values = np.random.default_rng(2).standard_normal((160, 6))
    values[150:152, 0] += 9.0
    values[40:50, 1] = np.nan
    plain = conformal.ConformalDetector(conformal.Config())
    ours, theirs = DETECTOR.init(np, 6), plain.init(np, 6)
    for row in values:
        ours, said = DETECTOR.step(np, ours, row, True)
        theirs, wanted = plain.step(np, theirs, row, True)
        assert np.array_equal(said.neg_log10_p, wanted.neg_log10_p, equal_nan=True)
        assert np.array_equal(said.low, wanted.low, equal_nan=True)
        assert np.array_equal(said.alarm, wanted.alarm)
    assert not ours.season.period.any()


@pytest.mark.slow
def test_a_season_is_found_and_makes_what_is_expected_as_good_as_the_noise_allows() -> None:
    whole = season(11 * PERIOD, 12)
    state, alarms = play(whole[: 10 * PERIOD])
    assert (state.season.period == PERIOD).mean() > 0.9
    assert not alarms.any()
    later = whole[10 * PERIOD :]
    wanted = np.array([DETECTOR.expected(np, state, ahead).value for ahead in range(1, PERIOD + 1)])
    error = wanted - later
    # The noise's own deviation is 1; a profile of m cycles adds 1 / m of its variance.
    assert np.sqrt((error**2).mean()) < 1.25
    assert np.sqrt(((later - later.mean(axis=0)) ** 2).mean()) > 2.3


@pytest.mark.slow
def test_a_fault_teaches_the_profile_nothing() -> None:
    state, _ = play(season(10 * PERIOD, 12))
    before = state.season.profile.copy()
    ill = season(10 * PERIOD + 96, 12)[10 * PERIOD :] + 15.0
    state, alarms = play(ill, state=state)
    assert alarms[20:].mean() > 0.95
    # What had been learnt and not yet written may be, and the first value before evidence came.
    assert np.abs(state.season.profile - before).max() < 1.0
    assert np.median(np.abs(state.season.profile - before)) < 0.05


@pytest.mark.slow
def test_a_level_that_changed_for_good_is_the_level_after_patience() -> None:
    values = season(24 * PERIOD, 12)
    values[10 * PERIOD :] += 15.0
    state, alarms = play(values)
    assert alarms[10 * PERIOD : 10 * PERIOD + 20].any(axis=0).all()
    late = alarms[10 * PERIOD + DETECTOR.config.patience + 2 :]
    assert late.mean() < 1e-3
    assert (state.season.period == PERIOD).all()
    assert state.season.level == pytest.approx(values[-4 * PERIOD :].mean(axis=0), abs=2.0)


@pytest.mark.long
def test_what_is_flagged_teaches_the_profile_when_it_comes_again_at_its_hour() -> None:
    """A new job of four ticks, on every cycle or only once."""
    values = season(20 * PERIOD, 8)
    hour = np.arange(len(values)) % PERIOD
    job = (hour >= 20) & (hour < 24) & (np.arange(len(values)) >= 14 * PERIOD)
    once = job & (np.arange(len(values)) < 15 * PERIOD)
    values[:, :4] += 9.0 * job[:, None]
    values[:, 4:] += 9.0 * once[:, None]
    state, _ = play(values)
    then = DETECTOR.expected(np, state, 22).season - DETECTOR.expected(np, state, 32).season
    quiet, _ = play(season(20 * PERIOD, 8))
    before = DETECTOR.expected(np, quiet, 22).season - DETECTOR.expected(np, quiet, 32).season
    assert (quiet.season.period == PERIOD).all()
    learnt = then - before
    assert learnt[:4].mean() > 1.5
    assert np.abs(learnt[4:]).max() < 1.0


def test_nothing_is_learnt_where_nothing_may_be() -> None:
    values = season(5 * PERIOD, 2)
    state, _ = play(values, learn=np.array([True, False]))
    assert state.season.age[0] > 0 == state.season.age[1]
    assert np.isnan(state.season.ring[:, 1]).all()


def test_a_stored_detector_goes_on_bit_for_bit_and_a_row_restarts_alone() -> None:
    values = season(7 * PERIOD, 3)
    state, _ = play(values[: 6 * PERIOD])
    classes = [SeasonalState, SeasonalMemory, conformal.State, Model, Table, Evidence]
    stored = from_bytes(to_bytes(state), classes)
    state, ours = play(values[6 * PERIOD :], state=state)
    stored, theirs = play(values[6 * PERIOD :], state=stored)
    assert ours.tobytes() == theirs.tobytes()
    assert to_bytes(state) == to_bytes(stored)
    fresh = DETECTOR.restart(np, state, np.array([True, False, False]))
    assert fresh.season.period[0] == 0.0
    assert fresh.season.period[1] == state.season.period[1] > 0.0
    assert np.isnan(DETECTOR.expected(np, fresh).value).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("wrong", "name"),
    [({"alpha": 0.0}, "alpha"), ({"hints": (3,)}, "hints"), ({"longest_block": 48}, "longest")],
)
def test_a_setting_that_cannot_work_is_refused_by_name(wrong: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=f"seasonal: {name}"):
        type(Config().season)(**wrong)


def test_a_patience_that_one_spike_ends_is_refused() -> None:
    with pytest.raises(ValueError, match="patience"):
        Config(patience=2)
