"""A controller as a generator of effects: the real protocol, a tiny shell, a simple guard.

Between any two effects the driver may crash it (all but the journal is lost) or pause it.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from homeostat.base.intent import ActionRecord, ActionState
from homeostat.base.policy import KillLevel
from homeostat.base.units import TimeNs
from homeostat.base.world import Scalar, Snapshot
from homeostat.loop import protocol
from homeostat.loop.protocol import (
    AskGuard,
    ClaimTarget,
    Demand,
    EffectSeen,
    GuardAllowed,
    GuardDenied,
    GuardNeedsApproval,
    KillThrown,
    News,
    ReadWorldAgain,
    SendWrite,
    Tick,
    TookOver,
    WorldSeen,
    WroteReceipt,
)
from protocol_sim.checkers import Permit
from protocol_sim.options import BOUNDS, MAX_BUSY, REPLICA_STEP, TIMING
from protocol_sim.world import Process, World

Effects = Generator[tuple[Callable[..., Any], tuple[Any, ...]], Any, None]
READS_PER_NEWS = 3


class Deposed(Exception):  # noqa: N818 - not an error: somebody else leads now
    """The journal refused our epoch."""


@dataclass(slots=True)
class Seat:
    """One deployment's place in a controller's memory."""

    name: str
    record: ActionRecord | None = None
    snapshot: Snapshot | None = None
    kill: KillLevel = KillLevel.OFF


def sleep(_: int) -> None:
    """Wait; the driver reads the number of ticks from the effect itself."""


def controller(world: World, process: Process) -> Effects:
    """Yield effects for ever: take the lease, recover, work until deposed."""
    while True:
        epoch = yield (world.acquire, (process.seat,))
        if epoch is None:
            yield (sleep, (4,))
            continue
        records = yield (world.open_journal, (epoch,))
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
    while (yield (world.renew, (process.seat, epoch))):
        for seat in seats:
            yield from _cycle(world, process, seat, epoch)
        yield (sleep, (1,))


def _cycle(world: World, process: Process, seat: Seat, epoch: int) -> Effects:
    again = "single_flight" in world.options.broken and world.rng.random() < 0.05
    if seat.record is None or seat.record.state.is_terminal or again:
        yield from _consider(world, process, seat, epoch)
        return
    for receipt in (yield (world.receipts, (process, seat.name))):
        yield from _feed(world, process, seat, epoch, WroteReceipt(receipt=receipt))
    kill = yield (world.read_kill, ())
    if kill is not seat.kill:
        seat.kill = kill
        yield from _feed(world, process, seat, epoch, KillThrown(level=kill))
    news = yield (world.person, (process, seat.record))
    if news is not None:
        yield from _feed(world, process, seat, epoch, news)
    seat.snapshot = yield (world.read, (seat.name,))
    yield from _feed(world, process, seat, epoch, WorldSeen(world=seat.snapshot))
    if seat.record.state is ActionState.VERIFYING:
        seen = yield (world.effect, (seat.record,))
        yield from _feed(world, process, seat, epoch, EffectSeen(effect=seen))
    yield from _feed(world, process, seat, epoch, Tick())


def _consider(world: World, process: Process, seat: Seat, epoch: int) -> Effects:
    wishes = 0.5 if world.kill is KillLevel.OFF else 0.05
    if world.quiet or world.rng.random() > wishes:
        return
    action = world.wish(seat.name)
    seat.snapshot = yield (world.read, (seat.name,))
    seat.record = protocol.propose(
        action, id=world.next_id(), deployment=seat.name, incident_id="", epoch=epoch,
        now=TimeNs(world.now),
    )  # fmt: skip
    if not (yield (world.append, (process, epoch, seat.record))):
        raise Deposed
    yield from _feed(world, process, seat, epoch, Tick())


def _feed(world: World, process: Process, seat: Seat, epoch: int, news: News) -> Effects:
    queue, reads = [news], 0
    broken = world.options.broken
    while queue and seat.record is not None:
        before = seat.record
        after, demands = protocol.advance(
            before, queue.pop(0), TimeNs(world.now), world=seat.snapshot, timing=TIMING
        )
        if "act_first" in broken:
            yield from _writes(world, process, demands)
        if after is not before and after != before:
            kept = yield (world.append, (process, epoch, after))
            if not kept:
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
                    seat.snapshot = yield (world.read, (seat.name,))
                    queue.append(WorldSeen(world=seat.snapshot))
                case ClaimTarget(epoch=claimed):
                    yield (world.claim, (seat.name, claimed))
                case _:
                    pass  # pages and questions go to people


def _writes(world: World, process: Process, demands: tuple[Demand, ...]) -> Effects:
    for demand in demands:
        if isinstance(demand, SendWrite) and world.now <= demand.intent.deadline:
            yield (world.send, (process, demand.intent))


def guard(world: World, process: Process, seat: Seat, demand: AskGuard) -> News:
    """Answer as a small guard kernel would: kill, freshness, bounds, step, blast radius."""
    reasons = _reasons(world, seat, demand)
    if reasons:
        return GuardDenied(reasons=reasons)
    permit = Permit(
        at=world.now,
        change=demand.change,
        undo=demand.undo,
        kill=world.kill,
        step=process.steps,
    )
    world.check.on_guard(process.incarnation, seat.name, permit)
    if not demand.undo and world.rng.random() < 0.15:
        return GuardNeedsApproval(ttl_ns=15)
    return GuardAllowed()


def _reasons(world: World, seat: Seat, demand: AskGuard) -> tuple[str, ...]:
    broken, snapshot = world.options.broken, seat.snapshot
    kill = KillLevel.OFF if "guard_kill" in broken else world.kill
    if demand.undo and "guard_kill_undo" in broken:
        return ()
    if kill is KillLevel.NOTHING or (kill is KillLevel.NO_NEW and not demand.undo):
        return (f"G11 kill switch {kill}",)
    if demand.undo:
        return ()
    if snapshot is None:
        return ("G0 the world was not read",)
    if world.now - snapshot.observed_at > TIMING.fresh_ns and "guard_fresh" not in broken:
        return ("G0 the reading is old",)
    out = [r for name, value in demand.change for r in _limits(snapshot, name, value, broken)]
    others = [record for name, record in world.durable.items() if name != seat.name]
    busy = sum(1 for r in others if r.intent is not None and not r.state.is_terminal)
    if busy >= MAX_BUSY and "guard_blast" not in broken:
        out.append("G5 other deployments are changing")
    return tuple(out)


def _limits(snapshot: Snapshot, name: str, value: Scalar, broken: frozenset[str]) -> list[str]:
    low, high = BOUNDS[name]
    live = snapshot.lever(name)
    out = []
    if not low <= float(value) <= high and "guard_bounds" not in broken:
        out.append(f"G2 {name} outside {low}..{high}")
    too_far = live is not None and abs(float(value) - float(live)) > REPLICA_STEP
    if name == "replicas" and too_far and "guard_step" not in broken:
        out.append("G2 step")
    return out
