"""The kinds of others that actuators know, as definitions, and stand-ins for controllers.

The real API server stores, versions, prunes and judges the objects by what `kube_schemas` says of
their fields; group, version, names and subresources are as upstream has them. What follows them is
`kubernetes_kinds`, as in the tests without a cluster: Argo, KServe and a gateway run nowhere here.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx2

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "actuators"))
import kubernetes_kinds as kinds
from kube_cluster import ADMIN, Kube
from kube_schemas import OPEN, SPECS, STATUSES

from homeostat.adapters.actuators import _kubernetes_owner as owner

DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DELAY_S: Final = 0.05  # of a controller: its status comes after the answer
Object = dict[str, Any]
SCALES: Final[Mapping[str, Object]] = {
    "Rollout": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.HPAReplicas"}
}
KINDS: Final = (owner.ROUTE, owner.ROLLOUT, owner.SERVICE, owner.LLM, owner.KEDA, owner.CANARY)


def definition(kind: owner.Kind) -> Object:
    """Return a custom resource definition of a kind, in the best version that is known."""
    fields = {"spec": SPECS[kind.name], "status": STATUSES.get(kind.name, OPEN)}
    schema = {"type": "object", "properties": fields}
    parts: Object = {"status": {}}
    if kind.name in SCALES:
        parts["scale"] = SCALES[kind.name]
    version = {
        "name": kind.versions[0],
        "served": True,
        "storage": True,
        "subresources": parts,
        "schema": {"openAPIV3Schema": schema},
    }
    # `*.k8s.io` belongs to Kubernetes: who defines kinds there says that it was agreed upon.
    approved = {"api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/gateway-api"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{kind.plural}.{kind.group}",
            "annotations": approved if kind.group.endswith("k8s.io") else {},
        },
        "spec": {
            "group": kind.group,
            "scope": "Namespaced",
            "names": {
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "kind": kind.name,
                "listKind": f"{kind.name}List",
            },
            "versions": [version],
        },
    }


def define(kube: Kube, *definitions: Object) -> None:
    """Create definitions, and wait until each is served."""
    for one in definitions:
        kube.create(DEFINITIONS, one)
    for one in definitions:
        spec = one["spec"]
        path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
        kube.until(partial(kube.serves, path), f"{path} served")


def where(kind: owner.Kind, home: str) -> str:
    """Return the path of a kind's list in a namespace."""
    return f"/apis/{kind.group}/{kind.versions[0]}/namespaces/{home}/{kind.plural}"


def put(kube: Kube, kind: owner.Kind, home: str, obj: Object) -> str:
    """Create an object of the stand-ins' making, with its status; return its path."""
    meta = {
        key: value
        for key, value in obj["metadata"].items()
        if key in {"name", "labels", "annotations"}
    }
    made = {"apiVersion": f"{kind.group}/{kind.versions[0]}", "kind": kind.name}
    kube.create(where(kind, home), made | {"metadata": meta, "spec": obj["spec"]})
    path = f"{where(kind, home)}/{meta['name']}"
    if "status" in obj:
        kube.status(path, obj["status"])
    return path


class Follower(threading.Thread):
    """One kind's controller in one namespace, a stand-in: it writes the status, and nothing else.

    `step` changes the object that it is shown and says whether it did.
    """

    def __init__(self, kube: Kube, path: str, step: Callable[[Object], bool]) -> None:
        super().__init__(daemon=True)
        self.kube, self.path, self.step_ = kube, path, step
        self.over = threading.Event()
        self.trouble = ""

    def run(self) -> None:  # type: ignore[explicit-override]
        headers = {"authorization": f"Bearer {ADMIN}"}
        query = {"watch": "1", "timeoutSeconds": "1"}  # a second at most until it hears of the end
        with httpx2.Client(
            base_url=self.kube.url,
            verify=self.kube.trusted(),
            headers=headers,
            timeout=30.0,
            trust_env=False,
        ) as client:
            while not self.over.is_set():
                self.watch(client, query)

    def watch(self, client: httpx2.Client, query: Mapping[str, str]) -> None:
        """Follow one watch: it begins with all objects that there are."""
        try:
            with client.stream("GET", self.path, params=query) as answer:
                for line in answer.iter_lines():
                    self.heard(client, line)
        except (httpx2.HTTPError, OSError) as error:
            self.trouble = repr(error)
            self.over.wait(0.2)

    def heard(self, client: httpx2.Client, line: str) -> None:
        event = json.loads(line)
        obj = event["object"]
        if self.over.is_set() or event["type"] not in {"ADDED", "MODIFIED"}:
            return
        if "status" not in obj:
            return  # whoever made it has not said yet how it is
        time.sleep(DELAY_S)
        if not self.step_(obj):
            return
        said = client.put(f"{self.path}/{obj['metadata']['name']}/status", json=obj)
        if said.status_code not in {200, 404, 409}:  # gone, or another is on its way
            self.trouble = said.text


@contextmanager
def followed(
    kube: Kube, kind: owner.Kind, home: str, step: Callable[[Object], bool] = kinds.follow
) -> Iterator[None]:
    """Let a stand-in follow all objects of a kind in a namespace."""
    thread = Follower(kube, where(kind, home), step)
    thread.start()
    try:
        yield
    except BaseException as error:
        error.add_note(f"what the stand-in was told last: {thread.trouble or 'nothing'}")
        raise
    finally:
        thread.over.set()
        thread.join(timeout=15.0)
    assert not thread.trouble, thread.trouble
