"""The 60 s windows that SLA compliance counts, and what counts as damage.

A window's 99th percentile is within the objective when at most 1 % of its requests are slower; the
share of slower requests in a second is read off its p50, p95 and p99 (exponential in between and
beyond). The mean or the largest of the seconds' p99 would be another quantity. Windows without a
request say nothing.

Damage is a stretch of violated seconds that makes a window miss its objectives. Load trembles, and
with it the p99 of a healthy deployment: a second above the limit half an hour after a fault that
never hurt is not what the fault did.
"""

import math
from dataclasses import dataclass

import numpy as np

from homeostat.lab.judge_view import (
    Floats,
    Mask,
    View,
    array,
    last_true,
    run_length,
    ticks,
    violated,
)
from homeostat.lab.thresholds import Thresholds
from homeostat.twin.shapes import TICK_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Windows side by side; an unfinished last one is left out.

    Attributes:
        requests: Unique requests [N, W].
        counted: Whole windows with requests [N, W].
        met: Of them those that met every objective [N, W].
        fast: Of them those whose 99th percentile did [N, W].
    """

    requests: Floats
    counted: Mask
    met: Mask
    fast: Mask


def windows(seen: View, thresholds: Thresholds) -> Windows:
    """Return the windows of a batch of episodes."""
    truth = seen.truth
    width = ticks(thresholds.sla_window_s)
    offered = np.where(seen.valid, array(truth.offered), 0.0) * TICK_S
    good = np.where(seen.valid, array(truth.good), 0.0) * TICK_S
    slow = share_above(seen.p99_slo_s, array(truth.p50_s), array(truth.p95_s), array(truth.p99_s))
    has = offered > 0.0
    requests, answered, late, quality = (
        _folded(values, width)
        for values in (
            offered,
            good,
            np.where(has, offered * slow, 0.0),
            np.where(has, offered * array(truth.quality), 0.0),
        )
    )
    counted = (_folded(seen.valid, width) == width) & (requests > 0.0)
    # Sums of float32 rates: a thousandth of what is allowed is below what they can tell.
    allowed = (1.0 - seen.availability) * requests * (1.0 + 1e-3)
    fast = counted & (late <= thresholds.sla_p99_tail * requests * (1.0 + 1e-3))
    met = fast & (requests - answered <= allowed)
    met &= quality >= seen.floor * requests * (1.0 - 1e-6)
    return Windows(requests=requests, counted=counted, met=met, fast=fast)


def damaged(seen: View, thresholds: Thresholds, *, latency_alone: bool = False) -> Mask:
    """Return the seconds of damage [N, T].

    Args:
        seen: The policy's.
        thresholds: The numbers.
        latency_alone: Only the 99th percentile counts.
    """
    found = windows(seen, thresholds)
    bad = too_slow(seen) if latency_alone else violated(seen)
    missed = found.counted & ~(found.fast if latency_alone else found.met)
    touched = np.zeros_like(bad)
    spread = np.repeat(missed, ticks(thresholds.sla_window_s), axis=1)
    touched[:, : spread.shape[1]] = spread
    touched &= bad
    return _since_began(bad, touched) | _since_began(bad[:, ::-1], touched[:, ::-1])[:, ::-1]


def too_slow(seen: View) -> Mask:
    """Return the seconds with the 99th percentile above what was promised [N, T]."""
    return np.asarray((array(seen.truth.p99_s) > seen.p99_slo_s) & seen.valid)


def share_above(limit: Floats, p50: Floats, p95: Floats, p99: Floats) -> Floats:
    """Return the share of requests slower than a limit, from three quantiles of their latency.

    Args:
        limit: Seconds, broadcastable to the quantiles.
        p50: Median.
        p95: 95th percentile.
        p99: 99th percentile.

    Returns:
        Shares; 1 % exactly at p99.
    """
    fast = 1.0 - 0.5 * limit / np.maximum(p50, 1e-12)
    middle = _between(limit, (p50, 0.5), (p95, 0.05))
    tail = _between(limit, (p95, 0.05), (p99, 0.01))
    return np.where(limit < p50, fast, np.where(limit < p95, middle, tail))


def _between(limit: Floats, left: tuple[Floats, float], right: tuple[Floats, float]) -> Floats:
    """Return the exponential through two points of a tail, for limits from the left one on.

    Where both fall together (every request gives up at the deadline) the right one holds.
    """
    width = np.maximum(right[0] - left[0], 1e-12)
    steps = np.clip((limit - right[0]) / width, -1.0, 1e3)
    return np.asarray(np.exp(math.log(right[1]) + math.log(right[1] / left[1]) * steps))


def _folded(values: Floats | Mask, width: int) -> Floats:
    """Return sums over windows side by side [N, windows]; an unfinished last one is left out."""
    count = values.shape[1] // width
    cut = values[:, : count * width].reshape(len(values), count, width)
    return np.asarray(cut.sum(axis=2, dtype=np.float64))


def _since_began(runs: Mask, touched: Mask) -> Mask:
    """Return the ticks of runs that have been touched since their run began [N, T]."""
    begin = np.arange(runs.shape[1]) - run_length(runs) + 1
    return np.asarray(runs & (last_true(touched) >= begin))
