"""What the kinds of the stand-in are: what is invalid, what their controllers do, their pods.

Written from the APIs' documentation and from what their controllers' sources do at each step: a
Deployment's, a Gateway's (conditions of its routes). `follow` takes one step and says whether it
changed anything.
"""

from collections.abc import Callable
from typing import Any

Object = dict[str, Any]


def has_status(kind: str) -> bool:
    """Return whether a kind's status is a resource of its own."""
    return kind in FOLLOW


def invalid(obj: Object) -> str:
    """Return what the kind's schema finds wrong, empty for nothing."""
    return INVALID[obj["kind"]](obj) if obj["kind"] in INVALID else ""


def follow(obj: Object) -> bool:
    """Let the kind's controller take one step."""
    return obj["kind"] in FOLLOW and FOLLOW[obj["kind"]](obj)


def pods(obj: Object) -> list[Object]:
    """Return the pods that stand there for an object."""
    return PODS[obj["kind"]](obj) if obj["kind"] in PODS else []


def pod(name: str, place: int, labels: dict[str, str]) -> Object:
    """Return one that is ready."""
    return {
        "metadata": {"name": name, "labels": labels},
        "status": {
            "phase": "Running",
            "podIP": f"10.0.0.{place + 1}",
            "startTime": "2026-11-22T03:00:00Z",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"restartCount": place}],
        },
    }


def _told(obj: Object, status: Object) -> bool:
    changed = obj.get("status") != status
    obj["status"] = status
    return changed


def _deployment(obj: Object) -> bool:
    count, generation = obj["spec"].get("replicas", 1), obj["metadata"]["generation"]
    return _told(obj, {"replicas": count, "observedGeneration": generation})


def _deployed(obj: Object) -> list[Object]:
    name = obj["metadata"]["name"]
    count = obj["spec"].get("replicas", 1)
    return [pod(f"{name}-{place}", place, {"app": name}) for place in range(count)]


def _route(obj: Object) -> bool:
    """As a gateway's controller does: conditions for each parent, of the generation it has seen."""
    generation = obj["metadata"]["generation"]
    conditions = [
        {"type": kind, "status": "True", "reason": kind, "observedGeneration": generation}
        for kind in ("Accepted", "ResolvedRefs")
    ]
    parents = [
        {"parentRef": one, "controllerName": "example.net/gateway", "conditions": conditions}
        for one in obj["spec"].get("parentRefs", ())
        if one["name"] != "absent"
    ]
    return _told(obj, {"parents": parents})


def _bad_route(obj: Object) -> str:
    for rule in obj["spec"]["rules"]:
        for backend in rule.get("backendRefs", ()):
            weight = backend.get("weight", 1)
            whole = isinstance(weight, int) and not isinstance(weight, bool)
            if not whole or not 0 <= weight <= 1_000_000:
                return f"weight {weight!r} should be from 0 to 1000000"
    return ""


INVALID: dict[str, Callable[[Object], str]] = {"HTTPRoute": _bad_route}
FOLLOW: dict[str, Callable[[Object], bool]] = {"Deployment": _deployment, "HTTPRoute": _route}
PODS: dict[str, Callable[[Object], list[Object]]] = {"Deployment": _deployed}
