"""`deploy/` as a cluster has it: rendered, applied in namespaces of its own, and its account."""

import copy
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "deploy"))
from kube_cluster import Kube
from rendered import Object, rendered

# Kinds that come before the others, for those stand on them.
FIRST: Final = ("Namespace", "CustomResourceDefinition", "ServiceAccount", "Role", "ConfigMap")
PATHS: Final[Mapping[str, str]] = {
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Service": "/api/v1/namespaces/{}/services",
    "PersistentVolumeClaim": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "PodDisruptionBudget": "/apis/policy/v1beta1/namespaces/{}/poddisruptionbudgets",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
    "Namespace": "/api/v1/namespaces",
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
}


@dataclass(frozen=True, slots=True)
class Applied:
    """A variant that was applied.

    Attributes:
        own: The controller's namespace, which the manifests call `homeostat`.
        models: The models' namespace, which they call `ml`.
        objects: As they were sent, by path.
    """

    own: str
    models: str
    objects: Mapping[str, Object]


def older(obj: Object) -> Object:
    """Return an object as a server of 1.20 knows it; any other is as it is.

    Disruption budgets were v1beta1, and their `unhealthyPodEvictionPolicy` came with 1.26.
    """
    if obj["kind"] != "PodDisruptionBudget":
        return obj
    spec = {k: v for k, v in obj["spec"].items() if k != "unhealthyPodEvictionPolicy"}
    return obj | {"apiVersion": "policy/v1beta1", "spec": spec}


def moved(obj: Object, names: Mapping[str, str]) -> Object:
    """Return an object in other namespaces."""
    found = copy.deepcopy(obj)
    meta = found["metadata"]
    if found["kind"] == "Namespace":
        meta["name"] = names[meta["name"]]
    if "namespace" in meta:
        meta["namespace"] = names[meta["namespace"]]
    for subject in found.get("subjects", ()):
        subject["namespace"] = names[subject["namespace"]]
    return found


def apply(kube: Kube, variant: str) -> Applied:
    """Apply a variant as `kubectl apply --server-side` does; no field that is unknown gets by."""
    own, models = kube.namespace(), kube.namespace()
    names = {"homeostat": own, "ml": models}
    order = {kind: place for place, kind in enumerate(FIRST)}
    sent = {}
    for obj in sorted(rendered(variant), key=lambda one: order.get(one["kind"], len(order))):
        there = moved(older(obj), names)
        meta = there["metadata"]
        path = f"{PATHS[there['kind']].format(meta.get('namespace'))}/{meta['name']}"
        kube.apply(path, there, manager="kubectl")
        sent[path] = there
    return Applied(own, models, sent)


def token(kube: Kube, namespace: str, name: str = "homeostat") -> str:
    """Return a token of a service account, as a pod of it would have one."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    found: str = kube.create(path, asked)["status"]["token"]
    return found


def may(kube: Kube, account: str, **attributes: Any) -> bool:
    """Return whether the server lets an account do something, by its own word.

    Args:
        kube: The cluster.
        account: A token.
        attributes: As `resourceAttributes` of a SelfSubjectAccessReview.
    """
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    asked = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    status, said = kube.ask("POST", path, asked, token=account)
    assert status == 201, said
    return bool(said["status"]["allowed"])
