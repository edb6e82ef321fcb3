"""Predicted utilisation after capacity is taken away or traffic is moved.

Uses one measured number per pool (`names.UTILISATION`, arrivals over what the pool can serve), the
most of it that was watched lately, and counts of replicas; no model. Demand is counted in replicas'
worth of work, over every ready replica; what remains to carry it are the replicas seen healthy.
Both choices err on the safe side.
"""

from homeostat.base import names
from homeostat.base.actions import ActionKind
from homeostat.base.units import MILLISECOND
from homeostat.base.world import Levers, ReplicaState
from homeostat.safety.canaried import on_its_ramp
from homeostat.safety.change import Change
from homeostat.safety.sight import Sight, milli

_WHOLE = 100_000  # all of the traffic, in thousandths of a percent
_WEIGHT = "weight."


def shares(sight: Sight, writes: Levers = ()) -> dict[str, int] | None:
    """Return each pool's share of the traffic in thousandths of a percent, None if unknown.

    Without any weight lever the stable pool has it all; the stable pool gets what the others
    leave, unless its own weight is written.
    """
    if not any(lever.startswith(_WEIGHT) for lever, _ in writes):
        return sight.once(_shares)
    return _shares(sight, writes)


def _shares(sight: Sight, writes: Levers = ()) -> dict[str, int] | None:
    if sight.world is None:
        return None
    weights = {
        lever.removeprefix(_WEIGHT): milli(value)
        for lever, value in (*sight.world.levers, *writes)
        if lever.startswith(_WEIGHT)
    }
    stable = sight.state.managed.stable_pool
    if not any(lever == names.lever_weight(stable) for lever, _ in writes):
        weights.pop(stable, None)
    known = {pool: weight for pool, weight in weights.items() if weight is not None}
    if len(known) < len(weights) or any(weight < 0 for weight in known.values()):
        return None
    known.setdefault(stable, max(0, _WHOLE - sum(known.values())))
    return known


def growing(change: Change, sight: Sight) -> tuple[str, ...] | None:
    """Return the pools whose share of the traffic would grow, None if that is unknown."""
    before, after = shares(sight), shares(sight, change.writes)
    if before is None or after is None:
        return None
    if after is before:  # no weight is written
        return ()
    return tuple(sorted(pool for pool, share in after.items() if share > before.get(pool, 0)))


def healthy_in(sight: Sight, pool: str) -> frozenset[str]:
    """Return the names of a pool's replicas that are seen healthy."""
    return sight.healthy & {slot.name for slot in sight.replicas(pool)}


def utilisation_after(
    change: Change, sight: Sight, out: tuple[frozenset[str], int, str | None] | None
) -> int | None:
    """Return the busiest touched pool's predicted utilisation in thousandths, None if unknown."""
    if change.kind is ActionKind.SHIFT_TRAFFIC:
        return _after_shift(change, sight)
    if change.kind in {ActionKind.RESIZE_DOWN, ActionKind.BATCH_DOWN}:
        return _after_resize(change, sight)
    carried = _carried(sight, out)
    return None if carried is None else -(-carried[0] // carried[1])


def utilisation_with_one_lost(
    sight: Sight, out: tuple[frozenset[str], int, str | None] | None
) -> int | None:
    """Return what remains' predicted utilisation with one replica fewer still, in thousandths.

    Of the most that the pool had to carry while it was watched: what is idle now may be needed at
    the next peak. Of a single one that remains its own: whether there may be only one is the
    floor's to say.
    """
    carried = _carried(sight, out)
    if carried is None or out is None or out[2] is None:
        return None
    seen = watched(out[2], sight)
    most = max(carried[0], 0 if seen is None else seen[1])
    return -(-most // max(carried[1] - 1, 1))


def watched(pool: str, sight: Sight) -> tuple[int, int] | None:
    """Return for how long a pool's load was watched without a gap, in ms, and the most of it.

    The load is in thousandths of what one replica can carry. None when it was not watched.
    """
    return sight.once(_watched, pool)


def _watched(sight: Sight, pool: str) -> tuple[int, int] | None:
    seen = [load for load in sight.state.loads if load.pool == pool]
    if not seen:
        return None
    return (sight.now - seen[0].since) // MILLISECOND, max(load.milli for load in seen)


def _carried(
    sight: Sight, out: tuple[frozenset[str], int, str | None] | None
) -> tuple[int, int] | None:
    """Return a pool's load in thousandths of a replica, and how many remain to carry it."""
    if out is None:
        return None
    named, unnamed, pool = out
    if pool is None:
        return None
    demand = _demand(pool, sight)
    left = len(sight.once(healthy_in, pool) - named) - unnamed
    return None if demand is None or left < 1 else (demand, left)


def _demand(pool: str, sight: Sight) -> int | None:
    """Return a pool's load in thousandths of a replica's capacity."""
    return sight.once(_demand_of, pool)


def _demand_of(sight: Sight, pool: str) -> int | None:
    ready = sum(slot.state is ReplicaState.READY for slot in sight.replicas(pool))
    used = milli(sight.value(names.pool(pool), names.UTILISATION))
    if used is None and not sight.state.managed.guard.evidence_rules:
        used = 0  # a paired run reads missing data as zero, to show what holding is for
    return None if used is None or used < 0 else used * ready


def _after_shift(change: Change, sight: Sight) -> int | None:
    pools, before = growing(change, sight), shares(sight)
    after = shares(sight, _next(change, sight))
    if pools is None or before is None or after is None:
        return None
    serving = [pool for pool, share in before.items() if share > 0]
    demands = [_demand(pool, sight) for pool in serving]
    total = sum(demand for demand in demands if demand is not None)
    worst = 0
    for pool in pools:
        left = len(sight.once(healthy_in, pool))
        if left < 1 or None in demands:
            return None
        worst = max(worst, -(-total * after[pool] // (_WHOLE * left)))
    return worst


def _next(change: Change, sight: Sight) -> Levers:
    """Return what is written next: of a compared ramp that is proposed, its next rung.

    Each rung is asked about again at its own write, and more replicas may serve by then.
    """
    if len(change.writes) != 1 or sight.state.in_flight is not None:
        return change.writes
    lever, live = change.writes[0][0], milli(change.live[0])
    if live is None or not on_its_ramp(lever, change.ramp, change.beside, sight.state.managed):
        return change.writes
    above = [rung for rung in change.ramp if (one := milli(rung)) is not None and one > live]
    return ((lever, above[0]),) if above else change.writes


def _after_resize(change: Change, sight: Sight) -> int | None:
    """Scale every pool's utilisation by how much smaller the replicas, or their batches, become.

    At worst a smaller batch takes as long as the larger one did, and the most that a replica can
    serve shrinks with it. How long a batch may wait to fill takes nothing from that. A pool without
    traffic forms no batches.
    """
    batches = change.kind is ActionKind.BATCH_DOWN
    pools = [pool for pool, share in (shares(sight) or {}).items() if share > 0 or not batches]
    used = [milli(sight.value(names.pool(pool), names.UTILISATION)) for pool in pools]
    busiest = max((share for share in used if share is not None), default=None)
    if busiest is None or None in used:
        return None
    for (lever, wanted), live in zip(change.writes, change.live, strict=True):
        after, before = milli(wanted), milli(live)
        if lever == names.BATCH_WAIT:
            continue
        if after is None or before is None or after <= 0 or before <= 0:
            return None
        busiest = -(-busiest * max(before, after) // after)
    return busiest
