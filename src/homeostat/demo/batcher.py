"""Dynamic batching in front of one device, with settings that change while it runs.

A batch starts when the device is free and either enough requests wait or the oldest has waited
long enough. The prediction is computed for real; the device time is slept, so that capacity is
the same on any machine and really grows with replicas on two cores.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

from homeostat.base.errors import HomeostatError

InputT = TypeVar("InputT")
OutputT = TypeVar("OutputT")
BATCH_LIMIT: Final = 1_024  # what nobody means; also bounds one run's memory


class QueueFullError(HomeostatError):
    """The server holds all the requests that it may; the caller is told to go elsewhere."""


@dataclass(slots=True, kw_only=True)
class BatchSettings:
    """What may change between two batches.

    Attributes:
        batch_max: Largest batch.
        batch_wait_ms: Longest wait for a batch to fill, from its oldest request.
        concurrency_max: Requests held at once, waiting or running.
    """

    batch_max: int
    batch_wait_ms: float
    concurrency_max: int


class Watch(Protocol):
    """Is told what the batcher does (the instrument implements it)."""

    queue_length: int

    def observe_batch_run(self, size: int, device_seconds: float, *, full: bool) -> None:
        """One batch ran."""
        ...


@dataclass(slots=True)
class _Job(Generic[InputT, OutputT]):
    given: InputT
    arrived: float
    answer: "asyncio.Future[OutputT]" = field(repr=False)


class Batcher(Generic[InputT, OutputT]):
    """Holds the queue and the one task that feeds the device."""

    def __init__(
        self,
        settings: BatchSettings,
        *,
        queue_max: int,
        run: Callable[[Sequence[InputT]], Sequence[OutputT]],
        device_s: Callable[[int], float],
        watch: Watch,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Wire it up; nothing runs until `serve`.

        Args:
            settings: Read anew for every batch.
            queue_max: Requests that may wait.
            run: Computes the answers to a batch, in its order; called between device times.
            device_s: How long a batch of this size occupies the device, in seconds.
            watch: Is told about queue and batches.
            sleep: Spends the device time.
        """
        self._settings = settings
        self._queue_max = queue_max
        self._run, self._device_s, self._watch, self._sleep = run, device_s, watch, sleep
        self._queue: deque[_Job[InputT, OutputT]] = deque()
        self._news = asyncio.Event()
        self._running = 0

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._queue)

    @property
    def held(self) -> int:
        """How many requests wait or run."""
        return len(self._queue) + self._running

    def changed(self) -> None:
        """Say that the settings changed: a batch that is waiting to fill looks again."""
        self._news.set()

    async def submit(self, given: InputT) -> OutputT:
        """Return the answer for one request.

        Raises:
            QueueFullError: Too many wait, or too many are held.
        """
        if len(self._queue) >= self._queue_max:
            raise QueueFullError(f"{len(self._queue)} requests wait, which is all that may")
        if self.held >= self._settings.concurrency_max:
            raise QueueFullError(f"{self.held} requests are held, which is all that may")
        answer: asyncio.Future[OutputT] = asyncio.get_running_loop().create_future()
        self._queue.append(_Job(given, time.monotonic(), answer))
        self._watch.queue_length = len(self._queue)
        self._news.set()
        return await answer

    async def serve(self) -> None:
        """Form and run batches until cancelled."""
        while True:
            batch = await self._form()
            self._running = len(batch)
            try:
                await self._run_batch(batch)
            finally:
                self._running = 0
                _give_up(batch)

    async def _form(self) -> list[_Job[InputT, OutputT]]:
        while True:
            self._news.clear()
            if not self._queue:
                await self._news.wait()
                continue
            size = self._settings.batch_max
            ripe_at = self._queue[0].arrived + self._settings.batch_wait_ms / 1_000.0
            left_s = ripe_at - time.monotonic()
            if len(self._queue) < size and left_s > 0.0:
                await self._wait_for_news(left_s)
                continue
            batch = [self._queue.popleft() for _ in range(min(size, len(self._queue)))]
            self._watch.queue_length = len(self._queue)
            return batch

    async def _wait_for_news(self, limit_s: float) -> None:
        try:
            async with asyncio.timeout(limit_s):
                await self._news.wait()
        except TimeoutError:
            return

    async def _run_batch(self, batch: list[_Job[InputT, OutputT]]) -> None:
        started = time.monotonic()
        full = len(batch) >= self._settings.batch_max
        device_s = self._device_s(len(batch))
        try:
            answers = self._run([job.given for job in batch])
        except Exception as error:  # noqa: BLE001 - whatever broke, its requests must hear of it
            for job in batch:
                if not job.answer.done():  # its caller may have gone away
                    job.answer.set_exception(error)
            return
        await self._sleep(max(0.0, device_s - (time.monotonic() - started)))
        self._watch.observe_batch_run(len(batch), time.monotonic() - started, full=full)
        for job, answer in zip(batch, answers, strict=True):
            if not job.answer.done():
                job.answer.set_result(answer)


def _give_up(batch: Sequence[_Job[InputT, OutputT]]) -> None:
    """Cancel what has no answer: the batcher was cancelled while the batch was running."""
    for job in batch:
        if not job.answer.done():
            job.answer.cancel()
