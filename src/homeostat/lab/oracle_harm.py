"""The harm that a plan of the oracle would be blamed for, as far as a look ahead can tell.

The judge's own readings of K1 (outage), K4 (traffic on a bad target) and K5 (work lost), over the
seconds looked ahead, beside HOLD's in the same seconds. Every plan is taken for an action of one's
own. A search without them finds plans that meet the promise sooner and are worth less in the end.
"""

from collections.abc import Sequence

import numpy as np

from homeostat.lab.judge_change import lost_work
from homeostat.lab.judge_service import bad_target, outage
from homeostat.lab.judge_view import Floats, View, column
from homeostat.lab.thresholds import FROZEN
from homeostat.lab.types import Episode
from homeostat.twin.outputs import Truth


def harm(episodes: Sequence[Episode], seen: Truth, hold: Truth) -> Floats:
    """Return the risk weights of what each plan would cause [C].

    Args:
        episodes: Of each plan.
        seen: What comes of it [C, T, ...].
        hold: What comes of holding, in the same seconds [C, T, ...].
    """
    ours, theirs = _view(episodes, seen), _view(episodes, hold)
    outages = outage(ours, theirs, FROZEN)[1].any(axis=1)
    targets = bad_target(ours, theirs, FROZEN)[1].any(axis=1)
    lost = (lost_work(ours, FROZEN) & ~lost_work(theirs, FROZEN)).any(axis=1)
    weighted = FROZEN.risk_k1 * outages + FROZEN.risk_k4 * targets + FROZEN.risk_k5 * lost
    return np.asarray(weighted, dtype=np.float64)


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
