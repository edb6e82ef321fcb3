"""A Triton with a memory, written from its documentation, sources and tests; it serves no model.

Kept: `--model-control-mode` (explicit, or none: 503 with Triton's words), the index with states,
the configuration in force and the file's, a load with `parameters.config` in place of the file's, a
load without it (the file's again), a failed load that leaves what is loaded as it was (400), fields
that no ModelConfig has and preferred sizes above the maximum (400), unloading, 64-bit numbers as
text where told, a restricted API, a load that takes time while the model before still serves.
Not kept: backends, versions, ensembles, all else of the inference protocol.
"""

import copy
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from homeostat.testing.actuator_wire import HTTP, Speech

# The index is asked by POST and changes nothing.
SPEECH = Speech(
    head=HTTP.head, reads=(*HTTP.reads, b"POST /v2/repository/index "), babble=HTTP.babble
)
FIELDS = frozenset({
    "name", "platform", "backend", "version_policy", "max_batch_size", "input", "output",
    "batch_input", "batch_output", "optimization", "dynamic_batching", "sequence_batching",
    "instance_group", "default_model_filename", "cc_model_filenames", "metric_tags", "parameters",
    "model_warmup", "model_operations", "model_transaction_policy", "response_cache", "runtime",
})  # fmt: skip
DELAY = "max_queue_delay_microseconds"
NO_CONTROL = "explicit model load / unload is not allowed if polling is enabled"


def config(name: str = "fraud", size: int = 8, delay_us: int = 2500, **more: Any) -> dict[str, Any]:
    """Return a configuration as Triton tells it, completed."""
    return {
        "name": name,
        "platform": "onnxruntime_onnx",
        "backend": "onnxruntime",
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": size,
        "input": [{"name": "INPUT", "data_type": "TYPE_FP32", "dims": [4]}],
        "output": [{"name": "OUTPUT", "data_type": "TYPE_FP32", "dims": [1]}],
        "dynamic_batching": {
            "preferred_batch_size": [],
            DELAY: delay_us,
            "preserve_ordering": False,
        },
        "instance_group": [{"name": "fraud_0", "kind": "KIND_CPU", "count": 1}],
        "default_model_filename": "model.onnx",
        "parameters": {"threads": {"string_value": "2"}},
        **more,
    }


class Triton:
    """One server; `file` is the model's configuration in its repository."""

    def __init__(self, file: dict[str, Any] | None = None, *, explicit: bool = True) -> None:
        self.file = config() if file is None else file
        self.loaded: dict[str, Any] | None = copy.deepcopy(self.file)
        self.explicit = explicit
        self.load_s = 0.0
        self.as_text = False  # 64-bit numbers, as protobuf's JSON has them
        self.key = ""  # of --http-restricted-api=model-repository:admin-key=...
        self.refuse = ""  # what the backend says to the next load
        self.status = 0  # what something in between answers to loads
        self.state = ""  # over what it is
        self.lock = threading.RLock()
        self.loads: list[dict[str, Any] | None] = []

    @property
    def name(self) -> str:
        return str(self.file["name"])

    def index(self) -> list[dict[str, str]]:
        others = [{"name": "other", "version": "1", "state": "READY", "reason": ""}]
        if self.loaded is None and not self.state:
            gone = {"version": "1", "state": "UNAVAILABLE", "reason": "unloaded"}
            return [{"name": self.name, **gone}, *others]
        row = {"name": self.name, "version": "1", "state": self.state or "READY"}
        return [row, *others]

    def load(self, said: dict[str, Any] | None) -> tuple[int, Any]:
        """Load as POST does; None for an empty body."""
        if not self.explicit:
            return 503, {"error": NO_CONTROL}
        text = ((said or {}).get("parameters") or {}).get("config")
        self.loads.append(None if text is None else json.loads(text))
        wanted = copy.deepcopy(self.file) if text is None else json.loads(text)
        why = self.refuse or problem(wanted)
        time.sleep(self.load_s)
        with self.lock:
            self.refuse = ""
            if why:
                return 400, {"error": f"load failed for model '{self.name}': {why}"}
            wanted.setdefault("name", self.name)
            self.loaded = wanted
        return 200, None

    def unload(self) -> tuple[int, Any]:
        if not self.explicit:
            return 503, {"error": NO_CONTROL}
        with self.lock:
            self.loaded = None
        return 200, None

    def told(self) -> tuple[int, Any]:
        """Return the answer to the configuration's GET."""
        if self.loaded is None:
            words = f"Request for unknown model: '{self.name}' has no available versions"
            return 400, {"error": words}
        said = copy.deepcopy(self.loaded)
        batcher = said.get("dynamic_batching")
        if self.as_text and batcher:
            batcher[DELAY] = str(batcher.get(DELAY, 0))
        return 200, said


def problem(wanted: dict[str, Any]) -> str:
    """Return why a configuration cannot be loaded, empty if it can."""
    if unknown := wanted.keys() - FIELDS:
        return f"failed to parse the config: Cannot find field: {min(unknown)}"
    size, batcher = wanted.get("max_batch_size", 0), wanted.get("dynamic_batching")
    if size < 0:
        return "'max_batch_size' must be non-negative value"
    if batcher is not None and size == 0:
        return "dynamic batching is not supported for a model without batching"
    preferred = (batcher or {}).get("preferred_batch_size", [])
    if any(one > size for one in preferred):
        return "dynamic batching preferred size must be <= max batch size"
    parameters = wanted.get("parameters", {})
    if any(set(one) - {"string_value"} for one in parameters.values()):
        return "failed to parse the config: Cannot find field"
    return ""


class Handler(BaseHTTPRequestHandler):
    triton: Triton

    def do_GET(self) -> None:
        name = self.triton.name
        if self.path == f"/v2/models/{name}/config":
            self._say(*self.triton.told())
        elif self.path == f"/v2/models/{name}/ready":
            self._say(200 if self.triton.loaded is not None else 400, None)
        else:
            self._say(400, {"error": "Request for unknown model"})

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True  # half a request is none
            return
        if self.triton.key and self.headers.get("admin-key") != self.triton.key:
            self._say(403, {"error": "This API is restricted, expecting header 'admin-key'"})
            return
        models = f"/v2/repository/models/{self.triton.name}"
        if self.path == "/v2/repository/index":
            self._say(200, self.triton.index())
        elif self.path == f"{models}/load" and self.triton.status:
            self._say(self.triton.status, {"error": "upstream request timeout"})
        elif self.path == f"{models}/load":
            self._say(*self.triton.load(json.loads(body) if body else None))
        elif self.path == f"{models}/unload":
            self._say(*self.triton.unload())
        else:
            self._say(404, {"error": "Not Found"})

    def _say(self, status: int, said: Any) -> None:
        body = b"" if said is None else json.dumps(said).encode()
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
def serving(*tritons: Triton) -> Iterator[tuple[int, ...]]:
    """Serve each on a free port of loopback."""
    servers = [
        Server(("127.0.0.1", 0), type("Bound", (Handler,), {"triton": triton}))
        for triton in tritons
    ]
    threads = [
        threading.Thread(target=one.serve_forever, args=(0.02,), daemon=True) for one in servers
    ]
    for thread in threads:
        thread.start()
    try:
        yield tuple(one.server_address[1] for one in servers)
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            thread.join(timeout=10.0)
            server.server_close()
