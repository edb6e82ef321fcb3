"""New events of the histograms of activations on one tick: each event once.

Windows overlap, and a test that adds evidence up would count an event as often as windows hold it.
Here are the increments of the tick, per bucket, or the reason why they are not known. After a gap
the next increment covers the whole of it. Only activations: of predictions and features there are
windows, by which rules and guards were calibrated (`fleet`, decision 37).
"""

from collections.abc import Iterator

import numpy as np

from homeostat.base.evidence import Quality
from homeostat.signals.frame import Histogram
from homeostat.signals.plan import Plan
from homeostat.signals.quality import GOOD, QUALITIES, Floats
from homeostat.signals.table import RawTable


def fresh(table: RawTable, plan: Plan, tick: int) -> tuple[Histogram, ...]:
    """Return each activation's new events, per page, in the order of the plan.

    Args:
        table: The raw table after this tick's round.
        plan: Index arrays of its layout.
        tick: The tick's number.
    """
    return tuple(_events(table, plan, tick))


def _events(table: RawTable, plan: Plan, tick: int) -> Iterator[Histogram]:
    column = tick % table.inc.shape[1]
    for number in plan.inside.tolist():
        entity, signal = plan.histograms[number]
        size = int(plan.sizes[number])
        rows = plan.buckets[number, :size]
        deployment, subject = plan.entities[entity]
        gained: Floats = table.inc[rows, column]
        covered = table.cover[rows, column]
        quality = _quality(table, rows, tick, gained, covered)
        believed = quality is Quality.GOOD
        # A page written while it is read may count an event in one bucket and not yet in the next.
        steady = np.maximum.accumulate(np.where(np.isnan(gained), 0.0, gained))
        yield Histogram(
            deployment=deployment,
            subject=subject,
            signal=signal,
            bounds=tuple(plan.bounds[number, :size].tolist()),
            counts=np.diff(steady, prepend=0.0) if believed else np.full(size, np.nan),
            quality=quality,
        )


def _quality(
    table: RawTable, rows: np.ndarray, tick: int, gained: Floats, covered: Floats
) -> Quality:
    """Return why a histogram's increments may not be believed, GOOD if they may."""
    codes = table.code[rows]
    if (table.seen[rows] < tick).any():
        return Quality.MISSING
    if (codes != GOOD).any():
        return QUALITIES[int(codes.max())]
    # Buckets of one page cover the same time, unless one was missing for a while.
    whole = not np.isnan(gained).any() and bool((covered == covered[-1]).all())
    return Quality.GOOD if whole else Quality.FEW
