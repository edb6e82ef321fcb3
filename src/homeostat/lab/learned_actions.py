"""The menu of training as the product's actions: what a policy wants, put to the real guards."""

from dataclasses import dataclass, replace
from typing import Final

from homeostat.base import names
from homeostat.base.actions import HOLD, Action, ActionKind
from homeostat.base.state import LoopState
from homeostat.base.world import Snapshot
from homeostat.lab import safe_set_actions as can
from homeostat.lab.controller_names import POOLS, slot_name
from homeostat.lab.environment_actions import SHED
from homeostat.loop import memory
from homeostat.policy.runbook import last_verified
from homeostat.twin.shapes import VARIANTS, Variant

ESCALATE: Final = Action(kind=ActionKind.ESCALATE, subject=names.MODEL)
_A, _B = POOLS[Variant.A], POOLS[Variant.B]
# As `environment_actions` orders them.
_BATCH: Final = {"batch_up": 2.0, "batch_down": 0.5}
_JOBS: Final = {"resize_up": 2.0, "resize_down": 0.75}
_SCALED: Final = {
    "scale_up_a": (_A, 1), "scale_down_a": (_A, -1),
    "scale_up_b": (_B, 1), "scale_down_b": (_B, -1),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the menu's lines are about, now.

    Attributes:
        slot: The replica's slot.
        rung_b: Percent of the traffic that pool B has after the next step towards it.
        usual_b: Percent that it has in ordinary times.
    """

    slot: int
    rung_b: float
    usual_b: float


def named(what: str, state: LoopState, at: Target) -> Action | None:
    """Return a line of the menu as an action of the product.

    Args:
        what: Of `environment_actions.NAMES`.
        state: The deployment's, with this tick's evidence and world.
        at: What it is about.

    Returns:
        None where it would change nothing, where the world is not known, and for what a policy is
        never trained to do (see `environment_mask.LEARNT`).
    """
    world, evidence, entry = state.world, state.evidence, state.managed
    if what in {"hold", "escalate"}:
        return HOLD if what == "hold" else ESCALATE
    if world is None or evidence is None:
        return None
    if what in _SCALED:
        pool, by = _SCALED[what]
        return can.scale(pool, round(_live(world, names.lever_replicas(pool))) + by, world, entry)
    if what in _BATCH:
        return can.batch(_live(world, names.BATCH_MAX) * _BATCH[what], world, entry)
    if what in _JOBS:
        return can.resize(_live(world, names.CONCURRENCY) * _JOBS[what], world, entry)
    if what in {"shift_to_b", "shift_back"}:
        percent = at.rung_b if what == "shift_to_b" else at.usual_b
        return can.shift(_B, float(round(percent)), world, entry)
    if what == "shed_load":
        return can.shed(SHED, world, evidence, entry)
    return _way_back(what, state, world, at)


def _way_back(what: str, state: LoopState, world: Snapshot, at: Target) -> Action | None:
    """Return what takes something back: a limit, a version, a replica that fails."""
    entry = state.managed
    if what == "admit_all" and _live(world, names.GATEWAY_LIMIT) > 0.0:
        change = ((names.GATEWAY_LIMIT, 0),)
        return can.build(ActionKind.SHED_LOAD, names.GATEWAY, change, entry)
    if what == "rollback":
        version = last_verified(_A, memory.guard_state(state), world)
        found = None if version is None else can.rollback(_A, version, world, entry)
        return None if found is None else replace(found, exempt=True)
    if what == "restart_replica":
        ours = {slot_name(variant, at.slot) for variant in range(VARIANTS)}
        failing = next((one for one in world.replicas if one.name in ours), None)
        return None if failing is None else can.restart(failing, entry)
    return None


def _live(world: Snapshot, lever: str) -> float:
    value = world.lever(lever)
    return float(value) if isinstance(value, int | float) else 0.0
