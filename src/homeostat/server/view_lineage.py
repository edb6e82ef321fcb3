"""Where a deployment's versions came from, as JSON-ready dicts."""

from typing import Any

from homeostat.base.state import LoopState
from homeostat.base.training import Lineage, lineage_of
from homeostat.server.view_deployment import DeploymentState
from homeostat.server.view_plain import when


def lineages(state: DeploymentState, loop: LoopState | None) -> dict[str, Any]:
    """Return the orders that are kept, newest first, and what is known of what serves now.

    A version that no order led to has no lineage: None, unknown, and never somebody's guess.

    Args:
        state: What the journal has shown since this process began.
        loop: What the loop remembers, also of before; None where it has none.
    """
    seen = tuple(reversed(state.lineages.newest()))
    known = seen if loop is None else loop.lineages
    return {
        "deployment": state.name,
        "lineage": [lineage(one) for one in reversed(known)],
        "serving": _serving(state, known),
    }


def lineage(value: Lineage) -> dict[str, Any]:
    """Return one order, from who asked to what became of the version."""
    order = value.order
    return {
        "key": order.key,
        "action_id": order.action_id,
        "incident_id": order.incident_id,
        "deployment": order.deployment,
        "asked_at": when(order.at),
        "reason": list(order.reason),
        "approvers": list(order.approvers),
        "data_from": when(order.data_from),
        "data_to": when(order.data_to),
        "due": when(order.due),
        "parent": order.parent or None,
        "state": value.state.value,
        "since": when(value.since),
        "why": value.reason,
        "trainer_says": value.phase.value,
        "trainer_seen_at": when(value.seen_at),
        "version": value.version or None,
        "canary_id": value.canary_id or None,
        "verdict": value.verdict.value if value.verdict is not None else None,
        "because": list(value.because),
        "marked": value.marked or None,
    }


def _serving(state: DeploymentState, known: tuple[Lineage, ...]) -> list[dict[str, Any]]:
    world = state.world
    pairs = {(one.pool, one.version) for one in world.replicas} if world is not None else set()
    rows = []
    for pool, version in sorted(pairs, key=lambda pair: (pair[0], pair[1] or "")):
        came = lineage_of(known, version or "")
        rows.append({
            "pool": pool,
            "version": version,
            "action_id": None if came is None else came.order.action_id,
            "state": None if came is None else came.state.value,
        })
    return rows
