"""The lines of a trained policy's menu, and which of them an action of the runbook is.

A policy learns nineteen lines (`lab.environment_actions`); what it proposes is never built from
them. It ranks actions that the runbook names and the guards permit, each by the line that it is.
"""

from typing import Final

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind
from homeostat.base.policy import Managed

MENU: Final = (
    "hold", "scale_up_a", "scale_down_a", "scale_up_b", "scale_down_b", "resize_up",
    "resize_down", "batch_up", "batch_down", "shift_to_b", "shift_back", "rollback",
    "restart_replica", "drain_replica", "return_replicas", "shed_load", "admit_all", "retrain",
    "escalate",
)  # fmt: skip
"""In the order of a policy's outputs; a policy that says others is refused."""
_SCALES: Final = {ActionKind.SCALE_UP: "scale_up", ActionKind.SCALE_DOWN: "scale_down"}
_ALIKE: Final = frozenset({
    ActionKind.HOLD, ActionKind.RESIZE_UP, ActionKind.RESIZE_DOWN, ActionKind.BATCH_UP,
    ActionKind.BATCH_DOWN, ActionKind.RESTART_REPLICA, ActionKind.RETRAIN,
})  # fmt: skip
"""Kinds of which there is one line, with their own name."""


def line(action: Action, managed: Managed) -> str | None:
    """Return the line of the menu that an action is, None where it is none.

    A shift to the fallback is the line of one step towards it; a limit on what is let in is
    shedding, and taking it away is letting everybody in. A replica in rotation again is no proposal
    of anybody, and telling a person is none of an arm.

    Args:
        action: Of the runbook.
        managed: The deployment's configuration: which pool is which.
    """
    kind, pools = action.kind, {managed.stable_pool: "a", managed.fallback_pool: "b"}
    pool = pools.get(names.bare(action.subject))
    if kind in _ALIKE:
        return kind.value
    if kind in _SCALES:
        return None if pool is None else f"{_SCALES[kind]}_{pool}"
    if kind is ActionKind.SHIFT_TRAFFIC:
        return "shift_to_b" if pool == "b" else None
    if kind is ActionKind.ROLLBACK:
        return "rollback" if pool == "a" else None
    if kind is ActionKind.DRAIN_REPLICA:
        return "drain_replica" if _ends(action, 1) else None
    if kind is ActionKind.SHED_LOAD:
        return "admit_all" if _ends(action, 0) else "shed_load"
    return None


def _ends(action: Action, value: float) -> bool:
    """Return whether the action sets its one lever to this value."""
    return len(action.change) == 1 and action.change[0][1] == value
