"""K7: answers that are too often wrong for too long, by an own change or by standing by.

Two ways to it. By a change (promote, shift, retrain): true quality is below the catastrophe floor
for 30 min after an own action, and HOLD is not inside such a stretch; which kind of action it was
does not matter. By holding: delivered labels have proven it for 60 min without a break (the
twin's `evidence_low`), and nothing was done that answers it. This one is not paired with HOLD, for
HOLD is what it judges, and counts as caused. Readings:

- Answers are: a retraining, a rollback, a shift of at least a point of traffic ordered while the
  evidence stands, each of which starts the 60 min anew; and an escalation, which hands the matter
  over for good: one made while the evidence stands, or one made before it, after the onset, that
  named the right family. One made before it that named none or a wrong one answers for as long as
  the person is at it (the human model). Scaling, batching or restarting answer nothing.
- An action ordered before the evidence stands is no answer to it: the clock begins with the
  evidence. A promotion that it leads to later is a shift, and one.
- Raw: quality below the floor for 30 min, whoever did it, or the second way.
"""

import math
from itertools import pairwise

import numpy as np

from homeostat.lab.human import responses
from homeostat.lab.judge_view import (
    Mask,
    View,
    array,
    catastrophe_floors,
    run_length,
    sustained,
    ticks,
)
from homeostat.lab.thresholds import Thresholds
from homeostat.lab.types import FAMILIES, Episode, Trace
from homeostat.twin.orders import Orders
from homeostat.twin.shapes import SCRAPE_S, TICK_S

_PER_SCRAPE = round(SCRAPE_S / TICK_S)


def poor_answers(seen: View, hold: View, thresholds: Thresholds) -> tuple[Mask, Mask]:
    """Return K7 by a change (raw, caused), [N, T] each."""
    least = ticks(thresholds.k7_for_s)
    ours, other = _low(seen, thresholds), _low(hold, thresholds)
    own = sustained(ours & seen.after, least) & ~sustained(other, least)
    return run_length(ours) >= least, run_length(own) >= least


def stood_by(
    seen: View,
    trace: Trace,
    orders: Orders | None,
    thresholds: Thresholds,
    *,
    person_scale: float = 1.0,
) -> Mask:
    """Return K7 by holding: the tick in which the 60 min are over [N, T].

    Args:
        seen: The policy's.
        trace: For its pages and diagnoses.
        orders: In force during each scrape [N, D, ...]; None = only shifts can be seen.
        thresholds: The numbers.
        person_scale: Of the human model's delays.
    """
    out = np.zeros_like(seen.valid)
    least = ticks(thresholds.k7_hold_s)
    evidence = np.asarray(seen.truth.evidence_low, dtype=bool) & seen.valid
    long = sustained(evidence, least)
    answered = _answers(seen, orders, thresholds) if long.any() else out
    for row in np.flatnonzero(long.any(axis=1)).tolist():
        told, named = _told(trace, row)
        for begin, end in _runs(long[row]):
            if (named < begin).any():
                continue
            earlier, later = told[told < begin], told[told >= begin]
            at_it = _at_it(trace.episodes[row], earlier, thresholds, person_scale)
            stop = min(end, int(later[0])) if later.size else end
            out[row, _unanswered(answered[row], max(begin, at_it), stop, least)] = True
    return out


def _at_it(episode: Episode, told: np.ndarray, thresholds: Thresholds, scale: float) -> int:
    """Return the tick from which nobody is at it any more who was told before."""
    paged = (told * TICK_S).tolist()
    answers = responses(episode, paged, scale=scale, thresholds=thresholds)
    return math.ceil(answers[-1].fixed_s / TICK_S) if answers else 0


def _unanswered(answered: np.ndarray, begin: int, stop: int, least: int) -> list[int]:
    """Return the ticks in which so much time had passed since the evidence or the last answer."""
    marks = [begin, *(np.flatnonzero(answered[begin:stop]) + begin).tolist(), stop]
    return [one + least - 1 for one, other in pairwise(marks) if other - one >= least]


def _low(seen: View, thresholds: Thresholds) -> Mask:
    floor, slice_floor = catastrophe_floors(seen, thresholds)
    low = array(seen.truth.quality) < floor
    low |= array(seen.truth.slice_quality) < slice_floor
    return np.asarray(low & seen.valid)


def _answers(seen: View, orders: Orders | None, thresholds: Thresholds) -> Mask:
    """Return the ticks in which a retraining, a rollback or a shift of ours begins [N, T]."""
    out = np.zeros_like(seen.valid)
    step = thresholds.k6_weight_step - 1e-6
    if orders is None:
        moved = np.abs(np.diff(array(seen.truth.weights), axis=1)).max(axis=2) >= step
        out[:, 1:] = moved & seen.acted[:, 1:]
        return out
    ordered = np.asarray(orders.retrain, dtype=bool) | np.asarray(orders.retrain_ungated)
    ordered = ordered | np.asarray(orders.rollback, dtype=bool).any(axis=2)
    shifted = np.abs(np.diff(array(orders.weights), axis=1)).max(axis=2) >= step
    ordered[:, 1:] |= shifted
    at = np.arange(ordered.shape[1]) * _PER_SCRAPE
    fits = at < out.shape[1]
    out[:, at[fits]] = ordered[:, fits]
    return out


def _told(trace: Trace, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ticks after the onset in which a person was told, and of the right family."""
    episode = trace.episodes[row]
    at = (np.arange(np.shape(trace.moves["paged"])[1]) + 1) * _PER_SCRAPE
    paged = np.asarray(trace.moves["paged"][row], dtype=bool) & (at * TICK_S >= episode.onset_s)
    right = np.asarray(trace.moves["family"][row]) == FAMILIES.index(episode.family)
    return at[paged], at[paged & right]


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Return the runs of a row as (first tick, tick after the last)."""
    edges = np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8))
    return list(zip(np.flatnonzero(edges > 0), np.flatnonzero(edges < 0), strict=True))
