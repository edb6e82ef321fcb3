"""Many series at once are told what each would be told alone."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.detect import season, season_many, seasonal_upkeep
from homeostat.detect.seasonal_memory import Config, Seasons

ALPHA = 1e-4
KINDS = ["noise", "walk", "rounded", "rare", "wave", "weak wave", "saw", "constant", "steps"]


def series(kind: str, chance: np.random.Generator, n: int) -> Any:
    noise, place = chance.standard_normal(n), np.arange(n)
    wave = np.sin(place * 2.0 * np.pi / chance.uniform(4.0, 30.0))
    return {
        "noise": noise,
        "walk": np.cumsum(noise),
        "rounded": np.round(noise),
        "rare": np.where(chance.random(n) < 0.9, 0.0, noise),
        "wave": 5.0 * wave + noise,
        "weak wave": 0.3 * wave + noise,
        "saw": (place % 7) + 0.0,
        "constant": np.full(n, 3.0),
        "steps": noise + 10.0 * (place > n // 2),
    }[kind]


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(16, 300))
def test_evidence_is_that_of_each_series_alone_but_for_rounding(seed: int, n: int) -> None:
    chance = np.random.default_rng(seed)
    rows = np.array([series(kind, chance, n) for kind in KINDS])
    alone = [season.find_season(row, alpha=ALPHA) for row in rows]
    tested = np.array([season._searched(row, n // 2).neg_log10_p for row in rows[:7]])
    np.testing.assert_allclose(season_many._best(rows)[:7], np.maximum(tested, 0.0), rtol=1e-6)
    none = season_many.without(rows, alpha=ALPHA)
    assert all(not one.period for one, sure in zip(alone, none, strict=True) if sure)
    assert none[:7].tolist() == (tested <= 4.0).tolist()
    assert none[KINDS.index("constant")]


def test_a_gap_or_a_short_past_is_left_to_the_test_of_one_series() -> None:
    rows = np.random.default_rng(1).standard_normal((3, 100))
    rows[1, 50] = np.nan
    assert season_many.without(rows, alpha=ALPHA).tolist() == [True, False, True]
    assert season_many.without(rows[:, :10], alpha=ALPHA).all()


@pytest.mark.slow
@given(st.integers(0, 2**32 - 1), st.integers(1, 70), st.integers(1, 9))
def test_medians_are_those_of_numpy_to_the_last_bit(seed: int, count: int, rows: int) -> None:
    chance = np.random.default_rng(seed)
    sizes = np.abs(np.round(chance.standard_normal((rows, count)), chance.integers(0, 9)))
    assert season_many._medians(sizes).tobytes() == np.median(sizes, axis=1).tobytes()


def test_what_has_a_line_is_suspect_and_a_third_of_noise() -> None:
    chance = np.random.default_rng(2)
    waves = np.array([series("wave", chance, 128) for _ in range(50)])
    assert season_many.suspects(waves).all()
    assert 0.2 < season_many.suspects(chance.standard_normal((600, 500))).mean() < 0.5


@pytest.mark.slow
def test_seasons_are_found_at_the_same_tick_whether_many_are_asked_at_once_or_each_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More rows than stand side by side; every kind of row among them, some with gaps."""
    monkeypatch.setattr(season_many, "ROWS", 32)
    chance, rows, ticks = np.random.default_rng(3), 72, 200
    values = np.array([series(KINDS[row % 9], chance, ticks) for row in range(rows)]).T
    values[:, ::13] = np.where(chance.random((ticks, 1)) < 0.1, np.nan, values[:, ::13])
    together = _learnt(values)
    monkeypatch.setattr(seasonal_upkeep, "_worth_a_search", lambda memory, rows, alpha: rows)
    alone = _learnt(values)
    assert (together.period > 0.0).sum() > rows // 9
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one, other)


def _learnt(values: Any) -> Any:
    seasons = Seasons(Config(staggered=False))
    memory = seasons.init(np, values.shape[1])
    for row in values:
        memory = seasons.learn(np, memory, row, allowed=True, calm=True)
    return memory
