"""Where an Argo Rollout stands among its steps, and what holds it there.

Sources: argo-rollouts rollout/canary.go (completedCurrentCanaryStep, reconcileCanaryReplicaSets),
rollout/trafficrouting.go, rollout/pause.go and utils/replicaset/canary.go (GetCurrentSetWeight) at
9f8d111d.
"""

import itertools
from typing import Any

from homeostat.adapters.actuators import _kubernetes_owner as owner
from homeostat.adapters.actuators import _shares


def weight(obj: owner.Object) -> int | None:
    """Return the share that Argo has been asked for, in percent; None while it has none to divide.

    Raises:
        ValueError: A step's weight is no share, or the index no step.
    """
    status, steps = obj.get("status", {}), _steps(obj)
    stable, current = status.get("stableRS"), status.get("currentPodHash")
    if not steps or not stable or not current or stable == current or status.get("promoteFull"):
        return None
    if status.get("abort"):
        return 0
    index = _index(obj)
    if index >= len(steps):
        return None
    before = (one["setWeight"] for one in reversed(steps[: index + 1]) if "setWeight" in one)
    return _share(next(before, 0))


def held(obj: owner.Object) -> dict[int, int]:
    """Return weights that an indefinite pause holds, with the index of their step; first of each.

    Raises:
        ValueError: A step's weight is no share.
    """
    found: dict[int, int] = {}
    steps = _steps(obj)
    for index, (one, then) in enumerate(itertools.pairwise(steps)):
        pause = then.get("pause")
        if "setWeight" in one and pause is not None and pause.get("duration") is None:
            found.setdefault(_share(one["setWeight"]), index)
    return found


def passed(obj: owner.Object, value: int) -> int | None:
    """Return the step of a smaller weight that was passed last, None if a pause cannot go there.

    A paused Rollout starts no pods. On the way down none are needed, unless `dynamicStableScale`
    has taken those of the stable version away.

    Raises:
        ValueError: A step's weight is no share, or the index no step.
    """
    canary = (obj["spec"].get("strategy") or {}).get("canary") or {}
    live = weight(obj)
    if live is None or value >= live or canary.get("dynamicStableScale"):
        return None
    before = list(enumerate(_steps(obj)[: _index(obj) + 1]))
    chosen = (at for at, one in reversed(before) if one.get("setWeight") == value)
    return next(chosen, None)


def is_paused_here(obj: owner.Object) -> bool:
    """Return whether a Rollout is paused, and it was us who did it."""
    return bool(obj["spec"].get("paused")) and owner.is_set_here(obj, "paused")


def may_go_on(obj: owner.Object) -> bool:
    """Return whether a pause of ours holds nothing any more: an abort, or a step's own, does."""
    if not is_paused_here(obj):
        return False
    if obj["status"].get("abort"):
        return True
    return any(_index(obj) in {at, at + 1} for at in held(obj).values())


def is_changing(obj: owner.Object) -> bool:
    """Return whether Argo has not seen the spec, not reached the step, or not set its weight."""
    status, wanted, steps = obj.get("status", {}), weight(obj), _steps(obj)
    seen = str(status.get("observedGeneration", ""))  # Argo writes it as text
    behind = not seen.isdecimal() or int(seen) < obj["metadata"]["generation"]
    if behind or status.get("promoteFull") or status.get("phase") == "Progressing":
        return True
    if wanted is None:
        unlike: bool = status.get("replicas", 0) != obj["spec"].get("replicas", 1)
        return unlike
    live = ((status.get("canary") or {}).get("weights") or {}).get("canary") or {}
    arrived = obj["spec"].get("paused") or status.get("abort") or "pause" in steps[_index(obj)]
    return live.get("weight") != wanted or not arrived


def _steps(obj: owner.Object) -> list[Any]:
    canary = (obj["spec"].get("strategy") or {}).get("canary") or {}
    steps: list[Any] = canary.get("steps") or []
    # Without a router, Argo divides by counting pods: no share can be said in percent.
    return steps if canary.get("trafficRouting") else []


def _index(obj: owner.Object) -> int:
    """Return which step it is at.

    Raises:
        ValueError: The index is no step.
    """
    index = obj.get("status", {}).get("currentStepIndex") or 0
    if not isinstance(index, int) or isinstance(index, bool) or index < 0:
        raise ValueError(f"status.currentStepIndex is {index!r}")
    return index


def _share(value: Any) -> int:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not 0 <= value <= _shares.PERCENT:
        raise ValueError(f"a setWeight is {value!r}")
    return int(value)
