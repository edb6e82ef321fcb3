"""Carries the host's processes from what they are to what the document wants, losing no request.

The order within each change is the promise: a replacement is ready and in rotation before the old
process leaves; nothing is ended before Envoy has stopped sending to it and its requests are done.
What is next is decided by `host_plan`; processes that die or hang are left alone until asked.
"""

import asyncio
import time
import traceback
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from homeostat.base import names
from homeostat.base.errors import ConfigError
from homeostat.base.units import TimeNs
from homeostat.demo.host_document import with_release
from homeostat.demo.host_exit import retire
from homeostat.demo.host_launcher import Launcher
from homeostat.demo.host_log import HostLog
from homeostat.demo.host_plan import (
    Configure,
    Fill,
    Load,
    Remove,
    SlotView,
    Step,
    plan,
    rotation,
    wanted_knobs,
)
from homeostat.demo.host_process import ModelProcess, ServerCallError
from homeostat.demo.host_rotation import Rotation
from homeostat.demo.host_settings import HostSettings
from homeostat.demo.host_spares import Spares
from homeostat.demo.host_store import DocumentStore

TRIES: Final = 3  # of one step; then it waits for the document to change
RETRY_S: Final = 0.5  # before the second try; twice as long before the third


@dataclass(slots=True)
class Slot:
    """One slot and the process that holds it, dead or alive."""

    pool: str
    incarnation: int
    process: ModelProcess


@dataclass(slots=True)
class _Tries:
    count: int = 0
    not_before: float = 0.0


class Reconciler:
    """The level-triggered loop of the host."""

    def __init__(
        self,
        settings: HostSettings,
        store: DocumentStore,
        rotation_files: Rotation,
        launcher: Launcher,
        log: HostLog,
    ) -> None:
        self.slots: dict[str, Slot] = {}
        self._settings, self._store, self._rotation = settings, store, rotation_files
        self._log = log
        self._wake = asyncio.Event()
        self._busy: dict[str, Step] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._leaving = 0
        self._tries: dict[Step, _Tries] = {}
        self._revision = 0
        self.spares = Spares(
            settings, launcher, log, lambda: wanted_knobs(store.document), self.poke
        )

    def poke(self) -> None:
        """Look again: the document or a process changed."""
        self._wake.set()

    @property
    def changing(self) -> bool:
        """Whether an accepted change is still being carried out."""
        steps = plan(self._store.document, self._views())
        return (
            bool(self._busy) or self._leaving > 0 or any(not self._gave_up(step) for step in steps)
        )

    async def run(self) -> None:
        """Compare and act, for ever."""
        while True:
            self._wake.clear()
            self._pass()
            await self._wake.wait()

    async def close(self) -> None:
        """Stop what is going on, and end every process: asked first, then killed."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.spares.close()

    def _pass(self) -> None:
        document = self._store.document
        if document.revision != self._revision:
            self._revision = document.revision
            self._tries.clear()
        self._publish()
        for step in plan(document, self._views()):
            if step.slot in self._busy or self._waits(step):
                continue
            if isinstance(step, Load) and self._is_loading(step.pool):
                continue
            self._busy[step.slot] = step
            self._spawn(self._carry_out(step))
        self.spares.keep()

    def _views(self) -> dict[str, SlotView]:
        return {
            name: SlotView(
                pool=slot.pool,
                incarnation=slot.incarnation,
                alive=slot.process.alive,
                version=slot.process.version,
                knobs=slot.process.knobs,
            )
            for name, slot in self.slots.items()
        }

    def _is_loading(self, pool: str) -> bool:
        return any(isinstance(step, Load) and step.pool == pool for step in self._busy.values())

    def _gave_up(self, step: Step) -> bool:
        return step in self._tries and self._tries[step].count >= TRIES

    def _waits(self, step: Step) -> bool:
        tries = self._tries.get(step)
        return tries is not None and (tries.count >= TRIES or time.monotonic() < tries.not_before)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, step: Step) -> None:
        try:
            match step:
                case Fill():
                    await self._fill(step)
                case Remove():
                    self._leave(self.slots.pop(step.slot), step.slot)
                case Load():
                    await self._load(step)
                case Configure():
                    await self._configure(step)
            self._tries.pop(step, None)
        except (ServerCallError, ConfigError, OSError) as error:
            self._note_failure(step, str(error))
        except Exception as error:  # noqa: BLE001 - the host outlives a bug in one step; it is told
            traceback.print_exc()
            self._note_failure(step, repr(error))
        finally:
            del self._busy[step.slot]
            self.poke()

    def _note_failure(self, step: Step, why: str) -> None:
        tries = self._tries.setdefault(step, _Tries())
        tries.count += 1
        delay = RETRY_S * tries.count
        tries.not_before = time.monotonic() + delay
        what = "gave_up" if tries.count >= TRIES else "failed"
        self._log.add(what, slot=step.slot, step=type(step).__name__, why=why)
        asyncio.get_running_loop().call_later(delay + 0.01, self.poke)

    async def _fill(self, step: Fill) -> None:
        process = await self.spares.take()
        document = self._store.document
        version = str(document.lever(names.lever_version(step.pool)))
        try:
            await process.rename(step.slot, step.pool, self._settings.call_timeout_s)
            knobs = wanted_knobs(document, step.slot)
            await process.configure(knobs, self._settings.call_timeout_s)
            await process.load(version, self._settings.load_timeout_s)
            await process.until_ready(self._settings.load_timeout_s)
        except BaseException:
            self.spares.end(process)
            raise
        self._log.add("ready", slot=step.slot, pool=step.pool, pid=process.pid, version=version)
        old = self.slots.get(step.slot)
        self.slots[step.slot] = Slot(step.pool, step.incarnation, process)
        self._note_release(step.pool, version)
        self._publish()
        if old is not None:
            self._leave(old, step.slot)

    async def _load(self, step: Load) -> None:
        process = self.slots[step.slot].process
        if process.is_stopped():
            raise ServerCallError(f"{step.slot} is stopped and cannot load {step.version}")
        await process.load(step.version, self._settings.load_timeout_s)
        self._log.add("version_loaded", slot=step.slot, pool=step.pool, version=step.version)
        self._note_release(step.pool, step.version)

    async def _configure(self, step: Configure) -> None:
        process = self.slots[step.slot].process
        if process.is_stopped():
            raise ServerCallError(f"{step.slot} is stopped and cannot take settings")
        await process.configure(step.knobs, self._settings.call_timeout_s)
        self._log.add("settings_applied", slot=step.slot, batch_max=step.knobs.batch_max)

    def _note_release(self, pool: str, version: str) -> None:
        document = self._store.document
        noted = with_release(document, pool, version, TimeNs(time.time_ns()))
        if noted is not document:
            self._store.save(noted)

    def _publish(self) -> None:
        document = self._store.document
        ports = {name: slot.process.port for name, slot in self.slots.items()}
        before = {pool: set(self._rotation.ports(pool)) for pool in document.pools()}
        after = rotation(document, ports)
        self._rotation.publish(after)
        for pool, now in after.items():
            for port in set(now) - before[pool]:
                self._log.add("in_rotation", slot=self._slot_of(port), pool=pool, port=port)
            for port in before[pool] - set(now):
                self._log.add("out_of_rotation", slot=self._slot_of(port), pool=pool, port=port)

    def _slot_of(self, port: int) -> str | None:
        return next((n for n, slot in self.slots.items() if slot.process.port == port), None)

    def _leave(self, slot: Slot, name: str) -> None:
        self._publish()
        self._leaving += 1

        async def leave() -> None:
            note: Callable[..., None] = self._log.add
            try:
                await retire(slot.process, name, slot.pool, self._rotation, self._settings, note)
            finally:
                self._leaving -= 1
                self.spares.end(slot.process)
                self.poke()

        self._spawn(leave())
