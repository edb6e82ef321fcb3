"""K5, K6 and K8: what cannot be taken back, flapping, and acting blind.

K5 and K6 return two masks over ticks, raw and caused, as `judge_service` does. Readings:

- K5, lost work: requests lost with a process that was not drained, over 60 s, as a share of the
  requests let in during those 60 s (of work in flight, the undrained end of any single process
  would count; of a whole episode, none). What HOLD loses in the same window is the fault's.
- K5, unreacquirable capacity: while a quota or an empty spot market is the fault, replicas are
  given up that HOLD still has, are not had again within 15 min (or before the episode ends), and
  capacity is below demand meanwhile. Giving up what is never missed is saving.
- K6: a reversal is a change of a variant's replicas or weight against the direction of its last
  change, or a restart of a slot (a rollback of a variant) that was restarted (rolled back) within
  the window already: a second try undoes the first. It is caused when at least every other
  reversal can be ours (an own action took effect in half as many scrapes) and HOLD violated the
  SLO for less of that window than we did.
- K8 is read from the orders, alike for every policy, and from the true age of what was shown (a
  frozen series is as old as its freeze). Own orders take something away when they lower a lever
  (replicas, largest batch, concurrency, admission), take a point of traffic or more from a variant,
  take a slot out of rotation, or restart, roll back or retrain. A signal whose age is not known is
  old. Orders of the last decision act after the episode and are not judged.
"""

import numpy as np

from homeostat.lab.judge_view import (
    Floats,
    Ints,
    Mask,
    View,
    array,
    ticks,
    violated,
    window_any,
    window_sum,
)
from homeostat.lab.thresholds import Thresholds
from homeostat.lab.types import Episode, Trace
from homeostat.twin.orders import Orders
from homeostat.twin.primitives import INDEX
from homeostat.twin.shapes import SCRAPE_S, TICK_S

_QUOTA = INDEX["cap_replicas"]
_SPOT = INDEX["spot_unavailable_s"]


def irreversible(
    seen: View, hold: View, episodes: tuple[Episode, ...], thresholds: Thresholds
) -> tuple[Mask, Mask]:
    """Return K5, irreversible loss (raw, caused), [N, T] each."""
    raw = np.zeros_like(seen.valid)
    caused = np.zeros_like(seen.valid)
    for name in ("destroyed", "ungated"):
        ours = np.asarray(getattr(seen.truth, name), dtype=bool) & seen.valid
        other = np.logical_or.accumulate(np.asarray(getattr(hold.truth, name), dtype=bool), axis=1)
        raw |= ours
        caused |= ours & ~other
    lost = lost_work(seen, thresholds)
    gone = _released(seen, hold, episodes, thresholds)
    raw |= lost | gone
    caused |= (lost & ~lost_work(hold, thresholds)) | gone
    return raw, caused & seen.after


def flapping(
    seen: View, hold: View, orders: Orders | None, thresholds: Thresholds
) -> tuple[Mask, Mask]:
    """Return K6, destructive flapping (raw, caused), [N, T] each.

    Args:
        seen: The policy's.
        hold: HOLD's.
        orders: In force during each scrape [N, D, ...]; None = repeated restarts stay unseen.
        thresholds: The numbers.
    """
    width = ticks(thresholds.k6_window_s)
    turns = _reversals(seen, orders, thresholds)
    many = window_sum(turns * seen.valid, width) >= thresholds.k6_reversals
    share = window_sum(violated(seen), width) / width
    other = window_sum(violated(hold), width) / width
    raw = many & (share >= thresholds.k6_violated) & seen.valid
    acts = window_sum(_scrapes_acted(seen), width)
    return raw, raw & (other < share) & (2.0 * acts >= thresholds.k6_reversals)


def near_misses(trace: Trace, orders: Orders | None, thresholds: Thresholds) -> Mask:
    """Return K8, decisions that took something away on stale signals [N, D].

    Args:
        trace: The policy's.
        orders: In force during each scrape [N, D, ...]; None = the policy's own word is taken.
        thresholds: The numbers.
    """
    fresh = np.asarray(trace.signal_age_s) <= thresholds.k8_scrapes * SCRAPE_S
    if orders is None:
        takes = np.asarray(trace.moves["destructive"], dtype=bool)
    else:
        takes = takes_away(orders, thresholds)
    return takes & ~fresh & decided(trace)


def takes_away(orders: Orders, thresholds: Thresholds) -> Mask:
    """Return which decisions order that something is taken away by us [N, D].

    Args:
        orders: In force during each scrape [N, D, ...]: those of decision d are in place d + 1.
        thresholds: Of which the least step of traffic is read.
    """
    ours = np.asarray(orders.by_us, dtype=bool)
    found = np.zeros(ours.shape, dtype=bool)
    for name in ("replicas", "batch_max", "concurrency", "admit_rps"):
        found[:, :-1] |= _some(np.diff(_finite(getattr(orders, name)), axis=1) < 0.0)
    weights = array(orders.weights)
    weights = weights / np.maximum(weights.sum(axis=2, keepdims=True), 1e-9)
    found[:, :-1] |= _some(np.diff(weights, axis=1) <= 1e-6 - thresholds.k6_weight_step)
    drained = np.asarray(orders.drain, dtype=bool)
    found[:, :-1] |= _some(drained[:, 1:] & ~drained[:, :-1])
    for name in ("restart", "rollback", "retrain", "retrain_ungated"):
        found[:, :-1] |= _some(np.asarray(getattr(orders, name), dtype=bool)[:, 1:])
    found[:, :-1] &= ours[:, 1:]
    return found


def _finite(values: object) -> Floats:
    """Return lever values with a very large number for none, so that differences are numbers."""
    return np.nan_to_num(array(values), posinf=1e12)


def _some(mask: Mask) -> Mask:
    """Return where any of a lever's places is true [N, D]."""
    return np.asarray(mask.reshape(*mask.shape[:2], -1).any(axis=2))


def decided(trace: Trace) -> Mask:
    """Return which decisions belong to each episode [N, D]."""
    made = (np.arange(np.shape(trace.signal_age_s)[1]) + 1) * SCRAPE_S
    return made <= np.array([[e.length_s] for e in trace.episodes])


def lost_work(seen: View, thresholds: Thresholds) -> Mask:
    """Return the ticks at which too much of the accepted work has been lost undrained [N, T]."""
    width = ticks(thresholds.k5_window_s)
    lost = window_sum(array(seen.truth.undrained) * seen.valid, width)
    let_in = array(seen.truth.offered) - array(seen.truth.refused)
    accepted = window_sum(let_in * seen.valid, width)
    return np.asarray((lost > thresholds.k5_lost * accepted + 1e-6) & seen.valid)


def _released(
    seen: View, hold: View, episodes: tuple[Episode, ...], thresholds: Thresholds
) -> Mask:
    out = np.zeros_like(seen.valid)
    held = array(seen.truth.held).sum(axis=2)
    other = array(hold.truth.held).sum(axis=2)
    short = array(seen.truth.capacity) < array(seen.truth.demand)
    wait = ticks(thresholds.k5_reacquire_s)
    for row, episode in enumerate(episodes):
        scarce = _scarce(episode, held.shape[1])
        if not scarce.any():
            continue
        fell = np.flatnonzero((np.diff(held[row]) < 0.0) & scarce[1:] & seen.after[row, 1:]) + 1
        for at in fell.tolist():
            level, end = held[row, at - 1], min(at + wait, int(seen.valid[row].sum()))
            missing = (held[row, at:end] < level).all() and short[row, at:end].any()
            if missing and other[row, at] >= level and end > at:
                out[row, end - 1] = True
    return out


def _scarce(episode: Episode, length: int) -> Mask:
    """Return when the fault lets no new machine be had [T]."""
    now = np.arange(length) * TICK_S
    out = np.zeros(length, dtype=bool)
    faults = episode.faults
    start, stop = array(faults.start_s), array(faults.stop_s)
    magnitude = array(faults.magnitude)
    for one, primitive in enumerate(np.asarray(faults.primitive).tolist()):
        if primitive == _QUOTA:
            out |= (now >= start[one]) & (now < stop[one])
        elif primitive == _SPOT:
            out |= (now >= start[one]) & (now < start[one] + magnitude[one])
    return out


def _reversals(seen: View, orders: Orders | None, thresholds: Thresholds) -> Floats:
    """Return how many reversals fall into each tick [N, T]."""
    truth = seen.truth
    weights = np.round(array(truth.weights) / thresholds.k6_weight_step)
    out: Floats = np.zeros(seen.valid.shape)
    for series in (array(truth.held), weights):
        for variant in range(series.shape[2]):
            out += _turns(series[:, :, variant])
    if orders is not None:
        width = ticks(thresholds.k6_window_s)
        for impulses in (orders.restart, orders.rollback):
            out += _repeats(np.asarray(impulses, dtype=bool), width, out.shape[1])
    return out


def _turns(series: Floats) -> Mask:
    """Return the ticks in which a series moves against its last move [N, T]."""
    step = np.zeros_like(series)
    step[:, 1:] = np.sign(series[:, 1:] - series[:, :-1])
    index = np.arange(series.shape[1])
    moved = np.maximum.accumulate(np.where(step != 0.0, index, 0), axis=1)
    before = np.zeros_like(moved)
    before[:, 1:] = moved[:, :-1]
    return np.asarray(step * np.take_along_axis(step, before, axis=1) < 0.0)


def _repeats(impulses: Mask, width: int, length: int) -> Floats:
    """Return how many impulses repeat one of the same target within the window [N, T]."""
    rows, scrapes, targets = impulses.shape
    at: Ints = np.arange(scrapes) * round(SCRAPE_S / TICK_S)
    out = np.zeros((rows, length))
    reach = max(1, width // round(SCRAPE_S / TICK_S))
    for target in range(targets):
        now = impulses[:, :, target]
        earlier = np.zeros_like(now)
        earlier[:, 1:] = window_any(now, reach)[:, :-1]
        out[:, at] += now & earlier
    return out


def _scrapes_acted(seen: View) -> Mask:
    """Return the first acting tick of every scrape in which an own action took effect [N, T]."""
    index = np.arange(seen.acted.shape[1])
    began = index - index % round(SCRAPE_S / TICK_S)
    before = np.zeros_like(seen.acted, dtype=np.int64)
    before[:, 1:] = np.cumsum(seen.acted, axis=1)[:, :-1]
    return np.asarray(seen.acted & (before == before[:, began]))
