"""A controller as a generator of effects: the real protocol and guard behind a tiny shell.

Between any two effects the driver may crash it (all but the journal is lost) or pause it.
"""

from collections.abc import Callable, Generator
from typing import Any

from homeostat.base.intent import ActionState
from homeostat.base.policy import KillLevel
from homeostat.loop import protocol
from homeostat.loop.comparing import is_compared
from homeostat.loop.protocol import (
    AskGuard,
    ClaimTarget,
    Demand,
    EffectSeen,
    KillThrown,
    News,
    ReadWorldAgain,
    SendWrite,
    Tick,
    TookOver,
    WorldSeen,
    WroteReceipt,
)
from protocol_sim.journal import Process
from protocol_sim.memory import Entry
from protocol_sim.options import TIMING
from protocol_sim.shell import Seat, guard
from protocol_sim.world import World

Effects = Generator[tuple[Callable[..., Any], tuple[Any, ...]], Any, None]
READS_PER_NEWS = 3


class Deposed(Exception):  # noqa: N818 - not an error: somebody else leads now
    """The journal refused our epoch, or what it holds is no longer known."""


def sleep(_: int) -> None:
    """Wait; the driver reads the number of ticks from the effect itself."""


def controller(world: World, process: Process) -> Effects:
    """Yield effects for ever: take the lease, recover, work until deposed."""
    while True:
        epoch = yield (world.acquire, (process,))
        if epoch is None:
            yield (sleep, (4,))
            continue
        records = yield (world.open_journal, (process, epoch))
        if records is None:
            yield (sleep, (4,))
            continue
        seats = [Seat(name=n, record=records.get(n)) for n in world.targets]
        try:
            yield from _lead(world, process, seats, epoch)
        except Deposed:
            yield (sleep, (4,))


def _lead(world: World, process: Process, seats: list[Seat], epoch: int) -> Effects:
    for seat in seats:
        if seat.record is not None:
            yield from _feed(world, process, seat, epoch, TookOver(epoch=epoch))
    while (yield (world.renew, (process, epoch))):
        for seat in seats:
            yield from _cycle(world, process, seat, epoch)
        yield (sleep, (1,))


def _cycle(world: World, process: Process, seat: Seat, epoch: int) -> Effects:
    again = "single_flight" in world.options.broken and world.chance.rng.random() < 0.05
    if seat.record is None or seat.record.state.is_terminal or again:
        yield from _consider(world, process, seat, epoch)
        return
    for receipt in (yield (world.receipts, (process, seat.name))):
        yield from _feed(world, process, seat, epoch, WroteReceipt(receipt=receipt))
    kill = yield (world.read_kill, ())
    if kill is not seat.kill:
        seat.kill = kill
        yield from _feed(world, process, seat, epoch, KillThrown(level=kill))
    for news in (yield (world.person, (process, seat.record))):
        yield from _feed(world, process, seat, epoch, news)
    seat.snapshot = yield (world.read, (process, seat.name))
    yield from _feed(world, process, seat, epoch, WorldSeen(world=seat.snapshot))
    if seat.record.state is ActionState.VERIFYING and is_compared(seat.record):
        for news in (yield (world.compared, (seat.record,))):
            yield from _feed(world, process, seat, epoch, news)
    elif seat.record.state is ActionState.VERIFYING:
        seen = yield (world.effect, (seat.record,))
        yield from _feed(world, process, seat, epoch, EffectSeen(effect=seen))
    yield from _feed(world, process, seat, epoch, Tick())


def _consider(world: World, process: Process, seat: Seat, epoch: int) -> Effects:
    wishes = 0.5 if world.true_kill is KillLevel.OFF and world.room(seat.name) else 0.05
    if world.quiet or world.chance.rng.random() > wishes:
        return
    action = world.wish(seat.name)
    seat.snapshot = yield (world.read, (process, seat.name))
    now = world.time(process)
    seat.record = protocol.propose(
        action, id=world.next_id(), deployment=seat.name, incident_id="", epoch=epoch, now=now
    )
    entry = Entry(None, seat.record, None, now, seat.snapshot)
    if not (yield (world.append, (process, epoch, entry))):
        raise Deposed
    yield from _feed(world, process, seat, epoch, Tick())


def _feed(world: World, process: Process, seat: Seat, epoch: int, news: News) -> Effects:
    queue, reads = [news], 0
    broken = world.options.broken
    while queue and seat.record is not None:
        before, now, news = seat.record, world.time(process), queue.pop(0)
        after, demands = protocol.advance(before, news, now, world=seat.snapshot, timing=TIMING)
        if "act_first" in broken:
            yield from _writes(world, process, demands)
        if after is not before and after != before:
            entry = Entry(before, after, news, now, seat.snapshot)
            if not (yield (world.append, (process, epoch, entry))):
                raise Deposed
        seat.record = after
        if "act_first" not in broken:
            yield from _writes(world, process, demands)
        for demand in demands:
            match demand:
                case AskGuard():
                    answer = yield (guard, (world, process, seat, demand))
                    queue.append(answer)
                case ReadWorldAgain() if reads < READS_PER_NEWS:
                    reads += 1
                    seat.snapshot = yield (world.read, (process, seat.name))
                    queue.append(WorldSeen(world=seat.snapshot))
                case ClaimTarget(epoch=claimed):
                    yield (world.claim, (seat.name, claimed))
                case _:
                    pass  # pages and questions go to people


def _writes(world: World, process: Process, demands: tuple[Demand, ...]) -> Effects:
    for demand in demands:
        if isinstance(demand, SendWrite) and world.time(process) <= demand.intent.deadline:
            yield (world.send, (process, demand.intent))
