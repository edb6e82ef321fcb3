"""One tick of error control over N series, part by part, and against a rule that keeps every find.

`whiten`, `conformal` (judge and learn), `blocks` (bets on p-values) and `fdr` are what the chain
from values to decisions is made of; `chain` is all of them. `bounded` is the e-detector for error
ratios and `confseq` a confidence sequence. `every_find` is LORD++ as it is usually written, one
test at a time with the times of all discoveries, after as many discoveries as ours has had.
Processor time. Not measured: JAX, threads, seasons, and filling the arrays.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from homeostat.stats.conformal import Config, Conformal
from homeostat.stats.confseq import MeanSequence
from homeostat.stats.edetector import BOUNDED_BETS, EDetector, bounded_bets
from homeostat.stats.edetector import Config as BetsConfig
from homeostat.stats.edetector_blocks import BlockTests
from homeostat.stats.fdr import Config as FdrConfig
from homeostat.stats.fdr import OnlineFdr, gamma
from homeostat.stats.whiten import Config as WhitenConfig
from homeostat.stats.whiten import Whitener

Run = Callable[[], Any]
FINDS = 100


def chain(series: int) -> dict[str, Run]:
    """Return each part as a run of one tick, on full tables."""
    rng = np.random.default_rng(1)
    ticks = rng.standard_normal((8, series))
    whitener, tables = Whitener(WhitenConfig()), Conformal(Config())
    blocks, rule = BlockTests(16), OnlineFdr(FdrConfig())
    state: dict[str, Any] = {
        "model": whitener.init(np, series),
        "table": tables.init(np, series),
        "block": blocks.init(np, series),
        "fdr": rule.init(np),
        "tick": 0,
    }
    table = np.sort(np.abs(rng.standard_normal((512, series))).astype(np.float32), axis=0)
    state["table"] = state["table"]._replace(
        scores=table, entered=np.full(series, 512, dtype=np.int32)
    )
    for row in np.concatenate([ticks] * 5):
        state["model"] = whitener.learn(np, state["model"], row, True)
    score, p = np.abs(ticks[0]), np.abs(ticks[1])

    def whiten() -> Any:
        state["tick"] += 1
        row = ticks[state["tick"] % 8]
        error = whitener.errors(np, state["model"], row)
        state["model"] = whitener.learn(np, state["model"], row, True)
        return np.abs(error.sigmas)

    def conformal(score: Any = score) -> Any:
        out = tables.neg_log10_p(np, state["table"], score)
        state["table"] = tables.learn(np, state["table"], score, True)
        return out

    def block(p: Any = p) -> Any:
        state["block"], peeked = blocks.step(np, state["block"], p)
        return peeked.neg_log10_p

    def fdr(p: Any = p) -> Any:
        state["fdr"], decided = rule.step(np, state["fdr"], p)
        return decided

    return {
        "whiten": whiten,
        "conformal": conformal,
        "blocks": block,
        "fdr": fdr,
        "chain": lambda: fdr(block(conformal(whiten()))),
    }


def alone(series: int) -> dict[str, Run]:
    """Return what stands beside the chain."""
    x = np.random.default_rng(2).random(series)
    detector, sequence = EDetector(BetsConfig(run_length=1e6)), MeanSequence()
    evidence, known = detector.init(np, BOUNDED_BETS, series), sequence.init(np, series)
    return {
        "bounded": lambda: detector.step(np, evidence, bounded_bets(np, x, 0.05)),
        "confseq": lambda: sequence.step(np, known, x),
    }


def every_find(tests: int) -> Run:
    """Return LORD++ with the time of every discovery, as the formula is written."""
    g, p = gamma(tests + FINDS + 1), np.random.default_rng(3).random(tests)

    def run() -> None:
        found = list(range(FINDS))
        for t in range(FINDS, FINDS + tests):
            level = 0.025 * g[t] + 0.05 * sum(g[t - tau - 1] for tau in found)
            if p[t - FINDS] <= 1e-9 * level:
                found.append(t)

    return run


def points_per_second(run: Run, points: int) -> float:
    """Return the median of five rates of processor time, each over at least 40 ms."""
    rates = []
    run()
    for _ in range(5):
        started, done = time.process_time(), 0
        while (spent := time.process_time() - started) < 0.04:
            run()
            done += points
        rates.append(done / spent)
    return statistics.median(rates)


@pytest.mark.parametrize("series", [1_000, 10_000])
def test_rates(series: int) -> None:
    """Print points per second of each part, and ours against the rule that keeps every find."""
    print(f"\nerror control, one tick of {series} series, numpy {np.__version__}:")
    rates = {
        name: points_per_second(run, series)
        for name, run in {**chain(series), **alone(series)}.items()
    }
    for name, rate in rates.items():
        print(f"  {name:<10} {rate:9.3g} points/s")
    slow = points_per_second(every_find(500), 500)
    print(
        f"  every_find {slow:9.3g} tests/s after {FINDS} finds; fdr is {rates['fdr'] / slow:.0f} x"
    )
    assert rates["fdr"] > 10.0 * slow
