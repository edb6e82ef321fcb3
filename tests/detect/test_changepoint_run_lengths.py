"""Run lengths of the change detector: what was promised, under five kinds of noise."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from homeostat.detect.changepoint import Changepoint
from homeostat.detect.changepoint_config import Config

PERIOD, CYCLES = 200, 7


def independent(draw: Callable[[Any, int], Any]) -> Callable[[Any, int], Iterator[Any]]:
    def ticks(rng: Any, series: int) -> Iterator[Any]:
        while True:
            yield draw(rng, series)

    return ticks


def correlated(rng: Any, series: int) -> Iterator[Any]:
    y = rng.standard_normal(series)
    while True:
        y = 0.9 * y + np.sqrt(1.0 - 0.81) * rng.standard_normal(series)
        yield y


def seasonal(rng: Any, series: int) -> Iterator[Any]:
    """What a season of two deviations leaves over the median of seven cycles before it.

    The detector knows no seasons: a season is a change of level, and must be taken away before.
    """
    phase = rng.random(series) * PERIOD
    before = np.full((CYCLES, PERIOD, series), np.nan)
    tick = 0
    while True:
        wave = 2.0 * np.sin(2.0 * np.pi * (tick + phase) / PERIOD)
        value = wave + rng.standard_normal(series)
        usual = np.sort(before[:, tick % PERIOD], axis=0)[CYCLES // 2]
        before[(tick // PERIOD) % CYCLES, tick % PERIOD] = value
        tick += 1
        if tick > CYCLES * PERIOD:
            yield value - usual


FAMILIES: dict[str, Callable[[Any, int], Iterator[Any]]] = {
    "normal": independent(lambda rng, n: rng.standard_normal(n)),
    "t4": independent(lambda rng, n: rng.standard_t(4, n)),
    "lognormal": independent(lambda rng, n: np.exp(rng.standard_normal(n))),
    "correlated": correlated,
    "seasonal": seasonal,
}


def check(family: str, length: float, *, series: int, ticks: int, seed: int) -> None:
    """Count alarms over all judged ticks, those after a wrong new baseline included."""
    detector = Changepoint(Config(run_length=length))
    values = FAMILIES[family](np.random.default_rng(seed), series)
    state, alarms, judged = detector.init(np, series), 0, 0
    for _ in range(ticks):
        state, said = detector.step(np, state, next(values), True)
        alarms += int(said.alarm.sum())
        judged += int(np.isfinite(said.neg_log10_p).sum())
    allowed = judged / length
    print(f"{family}: {alarms} alarms where {allowed:.0f} are allowed, one in {length:g} ticks")
    assert judged > 0.9 * series * (ticks - 50)
    assert alarms <= allowed + 3.0 * math.sqrt(allowed)
    assert length > 1000.0 or alarms > 0  # not by being mute


@pytest.mark.sampled(3)
@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_false_alarms_are_as_rare_as_promised(family: str) -> None:
    check(family, 1000.0, series=80, ticks=1000, seed=5)


@pytest.mark.long
@pytest.mark.parametrize("length", [10_000.0, 100_000.0])
@pytest.mark.parametrize("family", FAMILIES)
def test_long_promises_are_kept_too(family: str, length: float) -> None:
    check(family, length, series=400, ticks=3000, seed=6)


@pytest.mark.slow
def test_a_season_that_nobody_took_away_breaks_the_promise() -> None:
    """Why the module says to feed it what a seasonal profile leaves."""
    rng, series, ticks = np.random.default_rng(7), 40, 800
    detector = Changepoint(Config(run_length=1000.0))
    state, alarms = detector.init(np, series), 0
    for tick in range(ticks):
        wave = 2.0 * np.sin(2.0 * np.pi * tick / PERIOD)
        state, said = detector.step(np, state, wave + rng.standard_normal(series), True)
        alarms += int(said.alarm.sum())
    assert alarms > 2.0 * series * ticks / 1000.0
