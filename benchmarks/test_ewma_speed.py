"""One tick of the EWMA chart over N series, against less and against the same row by row.

`ours` judges with two baselines, whitening, Student limits and log p-values. `rows` is the same
step on one row at a time: what batching saves. `loop` is the least that can be called a chart, in
plain Python (one baseline, a variance, a comparison), `kernel` the same least in NumPy: what the
corrections cost. `river` (if installed) updates a peer's mean and variance. The last test prints
the ratios. Not measured: JAX, threads, and the cost of filling the arrays.
"""

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from homeostat.detect.ewma import Config, Ewma

Run = Callable[[], Any]
TICKS = 50


def ticks(series: int) -> Any:
    """Return noise `[tick, series]`, the same for everybody."""
    return 100.0 + np.random.default_rng(1).standard_normal((TICKS, series))


def ours(series: int) -> Run:
    chart, rows, learn = Ewma(Config()), ticks(series), np.ones(series, dtype=bool)
    state = chart.init(np, series)
    for row in rows:
        state, _ = chart.step(np, state, row, learn)
    return lambda: chart.step(np, state, rows[0], learn)


def rows(series: int) -> Run:
    chart, values = Ewma(Config()), ticks(series)
    learn, states = np.ones(1, dtype=bool), []
    for column in range(series):
        state = chart.init(np, 1)
        for row in values:
            state, _ = chart.step(np, state, row[column : column + 1], learn)
        states.append(state)
    cells = [values[0][column : column + 1] for column in range(series)]
    return lambda: [chart.step(np, s, x, learn) for s, x in zip(states, cells, strict=True)]


def loop(series: int) -> Run:
    row = ticks(series)[0].tolist()
    mean, variance, alarms = [100.0] * series, [1.0] * series, [False] * series

    def run() -> None:
        for i, x in enumerate(row):
            off = x - mean[i]
            alarms[i] = abs(off) > 5.0 * math.sqrt(variance[i])
            mean[i] += 0.02 * off
            variance[i] += 0.02 * (off * off - variance[i])

    return run


def kernel(series: int) -> Run:
    row, mean, variance = ticks(series)[0], np.full(series, 100.0), np.ones(series)

    def run() -> Any:
        off = row - mean
        alarms = np.abs(off) > 5.0 * np.sqrt(variance)
        return alarms, mean + 0.02 * off, variance + 0.02 * (off * off - variance)

    return run


def river(series: int) -> Run:
    stats = pytest.importorskip("river.stats")
    row = ticks(series)[0].tolist()
    charts = [(stats.EWMean(0.02), stats.EWVar(0.02)) for _ in range(series)]

    def run() -> None:
        for x, (mean, variance) in zip(row, charts, strict=True):
            mean.update(x)
            variance.update(x)

    return run


@pytest.mark.parametrize("series", [100, 10_000])
@pytest.mark.parametrize("build", [ours, rows, loop, kernel, river], ids=lambda b: b.__name__)
def test_one_tick(benchmark: BenchmarkFixture, build: Callable[[int], Run], series: int) -> None:
    if build is rows and series > 100:
        pytest.skip("takes a minute and says the same as 100 series")
    run = build(series)
    benchmark.group = f"ewma, one tick, {series} series"
    benchmark(run)


def points_per_second(run: Run, series: int) -> list[float]:
    """Return five rates of CPU time, each over at least 50 ms."""
    rates = []
    for _ in range(5):
        started, done = time.process_time(), 0
        while (spent := time.process_time() - started) < 0.05:
            run()
            done += series
        rates.append(done / spent)
    return rates


@pytest.mark.parametrize("series", [100, 10_000])
def test_ratios(series: int) -> None:
    """Print points per second and how many times ours each of the others does."""
    rate = {b.__name__: points_per_second(b(series), series) for b in (ours, loop, kernel)}
    if series <= 100:
        rate["rows"] = points_per_second(rows(series), series)
    own = statistics.median(rate["ours"])
    print(f"\newma, one tick of {series} series, numpy {np.__version__}:")
    for name, rates in rate.items():
        middle = statistics.median(rates)
        print(
            f"  {name:<7} {middle:9.3g} points/s ({min(rates):.3g}..{max(rates):.3g})"
            f"   ours is {own / middle:.2f} x that"
        )
    assert own > 0.0
