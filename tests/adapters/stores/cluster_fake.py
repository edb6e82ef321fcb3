"""An API server with a memory, for what the controller keeps there itself; it is no Kubernetes.

Kept, as the API's documentation promises it: resource versions, with 409 for an old one and for a
name that is taken; PUT, POST, merge patches (RFC 7386); a status that only `/status` changes and
that changes no generation; pages of a list of one moment; 404, 401, and 403 for what a role does
not name. Not kept: validation, defaults, admission, watches, server-side apply, all else.
"""

import copy
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "a-controllers-account"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/homeostat/leases"
EVENTS = "/apis/events.k8s.io/v1/namespaces/homeostat/events"
OURS = "/apis/homeostat.dev/v1alpha1/namespaces/homeostat"
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
Object = dict[str, Any]
Asked = tuple[str, str, str]
"""Verb, path of the list (with `/status` behind it for that part), name."""


class Cluster:
    """What is stored, by list and name, and what was asked."""

    def __init__(self) -> None:
        self.lists: dict[str, dict[str, Object]] = {
            LEASES: {},
            EVENTS: {},
            **{f"{OURS}/{one}": {} for one in ("managedmodels", "guardrailpolicies", "freezes")},
        }
        self.version = 100
        self.lock = threading.RLock()
        self.away = 0  # status that everything is answered with
        self.losing: set[str] = set()  # verbs that are done and never answered
        self.refused: set[tuple[str, str]] = set()  # verb and list that the account may not
        self.beside = 0  # how many writes find that somebody labelled the object in between
        self.asked: list[Asked] = []

    def put(self, path: str, obj: Object) -> Object:
        """Store an object as somebody else would, over whatever is there."""
        with self.lock:
            name = obj["metadata"]["name"]
            old = self.lists[path].get(name)
            made = copy.deepcopy(obj)
            meta = made["metadata"]
            meta.setdefault("uid", f"uid-{name}")
            before = 0 if old is None else old["metadata"]["generation"]
            meta["generation"] = before + (old is None or old.get("spec") != made.get("spec"))
            if old is not None and "status" in old:
                made.setdefault("status", old["status"])
            self.lists[path][name] = made
            return self._stored(made)

    def answer(self, method: str, url: str, body: Object | None) -> tuple[int, Object]:
        """Answer one request."""
        asked = urlsplit(url)
        folder, name, part = self._split(asked.path)
        verb = VERBS.get(method) or ("get" if name else "list")
        with self.lock:
            self.asked.append((verb, folder + part, name))
            if self.away:
                return self.away, {"message": "the server is not well"}
            if (verb, folder + part) in self.refused:
                return 403, {"message": f"may not {verb} {folder}{part}"}
            if folder not in self.lists:
                return 404, {"message": f"{folder} is not known"}
            if verb == "list":
                return self._page(folder, parse_qs(asked.query))
            if verb == "create":
                return self._create(folder, body or {})
            old = self.lists[folder].get(name)
            if old is None:
                return 404, {"message": f"{name} not found"}
            return (200, old) if verb == "get" else self._write(folder, old, part, verb, body or {})

    def _split(self, path: str) -> tuple[str, str, str]:
        if path in self.lists:
            return path, "", ""
        folder, _, name = path.rpartition("/")
        if name == "status":
            folder, _, name = folder.rpartition("/")
            return folder, name, "/status"
        return folder, name, ""

    def _page(self, folder: str, query: dict[str, list[str]]) -> tuple[int, Object]:
        found = [one for _, one in sorted(self.lists[folder].items())]
        start = int(query.get("continue", ["0"])[0])
        limit = int(query.get("limit", ["1000000"])[0])
        meta = {"continue": str(start + limit)} if start + limit < len(found) else {}
        return 200, {"metadata": meta, "items": found[start : start + limit]}

    def _create(self, folder: str, body: Object) -> tuple[int, Object]:
        meta = body["metadata"]
        if "name" not in meta:
            if meta["generateName"].endswith("."):
                return 422, {"message": "metadata.generateName: Invalid value"}
            meta["name"] = f"{meta['generateName']}{self.version:05d}"
        if meta["name"] in self.lists[folder]:
            return 409, {"message": f"{meta['name']} already exists"}
        if meta.get("resourceVersion"):
            return 400, {"message": "resourceVersion should not be set on objects to be created"}
        return 201, self.put(folder, body)

    def _write(
        self, folder: str, old: Object, part: str, verb: str, body: Object
    ) -> tuple[int, Object]:
        if self.beside:
            self.beside -= 1
            self._stored(old)
        wanted = body.get("metadata", {}).get("resourceVersion")
        if wanted not in {None, old["metadata"]["resourceVersion"]}:
            return 409, {"message": "the object has been modified; please apply your changes"}
        fresh = copy.deepcopy(old)
        change = (
            body if verb == "patch" else {"spec": body.get("spec"), "status": body.get("status")}
        )
        for key in ("status",) if part else ("spec", "metadata"):
            if key in change and key != "metadata":
                fresh[key] = (
                    _merged(fresh.get(key), change[key]) if verb == "patch" else change[key]
                )
        if part:
            self.lists[folder][old["metadata"]["name"]] = fresh
            return 200, self._stored(fresh)
        return 200, self.put(folder, fresh)

    def _stored(self, obj: Object) -> Object:
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        return obj


def _merged(old: Any, change: Any) -> Any:
    if not isinstance(change, dict):
        return change
    base = dict(old) if isinstance(old, dict) else {}
    for key, value in change.items():
        if value is None:
            base.pop(key, None)
        else:
            base[key] = _merged(base.get(key), value)
    return base


class Handler(BaseHTTPRequestHandler):
    cluster: Cluster

    def do_GET(self) -> None:
        self._do()

    def do_POST(self) -> None:
        self._do()

    def do_PUT(self) -> None:
        self._do()

    def do_PATCH(self) -> None:
        self._do()

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            status, said = 401, {"message": "Unauthorized"}
        else:
            said_body = json.loads(body) if body else None
            status, said = self.cluster.answer(self.command, self.path, said_body)
        if self.command in VERBS and VERBS[self.command] in self.cluster.losing:
            self.close_connection = True
            return
        if status >= 400:
            said = {"kind": "Status"} | said
        with self.cluster.lock:
            text = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None: ...  # type: ignore[explicit-override]


@contextmanager
def serving(cluster: Cluster) -> Iterator[str]:
    """Serve a cluster on a free port of loopback; yields its address."""
    bound = type("Bound", (Handler,), {"cluster": cluster})
    with ThreadingHTTPServer(("127.0.0.1", 0), bound) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join(timeout=10.0)
