import numpy as np
import pytest
from forecast_play import Played, covered, play

from homeostat.detect import demand
from homeostat.detect.forecast_quantiles import Config

HORIZONS = (4, 12, 40)
SERIES = 12
NO_LIMIT = np.full(SERIES, np.nan)


def noise(ticks: int, phi: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed).standard_normal((ticks, SERIES))
    out = np.zeros((ticks, SERIES))
    for tick in range(1, ticks):
        out[tick] = phi * out[tick - 1] + rng[tick]
    return out


FAMILIES = {
    "independent": noise(1200, 0.0),
    "wandering": noise(1200, 0.95),
    "random walk": noise(1200, 1.0),
    "heavy tails": np.random.default_rng(1).standard_t(3, (1200, SERIES)),
    "ramp": noise(1200, 0.5) + 0.1 * np.arange(1200.0)[:, None],
    "bursts": noise(1200, 0.5) * np.where(np.arange(1200) % 200 < 60, 4.0, 1.0)[:, None],
    "levels that jump": noise(1200, 0.5) + 10.0 * (np.arange(1200) // 225 % 2)[:, None],
    "an unknown season": noise(1200, 0.5) + 5.0 * np.sin(np.arange(1200) / 15.0)[:, None],
}


@pytest.fixture(scope="module")
def played() -> Played:
    """All families side by side: a row knows nothing of its neighbours."""
    values = np.concatenate(list(FAMILIES.values()), axis=1)
    return play(values, np.full(values.shape[1], np.nan), HORIZONS)


def of(played: Played, family: str) -> Played:
    first = SERIES * list(FAMILIES).index(family)
    rows = slice(first, first + SERIES)
    return played._replace(points=played.points[..., rows], quantiles=played.quantiles[..., rows])


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_ninety_per_cent_intervals_hold_about_ninety_per_cent(family: str, played: Played) -> None:
    shares = covered(of(played, family), FAMILIES[family], HORIZONS, skip=300)
    assert all(0.85 <= share <= 0.95 for share in shares), shares


def test_quantiles_ascend_and_are_unknown_without_history() -> None:
    said = play(noise(210, 0.9), NO_LIMIT, HORIZONS).quantiles
    assert np.isnan(said[:20]).all()
    assert (np.diff(said[180:], axis=2) >= 0.0).all()


def test_a_constant_series_is_forecast_to_stay() -> None:
    said = play(np.full((180, SERIES), 7.0), NO_LIMIT, HORIZONS).quantiles[-1]
    np.testing.assert_allclose(said, 7.0, rtol=1e-4)


@pytest.mark.slow
def test_a_season_that_is_known_is_used() -> None:
    ticks = np.arange(700)
    wave = 5.0 * np.sin(2 * np.pi * ticks / 100.0)
    values = wave[:, None] + 0.3 * noise(700, 0.5)
    ahead = np.array([[5.0 * np.sin(2 * np.pi * (t + h) / 100.0) for h in HORIZONS] for t in ticks])

    def season(tick: int) -> demand.Season:
        at = np.repeat(ahead[tick][:, None], SERIES, axis=1)
        return demand.Season(now=np.full(SERIES, wave[tick]), at=at, peak=at)

    blind = play(values, NO_LIMIT, HORIZONS)
    seeing = play(values, NO_LIMIT, HORIZONS, season=season)
    for head, horizon in enumerate(HORIZONS):
        then = values[400 + horizon :]
        off = [
            np.abs(played.points[400:-horizon, head] - then).mean() for played in (seeing, blind)
        ]
        assert off[0] < (0.7 if horizon > 4 else 0.95) * off[1]


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_the_mix_is_not_worse_than_the_last_value(family: str, played: Played) -> None:
    values, said = FAMILIES[family], of(played, family).points
    for head, horizon in enumerate(HORIZONS):
        then, last = values[250 + horizon :], values[250:-horizon]
        off, base = (np.abs(one - then).mean() for one in (said[250:-horizon, head], last))
        assert off <= 1.05 * base, (horizon, off, base)


@pytest.mark.parametrize("wrong", [(0.5,), (0.1, 0.4), (0.9, 0.1), (0.0, 0.9)])
def test_levels_that_are_no_quantiles_are_refused(wrong: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="levels must"):
        Config(levels=wrong)
