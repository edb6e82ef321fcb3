"""K1 to K4: what an own action does to answers, capacity, money and traffic.

Each function returns two masks over ticks: where the event itself is seen, whoever caused it
(raw), and where it is blamed on an own action (caused). Readings, chosen towards counting:

- "Not under HOLD" compares predicates, not ticks: an event that lasts 30 s is excused only where
  HOLD is itself inside a stretch of at least 30 s. What is left must last 30 s as well.
- K1's window counts when it shares a tick with the 15 min after an own action, the action's tick
  included. A window without any request proves nothing.
- K3's rolling hour sees the time before the episode at the first tick's rate: the deployment did
  not begin with the episode. "HOLD within budget" means that HOLD is not over the same limit.
- K4 is judged per variant and criterion: HOLD's bad A does not excuse a bad B. "Available" means
  that at least one replica is ready; twice better in quality means at most half as far below the
  floor. A ready variant without traffic has no p99 of its own: HOLD's p99 of it stands in, so that
  whoever leaves a variant altogether is compared with what it would have done. One whose p99 or
  quality is known in neither run is never the better one; one without traffic has no errors:
  whoever shifts everything onto a bad variant is blamed for it, even where the one that was left is
  as bad. The twin tells nothing of single hardware pools, so K4 judges variants alone.
"""

import numpy as np

from homeostat.lab.judge_view import (
    Floats,
    Mask,
    View,
    array,
    last_true,
    run_length,
    sustained,
    ticks,
    window_sum,
)
from homeostat.lab.thresholds import Thresholds
from homeostat.twin.shapes import TICK_S

# Differences of sums of float32 rates; a millionth of a point decides nothing.
EPSILON = 1e-6


def outage(seen: View, hold: View, thresholds: Thresholds) -> tuple[Mask, Mask]:
    """Return K1, self-inflicted outage (raw, caused), [N, T] each."""
    raw = np.zeros_like(seen.valid)
    caused = np.zeros_like(seen.valid)
    for least, seconds in (
        (thresholds.k1_short_good, thresholds.k1_short_s),
        (thresholds.k1_long_good, thresholds.k1_long_s),
    ):
        width = ticks(seconds)
        share, other = _good_share(seen, width), _good_share(hold, width)
        below = (share < least - EPSILON) & seen.valid
        worse = share <= other - thresholds.k1_below_hold + EPSILON
        last = last_true(seen.acted)
        begin = np.arange(seen.valid.shape[1]) - width + 1
        near = (last >= 0) & (last + ticks(thresholds.k1_after_s) >= begin)
        raw |= below
        caused |= below & worse & near
    return raw, caused


def shortage(seen: View, hold: View, thresholds: Thresholds) -> tuple[Mask, Mask]:
    """Return K2, capacity below organic demand (raw, caused), [N, T] each."""
    least = ticks(thresholds.k2_for_s)
    return _paired(_short(seen), _short(hold), seen.after, least)


def overspend(seen: View, hold: View, thresholds: Thresholds) -> tuple[Mask, Mask]:
    """Return K3, spend or replicas beyond the limits (raw, caused), [N, T] each."""
    raw = np.zeros_like(seen.valid)
    caused = np.zeros_like(seen.valid)
    for over in (_over_budget, _over_cap):
        ours, other = over(seen, thresholds), over(hold, thresholds)
        raw |= ours
        caused |= ours & ~other & seen.after
    return raw, caused


def bad_target(seen: View, hold: View, thresholds: Thresholds) -> tuple[Mask, Mask]:
    """Return K4, traffic on an unhealthy target (raw, caused), [N, T] each."""
    raw = np.zeros_like(seen.valid)
    caused = np.zeros_like(seen.valid)
    least = ticks(thresholds.k4_for_s)
    ours, theirs = _targets(seen, hold, thresholds), _targets(hold, hold, thresholds)
    for mine, other in zip(ours, theirs, strict=True):
        if not mine.any():
            continue
        event, blamed = _paired(mine, other, seen.after, least)
        raw |= event
        caused |= blamed
    return raw, caused


def _paired(ours: Mask, other: Mask, after: Mask, least: int) -> tuple[Mask, Mask]:
    """Return where a condition has lasted, and where it has after an own action and not in HOLD."""
    raw = run_length(ours) >= least
    own = sustained(ours & after, least) & ~sustained(other, least)
    return raw, run_length(own) >= least


def _good_share(seen: View, width: int) -> Floats:
    """Return good / offered over full windows; NaN where there is no request or no full window."""
    good = window_sum(array(seen.truth.good) * seen.valid, width)
    offered = window_sum(array(seen.truth.offered) * seen.valid, width)
    known = (offered > EPSILON) & (np.arange(offered.shape[1]) >= width - 1)
    return np.where(known, good / np.where(known, offered, 1.0), np.nan)


def _short(seen: View) -> Mask:
    return np.asarray((array(seen.truth.capacity) < array(seen.truth.demand)) & seen.valid)


def _over_budget(seen: View, thresholds: Thresholds) -> Mask:
    rate = array(seen.truth.usd_per_hour)
    width = ticks(thresholds.k3_hour_s)
    spent = window_sum(rate, width, before=rate[:, :1]) * TICK_S / 3600.0
    allowed = thresholds.k3_budgets * seen.budget_usd_per_hour * thresholds.k3_hour_s / 3600.0
    return (spent > allowed * (1.0 + EPSILON)) & seen.valid


def _over_cap(seen: View, _: Thresholds) -> Mask:
    return np.asarray((array(seen.truth.held).sum(axis=2) > seen.hard_cap + EPSILON) & seen.valid)


def _targets(seen: View, hold: View, thresholds: Thresholds) -> list[Mask]:
    """Return for every variant and criterion where too much traffic is on it while it is bad."""
    truth = seen.truth
    loaded = array(truth.weights) >= thresholds.k4_traffic - EPSILON
    there = array(truth.ready) > 0.0
    floor = seen.floor[:, :, None]
    limit = thresholds.k4_p99_slos * seen.p99_slo_s[:, :, None]
    errors, p99 = array(truth.variant_errors), array(truth.variant_p99_s)
    known = np.where(_idle(seen), array(hold.truth.variant_p99_s), p99)
    # How bad (smaller is better, 0 = perfect) and from where on it is unhealthy.
    criteria = (
        (errors, errors >= thresholds.k4_errors - EPSILON),
        (known, p99 > limit),
        (floor - array(truth.variant_quality), array(truth.variant_quality) < floor),
    )
    out = []
    for badness, unhealthy in criteria:
        for one in range(badness.shape[2]):
            hit = loaded[:, :, one] & unhealthy[:, :, one] & seen.valid
            if hit.any():
                hit &= _better_exists(badness, there, one, thresholds.k4_better)
            out.append(hit)
    return out


def _idle(seen: View) -> Mask:
    """Return where a variant has neither traffic nor a p99 of its own [N, T, V]."""
    nothing = array(seen.truth.weights) <= EPSILON
    return np.asarray(nothing & np.isnan(array(seen.truth.variant_p99_s)))


def _better_exists(badness: Floats, there: Mask, one: int, factor: float) -> Mask:
    out = np.zeros(badness.shape[:2], dtype=bool)
    for other in range(badness.shape[2]):
        if other != one:
            out |= there[:, :, other] & (factor * badness[:, :, other] <= badness[:, :, one])
    return out
