"""A host whose every request is delayed and written down, and controllers that can be killed.

The relay stands between the controllers and the real host. It lets one request through at a time,
so its log is the order in which the host took them; a request goes on to the host even when the
controller that sent it is gone.
"""

import asyncio
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from host_harness import free_block, host_settings, is_free, running_host, write_stand_ins
from kill_records import leader_of, recorded_in, store

from homeostat.demo.host_settings import PoolSettings
from homeostat.server.replaying import Kept

HERE = Path(__file__).parent
INTERVAL = "60ms"
_HOST_LINE = re.compile(rb"\r\nhost: [^\r]*", re.IGNORECASE)  # the host answers to loopback alone


@dataclass(slots=True, kw_only=True)
class Seen:
    """One write as the relay saw it.

    Attributes:
        intent: Its id.
        epoch: Its epoch.
        token: What it was made against.
        levers: What it sets; empty for a claim.
        recorded: Whether the journal already held the intent when the request came in.
        status: The host's answer, 0 while there is none.
        repeated: Whether the host said that it had landed before.
    """

    intent: str
    epoch: int
    token: str
    levers: dict[str, Any]
    recorded: bool
    status: int = 0
    repeated: bool = False

    @property
    def landed(self) -> bool:
        return self.status == 200 and not self.repeated


@dataclass(slots=True)
class Relay:
    """Passes requests on, late.

    Args:
        target: The host's port.
        recorded: Whether the journal holds an intent by now.
        chance: Draws the delays.
        bind: Where it listens.
    """

    target: int
    recorded: Callable[[str], bool]
    chance: random.Random
    bind: str = "127.0.0.1"
    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    before_s: float = 0.12
    after_s: float = 0.25
    _came: threading.Condition = field(default_factory=threading.Condition)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _one: asyncio.Lock = field(default_factory=asyncio.Lock)

    def wait_for_write(self, known: int, timeout_s: float) -> bool:
        """Wait until more than `known` lever writes have come in."""
        with self._came:
            return self._came.wait_for(lambda: len(self.writes()) > known, timeout_s)

    def wait_for_claim(self, epochs: int, timeout_s: float) -> bool:
        """Wait until a controller of a later epoch than this one has come in."""
        with self._came:
            return self._came.wait_for(lambda: self.epoch() > epochs, timeout_s)

    def epoch(self) -> int:
        return max((one.epoch for one in self.seen), default=0)

    def writes(self) -> list[Seen]:
        return [one for one in self.seen if one.levers]

    @contextmanager
    def running(self) -> Iterator["Relay"]:
        loop = asyncio.new_event_loop()
        started = threading.Event()
        thread = threading.Thread(target=self._run, args=(loop, started), daemon=True)
        thread.start()
        assert started.wait(10.0)
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10.0)

    def _run(self, loop: asyncio.AbstractEventLoop, started: threading.Event) -> None:
        async def begin() -> asyncio.Server:
            server = await asyncio.start_server(self._accept, self.bind, 0)
            self.port = server.sockets[0].getsockname()[1]
            started.set()
            return server

        server = loop.run_until_complete(begin())
        loop.run_forever()
        loop.run_until_complete(self._finish(server))
        loop.close()

    async def _finish(self, server: asyncio.Server) -> None:
        server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0.05)  # transports close in the next round

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            try:
                await self._answer(reader, writer)
            finally:
                writer.close()
            await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        headers = _headers(head)
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if head.startswith(b"PATCH"):
            answer = await self._write(head, headers, body)
        else:
            answer = await self._pass(head, body)
        writer.write(answer)
        await writer.drain()

    async def _write(self, head: bytes, headers: dict[str, str], body: bytes) -> bytes:
        intent, levers = headers["x-homeostat-intent"], json.loads(body)["levers"]
        one = Seen(
            intent=intent,
            epoch=int(headers["x-homeostat-epoch"]),
            token=headers["if-match"],
            levers=levers,
            recorded=bool(levers) and self.recorded(intent),
        )
        with self._came:
            self.seen.append(one)
            self._came.notify_all()
        await asyncio.sleep(self.chance.uniform(0.0, self.before_s) if levers else 0.0)
        async with self._one:
            answer = await self._pass(head, body)
            # In the order in which the host took them, which is not that in which they came.
            self.seen.remove(one)
            self.seen.append(one)
            one.status = int(answer.split(b" ", 2)[1])
            one.repeated = b'"repeated": true' in answer
        await asyncio.sleep(self.chance.uniform(0.0, self.after_s) if levers else 0.0)
        return answer

    async def _pass(self, head: bytes, body: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.target)
        head = _HOST_LINE.sub(b"\r\nhost: 127.0.0.1", head, count=1)
        writer.write(head.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1) + body)
        await writer.drain()
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


@dataclass(slots=True)
class Zygote:
    """The process that controllers are forked from; see `kill_zygote`."""

    process: "subprocess.Popen[str]"
    folder: Path
    lives: int = 0
    alive: set[int] = field(default_factory=set)

    def start(self) -> "Life":
        self.lives += 1
        log = self.folder / f"life-{self.lives:03d}.log"
        life = Life(pid=int(self._say(f"start {log}")), log=log, zygote=self)
        self.alive.add(life.pid)
        return life

    def reap(self, pid: int) -> int:
        self.alive.discard(pid)
        return int(self._say(f"reap {pid}"))

    def _say(self, line: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()


@dataclass(slots=True, kw_only=True)
class Life:
    """One controller process."""

    pid: int
    log: Path
    zygote: Zygote

    def signal(self, number: signal.Signals) -> None:
        subprocess.run(["kill", f"-{number.name.removeprefix('SIG')}", str(self.pid)], check=False)

    def kill(self) -> None:
        """End it as a crash would, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self.zygote.reap(self.pid)

    def ended(self) -> bool:
        """Return whether it has ended and waits to be reaped."""
        status = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8")
        return status.rpartition(")")[2].split()[0] == "Z"

    def reap(self) -> int:
        """Wait until it ends, and return its wait status."""
        return self.zygote.reap(self.pid)

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""


@dataclass(slots=True, kw_only=True)
class Stage:
    """A host, a relay and a place for controllers."""

    folder: Path
    seed: int
    relay: Relay
    zygote: Zygote
    host_url: str
    files: tuple[Path, ...]
    database: str = ""

    @property
    def journal(self) -> Kept:
        if self.database:
            return Kept(place=self.database, anchor=self.folder / "homeostat.anchor")
        return Kept(place=str(self.folder / "homeostat.db"))

    def leader(self) -> int:
        """Return the process that claimed the journal in the database last."""
        return leader_of(self.database)

    def quiet(self) -> None:
        (self.folder / "quiet").touch()

    def host_log(self) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = httpx2.get(f"{self.host_url}/v1/log", timeout=10.0).json()
        return lines

    def change(self, levers: dict[str, Any]) -> httpx2.Response:
        """Write past the controllers, as a person or a pipeline would."""
        state = httpx2.get(f"{self.host_url}/v1/state", timeout=10.0).json()
        return httpx2.patch(
            f"{self.host_url}/v1/state",
            json={"levers": levers},
            headers={"If-Match": str(state["revision"])},
            timeout=10.0,
        )

    def levers(self) -> dict[str, Any]:
        answer = httpx2.get(f"{self.host_url}/v1/state", timeout=10.0).json()
        found: dict[str, Any] = answer["levers"]
        return found


@contextmanager
def staged(folder: Path, seed: int, database: str = "") -> Iterator[Stage]:
    """Run a host of three stand-in replicas that ran v1 and v2, a relay, and a zygote.

    Args:
        folder: For everything.
        seed: Of the delays.
        database: URL of an empty database for the journal, empty for a file.
    """
    write_stand_ins(folder / "artefacts")
    pools = (PoolSettings(name="a", version="v1", replicas=3),)
    with running_host(host_settings(folder, pools=pools)) as host:
        recorded = recorded_in(database or folder / "homeostat.db")
        relay = Relay(host.settings.port, recorded, random.Random(seed))
        with relay.running():
            files = (configuration(folder, relay.port, database),)
            with forking(folder, files) as zygote:
                yield Stage(
                    seed=seed,
                    folder=folder,
                    relay=relay,
                    zygote=zygote,
                    host_url=host.url,
                    files=files,
                    database=database,
                )


@contextmanager
def forking(folder: Path, files: tuple[Path, ...], within: Sequence[str] = ()) -> Iterator[Zygote]:
    """Run a zygote for controllers with these files, by a command before its own if given."""
    (folder / "warm").mkdir()
    warm = configuration(folder / "warm", free_block(1))
    arguments = [*within, sys.executable, str(HERE / "kill_zygote.py"), str(folder), warm, *files]
    with (folder / "zygote.log").open("wb") as log:
        process = subprocess.Popen(
            [str(word) for word in arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    zygote = Zygote(process, folder)
    try:
        yield zygote
    finally:
        for pid in zygote.alive:  # of a test that failed: a standby would wait for ever
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10.0)
        assert process.stdout is not None
        process.stdout.close()


def configuration(folder: Path, host_port: int, database: str = "") -> Path:
    """Write a configuration that acts at once and often, and return its file."""
    silent = free_block(1)
    assert is_free(silent)
    spec: dict[str, Any] = {
        "mode": "auto",
        "interval": INTERVAL,
        "target": {
            "process": {"host": f"http://127.0.0.1:{host_port}"},
            "pools": {"stable": "a"},
        },
        "metrics": {
            "scrape": [
                {"subject": "gateway", "url": f"http://127.0.0.1:{silent}/m", "preset": "envoy"}
            ]
        },
        "slo": [
            {"name": "latency", "latency": {"quantile": 0.95, "below": "250ms"}},
            {"name": "errors", "errors": {"atMost": "1%"}},
        ],
        "guardrails": {
            "freshness": "2s",
            "persistence": 1,
            "cooldown": "1 scrape",
            "maxTries": 100000,
            "maxActionsPerHour": 100000,
            "maxFleetActionsPerHour": 100000,
            "maxReplicasChanging": "100%",
            "autonomy": {
                "grantedBy": "a test",
                "lostOnHarm": False,  # every fourth life does harm, and the next ones go on
                "auto": ["rollback", "restart_replica", "drain_replica"],
            },
            "receiptDeadline": "1s",
            "limits": {"replicas": {"min": 2, "max": 3}},
        },
    }
    model = {"kind": "ManagedModel", "metadata": {"name": "m"}, "spec": spec}
    controller = {
        "kind": "Controller",
        "metadata": {"name": "c"},
        "spec": {
            "api": {"port": 0, "tokenFile": "token"},
            "store": store(database),
            "killFile": "kill",
            "notify": [{"terminal": True}],
        },
    }
    file = folder / "homeostat.yaml"
    documents = ({"apiVersion": "homeostat.dev/v1alpha1", **one} for one in (model, controller))
    file.write_text(yaml.safe_dump_all(documents), encoding="utf-8")
    return file


def until(holds: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Wait until something holds."""
    give_up = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > give_up:
            pytest.fail(f"not within {timeout_s} s: {what}")
        time.sleep(0.02)
