"""An API server with a memory, written from what Kubernetes' API promises; it is no Kubernetes.

Kept: resource versions with 409 on an old one, merge patches (RFC 7386) and 415 for all others, the
status subresource, generation for changes of the spec, managed fields by field manager for the
fields of the spec, discovery of a group's versions, 404 for what is not there and for groups that
are not installed, 401 without the token before anything is done, label selectors of pods, 403 and
others where told, 422 for what `kubernetes_kinds` finds invalid, and controllers (there too) that
follow the spec after a delay, at once if there is none; evictions of pods (`kubernetes_evictions`).
Not kept: other validation, admission, server-side apply, watches, all else. `tests/kube` holds the
same actuators to a real one.
"""

import copy
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, str(Path(__file__).parent))
import kubernetes_evictions as evictions
import kubernetes_kinds as kinds

TOKEN = "a-service-account"
DEPLOYMENTS = "/apis/apps/v1/namespaces/ml/deployments"
SCALERS = "/apis/autoscaling/v2/namespaces/ml/horizontalpodautoscalers"
SCALED = "/apis/keda.sh/v1alpha1/namespaces/ml/scaledobjects"
BUDGETS = "/apis/policy/v1/namespaces/ml/poddisruptionbudgets"
PODS = "/api/v1/namespaces/ml/pods"
CANARIES = "/apis/flagger.app/v1beta1/namespaces/ml/canaries"
ROLLOUTS = "/apis/argoproj.io/v1alpha1/namespaces/ml/rollouts"
SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/ml/inferenceservices"
LLMS = "/apis/serving.kserve.io/v1alpha2/namespaces/ml/llminferenceservices"
GROUPS = "/apis/leaderworkerset.x-k8s.io/v1/namespaces/ml/leaderworkersets"
ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/ml/httproutes"
OWNERS = (SCALERS, SCALED, ROLLOUTS, CANARIES)  # kinds whose objects name what they scale


def deployment(name: str = "chat", replicas: int = 3, **meta: Any) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "ml", "uid": f"uid-{name}", **meta},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {}},
        },
    }


def route(name: str = "chat", **weights: int | None) -> dict[str, Any]:
    """Return a route whose only rule divides between the Services `chat-POOL`."""
    backends = [
        {"name": f"chat-{pool}", "port": 80, **({} if weight is None else {"weight": weight})}
        for pool, weight in weights.items()
    ]
    return {
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": "ml", "uid": f"uid-route-{name}"},
        "spec": {
            "parentRefs": [{"name": "front"}],
            "rules": [
                {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]}
                | {"backendRefs": backends}
            ],
        },
    }


def service(mode: str = "Serverless", **predictor: Any) -> dict[str, Any]:
    """Return an InferenceService with a second revision that is ready, and a first rolled out."""
    revisions = {
        "latestCreatedRevision": "chat-predictor-00002",
        "latestReadyRevision": "chat-predictor-00002",
        "latestRolledoutRevision": "chat-predictor-00001",
    }
    components = {"predictor": revisions} if mode == "Serverless" else {}
    return {
        "kind": "InferenceService",
        "metadata": {"name": "chat", "namespace": "ml", "uid": "uid-service"},
        "spec": {"predictor": {"model": {"modelFormat": {"name": "sklearn"}}, **predictor}},
        "status": {"deploymentMode": mode, "components": components},
    }


HELD: dict[str, Any] = {"pause": {}}


def rollout(*steps: dict[str, Any], replicas: int = 4, **status: Any) -> dict[str, Any]:
    """Return a Rollout in the middle of an update, at its first step unless the status says so."""
    canary = {"steps": list(steps), "trafficRouting": {"nginx": {"stableIngress": "chat"}}}
    return {
        "kind": "Rollout",
        "metadata": {"name": "chat", "namespace": "ml", "uid": "uid-rollout"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "chat"}},
            "template": {"metadata": {"labels": {"app": "chat"}}, "spec": {}},
            "strategy": {"canary": canary},
        },
        "status": {"stableRS": "old", "currentPodHash": "new", "currentStepIndex": 0, **status},
    }


class Cluster:
    """What is stored, by path. `delay_s` passes before a controller takes its next step."""

    def __init__(
        self,
        *,
        installed: tuple[str, ...] = (DEPLOYMENTS, BUDGETS, *OWNERS),
        delay_s: float = 0.0,
    ) -> None:
        self.lists: dict[str, dict[str, dict[str, Any]]] = {path: {} for path in installed}
        self.version = 100
        self.lock = threading.RLock()
        self.delay_s = delay_s
        self.due: dict[int, tuple[float, dict[str, Any]]] = {}  # by the object's identity
        self.refuse: dict[str, int] = {}  # list's path to the status that it is answered with
        self.odd: dict[str, dict[str, Any]] = {}  # path to what it is answered with instead
        self.refuse_writes: dict[str, int] = {}  # the same of a patch's path
        self.busy = 0  # how many patches find that a status came in between
        self.patches: list[dict[str, Any]] = []
        self.patched: list[str] = []  # their paths
        self.evictions = evictions.Evictions()

    def create(self, path: str, obj: dict[str, Any], manager: str = "kubectl") -> None:
        with self.lock:
            meta = obj["metadata"]
            meta |= {"generation": 1}
            meta.setdefault("managedFields", [_entry(manager, obj["spec"])])
            self.lists.setdefault(path, {})[meta["name"]] = obj
            self._stored(obj)
            while (step := self.due.pop(id(obj), None)) is not None:
                self._follow(step[1])

    def write(self, path: str, change: dict[str, Any], manager: str) -> tuple[int, dict[str, Any]]:
        """Merge a change into an object, as PATCH does."""
        with self.lock:
            self.settle()
            of_status = path.endswith("/status")
            obj = self.find(path.removesuffix("/status"))
            if obj is None or (of_status and not kinds.has_status(obj["kind"])):
                return 404, {"message": f"{path} not found"}
            if path in self.refuse_writes:
                return self.refuse_writes[path], {"message": f"cannot patch {path}"}
            if self.busy:
                self.busy -= 1
                self._stored(obj)
            meta = dict(change.get("metadata", {}))
            wanted = meta.pop("resourceVersion", obj["metadata"]["resourceVersion"])
            if wanted != obj["metadata"]["resourceVersion"]:
                return 409, {"message": "the object has been modified"}
            return self._merged(obj, {**change, "metadata": meta}, manager, of_status=of_status)

    def settle(self) -> None:
        """Let controllers take the steps that are due."""
        with self.lock:
            for key, (at, obj) in list(self.due.items()):
                if at <= time.monotonic():
                    del self.due[key]
                    self._follow(obj)

    def versions(self, path: str) -> list[str]:
        """Return the versions in which a group's path is served, none where it is not."""
        there = (*self.lists, *self.refuse, *self.odd)
        return sorted({one.split("/")[3] for one in there if one.startswith(f"{path}/")})

    def find(self, path: str) -> dict[str, Any] | None:
        folder, _, name = path.rpartition("/")
        return self.lists.get(folder, {}).get(name)

    def _merged(
        self, obj: dict[str, Any], change: dict[str, Any], manager: str, *, of_status: bool
    ) -> tuple[int, dict[str, Any]]:
        if of_status:  # everything but the status is passed over
            change = {"status": change.get("status", {})}
        elif kinds.has_status(obj["kind"]):
            change = {key: value for key, value in change.items() if key != "status"}
        after = copy.deepcopy(obj)
        _merge(after, change)
        if why := kinds.invalid(after):
            return 422, {"message": f"{obj['metadata']['name']} is invalid: {why}"}
        before = json.dumps(obj["spec"])
        _merge(obj, change)
        if json.dumps(obj["spec"]) != before:
            obj["metadata"]["generation"] += 1
            self._manage(obj, change["spec"], manager)
        self._stored(obj)
        return 200, copy.deepcopy(obj)

    def _manage(self, obj: dict[str, Any], spec: dict[str, Any], manager: str) -> None:
        entries = obj["metadata"]["managedFields"]
        for entry in entries:
            _forget(entry["fieldsV1"]["f:spec"], spec)
        entries[:] = [one for one in entries if one["fieldsV1"]["f:spec"]]  # who has none is gone
        entries.append(_entry(manager, spec))

    def _stored(self, obj: dict[str, Any]) -> None:
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        self.due[id(obj)] = (time.monotonic() + self.delay_s, obj)
        if self.delay_s == 0.0:
            self.settle()

    def _follow(self, obj: dict[str, Any]) -> None:
        for path, spec in kinds.handed_on(obj):
            there = self.find(path)
            if there is not None and {key: there["spec"].get(key) for key in spec} != spec:
                self._merged(there, {"spec": copy.deepcopy(spec)}, "kserve", of_status=False)
        if kinds.follow(obj):
            self._stored(obj)

    def pods(self, selector: str) -> list[dict[str, Any]]:
        """Return the pods whose labels are those of a selector, `a=1,b=2`; all for an empty one."""
        wanted = set(filter(None, selector.split(",")))
        with self.lock:
            objects = [obj for listed in self.lists.values() for obj in listed.values()]
            made = [pod for obj in objects for pod in kinds.pods(obj)]
            return [
                pod
                for pod in self.evictions.seen(made)
                if wanted <= {f"{key}={value}" for key, value in pod["metadata"]["labels"].items()}
            ]


def _forget(fields: dict[str, Any], change: dict[str, Any]) -> None:
    for key, value in change.items():
        below = fields.get(f"f:{key}")
        if below and isinstance(value, dict):
            _forget(below, value)
        else:
            fields.pop(f"f:{key}", None)


def _entry(manager: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"manager": manager, "operation": "Update", "fieldsV1": {"f:spec": _fields(spec)}}


def _fields(spec: dict[str, Any]) -> dict[str, Any]:
    return {
        f"f:{key}": _fields(value) if isinstance(value, dict) else {} for key, value in spec.items()
    }


def _merge(into: dict[str, Any], change: dict[str, Any]) -> None:
    for key, value in change.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


class Handler(BaseHTTPRequestHandler):
    cluster: Cluster

    def do_GET(self) -> None:
        asked, cluster = urlsplit(self.path), self.cluster
        path = asked.path
        with cluster.lock:
            cluster.settle()
            if not self._known():
                return
            if path in cluster.odd:
                self._say(cluster.refuse.get(path, 200), cluster.odd[path], plain=True)
            elif path in cluster.refuse:
                self._say(cluster.refuse[path], {"message": f"cannot list {path}"})
            elif path == "/api/v1":
                self._say(200, evictions.RESOURCES)
            elif path == PODS:
                selector = parse_qs(asked.query).get("labelSelector", [""])[0]
                self._say(200, {"items": cluster.pods(selector)})
            elif found := path.count("/") == 2 and cluster.versions(path):
                self._say(200, {"kind": "APIGroup", "versions": [{"version": v} for v in found]})
            elif path in cluster.lists:
                self._say(200, {"items": list(cluster.lists[path].values())})
            elif (obj := cluster.find(path)) is not None:
                self._say(200, obj)
            elif path.rpartition("/")[0] in cluster.lists:
                self._say(404, {"message": f"{path} not found"})
            else:  # no such group or kind, which no JSON says
                self._send(404, b"404 page not found\n", "text/plain; charset=utf-8")

    def do_PATCH(self) -> None:
        asked, cluster = urlsplit(self.path), self.cluster
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if not self._known():
            return
        if self.headers.get("content-type") != "application/merge-patch+json":
            self._say(415, {"message": "the body of the request was in an unknown format"})
            return
        try:
            change = json.loads(body)
        except ValueError:
            self._say(400, {"message": "no JSON"})
            return
        cluster.patches.append(change)
        cluster.patched.append(asked.path)
        manager = parse_qs(asked.query)["fieldManager"][0]
        self._say(*cluster.write(asked.path, change, manager))

    def do_POST(self) -> None:
        path, cluster = urlsplit(self.path).path, self.cluster
        said = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
        if not self._known():
            return
        with cluster.lock:
            if path in cluster.refuse_writes:
                self._say(cluster.refuse_writes[path], {"message": f"cannot create {path}"})
                return
            budgets = list(cluster.lists.get(BUDGETS, {}).values())
            status, answer = cluster.evictions.post(path, said, cluster.pods(""), budgets)
        self._say(status, answer)

    def _known(self) -> bool:
        """Return whether the account is known; whoever is not has been told so."""
        if self.headers.get("authorization") == f"Bearer {TOKEN}":
            return True
        self._say(401, {"message": "Unauthorized"})
        return False

    def _say(self, status: int, said: dict[str, Any], *, plain: bool = False) -> None:
        if status >= 400 and not plain:
            said = {"kind": "Status"} | said
        self._send(status, json.dumps(said).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None: ...  # type: ignore[explicit-override]


class Server(ThreadingHTTPServer):
    request_queue_size = 64


@contextmanager
def serving(cluster: Cluster) -> Iterator[int]:
    """Serve a cluster on a free port of loopback."""
    bound = type("Bound", (Handler,), {"cluster": cluster})
    with Server(("127.0.0.1", 0), bound) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join(timeout=10.0)
