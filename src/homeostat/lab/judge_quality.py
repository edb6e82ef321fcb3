"""K7: answers that are too often wrong for too long, by an own change or by standing by.

Two ways to it. By a change (promote, shift, retrain): true quality is below the catastrophe floor
for 30 min after an own action, and HOLD is not inside such a stretch; which kind of action it was
does not matter. By holding: delivered labels have proven it for 60 min without a break (the
twin's `evidence_low`), and nothing was done that answers it. This one is not paired with HOLD, for
HOLD is what it judges, and counts as caused. Readings:

- Answers are orders that change what was proven bad while the evidence stands, each of which starts
  the 60 min anew: the first retraining, the first rollback of a variant that is poor, and a shift
  that leaves the poor variants half of the traffic or less that they had at the last answer. Asking
  for the same again, or moving a point of traffic to and fro, answers nothing; nor do scaling,
  batching or restarting. Poor are the variants with traffic whose true quality is below the
  catastrophe floor; where none is (the slice alone is), the one that has most of it.
- An escalation hands the matter over for good: one made while the evidence stands, or one made
  before it, after the onset, that named the right family. One made before it that named none or a
  wrong one answers for as long as the person is at it (the human model).
- An action ordered before the evidence stands is no answer to it: the clock begins with the
  evidence. A promotion that it leads to later is a shift, and one.
- Raw: quality below the floor for 30 min, whoever did it, or the second way.
"""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from homeostat.lab.human import responses
from homeostat.lab.judge_view import (
    Floats,
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
    given = _given(seen, orders, thresholds) if long.any() else None
    for row in np.flatnonzero(long.any(axis=1)).tolist():
        told, named = _told(trace, row)
        for begin, end in _runs(long[row]):
            if (named < begin).any():
                continue
            earlier, later = told[told < begin], told[told >= begin]
            at_it = _at_it(trace.episodes[row], earlier, thresholds, person_scale)
            stop = min(end, int(later[0])) if later.size else end
            first = max(begin, at_it)
            if given is None or first >= stop:
                continue
            poor = _poor(seen, row, first, thresholds)
            marks = [first, *_answers(given, row, (first, stop), poor), stop]
            out[row, _unanswered(marks, least)] = True
    return out


def _at_it(episode: Episode, told: np.ndarray, thresholds: Thresholds, scale: float) -> int:
    """Return the tick from which nobody is at it any more who was told before."""
    paged = (told * TICK_S).tolist()
    answers = responses(episode, paged, scale=scale, thresholds=thresholds)
    return math.ceil(answers[-1].fixed_s / TICK_S) if answers else 0


def _unanswered(marks: list[int], least: int) -> list[int]:
    """Return the ticks in which so much time had passed since the evidence or the last answer."""
    return [one + least - 1 for one, other in pairwise(marks) if other - one >= least]


def _low(seen: View, thresholds: Thresholds) -> Mask:
    floor, slice_floor = catastrophe_floors(seen, thresholds)
    low = array(seen.truth.quality) < floor
    low |= array(seen.truth.slice_quality) < slice_floor
    return np.asarray(low & seen.valid)


class _Given(NamedTuple):
    """What was ordered in each tick.

    Attributes:
        retrains: A retraining is ordered [N, T].
        rollbacks: A rollback of each variant is [N, T, V].
        weights: Shares that are ordered [N, T, V].
    """

    retrains: Mask
    rollbacks: Mask
    weights: Floats


def _given(seen: View, orders: Orders | None, thresholds: Thresholds) -> _Given:
    """Return orders tick by tick; without them what own actions did to traffic, and no more."""
    shape = np.shape(seen.truth.weights)
    if orders is None:
        nothing = np.zeros(shape, dtype=bool)
        return _Given(nothing[:, :, 0], nothing, _own_weights(seen, thresholds))
    retrains = np.asarray(orders.retrain, dtype=bool) | np.asarray(orders.retrain_ungated)
    rollbacks = np.asarray(orders.rollback, dtype=bool)
    at = np.arange(retrains.shape[1]) * _PER_SCRAPE
    fits = at < shape[1]
    out = _Given(
        np.zeros(shape[:2], dtype=bool), np.zeros(shape, dtype=bool), np.zeros(shape, float)
    )
    out.retrains[:, at[fits]] = retrains[:, fits]
    out.rollbacks[:, at[fits]] = rollbacks[:, fits]
    weights = np.repeat(array(orders.weights), _PER_SCRAPE, axis=1)[:, : shape[1]]
    out.weights[:, : weights.shape[1]] = weights
    out.weights[:, weights.shape[1] :] = weights[:, -1:]
    out.weights[:] /= np.maximum(out.weights.sum(axis=2, keepdims=True), 1e-9)
    return out


def _own_weights(seen: View, thresholds: Thresholds) -> Floats:
    """Return traffic shares as they would be had nobody but us moved them [N, T, V]."""
    weights = array(seen.truth.weights)
    step = np.zeros_like(weights)
    step[:, 1:] = np.diff(weights, axis=1)
    large = np.abs(step).max(axis=2) >= thresholds.k6_weight_step - 1e-6
    step[~(large & seen.acted)] = 0.0
    return np.asarray(weights[:, :1] + np.cumsum(step, axis=1))


def _poor(seen: View, row: int, at: int, thresholds: Thresholds) -> np.ndarray:
    """Return which variants serve what has been proven bad at a tick [V], bool."""
    shares = array(seen.truth.weights)[row, at]
    floor, _ = catastrophe_floors(seen, thresholds)
    poor = (array(seen.truth.variant_quality)[row, at] < floor[row]) & (shares > 0.0)
    most = np.arange(len(shares)) == int(shares.argmax())
    return np.asarray(poor if poor.any() else most)


def _answers(given: _Given, row: int, span: tuple[int, int], poor: np.ndarray) -> list[int]:
    """Return the ticks of a span in which something that was proven bad begins to change."""
    begin, stop = span
    found = set(np.flatnonzero(given.retrains[row, begin:stop])[:1].tolist())
    for variant in np.flatnonzero(poor).tolist():
        found |= set(np.flatnonzero(given.rollbacks[row, begin:stop, variant])[:1].tolist())
    shares = given.weights[row, :, poor].sum(axis=0)
    left = shares[max(begin - 1, 0)]
    for at in (np.flatnonzero(np.diff(shares[max(begin - 1, 0) : stop]) < 0.0)).tolist():
        tick = max(begin - 1, 0) + at + 1
        if shares[tick] <= left / 2.0 + 1e-9 and tick >= begin:
            left = shares[tick]
            found.add(tick - begin)
    return sorted(begin + one for one in found)


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
