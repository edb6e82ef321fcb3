"""The local deployment as a whole: starts it, says where everything is, and ends it.

Process host (which owns the model servers), Envoy, the metrics relay, a trainer where one is wanted
and the load generator, each its own process on loopback. Ends with its starter, whatever happens to
that.
"""

import asyncio
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2

from homeostat.base.errors import ConfigError
from homeostat.demo.artefact import MODEL, build_artefacts
from homeostat.demo.envoy import Envoy, EnvoySettings
from homeostat.demo.host_child import die_with_parent
from homeostat.demo.host_settings import HostSettings, PoolSettings
from homeostat.demo.load_rows import ROWS_TOKEN_VARIABLE
from homeostat.demo.loadlog import LoadLog

BASE_RATE: Final = 100.0  # requests per second; about a quarter of what three replicas serve
MEMORY_LIMIT: Final = 420 << 20  # bytes; a fresh server holds about 200 MB of shared libraries
POOLS: Final = (
    PoolSettings(name="a", version="v2", replicas=3),
    PoolSettings(name="b", version="v1", replicas=1),
)
FALLBACK: Final = ("b", 10)  # pool, and the percentage of requests that it starts with
_READY_S: Final = 60.0
_STOP_S: Final = 8.0
_TEACHING: Final = frozenset({"load", "trainer"})


@dataclass(slots=True, kw_only=True)
class Place:
    """Where one local deployment is.

    Attributes:
        folder: Logs, artefacts, rotation files, journal.
        seed: Seeds artefacts, servers and load.
        base_rate: Requests per second when nothing is wrong.
        labels_url: Where the load generator posts true labels, empty for nowhere.
        labels_token: The bearer token for that.
        chaos_token: What breaks a model server from inside.
        trains: A trainer runs beside it, and labelled rows go there.
        rows_token: What opens that trainer's `/rows`.
    """

    folder: Path
    seed: int = 0
    base_rate: float = BASE_RATE
    labels_url: str = ""
    labels_token: str = ""
    chaos_token: str = field(default_factory=lambda: secrets.token_hex(16))
    trains: bool = False
    rows_token: str = field(default_factory=lambda: secrets.token_hex(16))
    host_port: int = 0
    envoy_port: int = 0
    admin_port: int = 0
    relay_port: int = 0
    trainer_port: int = 0
    started: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    envoy: Envoy | None = None
    _users: LoadLog | None = None

    @property
    def host_url(self) -> str:
        """The process host's API."""
        return f"http://127.0.0.1:{self.host_port}"

    @property
    def gateway_url(self) -> str:
        """Where users send requests."""
        return f"http://127.0.0.1:{self.envoy_port}"

    @property
    def envoy_admin(self) -> str:
        """Envoy's admin page."""
        return f"http://127.0.0.1:{self.admin_port}"

    @property
    def relay_url(self) -> str:
        """Where metrics pages are scraped."""
        return f"http://127.0.0.1:{self.relay_port}"

    @property
    def trainer_url(self) -> str:
        """Where retrains are ordered."""
        return f"http://127.0.0.1:{self.trainer_port}"

    @property
    def training_secret(self) -> Path:
        """The file that orders are signed with."""
        return self.folder / "training.secret"

    @property
    def load_log(self) -> Path:
        """The load generator's log: the judge's source."""
        return self.folder / "load.jsonl"

    def users(self) -> LoadLog:
        """Return the load generator's log, read as far as it has got."""
        if self._users is None:
            self._users = LoadLog.read(self.load_log)
        self._users.update()
        return self._users

    def start(self, say: Callable[[str], None]) -> None:
        """Start everything and wait until requests are answered.

        Raises:
            ConfigError: A part did not come up; the message names it and its log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        ports = free_ports(5)
        self.host_port, self.envoy_port, self.admin_port, self.relay_port, self.trainer_port = ports
        artefacts = self.folder / "artefacts"
        if not artefacts.exists():
            say("training the models")
            build_artefacts(artefacts, self.seed)
        say("starting model servers and proxy")
        self._start_host(artefacts)
        if self.trains:
            self._start_trainer(artefacts)
        rotation = self.folder / "host" / "rotation"
        files = [rotation / f"{pool}.json" for pool in ("a", "b")]
        self._wait("host", lambda: all(file.is_file() for file in files))
        self._start_envoy()
        self._spawn(
            "relay", "homeostat.demo.relay", str(self.relay_port), self.host_url, self.envoy_admin
        )
        self._wait("host", self._host_ready)
        self._wait("relay", lambda: httpx2.get(f"{self.relay_url}/pages/envoy").status_code == 200)  # noqa: PLR2004 - HTTP
        self._wait("envoy", self._gateway_ready)
        if self.trains:
            self._wait("trainer", self._trainer_ready)
        say("starting load")
        self._start_load()
        self._wait("load", lambda: self.load_log.exists() and self.load_log.stat().st_size > 0)

    def stop(self) -> None:
        """End everything, politely first."""
        for name in ("load", "relay", "trainer"):
            _end(self.started.pop(name, None))
        if self.envoy is not None:
            asyncio.run(self.envoy.stop())
            self.envoy = None
        _end(self.started.pop("host", None))

    def load(self, command: Mapping[str, Any]) -> None:
        """Send the load generator a command.

        Raises:
            ConfigError: It is not running.
        """
        process = self.started.get("load")
        if process is None or process.stdin is None or process.poll() is not None:
            raise ConfigError(f"the load generator is not running; see {self.folder}/load.log")
        process.stdin.write(json.dumps(command).encode() + b"\n")
        process.stdin.flush()

    def relay_mode(self, mode: str) -> None:
        """Break or mend every metrics page."""
        httpx2.post(f"{self.relay_url}/mode/{mode}", timeout=5.0).raise_for_status()

    def state(self) -> dict[str, Any]:
        """Return the host's own account of the deployment."""
        answer: dict[str, Any] = httpx2.get(f"{self.host_url}/v1/state", timeout=5.0).json()
        return answer

    def weight(self, pool: str) -> int:
        """Return a pool's share of the traffic in percent, as Envoy has it."""
        answer = httpx2.get(f"{self.envoy_admin}/runtime", params={"format": "json"}, timeout=5.0)
        return int(answer.json()["entries"][f"traffic.{pool}"]["final_value"])

    def host_log(self) -> list[dict[str, Any]]:
        """Return what the host did, oldest first."""
        answer: list[dict[str, Any]] = httpx2.get(
            f"{self.host_url}/v1/log?after=0", timeout=5.0
        ).json()
        return answer

    def _start_host(self, artefacts: Path) -> None:
        settings = HostSettings(
            port=self.host_port,
            folder=self.folder / "host",
            artefacts=artefacts,
            pools=POOLS,
            first_port=free_block(200),
            envoy_admin=self.envoy_admin,
            memory_limit_bytes=MEMORY_LIMIT,
            seed=self.seed,
            chaos_token=self.chaos_token,
        )
        file = self.folder / "host.json"
        file.write_text(settings.to_json(), encoding="utf-8")
        file.chmod(0o600)
        self._spawn("host", "homeostat.demo.host", "--config", str(file))

    def _start_envoy(self) -> None:
        self.envoy = asyncio.run(
            Envoy.start(
                EnvoySettings(
                    folder=self.folder / "envoy",
                    rotation_folder=self.folder / "host" / "rotation",
                    port=self.envoy_port,
                    admin_port=self.admin_port,
                    fallback_pools=(FALLBACK,),
                )
            )
        )

    def _start_trainer(self, artefacts: Path) -> None:
        self.training_secret.touch(mode=0o600)
        self.training_secret.write_text(secrets.token_hex(32) + "\n", encoding="utf-8")
        arguments = ["--port", str(self.trainer_port), "--deployment", MODEL]
        arguments += ["--secret-file", str(self.training_secret), "--artefacts", str(artefacts)]
        arguments += ["--host", self.host_url, "--envoy-admin", self.envoy_admin]
        self._spawn("trainer", "homeostat.demo.trainer", *arguments)

    def _trainer_ready(self) -> bool:
        return httpx2.get(self.trainer_url, timeout=1.0).status_code == 404  # noqa: PLR2004 - HTTP

    def _start_load(self) -> None:
        arguments = ["--url", self.gateway_url, "--rate", str(self.base_rate)]
        arguments += ["--log", str(self.load_log), "--seed", str(self.seed)]
        if self.labels_url:
            arguments += ["--labels-url", f"{self.labels_url}/v1/labels"]
            arguments += ["--rows-url", f"{self.trainer_url}/rows"] if self.trains else []
        self._spawn("load", "homeostat.demo.load", *arguments, stdin=subprocess.PIPE)

    def _spawn(self, name: str, module: str, *arguments: str, stdin: int | None = None) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.started[name] = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=stdin if stdin is not None else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_follow_parent,  # noqa: PLW1509 - the starter has no threads yet
                env={
                    **os.environ,
                    "OMP_NUM_THREADS": "1",
                    "HOMEOSTAT_TOKEN": self.labels_token if name == "load" else "",
                    ROWS_TOKEN_VARIABLE: self.rows_token if name in _TEACHING else "",
                },
            )

    def _host_ready(self) -> bool:
        state = self.state()
        slots = [slot for slot in state["slots"] if slot["state"] == "ready"]
        return len(slots) >= 4 and not state["changing"]  # noqa: PLR2004 - 3 of a, 1 of b

    def _gateway_ready(self) -> bool:
        answer = httpx2.get(f"{self.gateway_url}/v2/health/ready", timeout=1.0)
        return answer.status_code == 200  # noqa: PLR2004 - HTTP

    def _wait(self, name: str, is_ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline:
            process = self.started.get(name)
            if process is not None and process.poll() is not None:
                raise ConfigError(f"{name} ended with {process.returncode}; {self._tail(name)}")
            try:
                if is_ready():
                    return
            except (httpx2.HTTPError, ValueError, KeyError):
                pass  # not up yet
            time.sleep(0.05)
        raise ConfigError(f"{name} was not ready after {_READY_S:.0f} s; {self._tail(name)}")

    def _tail(self, name: str) -> str:
        log = self.folder / f"{name}.log"
        lines = (
            log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
        )
        return f"last words: {lines[-1]} ({log})" if lines else f"its log is {log}"


def free_ports(count: int) -> tuple[int, ...]:
    """Return ports on loopback that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return tuple(sock.getsockname()[1] for sock in sockets)
    finally:
        for sock in sockets:
            sock.close()


def free_block(size: int) -> int:
    """Return the first of `size` ports from 10000 on; each user gets its own block.

    Raises:
        ConfigError: Every block has a listener.
    """
    blocks = list(range(10_000, 20_000, size))
    first = os.getpid() % len(blocks)
    for block in (*blocks[first:], *blocks[:first]):
        if all(_is_free(port) for port in range(block, block + size, 20)):
            return block
    raise ConfigError("no block of free ports from 10000 to 19999; end other local deployments")


def _is_free(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) != 0


def _follow_parent() -> None:
    die_with_parent(signal.SIGTERM)


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is None:
        return
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_STOP_S)
    if process.stdin is not None:
        process.stdin.close()
