import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.base.units import SECOND
from homeostat.detect.breach_time import TimeLeft, time_left
from homeostat.detect.forecast import time_to_limit
from homeostat.detect.panel import DROP

RNG = np.random.default_rng(3)


def leak(start: float, per_tick: float, ticks: int, noise: float = 0.003) -> np.ndarray:
    return start + per_tick * np.arange(ticks) + noise * RNG.standard_normal(ticks)


def collected(rng: np.random.Generator, per_tick: float, ticks: int) -> np.ndarray:
    """A floor that leaks under garbage that is collected when there is too much of it."""
    height, period = rng.uniform(0.03, 0.2), rng.uniform(8.0, 40.0)
    out, garbage, most = np.zeros(ticks), 0.0, height
    for tick in range(ticks):
        garbage += height / period * rng.uniform(0.5, 1.5)
        if garbage > most:
            garbage, most = 0.0, height * rng.uniform(0.85, 1.15)
        out[tick] = 0.3 + per_tick * tick + garbage
    return out + rng.uniform(0.001, 0.006) * rng.standard_normal(ticks)


def fallen(values: np.ndarray) -> float:
    falls = np.flatnonzero(np.diff(values) < -DROP)
    return float(values[falls].max()) if len(falls) else math.nan


def share_covered(seen: int, *, sawtooth: bool, cases: int = 80) -> tuple[float, float]:
    """Return how often the truth was between the 5 % and 95 % time, and how often it was told."""
    rng, inside, told = np.random.default_rng(9), 0, 0
    for _ in range(cases):
        slope = rng.uniform(0.0005, 0.003)
        values = collected(rng, slope, 2000)
        if not sawtooth:
            values = 0.3 + slope * np.arange(2000.0) + 0.004 * rng.standard_normal(2000)
        hit = int(np.argmax(values >= 1.0))
        now = int(rng.integers(max(seen, hit - int(1.5 * seen)), hit - 5))
        said = time_left(values[now - seen + 1 : now + 1], fallen(values[: now + 1]), 1)
        if said is None:
            continue
        first, _, last = (math.inf if one is None else one for one in said.at_ns)
        told, inside = told + 1, inside + (first <= hit - now <= last)
    return inside / told, told / cases


@pytest.mark.slow
@pytest.mark.parametrize("seen", [32, 128])
def test_a_plain_leak_reaches_its_limit_between_the_outer_quantiles(seen: int) -> None:
    covered, told = share_covered(seen, sawtooth=False)
    assert 0.82 <= covered <= 0.99  # 90 %, give or take two standard errors of 80 cases
    assert told > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("seen", [64, 128])
def test_a_leak_under_a_sawtooth_does_so_too(seen: int) -> None:
    covered, told = share_covered(seen, sawtooth=True)
    assert covered >= 0.84
    assert told > 0.9


def test_the_median_of_a_clean_leak_is_close() -> None:
    said = time_left(leak(0.40, 0.01, 32), math.nan, SECOND)
    assert said is not None
    first, middle, last = (one for one in said.at_ns if one is not None)
    assert middle / SECOND == pytest.approx((1.0 - 0.71) / 0.01, rel=0.12)
    assert first <= middle <= last
    assert said.in_sight == 1.0


def test_it_is_not_later_than_the_earliest_credible_time_allows() -> None:
    values = leak(0.40, 0.01, 32)
    said, bound = time_left(values, math.nan, SECOND), time_to_limit(values, math.nan, SECOND)
    assert said is not None
    assert said.at_ns[1] is not None
    assert bound is not None
    assert bound <= said.at_ns[1]


def test_flat_memory_far_from_its_limit_has_none_in_sight() -> None:
    for _ in range(50):
        said = time_left(leak(0.5, 0.0, 64, 0.01), math.nan, SECOND)
        assert said is not None
        assert said.at_ns == (None, None, None)
        assert said.in_sight < 0.05


def test_a_sawtooth_without_a_leak_has_none_in_sight() -> None:
    ticks = np.arange(400)
    saw = 0.40 + 0.25 * ((ticks % 25) / 25.0)
    for end in range(160, 400, 12):
        said = time_left(saw[end - 128 : end], 0.64, SECOND)
        assert said is not None
        assert said.at_ns[1] is None


def test_the_first_tooth_of_a_known_height_is_unknown_and_not_well() -> None:
    assert time_left(leak(0.3, 0.01, 20), 0.7, SECOND) is None
    assert time_left(leak(0.3, 0.01, 20), math.nan, SECOND) is not None


def test_at_the_limit_no_time_is_left() -> None:
    said = time_left(np.append(leak(0.5, 0.01, 20), 1.01), math.nan, SECOND)
    assert said == TimeLeft(levels=(0.05, 0.5, 0.95), at_ns=(0, 0, 0), in_sight=1.0)


def test_long_histories_are_thinned_without_losing_their_teeth() -> None:
    ticks = np.arange(1000)
    saw = 0.3 + 0.0004 * ticks + 0.1 * ((ticks % 60) / 60.0)
    said = time_left(saw, 0.7, SECOND)
    assert said is not None
    first, _, last = (one or 0 for one in said.at_ns)
    truth = int(np.argmax(0.3 + 0.0004 * np.arange(1000, 4000) + 0.1 >= 1.0))
    assert first / SECOND <= truth + 60
    assert last / SECOND >= truth


def test_too_little_is_unknown() -> None:
    assert time_left(leak(0.2, 0.02, 8), math.nan, SECOND) is None
    assert time_left(np.full(40, np.nan), math.nan, SECOND) is None


@settings(max_examples=40)
@given(
    st.lists(st.floats(0.0, 0.99) | st.just(math.nan), max_size=40),
    st.just(math.nan) | st.floats(0.0, 1.0),
)
def test_whatever_the_history_times_ascend_and_are_never_negative(
    values: list[float], came_down: float
) -> None:
    said = time_left(np.array(values, dtype=float), came_down, SECOND)
    if said is not None:
        times = [math.inf if one is None else one for one in said.at_ns]
        assert times == sorted(times)
        assert times[0] >= 0
        assert 0.0 <= said.in_sight <= 1.0


@pytest.mark.parametrize("wrong", [(), (0.5, 0.1), (0.0, 0.5), (0.5, 1.0)])
def test_levels_that_do_not_ascend_are_refused(wrong: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="levels must ascend"):
        time_left(leak(0.2, 0.01, 20), math.nan, SECOND, levels=wrong)
