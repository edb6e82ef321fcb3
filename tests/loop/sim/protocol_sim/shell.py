"""The simulated shell's way to the real guard: what it knows, what it asks, what is kept of it."""

from dataclasses import dataclass, replace

from homeostat.base.actions import Action
from homeostat.base.events import FleetView
from homeostat.base.guard import Allow, Deny, GuardAnswer, GuardState, NeedApproval
from homeostat.base.intent import ActionRecord, ActionState
from homeostat.base.policy import KillLevel
from homeostat.base.units import TimeNs
from homeostat.base.world import Scalar, Snapshot
from homeostat.loop import acting
from homeostat.loop.protocol import AskGuard, GuardAllowed, GuardDenied, GuardNeedsApproval, News
from homeostat.safety.guard import guard as real_guard
from protocol_sim import invariants_write as promised
from protocol_sim.journal import Process
from protocol_sim.memory import Asked, Permit
from protocol_sim.options import FALLBACK_REPLICAS, REPLICAS, TICK, TIMING
from protocol_sim.senses import Look, watched
from protocol_sim.world import World

WAITING = frozenset({ActionState.PROPOSED, ActionState.AWAITING_APPROVAL})
A_PERSON_COMES_NS = 100 * TICK
AGAIN = 0.1  # of the refusals are asked again with less to see


@dataclass(slots=True)
class Seat:
    """One deployment's place in a controller's memory."""

    name: str
    record: ActionRecord | None = None
    snapshot: Snapshot | None = None
    kill: KillLevel = KillLevel.OFF


def guard(world: World, process: Process, seat: Seat, demand: AskGuard) -> News:
    """Ask the real guard, as the loop does, and note the yes that a write may rest on."""
    record = seat.record
    if record is None or seat.snapshot is None:
        return GuardDenied(reasons=("G0 sight: the world was not read",))
    action = _wanted(record.action, demand)
    look = world.look(process, seat.snapshot)
    state = guard_state(world, process, seat, look)
    answer = real_guard(action, state, world.time(process), undo=demand.undo)
    asked = Asked(action, demand.undo, answer, look, seat.snapshot)
    promised.i12_blind_takes_nothing(world.memory, asked)
    if isinstance(answer, Deny) and world.chance.rng.random() < AGAIN:
        _with_less(world, process, seat, asked)
    return _news(world, process, seat, demand, answer, look)


def guard_state(world: World, process: Process, seat: Seat, look: Look) -> GuardState:
    """Return everything the guard sees for one deployment."""
    live = None if seat.snapshot is None else seat.snapshot.lever(REPLICAS)
    return GuardState(
        managed=world.managed[seat.name],
        evidence=look.evidence,
        world=seat.snapshot,
        fleet=_fleet(world, seat),
        kill=world.read_kill(),
        in_flight=seat.record,
        past=tuple(world.journal.past.get(seat.name, ())),
        tries=0,
        peak_replicas=_whole(live),
        observe_until=process.observe_until,
        foreign_until=_left_alone(world, seat.name),
        loads=watched(world.now + process.skew),
    )


def _wanted(action: Action, demand: AskGuard) -> Action:
    return replace(action, change=demand.change)


def _left_alone(world: World, name: str) -> TimeNs | None:
    """Return how long the loop leaves a deployment alone, after the way its last action ended.

    Where it is stuck a person looks at it, after a while.
    """
    last = world.journal.ended.get(name)
    if last is None or last[0].state not in {ActionState.FOREIGN, ActionState.STUCK}:
        return None
    record, at = last
    if record.state is ActionState.STUCK:
        return TimeNs(at + A_PERSON_COMES_NS)
    return TimeNs(at + acting.alone_ns(record, world.managed[name], TIMING, at))


def _fleet(world: World, seat: Seat) -> FleetView:
    others = [r for name, r in world.journal.durable.items() if name != seat.name]
    busy = [r for r in others if not r.state.is_terminal and r.state not in WAITING]
    replicas = sum(int(t.levers[REPLICAS]) + FALLBACK_REPLICAS for t in world.targets.values())
    return FleetView(
        targets=len(world.targets),
        targets_changing=len(busy),
        replicas=replicas,
        replicas_changing=len(busy),
    )


def _news(
    world: World, process: Process, seat: Seat, demand: AskGuard, answer: GuardAnswer, look: Look
) -> News:
    if isinstance(answer, Deny):
        return GuardDenied(reasons=answer.reasons)
    record = seat.record
    assert record is not None
    budget = world.managed[seat.name].guard.budget_usd_per_hour
    world.memory.permits[process.incarnation, seat.name] = Permit(
        at=world.time(process),
        change=demand.change,
        undo=demand.undo,
        kill=world.true_kill,
        step=process.steps,
        budget_usd=float("inf") if budget is None or record.approved_by else budget,
        action=record.action,
        world_at=world.time(process) if seat.snapshot is None else seat.snapshot.observed_at,
        world=seat.snapshot,
    )
    if isinstance(answer, NeedApproval) and not record.approved_by:
        return GuardNeedsApproval(ttl_ns=min(answer.ttl_ns, 15 * TICK))
    return GuardAllowed(evidence_at=None if look.evidence is None else look.evidence.at)


def _with_less(world: World, process: Process, seat: Seat, asked: Asked) -> None:
    """Ask what was refused once more, with part of the readings gone (I12)."""
    told, rng = asked.look.evidence, world.chance.rng
    if told is None:
        return

    def again(share: float) -> GuardAnswer | None:
        kept = tuple(one for one in told.readings if rng.random() >= share)
        less = replace(told, readings=kept)
        state = guard_state(world, process, seat, Look(less, asked.look.fault))
        answer = real_guard(asked.action, state, world.time(process), undo=asked.undo)
        return answer if isinstance(answer, Allow) else None

    promised.i12_monotone(world.memory, asked, again)


def _whole(value: Scalar | None) -> int:
    """Return a count, 0 where what was read is none."""
    return value if isinstance(value, int) else 0
