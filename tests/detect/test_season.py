"""Seasons are found where they are, and "none" is the answer where there is none."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.detect import season
from homeostat.detect.season import NO_SEASON, Floats, evidence, find_season, seasonal_median
from homeostat.stats.esd import MAD_SIGMA

DAY = 96
N = DAY * 10
Draw = Callable[[Any], Any]


def correlated(rng: Any, phi: float) -> Any:
    steps = rng.standard_normal(N + 300)
    out = np.zeros(N + 300)
    for tick in range(1, N + 300):
        out[tick] = phi * out[tick - 1] + steps[tick]
    return out[300:]


WITHOUT: dict[str, Draw] = {
    "independent": lambda rng: rng.standard_normal(N),
    "heavy tails": lambda rng: rng.standard_t(3, N),
    "correlated 0.9": lambda rng: correlated(rng, 0.9),
    "correlated 0.99": lambda rng: correlated(rng, 0.99),
    "random walk": lambda rng: rng.standard_normal(N).cumsum(),
    "one step": lambda rng: rng.standard_normal(N) + 10.0 * (np.arange(N) > N // 2),
    "drift": lambda rng: rng.standard_normal(N) + 0.02 * np.arange(N),
    "spikes": lambda rng: rng.standard_normal(N) + 100.0 * (rng.random(N) < 0.005),
    "rare counts": lambda rng: rng.poisson(0.2, N).astype(float),
}


def wave(rng: Any, n: int = N, size: float = 2.0) -> Any:
    return size * np.sin(2.0 * np.pi * np.arange(n) / DAY) + rng.standard_normal(n)


def holed(rng: Any) -> Any:
    values = wave(rng, size=3.0)
    values[150:210] = np.nan
    values[rng.random(N) < 0.05] = np.nan
    return values


WITH: dict[str, Draw] = {
    "a day": wave,
    "a day under drift": lambda rng: wave(rng) + 0.02 * np.arange(N),
    "a day under spikes": lambda rng: wave(rng) + 50.0 * (rng.random(N) < 0.01),
    "a day with gaps": holed,
    "a day of counts": lambda rng: rng.poisson(np.exp(1.0 + wave(rng, size=1.0) * 0.9)) * 1.0,
    "a day on a random walk": lambda rng: 3.0 * wave(rng) + rng.standard_normal(N).cumsum() * 0.3,
    "office hours": lambda rng: 5.0 * (np.arange(N) % DAY < 40) + 0.5 * rng.standard_normal(N),
    "two peaks a day": lambda rng: wave(rng) + 3.0 * np.sin(4.0 * np.pi * (np.arange(N) + 5) / DAY),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", WITHOUT)
def test_no_season_is_an_answer(kind: str) -> None:
    rng = np.random.default_rng(1)
    runs = 60
    searched = [find_season(WITHOUT[kind](rng), alpha=0.01).period for _ in range(runs)]
    asked = [find_season(WITHOUT[kind](rng), alpha=0.01, hints=(DAY,)).period for _ in range(runs)]
    # 2 % of each at most, and three standard errors.
    most = runs * 0.02 + 3.0 * np.sqrt(runs * 0.02)
    assert np.count_nonzero(searched) <= most
    assert np.count_nonzero(asked) <= most


@pytest.mark.parametrize("kind", WITH)
def test_a_season_is_found_whatever_lies_on_it(kind: str) -> None:
    rng = np.random.default_rng(2)
    values = [WITH[kind](rng) for _ in range(10)]
    found = np.array([find_season(one).period for one in values])
    asked = np.array([find_season(one, hints=(DAY, 7 * DAY)).period for one in values])
    assert (np.abs(found - DAY) <= 2).mean() >= 0.8
    assert (asked == DAY).mean() >= 0.9


def weeks(rng: Any, count: int) -> Any:
    tick = np.arange(7 * DAY * count)
    busy = np.where(tick // DAY % 7 < 5, 1.0, 0.4)
    return (2.0 * np.sin(2.0 * np.pi * tick / DAY) + 3.0) * busy + 0.5 * rng.standard_normal(
        len(tick)
    )


def test_a_week_is_found_on_top_of_a_day() -> None:
    rng = np.random.default_rng(3)
    found = [find_season(weeks(rng, 4), hints=(DAY, 7 * DAY)) for _ in range(5)]
    assert [season.period for season in found] == [7 * DAY] * 5
    searched = np.array([find_season(weeks(rng, 4)).period for _ in range(5)])
    assert (np.abs(searched - 7 * DAY) <= 7).all()


def test_one_week_is_a_day_still() -> None:
    rng = np.random.default_rng(4)
    assert find_season(weeks(rng, 1), hints=(DAY, 7 * DAY)).period == DAY


def test_a_shift_and_a_scale_do_not_change_the_answer() -> None:
    values = wave(np.random.default_rng(5))
    plain, moved = find_season(values), find_season(-1e-3 * values + 1e5)
    assert plain.period == moved.period > 0
    assert plain.neg_log10_p == pytest.approx(moved.neg_log10_p, rel=1e-4)


def test_evidence_grows_with_the_season_and_is_honest_without_one() -> None:
    rng = np.random.default_rng(6)
    sizes = [np.median([evidence(wave(rng, size=s), DAY) for _ in range(20)]) for s in (0, 0.5, 2)]
    assert sizes[0] < 1.0 < sizes[1] < sizes[2]
    none = np.array([evidence(rng.standard_normal(N), DAY) for _ in range(400)])
    for level in (1.0, 2.0):
        p = 10.0**-level
        assert (none > level).mean() <= p + 3.0 * np.sqrt(p / 400)


@pytest.mark.parametrize(
    "values",
    [
        [],
        [1.0],
        [1.0, 2.0] * 7,
        [7.0] * 500,
        [np.nan] * 500,
        [*[np.nan] * 500, *[3.0] * 20],
        [np.inf, -np.inf] * 300,
        [0.0] * 499 + [1.0],
    ],
)
def test_what_says_nothing_has_no_season(values: list[float]) -> None:
    assert find_season(np.array(values), hints=(5, 24)) == NO_SEASON


def test_the_seasonal_median_is_not_moved_by_an_outlier_or_the_level() -> None:
    profile = np.array([0.0, 5.0, -5.0, 1.0])
    values = np.tile(profile, 7) + np.repeat(np.arange(7.0), 4) * 100.0
    values[9] = 1e6
    values[14] = np.nan
    found = seasonal_median(values, 4)
    assert found - found[0] == pytest.approx(np.tile(profile, 7) - profile[0], abs=1.0)


def test_the_last_cycles_count_alone_when_asked() -> None:
    old, new = np.tile([0.0, 8.0, 1.0], 20), np.tile([0.0, -8.0, -1.0], 7)
    found = seasonal_median(np.concatenate((old, new)), 3, cycles=7)
    assert (found[-3:] - found[-3]).tolist() == [0.0, -8.0, -1.0]


def plain_without_spikes(x: Floats) -> Floats:
    middle = np.sort(np.stack([np.roll(x, shift) for shift in range(-2, 3)]), axis=0)[2]
    away = np.abs(x - middle)
    known = np.isfinite(away)
    size = MAD_SIGMA * float(np.median(away[known])) if known.any() else 0.0
    return np.where(known & (size > 0.0) & (away > 6.0 * size), middle, x)


def plain_steps(x: Floats) -> Floats:
    x = plain_without_spikes(x)
    seen = np.isfinite(x)
    place = np.arange(len(x)) - float(np.flatnonzero(seen).mean())
    level = np.where(seen, x - float(x[seen].mean()), 0.0)
    x = x - place * float(level @ place) / max(float(seen @ place**2), 1.0)
    steps = x - np.roll(x, 1)
    known = np.isfinite(steps)
    if not known.any():
        return np.zeros_like(x)
    size = MAD_SIGMA * float(np.median(np.abs(steps[known])))
    size = size or float(np.abs(steps[known]).mean())
    return np.clip(np.where(known, steps, 0.0), -6.0 * size, 6.0 * size)


def plain_line(power: Floats, place: int, cycles: int) -> float:
    width = min(cycles - 1, 8)
    around = np.concatenate((power[place - width : place], power[place + 1 : place + 1 + width]))
    total = float(around.sum())
    return len(around) * math.log10(1.0 + float(power[place]) / total) if total > 0.0 else 0.0


def plain_over_surroundings(power: Floats) -> Floats:
    place = np.arange(len(power))
    total = np.concatenate(([0.0], np.cumsum(power)))
    width = np.minimum(np.maximum(place // 2, 3), 8)

    def between(low: Any, high: Any) -> tuple[Any, Any]:
        low, high = np.clip(low, 1, len(power)), np.clip(high, 1, len(power))
        return total[high] - total[low], (high - low).astype(np.float64)

    wide, many = between(place - width, place + width + 1)
    near, few = between(place - 1, place + 2)
    mean = np.maximum(wide - near, 0.0) / np.maximum(many - few, 1.0)
    out: Floats = power / np.maximum(mean, 1e-12 * max(float(power.max()), 1e-300))
    return out


@given(st.integers(0, 2**32 - 1), st.integers(1, 70), st.integers(1, 9))
def test_medians_are_those_of_numpy_to_the_last_bit(seed: int, count: int, series: int) -> None:
    chance = np.random.default_rng(seed)
    sizes = np.abs(np.round(chance.standard_normal((count, series)), chance.integers(0, 9)))
    assert [season._median(one) for one in sizes.T] == np.median(sizes, axis=0).tolist()


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(16, 300),
    st.sampled_from(["noise", "walk", "rounded", "rare", "wave"]),
    st.sampled_from([0.0, 0.0, 0.1, 0.7]),
)
def test_the_test_is_the_one_worked_out_plainly_to_the_last_bit(
    seed: int, count: int, kind: str, gaps: float
) -> None:
    chance = np.random.default_rng(seed)
    noise = chance.standard_normal(count)
    wave = np.sin(np.arange(count) * 2.0 * np.pi / chance.integers(3, 30))
    x = {
        "noise": noise,
        "walk": np.cumsum(noise),
        "rounded": np.round(noise),
        "rare": np.where(chance.random(count) < 0.9, 0.0, noise),
        "wave": 5.0 * wave + noise,
    }[kind]
    x = np.where(chance.random(count) < gaps, np.nan, x)
    if not np.isfinite(x).any():
        return
    steps = season._steps(x)
    assert season._without_spikes(x).tobytes() == plain_without_spikes(x).tobytes()
    assert steps.tobytes() == plain_steps(x).tobytes()
    power = np.abs(np.fft.rfft(steps)) ** 2
    ratio = season._over_surroundings(power)
    assert ratio.tobytes() == plain_over_surroundings(power).tobytes()
    for cycles in (2, 3, 8, 20):
        multiples = [one for one in range(1, 13) if one * cycles < len(power)]
        wanted = [plain_line(power, one * cycles, cycles) for one in multiples]
        assert season._lines(power, cycles, multiples) == wanted
