"""A stand-in for MLflow's registry, written from what version 3.17.2 answered (recorded beside it).

Stateful and strict: unknown models, versions and aliases are refused with the real server's words
and status. `test_mlflow_recorded.py` plays the recording against it and compares every answer.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

PREFIX = "/api/2.0/mlflow/"
_CONDITION = re.compile(
    r"(name|run_id|tags?\.`([^`]+)`)\s*=\s*'([^']*)'(?:\s+and\s+|$)", re.IGNORECASE
)
_NAME = re.compile(r"[\w\-. :/]+\Z")
_CODES = {"RESOURCE_DOES_NOT_EXIST": 404}
_CLASSES = {
    "RESOURCE_DOES_NOT_EXIST": "RESOURCE_NOT_FOUND",
    "RESOURCE_ALREADY_EXISTS": "RESOURCE_ALREADY_EXISTS",
    "INVALID_PARAMETER_VALUE": "INVALID_PARAMETER_VALUE",
}


class RefusedError(Exception):
    """The server says no, in its own words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message

    def body(self) -> dict[str, str]:
        said = {"error_code": self.code, "message": self.message}
        return said | {"sqlstate": "KAM00", "error_class": _CLASSES[self.code]}


def conditions(text: str) -> list[tuple[str, str]]:
    """Return (what, value) of a filter.

    Raises:
        RefusedError: A real server would not parse it.
    """
    found, at = [], 0
    for match in _CONDITION.finditer(text):
        if match.start() != at:
            break
        found.append((f"tag:{match[2]}" if match[2] else match[1].lower(), match[3]))
        at = match.end()
    if at != len(text):
        raise RefusedError(
            "INVALID_PARAMETER_VALUE", f"Invalid clause(s) in filter string: {text!r}"
        )
    return found


class Mlflow:
    """Models, versions, runs and experiments."""

    def __init__(self) -> None:
        self.models: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, list[dict[str, Any]]] = {}
        self.experiments: dict[str, dict[str, Any]] = {}
        self.run_of: dict[str, dict[str, Any]] = {}
        self.lock = threading.Lock()
        self.wanted_header = ""  # what `authorization` must be; empty: nobody is asked who they are
        self.asked: list[str] = []

    def call(self, method: str, path: str, said: dict[str, Any]) -> dict[str, Any]:
        routes: dict[tuple[str, str], Callable[[dict[str, Any]], dict[str, Any]]] = {
            ("POST", "registered-models/create"): self.create,
            ("GET", "registered-models/get"): lambda one: {"registered_model": self.shown(one)},
            ("POST", "registered-models/set-tag"): self.tag_model,
            ("POST", "registered-models/alias"): self.set_alias,
            ("GET", "registered-models/alias"): self.get_alias,
            ("DELETE", "registered-models/alias"): self.drop_alias,
            ("POST", "experiments/create"): self.create_experiment,
            ("GET", "experiments/get-by-name"): self.experiment,
            ("POST", "runs/create"): self.create_run,
            ("POST", "runs/update"): self.update_run,
            ("GET", "runs/get"): self.get_run,
            ("POST", "runs/search"): self.search_runs,
            ("POST", "model-versions/create"): self.create_version,
            ("GET", "model-versions/get"): lambda one: {"model_version": self.version(one)},
            ("GET", "model-versions/search"): self.search_versions,
            ("POST", "model-versions/set-tag"): self.tag_version,
        }
        self.asked.append(f"{method} {path}")
        with self.lock:
            return routes[method, path](said)

    def model(self, said: dict[str, Any]) -> dict[str, Any]:
        name = said["name"]
        if name not in self.models:
            raise RefusedError(
                "RESOURCE_DOES_NOT_EXIST", f"Registered Model with name={name} not found"
            )
        return self.models[name]

    def create(self, said: dict[str, Any]) -> dict[str, Any]:
        name, now = said["name"], _ms()
        if name in self.models:
            words = f"Registered Model (name={name}) already exists."
            raise RefusedError("RESOURCE_ALREADY_EXISTS", words)
        made = {"name": name, "creation_timestamp": now, "last_updated_timestamp": now}
        self.models[name] = made | {"tags": {}, "aliases": {}}
        self.versions[name] = []
        return {"registered_model": made}

    def shown(self, said: dict[str, Any]) -> dict[str, Any]:
        model = self.model(said)
        plain = {
            key: model[key] for key in ("name", "creation_timestamp", "last_updated_timestamp")
        }
        if self.versions[model["name"]]:
            plain["latest_versions"] = [_version(self.versions[model["name"]][-1])]
        if model["tags"]:
            plain["tags"] = _pairs(model["tags"])
        if model["aliases"]:
            plain["aliases"] = [{"alias": k, "version": v} for k, v in model["aliases"].items()]
        return plain

    def tag_model(self, said: dict[str, Any]) -> dict[str, Any]:
        _check_key(said)
        self.model(said)["tags"][said["key"]] = said["value"]
        return {}

    def set_alias(self, said: dict[str, Any]) -> dict[str, Any]:
        if re.match(r"v\d+\Z", said["alias"]):
            words = f"Version alias name '{said['alias']}' is reserved."
            raise RefusedError("INVALID_PARAMETER_VALUE", words)
        self.found(said)
        self.model(said)["aliases"][said["alias"]] = said["version"]
        return {}

    def get_alias(self, said: dict[str, Any]) -> dict[str, Any]:
        version = self.model(said)["aliases"].get(said["alias"])
        if version is None:
            words = f"Registered model alias {said['alias']} not found."
            raise RefusedError("INVALID_PARAMETER_VALUE", words)
        return {"model_version": self.version(said | {"version": version})}

    def drop_alias(self, said: dict[str, Any]) -> dict[str, Any]:
        self.model(said)["aliases"].pop(said["alias"], None)
        return {}

    def create_experiment(self, said: dict[str, Any]) -> dict[str, Any]:
        number = str(len(self.experiments) + 1)
        self.experiments[said["name"]] = {"experiment_id": number, "name": said["name"]}
        return {"experiment_id": number}

    def experiment(self, said: dict[str, Any]) -> dict[str, Any]:
        name = said["experiment_name"]
        if name not in self.experiments:
            words = f"Could not find experiment with name '{name}'"
            raise RefusedError("RESOURCE_DOES_NOT_EXIST", words)
        return {"experiment": self.experiments[name]}

    def create_run(self, said: dict[str, Any]) -> dict[str, Any]:
        run_id = f"{len(self.run_of) + 1:032x}"
        info = {"run_id": run_id, "experiment_id": said["experiment_id"], "status": "RUNNING"}
        info["start_time"] = said["start_time"]
        self.run_of[run_id] = {"info": info, "data": {"tags": said.get("tags", [])}}
        return {"run": self.run_of[run_id]}

    def get_run(self, said: dict[str, Any]) -> dict[str, Any]:
        if said["run_id"] not in self.run_of:
            words = f"Run with id={said['run_id']} not found"
            raise RefusedError("RESOURCE_DOES_NOT_EXIST", words)
        return {"run": self.run_of[said["run_id"]]}

    def update_run(self, said: dict[str, Any]) -> dict[str, Any]:
        info = self.run_of[said["run_id"]]["info"]
        info["status"] = said["status"]
        return {"run_info": info}

    def search_runs(self, said: dict[str, Any]) -> dict[str, Any]:
        wanted = conditions(said["filter"])
        found = [
            run
            for run in self.run_of.values()
            if run["info"]["experiment_id"] in said["experiment_ids"]
            and all(_tags(run["data"]["tags"]).get(what[4:]) == value for what, value in wanted)
        ]
        found.sort(key=lambda run: -run["info"]["start_time"])
        return {"runs": found[: said["max_results"]]} if found else {}

    def create_version(self, said: dict[str, Any]) -> dict[str, Any]:
        self.model(said)
        if (
            said["source"].startswith("mlflow-artifacts:")
            and said.get("run_id", "none") not in (said["source"])
        ):
            words = (
                f"Invalid model version source: '{said['source']}'. The run_id request parameter "
                "must identify the resource that contains the source."
            )
            raise RefusedError("INVALID_PARAMETER_VALUE", words)
        made = {
            "name": said["name"],
            "version": str(len(self.versions[said["name"]]) + 1),
            "creation_timestamp": _ms(),
            "last_updated_timestamp": _ms(),
            "current_stage": "None",
            "description": "",
            "source": said["source"],
            "run_id": said.get("run_id", ""),
            "status": "READY",
            "run_link": "",
            "tags": _tags(said.get("tags", [])),
        }
        self.versions[said["name"]].append(made)
        return {"model_version": _version(made)}

    def found(self, said: dict[str, Any]) -> dict[str, Any]:
        name, number = said["name"], said["version"]
        for one in self.versions.get(name, []):
            if one["version"] == number:
                return one
        words = f"Model Version (name={name}, version={number}) not found"
        raise RefusedError("RESOURCE_DOES_NOT_EXIST", words)

    def version(self, said: dict[str, Any]) -> dict[str, Any]:
        return _version(self.found(said))

    def search_versions(self, said: dict[str, Any]) -> dict[str, Any]:
        wanted = conditions(said["filter"])
        every = [one for versions in self.versions.values() for one in versions]
        found = [one for one in every if all(_meets(one, *condition) for condition in wanted)]
        return {"model_versions": [_version(one) for one in found]} if found else {}

    def tag_version(self, said: dict[str, Any]) -> dict[str, Any]:
        _check_key(said)
        self.found(said)["tags"][said["key"]] = said["value"]
        return {}


def _meets(version: dict[str, Any], what: str, value: str) -> bool:
    held = version["tags"].get(what[4:]) if what.startswith("tag:") else version[what]
    return bool(held == value)


def _check_key(said: dict[str, Any]) -> None:
    if "key" not in said:
        words = (
            "Missing value for required parameter 'key'. See the API docs for more information "
            "about request parameters."
        )
        raise RefusedError("INVALID_PARAMETER_VALUE", words)
    if not _NAME.match(said["key"]):
        words = (
            f"Invalid value \"{said['key']}\" for parameter 'key' supplied: Names may only contain "
            "alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and "
            "slashes (/)."
        )
        raise RefusedError("INVALID_PARAMETER_VALUE", words)


def _version(one: dict[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in one.items() if key != "tags"}
    return plain | ({"tags": _pairs(one["tags"])} if one["tags"] else {})


def _tags(pairs: list[dict[str, str]]) -> dict[str, str]:
    return {one["key"]: one["value"] for one in pairs}


def _pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _ms() -> int:
    return time.time_ns() // 1_000_000


class Handler(BaseHTTPRequestHandler):
    mlflow: Mlflow

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.respond("GET", parts.path, dict(parse_qsl(parts.query)))

    def do_POST(self) -> None:
        self.respond("POST", self.path, self.body())

    def do_DELETE(self) -> None:
        self.respond("DELETE", self.path, self.body())

    def body(self) -> dict[str, Any]:
        length = int(self.headers.get("content-length", 0))
        try:
            said: dict[str, Any] = json.loads(self.rfile.read(length))
        except ValueError:
            said = {}
        return said

    def respond(self, method: str, path: str, said: dict[str, Any]) -> None:
        if self.mlflow.wanted_header not in {"", self.headers.get("authorization", "")}:
            self.answer(401, b"You are not authenticated.", "text/html")
            return
        try:
            done = self.mlflow.call(method, path.removeprefix(PREFIX), said)
            self.answer(200, json.dumps(done).encode())
        except RefusedError as error:
            self.answer(_CODES.get(error.code, 400), json.dumps(error.body()).encode())
        except KeyError:
            self.answer(404, b"<!doctype html><title>404 Not Found</title>", "text/html")

    def answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def log_request(self, *_: object) -> None:  # type: ignore[explicit-override]
        """Say nothing."""


@contextmanager
def running_fake() -> Iterator[tuple[str, Mlflow]]:
    """Serve a stand-in on a free port of loopback; yields its address and its state."""
    mlflow = Mlflow()
    handler = type("Bound", (Handler,), {"mlflow": mlflow})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", mlflow
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
