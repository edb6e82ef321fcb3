"""Across columns: the worst few, over some ticks, ranked in the entity's own past."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from homeostat.detect import across_calibrate
from homeostat.detect.across import Across, AcrossState, Config, EntityOutput, worst
from homeostat.stats import reservoir
from homeostat.stats.arrays import from_bytes, to_bytes
from homeostat.stats.conformal import Table

CLASSES = [AcrossState, across_calibrate.CalibratorState, Table]
SMALL = across_calibrate.Config(past=reservoir.Config(size=64, memory=256))
ACROSS = Across(Config(calibrate=SMALL))


def chance(ticks: int, entities: int = 1, columns: int = 6, *, seed: int = 1) -> Any:
    """Return -log10 of p-values as a healthy detector gives them."""
    return -np.log10(np.random.default_rng(seed).random((ticks, entities, columns)))


def played(
    values: Any, state: AcrossState | None = None, *, learn: Any = True, across: Across = ACROSS
) -> tuple[AcrossState, list[EntityOutput]]:
    state = across.init(values.shape[2], entities=values.shape[1]) if state is None else state
    out = []
    for row in values:
        state, said = across.step(state, row, learn)
        out.append(said)
    return state, out


@given(arrays(float, (2, 7), elements=st.floats(0.0, 300.0)), st.integers(1, 9))
def test_the_worst_are_the_mean_of_the_largest(values: Any, most: int) -> None:
    count = min(most, 7)
    wanted = -np.sort(-values, axis=1)[:, :count].mean(axis=1)
    parts = worst(values, most)
    assert np.allclose(parts.sum(axis=1), wanted)
    assert (parts >= 0.0).all()


def test_of_few_columns_fewer_count() -> None:
    scores = np.zeros((1, 8))
    scores[0, 2] = 6.0
    assert ACROSS.few(scores).sum() == 3.0
    assert Across(Config(most=1)).few(scores).sum() == 6.0


def test_equally_bad_columns_share_the_blame_and_unknown_ones_have_none() -> None:
    assert worst(np.array([[3.0, 3.0, 3.0, 1.0]]), 2).tolist() == [[1.0, 1.0, 1.0, 0.0]]
    assert worst(np.array([[np.nan, 2.0]]), 2).tolist() == [[0.0, 1.0]]
    assert np.isnan(worst(np.array([[np.nan, np.nan]]), 2)).all()


def test_what_is_said_is_how_rare_it_was_in_the_entity_s_own_past() -> None:
    state, _ = played(chance(800, 30))
    _, said = played(chance(200, 30, seed=2), state)
    claimed = np.array([one.neg_log10_p for one in said])
    for level in (0.1, 0.02):
        assert np.mean(10.0**-claimed <= level) < 2.0 * level


def test_columns_that_always_move_together_claim_no_more_than_one() -> None:
    """Twenty columns with one p-value among them are not twenty witnesses."""
    rng = np.random.default_rng(3)
    values = np.repeat(-np.log10(rng.random((1000, 20, 1))), 20, axis=2)
    _, said = played(values)
    claimed = np.array([one.neg_log10_p for one in said[300:]])
    assert np.mean(10.0**-claimed <= 0.02) < 0.04


def test_a_fault_in_three_columns_is_found_and_they_are_blamed() -> None:
    values = chance(330)
    values[300:, 0, [1, 3, 4]] += 5.0
    _, said = played(values)
    assert not any(one.alarm.any() for one in said[:300])
    assert said[300].neg_log10_p[0] > 2.0
    assert np.max([one.neg_log10_p for one in said[300:]]) > 3.0
    shares = said[-1].contributions[0]
    assert shares[[1, 3, 4]].sum() > 0.9
    assert shares.sum() == pytest.approx(1.0)


def test_some_unrest_that_stays_becomes_more_evidence_than_one_tick_of_it() -> None:
    state, _ = played(chance(400))
    once, lasting = chance(20, seed=4), chance(20, seed=4)
    once[5, 0, :2] += 1.5
    lasting[5:, 0, :2] += 1.5
    peak = [np.nanmax([one.neg_log10_p for one in played(v, state)[1]]) for v in (once, lasting)]
    assert peak[1] > peak[0] + 0.3


def test_a_fault_does_not_teach_what_it_is_compared_with() -> None:
    state, _ = played(chance(400))
    fault = chance(200, seed=5)
    fault[:, 0, :3] += 8.0
    after, said = played(fault, state)
    assert min(one.neg_log10_p[0] for one in said[5:]) > 3.0
    # The first tick of it may let in what had waited since before.
    assert after.calibrator.offered[0] <= state.calibrator.offered[0] + 2
    assert after.calibrator.table.scores.max() < 3.0 < after.blame.sum()


def test_what_stays_for_ever_is_learnt_in_the_end() -> None:
    patient = across_calibrate.Config(past=SMALL.past, patience=100)
    across = Across(Config(calibrate=patient))
    state, _ = played(chance(400), across=across)
    new = chance(1200, seed=6)
    new[:, 0, :3] += 8.0
    _, said = played(new, state, across=across)
    assert said[50].neg_log10_p[0] > 3.0
    assert np.median([one.neg_log10_p[0] for one in said[-200:]]) < 1.0


def test_nothing_is_learnt_where_nothing_may_be() -> None:
    state, said = played(chance(100, 2), learn=np.array([True, False]))
    assert state.calibrator.offered.tolist()[1] == 0
    assert np.isfinite(said[-1].neg_log10_p).tolist() == [True, False]
    assert not said[-1].alarm[1]


def test_an_entity_of_which_nothing_is_known_is_unknown_and_its_neighbour_is_judged() -> None:
    state, _ = played(chance(100, 2))
    row = chance(1, 2, seed=7)[0]
    row[0] = np.nan
    _, said = ACROSS.step(state, row, True)
    assert np.isnan(said.neg_log10_p).tolist() == [True, False]
    assert np.isnan(said.contributions[0]).all()
    assert said.contributions[1].sum() == pytest.approx(1.0)


def test_a_stored_state_goes_on_bit_for_bit_and_an_entity_restarts_alone() -> None:
    state, _ = played(chance(120, 2))
    stored = from_bytes(to_bytes(state), CLASSES)
    state, ours = played(chance(50, 2, seed=8), state)
    stored, theirs = played(chance(50, 2, seed=8), stored)
    assert to_bytes(state) == to_bytes(stored)
    assert ours[-1].neg_log10_p.tobytes() == theirs[-1].neg_log10_p.tobytes()
    fresh = ACROSS.restart(state, np.array([True, False]))
    assert fresh.calibrator.offered.tolist() == [0, state.calibrator.offered[1]]
    assert np.isnan(fresh.blame[0]).all()
    _, said = ACROSS.step(fresh, chance(1, 2)[0], True)
    assert np.isnan(said.neg_log10_p).tolist() == [True, False]


@pytest.mark.parametrize("wrong", [{"most": 0}, {"smoothing": 0.0}, {"alarm": np.nan}])
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Config(**wrong)


@pytest.mark.parametrize("wrong", [{"doubt": 0.0}, {"delay": 0}, {"patience": 0}])
def test_a_calibration_that_cannot_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        across_calibrate.Config(**wrong)
