"""The action protocol of `retrain`: what moves no lever and cannot be taken back.

The states and their table are those of every action. What differs: the write goes to a trainer,
once, under one key; a lost answer is resolved by asking the trainer what it knows of that key, and
the order is never sent a second time; and nothing is settled or verified here, because asking
changes nothing that is served. Two people have said yes before, or nothing is sent.
"""

from dataclasses import replace

from homeostat.base.errors import ProtocolError
from homeostat.base.intent import ActionRecord, ActionState, Intent, Receipt, ReceiptStatus
from homeostat.base.policy import KillLevel
from homeostat.base.training import TrainingPhase, TrainingSight
from homeostat.loop import protocol_forward
from homeostat.loop.protocol_moves import Context, Step, end, enter, overdue, readback_wait
from homeostat.loop.protocol_values import (
    Abort,
    AskTrainer,
    GuardAllowed,
    GuardNeedsApproval,
    KillThrown,
    LookAtTrainer,
    News,
    Page,
    Tick,
    TookOver,
    TrainingFound,
    WroteReceipt,
)

_BEFORE = frozenset({ActionState.PROPOSED, ActionState.AWAITING_APPROVAL})
_HAS_IT = frozenset({
    TrainingPhase.TAKEN,
    TrainingPhase.RUNNING,
    TrainingPhase.MADE,
    TrainingPhase.FAILED,
})


def advance(record: ActionRecord, news: News, ctx: Context) -> Step:
    """Take one piece of news; see `loop.protocol.advance`.

    Raises:
        ProtocolError: The transition is not in the table, or the epoch goes backwards.
    """
    match news:
        case Abort(reason=reason):
            return _stop(record, ctx, reason)
        case KillThrown(level=level):
            return _kill(record, level, ctx)
        case TookOver(epoch=epoch):
            return _take_over(record, epoch, ctx)
        case _ if record.state is ActionState.PROPOSED:
            return protocol_forward.proposed(record, _never_unasked(news, ctx), ctx)
        case GuardAllowed() | GuardNeedsApproval() if _is_approved(record, ctx):
            return _send(record, news, ctx)
        case _ if record.state is ActionState.AWAITING_APPROVAL:
            return protocol_forward.awaiting_approval(record, news, ctx)
        case _:
            return _in_flight(record, news, ctx)


def _in_flight(record: ActionRecord, news: News, ctx: Context) -> Step:
    if record.state is ActionState.INTENT:
        return _sent(record, news, ctx)
    return _looked_for(record, news, ctx)


def _never_unasked(news: News, ctx: Context) -> News:
    """Return the guard's yes as a question: whatever is granted, this never runs by itself."""
    if isinstance(news, GuardAllowed):
        return GuardNeedsApproval(ttl_ns=ctx.timing.approval_ttl_ns)
    return news


def _is_approved(record: ActionRecord, ctx: Context) -> bool:
    waiting = record.state is ActionState.AWAITING_APPROVAL
    return waiting and record.approved_by != "" and not overdue(record, ctx)


def _send(record: ActionRecord, news: News, ctx: Context) -> Step:
    wait_ns = ctx.timing.receipt_deadline_ns
    begun = enter(record, ActionState.INTENT, ctx, wait_ns=wait_ns)
    seen_at = news.evidence_at if isinstance(news, GuardAllowed) else None
    write = Intent(
        id=protocol_forward.forward_id(record),
        action_id=record.id,
        deployment=record.deployment,
        actuator=record.action.actuator,
        epoch=record.epoch,
        stage=0,
        pre=(),
        post=(),
        token=None,
        evidence_at=seen_at if seen_at is not None else ctx.now,
        deadline=ctx.after(wait_ns),
    )
    return replace(begun, intent=write, in_flight=True), (AskTrainer(intent=write),)


def _sent(record: ActionRecord, news: News, ctx: Context) -> Step:
    match news:
        case WroteReceipt(receipt=receipt) if protocol_forward.answers(record, receipt):
            return _answered(record, receipt, ctx)
        case Tick() if overdue(record, ctx):
            return _unknown(record, ctx, "no receipt before the deadline")
        case _:
            return record, ()


def _answered(record: ActionRecord, receipt: Receipt, ctx: Context) -> Step:
    match receipt.status:
        case ReceiptStatus.DONE:
            return _taken(record, ctx)
        case ReceiptStatus.NOT_APPLIED:
            why = f"the trainer did not take it: {receipt.detail or 'no reason given'}"
            return end(replace(record, in_flight=False), ActionState.ABANDONED, ctx, why)
        case ReceiptStatus.UNKNOWN if record.state is ActionState.READBACK:
            return record, ()
        case ReceiptStatus.UNKNOWN:
            return _unknown(record, ctx, receipt.detail or "the order's fate is not known")


def _unknown(record: ActionRecord, ctx: Context, why: str) -> Step:
    wait_ns = readback_wait(record, ctx)
    back = enter(record, ActionState.READBACK, ctx, wait_ns=wait_ns, reason=why)
    return back, (_look(ctx),)


def _looked_for(record: ActionRecord, news: News, ctx: Context) -> Step:
    """READBACK: only the trainer can tell. Silence and nonsense prove nothing."""
    match news:
        case WroteReceipt(receipt=receipt) if protocol_forward.answers(record, receipt):
            return _answered(record, receipt, ctx)
        case TrainingFound(sight=sight) if sight.phase in _HAS_IT:
            return _taken(record, ctx)
        case TrainingFound(sight=sight) if _never_came(record, sight, ctx):
            why = "the order was lost on its way; the trainer never had it"
            return end(replace(record, in_flight=False), ActionState.ABANDONED, ctx, why)
        case Tick() if overdue(record, ctx):
            why = f"{record.reason}; nobody can tell whether the trainer has it"
            return end(record, ActionState.ABANDONED, ctx, why, Page(text=why))
        case Tick():
            return record, (_look(ctx),)
        case _:
            return record, ()


def _never_came(record: ActionRecord, sight: TrainingSight, ctx: Context) -> bool:
    """Return whether an order is known to be dead: absent after all that may delay a request."""
    if sight.phase is not TrainingPhase.ABSENT or record.intent is None:
        return False
    return sight.at >= record.intent.deadline + ctx.timing.quiesce_ns


def _taken(record: ActionRecord, ctx: Context) -> Step:
    """The trainer has the order: what comes of it is told by its lineage, not here."""
    done = enter(replace(record, in_flight=False), ActionState.APPLIED, ctx, wait_ns=0)
    done = enter(done, ActionState.SETTLING, ctx, wait_ns=0)
    why = "the trainer has the order; a version has to prove itself as a canary"
    return end(done, ActionState.SUCCEEDED_UNPROVEN, ctx, why)


def _look(ctx: Context) -> LookAtTrainer:
    return LookAtTrainer(deadline=ctx.after(ctx.timing.receipt_deadline_ns))


def _stop(record: ActionRecord, ctx: Context, why: str) -> Step:
    """Stop what has not been sent; what has been cannot be taken back."""
    if record.state in _BEFORE:
        return end(record, ActionState.ABANDONED, ctx, why)
    return record, ()


def _kill(record: ActionRecord, level: KillLevel, ctx: Context) -> Step:
    if level is KillLevel.OFF:
        return record, ()
    if record.state is ActionState.INTENT:
        return _unknown(record, ctx, f"kill switch: {level}")
    return _stop(record, ctx, f"kill switch: {level}")


def _take_over(record: ActionRecord, epoch: int, ctx: Context) -> Step:
    if epoch < record.epoch:
        raise ProtocolError(
            f"action {record.id} belongs to epoch {record.epoch}; epoch {epoch} is older"
        )
    owned = replace(record, epoch=epoch)
    if record.state is ActionState.PROPOSED:
        why = "the controller that proposed it is gone"
        return end(owned, ActionState.ABANDONED, ctx, why)
    if owned.intent is None or not owned.in_flight:
        return owned, ()
    # The deadline was said by another controller's clock, which may have been behind ours.
    due = max(owned.intent.deadline, ctx.after(ctx.timing.receipt_deadline_ns))
    owned = replace(owned, intent=replace(owned.intent, deadline=due))
    return _unknown(owned, ctx, "taken over with the order in flight")
