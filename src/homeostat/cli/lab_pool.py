"""Worker processes of the lab: spawned, one for each core, JAX inside them and nowhere else.

Ctrl-C reaches the command alone, which ends its workers; a worker whose command is gone ends by
itself. Nothing is shared between them but the folder of compiled programs.
"""

import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from homeostat.base.errors import HomeostatError
from homeostat.server import compiled
from homeostat.twin import store

_RARELY: Final = (200_000, 20, 1000)
"""When a worker looks for garbage that refers to itself. The controller makes millions of small
objects that do not, beside JAX's that stay: by Python's own thresholds the runbook spends a third
of its time on looking (50 episodes of S01). `lab_work` looks after every shard."""

A = TypeVar("A")
R = TypeVar("R")


class WorkerError(HomeostatError):
    """A worker process ended before its work was done, most likely for want of memory."""


class Pool:
    """Some workers.

    Args:
        jobs: How many.
        cache: Folder for compiled programs.
    """

    def __init__(self, jobs: int, cache: Path) -> None:
        context = multiprocessing.get_context("spawn")
        cores = sorted(os.sched_getaffinity(0))
        self._executor = ProcessPoolExecutor(
            max_workers=jobs,
            mp_context=context,
            initializer=_begin,
            initargs=(str(cache), context.Value("i", 0), cores if jobs <= len(cores) else []),
        )

    def __enter__(self) -> Self:
        """Start nothing yet: workers start with the first work."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: object, trace: TracebackType | None
    ) -> None:
        """End the workers: politely after the work, at once after an error or Ctrl-C."""
        if kind is None:
            self._executor.shutdown()
            return
        workers = multiprocessing.active_children()
        self._executor.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join(5.0)

    def each(self, work: Callable[[A], R], items: Iterable[A]) -> Iterator[tuple[A, R]]:
        """Do some work on every item; yield items with results as they are done.

        Args:
            work: A function of a module, because it is named to another process.
            items: Picklable.

        Raises:
            WorkerError: A worker ended; the same command takes up what was done.
        """
        waiting: dict[Future[Any], A] = {}
        try:
            waiting = {self._executor.submit(work, item): item for item in items}
            while waiting:
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield waiting.pop(future), future.result()
        except BrokenProcessPool as error:
            raise WorkerError(
                "a worker process was ended from outside, most likely for want of memory; "
                "run the same command with fewer --jobs, it takes up what was done"
            ) from error


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, whatever became of it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _begin(cache: str, started: Any, cores: list[int]) -> None:
    """Prepare a worker, before it imports JAX."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for name, value in compiled.environment(Path(cache)).items():
        os.environ.setdefault(name, value)
    store.use(compiled.Folder(Path(cache)))
    gc.set_threshold(*_RARELY)
    if cores:
        with started.get_lock():
            index, started.value = started.value, started.value + 1
        os.sched_setaffinity(0, {cores[index % len(cores)]})
