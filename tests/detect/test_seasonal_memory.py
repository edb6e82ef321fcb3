"""The memory of seasons: a history that never runs out, and which periods it finds in it."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.detect import seasonal_memory
from homeostat.detect.seasonal_memory import BINS, Config, Seasons
from homeostat.stats.arrays import to_bytes

SEASONS = Seasons(Config())


def learnt(values: Any, seasons: Seasons = SEASONS) -> Any:
    """Return the memory after these values, `[tick, series]`, all of them calm."""
    memory = seasons.init(np, values.shape[1])
    for row in values:
        memory = seasons.learn(np, memory, row, allowed=True, calm=True)
    return memory


def wave(ticks: int, period: float, *, series: int = 2, seed: int = 1) -> Any:
    rng = np.random.default_rng(seed)
    angle = 2.0 * np.pi * (np.arange(ticks)[:, None] / period + rng.random(series))
    return 3.0 * np.sin(angle) + np.sin(2.0 * angle) + rng.standard_normal((ticks, series))


def test_a_full_history_joins_neighbours_and_still_spans_all() -> None:
    values = 1e6 + np.random.default_rng(2).standard_normal((1100, 2))
    values[3:9, 1] = np.nan
    memory = learnt(values)
    whole = 1088  # the last multiple of sixteen
    assert (int(memory.block), int(memory.used)) == (4, whole // 4)
    groups = (values[:whole] - values[0]).reshape(-1, 4, 2)
    pairs = np.array([[np.nanmean(pair[:, 0]) for pair in groups]])[0]
    assert memory.ring[: whole // 4, 0] == pytest.approx(pairs, abs=1e-5)
    assert np.isnan(memory.ring[1, 1])
    assert np.isnan(memory.ring[whole // 4 :]).all()


def test_a_history_at_its_longest_entries_drops_its_older_half() -> None:
    seasons = Seasons(Config(longest_block=1))
    memory = learnt(np.random.default_rng(3).standard_normal((528, 1)), seasons)
    assert (int(memory.block), int(memory.used)) == (1, 272)


@pytest.mark.parametrize("period", [24.0, 37.5, 60.0])
def test_a_period_is_found_whether_whole_or_not(period: float) -> None:
    memory = learnt(wave(640, period))
    assert memory.period == pytest.approx(np.full(2, period), abs=0.15)


def test_a_hint_is_believed_after_two_cycles_and_others_after_three() -> None:
    saw = np.arange(448)[:, None] % 200 / 40.0
    values = saw + 0.3 * np.random.default_rng(5).standard_normal((448, 2))
    assert not learnt(values).period.any()
    hinted = learnt(values, Seasons(Config(hints=(200,))))
    assert (hinted.period == 200.0).all()


def test_noise_and_walks_have_no_season() -> None:
    rng = np.random.default_rng(4)
    steps = rng.standard_normal((640, 8))
    values = np.concatenate([steps, np.cumsum(steps, axis=0)], axis=1)
    assert not learnt(values).period.any()


def test_a_row_that_appears_later_has_an_unknown_past_and_a_season_all_the_same() -> None:
    values = wave(704, 32.0)
    values[:300, 1] = np.nan
    memory = learnt(values)
    assert (memory.period == 32.0).all()
    removed = SEASONS.remove(np, memory, np.array([1.0, np.nan]))
    assert np.isfinite(removed.values).tolist() == [True, False]


def test_what_was_taken_away_is_put_back() -> None:
    memory = learnt(wave(704, 32.0))
    memory.spread[:] = 0.5
    row = np.array([7.0, -3.0])
    removed = SEASONS.remove(np, memory, row)
    assert (removed.ratio == 0.5).all()
    assert removed.back(np, removed.values) == pytest.approx(row)


@pytest.mark.slow
def test_a_longer_season_is_found_beyond_one_that_is_too_short_for_the_history() -> None:
    short = wave(3200, 24.0)
    longer = short + 3.0 * (np.arange(3200)[:, None] % 720 < 200)
    assert (learnt(longer).period == 720.0).all()


@settings(deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.4, 1.0]), st.sampled_from(["one", "each"])
)
def test_a_season_is_read_as_if_every_row_had_one(seed: int, share: float, ahead_of: str) -> None:
    chance = np.random.default_rng(seed)
    rows, seasons = 9, Seasons(Config())
    period = np.where(chance.random(rows) < share, chance.integers(4, 900, rows), 0)
    memory = seasons.init(np, rows)._replace(
        period=period.astype(float),
        phase=chance.random(rows) * np.maximum(period, 1),
        profile=chance.normal(0.0, 1.0, (BINS, rows)).astype(np.float32),
        spread=chance.uniform(0.5, 2.0, (16, rows)).astype(np.float32),
        level=chance.normal(0.0, 9.0, rows),
    )
    ahead = chance.integers(1, 50, rows) if ahead_of == "each" else int(chance.integers(1, 50))
    season = seasonal_memory._season(np, memory, ahead)
    ratio = seasonal_memory._ratio(np, memory, ahead)
    assert seasons.season(np, memory, ahead).tobytes() == season.tobytes()
    assert seasons.ratio(np, memory, ahead).tobytes() == ratio.tobytes()
    there = memory.period > 0.0
    phase = np.where(there, (memory.phase + 1.0) % np.maximum(memory.period, 1.0), 0.0)
    assert seasonal_memory._next_phase(np, memory, there).tobytes() == phase.tobytes()
    values = chance.normal(0.0, 9.0, rows)
    removed = seasons.remove(np, memory, values)
    plain = seasons.learn(np, memory, values, allowed=True, calm=there)
    told = seasons.learn(np, memory, values, allowed=True, calm=there, season=removed.season)
    assert to_bytes(told) == to_bytes(plain)
