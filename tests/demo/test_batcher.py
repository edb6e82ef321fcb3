"""Dynamic batching: sizes, waits, limits, and settings that change while it runs."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from homeostat.demo.batcher import Batcher, BatchSettings, QueueFullError


class Device:
    """Records batches; holds each until released, when told to."""

    def __init__(self) -> None:
        self.queue_length = 0
        self.batches: list[list[int]] = []
        self.full: list[bool] = []
        self.slept: list[float] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken = False

    def run(self, batch: Sequence[int]) -> Sequence[int]:
        self.batches.append(list(batch))
        if self.broken:
            raise RuntimeError("the model fell over")
        return [item * 10 for item in batch]

    async def sleep(self, duration_s: float) -> None:
        self.slept.append(duration_s)
        await self.gate.wait()

    def observe_batch_run(self, size: int, device_seconds: float, *, full: bool) -> None:
        assert size == len(self.batches[-1])
        self.full.append(full)


@asynccontextmanager
async def serving(
    device: Device, settings: BatchSettings, queue_max: int = 100
) -> AsyncIterator[Batcher[int, int]]:
    batcher: Batcher[int, int] = Batcher(
        settings,
        queue_max=queue_max,
        run=device.run,
        device_s=lambda size: 0.030 + 0.0035 * size,
        watch=device,
        sleep=device.sleep,
    )
    task = asyncio.create_task(batcher.serve())
    try:
        yield batcher
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def settings(batch_max: int = 4, wait_ms: float = 20.0, concurrency: int = 100) -> BatchSettings:
    return BatchSettings(batch_max=batch_max, batch_wait_ms=wait_ms, concurrency_max=concurrency)


async def test_each_caller_gets_the_answer_to_its_own_request() -> None:
    async with serving(Device(), settings()) as batcher:
        answers = await asyncio.gather(*(batcher.submit(k) for k in range(50)))
    assert answers == [k * 10 for k in range(50)]


async def test_a_full_batch_starts_at_once_and_a_partial_one_when_its_oldest_has_waited() -> None:
    device, knobs = Device(), settings(wait_ms=600_000.0)
    async with serving(device, knobs) as batcher:
        await asyncio.wait_for(asyncio.gather(*(batcher.submit(k) for k in range(4))), 60.0)
        knobs.batch_wait_ms = 60.0
        began = time.monotonic()
        await asyncio.gather(*(batcher.submit(k) for k in range(3)))
        assert time.monotonic() - began >= 0.055
    assert list(map(len, device.batches)) == [4, 3]
    assert device.full == [True, False]


async def test_one_batch_at_a_time_occupies_the_device_for_its_size() -> None:
    device = Device()
    device.gate.clear()
    async with serving(device, settings(batch_max=2, wait_ms=0.0)) as batcher:
        waiting = [asyncio.create_task(batcher.submit(k)) for k in range(5)]
        await asyncio.sleep(0.03)
        assert (len(device.batches), batcher.waiting, batcher.held) == (1, 3, 5)
        assert device.queue_length == 3
        device.gate.set()
        await asyncio.gather(*waiting)
    assert device.batches == [[0, 1], [2, 3], [4]]
    assert all(
        slept <= 0.030 + 0.0035 * size for slept, size in zip(device.slept, (2, 2, 1), strict=True)
    )


async def test_a_new_maximum_holds_from_the_next_batch_on() -> None:
    device, knobs = Device(), settings(batch_max=2, wait_ms=0.0)
    device.gate.clear()
    async with serving(device, knobs) as batcher:
        waiting = [asyncio.create_task(batcher.submit(k)) for k in range(8)]
        await asyncio.sleep(0.02)
        knobs.batch_max = 6
        batcher.changed()
        device.gate.set()
        await asyncio.gather(*waiting)
    assert list(map(len, device.batches)) == [2, 6]


@pytest.mark.parametrize("change", ["batch_max", "batch_wait_ms"])
async def test_a_batch_that_waits_to_fill_looks_again_when_settings_change(change: str) -> None:
    knobs = settings(batch_max=4, wait_ms=600_000.0)
    async with serving(Device(), knobs) as batcher:
        waiting = asyncio.gather(batcher.submit(1), batcher.submit(2))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        setattr(knobs, change, 2)
        batcher.changed()
        assert list(await asyncio.wait_for(waiting, 60.0)) == [10, 20]


async def test_a_full_queue_and_too_much_concurrency_are_refused_and_the_rest_is_served() -> None:
    device = Device()
    device.gate.clear()
    async with serving(device, settings(batch_max=1, wait_ms=0.0), queue_max=2) as batcher:
        waiting = [asyncio.create_task(batcher.submit(1))]
        await asyncio.sleep(0.02)  # it runs; the queue is empty again
        waiting += [asyncio.create_task(batcher.submit(k)) for k in (2, 3)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError, match="wait"):
            await batcher.submit(4)
        device.gate.set()
        assert await asyncio.gather(*waiting) == [10, 20, 30]
    device.gate.clear()
    async with serving(device, settings(concurrency=2, wait_ms=1e4)) as batcher:
        held = [asyncio.create_task(batcher.submit(k)) for k in (1, 2)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError, match="held"):
            await batcher.submit(3)
        for task in held:
            task.cancel()


async def test_a_batch_that_breaks_tells_each_caller_and_the_next_one_is_served() -> None:
    device = Device()
    async with serving(device, settings(wait_ms=0.0)) as batcher:
        device.broken = True
        results = await asyncio.gather(
            *(batcher.submit(k) for k in range(3)), return_exceptions=True
        )
        assert [type(result) for result in results] == [RuntimeError] * 3
        device.broken = False
        assert await batcher.submit(7) == 70
        assert batcher.held == 0


async def test_a_caller_that_gave_up_disturbs_nobody_else() -> None:
    device = Device()
    device.gate.clear()
    async with serving(device, settings(batch_max=3, wait_ms=1.0)) as batcher:
        waiting = [asyncio.create_task(batcher.submit(k)) for k in range(3)]
        await asyncio.sleep(0.02)
        waiting[1].cancel()
        device.gate.set()
        results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [results[0], results[2]] == [0, 20]
    assert isinstance(results[1], asyncio.CancelledError)


async def test_a_caller_that_gave_up_before_its_batch_broke_does_not_end_the_service() -> None:
    device = Device()
    async with serving(device, settings(batch_max=2, wait_ms=30.0)) as batcher:
        device.broken = True
        leaving = asyncio.create_task(batcher.submit(1))
        await asyncio.sleep(0.005)
        leaving.cancel()
        with pytest.raises(RuntimeError, match="fell over"):
            await batcher.submit(2)
        device.broken = False
        assert await asyncio.wait_for(batcher.submit(3), 60.0) == 30


async def test_requests_are_served_in_the_order_in_which_they_came() -> None:
    device = Device()
    async with serving(device, settings(batch_max=3, wait_ms=0.0)) as batcher:
        await asyncio.gather(*(batcher.submit(k) for k in range(20)))
    assert [k for batch in device.batches for k in batch] == list(range(20))
