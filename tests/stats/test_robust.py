import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.stats.robust import LEAST_POINTS, theil_sen


def test_a_clean_line_is_found_exactly() -> None:
    trend = theil_sen(5.0 + 0.25 * np.arange(20.0))
    assert trend is not None
    assert trend.slope == 0.25
    assert trend.level == pytest.approx(9.75)
    assert trend.low == trend.high == 0.25


def test_a_fifth_of_wild_points_does_not_turn_the_line() -> None:
    rng = np.random.default_rng(3)
    values = 0.5 * np.arange(30.0) + 0.1 * rng.standard_normal(30)
    values[[3, 9, 14, 20, 26, 29]] += 100.0
    trend = theil_sen(values)
    assert trend is not None
    assert trend.slope == pytest.approx(0.5, abs=0.1)
    assert trend.low <= 0.5 <= trend.high


def test_a_gap_keeps_its_place_in_time() -> None:
    values = 2.0 * np.arange(24.0)
    values[5:12] = np.nan
    trend = theil_sen(values)
    assert trend is not None
    assert trend.slope == 2.0


def test_too_few_points_have_no_trend() -> None:
    values = np.full(40, np.nan)
    values[: LEAST_POINTS - 1] = 1.0
    assert theil_sen(values) is None


def test_noise_is_significant_as_rarely_as_a_normal_is_that_far_out() -> None:
    rng = np.random.default_rng(5)
    found = [theil_sen(rng.standard_normal(20)) for _ in range(2_000)]
    far = sum(trend is not None and abs(trend.kendall_z) > 2.576 for trend in found)
    assert far / 2_000 < 0.02


@given(st.floats(-5.0, 5.0), st.floats(-100.0, 100.0))
def test_shifting_and_tilting_the_data_shifts_and_tilts_the_trend(tilt: float, up: float) -> None:
    base = np.random.default_rng(7).standard_normal(16)
    plain, moved = theil_sen(base), theil_sen(base + up + tilt * np.arange(16.0))
    assert plain is not None
    assert moved is not None
    assert moved.slope == pytest.approx(plain.slope + tilt, abs=1e-9)


@given(n=st.integers(LEAST_POINTS, 80), seed=st.integers(0, 2**32 - 1), ties=st.booleans())
def test_the_slope_is_the_median_of_all_pairs_to_the_bit(n: int, seed: int, *, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(n).round(1 if ties else 9)
    values[rng.random(n) < 0.1] = np.nan
    step = np.flatnonzero(np.isfinite(values))
    trend = theil_sen(values)
    if len(step) < LEAST_POINTS:
        assert trend is None
        return
    first, second = np.triu_indices(len(step), k=1)
    rise = values[step][second] - values[step][first]
    slope = float(np.median(rise / (step[second] - step[first])))
    assert trend is not None
    assert trend.slope == slope
    assert trend.level == float(np.median(values[step] - slope * (step - step[-1])))
