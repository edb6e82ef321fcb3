"""PCA across columns: broken relations, blame, gaps, constants, and what it does not learn."""

from typing import Any

import numpy as np
import pytest

from homeostat.detect import across_calibrate, pca_past
from homeostat.detect.across import AcrossState
from homeostat.detect.pca import Config, Pca, PcaOutput, PcaState
from homeostat.detect.pca_model import Model
from homeostat.stats.arrays import from_bytes, to_bytes
from homeostat.stats.conformal import Table
from homeostat.stats.covariance import Moments
from homeostat.stats.reservoir import Reservoir

CLASSES = [PcaState, pca_past.PastState, AcrossState, Model, Moments, Reservoir, Table]
CLASSES += [across_calibrate.CalibratorState]
PCA = Pca()
HEALTHY, COLUMNS = 700, 8


def entities(ticks: int = HEALTHY, count: int = 1, *, seed: int = 1) -> Any:
    """Return entities whose columns one slow factor moves, each with noise of its own."""
    rng = np.random.default_rng(seed)
    factor = np.zeros((ticks, count, 1))
    for tick in range(1, ticks):
        factor[tick] = 0.9 * factor[tick - 1] + 0.44 * rng.standard_normal((count, 1))
    loads = np.array([1.0, -1.0, 2.0, 0.5, 1.0, -2.0, 1.0, 1.0])
    own = 0.1 * rng.standard_normal((ticks, count, COLUMNS))
    return 50.0 + (factor * loads + own) * np.array([1.0, 1e-3, 1e6, 1.0, 1.0, 1.0, 10.0, 1.0])


def played(
    values: Any, state: PcaState | None = None, *, learn: Any = True
) -> tuple[PcaState, list[PcaOutput]]:
    state = PCA.init(values.shape[2], entities=values.shape[1]) if state is None else state
    out = []
    for row in values:
        state, said = PCA.step(state, row, learn)
        out.append(said)
    return state, out


def claims(said: list[PcaOutput]) -> Any:
    return np.array([one.entity.neg_log10_p for one in said])


@pytest.fixture(scope="module")
def learnt() -> PcaState:
    """An entity that was healthy all its life."""
    return played(entities())[0]


def test_columns_that_part_are_found_though_each_looks_as_always(learnt: PcaState) -> None:
    values = entities(40, seed=2)
    values[10:, 0, 4] = 100.0 - values[10:, 0, 4]  # mirrored at its level
    _, said = played(values, learnt)
    assert np.nanmax(claims(said)[10:]) > 2.5
    assert np.argmax(said[-1].entity.contributions[0]) == 4
    # Q says so, T^2 does not: it is the relation that broke.
    beyond = np.array([one.beyond[0] for one in said[10:]]).max(axis=0)
    assert beyond[0] > 3.0 > beyond[1]


def test_the_column_at_fault_is_blamed_and_not_its_neighbours(learnt: PcaState) -> None:
    """Residuals smear a fault over the columns that go with it; reconstruction does not."""
    for column, size in ((0, 2.0), (2, 4e6), (6, 20.0), (7, 2.0)):
        values = entities(12, seed=3)
        values[:, 0, column] += size
        _, said = played(values, learnt)
        shares = said[-1].entity.contributions[0]
        assert shares.sum() == pytest.approx(1.0)
        assert (shares >= 0.0).all()
        assert np.argmax(shares) == column
        assert shares[column] > 0.4


def test_a_load_that_is_beyond_all_seen_is_found_though_columns_go_together(
    learnt: PcaState,
) -> None:
    loads = np.array([1.0, -1.0, 2.0, 0.5, 1.0, -2.0, 1.0, 1.0])
    surge = 12.0 * loads * np.array([1.0, 1e-3, 1e6, 1.0, 1.0, 1.0, 10.0, 1.0])
    _, said = played(entities(15, seed=4) + surge, learnt)
    assert claims(said)[-1, 0] > 3.0
    assert said[-1].beyond[0, 1] > 3.0


def test_scale_and_level_of_a_column_do_not_matter() -> None:
    values = entities(400, 2, seed=5)
    values[300:, :, 3] += 3.0
    other = values * np.array([2.0**7, 2.0**-9, 1.0, 4.0, 0.5, 2.0, 1.0, 8.0]) + 1.0
    _, ours = played(values)
    _, theirs = played(other)
    for one, two in zip(ours, theirs, strict=True):
        same = np.isclose(one.entity.neg_log10_p, two.entity.neg_log10_p, atol=0.01, equal_nan=True)
        assert same.all()


@pytest.mark.slow
def test_a_prefix_is_judged_as_the_whole_and_entities_apart_as_together() -> None:
    values = entities(200, 3, seed=6)
    values[:90, 1] = np.nan  # one that came later
    _, whole = played(values)
    _, prefix = played(values[:150])
    assert claims(whole)[:150].tobytes() == claims(prefix).tobytes()
    for entity in range(3):
        _, alone = played(values[:, entity : entity + 1])
        assert np.allclose(claims(whole)[:, entity], claims(alone)[:, 0], equal_nan=True)


def test_a_missing_column_is_left_out_and_the_rest_is_judged(learnt: PcaState) -> None:
    values = entities(60, seed=7)
    _, whole = played(values, learnt)
    values[:, 0, 2] = np.nan
    _, gaps = played(values, learnt)
    assert np.isfinite(claims(gaps)).all()
    assert np.isnan(gaps[-1].deviations[0, 2])
    assert gaps[-1].entity.contributions[0, 2] < 0.05
    # Nothing is added by what is not there, and what the others say changes little.
    assert claims(gaps).max() < claims(whole).max() + 0.5
    assert np.median([one.q[0] for one in gaps]) <= np.median([one.q[0] for one in whole])
    values[30:, 0, 4] = 100.0 - values[30:, 0, 4] + 3.0
    assert np.nanmax(claims(played(values, learnt)[1])[30:]) > 3.0


def test_columns_that_come_and_go_do_not_alarm() -> None:
    rng = np.random.default_rng(8)
    values = entities(500, 4, seed=8)
    values[:, :, :3][rng.random((500, 4, 3)) < 0.3] = np.nan
    _, said = played(values)
    assert np.mean([one.entity.alarm for one in said[200:]]) < 0.002


def test_a_column_that_appears_is_taken_in_and_one_that_vanished_is_not_missed() -> None:
    values = entities(700, seed=18)
    values[:200, 0, 3], values[400:, 0, 6] = np.nan, np.nan
    state, said = played(values)
    assert np.isnan(said[199].deviations[0, 3])
    assert np.isfinite(said[-1].deviations[0, 3])
    assert state.past.model.moves[0, 3]
    assert not any(one.entity.alarm[0] for one in said)


def test_without_half_of_its_columns_components_say_nothing(learnt: PcaState) -> None:
    values = entities(1, seed=9)
    values[0, 0, :5] = np.nan
    _, said = played(values, learnt)
    assert np.isnan(said[0].q).all()
    assert np.isnan(said[0].t2).all()
    assert np.isnan(said[0].beyond).all()
    assert np.isfinite(said[0].entity.neg_log10_p).all()
    values[:] = np.nan
    _, said = played(values, learnt)
    assert np.isnan(said[0].entity.neg_log10_p).all()
    assert not said[0].entity.alarm.any()


def test_a_constant_column_that_moves_is_news_but_not_everything() -> None:
    values = entities(450, seed=10)
    values[:, 0, 7] = 3.0
    state, _ = played(values)
    calm = entities(30, seed=11)
    calm[:, 0, 7] = 3.0
    moved = calm.copy()
    moved[:, 0, 7] = 3.001
    before, after = claims(played(calm, state)[1]), claims(played(moved, state)[1])
    assert after.max() > before.max()
    assert played(moved, state)[1][-1].deviations[0, 7] == 3.0


def test_rows_that_never_vary_are_judged_and_healthy() -> None:
    _, said = played(np.full((200, 1, COLUMNS), 5.0))
    assert claims(said)[-1, 0] < 1.0
    assert np.isnan(said[-1].q).all()


def test_infinities_and_huge_values_are_answered(learnt: PcaState) -> None:
    values = entities(3, seed=12)
    values[0, 0, 0], values[1, 0, 1], values[2, 0, 2] = np.inf, 1e300, -1e300
    state, said = played(values, learnt)
    assert np.isnan(said[0].deviations[0, 0])
    assert np.isfinite(claims(said)).all()
    assert np.isfinite(state.past.model.precision).all()


def test_a_fault_teaches_nothing_and_neither_does_what_came_just_before(learnt: PcaState) -> None:
    fault = entities(100, seed=13)
    fault[:, 0, [0, 3]] += 10.0
    state, said = played(fault, learnt)
    assert claims(said)[5:].min() > 3.0
    assert state.past.rows.offered[0] - learnt.past.rows.offered[0] <= 2 * pca_past.BLOCK
    assert np.nanmax(np.abs(state.past.rows.rows[:, 0, 3])) < 5.0


def test_nothing_is_learnt_where_nothing_may_be() -> None:
    may = np.ones((2, COLUMNS), dtype=bool)
    may[0], may[1, 5] = False, False
    state, said = played(entities(200, 2), learn=may)
    assert state.past.rows.offered.tolist()[0] == 0
    assert np.isnan(state.past.rows.rows[:, 1, 5]).all()
    assert np.isfinite(state.past.rows.rows[:100, 1, 4]).all()
    assert np.isnan(said[-1].deviations).all(axis=1).tolist() == [True, False]


def test_a_stored_state_goes_on_bit_for_bit() -> None:
    values = entities(400, 2, seed=14)
    state, _ = played(values[:300])
    stored = from_bytes(to_bytes(state), CLASSES)
    state, ours = played(values[300:], state)
    stored, theirs = played(values[300:], stored)
    assert claims(ours).tobytes() == claims(theirs).tobytes()
    assert to_bytes(state) == to_bytes(stored)


def test_a_step_leaves_the_state_it_was_given_as_it_was(learnt: PcaState) -> None:
    before = to_bytes(learnt)
    played(entities(40, seed=15), learnt)
    assert to_bytes(learnt) == before


def test_an_entity_restarts_alone() -> None:
    values = entities(300, 2, seed=16)
    state, _ = played(values)
    fresh = PCA.restart(state, np.array([True, False]))
    again, said = played(values[:150], fresh)
    assert np.isnan(claims(said)[0]).tolist() == [True, False]
    assert np.isfinite(claims(said)[-1]).all()
    assert again.past.rows.offered[0] < 150


@pytest.mark.slow
def test_healthy_entities_seldom_alarm_under_heavy_tails() -> None:
    rng = np.random.default_rng(17)
    values = entities(2000, 6, seed=17) + rng.standard_t(3, (2000, 6, COLUMNS)) * np.array([
        1.0,
        1e-3,
        1e6,
        1.0,
        1.0,
        1.0,
        10.0,
        1.0,
    ])
    _, said = played(values)
    alarms = np.array([one.entity.alarm for one in said])
    print(f"alarms in {alarms[300:].mean():.2%} of the ticks")
    assert alarms[300:].mean() < 0.001


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Config(columns=-1.0), "weights"),
        (lambda: Config(columns=0.0, prediction_error=0.0, hotelling=0.0), "weights"),
        (lambda: pca_past.Config(first=8), "first"),
        (lambda: pca_past.Config(refit=1), "refit"),
        (lambda: pca_past.Config(explained=0.0), "explained"),
        (lambda: PCA.init(0), "column"),
    ],
)
def test_what_cannot_work_is_refused(make: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        make()


def test_before_its_first_model_an_entity_is_not_scored_and_another_as_if_alone() -> None:
    """Nobody has a model, then one of two: each beside one that is silent for ever is the same."""
    pca, alone = Pca(), Pca()
    chance = np.random.default_rng(8)
    state = pca.init(6, entities=2)
    single = [alone.init(6, entities=2), alone.init(6, entities=2)]
    scored = 0
    for tick in range(200):
        values = chance.standard_normal((2, 6)) @ np.triu(np.ones((6, 6)))
        if tick < 60:
            values[1] = np.nan
        state, said = pca.step(state, values, True)
        for place in range(2):
            silent = np.where(np.arange(2)[:, None] == place, values, np.nan)
            single[place], own = alone.step(single[place], silent, True)
            for ours, theirs in zip(
                (*said.entity, *said[1:]), (*own.entity, *own[1:]), strict=True
            ):
                assert np.array_equal(ours[place], theirs[place], equal_nan=True)
        scored += int(np.isfinite(said.q).sum() == 1)
    assert scored > 10
