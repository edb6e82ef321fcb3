"""An API server with a memory, written from what Kubernetes' API promises; it is no Kubernetes.

Kept: resource versions with 409 on an old one, merge patches (RFC 7386), generation for changes of
the spec, managed fields by field manager for top-level fields of the spec, 404 for what is not
there and for groups that are not installed, 401 without the token, and a controller that follows
`replicas` at once. Not kept: validation, admission, server-side apply, watches, all else.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "a-service-account"
DEPLOYMENTS = "/apis/apps/v1/namespaces/ml/deployments"
SCALERS = "/apis/autoscaling/v1/namespaces/ml/horizontalpodautoscalers"
SCALED = "/apis/keda.sh/v1alpha1/namespaces/ml/scaledobjects"
BUDGETS = "/apis/policy/v1/namespaces/ml/poddisruptionbudgets"
PODS = "/api/v1/namespaces/ml/pods"


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


class Cluster:
    """What is stored, by path."""

    def __init__(self, *, installed: tuple[str, ...] = (DEPLOYMENTS, SCALERS, BUDGETS)) -> None:
        self.lists: dict[str, dict[str, dict[str, Any]]] = {path: {} for path in installed}
        self.version = 100
        self.lock = threading.RLock()
        self.refuse: dict[str, int] = {}  # list's path to the status that it is answered with
        self.busy = 0  # how many patches find that a status came in between
        self.patches: list[dict[str, Any]] = []

    def create(self, path: str, obj: dict[str, Any], manager: str = "kubectl") -> None:
        with self.lock:
            meta = obj["metadata"]
            meta |= {"generation": 1}
            meta.setdefault("managedFields", [_entry(manager, obj["spec"])])
            self.lists.setdefault(path, {})[meta["name"]] = obj
            self._stored(obj)

    def write(self, path: str, change: dict[str, Any], manager: str) -> tuple[int, dict[str, Any]]:
        """Merge a change into an object, as PATCH does."""
        with self.lock:
            obj = self.find(path)
            if obj is None:
                return 404, {"message": f"{path} not found"}
            if self.busy:
                self.busy -= 1
                self._stored(obj)
            meta = dict(change.get("metadata", {}))
            wanted = meta.pop("resourceVersion", obj["metadata"]["resourceVersion"])
            if wanted != obj["metadata"]["resourceVersion"]:
                return 409, {"message": "the object has been modified"}
            before = json.dumps(obj["spec"])
            _merge(obj, {**change, "metadata": meta})
            if json.dumps(obj["spec"]) != before:
                obj["metadata"]["generation"] += 1
                self._manage(obj, change["spec"], manager)
            self._stored(obj)
            return 200, obj

    def find(self, path: str) -> dict[str, Any] | None:
        folder, _, name = path.rpartition("/")
        return self.lists.get(folder, {}).get(name)

    def _manage(self, obj: dict[str, Any], spec: dict[str, Any], manager: str) -> None:
        entries = obj["metadata"]["managedFields"]
        for entry in entries:
            for field in spec:
                entry["fieldsV1"]["f:spec"].pop(f"f:{field}", None)
        entries.append(_entry(manager, spec))

    def _stored(self, obj: dict[str, Any]) -> None:
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        if obj["kind"] == "Deployment":
            count, generation = obj["spec"].get("replicas", 1), obj["metadata"]["generation"]
            obj["status"] = {"replicas": count, "observedGeneration": generation}

    def pods(self) -> list[dict[str, Any]]:
        return [
            {
                "metadata": {"name": f"{name}-{place}", "labels": {"app": name}},
                "status": {
                    "phase": "Running",
                    "podIP": f"10.0.0.{place + 1}",
                    "startTime": "2026-11-22T03:00:00Z",
                    "conditions": [{"type": "Ready", "status": "True"}],
                    "containerStatuses": [{"restartCount": place}],
                },
            }
            for name, one in self.lists[DEPLOYMENTS].items()
            for place in range(one["spec"].get("replicas", 1))
        ]


def _entry(manager: str, spec: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {"f:spec": {f"f:{field}": {} for field in spec}}
    return {"manager": manager, "operation": "Update", "fieldsV1": fields}


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
        path, cluster = urlsplit(self.path).path, self.cluster
        with cluster.lock:
            if path in cluster.refuse:
                self._say(cluster.refuse[path], {"message": f"cannot list {path}"})
            elif path == PODS:
                self._say(200, {"items": cluster.pods()})
            elif path in cluster.lists:
                self._say(200, {"items": list(cluster.lists[path].values())})
            elif (found := cluster.find(path)) is not None:
                self._say(200, found)
            else:
                self._say(404, {"message": f"{path} not found"})

    def do_PATCH(self) -> None:
        asked, cluster = urlsplit(self.path), self.cluster
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            change = json.loads(body)
        except ValueError:
            self._say(400, {"message": "no JSON"})
            return
        cluster.patches.append(change)
        manager = parse_qs(asked.query)["fieldManager"][0]
        self._say(*cluster.write(asked.path, change, manager))

    def _say(self, status: int, said: dict[str, Any]) -> None:
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            status, said = 401, {"message": "Unauthorized"}
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
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
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join(timeout=10.0)
