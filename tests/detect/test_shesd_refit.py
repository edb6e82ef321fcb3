"""Refits from the past, whose turn it is, and a whole recording judged as if it came by tick."""

from typing import Any

import numpy as np
import pytest

from homeostat.detect.shesd import Config, Shesd
from homeostat.detect.shesd_refit import due, fit, install
from homeostat.detect.shesd_stream import run

DAY = 48
ASKED = Config(hints=(DAY,), bins=64)


def days(count: int, seed: int = 0, noise: float = 1.0) -> Any:
    tick = np.arange(count * DAY)
    rng = np.random.default_rng(seed)
    return 100.0 + 10.0 * np.sin(2.0 * np.pi * tick / DAY) + noise * rng.standard_normal(len(tick))


def test_a_fit_knows_season_level_and_spread() -> None:
    past = days(20)
    found = fit(past[: 19 * DAY + 7], ASKED)
    assert (found.period, found.unknown) == (DAY, "")
    assert found.centre + found.profile == pytest.approx(
        days(20, noise=0.0)[19 * DAY + 7 :][: DAY - 7].tolist() + days(20, noise=0.0)[:7].tolist(),
        abs=1.5,
    )
    assert found.scale == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("cycles", [2, 3, 5, 14])
def test_the_spread_is_that_of_the_next_cycle_however_few_there_were(cycles: int) -> None:
    ratios = []
    for seed in range(20):
        values = days(cycles + 1, seed)
        found = fit(values[: cycles * DAY], ASKED, period=DAY)
        left = values[cycles * DAY :] - found.profile - found.centre
        ratios.append(left.std() / found.scale)
    assert np.median(ratios) == pytest.approx(1.0, abs=0.12)


def test_outliers_and_gaps_do_not_teach() -> None:
    clean = days(14)
    spoilt = clean.copy()
    spoilt[::31] += 500.0
    spoilt[100:130] = np.nan
    ours, theirs = fit(spoilt, ASKED), fit(clean, ASKED)
    assert ours.period == theirs.period == DAY
    assert np.abs(ours.profile + ours.centre - theirs.profile - theirs.centre).max() < 1.5
    assert ours.scale == pytest.approx(theirs.scale, rel=0.15)


def test_flagged_values_do_not_teach_until_they_are_the_majority() -> None:
    past, rng = 100.0 + np.random.default_rng(1).standard_normal(400), np.random.default_rng(2)
    past[200:] = 150.0 + rng.standard_normal(200)
    few, many = np.arange(400) >= 250, np.arange(400) >= 200
    assert fit(past[:350], ASKED, flagged=few[:350]).centre < 125.0
    assert fit(past[150:], ASKED, flagged=many[150:]).centre > 125.0


@pytest.mark.parametrize(
    ("past", "why"),
    [
        (np.full(500, np.nan), "0 known values"),
        (np.arange(10.0), "10 known values"),
        (np.full(500, 3.0), "no spread"),
        (np.tile(np.arange(float(DAY)), 9), "no spread"),
    ],
)
def test_no_fit_has_a_reason_and_changes_nothing(past: Any, why: str) -> None:
    found = fit(past, ASKED, period=DAY if len(past) > 2 * DAY else None)
    assert why in found.unknown
    state = Shesd(ASKED).init(np, 2)
    after = install(state, [1], [found])
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(state, after, strict=True))


def test_what_a_fit_cannot_take_is_refused() -> None:
    with pytest.raises(ValueError, match="need a flag for each of 50 values, got 49"):
        fit(np.zeros(50), ASKED, flagged=np.zeros(49, dtype=bool))
    with pytest.raises(ValueError, match="need period >= 0"):
        fit(np.zeros(50), ASKED, period=-1)


def test_every_row_has_its_turn_once_and_no_tick_has_many_more_than_another() -> None:
    turns = [due(tick, 103, 10) for tick in range(40, 50)]
    assert sorted(np.concatenate(turns).tolist()) == list(range(103))
    assert {len(rows) for rows in turns} == {10, 11}


def test_installing_leaves_the_old_state_and_other_rows_alone() -> None:
    detector = Shesd(ASKED)
    state = detector.init(np, 3)
    before = [part.copy() for part in state]
    after = install(state, [2], [fit(days(10), ASKED)])
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(state, before, strict=True))
    assert after.period.tolist() == [0, 0, DAY]


def test_a_recording_is_judged_and_its_season_found() -> None:
    values = days(20)
    where = [700, 811, 902]
    values[where] += [9.0, -9.0, 9.0]
    said = run(values, ASKED)
    assert np.flatnonzero(said.alarm).tolist() == where
    assert said.periods[-1][1] == DAY
    assert np.isfinite(said.neg_log10_p[-1])


def test_the_future_of_a_recording_changes_nothing() -> None:
    values = days(8)
    values[300] += 30.0
    whole = run(values, ASKED)
    for n in (1, 256, 257, 330):
        part = run(values[:n], ASKED)
        assert np.array_equal(part.neg_log10_p, whole.neg_log10_p[:n], equal_nan=True)
        assert np.array_equal(part.alarm, whole.alarm[:n])


def test_a_recording_says_what_stepping_says() -> None:
    values = days(9)
    detector, state = Shesd(ASKED), Shesd(ASKED).init(np, 1)
    said = run(values, ASKED)
    refits = dict(said.periods)
    scores: list[float] = []
    alarms: list[bool] = []
    for tick, value in enumerate(values):
        if tick in refits:
            past, flags = values[:tick], np.array(alarms)
            state = install(state, [0], [fit(past, ASKED, flagged=flags)])
        state, one = detector.step(np, state, np.array([value]), True)
        scores.append(one.neg_log10_p[0])
        alarms.append(bool(one.alarm[0]))
    assert len(refits) > 2
    assert np.array_equal(scores, said.neg_log10_p, equal_nan=True)


def test_a_recordings_unit_does_not_matter() -> None:
    values = days(12)
    values[500] += 20.0
    ours, theirs = run(values, ASKED), run(values * 1e-3 + 2.0, ASKED)
    assert np.array_equal(ours.alarm, theirs.alarm)
    assert theirs.neg_log10_p == pytest.approx(ours.neg_log10_p, rel=1e-2, abs=1e-2, nan_ok=True)


def test_masked_and_missing_ticks_of_a_recording_are_no_teachers() -> None:
    values = days(20)
    values[300:360] += 40.0  # our own action
    learn = np.ones(len(values), dtype=bool)
    learn[300:360] = False
    values[600:650] = np.nan
    said = run(values, ASKED, learn=learn)
    assert np.isnan(said.neg_log10_p[600:650]).all()
    assert not said.alarm[600:].any()


@pytest.mark.parametrize("values", [[], [1.0], [np.nan] * 300, [2.0] * 700, [np.inf] * 10])
def test_a_recording_that_says_nothing_is_unknown(values: list[float]) -> None:
    said = run(values, ASKED)
    assert len(said.alarm) == len(values)
    assert np.isnan(said.neg_log10_p).all()
    assert not said.alarm.any()


def test_a_change_for_good_is_taken_over_when_it_is_the_majority() -> None:
    values = days(40)
    values[DAY * 10 :] += 60.0
    said = run(values, ASKED)
    assert said.alarm[DAY * 10 : DAY * 11].all()
    assert not said.alarm[-DAY:].any()


@pytest.mark.long
def test_a_healthy_season_alarms_as_seldom_as_promised() -> None:
    alarms = ticks = 0
    low = np.zeros(2)
    for seed in range(6):
        said = run(days(40, seed), ASKED)
        judged = said.neg_log10_p[DAY * 10 :]
        alarms, ticks = alarms + int(said.alarm[DAY * 10 :].sum()), ticks + len(judged)
        low += [(judged > 1.0).sum(), (judged > 2.0).sum()]
    assert alarms / ticks < 10.0 * ASKED.alpha / ASKED.horizon
    assert (low / ticks < [0.12, 0.015]).all()
