"""Asks the twin's worker process, and never waits for it longer than a question allows.

One worker for each deployment with a twin. It is started with the controller, started again with a
growing pause when it ends, killed when it hangs, and gone when the controller is gone. Whatever
goes wrong with it, the answer is that nothing is known: never a yes, and never an exception.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import structlog

from homeostat.base import codec
from homeostat.base.errors import ConfigError
from homeostat.base.events import Rehearse
from homeostat.base.rehearsal import Rehearsal
from homeostat.base.state import LoopState
from homeostat.base.units import SECOND, TimeNs
from homeostat.loop.rehearsing import unanswered
from homeostat.server import compiled, twin_frames
from homeostat.server.plan import TwinPlan

log = structlog.get_logger()

_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
_WELL_S: Final = 300.0  # a worker that lived for so long starts with a clean slate
_HANGS_S: Final = 300.0  # no question takes so long, and no program takes so long to compile
_THREADS: Final = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def opening(plan: TwinPlan) -> bytes:
    """Return the worker's first message: the fit and all that is known of it.

    Raises:
        ConfigError: A file cannot be read, or is none.
    """
    fit, made_at = _json(plan.fit)
    good: bool | None = None
    if plan.check is not None:
        said, _ = _json(plan.check)
        good = said.get("good") is True and said.get("same_recording") is False
        # A check that was written before checks said so may be one on the fit's own data.
        good = good and said.get("later") is True and _of(said, fit)
    body = {
        "fit": fit,
        "file": plan.fit.name,
        "made_at": made_at,
        "good": good,
        "oldest_ns": plan.oldest_ns,
        "assume": [list(one) for one in plan.assume],
        "draws": plan.draws,
        "slots": list(plan.slots),
        "memory_bytes": plan.memory_bytes,
    }
    return json.dumps(body).encode()


def _of(check: Mapping[str, Any], fit: Mapping[str, Any]) -> bool:
    """Return whether a check is this fit's; one that does not say whose it is, is nobody's."""
    given = fit.get("input")
    digest = given.get("sha256") if isinstance(given, Mapping) else None
    return isinstance(digest, str) and check.get("fitted_sha256") == digest


def _json(path: Path) -> tuple[dict[str, Any], int]:
    """Return a file's JSON object and when it was written.

    Raises:
        ConfigError: It cannot be read, or is none.
    """
    try:
        found, made_at = json.loads(path.read_bytes()), path.stat().st_mtime_ns
    except OSError as error:
        raise ConfigError(f"twin: {path}: {error.strerror}; check the name") from error
    except ValueError as error:
        raise ConfigError(f"twin: {path}: no JSON ({error})") from error
    if not isinstance(found, dict):
        raise ConfigError(f"twin: {path}: a JSON object is asked for")
    return found, made_at


class TwinWorker:
    """One worker process and the questions it has.

    Args:
        plan: The twin.
        now: The controller's clock.
        command: What to run; replaced in tests.
    """

    def __init__(
        self, plan: TwinPlan, now: Callable[[], TimeNs], command: tuple[str, ...] | None = None
    ) -> None:
        self.plan = plan
        self.now = now
        self.opening = opening(plan)
        module = (sys.executable, "-m", "homeostat.server.twin_worker")
        self.command = command or (*module, str(os.getpid()))
        self.starts = 0
        self.ready = False
        self.changed = asyncio.Event()  # set at each start, when ready and at each end
        self._process: Process | None = None
        self._asked: tuple[str, asyncio.Future[Rehearsal | None]] | None = None
        self._busy_since: float | None = None
        self._ending: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Keep a worker running until cancelled."""
        pause_s, loop = _FIRST_PAUSE_S, asyncio.get_running_loop()
        try:
            while True:
                began = loop.time()
                await self._live()
                lived_s = loop.time() - began
                pause_s = _FIRST_PAUSE_S if lived_s > _WELL_S else pause_s
                log.warning("twin", problem="its worker ended", next_start_s=pause_s)
                await asyncio.sleep(pause_s)
                pause_s = min(2.0 * pause_s, _LONGEST_PAUSE_S)
        finally:
            if self._ending is not None:
                await self._ending

    async def ask(self, command: Rehearse, state: LoopState) -> Rehearsal:
        """Return the answer, or by the question's deadline that there is none."""
        process = self._process
        if process is None or process.stdin is None:
            again = f" again after {self.starts} starts; see the log" if self.starts > 1 else ""
            return unanswered(command, f"the twin's worker is being started{again}")
        if not self.ready:
            return unanswered(command, "the twin is not ready yet")
        if self._asked is not None:
            return unanswered(command, "the twin is busy with an earlier question")
        answer: asyncio.Future[Rehearsal | None] = asyncio.get_running_loop().create_future()
        self._asked = (command.id, answer)
        self._busy_since = asyncio.get_running_loop().time()
        left_s = max(command.deadline - self.now(), 0) / SECOND
        try:
            async with asyncio.timeout(left_s):
                process.stdin.write(twin_frames.packed(_parts(command, state)))
                await process.stdin.drain()
                found = await asyncio.shield(answer)
        except TimeoutError:
            return unanswered(command)  # the worker goes on; its late answer is thrown away
        except (OSError, ValueError):
            found = None
        return found or unanswered(command, "the twin's worker ended")

    async def _live(self) -> None:
        """Start one worker and take its answers until it ends."""
        self.starts += 1
        self.changed.set()
        try:
            process = await self._start()
        except OSError as error:
            log.warning("twin", problem=f"its worker cannot be started: {error}")
            return
        self._process = process
        self._busy_since = asyncio.get_running_loop().time()
        watch = asyncio.create_task(self._watch())
        try:
            await self._answers(process)
        finally:
            watch.cancel()
            self.ready, self._process = False, None
            self.changed.set()
            self._settle(None)
            await self._end(process)

    async def _start(self) -> Process:
        """Start a process; one that is started while this is cancelled is ended again.

        Raises:
            OSError: It cannot be started.
            CancelledError: The controller ends.
        """
        environment = {**os.environ, **compiled.environment(self.plan.cache), **_THREADS}
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(*self.command, stdin=PIPE, stdout=PIPE, env=environment)
        )
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            await self._end(await starting)
            raise

    async def _end(self, process: Process) -> None:
        """End a process and wait until it is gone; `run` waits if this is cancelled meanwhile."""
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        self._ending = asyncio.ensure_future(_gone(process))
        await asyncio.shield(self._ending)

    async def _answers(self, process: Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise AssertionError("pipes were asked for")
        with suppress(OSError, asyncio.IncompleteReadError, ValueError):
            process.stdin.write(twin_frames.packed([self.opening]))
            await process.stdin.drain()
            await twin_frames.receive(process.stdout)
            self.ready, self._busy_since = True, None
            self.changed.set()
            log.info("twin", ready=True, fit=str(self.plan.fit))
            while True:
                self._settle(codec.decode(await twin_frames.receive(process.stdout)))

    async def _watch(self) -> None:
        """Kill a worker that hangs; `_live` then ends and `run` starts another."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_HANGS_S / 10)
            if self._busy_since is not None and loop.time() - self._busy_since > _HANGS_S:
                log.warning("twin", problem="its worker hangs", effect="it is killed")
                self._kill()

    def _settle(self, answer: Rehearsal | None) -> None:
        """Hand an answer to whoever asked; None = the worker has gone."""
        asked, self._asked, self._busy_since = self._asked, None, None
        if asked is None or asked[1].done():
            return
        same = isinstance(answer, Rehearsal) and answer.id == asked[0]
        asked[1].set_result(answer if same else None)

    def _kill(self) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()


class Twins:
    """The twins of all deployments that have one; `Shell.rehearse`."""

    def __init__(self, workers: Mapping[str, TwinWorker]) -> None:
        self.workers = dict(workers)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start every worker; nobody waits until they are ready."""
        self._tasks = [asyncio.create_task(worker.run()) for worker in self.workers.values()]

    async def close(self) -> None:
        """End every worker."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def __call__(self, command: Rehearse, state: LoopState) -> Rehearsal:
        """Return the answer of a deployment's twin; it always answers by the deadline."""
        worker = self.workers.get(command.deployment)
        if worker is None:
            return unanswered(command, "there is no twin to ask")
        return await worker.ask(command, state)


async def _gone(process: Process) -> None:
    """Wait until a process has ended and both of its pipes are closed."""
    await process.wait()
    if process.stdin is not None:
        process.stdin.close()
        with suppress(OSError):
            await process.stdin.wait_closed()
    if process.stdout is not None:
        await process.stdout.read()


def _parts(command: Rehearse, state: LoopState) -> list[bytes]:
    known = (command, state.managed, state.evidence, state.incident)
    return [b"" if one is None else codec.encode(one) for one in known]
