"""What the kinds of the stand-in are: what is invalid, what their controllers do, their pods.

Written from the APIs' documentation and from what their controllers' sources do at each step: a
Deployment's, a Gateway's (conditions of its routes), Argo Rollouts' (steps, pauses, aborts; pods
are there at once, but none come or go while it is paused), KServe's with Knative below it (traffic
and revisions) or with a Deployment and an autoscaler, its LLMInferenceService's (`kubernetes_llm`).
`follow` takes one step and says whether it changed anything.
"""

import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import kubernetes_llm as llm

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


def handed_on(obj: Object) -> list[tuple[str, Object]]:
    """Return what the kind's controller writes into other objects: their paths and specs."""
    return llm.handed_on(obj) if obj["kind"] == "LLMInferenceService" else []


def pods(obj: Object) -> list[Object]:
    """Return the pods that stand there for an object."""
    return PODS[obj["kind"]](obj) if obj["kind"] in PODS else []


def pod(name: str, place: int, labels: dict[str, str]) -> Object:
    """Return one that is ready."""
    return {
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "labels": labels,
            "ownerReferences": [{"kind": "ReplicaSet", "name": "set", "controller": True}],
        },
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
    status = {"replicas": count, "updatedReplicas": count, "observedGeneration": generation}
    return _told(obj, status)


def _deployed(obj: Object) -> list[Object]:
    name, labels = obj["metadata"]["name"], obj["spec"]["template"]["metadata"]["labels"]
    count = obj["spec"].get("replicas", 1)
    return [pod(f"{name}-{place}", place, dict(labels)) for place in range(count)]


def _route(obj: Object) -> bool:
    """As a gateway's controller does: conditions for each parent, of the generation it has seen."""
    generation = obj["metadata"]["generation"]
    conditions = [
        {
            "type": kind,
            "status": "True",
            "reason": kind,
            "message": "as the gateway says",
            "lastTransitionTime": "2026-11-22T03:00:00Z",
            "observedGeneration": generation,
        }
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


def _rollout(obj: Object) -> bool:
    """As rollout/canary.go and rollout/pause.go reconcile: weights first, then one step at most."""
    status = obj.setdefault("status", {})
    if "stableRS" not in status:
        return False  # one of a test about names only
    before = copy.deepcopy(status)
    spec, steps = obj["spec"], obj["spec"]["strategy"]["canary"]["steps"]
    status["observedGeneration"] = str(obj["metadata"]["generation"])  # Argo writes text
    halted = bool(spec.get("paused"))  # haltProgress: weights go on, pods and steps do not
    index = min(status.get("currentStepIndex", 0), len(steps))
    index, weight = _reached(obj, steps, index, halted=halted)
    if not halted:
        status["updatedReplicas"] = _needed(obj, weight)
    status["canary"] = {
        "weights": {"canary": {"weight": weight}, "stable": {"weight": 100 - weight}}
    }
    step = steps[index] if index < len(steps) and not status.get("abort") else {}
    index += _passes(status, step, halted=halted)
    if index == len(steps):
        status |= {"stableRS": status["currentPodHash"], "promoteFull": False}
    resting = halted or "pause" in step
    phases = {"Degraded": status.get("abort"), "Paused": resting, "Healthy": not step}
    status["phase"] = next((phase for phase, is_in in phases.items() if is_in), "Progressing")
    status["currentStepIndex"] = index
    status["replicas"] = len(_rolled(obj))
    return bool(status != before)


def _reached(obj: Object, steps: list[Object], index: int, *, halted: bool) -> tuple[int, int]:
    """Return the step that counts, and the weight that the traffic can have there."""
    status = obj["status"]
    if status["currentPodHash"] == status["stableRS"] or status.get("promoteFull"):
        return len(steps), 100
    if status.get("abort"):
        return 0, 0
    passed = [one["setWeight"] for one in steps[: index + 1] if "setWeight" in one]
    weight = 100 if index == len(steps) else [0, *passed][-1]
    if halted and status.get("updatedReplicas", 0) < _needed(obj, weight):
        # Its pods are not there and none are started: the weight of the step before.
        weight = [0, *(one["setWeight"] for one in steps[:index] if "setWeight" in one)][-1]
    return index, weight


def _passes(status: Object, step: Object, *, halted: bool) -> bool:
    """Return whether it goes on to the next step; else say what it waits for."""
    paused, seen = status.pop("pauseConditions", None), status.pop("controllerPause", False)
    if halted:
        status |= {"pauseConditions": paused, "controllerPause": seen} if paused else {}
        return False
    if {"setWeight", "setCanaryScale"} & set(step):
        return True
    if "pause" in step and not paused and seen:
        return True  # somebody took the condition away
    if "pause" in step:
        held = paused or [{"reason": "CanaryPauseStep", "startTime": "2026-11-22T03:00:00Z"}]
        status |= {"pauseConditions": held, "controllerPause": True}
    return False


def _needed(obj: Object, weight: int) -> int:
    """Return how many pods of the new version a weight needs."""
    count: int = obj["spec"]["replicas"]
    return -(-count * weight // 100)


def _rolled(obj: Object) -> list[Object]:
    if "canary" not in obj["status"]:
        return []
    name, count, status = obj["metadata"]["name"], obj["spec"]["replicas"], obj["status"]
    if obj["spec"].get("paused") and "replicas" in status:  # as many as there were
        count = status["replicas"] - status.get("updatedReplicas", 0)
    stable, current = status["stableRS"], status["currentPodHash"]
    wanted = {stable: count}
    if current != stable:
        wanted[current] = status.get("updatedReplicas", 0)
    return [
        pod(f"{name}-{kind}-{place}", place, {"app": name, "rollouts-pod-template-hash": kind})
        for kind, many in wanted.items()
        for place in range(many)
    ]


def _bad_rollout(obj: Object) -> str:
    """The schema's types: the controller's own validation is told by a condition, not by a 422."""
    status = obj.get("status", {})
    replicas, index = obj["spec"].get("replicas", 1), status.get("currentStepIndex", 0)
    plain = all(isinstance(one, int) and not isinstance(one, bool) for one in (replicas, index))
    return "" if plain else f"replicas {replicas!r} and index {index!r} must be integers"


def _service(obj: Object) -> bool:
    """As KServe's createKnativeService and PropagateStatus do, one after the other."""
    predictor = obj["spec"]["predictor"]
    if obj["status"]["deploymentMode"] != "Serverless":
        return False
    said = obj["status"]["components"]["predictor"]
    before = copy.deepcopy(said)
    ready, rolled = said["latestReadyRevision"], said.get("latestRolledoutRevision", "")
    share = predictor.get("canaryTrafficPercent")
    share = 100 if share is None or not rolled else share
    latest = {"revisionName": ready, "latestRevision": True, "percent": share}
    rest = {"revisionName": rolled, "latestRevision": False, "percent": 100 - share, "tag": "prev"}
    said["traffic"] = [latest] if share == 100 else [latest, rest]
    on_ready = sum(one["percent"] for one in said["traffic"] if one["revisionName"] == ready)
    if rolled != ready and share == 100:
        said |= {"previousRolledoutRevision": rolled, "latestRolledoutRevision": ready}
    elif rolled == ready == said["latestCreatedRevision"] and share < 100 == on_ready:
        said["latestRolledoutRevision"] = said.get("previousRolledoutRevision") or rolled
    return bool(said != before)


def _served(obj: Object) -> list[Object]:
    name = obj["metadata"]["name"]
    labels = {"serving.kserve.io/inferenceservice": name, "component": "predictor"}
    if obj["status"]["deploymentMode"] != "Serverless":
        return []  # they are its Deployments'
    said = obj["status"]["components"]["predictor"]
    return [
        pod(f"{one}-x", place, labels | {"serving.knative.dev/revision": one})
        for place, one in enumerate(sorted({each["revisionName"] for each in said["traffic"]}))
    ]


def _bad_service(obj: Object) -> str:
    """What KServe's schema and webhook refuse."""
    predictor = obj["spec"]["predictor"]
    low, high = predictor.get("minReplicas", 1), predictor.get("maxReplicas", 0)
    if high and low > high:
        return "'MinReplicas' cannot be greater than MaxReplicas"
    shares = [one.get("trafficPercent", 0) for one in obj["spec"].get("canary", ())]
    if sum(shares) > 100:
        return "the sum of trafficPercent is above 100"
    batcher = predictor.get("batcher", {}).values()
    if not all(isinstance(one, int) and not isinstance(one, bool) for one in batcher):
        return f"a batcher of {predictor['batcher']!r}"
    share = predictor.get("canaryTrafficPercent", 0)
    return "" if isinstance(share, int) and 0 <= share <= 100 else f"a share of {share!r}"


INVALID: dict[str, Callable[[Object], str]] = {
    "HTTPRoute": _bad_route,
    "Rollout": _bad_rollout,
    "InferenceService": _bad_service,
    "LLMInferenceService": llm.bad,
}
FOLLOW: dict[str, Callable[[Object], bool]] = {
    "Deployment": _deployment,
    "HTTPRoute": _route,
    "Rollout": _rollout,
    "InferenceService": _service,
    "LLMInferenceService": llm.told,
    "LeaderWorkerSet": llm.grouped,
}
PODS: dict[str, Callable[[Object], list[Object]]] = {
    "Deployment": _deployed,
    "Rollout": _rolled,
    "InferenceService": _served,
    "LeaderWorkerSet": lambda obj: [pod(*one) for one in llm.members(obj)],
}
