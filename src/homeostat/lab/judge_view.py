"""What the judge looks at: a trace's truth as plain arrays, with the episode's promises beside it.

Also the few operations on time that the codes are made of: runs, windows, and what came last.
Every array is [N, T], ticks along the last axis. Ticks past an episode's own length are not valid
and never prove anything; neither does NaN. Nothing is judged here.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from homeostat.lab.thresholds import Thresholds
from homeostat.lab.types import Episode, Trace
from homeostat.twin.outputs import Truth
from homeostat.twin.params import Params
from homeostat.twin.shapes import TICK_S

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A batch of episodes under one policy.

    Attributes:
        truth: As recorded, NumPy, [N, T, ...].
        valid: Ticks that belong to the episode [N, T].
        acted: Ticks in which an own action took effect [N, T].
        after: Ticks at or after the first of them [N, T].
        p99_slo_s: Promised 99th percentile [N, 1].
        availability: Promised share of good answers [N, 1].
        floor: Promised quality [N, 1].
        budget_usd_per_hour: Hourly budget [N, 1].
        hard_cap: Most replicas [N, 1].
        onset_tick: First tick of the first fault [N, 1]; the number of ticks when there is none.
    """

    truth: Truth
    valid: Mask
    acted: Mask
    after: Mask
    p99_slo_s: Floats
    availability: Floats
    floor: Floats
    budget_usd_per_hour: Floats
    hard_cap: Floats
    onset_tick: Ints


def view(trace: Trace) -> View:
    """Return a trace as the judge sees it.

    Raises:
        ValueError: The trace's arrays do not have an episode per row.
    """
    acted = np.asarray(trace.truth.acted, dtype=bool)
    if acted.ndim != 2 or acted.shape[0] != len(trace.episodes):  # noqa: PLR2004  # [N, T]
        raise ValueError(
            f"need truth of [{len(trace.episodes)}, T], got {acted.shape}; "
            "record one row per episode"
        )
    ticks = acted.shape[1]
    lengths = np.array([e.length_s for e in trace.episodes]) / TICK_S
    valid = np.arange(ticks) < lengths[:, None]
    acted = acted & valid
    onset = np.array([min(e.onset_s / TICK_S, float(ticks)) for e in trace.episodes])
    return View(
        truth=trace.truth,
        valid=valid,
        acted=acted,
        after=np.logical_or.accumulate(acted, axis=1),
        p99_slo_s=column(trace.episodes, lambda p: p.promise.p99_s),
        availability=column(trace.episodes, lambda p: p.promise.availability),
        floor=column(trace.episodes, lambda p: p.quality.floor),
        budget_usd_per_hour=column(trace.episodes, lambda p: p.money.budget_usd_per_hour),
        hard_cap=column(trace.episodes, lambda p: p.money.hard_cap),
        onset_tick=np.ceil(onset).astype(np.int64)[:, None],
    )


def column(episodes: tuple[Episode, ...], read: Callable[[Params], object]) -> Floats:
    """Return one parameter of every episode as a column [N, 1]."""
    return np.array([[float(np.asarray(read(e.params)))] for e in episodes])


def ticks(seconds: float) -> int:
    """Return a duration in ticks, at least one."""
    return max(1, round(seconds / TICK_S))


def array(values: object) -> Floats:
    """Return recorded values in double precision."""
    return np.asarray(values, dtype=np.float64)


def violated(seen: View) -> Mask:
    """Return the ticks in which the service was not what was promised [N, T].

    Availability, the 99th percentile or quality; in a tick without requests only the latter two.
    """
    truth = seen.truth
    good, offered = array(truth.good), array(truth.offered)
    # Float32 sums of rates: a thousandth of the promised loss is below what they can tell.
    slack = 1e-3 * (1.0 - seen.availability) * offered
    unavailable = good < seen.availability * offered - slack
    slow = array(truth.p99_s) > seen.p99_slo_s
    poor = array(truth.quality) < seen.floor
    return (unavailable | slow | poor) & seen.valid


def catastrophe_floors(seen: View, thresholds: Thresholds) -> tuple[Floats, Floats]:
    """Return the floors of K7 for all users and for the slice, [N, 1] each.

    The baseline is what the promised floor is measured from: floor + 0.05.
    """
    baseline = seen.floor + thresholds.quality_drop
    return baseline - thresholds.k7_drop, baseline - thresholds.k7_slice_drop


def run_length(mask: Mask) -> Ints:
    """Return how many ticks in a row the mask has been true, up to and with each tick."""
    index = np.arange(mask.shape[1])
    last_false = np.maximum.accumulate(np.where(mask, -1, index), axis=1)
    return np.asarray(index - last_false, dtype=np.int64)


def sustained(mask: Mask, least: int) -> Mask:
    """Return the ticks that belong to runs of at least so many true ticks."""
    behind = run_length(mask)
    ahead = run_length(mask[:, ::-1])[:, ::-1]
    return np.asarray(mask & (behind + ahead - 1 >= least))


def window_sum(values: Floats | Mask, width: int, before: Floats | float = 0.0) -> Floats:
    """Return trailing sums over `width` ticks; ticks before the first count as `before`.

    Args:
        values: [N, T].
        width: Of the window, at least 1.
        before: What stands for each tick before the first: a number or a column [N, 1].
    """
    total = np.cumsum(values, axis=1, dtype=np.float64)
    out = total.copy()
    out[:, width:] -= total[:, :-width]
    missing = np.maximum(width - 1 - np.arange(values.shape[1]), 0)
    return np.asarray(out + before * missing)


def window_any(mask: Mask, width: int) -> Mask:
    """Return whether the mask was true in any of the last `width` ticks, this one included."""
    last = last_true(mask)
    return (last >= 0) & (last > np.arange(mask.shape[1]) - width)


def last_true(mask: Mask) -> Ints:
    """Return the index of the latest true tick at or before each tick, -1 = none yet."""
    return np.maximum.accumulate(np.where(mask, np.arange(mask.shape[1]), -1), axis=1)


def first_true(mask: Mask) -> Ints:
    """Return the index of the first true tick of each row, -1 = none [N]."""
    return np.where(mask.any(axis=1), mask.argmax(axis=1), -1).astype(np.int64)
