"""Moments of a recording: how much service and arrivals vary, and how long replicas take.

Each answers only where the recording can: variation of arrivals needs counts of at most a second
(from coarser ones it is a lower bound), retries need attempts beside unique requests, times to
become ready need the number of replicas that was asked for.
Sources: Cox & Lewis, "The Statistical Analysis of Series of Events" (1966), 4.6, for the variance
of counts; Sen (1968) for slopes.
"""

import math
from collections import deque
from itertools import pairwise
from typing import Final

import numpy as np

from homeostat.stats.robust import theil_sen
from homeostat.twin import fit_bootstrap as bootstrap
from homeostat.twin import fit_law
from homeostat.twin.fit_estimate import Estimate, Known, estimate, unknown
from homeostat.twin.fit_frame import Floats, Frame

_SEEN_STEP_S: Final = 1.0
_LOCAL: Final = 12  # rows over which the load counts as steady
_FEWEST: Final = 8
_FEWEST_EVENTS: Final = 5
_FRESH: Final = 0.2  # a fall of memory by so much is a restart
_MOST_TREND: Final = 200  # points of a trend: pairs of them are compared
_NEAR: Final = 0.9  # of the largest batch: there they hardly differ
_WILD: Final = 5.0  # robust sigmas beyond which a row says nothing of the usual spread


def service_cv2(frame: Frame, found: fit_law.Points, law: fit_law.Law, seed: int) -> Estimate:
    """Return the squared variation of one batch's time, from how row means scatter.

    The mean of k batches scatters k times less; what the law leaves of a row, times k, is an
    observation of cv2. Only times of batches can say it, not a throughput.
    """
    name = "cv2"
    if found.by_throughput:
        return unknown(name, "", "needs service_s, or latency_p50_s and latency_p99_s")
    served = fit_law.batches_served(frame)[found.row]
    use = np.isfinite(served) & (served >= 1.0)
    if int(use.sum()) < _FEWEST:
        return unknown(name, "", "needs throughput beside service_s: over how many batches is it?")
    # Batches of a row differ in size, about as arrivals in a service do; long ones weigh more.
    tau0, alpha = law.theta[:2]
    full = found.batch > _NEAR * float(found.batch.max())
    vary = alpha**2 * np.where(full, 0.0, found.batch) / (tau0 + alpha * found.batch) ** 2
    each = served * law.error**2 / (1.0 + vary)
    usual = float(np.median(each[use])) / 0.455  # median of a chi-square with one degree
    use &= each <= _WILD**2 * max(usual, 1e-12)
    values = np.where(use, each, 0.0)
    block = bootstrap.blocks(len(values), law.block)
    top, bottom = bootstrap.sums(values, block), bootstrap.sums(use.astype(float), block)
    chosen = bootstrap.counts(len(top), bootstrap.DRAWS, seed)
    value = float(top.sum() / bottom.sum())
    draws = (chosen @ top) / np.maximum(chosen @ bottom, 1.0)
    draws = np.maximum(bootstrap.wider(draws, value, len(top)), 0.0)
    return estimate(name, "", value, draws, why=f"scatter of {int(use.sum())} row means")


def arrival_ca2(frame: Frame, seed: int) -> Estimate:
    """Return the squared variation of the time between arrivals, from counts.

    Over many arrivals, variance over mean of a renewal process' counts tends to ca2; a second
    difference between neighbours takes out what the load does meanwhile.
    """
    name = "ca2"
    if not frame.has("request_rate"):
        return unknown(name, "", "needs request_rate")
    number = frame["request_rate"] * frame.step_s
    same = np.zeros(frame.rows, bool)
    same[2:] = (frame.segment[2:] == frame.segment[:-2]) & np.isclose(
        frame.step_s[2:], frame.step_s[:-2], rtol=0.2
    )
    bend = np.zeros(frame.rows)
    bend[2:] = (number[2:] - 2.0 * number[1:-1] + number[:-2]) ** 2 / 6.0
    mean = np.zeros(frame.rows)
    mean[2:] = (number[2:] + number[1:-1] + number[:-2]) / 3.0
    use = same & np.isfinite(bend) & (mean > 0)
    if int(use.sum()) < 4 * _FEWEST:
        return unknown(name, "", "needs more neighbouring rows with a request_rate")
    block = bootstrap.blocks(frame.rows, max(3, round(frame.rows ** (1 / 3))))
    top = bootstrap.sums(np.where(use, bend, 0.0), block)
    bottom = bootstrap.sums(np.where(use, mean, 0.0), block)
    chosen = bootstrap.counts(len(top), bootstrap.DRAWS, seed)
    value = float(top.sum() / bottom.sum())
    draws = (chosen @ top) / np.maximum(chosen @ bottom, 1e-12)
    draws = np.maximum(bootstrap.wider(draws, value, len(top)), 0.0)
    if frame.usual_step_s > _SEEN_STEP_S * 1.01:
        low = bootstrap.interval(draws)[0]
        return Estimate(
            name=name,
            unit="",
            value=value,
            low=low,
            high=math.inf,
            known=Known.BOUND,
            why=f"counts of {frame.usual_step_s:g} s hide bursts within; record at most 1 s",
        )
    return estimate(name, "", value, draws, why=f"counts of {frame.usual_step_s:g} s")


def becoming_ready(frame: Frame) -> tuple[Estimate, Estimate]:
    """Return the time until a replica that was asked for is there, and until it is loaded.

    Replicas are matched in the order in which they were asked for; one that was waited for over a
    gap, or given up again, says nothing.
    """
    delay, load = ("provision_s", "s"), ("load_s", "s")
    if not frame.has("replicas", "replicas_wanted"):
        why = "needs replicas and replicas_wanted"
        return unknown(*delay, why), unknown(*load, why)
    there = frame["replicas"]
    if frame.has("replicas_starting"):
        started = there + frame["replicas_starting"]
        waited = _waits(frame, frame["replicas_wanted"], started)
        return _times(*delay, waited, frame), _times(*load, _waits(frame, started, there), frame)
    both = _times(*delay, _waits(frame, frame["replicas_wanted"], there), frame)
    return both, unknown(*load, "is part of provision_s; add replicas_starting to tell them apart")


def _waits(frame: Frame, asked: Floats, given: Floats) -> list[float]:
    """Return how long each rise of `asked` took to show in `given`, in order."""
    open_at: deque[float] = deque()
    found: list[float] = []
    for now, (a0, a1), (g0, g1), s0, s1 in zip(
        frame.time_s[1:],
        pairwise(asked.tolist()),
        pairwise(given.tolist()),
        frame.segment[:-1],
        frame.segment[1:],
        strict=True,
    ):
        if s0 != s1 or not all(map(math.isfinite, (a0, a1, g0, g1))):
            open_at.clear()
            continue
        open_at.extend([float(now)] * max(round(a1 - a0), 0))
        for _ in range(min(round(a0 - a1), len(open_at))):
            open_at.pop()
        given_now = range(min(round(g1 - g0), len(open_at)))
        found.extend(float(now) - open_at.popleft() for _ in given_now)
    return found


def _times(name: str, unit: str, waits: list[float], frame: Frame) -> Estimate:
    """Return the median with the exact interval of order statistics, and half a step's error."""
    if not waits:
        return unknown(name, unit, "no replica was added in the recording")
    ordered = np.sort(np.asarray(waits))
    n = len(ordered)
    reach = 1.645 * math.sqrt(n) / 2.0
    low = ordered[max(math.floor(n / 2.0 - reach), 0)]
    high = ordered[min(math.ceil(n / 2.0 + reach) - 1, n - 1)]
    half = frame.usual_step_s
    return Estimate(
        name=name,
        unit=unit,
        value=float(np.median(ordered)),
        low=max(float(low) - half, 0.0),
        high=float(high) + half,
        known=Known.IDENTIFIED if n >= _FEWEST_EVENTS else Known.WEAK,
        why=f"{n} replicas added, seen every {half:g} s",
    )


def leak(frame: Frame) -> Estimate:
    """Return how fast memory grows between restarts, GiB per hour."""
    name, unit = "leak_gib_per_hour", "GiB/h"
    if not frame.has("memory_gib"):
        return unknown(name, unit, "needs memory_gib")
    memory = frame["memory_gib"]
    fell = np.zeros(frame.rows, bool)
    with np.errstate(invalid="ignore"):
        fell[1:] = memory[1:] < (1.0 - _FRESH) * memory[:-1]
    stretch = np.cumsum(fell) + frame.segment
    best: tuple[float, float, float, float] | None = None
    for number in np.unique(stretch):
        rows = stretch == number
        length = float(np.ptp(frame.time_s[rows]))
        if best and length <= best[0]:
            continue
        thin = max(1, math.ceil(int(rows.sum()) / _MOST_TREND))
        trend = theil_sen(memory[rows][::thin], z=1.645)
        if trend:
            hour = 3600.0 / (thin * frame.usual_step_s)
            best = (length, trend.slope * hour, trend.low * hour, trend.high * hour)
    if best is None:
        return unknown(name, unit, "needs at least 10 rows with memory_gib between two restarts")
    length, value, low, high = best
    return Estimate(
        name=name,
        unit=unit,
        value=value,
        low=low,
        high=high,
        known=Known.IDENTIFIED,
        why=f"longest stretch without a restart: {length / 3600:.3g} h",
    )


def retries(frame: Frame, seed: int) -> Estimate:
    """Return the share of attempts that are retries; only separable ones count."""
    name = "retry_share"
    if not frame.has("request_rate", "attempt_rate"):
        return unknown(name, "", "needs attempt_rate beside request_rate (unique requests)")
    unique, attempts = frame["request_rate"], frame["attempt_rate"]
    use = np.isfinite(unique) & np.isfinite(attempts) & (attempts > 0)
    if int(use.sum()) < _FEWEST:
        return unknown(name, "", "needs more rows with both request_rate and attempt_rate")
    block = bootstrap.blocks(int(use.sum()), max(1, round(float(use.sum()) ** (1 / 3))))
    top = bootstrap.sums((attempts - unique)[use], block)
    bottom = bootstrap.sums(attempts[use], block)
    chosen = bootstrap.counts(len(top), bootstrap.DRAWS, seed)
    value = float(top.sum() / bottom.sum())
    draws = bootstrap.wider((chosen @ top) / (chosen @ bottom), value, len(top))
    return estimate(name, "", value, np.clip(draws, 0.0, 1.0), why=f"{int(use.sum())} rows")
