"""The decomposition against R's, against the definition worked point by point, and its limits."""

import csv
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.stats.stl import stl_periodic
from homeostat.stats.stl_loess import smoother, tricube

ORACLES = Path(__file__).parents[3] / "shared" / "oracles"


def columns(name: str, *wanted: str) -> Any:
    path = ORACLES / name
    if not path.exists():
        pytest.skip(f"needs R's decomposition at {path}")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return [np.array([float(row[column]) for row in rows]) for column in wanted]


def wave(n: int, period: int, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return 10.0 * np.sin(2.0 * np.pi * np.arange(n) / period) + rng.standard_normal(n)


def test_season_and_trend_are_those_of_r() -> None:
    (values,) = columns("twitter_raw_data.csv", "count")
    season, trend, rest = columns(
        "stl_R_twitter_periodic_robust.csv", "seasonal", "trend", "remainder"
    )
    parts = stl_periodic(values, 1440)
    assert np.abs(parts.seasonal - season).max() < 1e-9
    assert np.abs(parts.trend - trend).max() < 1e-9
    assert np.abs(values - parts.seasonal - parts.trend - rest).max() < 1e-9


def by_hand(values: Any, trust: Any, span: int, place: int, start: int) -> float:
    """Return one local line's value, from the definition."""
    width = min(span, len(values))
    near = np.arange(start, start + width)
    reach = max(place - start, start + width - 1 - place) + max(span - len(values), 0) // 2
    distance = np.abs(near - place)
    weight = np.where(distance <= 0.999 * reach, (1.0 - (distance / reach) ** 3) ** 3, 0.0)
    weight *= trust[near]
    if not weight.sum():
        return float(values[place])
    line = np.polynomial.Polynomial.fit(near, values[near], 1, w=np.sqrt(weight))
    return float(line(place))


@pytest.mark.parametrize(("size", "span", "jump"), [(60, 11, 2), (61, 21, 3), (40, 101, 11)])
def test_a_local_line_is_weighted_least_squares(size: int, span: int, jump: int) -> None:
    rng = np.random.default_rng(1)
    values, trust = rng.standard_normal(size).cumsum(), rng.uniform(0.2, 1.0, size)
    lines = smoother(size, span, jump)
    fitted = lines.smooth(values, trust)
    for place, start in zip(lines.at.tolist(), lines.start.tolist(), strict=True):
        assert fitted[place] == pytest.approx(by_hand(values, trust, span, place, start), abs=1e-4)


def test_between_fits_it_is_straight() -> None:
    lines = smoother(100, 31, 10)
    fitted = lines.smooth(np.random.default_rng(2).standard_normal(100))
    bends = np.flatnonzero(np.abs(np.diff(fitted, 2)) > 1e-12) + 1
    assert set(bends.tolist()) <= set(lines.at.tolist())
    assert len(bends) > 5


def test_a_straight_line_is_smoothed_to_itself() -> None:
    line = 3.0 + 0.5 * np.arange(200.0)
    assert smoother(200, 41, 5).smooth(line) == pytest.approx(line)


def test_a_place_without_trusted_neighbours_keeps_its_value() -> None:
    values, trust = np.arange(50.0) ** 2, np.ones(50)
    trust[10:40] = 0.0
    fitted = smoother(50, 5, 1).smooth(values, trust)
    assert fitted[25] == values[25]


def test_weights_fall_from_one_to_nothing() -> None:
    weights = tricube(np.linspace(0.0, 1.2, 50), np.array(1.0))
    assert weights[0] == 1.0
    assert (np.diff(weights) <= 0.0).all()
    assert not weights[np.linspace(0.0, 1.2, 50) > 0.999].any()


def test_outliers_lose_their_weight_and_leave_the_season_alone() -> None:
    clean = wave(480, 48)
    spoilt = clean.copy()
    spoilt[[50, 51, 250]] += 200.0
    robust = stl_periodic(spoilt, 48)
    assert not robust.weights[[50, 51, 250]].any()
    change = np.abs(robust.seasonal - stl_periodic(clean, 48).seasonal).max()
    plain = stl_periodic(spoilt, 48, robust=False)
    assert change < 1.0 < np.abs(plain.seasonal - stl_periodic(clean, 48).seasonal).max()


def test_a_missing_stretch_moves_neither_season_nor_trend_by_much() -> None:
    whole = wave(480, 48)
    holed = whole.copy()
    holed[100:160] = np.nan
    ours, theirs = stl_periodic(holed, 48), stl_periodic(whole, 48)
    assert not ours.weights[100:160].any()
    assert np.abs(ours.seasonal - theirs.seasonal).max() < 1.0
    assert np.abs(ours.trend - theirs.trend)[160:].max() < 1.0


def test_a_missing_point_counts_as_an_outlier_does() -> None:
    holed = wave(480, 48)
    holed[200] = np.nan
    filled = np.where(np.isnan(holed), 1e6, holed)  # an outlier has no weight either
    assert stl_periodic(filled, 48).seasonal == pytest.approx(
        stl_periodic(holed, 48).seasonal, abs=0.05
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 15), st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_the_season_repeats_exactly_and_nothing_is_made_up(
    period: int, extra: int, seed: int
) -> None:
    n = 4 * period + extra
    values = wave(n, period, seed)
    parts = stl_periodic(values, period)
    assert (parts.seasonal[period:] == parts.seasonal[:-period]).all()
    assert np.isfinite(parts.trend).all()
    moved = stl_periodic(values * 4.0 + 1000.0, period)
    assert moved.seasonal == pytest.approx(parts.seasonal * 4.0, abs=1e-5)
    assert moved.trend == pytest.approx(parts.trend * 4.0 + 1000.0, abs=1e-5)


@pytest.mark.parametrize(
    ("values", "period"),
    [
        (np.arange(9.0), 5),
        (np.arange(9.0), 1),
        (np.full(9, np.nan), 3),
        (np.array([1.0, np.inf, 2.0, 3.0]), 2),
    ],
)
def test_what_cannot_be_decomposed_is_refused(values: Any, period: int) -> None:
    with pytest.raises(ValueError, match="need"):
        stl_periodic(values, period)


@pytest.mark.alone
def test_ten_days_of_minutes_take_less_than_the_gate() -> None:
    values = wave(14_398, 1440)
    times = []
    for _ in range(3):
        started = time.process_time()
        stl_periodic(values, 1440)
        times.append(time.process_time() - started)
    assert min(times) < 0.15
