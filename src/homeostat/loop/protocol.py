"""The action protocol: one action from proposal to its end, as a sans-I/O state machine.

`advance` takes one record and one piece of news and returns the next record and what the caller
must do. It reads no clock and sends nothing. The caller makes the returned record durable before
it carries out any demand, asks the guard whenever told to, and never sends a write after its
deadline. States and exits are data (`loop.transitions`); why they are as they are is in
docs/explanation/action-protocol.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from homeostat.base.actions import Action, ActionKind
from homeostat.base.errors import ProtocolError
from homeostat.base.intent import ActionRecord, ActionState, Proof
from homeostat.base.policy import KillLevel
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Snapshot
from homeostat.loop import protocol_back, protocol_forward, protocol_training, protocol_verify
from homeostat.loop.protocol_moves import (
    Context,
    Step,
    claim,
    end,
    give_up,
    probe,
    read,
    readback_wait,
    take_back,
)
from homeostat.loop.protocol_values import (
    SAID_NO,
    Abort,
    Approved,
    AskGuard,
    AskPerson,
    AskTrainer,
    ClaimTarget,
    Demand,
    EffectSeen,
    GuardAllowed,
    GuardDenied,
    GuardNeedsApproval,
    KillThrown,
    LeverDemand,
    LookAtTrainer,
    News,
    Page,
    Proven,
    ReadWorldAgain,
    Rejected,
    SendWrite,
    Tick,
    Timing,
    TookOver,
    TrainingFound,
    WorldSeen,
    WroteReceipt,
    timing_for,
)

# A proposal is answered by the guard in the same step; one that is not is worth nothing later.
PROPOSAL_NS: Final = 5 * SECOND

_HANDLERS: Final[Mapping[ActionState, Callable[[ActionRecord, News, Context], Step]]] = (
    MappingProxyType({
        ActionState.PROPOSED: protocol_forward.proposed,
        ActionState.AWAITING_APPROVAL: protocol_forward.awaiting_approval,
        ActionState.INTENT: protocol_forward.intent,
        ActionState.READBACK: protocol_forward.readback,
        ActionState.APPLIED: protocol_forward.applied,
        ActionState.SETTLING: protocol_verify.settling,
        ActionState.VERIFYING: protocol_verify.verifying,
        ActionState.ROLLING_BACK: protocol_back.rolling_back,
    })
)


def propose(
    action: Action,
    *,
    id: str,  # noqa: A002 - the record's own word
    deployment: str,
    incident_id: str,
    epoch: int,
    now: TimeNs,
) -> ActionRecord:
    """Return the record of a new action; a `Tick` makes it ask the guard.

    Args:
        action: What is to be done; it must change at least one lever, or be a retrain.
        id: The decision's id, unique within the deployment's journal.
        deployment: The managed model's name.
        incident_id: The incident it answers, empty for an operator's own request.
        epoch: The epoch of the controller that proposes.
        now: The time.

    Raises:
        ProtocolError: The action writes nothing, or its ramp does not end at its change.
    """
    writes = bool(action.change) or action.kind is ActionKind.RETRAIN
    if action.is_passive or not writes or not action.actuator:
        raise ProtocolError(
            f"{action.kind} {action.subject} writes nothing; record a decision only"
        )
    if action.ramp and (len(action.change) != 1 or action.ramp[-1] != action.change[0][1]):
        raise ProtocolError(
            f"{action.kind} {action.subject}: the ramp {action.ramp} must change one lever and end "
            f"at the value in change {action.change}"
        )
    return ActionRecord(
        id=id,
        deployment=deployment,
        incident_id=incident_id,
        action=action,
        state=ActionState.PROPOSED,
        epoch=epoch,
        stage=0,
        attempt=0,
        undo_attempts=0,
        intent=None,
        first_pre=(),
        proposed_at=now,
        state_since=now,
        deadline=TimeNs(now + PROPOSAL_NS),
    )


def advance(
    record: ActionRecord, news: News, now: TimeNs, *, world: Snapshot | None, timing: Timing
) -> tuple[ActionRecord, tuple[Demand, ...]]:
    """Take one piece of news and return the next record and what must be done, in order.

    Args:
        record: The action as it stands; a terminal one is returned as it is.
        news: What was learnt.
        now: The time.
        world: The latest reading of the target, None if there is none. A write is built on it,
            so feed `WorldSeen` and pass the same reading here.
        timing: How long each state may last.

    Returns:
        The next record, to be made durable before any demand is carried out, and the demands.

    Raises:
        ProtocolError: The transition is not in the table, or the epoch goes backwards.
    """
    if record.state.is_terminal:
        return record, ()
    ctx = Context(now=now, world=world, timing=timing)
    if record.action.kind is ActionKind.RETRAIN:
        return protocol_training.advance(record, news, ctx)
    match news:
        case Abort():
            return _aborted(record, news, ctx)
        case KillThrown(level=level):
            return _kill(record, level, ctx)
        case TookOver(epoch=epoch):
            return _take_over(record, epoch, ctx)
        case Approved(by=by) if record.proof is Proof.ASKED:
            return _unproven(record, by), ()
        case Rejected(by=by, why=why) if record.proof is Proof.ASKED:
            return _abort(record, f"{by} {SAID_NO}: {why}".rstrip(": "), ctx)
        case _:
            return _HANDLERS[record.state](record, news, ctx)


def _aborted(record: ActionRecord, news: Abort, ctx: Context) -> Step:
    after, demands = _abort(record, news.reason, ctx)
    if after.state is record.state:
        return after, demands
    # What wrote nothing did no harm.
    harmed = not news.blameless and after.state is not ActionState.ABANDONED
    return replace(after, blameless=news.blameless, harmed=harmed or record.harmed), demands


def _abort(record: ActionRecord, reason: str, ctx: Context) -> Step:
    match record.state:
        case ActionState.ROLLING_BACK:
            return record, ()
        case ActionState.PROPOSED | ActionState.AWAITING_APPROVAL:
            return end(record, ActionState.ABANDONED, ctx, reason)
        case ActionState.INTENT:
            return give_up(record, ctx, reason)
        case _:
            return take_back(record, ctx, reason)


def _unproven(record: ActionRecord, by: str) -> ActionRecord:
    """Return a ramp that a person lets go on unproven; one that goes back is not asked about."""
    if record.state is ActionState.ROLLING_BACK:
        return record
    return replace(record, proof=Proof.UNPROVEN, approved_by=by or "someone")


def _kill(record: ActionRecord, level: KillLevel, ctx: Context) -> Step:
    """Stop what has written nothing; fence what is in flight; leave the rest to the guard."""
    if level is KillLevel.OFF:
        return record, ()
    unwritten = record.stage == 0 and not record.in_flight
    match record.state:
        case ActionState.PROPOSED | ActionState.AWAITING_APPROVAL:
            return end(record, ActionState.ABANDONED, ctx, f"kill switch: {level}")
        case ActionState.INTENT if unwritten:
            return end(record, ActionState.ABANDONED, ctx, f"kill switch: {level}")
        case ActionState.INTENT if record.in_flight:
            return protocol_forward.unknown(record, ctx, f"kill switch: {level}")
        case _:
            return record, probe(record, ctx) if record.in_flight else ()


def _take_over(record: ActionRecord, epoch: int, ctx: Context) -> Step:
    """Own the record under a new epoch; what may be in flight is read back before any write.

    Raises:
        ProtocolError: The epoch goes backwards.
    """
    if epoch < record.epoch:
        raise ProtocolError(
            f"action {record.id} belongs to epoch {record.epoch}; epoch {epoch} is older. "
            "A controller may only take over with an epoch higher than any before it"
        )
    record = _recounted(replace(record, epoch=epoch), ctx)
    match record.state:
        case ActionState.PROPOSED:
            return end(
                record, ActionState.ABANDONED, ctx, "the controller that proposed it is gone"
            )
        case ActionState.AWAITING_APPROVAL:
            return record, ()
        case ActionState.INTENT if record.in_flight:
            owned, demands = protocol_forward.unknown(record, ctx, "taken over with it in flight")
        case ActionState.VERIFYING:  # nobody watched meanwhile: blind until the next verdict
            wait = ctx.after(ctx.timing.blind_ns)
            owned = replace(record, blind_since=ctx.now, deadline=wait)
            demands = (read(ctx),)
        case ActionState.SETTLING:
            owned, demands = record, (read(ctx),)
        case _:
            wait_ns = readback_wait(record, ctx)
            owned = replace(record, deadline=TimeNs(max(record.deadline, ctx.after(wait_ns))))
            demands = (read(ctx),)
    return owned, (claim(owned, ctx), *(d for d in demands if not isinstance(d, ClaimTarget)))


def _recounted(record: ActionRecord, ctx: Context) -> ActionRecord:
    """Return the record with a write in flight that is due, at the latest, counted from now.

    Its deadline was said by another controller's clock, which may have been behind ours: without
    compare-and-set the quiet time would seem to be over while the write can still land.
    """
    intent = record.intent
    if not record.in_flight or intent is None or intent.token is not None:
        return record
    due = max(intent.deadline, ctx.after(ctx.timing.receipt_deadline_ns))
    return replace(record, intent=replace(intent, deadline=TimeNs(due)))


__all__ = [
    "PROPOSAL_NS",
    "Abort",
    "Approved",
    "AskGuard",
    "AskPerson",
    "AskTrainer",
    "ClaimTarget",
    "Demand",
    "EffectSeen",
    "GuardAllowed",
    "GuardDenied",
    "GuardNeedsApproval",
    "KillThrown",
    "LeverDemand",
    "LookAtTrainer",
    "News",
    "Page",
    "Proven",
    "ReadWorldAgain",
    "Rejected",
    "SendWrite",
    "Tick",
    "Timing",
    "TookOver",
    "TrainingFound",
    "WorldSeen",
    "WroteReceipt",
    "advance",
    "propose",
    "timing_for",
]
