import numpy as np
import pytest
from forecast_play import play

from homeostat.detect import breach, demand, forecast_quantiles
from homeostat.detect.demand_outlook import Ahead, Config, Outlook, OutlookState, season_of
from homeostat.detect.demand_pending import PLACES, Pending
from homeostat.detect.demand_trend import line
from homeostat.stats.arrays import from_bytes, to_bytes
from homeostat.stats.conformal import Table

HORIZONS = (2, 6, 16)
CLASSES = (
    OutlookState,
    demand.DemandState,
    forecast_quantiles.QuantileState,
    breach.BreachState,
    Table,
)


def steps(ticks: int, series: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((ticks, series))
    return np.asarray(np.cumsum(0.3 * noise, axis=0) * 0.5 + noise)


def test_a_forecast_is_taken_out_exactly_a_horizon_after_it_was_put_down() -> None:
    pending = Pending((1, 7, 40))
    kept = np.full((3, PLACES, 1), np.nan)
    judged: list[list[int]] = [[], [], []]
    for tick in range(200):
        due, place = pending.due(np, np.asarray(tick))
        then = pending.taken(np, kept, place)[:, 0]
        for head in np.flatnonzero(due):
            judged[head].append(tick - int(then[head]))
        kept = pending.put(np, kept, np.full((3, 1), float(tick)), np.asarray(tick))
    assert [sorted(set(one)) for one in judged] == [[1], [7], [40]]
    assert [len(one) for one in judged] == [199, 193, 32]


@pytest.mark.slow
def test_a_row_knows_nothing_of_its_neighbours() -> None:
    values, limit = steps(90, 4), np.array([1.0, 2.0, np.nan, 4.0])
    values[30:50, 1] = np.nan
    together = play(values, limit, HORIZONS)
    for row in range(4):
        alone = play(values[:, [row]], limit[[row]], HORIZONS)
        np.testing.assert_allclose(together.chance[..., [row]], alone.chance, rtol=1e-12)
        np.testing.assert_allclose(together.quantiles[..., [row]], alone.quantiles, rtol=1e-12)


@pytest.mark.slow
def test_a_whole_state_comes_back_from_bytes_and_goes_on_bit_for_bit() -> None:
    values, limit, outlook = steps(120, 3), np.full(3, 2.0), Outlook(Config(horizons=HORIZONS))
    state = outlook.init(np, 3)
    for row in values[:80]:
        state, _ = outlook.step(np, state, row, np.ones(3, dtype=bool), limit)
    read = from_bytes(to_bytes(state), CLASSES)
    assert to_bytes(read) == to_bytes(state)
    said = []
    for row in values[80:]:
        state, first = outlook.step(np, state, row, np.ones(3, dtype=bool), limit)
        read, second = outlook.step(np, read, row, np.ones(3, dtype=bool), limit)
        for a, b in zip(first, second, strict=True):
            np.testing.assert_array_equal(a, b)
        said.append(first.chance)
    assert np.isfinite(said[-1]).all()


def test_a_state_grows_with_series_only_and_has_them_last() -> None:
    outlook = Outlook(Config())
    few, many = (_leaves(outlook.init(np, series)) for series in (7, 11))
    for a, b in zip(few, many, strict=True):
        assert a.shape == b.shape or (a.shape[-1], b.shape[-1]) == (7, 11)
    assert sum(leaf.nbytes for leaf in many) - sum(leaf.nbytes for leaf in few) <= 4 * 8 * 1024


def _leaves(state: object) -> list[np.ndarray]:
    if isinstance(state, tuple):
        return [leaf for part in state for leaf in _leaves(part)]
    return [np.asarray(state)]


@pytest.mark.long
def test_numpy_and_jax_agree() -> None:
    jax = pytest.importorskip("jax")
    jnp, outlook = jax.numpy, Outlook(Config(horizons=HORIZONS))
    values, limit = steps(110, 8), np.full(8, 2.0)
    values[60:64, 0] = np.nan
    ours = play(values, limit, HORIZONS)
    state, chance, quantiles = outlook.init(jnp, 8), [], []

    def step(state: OutlookState, row: object) -> tuple[OutlookState, Ahead]:
        return outlook.step(jnp, state, row, jnp.ones(8, dtype=bool), jnp.asarray(limit))

    compiled = jax.jit(step)
    for row in values:
        state, ahead = compiled(state, row)
        chance.append(np.asarray(ahead.chance))
        quantiles.append(np.asarray(ahead.quantiles))
    np.testing.assert_allclose(ours.chance, np.array(chance), atol=0.02)
    np.testing.assert_allclose(ours.quantiles, np.array(quantiles), atol=0.05, rtol=0.02)


def test_nothing_at_all_is_unknown_for_ever() -> None:
    played = play(np.full((80, 2), np.nan), np.zeros(2), HORIZONS)
    assert np.isnan(played.points).all()
    assert np.isnan(played.quantiles).all()
    assert np.isnan(played.chance).all()


@pytest.mark.slow
@pytest.mark.parametrize("wild", [np.inf, -np.inf, 1e300, -1e300])
def test_absurd_values_do_not_spoil_what_comes_after(wild: float) -> None:
    values = steps(260, 1)
    values[100] = wild
    played = play(values, np.array([3.0]), HORIZONS)
    assert np.isfinite(played.chance[240:]).all()
    assert (np.abs(played.quantiles[240:]) < 100.0).all()


def test_a_level_that_jumped_is_where_the_forecast_is_after_a_horizon() -> None:
    values = np.random.default_rng(1).normal(0.0, 0.1, (300, 1))
    values[200:] += 50.0
    played = play(values, np.array([np.nan]), HORIZONS)
    np.testing.assert_allclose(played.points[240:, :2], 50.0, atol=2.0)


def test_a_line_is_straight_and_noise_is_not() -> None:
    ticks, memory = np.arange(PLACES), 0.8
    rng = np.random.default_rng(4)
    noise = rng.standard_normal((1, PLACES, 2000))
    kept = noise.copy()
    kept[..., :1000] += 3.0 * ticks[None, :, None]
    today = rng.standard_normal(2000) + np.where(np.arange(2000) < 1000, 24.0, 0.0)
    found = line(np, kept, today, np.asarray(8 * 30), (30,), memory)
    assert found.straight[0, :1000].mean() > 0.95
    assert found.straight[0, 1000:].mean() < 0.01
    assert found.slope[0, :1000].mean() == pytest.approx(0.1, rel=0.02)


def test_a_season_is_asked_for_its_highest_value_on_the_way() -> None:
    def wave(ahead: int) -> np.ndarray:
        return np.array([10.0 if ahead == 3 else float(ahead)] * 2)

    season = season_of(np, wave, np.array([True, False]), (2, 6))
    np.testing.assert_array_equal(season.at[:, 0], [2.0, 6.0])
    np.testing.assert_array_equal(season.peak[:, 0], [2.0, 10.0])
    assert season.now[0] == 0.0
    assert np.isnan(season.at[:, 1]).all()
    assert np.isnan(season.peak[:, 1]).all()
    assert np.isnan(season.now[1])
