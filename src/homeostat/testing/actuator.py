"""The conformance kit of actuators: what every one must keep, on a real target and a bad wire.

    await check_actuator(Target(deployment="m", host="127.0.0.1", port=8080, ...))

Raises AssertionError with a sentence on the first broken promise. The target's levers are left as
they were found; its stamp and epoch are not. Needs the target for itself for some ten seconds.
"""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from homeostat.base import names
from homeostat.base.codec import decode, encode
from homeostat.base.errors import ActuatorError
from homeostat.base.intent import Intent, Receipt, ReceiptStatus
from homeostat.base.ports import Actuator, Capabilities
from homeostat.base.units import TimeNs, ns
from homeostat.base.world import Levers, Snapshot, Stamp
from homeostat.testing.actuator_own import wrong_own_values
from homeostat.testing.actuator_wire import HTTP, Fault, Speech, Wire

_DEADLINE_S: Final = 5.0  # of a write that is expected to be answered
_SHORT_S: Final = 0.7  # of a write that is expected not to be
_SLACK_S: Final = 1.0  # a loaded machine's scheduling
_SETTLE_S: Final = 20.0  # for the target to carry out what it accepted
_ids = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A real target, and what the kit may do with it.

    Attributes:
        deployment: The managed model's name that the target serves.
        host: Address of its API.
        port: Port of its API.
        make: Builds an actuator for a base URL, `http://HOST:PORT`; where the API is none of HTTP,
            only host and port of it count.
        change: A legal change: levers with values other than their present ones.
        illegal: Changes that the target must refuse.
        foreign: Sets levers as somebody else would, past the controller.
        read_within_s: The actuator's own limit for a reading.
        speech: What its API speaks.
    """

    deployment: str
    host: str
    port: int
    make: Callable[[str], Actuator]
    change: Levers
    illegal: tuple[Levers, ...]
    foreign: Callable[[Levers], Awaitable[None]]
    read_within_s: float
    speech: Speech = HTTP


@dataclass(slots=True)
class _Bench:
    """One check's tools."""

    target: Target
    actuator: Actuator
    wire: Wire

    async def read(self) -> Snapshot:
        return await self.actuator.read(self.target.deployment, _now())

    async def stamp(self) -> Stamp:
        return _stamp(await self.read(), self.actuator)

    async def intent(self, post: Levers, *, epoch: int | None = None) -> Intent:
        """Return an intent on the present state, as the loop would make it."""
        world = await self.read()
        stamp = _stamp(world, self.actuator)
        live = dict(world.levers)
        number = next(_ids)
        return Intent(
            id=f"kit-{_now()}-{number}.0.0",
            action_id=f"kit-{number}",
            deployment=self.target.deployment,
            actuator=self.actuator.name,
            epoch=(stamp.epoch or 1) if epoch is None else epoch,
            stage=0,
            pre=tuple((name, live[name]) for name, _ in post),
            post=post,
            token=stamp.token,
            evidence_at=world.observed_at,
            deadline=TimeNs(0),
        )

    async def apply(self, intent: Intent, within_s: float = _DEADLINE_S) -> Receipt:
        """Apply with a deadline from now, and check what every receipt must keep."""
        now = _now()
        started = time.monotonic()
        receipt = await self.actuator.apply(
            replace(intent, deadline=TimeNs(now + ns(within_s))), now
        )
        took_s = time.monotonic() - started
        _demand(
            took_s <= max(0.0, within_s) + _SLACK_S,
            f"a write with {within_s} s took {took_s:.1f} s",
        )
        _demand(
            receipt.intent_id == intent.id, f"{receipt} answers another intent than {intent.id}"
        )
        _demand(now <= receipt.at <= _now() + ns(_SLACK_S), f"{receipt} came at an absurd time")
        _demand(decode(encode(receipt)) == receipt, f"{receipt} does not survive the journal")
        done = receipt.status is ReceiptStatus.DONE
        _demand(done or receipt.detail != "", f"{receipt} does not say why")
        return receipt

    async def done(self, intent: Intent) -> Receipt:
        """Apply, demand DONE, and wait until the target has carried it out."""
        receipt = await self.apply(intent)
        _demand(receipt.status is ReceiptStatus.DONE, f"a plain write was not done: {receipt}")
        await self.settled()
        return receipt

    async def settled(self) -> Snapshot:
        give_up = time.monotonic() + _SETTLE_S
        while (world := await self.read()).changing:
            _demand(time.monotonic() < give_up, f"still changing after {_SETTLE_S} s")
            await asyncio.sleep(0.1)
        return world

    async def live(self, levers: Levers) -> Levers:
        """Return the present values of these levers."""
        world = dict((await self.read()).levers)
        return tuple((name, world[name]) for name, _ in levers)


async def check_actuator(target: Target) -> None:
    """Check an actuator against its real target, through a good and a bad wire.

    Raises:
        AssertionError: A promise of `homeostat.base.ports.Actuator` is broken.
    """
    async with Wire(target.host, target.port, target.speech) as wire:
        actuator = target.make(wire.url)
        bench = _Bench(target, actuator, wire)
        before = await bench.live(target.change)
        _demand(before != target.change, "the target's `change` changes nothing")
        for check in CHECKS:
            wire.fault = Fault.NONE
            try:
                await check(bench)
            except AssertionError as error:
                raise AssertionError(f"{actuator.name}, {check.__name__[1:]}: {error}") from error
            wire.fault = Fault.NONE
            _demand(
                await bench.live(target.change) == before,
                f"{actuator.name}: the levers are not as they were before {check.__name__[1:]}",
            )
        await actuator.close()
        await actuator.close()


async def _reading(bench: _Bench) -> None:
    now = _now()
    world = await bench.actuator.read(bench.target.deployment, now)
    can = bench.actuator.capabilities()
    stamp = _stamp(world, bench.actuator)
    _demand(world.observed_at == now, f"read at {now}, says {world.observed_at}")
    _demand(world.deployment == bench.target.deployment, f"speaks of {world.deployment!r}")
    _demand(decode(encode(world)) == world, "the snapshot does not survive the journal")
    _demand(list(world.levers) == sorted(world.levers), "levers are not sorted")
    for name, _ in world.levers:
        known = any(name == own or _within(name, own) for own in can.levers)
        _demand(known, f"reports {name}, which is none of its levers")
    for name, value in world.levers:
        step = _step(name, can)
        fine = step is None or (not isinstance(value, str) and value % step == 0)
        _demand(fine, f"{name} is {value}, between the steps of {step} that it declares")
    _demand((wrong := wrong_own_values(world, can)) == "", wrong)
    _demand(can.owner != "" or can.compare_and_set, "who else writes here? nobody is told")
    _demand((stamp.token is not None) == can.compare_and_set, "a token iff compare-and-set")
    _demand(not can.fencing or stamp.epoch is not None, "a fencing target knows its epoch")


async def _one_first(bench: _Bench) -> None:
    """A replica's own value is its own, is taken back, and ends with that of all."""
    world = await bench.read()
    for setting in bench.actuator.capabilities().one_first:
        live = world.lever(setting)
        if not isinstance(live, int | float) or not world.replicas:
            continue
        own = names.lever_own(setting, world.replicas[0].name)
        wanted = live * 2 if live > 0 else 1
        some = await bench.intent(((own, wanted),))
        await bench.done(some)
        _demand(await bench.live(some.post) == some.post, f"{own} is not what was written")
        _demand((await bench.read()).lever(setting) == live, f"{own} moved {setting}")
        every = await bench.intent(((setting, wanted), (own, 0)))
        await bench.done(every)
        _demand(await bench.live(every.post) == every.post, f"{own} outlived {setting}")
        await bench.done(await bench.intent(some.post))
        await bench.done(await bench.intent(((setting, live),)))
        _demand(await bench.live(some.pre) == some.pre, f"{setting} was written, and {own} stays")


async def _apply_repeat_undo(bench: _Bench) -> None:
    can = bench.actuator.capabilities()
    intent = await bench.intent(bench.target.change)
    first = await bench.done(intent)
    stamp = await bench.stamp()
    _demand(await bench.live(intent.post) == intent.post, "DONE, and the post-image is not live")
    _demand(stamp.intent in {intent.id, None}, f"the stamp says {stamp.intent}")
    if can.compare_and_set:
        _demand(stamp.intent == intent.id, "a target that compares also says whose write it was")
        _demand(
            first.token == stamp.token, f"the receipt's token is {first.token}, not the live one"
        )
        _demand(stamp.token != intent.token, "a write left the token as it was")
    second = await bench.done(intent)
    _demand(second.token == first.token, "a repeated intent moved the token")
    _demand((await bench.stamp()) == stamp, "a repeated intent moved the stamp")
    _demand(can.undo, "it cannot take back what it does; leave out levers that have no way back")
    undo = await bench.intent(intent.pre)
    await bench.done(replace(undo, id=f"{intent.id}.undo", action_id=intent.action_id, undo=True))
    _demand(await bench.live(intent.pre) == intent.pre, "undo did not bring the pre-image back")


async def _conflict(bench: _Bench) -> None:
    stale = await bench.intent(bench.target.change)
    fresh = await bench.intent(bench.target.change)
    await bench.done(fresh)
    await bench.done(await bench.intent(fresh.pre))
    if not bench.actuator.capabilities().compare_and_set:
        return
    receipt = await bench.apply(stale)
    _demand(_is_conflict(receipt), f"a write on an old token was {receipt}")


async def _claim_and_fence(bench: _Bench) -> None:
    old = (await bench.stamp()).epoch or 1
    first = (await bench.stamp()).intent
    claim = replace(await bench.intent((), epoch=old + 1), token=None)
    await bench.done(claim)
    before, stamp = await bench.read(), await bench.stamp()
    _demand(stamp.intent == first, f"a claim changed the stamp from {first} to {stamp.intent}")
    fences = bench.actuator.capabilities().fencing
    _demand(stamp.epoch == old + 1 or not fences, f"claimed {old + 1}, the epoch is {stamp.epoch}")
    late = await bench.intent(bench.target.change, epoch=old)
    receipt = await bench.apply(late)
    if fences:
        _demand(_is_conflict(receipt), f"a write of an older epoch was {receipt}")
        _demand((await bench.read()).levers == before.levers, "an older epoch moved a lever")
    elif receipt.status is ReceiptStatus.DONE:
        await bench.done(await bench.intent(late.pre))


async def _foreign_write(bench: _Bench) -> None:
    mine = await bench.intent(bench.target.change)
    await bench.done(mine)
    undo = await bench.intent(mine.pre)
    await bench.target.foreign(mine.pre)
    await bench.settled()
    stamp = await bench.stamp()
    _demand(await bench.live(mine.pre) == mine.pre, "a foreign write is not to be seen")
    _demand(stamp.intent is None, f"after a foreign write the stamp still says {stamp.intent}")
    if bench.actuator.capabilities().compare_and_set:
        receipt = await bench.apply(undo)
        _demand(_is_conflict(receipt), f"a write over a foreign one was {receipt}")


async def _refusals(bench: _Bench) -> None:
    before = await bench.read()
    wrong = (*bench.target.illegal, (("no_such_lever", 1),))
    for post in wrong:
        intent = replace(await bench.intent(()), post=post)
        receipt = await bench.apply(intent)
        refused = receipt.status is ReceiptStatus.NOT_APPLIED and not receipt.conflict
        _demand(refused, f"{post} was {receipt}")
    late = await bench.apply(await bench.intent(bench.target.change), within_s=-1.0)
    _demand(late.status is ReceiptStatus.NOT_APPLIED, f"a write after its deadline was {late}")
    _demand((await bench.read()).levers == before.levers, "a refused write moved a lever")


async def _lost_request(bench: _Bench) -> None:
    for fault in (Fault.LOSE_WRITES, Fault.CUT_WRITES, Fault.BABBLE_WRITES):
        intent = await bench.intent(bench.target.change)
        bench.wire.fault = fault
        receipt = await bench.apply(intent, within_s=_SHORT_S)
        bench.wire.fault = Fault.NONE
        _demand(receipt.status is ReceiptStatus.UNKNOWN, f"with {fault} a write was {receipt}")
        _demand(await bench.live(intent.pre) == intent.pre, f"with {fault} a write landed")
        await bench.done(intent)  # sent again with the same id, it lands
        await bench.done(await bench.intent(intent.pre))


async def _half_a_request(bench: _Bench) -> None:
    """All of a change lands or nothing of it, and what is left can be read and repeated."""
    intent = await bench.intent(bench.target.change)
    bench.wire.fault = Fault.HALVE_WRITES
    receipt = await bench.apply(intent, within_s=_SHORT_S)
    bench.wire.fault = Fault.NONE
    _demand(receipt.status is ReceiptStatus.UNKNOWN, f"half of a write was {receipt}")
    await bench.settled()
    live = await bench.live(intent.post)
    _demand(live in {intent.pre, intent.post}, f"half of a write left {live}")
    await bench.done(intent)
    _demand(await bench.live(intent.post) == intent.post, "sent again, it is not live")
    await bench.done(await bench.intent(intent.pre))


async def _lost_answer(bench: _Bench) -> None:
    for fault in (Fault.MUTE_WRITES, Fault.CUT_WRITE_ANSWERS):
        intent = await bench.intent(bench.target.change)
        bench.wire.fault = fault
        receipt = await bench.apply(intent, within_s=_SHORT_S)
        bench.wire.fault = Fault.NONE
        _demand(receipt.status is ReceiptStatus.UNKNOWN, f"with {fault} a write was {receipt}")
        world = await bench.settled()
        _demand(await bench.live(intent.post) == intent.post, f"with {fault} it did not land")
        await bench.done(intent)  # sent again, it is known to have landed and changes nothing
        _demand((await bench.stamp()) == _stamp(world, bench.actuator), "the repeat wrote again")
        await bench.done(await bench.intent(intent.pre))


async def _unreadable(bench: _Bench) -> None:
    for fault in (Fault.BABBLE_READS, Fault.LOSE_READS):
        bench.wire.fault = fault
        await _demand_unreadable(bench, bench.actuator, fault)
    nobody = bench.target.make("http://127.0.0.1:1")  # port 1 is reserved; nothing listens
    intent = replace(await _on_good_wire(bench), actuator=nobody.name)
    await _demand_unreadable(bench, nobody, "nobody there")
    receipt = await _Bench(bench.target, nobody, bench.wire).apply(intent)
    _demand(receipt.status is ReceiptStatus.NOT_APPLIED, f"with nobody there a write was {receipt}")
    await nobody.close()


async def _on_good_wire(bench: _Bench) -> Intent:
    bench.wire.fault = Fault.NONE
    return await bench.intent(bench.target.change)


async def _demand_unreadable(bench: _Bench, actuator: Actuator, what: str) -> None:
    started = time.monotonic()
    try:
        world = await actuator.read(bench.target.deployment, _now())
    except ActuatorError:
        took_s = time.monotonic() - started
        limit_s = bench.target.read_within_s + _SLACK_S
        _demand(took_s <= limit_s, f"with {what} a reading took {took_s:.1f} s")
        return
    raise AssertionError(f"with {what} it read {world}")


CHECKS: Final = (
    _reading,
    _one_first,
    _apply_repeat_undo,
    _conflict,
    _claim_and_fence,
    _foreign_write,
    _refusals,
    _lost_request,
    _half_a_request,
    _lost_answer,
    _unreadable,
)


def _stamp(world: Snapshot, actuator: Actuator) -> Stamp:
    stamp = world.stamp(actuator.name)
    if stamp is None:
        raise AssertionError(f"the snapshot has no stamp of {actuator.name!r}")
    return stamp


def _step(name: str, can: Capabilities) -> float | None:
    """Return the smallest step of a lever, None if it declares none."""
    fits = (step for own, step in can.granularity if name == own or _within(name, own))
    return next(fits, None)


def _within(name: str, prefix: str) -> bool:
    return prefix.endswith(".") and name.startswith(prefix)


def _is_conflict(receipt: Receipt) -> bool:
    return receipt.status is ReceiptStatus.NOT_APPLIED and receipt.conflict


def _demand(kept: bool, sentence: str) -> None:  # noqa: FBT001 - reads as assert
    if not kept:
        raise AssertionError(sentence)


def _now() -> TimeNs:
    return TimeNs(time.time_ns())
