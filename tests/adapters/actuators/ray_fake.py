"""A Ray dashboard with a memory, written from Ray Serve's source; it is no Ray and runs nothing.

Kept, as `ray_ways.py` holds against a real one: GET and PUT of all applications; settings in force
that follow a control loop later, and replicas that follow a loop after that; applications that a
PUT leaves out are deleted; unknown keys are dropped; `num_replicas` beside `autoscaling_config` and
numbers of nothing are refused; overrides that are taken out go back to what the code says; replicas
are reconfigured when a setting changes, and replaced when the code's version does.
From the source alone: a status that says RUNNING all the while (a real one says DEPLOYING for some
of it), `initial_replicas` gone back to, an unlisted name that fails the application after a yes,
applications of `serve.run`, refusals that quote what they refuse, 401 and 403 for a token.
Not kept: nodes, proxies, requests, all else.
"""

import copy
import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATH = "/api/serve/applications/"
CODE_SETTINGS: dict[str, Any] = {
    "num_replicas": 1,
    "max_ongoing_requests": 5,
    "user_config": None,
    "autoscaling_config": None,
    "ray_actor_options": {"num_cpus": 0.1},
}
SCALER: dict[str, Any] = {"min_replicas": 1, "max_replicas": 1, "initial_replicas": None}
# A change of these is told to replicas; of the number it is not.
TOLD = ("max_ongoing_requests", "user_config", "autoscaling_config")


@dataclass
class Slot:
    """A replica: what it was made with, and what it has been told last."""

    replica_id: str
    version: str
    told: str
    started: float
    state: str = "STARTING"
    until: float = 0.0


@dataclass
class Deployment:
    """A deployment that runs."""

    settings: dict[str, Any]
    version: str
    target: int
    slots: list[Slot] = field(default_factory=list)


@dataclass
class Application:
    """An application, as it was asked for and as it is."""

    config: dict[str, Any] | None
    source: str = "declarative"
    version: str = ""
    failed: bool = False
    deleting: bool = False
    built: float | None = None  # when its build ends
    code: dict[str, dict[str, Any]] = field(default_factory=dict)  # as built, without overrides
    wanted: dict[str, dict[str, Any]] = field(default_factory=dict)
    running: dict[str, Deployment] = field(default_factory=dict)
    status: str | None = None  # said instead of the truth


class Head:
    """A cluster's Serve; `code` is what import paths lead to: deployments and their settings."""

    def __init__(
        self,
        code: Mapping[str, Mapping[str, dict[str, Any]]],
        *,
        loop_s: float = 0.03,
        start_s: float = 0.1,
        token: str = "",
    ) -> None:
        self.code = {
            path: {name: {**CODE_SETTINGS, **said} for name, said in parts.items()}
            for path, parts in code.items()
        }
        self.loop_s, self.start_s, self.token = loop_s, start_s, token
        self.apps: dict[str, Application] = {}
        self.around: dict[str, Any] = {
            "proxy_location": "HeadOnly",
            "http_options": {"host": "127.0.0.1", "port": 8000},
            "grpc_options": {"port": 9000, "grpc_servicer_functions": []},
            "target_capacity": None,
        }
        self.lock = threading.RLock()
        self.puts: list[dict[str, Any]] = []
        self.answers: dict[str, tuple[int, bytes]] = {}  # method to what is answered instead
        self._next = time.monotonic()
        self._made = 0

    def put(self, config: dict[str, Any]) -> tuple[int, str]:
        """Take a configuration as the REST API does, and return status and text."""
        with self.lock:
            self.advance()
            self.puts.append(copy.deepcopy(config))
            listed = [one for app in config["applications"] for one in app.get("deployments", ())]
            for one in listed:
                if why := _invalid(one):
                    return 400, f"1 validation error [{why}, input_value={one!r}]"
            self.around |= {k: v for k, v in config.items() if k in self.around}
            self.around["target_capacity"] = config.get("target_capacity")
            for app in config["applications"]:
                self._take(copy.deepcopy(app))
            left = {one["name"] for one in config["applications"]}
            for name, app in self.apps.items():
                app.deleting |= app.source == "declarative" and name not in left
            return 200, ""

    def get(self) -> dict[str, Any]:
        """Return what the REST API says."""
        with self.lock:
            self.advance()
            apps = {name: self._said(name, app) for name, app in self.apps.items()}
            return copy.deepcopy({**self.around, "controller_info": {}, "applications": apps})

    def run(self, name: str, path: str) -> None:
        """Deploy from code, as `serve.run` does."""
        with self.lock:
            wanted = copy.deepcopy(self.code[path])
            self.apps[name] = Application(None, "imperative", "code", wanted=wanted)

    def settle(self) -> None:
        """Wait until nothing changes any more.

        Raises:
            AssertionError: It goes on.
        """
        give_up = time.monotonic() + 10.0
        while not self._is_calm():
            assert time.monotonic() < give_up, self.get()
            time.sleep(self.loop_s)

    def _is_calm(self) -> bool:
        with self.lock:
            self.advance()
            parts = [one for app in self.apps.values() for one in app.running.values()]
            states = {slot.state for one in parts for slot in one.slots}
            whole = all(len(one.slots) == one.target for one in parts)
            return bool(parts) and whole and states <= {"RUNNING"}

    def _take(self, config: dict[str, Any]) -> None:
        for one in config.get("deployments", ()):
            for key in set(one) - {"name", *CODE_SETTINGS}:
                del one[key]
        app = self.apps.setdefault(config["name"], Application(None))
        app.config, app.source, app.deleting = config, "declarative", False
        version = _version(config)
        if version != app.version:
            app.built, app.failed, app.version = self._next + 2 * self.loop_s, False, ""
            return
        try:
            app.wanted = _overridden(app.code, config)
        except KeyError:
            app.failed, app.version = True, ""  # the old ones serve on; the next PUT builds anew

    def advance(self) -> None:
        """Run the control loop up to now."""
        now = time.monotonic()
        if now - self._next > 20.0:
            self._next = now - 20.0
        while self._next <= now:
            for name in [name for name, app in self.apps.items() if app.deleting]:
                del self.apps[name]
            for app in self.apps.values():
                for one in app.running.values():
                    self._reconcile(one)
                self._deploy(app)
            self._next += self.loop_s

    def _deploy(self, app: Application) -> None:
        """Build what is to be built and put settings in force; replicas hear of it a loop later."""
        if app.built is not None and self._next >= app.built:
            app.built = None
            try:
                app.code = copy.deepcopy(self.code[app.config["import_path"]])  # type: ignore[index]
                app.wanted = _overridden(app.code, app.config or {})
                app.version = _version(app.config or {})
            except KeyError:
                app.failed = True
        for name, settings in app.wanted.items():
            there = app.running.get(name)
            version = json.dumps([app.version, settings["ray_actor_options"]])
            if there is None:
                target = _bounded(settings, _initial(settings) or 0)
                app.running[name] = Deployment(copy.deepcopy(settings), version, target)
            elif there.settings != settings or (app.version and there.version != version):
                first = _initial(settings)
                there.target = _bounded(settings, there.target if first is None else first)
                there.settings = copy.deepcopy(settings)
                there.version = version if app.version else there.version

    def _reconcile(self, one: Deployment) -> None:
        now, told = self._next, json.dumps([one.settings[key] for key in TOLD], sort_keys=True)
        for slot in one.slots:
            if slot.state in {"STARTING", "UPDATING"} and now >= slot.until:
                slot.state = "RUNNING"
            if slot.version != one.version and slot.state != "STOPPING":
                slot.state, slot.until = "STOPPING", now + self.start_s
            elif slot.told != told and slot.state == "RUNNING":
                slot.state, slot.until, slot.told = "UPDATING", now + self.start_s, told
        one.slots = [s for s in one.slots if s.state != "STOPPING" or now < s.until]
        alive = [slot for slot in one.slots if slot.state != "STOPPING"]
        for slot in alive[one.target :]:
            slot.state, slot.until = "STOPPING", now + self.start_s
        for _ in range(one.target - len(alive)):
            self._made += 1
            name = hashlib.sha256(str(self._made).encode()).hexdigest()[:8]
            new = Slot(name, one.version, told, time.time(), until=now + self.start_s)
            one.slots.append(new)

    def _said(self, name: str, app: Application) -> dict[str, Any]:
        status = "DEPLOY_FAILED" if app.failed else "DEPLOYING" if app.built else "RUNNING"
        said = {
            "name": name,
            "status": "DELETING" if app.deleting else app.status or status,
            "source": app.source,
            "last_deployed_time_s": time.time(),
            "external_scaler_enabled": (app.config or {}).get("external_scaler_enabled", False),
            "deployments": {key: _details(key, one) for key, one in app.running.items()},
        }
        return said | ({} if app.config is None else {"deployed_app_config": app.config})


def _details(name: str, one: Deployment) -> dict[str, Any]:
    settings = {key: value for key, value in one.settings.items() if value is not None}
    settings.pop("num_replicas" if "autoscaling_config" in settings else "", None)
    return {
        "name": name,
        "status": "HEALTHY",
        "deployment_config": {"name": name, "user_config": None, **settings},
        "target_num_replicas": one.target,
        "replicas": [
            {"replica_id": slot.replica_id, "state": slot.state, "start_time_s": slot.started}
            for slot in one.slots
        ],
    }


def _invalid(one: dict[str, Any]) -> str:
    count, scaled = one.get("num_replicas"), one.get("autoscaling_config")
    if isinstance(count, int) and scaled is not None:
        return "Manually setting num_replicas is not allowed when autoscaling_config is provided."
    if isinstance(count, int) and count < 1:
        return "Input should be greater than 0"
    if one.get("max_ongoing_requests", 1) < 1:
        return "Input should be greater than 0"
    return ""


def _version(config: Mapping[str, Any]) -> str:
    """Return what Ray takes for the version of an application's code (deploy_utils.py)."""
    parts = config.get("deployments", ())
    policies = [
        one["autoscaling_config"].get("policy")
        for one in parts
        if isinstance(one.get("autoscaling_config"), dict)
    ]
    said = [config["import_path"], config.get("runtime_env", {}), config.get("args", {}), policies]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _overridden(parts: dict[str, dict[str, Any]], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with the configuration's over them.

    Raises:
        KeyError: The configuration names a deployment that is not there.
    """
    found = copy.deepcopy(parts)
    for one in config.get("deployments", ()):
        settings = found[one["name"]]
        settings |= {key: value for key, value in one.items() if key != "name"}
        if one.get("autoscaling_config") is not None:
            settings["autoscaling_config"] = {**SCALER, **one["autoscaling_config"]}
        elif isinstance(one.get("num_replicas"), int):
            settings["autoscaling_config"] = None
        if config.get("runtime_env"):
            settings["ray_actor_options"] = {
                **settings["ray_actor_options"],
                "runtime_env": config["runtime_env"],
            }
    return found


def _initial(settings: Mapping[str, Any]) -> int | None:
    found: int | None = (settings["autoscaling_config"] or {}).get("initial_replicas")
    return found


def _bounded(settings: Mapping[str, Any], present: int) -> int:
    scaled = settings["autoscaling_config"]
    if scaled is None:
        return int(settings["num_replicas"])
    return int(min(max(present, scaled["min_replicas"]), scaled["max_replicas"]))


@contextmanager
def serving(head: Head) -> Iterator[int]:
    """Serve a head on a free port of loopback; yields the port."""
    made = type("Handler", (_Handler,), {"head": head})
    server = ThreadingHTTPServer(("127.0.0.1", 0), made)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    head: Head

    def do_GET(self) -> None:
        self._answer(lambda: (200, json.dumps(self.head.get())))

    def do_PUT(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length)
        if not body or len(body) < length:
            self.close_connection = True  # half of a request is none
            return
        self._answer(lambda: self.head.put(json.loads(body)))

    def _answer(self, act: Any) -> None:
        said = self.headers.get("authorization", "")
        told = self.head.answers.get(self.command)
        if self.path != PATH:
            status, text = 404, "404: Not Found"
        elif self.head.token and not said:
            status, text = 401, "Unauthorized: Missing authentication token"
        elif self.head.token and said != f"Bearer {self.head.token}":
            status, text = 403, "Forbidden: Invalid authentication token"
        elif told is not None:
            status, text = told[0], told[1].decode()
        else:
            status, text = act()
        body = text.encode()
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("location", text)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...  # type: ignore[explicit-override]
