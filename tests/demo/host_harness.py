"""Starts the real host (with real or stand-in servers) and the real Envoy, and loads them."""

import asyncio
import contextlib
import fcntl
import functools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from homeostat.demo.envoy import Envoy, EnvoySettings
from homeostat.demo.host_settings import HostSettings, PoolSettings

HERE = Path(__file__).parent
SETTLE_S = 40.0
_given_to: dict[str, int] = {}  # the end of the ports that this process was given last


@functools.cache
def own_ports() -> tuple[int, int]:
    """Return the first and the end of this process's ports, its own until it ends."""
    folder = Path(tempfile.gettempdir()) / f"homeostat-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for first in range(20_000, 32_000, 1_000):
        claim = os.open(folder / str(first), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(claim)
            continue
        return first, first + 1_000  # the lock is held until the process ends
    pytest.fail(f"twelve other processes of tests hold all ports; see {folder}")


def free_block(count: int) -> int:
    """Return the first of `count` ports that are free, below the kernel's own range.

    Each process that runs tests has a thousand of its own, and gives them in turn: nobody else
    takes one between two looks, and one that was given is given again only after all the others.
    """
    first, end = own_ports()
    after = _given_to.get("end", first)
    last = end - count
    for block in chain(range(after, last + 1), range(first, min(after, last + 1))):
        if all(can_listen(port) for port in range(block, block + count)):
            _given_to["end"] = block + count
            return block
    pytest.fail(f"no {count} free ports in a row from {first} to {end - 1}")


def can_listen(port: int) -> bool:
    """Return whether a port may be listened on: nobody listens, and nobody is about to."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def write_stand_ins(folder: Path, *, bad: tuple[str, ...] = ()) -> None:
    """Write artefacts that the stand-in server takes for versions v1 and v2, and bad ones."""
    for version in ("v1", "v2", *bad):
        (folder / version).mkdir(parents=True, exist_ok=True)
        manifest = json.dumps({"version": version, "bad": version in bad})
        (folder / version / "manifest.json").write_text(manifest, encoding="utf-8")


def host_settings(folder: Path, **changes: Any) -> HostSettings:
    """Return settings of a host with stand-in servers: pool a with 2 of v2, b with 1 of v1."""
    first = free_block(41)
    base: dict[str, Any] = {
        "port": first,
        "first_port": first + 1,
        "port_count": 40,
        "folder": folder / "host",
        "artefacts": folder / "artefacts",
        "server": "stand_in:serve",
        "pools": (
            PoolSettings(name="a", version="v2", replicas=2),
            PoolSettings(name="b", version="v1", replicas=1),
        ),
    }
    return HostSettings(**(base | changes))


@dataclass(slots=True)
class Host:
    """A host in a process of its own."""

    settings: HostSettings
    process: subprocess.Popen[bytes]
    messages: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    def state(self) -> dict[str, Any]:
        answer: dict[str, Any] = httpx2.get(f"{self.url}/v1/state", timeout=10.0).json()
        return answer

    def log(self, *what: str) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = httpx2.get(f"{self.url}/v1/log", timeout=10.0).json()
        return [line for line in lines if not what or line["what"] in what]

    def slot(self, name: str) -> dict[str, Any]:
        return next(slot for slot in self.state()["slots"] if slot["name"] == name)

    def write(
        self, levers: dict[str, Any], *, headers: dict[str, str] | None = None
    ) -> httpx2.Response:
        """Write on the present revision; as somebody else unless the headers say otherwise."""
        sent = {"If-Match": str(self.state()["revision"])} | (headers or {})
        return httpx2.patch(
            f"{self.url}/v1/state", json={"levers": levers}, headers=sent, timeout=10.0
        )

    def change(self, levers: dict[str, Any]) -> dict[str, Any]:
        """Write and wait until it has been carried out."""
        answer = self.write(levers)
        assert answer.status_code == 200, answer.text
        return self.settled()

    def settled(self) -> dict[str, Any]:
        return self.until(lambda state: not state["changing"])

    def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        give_up = time.monotonic() + SETTLE_S
        while True:
            assert self.process.poll() is None, self.messages.read_text()
            with contextlib.suppress(httpx2.TransportError):
                state = self.state()
                if holds(state):
                    return state
            assert time.monotonic() < give_up, (state, self.messages.read_text())
            time.sleep(0.03)

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@contextlib.contextmanager
def running_host(settings: HostSettings) -> Iterator[Host]:
    """Run a host until the block ends; everything is up when it begins."""
    file = settings.folder.parent / "settings.json"
    file.write_text(settings.to_json(), encoding="utf-8")
    messages = settings.folder.parent / "host.log"
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    with messages.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "homeostat.demo.host", "--config", str(file)],
            env=os.environ | {"PYTHONPATH": path},
            stdout=output,
            stderr=output,
        )
    try:
        host = Host(settings, process, messages)
        host.until(lambda state: not state["changing"] and state["spares"] == settings.spares)
        yield host
    finally:
        process.terminate()
        try:
            process.wait(20.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.asynccontextmanager
async def running_envoy(
    folder: Path, rotation_folder: Path, **changes: Any
) -> AsyncIterator[Envoy]:
    """Run Envoy until the block ends."""
    first = free_block(2)
    base: dict[str, Any] = {
        "port": first,
        "admin_port": first + 1,
        "folder": folder / "envoy",
        "rotation_folder": rotation_folder,
    }
    envoy = await Envoy.start(EnvoySettings(**(base | changes)))
    try:
        yield envoy
    finally:
        await envoy.stop()


@dataclass(slots=True)
class Load:
    """What steady load saw."""

    seen: Counter[tuple[Any, ...]] = field(default_factory=Counter)

    @property
    def failed(self) -> list[tuple[Any, ...]]:
        return [key for key in self.seen if key[0] != 200]

    def replicas(self) -> set[str]:
        return {key[1] for key in self.seen if key[0] == 200}


@contextlib.asynccontextmanager
async def steady_load(url: str, rate: float = 100.0, body: bytes = b"{}") -> AsyncIterator[Load]:
    """Send requests on schedule, whatever becomes of the earlier ones, until the block ends."""
    load = Load()
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=200)
    async with httpx2.AsyncClient(limits=limits, trust_env=False, timeout=5.0) as client:

        async def one() -> None:
            key: tuple[Any, ...]
            try:
                answer = await client.post(
                    f"{url}/v2/models/credit/infer",
                    content=body,
                    headers={"content-type": "application/json"},
                )
                replica = answer.headers.get("x-replica")
                key = (answer.status_code, replica, answer.headers.get("x-version"))
            except httpx2.HTTPError as error:
                key = (type(error).__name__, None, None)
            load.seen[key] += 1

        async def schedule() -> None:
            started, number = time.monotonic(), 0
            while not stop.is_set():
                number += 1
                tasks.add(asyncio.create_task(one()))
                await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))

        stop = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()
        sender = asyncio.create_task(schedule())
        await asyncio.sleep(0.5)
        yield load
        await asyncio.sleep(0.3)
        stop.set()
        await sender
        await asyncio.gather(*tasks)
