"""The stage of a chaos run: every real part, started as its user would, and ended."""

import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2
import psycopg

sys.path.insert(0, str(Path(__file__).parents[1] / "server"))
sys.path.insert(0, str(Path(__file__).parents[1] / "demo"))
sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "stores"))

import chaos_files as files
from chaos_parts import Program
from chaos_plan import HAPROXY, POSTGRESQL, PROMETHEUS, SERVERS
from chaos_socket import Runtime
from host_harness import free_block
from kill_records import leader_of
from postgres_server import NOBODY, SETTINGS, Server, binaries

from homeostat.demo.artefact import build_artefacts
from homeostat.server.replaying import Kept

SIDES: Final = ("west", "east")
RATE: Final = 10.0  # requests a second: a fifth of them tell within a round that one hangs
READY_S: Final = 180.0  # a busy machine
PROOF_S: Final = 600.0  # a minute of one core, unless it was proved here before


def missing() -> str:
    """Return which of the parts that every run needs is not here, empty if all are."""
    there = {
        "haproxy": shutil.which("haproxy"),
        "prometheus": shutil.which("prometheus"),
        "postgresql": binaries(),
    }
    gone = [name for name, found in there.items() if not found]
    return f"not installed: apt-get install {' '.join(gone)}" if gone else ""


@dataclass(slots=True)
class Servers:
    """Model servers of the testbed; see `chaos_servers`."""

    folder: Path
    ports: Mapping[str, int]
    process: "subprocess.Popen[str]"
    pids: dict[str, int] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Start one on its port."""
        settings = {
            "name": name,
            "pool": name.partition("-")[0],
            "port": self.ports[name],
            "artefacts": str(self.folder / "artefacts"),
            "version": "v2" if name.startswith("a") else "v1",
            "chaos_token": "",
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(settings) + "\n")
        self.process.stdin.flush()
        self.pids[name] = int(self.process.stdout.readline())

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send one a signal."""
        with suppress(ProcessLookupError):
            os.kill(self.pids[name], number)


@contextmanager
def _serving(folder: Path, ports: Mapping[str, int]) -> Iterator[Servers]:
    """Yield model servers that have been started."""
    with (folder / "servers.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "chaos_servers.py")],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    servers = Servers(folder, ports, process)
    try:
        for name in SERVERS:
            servers.start(name)
        yield servers
    finally:
        process.kill()  # and they end with it
        process.communicate()


@dataclass(slots=True, kw_only=True)
class Stage:
    """Everything that runs.

    Attributes:
        folder: For everything.
        database: The journal's URL.
        token: Of the controllers' API.
        apis: Ports of the API, by controller.
        programs: By name: HAProxy, Prometheus, PostgreSQL, the controllers, the users.
        servers: The model servers.
        runtime: HAProxy's socket as the controllers reach it.
        users: What the users saw, a line each.
        asked: How often a controller answered an operator with each status, 0 for not at all.
    """

    folder: Path
    database: str
    token: str
    apis: Mapping[str, int]
    programs: dict[str, Program]
    servers: Servers
    runtime: Runtime
    users: Path
    asked: Counter[int] = field(default_factory=Counter)
    _led: str = SIDES[0]

    def kept(self, side: str) -> Kept:
        """Return the journal with one controller's anchor."""
        return Kept(place=self.database, anchor=self.folder / side / "homeostat.anchor")

    def leader(self) -> str:
        """Return which controller leads, the last known one while the database is away."""
        with suppress(psycopg.Error, AssertionError):
            pid = leader_of(f"{self.database}&connect_timeout=2")
            self._led = next((side for side in SIDES if self.programs[side].pid == pid), self._led)
        return self._led

    def ask(self, path: str, body: Mapping[str, Any]) -> int:
        """Ask the controller that leads, as a person; return the status, 0 for none."""
        status = 0
        with suppress(httpx2.HTTPError):
            status = httpx2.post(
                f"http://127.0.0.1:{self.apis[self._led]}{path}",
                json=dict(body),
                headers={"authorization": f"Bearer {self.token}"},
                timeout=3.0,
            ).status_code
        self.asked[status] += 1
        return status

    def tend(self) -> None:
        """Start again what ended by itself."""
        for program in self.programs.values():
            program.tend()


def wait(
    stage: Stage,
    holds: Callable[[], bool],
    what: str,
    within_s: float = READY_S,
    every_s: float = 0.2,
) -> None:
    """Wait until something is so, asked every so often, and keep everything running meanwhile.

    Raises:
        SystemExit: It is not in time.
    """
    end = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > end:
            words = {name: one.said(400) for name, one in stage.programs.items()}
            raise SystemExit(f"not within {within_s:g} s: {what}\n{json.dumps(words, indent=1)}")
        stage.tend()
        time.sleep(every_s)


@contextmanager
def staged(folder: Path, seed: int) -> Iterator[Stage]:
    """Yield a stage on which a controller leads, another one stands by, and users are served."""
    chance = random.Random(f"stage-{seed}")
    port = free_block(len(SERVERS) + 5)
    ports = {name: port + place for place, name in enumerate(SERVERS)}
    front, metrics, prometheus, *own = range(port + len(SERVERS), port + len(SERVERS) + 5)
    apis = dict(zip(SIDES, own, strict=True))
    build_artefacts(folder / "artefacts", 0)
    with ExitStack() as stack:
        servers = stack.enter_context(_serving(folder, ports))
        data = Path(tempfile.mkdtemp(prefix="homeostat-chaos-"))
        stack.callback(shutil.rmtree, data, ignore_errors=True)
        programs: dict[str, Program] = {}
        stack.callback(_end_all, programs)

        def add(name: str, *words: object, **more: Any) -> None:
            log = folder / f"{name}.log"
            programs[name] = Program(
                name=name, words=[str(word) for word in words], log=log, chance=chance, **more
            )
            programs[name].start()

        add(POSTGRESQL, *_postgres(data), user=NOBODY if os.geteuid() == 0 else None)
        add(HAPROXY, "haproxy", "-db", "-f", files.haproxy(folder, front, metrics, ports))
        add(
            PROMETHEUS,
            "prometheus",
            f"--config.file={files.prometheus(folder, metrics, ports)}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{prometheus}",
            "--log.level=error",
        )
        runtime = Runtime(folder / "admin.sock", folder / "runtime.sock", chance)
        stack.enter_context(runtime.running())
        stage = Stage(
            folder=folder,
            database=f"postgresql://homeostat@/journal?host={data}",
            token=secrets.token_urlsafe(24),
            apis=apis,
            programs=programs,
            servers=servers,
            runtime=runtime,
            users=folder / "users.jsonl",
        )
        wait(stage, lambda: _database_made(stage, data), "PostgreSQL")
        wait(stage, lambda: _all_up(stage), "HAProxy finds its servers up")
        load = ("--url", f"http://127.0.0.1:{front}", "--rate", RATE, "--log", stage.users)
        module = ("-m", "homeostat.demo.load", "--seed", seed, "--duration", 86_400)
        add("users", sys.executable, *module, *load)
        _begin(stage, add, f"http://127.0.0.1:{prometheus}")
        yield stage


def _begin(stage: Stage, add: Callable[..., None], prometheus: str) -> None:
    """Start one controller, and another one with its anchor as soon as that is there."""
    folder, home = stage.folder, {"XDG_STATE_HOME": str(stage.folder / "state")}
    (folder / "token").touch(mode=0o600)
    (folder / "token").write_text(stage.token + "\n", encoding="utf-8")
    (folder / "conf.d").mkdir()
    for side in SIDES:
        file = files.homeostat(
            folder / side,
            socket=stage.runtime.path,
            prometheus=prometheus,
            database=stage.database,
            api=stage.apis[side],
        )
        anchor = folder / SIDES[0] / "homeostat.anchor"
        if side != SIDES[0]:
            wait(stage, anchor.exists, "a controller that leads")
            # Until then it acts on nothing; the second one finds the proof where the first kept it.
            wait(stage, lambda: _proved(stage), "the policy proved", PROOF_S, 1.0)
            shutil.copy(anchor, folder / side / anchor.name)
        given = [word for path in (file, files.POLICY, folder / "conf.d") for word in ("-f", path)]
        add(side, sys.executable, "-m", "homeostat", "run", *given, env=home)
    east = stage.programs[SIDES[1]]
    wait(stage, lambda: "standby" in east.said(100_000), "a second controller that stands by")


def _proved(stage: Stage) -> bool:
    with suppress(httpx2.HTTPError, LookupError, TypeError, ValueError):
        place = f"http://127.0.0.1:{stage.apis[SIDES[0]]}/v1/policies"
        said = httpx2.get(place, timeout=3.0).json()["policies"]
        return all(one["proof"]["why"] == "" for one in said) and bool(said)
    return False


def _postgres(data: Path) -> list[object]:
    programs = binaries()
    assert programs is not None
    if os.geteuid() == 0:
        os.chown(data, NOBODY, NOBODY)
    Server(programs, data).make()
    # When each commit became durable is what the judge holds the writes against.
    settings = SETTINGS | {"listen_addresses": "", "track_commit_timestamp": "on"}
    options = [word for name, to in settings.items() for word in ("-c", f"{name}={to}")]
    return [programs / "postgres", "-D", data / "data", "-k", data, *options]


def _database_made(stage: Stage, data: Path) -> bool:
    with suppress(psycopg.Error):
        place = f"postgresql://homeostat@/postgres?host={data}"
        with psycopg.connect(place, autocommit=True) as known:
            known.execute("CREATE DATABASE journal ENCODING 'UTF8' TEMPLATE template0")
        return True
    return False


def _all_up(stage: Stage) -> bool:
    look = stage.runtime.last()
    return look is not None and all(server.op == 2 for server in look.servers.values())


def _end_all(programs: Mapping[str, Program]) -> None:
    for program in reversed(tuple(programs.values())):
        program.go_on()
        # PostgreSQL ends its sessions by itself at once; all others are done.
        program.end(signal.SIGQUIT if program.name == POSTGRESQL else signal.SIGTERM)
