"""The whole judge as it ships, in the worlds that the bets alone are measured in.

What is added to the bets: the rule of a canary without one good response, errors and latency
together (the mean of their e-values), and the margin that is learnt from pods. Each bucket goes
through `govern.canary.step_many`; the first verdict of harm or of a certificate ends a run.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from homeostat.base.canary import (
    ArmCounts,
    CanaryConfig,
    CanaryMetric,
    CanaryVerdict,
    Counts,
)
from homeostat.base.units import MINUTE, TimeNs
from homeostat.govern import canary
from safety.slow import BOUNDS_S, above

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

LATENCY: Final = "latency"
_ENDS: Final = (CanaryVerdict.HARM, CanaryVerdict.CERTIFIED)


def config(margin: float, pods: int | None = None, *, learnt: bool = False) -> CanaryConfig:
    """Return the shipped settings for errors and latency.

    Args:
        margin: Multiples of stable's share of errors up to which it is no harm.
        pods: Pods of the canary.
        learnt: The margin is one that pods were seen to differ by.
    """
    errors = CanaryMetric(name="errors", margin=margin, promote_ratio=max(2.0, 1.5 * margin))
    latency = CanaryMetric(name=LATENCY, margin=1.1, bounds=BOUNDS_S)
    return CanaryConfig(metrics=(errors, latency), pods=pods, calibrated=learnt)


def verdicts(
    counts: Floats, configs: Sequence[CanaryConfig], rng: np.random.Generator, slower: float = 1.0
) -> tuple[Floats, Floats]:
    """Return the minute of harm and that of a certificate, `[run]` each; inf for never.

    Args:
        counts: Responses and bad ones of the canary and of stable, `[minute, 4, run]`.
        configs: One for each run.
        rng: Draws the latencies, the same of both arms but for `slower`.
        slower: The canary's median latency over stable's.
    """
    minutes, _, runs = counts.shape
    found = {verdict: np.full(runs, np.inf) for verdict in _ENDS}
    states = [canary.init(one) for one in configs]
    running = list(range(runs))
    for minute in range(minutes):
        now = counts[minute][:, running]
        arms = [
            _within(now[arm].astype(np.int64), ratio, rng) for arm, ratio in ((0, slower), (2, 1.0))
        ]
        items = [
            (states[run], _news(minute, now[:, at], arms[0][at], arms[1][at]), configs[run])
            for at, run in enumerate(running)
        ]
        open_still = []
        for run, (state, said) in zip(running, canary.step_many(items), strict=True):
            states[run] = state
            if said.verdict in _ENDS:
                found[said.verdict][run] = minute + 1
            else:
                open_still.append(run)
        running = open_still
        if not running:
            break
    return found[CanaryVerdict.HARM], found[CanaryVerdict.CERTIFIED]


def _within(total: np.ndarray, ratio: float, rng: np.random.Generator) -> list[tuple[float, ...]]:
    """Return the histogram of each run as a scrape has it: answers up to each bound, then all."""
    everything, over = above(total, np.full(len(total), np.log(ratio)), rng)
    cells = np.stack([*(everything - one for one in over), everything])
    return [tuple(float(one) for one in column) for column in cells.T]


def _news(
    minute: int, now: np.ndarray, mine: tuple[float, ...], theirs: tuple[float, ...]
) -> Counts:
    canary_total, canary_bad, stable_total, stable_bad = (float(one) for one in now)
    return Counts(
        at=TimeNs((minute + 1) * MINUTE), since=TimeNs(minute * MINUTE),
        canary_total=canary_total, canary_bad=canary_bad,
        stable_total=stable_total, stable_bad=stable_bad,
        histograms=(ArmCounts(metric=LATENCY, canary=mine, stable=theirs),),
    )  # fmt: skip
