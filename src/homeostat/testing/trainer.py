"""The conformance kit of trainers: asking, reading back, what came of it, marks, and a bad wire.

    await check_trainer(TrainerTarget(make=..., host=..., port=..., ...))

The trainer speaks to a real target (or a stateful stand-in) through `actuator_wire.Wire`. Checks
run in order on that one target; each uses orders of its own. Raises AssertionError with a sentence
on the first broken promise of `homeostat.base.ports.Trainer`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from homeostat.base.errors import TrainerError
from homeostat.base.intent import Receipt, ReceiptStatus
from homeostat.base.ports import Trainer
from homeostat.base.training import (
    LineageState,
    TrainingOrder,
    TrainingPhase,
    TrainingSight,
    VersionMark,
)
from homeostat.base.units import HOUR, TimeNs, ns
from homeostat.testing.actuator_wire import Fault, Wire

_SHORT_S: Final = 0.6  # deadline of a write that is meant to fail
_LONG_S: Final = 10.0
_SLACK_S: Final = 1.0
_HAS_IT: Final = frozenset({TrainingPhase.TAKEN, TrainingPhase.RUNNING})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerTarget:
    """What a trainer is checked on.

    Attributes:
        make: Builds a trainer that speaks to a base address.
        host: Where the real target listens.
        port: Its port.
        deployment: The managed model's name.
        trainings: Keys of the trainings that the target has begun, asked of itself.
        finish: The pipeline makes a version of an order; returns the version's name.
        fail: The pipeline gives an order up.
        stranger: Somebody registers a version that nobody ordered; returns its name.
        takes_over: Somebody else lets the serving alias name a version.
        alias: What the serving alias names now, empty for nothing.
        read_within_s: The trainer's own deadline for reading.
    """

    make: Callable[[str], Trainer]
    host: str
    port: int
    deployment: str
    trainings: Callable[[], Awaitable[Sequence[str]]]
    finish: Callable[[str], Awaitable[str]]
    fail: Callable[[str], Awaitable[None]]
    stranger: Callable[[], Awaitable[str]]
    takes_over: Callable[[str], Awaitable[None]]
    alias: Callable[[], Awaitable[str]]
    read_within_s: float


class _Bench:
    """A trainer behind a wire, and a counter so that no key is used twice."""

    def __init__(self, target: TrainerTarget, trainer: Trainer, wire: Wire) -> None:
        self.target, self.trainer, self.wire = target, trainer, wire
        self._count = 0

    def order(self) -> TrainingOrder:
        self._count += 1
        now, number = _now(), self._count
        return TrainingOrder(
            key=f"{self.target.deployment}-d-{number:04d}-{now}",
            intent_id=f"d-{number:04d}.0.0",
            deployment=self.target.deployment,
            action_id=f"d-{number:04d}",
            incident_id="i-0001",
            at=now,
            reason=("inputs moved: PSI 0.31 of amount", 'a "quoted" <reason>\x1b[2J \u2603'),
            approvers=("ada", "grace"),
            data_from=TimeNs(now - 24 * HOUR),
            data_to=now,
            parent="1",
            epoch=3,
            deadline=now,  # each request says its own
            due=TimeNs(now + 24 * HOUR),
        )

    async def ask(self, order: TrainingOrder, *, within_s: float = _LONG_S) -> Receipt:
        return await asked(self.trainer, order, within_s)

    async def done(self, order: TrainingOrder) -> None:
        receipt = await self.ask(order)
        _demand(receipt.status is ReceiptStatus.DONE, f"an order was {receipt}")

    async def look(self, key: str) -> TrainingSight:
        return await self.trainer.look(self.target.deployment, key, _now())

    async def begun(self, key: str) -> int:
        return list(await self.target.trainings()).count(key)


async def asked(trainer: Trainer, order: TrainingOrder, within_s: float) -> Receipt:
    """Ask, and check what holds of every receipt: the id, and the deadline that was kept."""
    now, started = _now(), time.monotonic()
    timed = replace(order, deadline=TimeNs(now + ns(within_s)))
    receipt = await trainer.ask(timed, now)
    took_s = time.monotonic() - started
    _demand(receipt.intent_id == order.intent_id, f"a receipt of {receipt.intent_id}")
    _demand(took_s <= max(within_s, 0.0) + _SLACK_S, f"{within_s} s became {took_s:.1f} s")
    return receipt


async def check_trainer(target: TrainerTarget) -> None:
    """Check a trainer on a target.

    Raises:
        AssertionError: A promise of `homeostat.base.ports.Trainer` is broken.
    """
    async with Wire(target.host, target.port) as wire:
        trainer = target.make(wire.url)
        bench = _Bench(target, trainer, wire)
        _demand(trainer.name != "", "a trainer has a name")
        for check in CHECKS:
            wire.fault = Fault.NONE
            await check(bench)
        wire.fault = Fault.NONE
        await trainer.close()
        await trainer.close()


async def _nobody_asked(bench: _Bench) -> None:
    sight = await bench.look("nobody-d-0001-1")
    _demand(sight.phase is TrainingPhase.ABSENT, f"of an order that nobody gave it says {sight}")
    _demand(sight.version == "", "an order that nobody gave has a version")


async def _once(bench: _Bench) -> None:
    """One key is one training, sent twice, three times, or twice at once."""
    order = bench.order()
    await bench.done(order)
    sight = await bench.look(order.key)
    _demand(sight.phase in _HAS_IT, f"what was ordered is {sight}")
    _demand(sight.key == order.key, f"asked for {order.key}, told of {sight.key}")
    await bench.done(order)
    await asyncio.gather(bench.done(order), bench.done(order))
    _demand(await bench.begun(order.key) == 1, "one order sent four times is not one training")


async def _too_late(bench: _Bench) -> None:
    order = bench.order()
    receipt = await bench.ask(order, within_s=-1.0)
    _demand(receipt.status is ReceiptStatus.NOT_APPLIED, f"after its deadline it was {receipt}")
    _demand(await bench.begun(order.key) == 0, "an order after its deadline began a training")


async def _lost_request(bench: _Bench) -> None:
    for fault in (Fault.LOSE_WRITES, Fault.CUT_WRITES, Fault.BABBLE_WRITES, Fault.HALVE_WRITES):
        order = bench.order()
        bench.wire.fault = fault
        receipt = await bench.ask(order, within_s=_SHORT_S)
        bench.wire.fault = Fault.NONE
        _demand(receipt.status is ReceiptStatus.UNKNOWN, f"with {fault} an order was {receipt}")
        begun = await bench.begun(order.key)
        whole = fault is not Fault.HALVE_WRITES
        _demand(begun == 0 if whole else begun <= 1, f"with {fault} {begun} trainings began")
        await bench.done(order)
        _demand(await bench.begun(order.key) == 1, f"with {fault}, sent again, it is not one")


async def _lost_answer(bench: _Bench) -> None:
    for fault in (Fault.MUTE_WRITES, Fault.CUT_WRITE_ANSWERS):
        order = bench.order()
        bench.wire.fault = fault
        receipt = await bench.ask(order, within_s=_SHORT_S)
        bench.wire.fault = Fault.NONE
        _demand(receipt.status is ReceiptStatus.UNKNOWN, f"with {fault} an order was {receipt}")
        sight = await bench.look(order.key)
        _demand(sight.phase in _HAS_IT, f"with {fault} it was taken, and is told as {sight}")
        await bench.done(order)
        _demand(await bench.begun(order.key) == 1, f"with {fault}, sent again, it is not one")


async def _unreadable(bench: _Bench) -> None:
    order = bench.order()
    for fault in (Fault.BABBLE_READS, Fault.LOSE_READS):
        bench.wire.fault = fault
        await _demand_unreadable(bench, bench.trainer, order.key, fault)
        receipt = await bench.ask(order, within_s=_SHORT_S)
        # Nobody could look whether it is there already, so nothing was sent.
        _demand(receipt.status is ReceiptStatus.NOT_APPLIED, f"with {fault} it was {receipt}")
    bench.wire.fault = Fault.NONE
    _demand(await bench.begun(order.key) == 0, "an order that could not be read back was sent")
    nobody = bench.target.make("http://127.0.0.1:1")  # port 1 is reserved; nothing listens
    await _demand_unreadable(bench, nobody, order.key, "nobody there")
    receipt = await asked(nobody, order, _SHORT_S)
    _demand(receipt.status is ReceiptStatus.NOT_APPLIED, f"with nobody there it was {receipt}")
    await nobody.close()


async def _demand_unreadable(bench: _Bench, trainer: Trainer, key: str, what: str) -> None:
    started = time.monotonic()
    try:
        sight = await trainer.look(bench.target.deployment, key, _now())
    except TrainerError:
        took_s = time.monotonic() - started
        limit_s = bench.target.read_within_s + _SLACK_S
        _demand(took_s <= limit_s, f"with {what} a look took {took_s:.1f} s")
        return
    raise AssertionError(f"with {what} it saw {sight}")


async def _what_came_of_it(bench: _Bench) -> None:
    """A version belongs to its order and to no other; one that nobody ordered, to none."""
    first, second, third = bench.order(), bench.order(), bench.order()
    for order in (first, second, third):
        await bench.done(order)
    stranger = await bench.target.stranger()
    for order in (first, second):
        sight = await bench.look(order.key)
        _demand(sight.phase in _HAS_IT, f"a version that nobody ordered made it {sight}")
        _demand(sight.version != stranger, "a version that nobody ordered came of an order")
    version = await bench.target.finish(first.key)
    made, other = await bench.look(first.key), await bench.look(second.key)
    _demand(made.phase is TrainingPhase.MADE, f"what is finished is {made}")
    _demand(made.version == version, f"{version} came of it, and it says {made.version!r}")
    _demand(other.phase in _HAS_IT and other.version == "", f"another order's version: {other}")
    await bench.target.fail(third.key)
    failed = await bench.look(third.key)
    _demand(failed.phase is TrainingPhase.FAILED, f"what was given up is {failed}")
    _demand(failed.version == "", "what was given up has a version")


async def _marks(bench: _Bench) -> None:
    """The alias goes to what was promoted and back, and is never taken from somebody else."""
    order = bench.order()
    await bench.done(order)
    before = await bench.target.stranger()
    await bench.target.takes_over(before)
    version = await bench.target.finish(order.key)
    up = _mark(order, version, LineageState.PROMOTED, alias=(before, version))
    for attempt in ("at first", "repeated"):
        receipt = await bench.trainer.mark(up, _now())
        _demand(receipt.status is ReceiptStatus.DONE, f"{attempt}, a mark was {receipt}")
        _demand(receipt.intent_id == up.id, f"a receipt of {receipt.intent_id}")
    sight = await bench.look(order.key)
    _demand(sight.verdict == LineageState.PROMOTED.value, f"a mark is told as {sight}")
    _demand(await bench.target.alias() == sight.alias == version, "the alias did not move")
    back = _mark(order, version, LineageState.WITHDRAWN, alias=(version, before))
    receipt = await bench.trainer.mark(back, _now())
    _demand(receipt.status is ReceiptStatus.DONE, f"the way back was {receipt}")
    _demand(await bench.target.alias() == before, "the alias did not go back")
    await _marks_against_others(bench, order, version, before)


async def _marks_against_others(
    bench: _Bench, order: TrainingOrder, version: str, before: str
) -> None:
    theirs = await bench.target.stranger()
    await bench.target.takes_over(theirs)
    up = _mark(order, version, LineageState.PROMOTED, alias=(before, version))
    receipt = await bench.trainer.mark(up, _now())
    refused = receipt.status is ReceiptStatus.NOT_APPLIED and receipt.conflict
    _demand(refused, f"an alias that somebody else moved: {receipt}")
    _demand(await bench.target.alias() == theirs, "somebody else's alias was moved")
    alone = _mark(order, version, LineageState.REFUSED, alias=None)
    receipt = await bench.trainer.mark(alone, _now())
    _demand(receipt.status is ReceiptStatus.DONE, f"a mark without alias was {receipt}")
    _demand(await bench.target.alias() == theirs, "a mark without alias moved one")
    bench.wire.fault = Fault.MUTE_WRITES
    muted = _mark(order, version, LineageState.WITHDRAWN, alias=None, within_s=_SHORT_S)
    receipt = await bench.trainer.mark(muted, _now())
    bench.wire.fault = Fault.NONE
    _demand(receipt.status is ReceiptStatus.UNKNOWN, f"without an answer a mark was {receipt}")


def _mark(
    order: TrainingOrder,
    version: str,
    verdict: LineageState,
    *,
    alias: tuple[str, str] | None,
    within_s: float = _LONG_S,
) -> VersionMark:
    return VersionMark(
        id=f"{order.key}.mark.{verdict.value}",
        key=order.key,
        deployment=order.deployment,
        version=version,
        verdict=verdict,
        reason="as compared with what served",
        deadline=TimeNs(_now() + ns(within_s)),
        alias_from=None if alias is None else alias[0],
        alias_to=None if alias is None else alias[1],
    )


CHECKS: Final = (
    _nobody_asked,
    _once,
    _too_late,
    _lost_request,
    _lost_answer,
    _unreadable,
    _what_came_of_it,
    _marks,
)


def _demand(kept: bool, sentence: str) -> None:  # noqa: FBT001 - reads as assert
    if not kept:
        raise AssertionError(sentence)


def _now() -> TimeNs:
    return TimeNs(time.time_ns())
