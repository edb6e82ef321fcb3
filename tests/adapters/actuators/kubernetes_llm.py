"""KServe's LLMInferenceService as the stand-in has it: its objects, and what its controller does.

Written from its definition and its controller's sources (pkg/controller/v1alpha2/llmisvc): names
and labels of what it makes, replicas and floors handed on, the rules copied into its HTTPRoute, the
workloads named in the status. Not kept: base references, presets, schedulers, routing groups.
"""

import copy
from typing import Any

Object = dict[str, Any]
_WORKLOAD = "llminferenceservice-workload"
_FIRST, _WORKER = "-leader", "-worker"


def service(name: str = "chat", rules: list[Object] | None = None, **spec: Any) -> Object:
    """Return an LLMInferenceService; with rules it writes its own route."""
    if rules is not None:
        spec["router"] = {"route": {"http": {"spec": {"rules": rules}}}}
    return {
        "kind": "LLMInferenceService",
        "metadata": {"name": name, "namespace": "ml", "uid": f"uid-llm-{name}"},
        "spec": {"model": {"uri": "hf://some/model"}, **spec},
        "status": {},
    }


def rule(path: str, *, pool: bool = True, **weights: int | None) -> Object:
    """Return a rule that divides between services: `chat=90, chat_next=10`."""
    kind, suffix = (
        ("InferencePool", "inference-pool") if pool else ("Service", "kserve-workload-svc")
    )
    backends: list[Object] = [
        {"kind": kind, "name": f"{one.replace('_', '-')}-{suffix}", "port": 8000}
        | ({"group": "inference.networking.k8s.io"} if pool else {})
        | ({} if weight is None else {"weight": weight})
        for one, weight in weights.items()
    ]
    return {"matches": [{"path": {"type": "PathPrefix", "value": path}}], "backendRefs": backends}


def below(obj: Object) -> list[tuple[str, Object]]:
    """Return what KServe makes of a service, with the path of each one's list."""
    name, found = obj["metadata"]["name"], []
    for asked, suffix in _workloads(obj):
        labels = {
            "app.kubernetes.io/name": name,
            "app.kubernetes.io/part-of": "llminferenceservice",
        }
        found.append(_workload(name, asked, suffix, labels))
        if "scaling" in asked:
            found.append(_scaler(name, asked, suffix))
    if (rules := _rules(obj)) is not None:
        route = _made("HTTPRoute", f"{name}-kserve-route", name)
        route["spec"] = {"parentRefs": [{"name": "front"}], "rules": copy.deepcopy(rules)}
        found.append((_path("gateway.networking.k8s.io/v1", "httproutes"), route))
    return found


def handed_on(obj: Object) -> list[tuple[str, Object]]:
    """Return what the controller writes into them, by path."""
    if obj["metadata"].get("annotations", {}).get("serving.kserve.io/stop") == "true":
        return []
    keys = {"rules", "replicas", "minReplicas", "maxReplicas"}
    return [
        (f"{path}/{one['metadata']['name']}", {k: v for k, v in one["spec"].items() if k in keys})
        for path, one in below(obj)
    ]


def told(obj: Object) -> bool:
    """Name the workloads in the status, as the controller does."""
    names = {"": "primary", "-prefill": "prefill"}
    workloads = {}
    for asked, suffix in _workloads(obj):
        _, made = _workload(obj["metadata"]["name"], asked, suffix, {})
        workloads[names[suffix]] = {"kind": made["kind"], "name": made["metadata"]["name"]}
    changed = bool(obj.get("status", {}).get("workloads") != workloads)
    obj.setdefault("status", {})["workloads"] = workloads
    return changed


def bad(obj: Object) -> str:
    """Return what the schema and its rules refuse."""
    for asked, suffix in _workloads(obj):
        if "replicas" in asked and "scaling" in asked:
            return f"{suffix} replicas and scaling are mutually exclusive"
        scaling = asked.get("scaling", {"minReplicas": 1, "maxReplicas": 1})
        counts = (asked.get("replicas", 0), scaling.get("minReplicas", 1), scaling["maxReplicas"])
        if not all(isinstance(one, int) and not isinstance(one, bool) for one in counts):
            return f"{counts!r} must be integers"
        if counts[0] < 0 or not 1 <= counts[1] <= counts[2]:
            return f"{counts!r}: minReplicas cannot exceed maxReplicas"
    backends = [one for rule in _rules(obj) or () for one in rule.get("backendRefs", ())]
    weights = [one.get("weight", 1) for one in backends]
    fine = all(isinstance(one, int) and 0 <= one <= 1_000_000 for one in weights)
    return "" if fine else f"weights {weights!r} should be from 0 to 1000000"


def grouped(obj: Object) -> bool:
    """Tell how many groups there are, as an older LeaderWorkerSet's controller does."""
    status = {"replicas": obj["spec"].get("replicas", 1)}
    changed = bool(obj.get("status") != status)
    obj["status"] = status
    return changed


def members(obj: Object) -> list[tuple[str, int, dict[str, str]]]:
    """Return the names, places and labels of the groups' pods."""
    group = obj["spec"]["leaderWorkerTemplate"]
    found = []
    for number in range(obj["spec"].get("replicas", 1)):
        for index in range(group["size"]):
            template = group["leaderTemplate" if index == 0 else "workerTemplate"]
            labels = {"leaderworkerset.sigs.k8s.io/worker-index": str(index)}
            name = f"{obj['metadata']['name']}-{number}{f'-{index}' if index else ''}"
            found.append((name, number, labels | template["metadata"]["labels"]))
    return found


def _workloads(obj: Object) -> list[tuple[Object, str]]:
    spec = obj["spec"]
    return [(spec, ""), *([(spec["prefill"], "-prefill")] if "prefill" in spec else [])]


def _rules(obj: Object) -> list[Object] | None:
    found: list[Object] | None = (
        obj["spec"].get("router", {}).get("route", {}).get("http", {}).get("spec", {}).get("rules")
    )
    return found


def _made(kind: str, name: str, service: str) -> Object:
    up = {"kind": "LLMInferenceService", "name": service, "controller": True}
    meta = {"name": name, "namespace": "ml", "uid": f"uid-{name}", "ownerReferences": [up]}
    return {"kind": kind, "metadata": meta, "spec": {}}


def _path(version: str, plural: str) -> str:
    return f"/apis/{version}/namespaces/ml/{plural}"


def _workload(name: str, asked: Object, suffix: str, labels: dict[str, str]) -> tuple[str, Object]:
    count = {"replicas": asked["replicas"]} if "replicas" in asked else {}
    if "worker" not in asked:
        mine = labels | {"app.kubernetes.io/component": f"{_WORKLOAD}{suffix}"}
        made = _made("Deployment", f"{name}-kserve{suffix}", name)
        pods = {"selector": {"matchLabels": mine}, "template": {"metadata": {"labels": mine}}}
        made["spec"] = count | pods
        return _path("apps/v1", "deployments"), made
    made = _made("LeaderWorkerSet", f"{name}-kserve-mn{suffix}", name)
    templates = {
        f"{role.removeprefix('-')}Template": {
            "metadata": {
                "labels": labels | {"app.kubernetes.io/component": f"{_WORKLOAD}{role}{suffix}"}
            }
        }
        for role in (_FIRST, _WORKER)
    }
    size = asked.get("parallelism", {}).get("pipeline", 2)
    made["spec"] = count | {"leaderWorkerTemplate": {"size": size, **templates}}
    return _path("leaderworkerset.x-k8s.io/v1", "leaderworkersets"), made


def _scaler(name: str, asked: Object, suffix: str) -> tuple[str, Object]:
    made = _made("HorizontalPodAutoscaler", f"{name}-kserve{suffix}-hpa", name)
    kind = "LeaderWorkerSet" if "worker" in asked else "Deployment"
    target = f"{name}-kserve{'-mn' if 'worker' in asked else ''}{suffix}"
    scaling = asked["scaling"]
    made["spec"] = {
        "scaleTargetRef": {"kind": kind, "name": target},
        "minReplicas": scaling.get("minReplicas", 1),
        "maxReplicas": scaling["maxReplicas"],
    }
    return _path("autoscaling/v2", "horizontalpodautoscalers"), made
