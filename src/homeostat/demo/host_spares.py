"""Every process of the host, and among them the warm spares that it always keeps ready."""

import asyncio
import signal
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

from homeostat.base.errors import ConfigError
from homeostat.demo.host_launcher import Launcher
from homeostat.demo.host_log import HostLog
from homeostat.demo.host_plan import Knobs
from homeostat.demo.host_process import ModelProcess, ServerCallError
from homeostat.demo.host_settings import HostSettings

_RETRY_S: Final = 1.0  # after a spare failed to start
MEMORY_EVERY_S: Final = 0.5


class Spares:
    """Starts processes, hands ready ones out, and watches all of them until they end."""

    def __init__(
        self,
        settings: HostSettings,
        launcher: Launcher,
        log: HostLog,
        knobs: Callable[[], Knobs],
        changed: Callable[[], None],
    ) -> None:
        self._settings, self._launcher, self._log = settings, launcher, log
        self._knobs, self._changed = knobs, changed
        self._all: set[ModelProcess] = set()
        self._ready: list[ModelProcess] = []
        self._starting = 0
        self._not_before = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def ready(self) -> int:
        """How many spares are ready to take a slot."""
        return sum(process.alive for process in self._ready)

    def keep(self) -> None:
        """Start what is missing of the warm spares."""
        self._ready = [process for process in self._ready if process.alive]
        if time.monotonic() < self._not_before:
            return
        while len(self._ready) + self._starting < self._settings.spares:
            self._starting += 1
            self._spawn(self._add())

    async def take(self) -> ModelProcess:
        """Return a live process without a version: a spare, or a new one if there is none.

        Raises:
            ServerCallError: A new one was needed and did not start.
            ConfigError: There is no port left.
        """
        while self._ready:
            process = self._ready.pop(0)
            if process.alive and not process.is_stopped():
                return process
            self.end(process)
        return await self._launch()

    def end(self, process: ModelProcess) -> None:
        """Make sure that a process that nobody wants any more is gone."""
        process.leaving = True
        process.signal(signal.SIGKILL)

    async def watch_memory(self) -> None:
        """Kill every process above the memory limit, as the kernel would; for ever."""
        limit = self._settings.memory_limit_bytes
        while True:
            for process in tuple(self._all):
                used = process.sample_memory()
                if used is not None and used > limit and not process.leaving:
                    self._log.add(
                        "oom_kill", slot=process.name, pid=process.pid, bytes=used, limit=limit
                    )
                    process.signal(signal.SIGKILL)
            await asyncio.sleep(MEMORY_EVERY_S)

    async def close(self) -> None:
        """End every process: asked first, killed after the drain timeout."""
        running = tuple(self._all)
        for process in running:
            process.leaving = True
            process.signal(signal.SIGCONT)
            process.signal(signal.SIGTERM)
        give_up = time.monotonic() + self._settings.drain_timeout_s
        for process in running:
            if not await process.exits_within(max(0.0, give_up - time.monotonic())):
                process.signal(signal.SIGKILL)
        for process in running:
            await process.exits_within(1.0)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _add(self) -> None:
        try:
            process = await self._launch()
            self._ready.append(process)
            self._log.add("spare_ready", pid=process.pid, port=process.port)
        except (ServerCallError, ConfigError) as error:
            self._log.add("spare_failed", why=str(error))
            self._not_before = time.monotonic() + _RETRY_S
            asyncio.get_running_loop().call_later(_RETRY_S + 0.01, self._changed)
        finally:
            self._starting -= 1
            self._changed()

    async def _launch(self) -> ModelProcess:
        taken = frozenset(process.port for process in self._all)
        process = self._launcher.launch(self._knobs(), taken)
        self._all.add(process)
        self._log.add("started", slot=process.name, pid=process.pid, port=process.port)
        self._spawn(self._watch(process))
        try:
            await process.until_live(self._settings.start_timeout_s)
        except BaseException:
            self.end(process)
            raise
        return process

    async def _watch(self, process: ModelProcess) -> None:
        await process.exited.wait()
        self._all.discard(process)
        if not process.leaving:
            self._log.add("exited", slot=process.name, pid=process.pid, exitcode=process.exitcode)
        self._changed()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
