import numpy as np
import pytest
from forecast_play import brier, passed, play

from homeostat.detect import breach, demand
from homeostat.stats.arrays import from_bytes, to_bytes
from homeostat.stats.conformal import Table

HORIZONS = (4, 12, 40)


def wandering(ticks: int, series: int, phi: float = 0.9, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((ticks, series))
    out = np.zeros((ticks, series))
    for tick in range(1, ticks):
        out[tick] = phi * out[tick - 1] + noise[tick]
    return out


def test_without_history_the_probability_is_unknown_and_not_low() -> None:
    values = wandering(30, 2)
    played = play(values, np.full(2, 4.0), HORIZONS)
    assert np.isnan(played.chance[:20]).all()


@pytest.mark.slow
def test_it_beats_persistence_and_the_base_rate_on_a_wandering_series() -> None:
    values, limit = wandering(700, 24), np.full(24, 4.0)
    played = play(values, limit, HORIZONS)
    for head, horizon in enumerate(HORIZONS[:2]):
        came = passed(values, limit, horizon)[300:]
        said = played.chance[300 : 300 + len(came), head]
        still = (values[300 : 300 + len(came)] > limit).astype(float)
        assert brier(said, came) < 0.95 * brier(still, came)
        assert brier(said, came) < 0.95 * came.mean() * (1.0 - came.mean())


@pytest.mark.long
def test_what_is_said_happens_about_so_often() -> None:
    values, limit = wandering(900, 24, seed=1), np.full(24, 3.0)
    played = play(values, limit, HORIZONS)
    for head, horizon in enumerate(HORIZONS[:2]):  # the longest has had 7 to 22 windows to learn
        came = passed(values, limit, horizon)[300:]
        said = played.chance[300 : 300 + len(came), head]
        for low, high in ((0.0, 0.2), (0.2, 0.5), (0.5, 1.0)):
            mine = (said > low) & (said <= high)
            assert said[mine].mean() == pytest.approx(came[mine].mean(), abs=0.1)


def test_a_longer_look_is_never_less_probable() -> None:
    played = play(wandering(200, 8), np.full(8, 3.0), HORIZONS)
    known = played.chance[np.isfinite(played.chance).all(axis=(1, 2))]
    assert len(known)
    assert (np.diff(known, axis=1) >= 0.0).all()


@pytest.mark.slow
def test_a_higher_limit_is_never_more_probable() -> None:
    values = np.repeat(wandering(300, 1), 5, axis=1)
    said = play(values, np.array([1.0, 2.0, 4.0, 8.0, 100.0]), HORIZONS).chance[180]
    assert (np.diff(said[:, 2:], axis=1) <= 0.0).all()
    assert (said[:, -1] < 0.05).all()


def test_a_limit_that_does_not_exist_is_unknown() -> None:
    played = play(wandering(180, 2), np.array([3.0, np.nan]), HORIZONS)
    assert np.isfinite(played.chance[-1, :, 0]).all()
    assert np.isnan(played.chance[:, :, 1]).all()


@pytest.mark.slow
def test_what_was_caused_by_an_action_teaches_nothing() -> None:
    """Every jump here is ours: seen under HOLD this series never moves."""
    values = np.random.default_rng(2).normal(0.0, 0.01, (400, 1))
    jumps = np.zeros(400, dtype=bool)
    jumps[50::50] = True
    values[jumps] += 10.0
    limit = np.array([5.0])
    ours = play(values, limit, (4, 12), held=lambda tick: ~jumps[tick : tick + 1])
    blamed = play(values, limit, (4, 12))
    assert ours.chance[390, -1, 0] < 0.05 < blamed.chance[390, -1, 0]


def test_a_gap_is_unknown_and_does_not_become_history() -> None:
    values = wandering(200, 1)
    values[150:160] = np.nan
    played = play(values, np.array([3.0]), HORIZONS)
    assert np.isnan(played.chance[150:160]).all()
    assert np.isfinite(played.chance[161]).all()
    assert np.isfinite(played.points[150:160, 2]).all()
    assert np.isnan(played.points[154:160, 0]).all()


@pytest.mark.slow
def test_the_scores_of_a_beginning_are_those_of_the_whole() -> None:
    values = wandering(160, 3)
    whole = play(values, np.full(3, 3.0), HORIZONS)
    part = play(values[:120], np.full(3, 3.0), HORIZONS)
    np.testing.assert_array_equal(whole.chance[:120], part.chance)
    np.testing.assert_array_equal(whole.quantiles[:120], part.quantiles)


@pytest.mark.slow
def test_unit_and_origin_do_not_matter() -> None:
    values = wandering(200, 2)
    plain = play(values, np.full(2, 3.0), HORIZONS)
    other = play(1000.0 * values + 5000.0, np.full(2, 8000.0), HORIZONS)
    np.testing.assert_allclose(plain.chance, other.chance, atol=0.02)


@pytest.mark.slow
def test_a_stored_state_goes_on_where_it_stopped() -> None:
    values, limit = wandering(180, 3), np.full(3, 3.0)
    part = breach.Breach(breach.Config(horizons=HORIZONS))
    point = demand.Demand(demand.Config(horizons=HORIZONS))
    first, second = point.init(np, 3), part.init(np, 3)
    stored, said = second, []
    for tick in range(180):
        first, points = point.step(np, first, values[tick], point.no_season(np, 3))
        second, chance = part.step(np, second, values[tick], limit, points, held=True)
        if tick >= 90:
            classes = (breach.BreachState, Table)
            stored = from_bytes(to_bytes(stored), classes)
            stored, again = part.step(np, stored, values[tick], limit, points, held=True)
            np.testing.assert_array_equal(chance, again)
        else:
            stored = second
        said.append(chance)
    assert np.isfinite(said[-1]).all()


@pytest.mark.slow
def test_a_ramp_towards_a_limit_that_was_never_reached_is_foretold() -> None:
    """A tenth of a deviation a tick: seen a horizon before the breach, and not before it begins."""
    values, limit = wandering(640, 16, phi=0.6), np.full(16, 12.0)
    values[500:] += 0.12 * np.arange(140.0)[:, None]
    chance = play(values, limit, HORIZONS).chance[:, -1]
    assert (chance[250:500] < 0.5).all()
    breach_at = (values > limit).argmax(axis=0)
    warned_at = 500 + (chance[500:] > 0.5).argmax(axis=0)
    assert np.median(breach_at - warned_at) >= 20
    assert (breach_at - warned_at >= 0).mean() > 0.8


@pytest.mark.slow
def test_a_change_of_the_limit_forgets_what_was_said_of_the_old_one() -> None:
    part = breach.Breach(breach.Config(horizons=HORIZONS))
    point = demand.Demand(demand.Config(horizons=HORIZONS))
    values = wandering(200, 1)
    first, second, chance = point.init(np, 1), part.init(np, 1), np.ones(1)
    for tick in range(200):
        first, points = point.step(np, first, values[tick], point.no_season(np, 1))
        limit = np.array([-9.0 if tick < 190 else 50.0])
        second, chance = part.step(np, second, values[tick], limit, points, held=True)
    assert (chance < 0.1).all()
    assert (second.came[:, :, 1] == 0.0).all()


@pytest.mark.parametrize("wrong", [(), (0, 4), (4, 4), (9, 3)])
def test_horizons_that_do_not_ascend_are_refused(wrong: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="horizons must ascend"):
        breach.Config(horizons=wrong)
