"""The conformal detector: its promise under heavy tails, what it learns, and what it does not."""

from typing import Any

import numpy as np
import pytest

from homeostat.detect.conformal import Config, ConformalDetector, State
from homeostat.stats.arrays import from_bytes, to_bytes
from homeostat.stats.conformal import Table
from homeostat.stats.edetector import Evidence
from homeostat.stats.whiten import Model

DETECTOR = ConformalDetector(Config())


def alarms(values: Any, *, learn: bool = True, detector: ConformalDetector = DETECTOR) -> Any:
    """Return alarms `[tick, series]`."""
    state, out = detector.init(np, values.shape[1]), []
    for row in values:
        state, said = detector.step(np, state, row, learn)
        out.append(said.alarm)
    return np.array(out)


def heavy(ticks: int, series: int, *, seed: int) -> Any:
    return np.exp(np.random.default_rng(seed).standard_normal((ticks, series)))


@pytest.mark.slow
def test_log_normal_noise_alarms_no_more_often_than_was_promised() -> None:
    """A run length short enough to count alarms; the EWMA chart has 300 here."""
    length, warm, series, ticks = 2000.0, 200, 200, 300
    detector = ConformalDetector(Config(run_length=length))
    found = alarms(heavy(warm + ticks, series, seed=1), detector=detector)
    lived = np.where(found.any(axis=0), np.argmax(found, axis=0), warm + ticks).sum()
    count = found.any(axis=0).sum()
    print(f"{count} of {series} series alarmed, {lived / count:.0f} ticks to an alarm")
    assert count <= lived / length + 3.0 * np.sqrt(lived / length)


@pytest.mark.slow
def test_a_lasting_shift_of_eight_deviations_is_found_under_any_noise() -> None:
    rng = np.random.default_rng(2)
    noises = {
        "normal": rng.standard_normal((330, 100)),
        "t4": rng.standard_t(4, (330, 100)) / np.sqrt(2.0),
        "lognormal": heavy(330, 100, seed=3) / 2.16,
    }
    for name, values in noises.items():
        values[300:] += 8.0
        found = alarms(values)
        delay = np.argmax(found[300:], axis=0) + 1
        print(f"{name}: {found[300:].any(axis=0).mean():.0%} after {np.median(delay):.0f} ticks")
        assert found[300:320].any(axis=0).mean() >= 0.9, name
        assert not found[:300].any(), name


def test_a_fault_never_enters_the_table() -> None:
    values = np.random.default_rng(4).standard_normal((420, 40))
    values[300:] += 8.0
    state = DETECTOR.init(np, 40)
    for row in values[:300]:
        state, _ = DETECTOR.step(np, state, row, True)
    before = state.table.entered.copy()
    for row in values[300:-1]:
        state, _ = DETECTOR.step(np, state, row, True)
    state, said = DETECTOR.step(np, state, values[-1], True)
    assert said.alarm.mean() > 0.9
    # What waited when it began may have entered, and nothing after.
    assert (state.table.entered - before <= 8).mean() > 0.9
    assert np.median(state.table.scores[-1]) < 5.0


def test_nothing_is_learnt_where_nothing_may_be() -> None:
    values = np.random.default_rng(5).standard_normal((150, 2))
    state = DETECTOR.init(np, 2)
    for row in values:
        state, _ = DETECTOR.step(np, state, row, np.array([True, False]))
    assert state.table.entered[0] > 100
    assert state.table.entered[1] == 0 == state.model.count[1]


def test_a_stored_detector_goes_on_bit_for_bit_and_a_row_restarts_alone() -> None:
    values = heavy(120, 3, seed=6)
    state = DETECTOR.init(np, 3)
    for row in values[:90]:
        state, _ = DETECTOR.step(np, state, row, True)
    stored = from_bytes(to_bytes(state), [State, Model, Table, Evidence])
    for row in values[90:]:
        state, ours = DETECTOR.step(np, state, row, True)
        stored, theirs = DETECTOR.step(np, stored, row, True)
        assert ours.neg_log10_p.tobytes() == theirs.neg_log10_p.tobytes()
    assert to_bytes(state) == to_bytes(stored)
    fresh = DETECTOR.restart(np, state, np.array([True, False, False]))
    _, said = DETECTOR.step(np, fresh, values[0], True)
    assert np.isnan(said.neg_log10_p).tolist() == [True, False, False]


def test_a_run_length_that_cannot_be_promised_is_refused() -> None:
    with pytest.raises(ValueError, match="run_length"):
        Config(run_length=0.5)
