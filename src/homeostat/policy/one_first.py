"""A change of a setting that goes to some replicas first, where the deployment lets it.

Only names the action; whether it may run is the guards' to say (`safety.one_first`), and whether
all replicas get it the comparison's (`govern.one_first`).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind
from homeostat.base.guard import GuardState
from homeostat.base.world import ReplicaState, Snapshot

# Two can be told from their nodes, one cannot; and never more than half, which the other half is
# compared with. Source: research on comparable controllers, 2.4 (several pods beat one).
_MOST: Final = 2
_LEAST: Final = 2  # replicas in rotation
_KINDS: Final = frozenset({
    ActionKind.BATCH_UP,
    ActionKind.BATCH_DOWN,
    ActionKind.RESIZE_UP,
    ActionKind.RESIZE_DOWN,
})


def staged(action: Action, state: GuardState, world: Snapshot) -> tuple[Action, ...]:
    """Return the action with some replicas first, best first, or as it is where that cannot be.

    What served before comes as it is as well: going back there is a way back, if the guards agree.

    Args:
        action: A change of one setting of every replica.
        state: What the guards see.
        world: The deployment as read back.
    """
    if _why_not(action, state, world):
        return (action,)
    setting = action.change[0][0]
    ready = _ready(state.managed.stable_pool, world)
    tried = ready[: min(_MOST, len(ready) // 2)]
    own = tuple((names.lever_own(setting, slot), 0) for slot in tried)
    first = replace(
        action,
        change=tuple(sorted((*action.change, *own))),
        beside=state.managed.stable_pool,
        replicas_touched=len(tried),
    )
    served = any(one.served and (one.lever, one.value) in action.change for one in state.settings)
    return (action, first) if served else (first,)


def said(wanted: Sequence[Action], state: GuardState, world: Snapshot) -> tuple[str, ...]:
    """Return why a setting would go to all replicas at once, where some could be asked to try it.

    Args:
        wanted: The candidates.
        state: What the guards see.
        world: The deployment as read back.
    """
    if state.managed.canary is None:
        return ()  # nobody asked for anything to be compared
    plain = [one for one in wanted if one.kind in _KINDS and not one.first]
    found = ((one, _why_not(one, state, world) or "it served before") for one in plain)
    return tuple(
        f"{one.kind} goes to all replicas at once, and is judged by the time before it: {why}"
        for one, why in found
    )


def _why_not(action: Action, state: GuardState, world: Snapshot) -> str:
    """Return why no replica can have a setting first, empty where one can."""
    pool, ready = state.managed.stable_pool, _ready(state.managed.stable_pool, world)
    if state.managed.canary is None:
        return "spec.canary names nothing to compare by"
    if action.kind not in _KINDS or len(action.change) != 1:
        return "it is not one setting"
    setting = action.change[0][0]
    if setting not in names.OF_EACH or action.subject != names.pool(pool):
        return f"{setting} is set for all of {action.subject} only"
    if len(ready) < _LEAST:
        return f"pool {pool} has no replica to compare another with"
    lacking = [slot for slot in ready if world.lever(names.lever_own(setting, slot)) is None]
    if lacking:
        return f"{action.actuator} cannot set {setting} of {lacking[0]} alone"
    return ""


def _ready(pool: str, world: Snapshot) -> list[str]:
    serves = ReplicaState.READY
    return sorted(one.name for one in world.replicas if one.pool == pool and one.state is serves)
