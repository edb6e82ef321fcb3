"""Run lengths: the textbook chart against published numbers, ours under correlated noise.

The oracle is an integral equation (200 nodes) that agrees with Lucas & Saccucci (1990); gates are
three standard errors of the simulation.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from homeostat.base.ports import Detector
from homeostat.detect.ewma import AsWritten, Config, Ewma

ORACLES = Path(__file__).parents[1] / "oracles" / "control_charts.json"
NEVER = float("inf")


def oracle(name: str) -> Any:
    return json.loads(ORACLES.read_text())[name]


def textbook(smoothing: float, limit: float, *, fixed: bool = True) -> AsWritten:
    return AsWritten(
        Config(
            as_written=True,
            smoothing=smoothing,
            limit_sigmas=limit,
            target=0.0,
            sigma=1.0,
            fixed_limits=fixed,
        )
    )


def run_lengths(chart: AsWritten, shift: float, *, runs: int, seed: int) -> Any:
    """Return the tick of the first alarm of each run, dropping finished runs as it goes."""
    rng = np.random.default_rng(seed)
    state, lengths, tick = chart.init(np, runs), [], 0
    while state.mean.size:
        tick += 1
        draw = rng.standard_normal(state.mean.size) + shift
        state, output = chart.step(np, state, draw, False)
        lengths += [tick] * int(output.alarm.sum())
        state = type(state)(*(part[~output.alarm] for part in state))
    return np.array(lengths, dtype=float)


def test_the_textbook_example_is_reproduced() -> None:
    example = oracle("nist_ewma")
    config = Config(
        as_written=True,
        smoothing=example["lambda"],
        limit_sigmas=3.0,
        target=example["target"],
        sigma=example["s"],
        fixed_limits=True,
    )
    chart = AsWritten(config)
    state, averages, raised = chart.init(np, 1), [], False
    for x in example["x"]:
        state, output = chart.step(np, state, np.array([x]), False)
        averages.append(float(state.average[0]))
        raised |= bool(output.alarm[0])
        assert output.low[0] == pytest.approx(example["LCL"], abs=1e-9)
        assert output.high[0] == pytest.approx(example["UCL"], abs=1e-9)
    assert averages == pytest.approx(example["z"], abs=5.1e-5)  # published to 4 decimals
    assert not raised


def test_exact_limits_start_narrow_and_end_at_the_fixed_ones() -> None:
    chart = textbook(0.3, 3.0, fixed=False)
    state, widths = chart.init(np, 1), []
    for _ in range(60):
        state, output = chart.step(np, state, np.zeros(1), False)
        widths.append(float(output.high[0]))
    assert widths[0] == pytest.approx(3.0 * 0.3)  # i = 1: the average is 0.3 x
    assert widths[1] == pytest.approx(3.0 * np.hypot(0.3, 0.3 * 0.7))
    assert widths[-1] == pytest.approx(3.0 * np.sqrt(0.3 / 1.7))


@pytest.mark.slow
@pytest.mark.parametrize("shift", ["0", "0.5", "1", "2"])
@pytest.mark.parametrize("smoothing", [0.2, 0.05])
def test_run_lengths_match_the_oracle(smoothing: float, shift: str) -> None:
    rows = {row["lambda"]: row for row in oracle("ewma_arl_zero_state")}
    check_row(rows[smoothing], shift, runs=1500, seed=20)


@pytest.mark.long
@pytest.mark.parametrize("row", range(9))
def test_every_run_length_of_the_table_matches_the_oracle(row: int) -> None:
    table = oracle("ewma_arl_zero_state")[row]
    for shift in table["ARL_at_shift_sigma"]:
        check_row(table, shift, runs=6000, seed=4)


def check_row(row: Any, shift: str, *, runs: int, seed: int) -> None:
    chart = textbook(row["lambda"], row["L"])
    lengths = run_lengths(chart, float(shift), runs=runs, seed=seed)
    expected = row["ARL_at_shift_sigma"][shift]
    error = lengths.std(ddof=1) / np.sqrt(runs)
    # The oracle is printed with two decimals.
    assert abs(lengths.mean() - expected) <= 3.0 * error + 0.005, (row["lambda"], shift)


def false_alarm_run_length(
    chart: Detector[Any], phi: float, *, series: int, ticks: int, seed: int = 11
) -> float:
    """Return the mean ticks to a false alarm after warm-up, censored runs included."""
    rng = np.random.default_rng(seed)
    config: Config = chart.config  # type: ignore[attr-defined]  # both charts have one
    skipped = config.warmup + (0 if config.as_written else config.skip)
    state, y = chart.init(np, series), rng.standard_normal(series)
    first = np.full(series, np.inf)
    for tick in range(1 - skipped, ticks + 1):
        y = phi * y + np.sqrt(1.0 - phi**2) * rng.standard_normal(series)
        state, output = chart.step(np, state, 50.0 + 3.0 * y, True)
        if tick >= 1:
            first = np.where(output.alarm, np.minimum(first, tick), first)
    return float(np.minimum(first, ticks).sum() / np.isfinite(first).sum())


# Nominal average run length between false alarms, for smoothing 0.2 (Lucas & Saccucci).
NOMINAL, LIMIT = 500.0, 2.962


@pytest.mark.sampled(7)
@pytest.mark.slow
@pytest.mark.parametrize("phi", [0.0, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("warmup", [20, 60])
def test_run_lengths_keep_their_promise_under_correlated_noise(phi: float, warmup: int) -> None:
    chart = Ewma(Config(limit_sigmas=LIMIT, spike_sigmas=NEVER, warmup=warmup))
    # 300 series, so one standard error is about 6 %.
    length = false_alarm_run_length(chart, phi, series=300, ticks=1500)
    assert length >= 0.8 * NOMINAL, length


@pytest.mark.long
@pytest.mark.parametrize("phi", [-0.5, 0.0, 0.3, 0.6, 0.8, 0.9, 0.95])
def test_run_lengths_keep_their_promise_with_small_errors(phi: float) -> None:
    chart = Ewma(Config(limit_sigmas=LIMIT, spike_sigmas=NEVER))
    assert false_alarm_run_length(chart, phi, series=4000, ticks=4000) >= NOMINAL


@pytest.mark.slow
def test_without_whitening_the_promise_is_broken_tenfold() -> None:
    chart = Ewma(Config(limit_sigmas=LIMIT, spike_sigmas=NEVER, whiten=False, warmup=200))
    assert false_alarm_run_length(chart, 0.9, series=300, ticks=500) < 0.12 * NOMINAL


@pytest.mark.slow
def test_the_chart_as_written_breaks_its_promise_twice() -> None:
    short = Config(as_written=True, limit_sigmas=LIMIT, warmup=20)
    long = Config(as_written=True, limit_sigmas=LIMIT, warmup=2000)
    # Correlated noise, even with parameters taken from 2,000 values.
    assert false_alarm_run_length(AsWritten(long), 0.9, series=300, ticks=500) < 0.12 * NOMINAL
    # Independent noise, with parameters taken from 20 values and called exact: half of all
    # charts alarm within a third of the nominal run length.
    rng = np.random.default_rng(2)
    chart, alarmed = AsWritten(short), np.zeros(1000, dtype=bool)
    state = chart.init(np, 1000)
    for _ in range(20 + int(NOMINAL / 3)):
        state, output = chart.step(np, state, rng.standard_normal(1000), True)
        alarmed |= output.alarm
    assert alarmed.mean() > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("warmup", [8, 20])
def test_young_baselines_alarm_no_more_often_than_old_ones(warmup: int) -> None:
    series, ticks = 4000, 50
    rng = np.random.default_rng(9)
    config = Config(limit_sigmas=LIMIT, spike_sigmas=NEVER, warmup=warmup)
    chart, alarmed = Ewma(config), np.zeros(series, dtype=bool)
    state = chart.init(np, series)
    for _ in range(config.skip + warmup + ticks):
        state, output = chart.step(np, state, rng.standard_normal(series), True)
        alarmed |= output.alarm
    expected = 1.0 - np.exp(-ticks / NOMINAL)
    assert alarmed.mean() <= expected + 3.0 * np.sqrt(expected / series)
    assert alarmed.mean() > 0.1 * expected  # not by being mute


@pytest.mark.slow
def test_p_values_are_honest_at_every_level() -> None:
    series, ticks = 2000, 100
    rng = np.random.default_rng(13)
    chart = Ewma(Config())
    state, seen = chart.init(np, series), []
    for tick in range(200 + ticks):
        state, output = chart.step(np, state, rng.standard_normal(series), True)
        if tick >= 200 and tick % 20 == 0:  # far enough apart to be nearly independent
            seen.append(output.neg_log10_p)
    scores = np.concatenate(seen)
    for level in (1.0, 2.0, 3.0):
        p = 10.0**-level
        assert (scores >= level).mean() <= p + 3.0 * np.sqrt(p / scores.size)
    assert (scores >= 1.0).mean() > 0.01  # honest, not silent
