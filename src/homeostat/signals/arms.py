"""What each pool's counters at the gateway gained on one tick: what a canary is compared by.

Increments, not rates: two pools are compared by how the failures of one stretch of time fall to
them, and a rate has forgotten how many there were. A counter that was not read on this tick, went
back, or covers another time than its neighbours gives no number at all; after a gap the next
increment covers the whole of it and says so by its seconds.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from homeostat.base import names, raw
from homeostat.base.evidence import Increments, Quality
from homeostat.base.policy import Managed
from homeostat.base.world import Snapshot
from homeostat.signals.plan import COLUMN, Plan
from homeostat.signals.quality import GOOD, QUALITIES, Floats
from homeostat.signals.table import RawTable

_POOL: Final = names.pool("")
_REPLICA: Final = names.replica("")


def increments(
    table: RawTable,
    plan: Plan,
    managed: Sequence[Managed],
    tick: int,
    world: Sequence[Snapshot] = (),
) -> dict[str, tuple[Increments, ...]]:
    """Return per deployment what each of its pools served since the tick before, sorted.

    The whole of a deployment, as its users see it at the gateway, has no pool's name. Replicas are
    counted one by one, by their own pages, while one has a setting of its own: it is then compared
    with the rest.

    Args:
        table: The raw table after this tick's round.
        plan: Index arrays of its layout.
        managed: Only pools of those with a canary or a fallback are worked out, and the whole of
            those with an error budget: nobody else asks.
        tick: The tick's number.
        world: The deployments as last read back.
    """
    apart = {one.deployment for one in world if _is_apart(one)}
    apart &= {entry.name for entry in managed if entry.canary is not None}
    wanted = {entry.name for entry in managed if _shifts(entry)}
    budgets = {entry.name for entry in managed if entry.slos}
    out: dict[str, tuple[Increments, ...]] = {}
    if not wanted | budgets:
        return out
    timed = {entity: h for h, (entity, name) in enumerate(plan.histograms) if name == raw.LATENCY}
    for number, (deployment, subject) in enumerate(plan.entities):
        whole = deployment in budgets and subject == names.GATEWAY
        alone = deployment in apart and subject.startswith(_REPLICA)
        if whole or alone or (deployment in wanted and subject.startswith(_POOL)):
            one = _pool(table, plan, number, timed.get(number), tick)
            if alone:
                one = replace(one, pool=subject)
            else:
                told_of = names.MODEL if whole else names.model_of(one.pool)
                one = replace(one, pool="") if whole else one
                one = _labelled(one, table, plan, (deployment, told_of), tick)
            out[deployment] = (*out.get(deployment, ()), one)
    return out


def _labelled(
    one: Increments, table: RawTable, plan: Plan, model: tuple[str, str], tick: int
) -> Increments:
    """Return what a gateway counted, with what labels told of the same."""
    place = bisect_left(plan.entities, model)
    if place == len(plan.entities) or plan.entities[place] != model:
        return one
    rows = plan.scalars[place]
    needed = [int(rows[COLUMN[name]]) for name in (raw.LABELS_TOLD, raw.LABELS_RIGHT)]
    if min(needed) < 0:
        return one
    gained = table.inc[needed, tick % table.inc.shape[1]]
    if np.isnan(gained).any():
        return replace(one, judged=True)
    return replace(one, labelled=float(gained[0]), right=float(gained[1]), judged=True)


def _is_apart(world: Snapshot) -> bool:
    """Return whether some replica has a setting of its own."""
    return any(value != 0 and names.own(lever) is not None for lever, value in world.levers)


def _shifts(entry: Managed) -> bool:
    """Return whether traffic may be shifted to a pool of it: both are compared then."""
    falls_back = entry.fallback_pool is not None and entry.traffic_actuator is not None
    return falls_back or entry.canary is not None


def _pool(table: RawTable, plan: Plan, number: int, histogram: int | None, tick: int) -> Increments:
    pool = names.bare(plan.entities[number][1])
    rows = [
        int(plan.scalars[number, COLUMN[name]])
        for name in (raw.REQUESTS_OK, raw.REQUESTS_5XX, raw.REQUESTS_REFUSED)
    ]
    # A page that does not count refusals has none to take off its failures.
    needed = rows[:2] if rows[2] < 0 else rows
    column = tick % table.inc.shape[1]
    seconds = table.cover[needed, column]
    gained = table.inc[needed, column]
    if min(needed) < 0 or np.isnan(gained).any() or len(set(seconds.tolist())) != 1:
        why = [QUALITIES[int(table.code[row])] for row in needed if row >= 0]
        worst = next((one for one in why if one is not Quality.GOOD), Quality.MISSING)
        return Increments(
            pool=pool,
            answered=None,
            failed=None,
            seconds=None,
            quality=worst,
            timed=histogram is not None,
        )
    refused = float(gained[2]) if len(needed) > 2 else 0.0  # noqa: PLR2004 - the third is there
    failed = max(float(gained[1]) - refused, 0.0)
    covered = float(seconds[0])
    return Increments(
        pool=pool,
        answered=float(gained[0]) + failed,
        failed=failed,
        seconds=covered,
        latency=()
        if histogram is None
        else tuple(_latency(table, plan, histogram, column, covered)),
        timed=histogram is not None,
    )


def _latency(
    table: RawTable, plan: Plan, histogram: int, column: int, seconds: float
) -> Iterator[tuple[float, float]]:
    """Yield (upper bound in ms, answers within it), nothing where not all of it is believed."""
    size = int(plan.sizes[histogram])
    rows = plan.buckets[histogram, :size]
    gained: Floats = table.inc[rows, column]
    same = table.cover[rows, column] == seconds
    if np.isnan(gained).any() or not same.all() or (table.code[rows] != GOOD).any():
        return
    # A page written while it is read may count a request in one bucket and not yet in the next.
    steady = np.maximum.accumulate(gained)
    yield from zip(plan.bounds[histogram, :size].tolist(), steady.tolist(), strict=True)
