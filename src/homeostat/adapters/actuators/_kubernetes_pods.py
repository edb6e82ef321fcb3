"""Pods as replicas, and what must be asked before there are fewer of them."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from homeostat.adapters.actuators import _kubernetes_owner as owner
from homeostat.adapters.actuators import _stamp
from homeostat.adapters.actuators._kubernetes_api import Api
from homeostat.adapters.actuators._kubernetes_view import labelled, listed
from homeostat.base.intent import Intent
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Replica, ReplicaState, Scalar

_MOST: Final = 10_000


def whole(spec: owner.Object, field: str, default: int) -> int:
    """Return a count that a spec holds.

    Raises:
        ValueError: It is no number, or less than nothing.
    """
    value = spec.get(field, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"spec.{field} is {value!r}")
    return value


def bad_count(lever: str, value: Scalar) -> str:
    """Return why there cannot be as many replicas, empty if there can."""
    if _stamp.whole(value, _MOST) and int(value) >= 1:
        return ""
    return f"{lever} must be a whole number from 1 to {_MOST}, got {value!r}"


def is_changing(workload: owner.Object) -> bool:
    """Return whether a Deployment's controller has not carried out its spec."""
    status, meta = workload.get("status", {}), workload["metadata"]
    behind: bool = status.get("observedGeneration", 0) < meta.get("generation", 0)
    unfinished: bool = status.get("replicas", 0) != workload["spec"].get("replicas", 1)
    return behind or unfinished


async def selected(api: Api, home: str, selector: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the pods that a label selector fits.

    Args:
        api: Who is asked.
        home: The namespace's path.
        selector: As a Deployment or a Rollout writes it.

    Raises:
        ApiError: They may not be read.
        ValueError: The selector uses an operator that nobody knows.
    """
    query = labelled((selector.get("matchLabels") or {}).items())
    found = await api.items(f"/api/v1{home}/pods", labelSelector=query)
    return [one for one in found if owner.selects(selector, one["metadata"].get("labels", {}))]


def replica(pod: Mapping[str, Any], *, pool: str, port: int | None) -> Replica:
    """Return a pod as a replica of a pool.

    Args:
        pod: As the API server shows it.
        pool: The pool that it serves in.
        port: Where it serves; None for no address.
    """
    meta, status = pod["metadata"], pod.get("status", {})
    address = status.get("podIP")
    host = f"[{address}]" if address and ":" in address else address
    started = status.get("startTime")
    return Replica(
        name=meta["name"],
        pool=pool,
        version=None,  # an image's name is what was wanted, not what serves
        state=_state(meta, status),
        incarnation=incarnation(pod),
        started_at=None if started is None else _time(started),
        address=f"{host}:{port}" if host and port else None,
    )


def incarnation(pod: Mapping[str, Any]) -> int:
    """Return which run of a pod's containers this is, 1 for the first."""
    told = pod.get("status", {}).get("containerStatuses", ())
    return 1 + sum(int(one["restartCount"]) for one in told)


def labels_of(pod: Mapping[str, Any]) -> Mapping[str, str]:
    """Return a pod's labels."""
    found: Mapping[str, str] = pod["metadata"].get("labels") or {}
    return found


async def budgets(api: Api, home: str) -> list[dict[str, Any]]:
    """Return a namespace's disruption budgets, of whichever version the server serves.

    An empty selector means all pods in v1 and none in v1beta1; it is taken for all here, which
    forbids more.

    Raises:
        ApiError: They may not be read.
    """
    return await api.listed(owner.BUDGET, home)


async def fewer(
    api: Api, home: str, workload: owner.Object, intent: Intent, *, before: int, after: int
) -> str:
    """Return which disruption budget is against fewer replicas of a workload, empty for none.

    Raises:
        ApiError: Budgets may not be read.
    """
    if after >= before:
        return ""
    labels = workload["spec"]["template"]["metadata"].get("labels") or {}
    found = await budgets(api, home)
    return owner.forbidden(found, labels, before=before, after=after, undo=intent.undo)


async def scalers(
    api: Api, home: str, name: str, *, kind: str, ours: Callable[[str, owner.Object], bool]
) -> list[str]:
    """Return who scales an object of this kind and name, for people.

    Args:
        api: Who is asked.
        home: The namespace's path.
        name: The object's name.
        kind: Its kind.
        ours: Whether an object of a kind is the one that is acted through.
    """
    many = await asyncio.gather(*(listed(api, one, home) for one in owner.SCALERS))
    found = []
    for one, (objects, unknown) in zip(owner.SCALERS, many, strict=True):
        found += unknown
        for obj in owner.scaling(one, objects, name, kind_of=kind):
            if not ours(one.name, obj):
                found.append(f"{one.name}/{obj['metadata']['name']}")
    return found


def _state(meta: Mapping[str, Any], status: Mapping[str, Any]) -> ReplicaState:
    if meta.get("deletionTimestamp") is not None:
        return ReplicaState.DRAINING
    if status.get("phase") in {"Failed", "Succeeded"}:
        return ReplicaState.GONE
    ready = {one["type"]: one["status"] for one in status.get("conditions", ())}.get("Ready")
    return ReplicaState.READY if ready == "True" else ReplicaState.STARTING


def _time(text: str) -> TimeNs:
    return TimeNs(int(datetime.fromisoformat(text).timestamp()) * SECOND)
