"""Evictions of the stand-in: what becomes of a pod, and what a disruption budget says to it.

Written from Kubernetes' documentation of the API-initiated eviction: 201 and the pod ends, 429
where a budget allows none, 500 where several cover the pod, 404 for no pod, 409 for another UID.
"""

import copy
from typing import Any

Object = dict[str, Any]
RESOURCES: Object = {
    "kind": "APIResourceList",
    "resources": [
        {"name": "pods", "kind": "Pod"},
        {"name": "pods/eviction", "kind": "Eviction", "group": "policy", "version": "v1"},
    ],
}


class Evictions:
    """Which pods have been evicted, by the name that they had; each is replaced at once."""

    def __init__(self) -> None:
        self.asked: list[Object] = []  # what was posted
        self.gone: list[str] = []
        self.linger = False  # what was evicted is still there, on its way out
        self.cut = False  # what is asked for is done, and the answer tells of an error
        self.crashes: dict[str, int] = {}  # restarts of a pod's own, by its name
        self.bare = False  # no controller made the pods

    def seen(self, made: list[Object]) -> list[Object]:
        """Return the pods as they are, from those that their controllers would have made."""
        found = []
        for pod in copy.deepcopy(made):
            while pod["metadata"]["name"] in self.gone:
                if self.linger:
                    ending = copy.deepcopy(pod)
                    ending["metadata"]["deletionTimestamp"] = "2026-11-22T03:00:00Z"
                    found.append(ending)
                name = f"{pod['metadata']['name']}-x"
                pod["metadata"] |= {"name": name, "uid": f"uid-{name}"}
                pod["status"]["containerStatuses"] = [{"restartCount": 0}]
            if self.bare:
                del pod["metadata"]["ownerReferences"]
            counts = pod["status"]["containerStatuses"]
            counts[0]["restartCount"] += self.crashes.get(pod["metadata"]["name"], 0)
            found.append(pod)
        return found

    def post(
        self, path: str, said: Object, pods: list[Object], budgets: list[Object]
    ) -> tuple[int, Object]:
        """Answer a request to evict."""
        folder, _, what = path.rpartition("/")
        name = folder.rpartition("/")[2]
        pod = next((one for one in pods if one["metadata"]["name"] == name), None)
        if what != "eviction" or pod is None:
            return 404, {"message": f'pods "{name}" not found'}
        assert (said["apiVersion"], said["kind"]) == ("policy/v1", "Eviction")
        assert said["metadata"] == {"name": name, "namespace": "ml"}
        self.asked.append(said)
        uid = said["deleteOptions"]["preconditions"]["uid"]
        if uid != pod["metadata"]["uid"]:
            return 409, {"message": f"Precondition failed: UID in precondition: {uid}"}
        labels = pod["metadata"]["labels"].items()
        mine = [
            one
            for one in budgets
            if one["spec"]["selector"].get("matchLabels", {}).items() <= labels
        ]
        if len(mine) > 1:
            return 500, {"message": "This pod has more than one PodDisruptionBudget"}
        if mine and mine[0]["status"]["disruptionsAllowed"] < 1:
            text = "Cannot evict pod as it would violate the pod's disruption budget."
            return 429, {"message": text}
        for one in mine:
            one["status"]["disruptionsAllowed"] -= 1
        self.gone.append(name)
        if self.cut:
            return 500, {"message": "etcdserver: request timed out"}
        return 201, {"kind": "Status", "status": "Success", "code": 201}
