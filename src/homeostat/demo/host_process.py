"""One model-server process: started by forking, spoken to over HTTP, ended for certain.

Knows nothing of slots, pools' sizes or rotation; see `host_reconcile`.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from typing import Any, Final

import httpx2
import psutil

from homeostat.demo.host_plan import Knobs

_POLL_S: Final = 0.03
_OK: Final = 200


class ServerCallError(Exception):
    """A model server did not answer, or refused; the message says which and why."""


class ModelProcess:
    """A running (or ended) model server.

    Attributes:
        name: Slot name, or `spare-N` while it is a spare.
        port: Its port on loopback.
        pid: Its process id.
        started_at_ns: When it was started.
        version: The version it said it serves, None if it has not said.
        knobs: The settings it said it has, None if it has not said.
        memory_bytes: Resident memory when last sampled, None if never.
        exited: Set once the process is gone.
        exitcode: How it ended, None while it runs.
        leaving: True once the host wants it gone, so that its end is no news.
    """

    def __init__(
        self, process: BaseProcess, name: str, port: int, client: httpx2.AsyncClient
    ) -> None:
        self.name, self.port = name, port
        self.started_at_ns = time.time_ns()
        self.version: str | None = None
        self.knobs: Knobs | None = None
        self.memory_bytes: int | None = None
        self.exited = asyncio.Event()
        self.exitcode: int | None = None
        self.leaving = False
        self._process = process
        process.start()
        self.pid = process.pid or 0
        self._client = client
        self._sentinel = process.sentinel
        asyncio.get_running_loop().add_reader(self._sentinel, self._note_exit)

    def _note_exit(self) -> None:
        asyncio.get_running_loop().remove_reader(self._sentinel)
        self._process.join()
        self.exitcode = self._process.exitcode
        self._process.close()
        self.version = self.memory_bytes = None
        self.exited.set()

    @property
    def alive(self) -> bool:
        """Whether the process exists (it may hang all the same)."""
        return not self.exited.is_set()

    def is_stopped(self) -> bool:
        """Whether the process is stopped by a signal, so that no answer can come."""
        try:
            return bool(psutil.Process(self.pid).status() == psutil.STATUS_STOPPED)
        except psutil.Error:
            return False

    def sample_memory(self) -> int | None:
        """Read the resident memory, None when the process is gone."""
        with contextlib.suppress(psutil.Error):
            if self.alive:
                self.memory_bytes = int(psutil.Process(self.pid).memory_info().rss)
        return self.memory_bytes

    def signal(self, sig: signal.Signals) -> None:
        """Send a signal, unless the process is gone."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    async def exits_within(self, timeout_s: float) -> bool:
        """Wait for the process to end; False if it still runs after the timeout."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.exited.wait()
        except TimeoutError:
            return False
        return True

    async def until_live(self, timeout_s: float) -> None:
        """Wait until the server answers its liveness path.

        Raises:
            ServerCallError: It ended, or did not answer in time.
        """
        await self._until("/v2/health/live", timeout_s)

    async def until_ready(self, timeout_s: float) -> None:
        """Wait until the server says that it is ready.

        Raises:
            ServerCallError: It ended, or did not get ready in time.
        """
        await self._until("/v2/health/ready", timeout_s)

    async def _until(self, path: str, timeout_s: float) -> None:
        give_up = time.monotonic() + timeout_s
        while time.monotonic() < give_up:
            if not self.alive:
                raise ServerCallError(f"{self.name} ended with exit code {self.exitcode}")
            with contextlib.suppress(httpx2.TransportError):
                answer = await self._client.get(self._url(path), timeout=1.0)
                if answer.status_code == _OK:
                    return
            await asyncio.sleep(_POLL_S)
        raise ServerCallError(f"{self.name} did not answer {path} with 200 in {timeout_s:g} s")

    async def rename(self, name: str, pool: str, timeout_s: float) -> None:
        """Give a spare its slot.

        Raises:
            ServerCallError: No answer, or refused.
        """
        await self._post("/admin/name", {"name": name, "pool": pool}, timeout_s)
        self.name = name

    async def configure(self, knobs: Knobs, timeout_s: float) -> None:
        """Set batch size, batch wait and concurrency limit.

        Raises:
            ServerCallError: No answer, or refused.
        """
        body = {
            "batch_max": knobs.batch_max,
            "batch_wait_ms": knobs.batch_wait_ms,
            "concurrency_max": knobs.concurrency_max,
        }
        await self._post("/admin/settings", body, timeout_s)
        self.knobs = knobs

    async def load(self, version: str, timeout_s: float) -> None:
        """Change to another version of the artefact, between two batches.

        Raises:
            ServerCallError: No answer, or the artefact was refused; the old one stays.
        """
        await self._post("/admin/version", {"version": version}, timeout_s)
        self.version = version

    async def drain(self, timeout_s: float) -> None:
        """Tell the server that it is leaving.

        Raises:
            ServerCallError: No answer, or refused.
        """
        await self._post("/admin/drain", {}, timeout_s)

    async def in_flight(self, timeout_s: float) -> int:
        """Return how many requests the server holds.

        Raises:
            ServerCallError: No answer, or one that makes no sense.
        """
        try:
            answer = await self._client.get(self._url("/admin/state"), timeout=timeout_s)
            state = answer.json()
            return int(state["inflight"]) + int(state["queue"])
        except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
            raise ServerCallError(f"{self.name}: /admin/state: {error!r}") from error

    async def _post(self, path: str, body: Mapping[str, Any], timeout_s: float) -> None:
        try:
            answer = await self._client.post(self._url(path), json=dict(body), timeout=timeout_s)
        except httpx2.HTTPError as error:
            raise ServerCallError(f"{self.name}: {path}: {error!r}") from error
        if answer.status_code != _OK:
            raise ServerCallError(
                f"{self.name}: {path} answered {answer.status_code}: {answer.text[:200]}"
            )

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"
