"""Change points: one alarm per change, a promise under any noise, and a new normal afterwards."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from homeostat.detect.changepoint import HIGHER, LOWER, NARROWER, WIDER, Changepoint, State
from homeostat.detect.changepoint_config import Config
from homeostat.stats.arrays import from_bytes, to_bytes
from homeostat.stats.changes import Money
from homeostat.stats.conformal import Table
from homeostat.stats.whiten import Model

DETECTOR = Changepoint(Config())
ONSET, AFTER = 300, 300


class Played(NamedTuple):
    """What was said, `[tick, series]` each."""

    alarm: Any
    restart: Any
    changing: Any
    ago: Any
    look: Any
    score: Any


def play(values: Any, *, learn: Any = True, detector: Changepoint = DETECTOR) -> Played:
    """Play values `[tick, series]`, learning where `learn` (`[tick]`) says so."""
    state, out = detector.init(np, values.shape[1]), []
    for row, may in zip(values, np.broadcast_to(learn, len(values)), strict=True):
        state, said = detector.step(np, state, row, may)
        news = detector.news(np, state)
        out.append((said.alarm, news.restart, news.changing, news.ago, news.look, said.neg_log10_p))
    return Played(*(np.array(part) for part in zip(*out, strict=True)))


def noise(ticks: int, series: int, *, seed: int) -> Any:
    return np.random.default_rng(seed).standard_normal((ticks, series))


def changed(*, level: float = 0.0, spread: float = 1.0, series: int = 40, seed: int = 1) -> Any:
    """Return values that change after `ONSET` ticks, on a level that must not matter."""
    values = noise(ONSET + AFTER, series, seed=seed)
    values[ONSET:] = level + spread * values[ONSET:]
    return 50.0 + 3.0 * values


CHANGES = [
    (2.0, 1.0, HIGHER, 40),
    (-2.0, 1.0, LOWER, 40),
    (8.0, 1.0, HIGHER, 12),
    (0.0, 3.0, WIDER, 40),
    (0.0, 0.25, NARROWER, 40),
]


@pytest.mark.slow
@pytest.mark.parametrize(("level", "spread", "look", "within"), CHANGES)
def test_a_change_is_one_alarm_and_then_the_new_normal(
    level: float, spread: float, look: int, within: int
) -> None:
    said = play(changed(level=level, spread=spread))
    assert not said.alarm[:ONSET].any()
    assert (said.alarm.sum(axis=0) == 1).mean() >= 0.95
    assert said.alarm.sum(axis=0).max() <= 1
    delay = said.alarm.argmax(axis=0) - ONSET + 1
    ago = said.ago[said.alarm.argmax(axis=0), np.arange(delay.size)] - delay
    print(f"level {level}, spread {spread}: {np.median(delay):.0f} ticks, {np.median(ago):+.0f}")
    assert np.median(delay) <= within
    assert abs(np.median(ago)) <= 5.0
    assert (said.look[said.alarm] == look).mean() >= 0.9
    # Taken for normal once, after it has lasted, and nothing is evidence any more.
    assert (said.restart.sum(axis=0) == said.alarm.sum(axis=0)).mean() >= 0.95
    settled = said.restart.argmax(axis=0) - said.alarm.argmax(axis=0)
    assert settled[said.restart.any(axis=0)].min() >= DETECTOR.config.settle - 1
    assert not said.changing[-1].any()
    assert np.median(said.score[-50:]) < 0.5


@pytest.mark.parametrize("size", [6.0, 1e6])
def test_a_spike_is_no_change_however_high(size: float) -> None:
    values = noise(230, 60, seed=2)
    values[200:206] += size
    said = play(values)
    assert not said.alarm.any()
    assert not said.restart.any()


@pytest.mark.slow
def test_an_excursion_that_comes_back_is_one_alarm_and_the_old_level_stays_normal() -> None:
    values = noise(640, 40, seed=3)
    values[300:330] += 6.0
    values[600:] += 6.0
    said = play(values)
    assert (said.alarm[:600].sum(axis=0) == 1).all()
    assert not said.restart.any()
    # The baseline is the old one again, if not at once, and knows a departure from it.
    assert not said.changing[599].any()
    assert (said.alarm[600:620].sum(axis=0) == 1).mean() >= 0.95


@pytest.mark.slow
def test_two_changes_are_two_alarms_and_the_way_back_is_a_change_too() -> None:
    values = noise(900, 40, seed=4)
    values[300:600] += 4.0
    said = play(values)
    assert (said.alarm.sum(axis=0) == 2).mean() >= 0.95
    assert (said.restart.sum(axis=0) == 2).mean() >= 0.95
    assert (said.look[550] == -1).all()
    assert (said.look[said.restart] != -1).all()


@pytest.mark.slow
def test_a_ramp_is_one_alarm_not_one_for_every_step_of_it() -> None:
    values = noise(800, 30, seed=5)
    values[300:600] += 0.1 * np.arange(300)[:, None]
    values[600:] += 30.0
    said = play(values)
    assert said.alarm.any(axis=0).all()
    assert said.alarm.sum(axis=0).mean() <= 1.2


def test_what_may_not_be_learnt_never_becomes_normal() -> None:
    values = noise(420, 10, seed=6)
    values[200:] += 5.0
    learn = np.arange(len(values)) < 200
    said = play(values, learn=learn)
    assert not said.restart.any()
    assert said.changing[-1].all()
    assert (said.score[-1] > 4.0).all()


def test_a_gap_neither_ends_a_change_nor_settles_it() -> None:
    values = noise(480, 10, seed=7)
    values[200:] += 5.0
    values[220:440] = np.nan
    said = play(values)
    assert (said.alarm[:220].sum(axis=0) == 1).all()
    assert said.changing[220:].all()
    assert np.isnan(said.score[220:440]).all()
    assert not said.alarm[220:].any()


def test_a_constant_that_becomes_another_constant_has_changed_once() -> None:
    values = np.full((400, 3), 7.0) * [1.0, 1e6, 1e-6]
    values[200:] *= 1.5
    said = play(values)
    assert (said.alarm.sum(axis=0) == 1).all()
    assert (said.restart.sum(axis=0) == 1).all()


def test_scale_shift_and_neighbours_do_not_matter() -> None:
    values = changed(level=3.0, series=6)[250:450]
    moved = 1000.0 + 8.0 * values  # powers of two and room: no rounding
    one, other = play(values), play(moved[:, ::-1])
    assert np.array_equal(one.alarm, other.alarm[:, ::-1])
    assert np.array_equal(one.look, other.look[:, ::-1])


def test_a_stored_detector_goes_on_bit_for_bit_and_a_row_restarts_alone() -> None:
    values = noise(320, 3, seed=8)
    values[200:] += [0.0, 4.0, 4.0]
    state = DETECTOR.init(np, 3)
    for row in values[:240]:
        state, _ = DETECTOR.step(np, state, row, True)
    stored = from_bytes(to_bytes(state), [State, Model, Table, Money])
    for row in values[240:]:
        state, ours = DETECTOR.step(np, state, row, True)
        stored, theirs = DETECTOR.step(np, stored, row, True)
        assert ours.neg_log10_p.tobytes() == theirs.neg_log10_p.tobytes()
    assert to_bytes(state) == to_bytes(stored)
    fresh = DETECTOR.restart(np, state, np.array([True, False, False]))
    _, said = DETECTOR.step(np, fresh, values[0], True)
    assert np.isnan(said.neg_log10_p).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"run_length": 0.5}, "run_length"),
        ({"lasting": 1.0}, "lasting"),
        ({"fade": 0.0}, "fade"),
        ({"settle": 40}, "settle"),
        ({"settle": 900}, "settle"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Config(**settings)
