"""Every action that can be named in a deployment as read back: kind, target and magnitude.

Not what is worth doing and not what is permitted: the whole of what a policy could ask for, within
the levers that the deployment has. Each function builds one; `every` yields a fixed choice of
magnitudes for each kind and target.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.evidence import Evidence
from homeostat.base.policy import Managed
from homeostat.base.world import Levers, Replica, Scalar, Snapshot

_TRAFFIC: Final = frozenset({ActionKind.SHIFT_TRAFFIC, ActionKind.SHED_LOAD})
_UNDO: Final = {
    ActionKind.RESTART_REPLICA: UndoKind.COMPENSATING,
    ActionKind.RESTART_ALL: UndoKind.COMPENSATING,
    ActionKind.RETRAIN: UndoKind.NONE,
}
_SETTLE_SCRAPES: Final = 2


def build(
    kind: ActionKind, subject: str, change: Levers, managed: Managed, *, touched: int = 0
) -> Action:
    """Return an action on its actuator, with its honest undo and price.

    Args:
        kind: What is done.
        subject: To what.
        change: Levers and absolute values.
        managed: The deployment.
        touched: Replicas whose service it may disturb.
    """
    actuator = managed.traffic_actuator if kind in _TRAFFIC else managed.scale_actuator
    return Action(
        kind=kind,
        subject=subject,
        actuator=actuator or "",
        change=change,
        undo=_UNDO.get(kind, UndoKind.EXACT),
        replicas_touched=touched,
        settle_ns=_SETTLE_SCRAPES * managed.scrape_ns,
    )


def scale(pool: str, wanted: int, world: Snapshot, managed: Managed) -> Action | None:
    """Return the change of a pool to so many replicas, None if it has no such lever or number."""
    live = _number(world.lever(names.lever_replicas(pool)))
    if live is None or wanted == live or wanted < 0:
        return None
    by = wanted - int(live)
    kind = ActionKind.SCALE_UP if by > 0 else ActionKind.SCALE_DOWN
    change: Levers = ((names.lever_replicas(pool), wanted),)
    action = build(kind, names.pool(pool), change, managed, touched=abs(by))
    return replace(action, cost_usd_per_hour=by * managed.replica_usd_per_hour, exempt=by == 1)


def batch(wanted: float, world: Snapshot, managed: Managed) -> Action | None:
    """Return the change to another largest batch, None where it already is that."""
    live = _number(world.lever(names.BATCH_MAX))
    size = max(1, math.floor(wanted))
    if live is None or size == live:
        return None
    kind = ActionKind.BATCH_UP if size > live else ActionKind.BATCH_DOWN
    return build(kind, names.pool(managed.stable_pool), ((names.BATCH_MAX, size),), managed)


def resize(wanted: float, world: Snapshot, managed: Managed) -> Action | None:
    """Return the change to another number of requests in flight per replica."""
    live = _number(world.lever(names.CONCURRENCY))
    size = max(1, math.floor(wanted))
    if live is None or size == live:
        return None
    kind = ActionKind.RESIZE_UP if size > live else ActionKind.RESIZE_DOWN
    return build(kind, names.pool(managed.stable_pool), ((names.CONCURRENCY, size),), managed)


def shift(pool: str, percent: float, world: Snapshot, managed: Managed) -> Action | None:
    """Return the shift of traffic to a pool, up the ramp where it has rungs left."""
    live = _number(world.lever(names.lever_weight(pool)))
    if live is None or live == percent or managed.traffic_actuator is None:
        return None
    change: Levers = ((names.lever_weight(pool), percent),)
    return build(ActionKind.SHIFT_TRAFFIC, names.pool(pool), change, managed)


def rollback(pool: str, version: str, world: Snapshot, managed: Managed) -> Action | None:
    """Return the way back to a version, None where it is the one that runs."""
    if world.lever(names.lever_version(pool)) in {None, version}:
        return None
    touched = sum(replica.pool == pool for replica in world.replicas)
    change: Levers = ((names.lever_version(pool), version),)
    return build(ActionKind.ROLLBACK, names.pool(pool), change, managed, touched=touched)


def restart(replica: Replica, managed: Managed) -> Action:
    """Return the restart of one replica."""
    change: Levers = ((names.lever_incarnation(replica.name), replica.incarnation + 1),)
    subject = names.replica(replica.name)
    action = build(ActionKind.RESTART_REPLICA, subject, change, managed, touched=1)
    return replace(action, exempt=True)


def drain(replica: Replica, managed: Managed) -> Action:
    """Return the drain of one replica."""
    subject, lever = names.replica(replica.name), names.lever_drained(replica.name)
    action = build(ActionKind.DRAIN_REPLICA, subject, ((lever, 1),), managed, touched=1)
    return replace(action, exempt=True)


def restart_all(replicas: tuple[Replica, ...], managed: Managed) -> Action | None:
    """Return the restart of several replicas at once, None where there are none."""
    if not replicas:
        return None
    change = tuple((names.lever_incarnation(one.name), one.incarnation + 1) for one in replicas)
    return build(
        ActionKind.RESTART_ALL, names.MODEL, tuple(sorted(change)), managed, touched=len(replicas)
    )


def shed(share: float, world: Snapshot, evidence: Evidence, managed: Managed) -> Action | None:
    """Return a limit at a share of what is in flight now, None where that is not known.

    Little's law: requests in flight = arrival rate x latency; the p50 stands for the mean.
    """
    found = {r.signal: r.value for r in evidence.readings if r.subject == names.GATEWAY}
    rate, latency_ms = found.get(names.ARRIVAL_RATE), found.get(names.LATENCY_P50)
    live = world.lever(names.GATEWAY_LIMIT)
    if rate is None or latency_ms is None or live is None or managed.traffic_actuator is None:
        return None
    limit = max(1, math.floor(share * rate * latency_ms / 1000.0))
    if limit == live:
        return None
    change: Levers = ((names.GATEWAY_LIMIT, limit),)
    return build(ActionKind.SHED_LOAD, names.GATEWAY, change, managed)


def retrain(managed: Managed) -> Action:
    """Return retraining; it has no lever."""
    return build(ActionKind.RETRAIN, names.MODEL, (), managed)


def every(world: Snapshot, evidence: Evidence, managed: Managed) -> Iterator[Action]:
    """Yield the actions that can be named now, each kind at its usual magnitudes.

    Args:
        world: The deployment as read back.
        evidence: This tick's.
        managed: Its configuration.
    """
    pools = sorted({replica.pool for replica in world.replicas})
    found: list[Action | None] = []
    for pool in pools:
        live = _number(world.lever(names.lever_replicas(pool))) or 0
        found += [scale(pool, int(live) + by, world, managed) for by in (1, 2, -1, -2)]
        found += [rollback(pool, version, world, managed) for version in _ran(world, pool)]
    for step in (2.0, 0.5):
        size, jobs = world.lever(names.BATCH_MAX), world.lever(names.CONCURRENCY)
        found.append(batch(step * (_number(size) or 0), world, managed))
        found.append(resize(step * (_number(jobs) or 0), world, managed))
    for pool in (one for one in pools if one != managed.stable_pool):
        found += [shift(pool, percent, world, managed) for percent in (0.0, 25.0, 50.0, 100.0)]
    found += [shed(share, world, evidence, managed) for share in (0.9, 0.5)]
    found += [one for replica in world.replicas for one in _of_replica(replica, managed)]
    found += [restart_all(world.replicas, managed), retrain(managed)]
    yield from (action for action in found if action is not None)


def _of_replica(replica: Replica, managed: Managed) -> tuple[Action, Action]:
    return restart(replica, managed), drain(replica, managed)


def _ran(world: Snapshot, pool: str) -> list[str]:
    return [release.version for release in world.releases if release.pool == pool]


def _number(value: Scalar | None) -> float | None:
    return float(value) if isinstance(value, int | float) else None
