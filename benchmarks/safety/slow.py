"""Slower answers: lognormal latencies in a histogram with the usual default bounds."""

import math
from typing import Final

import numpy as np
from scipy import special

from homeostat.stats.share_bet import STAKES, ln_bets, ln_mean, null_share

BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_MEDIAN_S: Final = 0.15
_SD: Final = 0.5
_SHOCK_SD: Final = 0.2  # of the logarithm, shared by both arms, fading by a tenth a minute


def found(
    requests: int, slower: float, margin: float, minutes: int, runs: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the minute in which it is found with a canary of 10 %, `[run]`; inf for never."""
    out = np.full(runs, np.inf)
    money = np.zeros((STAKES, len(BOUNDS_S), runs))
    shock = _SHOCK_SD * rng.standard_normal(runs)
    need = math.log(20.0)
    for minute in range(1, minutes + 1):
        arms = [
            above(rng.poisson(part * requests, runs), shock + math.log(ratio), rng)
            for part, ratio in ((0.1, slower), (0.9, 1.0))
        ]
        share = null_share(arms[0][0], arms[1][0], margin)
        for bound in range(len(BOUNDS_S)):
            money[:, bound] += ln_bets(arms[0][1][bound], arms[1][1][bound], share)
        ln_e = ln_mean(money.reshape(STAKES, -1)).reshape(len(BOUNDS_S), runs)
        most = ln_e.max(axis=0)
        together = most + np.log(np.exp(ln_e - most).mean(axis=0))
        out[np.isinf(out) & (together >= need)] = minute
        shock = 0.9 * shock + _SHOCK_SD * math.sqrt(0.19) * rng.standard_normal(runs)
    return out


def above(
    total: np.ndarray, shift: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return responses, and how many of them are above each bound.

    Args:
        total: Responses, `[run]`.
        shift: Of the logarithm of the latency, `[run]`.
        rng: Draws them.
    """
    left, before, out = total.copy(), np.ones(len(total)), []
    for bound in BOUNDS_S:
        tail = special.ndtr((shift - math.log(bound / _MEDIAN_S)) / _SD)
        left = rng.binomial(left, np.clip(tail / np.maximum(before, 1e-300), 0.0, 1.0))
        before = tail
        out.append(left.astype(float))
    return total.astype(float), out
