"""The harm that a plan of the oracle would be blamed for, as far as a look ahead can tell.

The judge's own readings of K1 (outage), K3 (spend and replicas), K4 (traffic on a bad target), K5
(work lost), K6 (flapping) and K7 (poor answers by a change), over the seconds looked ahead and the
hour before them, beside HOLD's in the same seconds: K3 sums an hour, K6 a quarter of one. Every
plan is taken for an action of one's own. A search without them finds plans that meet the promise
sooner and are worth less in the end.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from homeostat.lab.judge_change import flapping, lost_work
from homeostat.lab.judge_quality import poor_answers
from homeostat.lab.judge_service import bad_target, outage, overspend
from homeostat.lab.judge_view import Floats, View, column
from homeostat.lab.thresholds import FROZEN
from homeostat.lab.types import Episode
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Truth

PAST_S: Final = round(FROZEN.k3_hour_s)
"""So much of what was is needed to judge what comes: the longest window is K3's rolling hour."""


def harm(
    episodes: Sequence[Episode], seen: Truth, hold: Truth, orders: Orders | None = None
) -> Floats:
    """Return the risk weights of what each plan would cause [C].

    Args:
        episodes: Of each plan.
        seen: What was and what comes of it [C, T, ...], from the start of a scrape on.
        hold: What comes of holding, in the same seconds [C, T, ...].
        orders: In force during each scrape of them [C, T / SCRAPE_S, ...]; None = restarts of what
            was restarted stay unseen (K6).
    """
    ours, theirs = _view(episodes, seen), _view(episodes, hold)
    blamed = (
        (FROZEN.risk_k1, outage(ours, theirs, FROZEN)[1]),
        (FROZEN.risk_k3, overspend(ours, theirs, FROZEN)[1]),
        (FROZEN.risk_k4, bad_target(ours, theirs, FROZEN)[1]),
        (FROZEN.risk_k5, lost_work(ours, FROZEN) & ~lost_work(theirs, FROZEN)),
        (FROZEN.risk_k6, flapping(ours, theirs, orders, FROZEN)[1]),
        (FROZEN.risk_k7, poor_answers(ours, theirs, FROZEN)[1]),
    )
    return np.asarray(sum(weight * mask.any(axis=1) for weight, mask in blamed), dtype=np.float64)


def _view(episodes: Sequence[Episode], truth: Truth) -> View:
    some = tuple(episodes)
    every = np.ones(np.shape(truth.good), dtype=bool)
    return View(
        truth=truth,
        valid=every,
        acted=every,
        after=every,
        p99_slo_s=column(some, lambda p: p.promise.p99_s),
        availability=column(some, lambda p: p.promise.availability),
        floor=column(some, lambda p: p.quality.floor),
        budget_usd_per_hour=column(some, lambda p: p.money.budget_usd_per_hour),
        hard_cap=column(some, lambda p: p.money.hard_cap),
        onset_tick=np.zeros((len(some), 1), dtype=np.int64),
    )
