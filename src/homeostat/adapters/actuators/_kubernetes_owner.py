"""Who else decides how many replicas there are: what must be asked first, or left alone.

Read from what the API server shows: owner references, managed fields, the marks of GitOps tools,
and the autoscalers and rollouts that name the object. Nothing here asks anybody.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

MANAGER: Final = "homeostat"  # our name among the managed fields
Object = Mapping[str, Any]

# Field managers that put back what others write (argo-cd, flux, keda, kube-controller-manager).
_CONTROLLERS: Final = frozenset({
    "argocd-controller",
    "argocd-application-controller",
    "kustomize-controller",
    "helm-controller",
    "keda",
    "keda-operator",
    "rollouts-controller",
    "flagger",
})
_MARKS: Final = {
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "argocd.argoproj.io/instance": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of the API, and in which of its versions it is understood here.

    Attributes:
        name: The kind.
        group: Its API group.
        versions: Those whose fields are known here, best first: the server says which it serves.
        plural: Its resource's name.
        reference: The key under `spec` that holds what it scales; empty if it scales nothing.
    """

    name: str
    group: str
    versions: tuple[str, ...]
    plural: str
    reference: str = ""


DEPLOYMENT: Final = Kind("Deployment", "apps", ("v1",), "deployments")
# In v1 what is measured lies in annotations: a change of it would be no conflict there.
HPA: Final = Kind(
    "HorizontalPodAutoscaler",
    "autoscaling",
    ("v2", "v2beta2", "v1"),
    "horizontalpodautoscalers",
    "scaleTargetRef",
)
KEDA: Final = Kind("ScaledObject", "keda.sh", ("v1alpha1",), "scaledobjects", "scaleTargetRef")
ROLLOUT: Final = Kind("Rollout", "argoproj.io", ("v1alpha1",), "rollouts", "workloadRef")
CANARY: Final = Kind("Canary", "flagger.app", ("v1beta1",), "canaries", "targetRef")
SCALERS: Final = (HPA, KEDA, ROLLOUT, CANARY)
BUDGET: Final = Kind("PodDisruptionBudget", "policy", ("v1", "v1beta1"), "poddisruptionbudgets")
ROUTE: Final = Kind("HTTPRoute", "gateway.networking.k8s.io", ("v1", "v1beta1"), "httproutes")
SERVICE: Final = Kind("InferenceService", "serving.kserve.io", ("v1beta1",), "inferenceservices")
LLM: Final = Kind(
    "LLMInferenceService", "serving.kserve.io", ("v1alpha2", "v1alpha1"), "llminferenceservices"
)
GROUPS: Final = Kind("LeaderWorkerSet", "leaderworkerset.x-k8s.io", ("v1",), "leaderworkersets")


def owners(obj: Object, field: str) -> list[str]:
    """Return who owns one field of an object's spec, for people; empty for nobody.

    Args:
        obj: The object as the API server shows it.
        field: The field under `spec`, such as `replicas`, with dots where it lies deeper.
    """
    meta, steps = obj["metadata"], ("spec", *field.split("."))
    found = controllers(obj)
    entries = meta.get("managedFields", ())
    for entry in entries:
        manager, applied = str(entry.get("manager")), entry.get("operation") == "Apply"
        holds = _holds(entry.get("fieldsV1", {}), steps)
        if holds and manager != MANAGER and (applied or manager in _CONTROLLERS):
            found.append(f"{manager}, which sets spec.{field}")
    marks = {**meta.get("labels", {}), **meta.get("annotations", {})}
    if not entries:  # what it owns cannot be seen
        found += sorted({tool for mark, tool in _MARKS.items() if mark in marks})
    return found


def is_set_here(obj: Object, field: str) -> bool:
    """Return whether it was we who last set a field of an object's spec, and nobody else."""
    entries = obj["metadata"].get("managedFields", ())
    steps = ("spec", *field.split("."))
    held = [one for one in entries if _holds(one.get("fieldsV1", {}), steps)]
    return bool(held) and all(one.get("manager") == MANAGER for one in held)


def stands(there: Any, patch: Any) -> bool:
    """Return whether all that a merge patch sets stands in an object, or in a part of it."""
    if not isinstance(patch, Mapping) or not isinstance(there, Mapping):
        return bool(there == patch)
    return all(stands(there.get(key), one) for key, one in patch.items())


def controllers(obj: Object) -> list[str]:
    """Return the controller that made an object and answers for it, for people."""
    return [
        f"{one.get('kind')}/{one.get('name')}"
        for one in obj["metadata"].get("ownerReferences", ())
        if one.get("controller")
    ]


def _holds(fields: Mapping[str, Any], steps: Sequence[str]) -> bool:
    """Return whether managed fields hold a field, by itself or with all around it."""
    for step in steps:
        if f"f:{step}" not in fields:
            return False
        fields = fields[f"f:{step}"]
        if not fields:
            return True  # a list or map that is owned as a whole
    return True


def scaling(
    kind: Kind, listed: Sequence[Object], name: str, *, kind_of: str = "Deployment"
) -> list[Object]:
    """Return the objects of a kind that scale what has this name and kind."""
    found = []
    for one in listed:
        reference = one.get("spec", {}).get(kind.reference) or {}
        if reference.get("kind", "Deployment") == kind_of and reference.get("name") == name:
            found.append(one)
    return found


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Return whether a label selector fits; an absent one fits nothing, an empty one everything.

    Raises:
        ValueError: It uses an operator that nobody knows.
    """
    if selector is None:
        return False
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_fits(one, labels) for one in selector.get("matchExpressions") or ())


def _fits(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case other:
            raise ValueError(f"a selector with the operator {other!r}")


def forbidden(
    budgets: Sequence[Object], labels: Mapping[str, str], *, before: int, after: int, undo: bool
) -> str:
    """Return which PodDisruptionBudget a smaller number of replicas would break, empty for none.

    Scaling down asks no budget by itself: only evictions do. What a budget would not let be
    evicted is not scaled away here. Undoing goes back to a number that was fine before, so of a
    budget only a fixed floor counts then.

    Args:
        budgets: All of the namespace.
        labels: The labels of the pods.
        before: Replicas now.
        after: Replicas then.
        undo: The number is gone back to.
    """
    for one in budgets:
        if after >= before or not selects(one["spec"].get("selector"), labels):
            continue
        name = one["metadata"]["name"]
        floor = one["spec"].get("minAvailable")
        if isinstance(floor, int) and after < floor:
            return f"PodDisruptionBudget/{name} wants {floor} at least"
        if undo:
            continue
        status = one.get("status", {})
        seen = status.get("observedGeneration", -math.inf)
        if seen < one["metadata"].get("generation", math.inf):
            return f"PodDisruptionBudget/{name} has not been worked out yet"
        allowed = status.get("disruptionsAllowed", 0)
        if before - after > allowed:
            return f"PodDisruptionBudget/{name} allows {allowed} fewer, not {before - after}"
    return ""
