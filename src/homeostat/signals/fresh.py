"""New events of the histograms of predictions, features and activations on a tick: each event once.

Windows overlap, and a test that adds evidence up would count an event as often as windows hold it.
Here are the increments of the tick, per bucket, or the reason why they are not known. After a gap
the next increment covers the whole of it. All histograms of the fleet at once. Not here: windows,
by which rules and guards were calibrated (`fleet`, decision 37).
"""

import numpy as np

from homeostat.base.many import many
from homeostat.signals.frame import Histogram
from homeostat.signals.plan import Plan
from homeostat.signals.quality import FEW, GOOD, MISSING, QUALITIES, Floats, Ints
from homeostat.signals.table import RawTable


def fresh(table: RawTable, plan: Plan, tick: int) -> tuple[Histogram, ...]:
    """Return each histogram's new events, per page, in the order of the plan.

    Args:
        table: The raw table after this tick's round.
        plan: Index arrays of its layout.
        tick: The tick's number.
    """
    chosen = plan.events
    if not len(chosen):
        return ()
    rows = plan.buckets[chosen]  # short ones repeat their last: it adds nothing and hides nothing
    column = tick % table.inc.shape[1]
    gained: Floats = table.inc[rows, column]
    code = _codes(table, rows, tick, gained, table.cover[rows, column])
    # A page written while it is read may count an event in one bucket and not yet in the next.
    steady = np.maximum.accumulate(np.where(np.isnan(gained), 0.0, gained), axis=1)
    counts = np.where((code == GOOD)[:, None], np.diff(steady, axis=1, prepend=0.0), np.nan)
    numbers = chosen.tolist()
    bounds = [plan.cuts[number] for number in numbers]
    whose = [plan.histograms[number] for number in numbers]
    return tuple(
        many(
            Histogram,
            len(numbers),
            deployment=[plan.entities[entity][0] for entity, _ in whose],
            subject=[plan.entities[entity][1] for entity, _ in whose],
            signal=[signal for _, signal in whose],
            bounds=bounds,
            counts=[own[: len(cut)] for own, cut in zip(counts, bounds, strict=True)],
            quality=[QUALITIES[one] for one in code.tolist()],
        )
    )


def _codes(table: RawTable, rows: Ints, tick: int, gained: Floats, covered: Floats) -> Ints:
    """Return why increments may not be believed, GOOD if they may, `[histogram]`."""
    worst = table.code[rows].max(axis=1).astype(np.int64)
    unread = (table.seen[rows] < tick).any(axis=1)
    # Buckets of one page cover the same time, unless one was missing for a while.
    whole = ~np.isnan(gained).any(axis=1) & (covered == covered[:, -1:]).all(axis=1)
    partly = np.where((worst == GOOD) & ~whole, FEW, worst)
    out: Ints = np.where(unread, MISSING, partly)
    return out
