"""The way back: take a change back without ever reverting somebody else's.

Works from what the world shows, not from how ROLLING_BACK was entered: the forward write may have
landed, may be in flight, or may never land; the undo write is read back like any other.
"""

from dataclasses import dataclass, replace
from typing import Final

from homeostat.base.actions import ActionKind, UndoKind
from homeostat.base.intent import ActionRecord, ActionState, Intent, Receipt, ReceiptStatus
from homeostat.base.world import Snapshot
from homeostat.loop.protocol_moves import (
    Context,
    Step,
    end,
    enter,
    foreign,
    overdue,
    probe,
    read,
    readback_wait,
    send,
    still_apart,
    unproven_for_good,
)
from homeostat.loop.protocol_values import (
    AskGuard,
    Demand,
    GuardAllowed,
    GuardDenied,
    GuardNeedsApproval,
    News,
    Page,
    Tick,
    WorldSeen,
    WroteReceipt,
)
from homeostat.loop.protocol_world import (
    Where,
    cannot_land,
    is_deposed,
    is_fresh,
    landed_as_ours,
    still_ours,
    untouched,
    values,
    where,
)

_FLOOR: Final = "G2 floor"  # as that guard's reasons begin
_WAITS: Final = "it is to go back, and waits until the kill switch lets an undo through"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Undo:
    """The undo may be written now, on this record and this reading."""

    record: ActionRecord
    world: Snapshot


def rolling_back(record: ActionRecord, news: News, ctx: Context) -> Step:
    """ROLLING_BACK: read, ask the guard, write the pre-image, read back."""
    match news:
        case WroteReceipt(receipt=receipt) if _answers(record, receipt):
            return _receipt(record, receipt, ctx)
        case WorldSeen(world=world):
            return _ask(_look(record, world, ctx))
        # The guard exempts undo from approval, so a wish for one is no refusal.
        case GuardAllowed() | GuardNeedsApproval():
            plan = _look(record, ctx.world, ctx)
            return _send_undo(plan, news, ctx) if isinstance(plan, _Undo) else plan
        case GuardDenied(reasons=reasons):
            by_floor = all(reason.startswith(_FLOOR) for reason in reasons)
            text = "undo refused for the floor" if by_floor else "undo refused"
            text = f"{text}: {'; '.join(reasons)}"
            return replace(record, reason=text, floor_refused=by_floor), ()
        case Tick() if overdue(record, ctx):
            return _failed(record, ctx, record.reason or "it could not be taken back in time")
        case Tick():
            return record, _ask_again(record, ctx)
        case _:
            return record, ()


def undo_id(record: ActionRecord) -> str:
    """Return the id of the record's next undo write: never used for two writes."""
    return f"{record.id}.{record.stage}.{record.undo_attempts}.undo"


def _ask_again(record: ActionRecord, ctx: Context) -> tuple[Demand, ...]:
    """Return what a tick asks; only time asks again, never a reading for the next one."""
    write = record.intent
    if write is not None and write.undo and ctx.now < write.deadline:
        # Only late is lost: a claim before the deadline would fence out our own write.
        return (read(ctx),)
    return probe(record, ctx)


def _answers(record: ActionRecord, receipt: Receipt) -> bool:
    return record.in_flight and record.intent is not None and receipt.intent_id == record.intent.id


def _ask(plan: Step | _Undo) -> Step:
    if isinstance(plan, _Undo):
        return plan.record, (AskGuard(change=plan.record.first_pre, undo=True),)
    return plan


def _look(record: ActionRecord, world: Snapshot | None, ctx: Context) -> Step | _Undo:
    """Return what a reading allows: write the undo, end, or wait."""
    write = record.intent
    if write is None or world is None or world.observed_at < record.state_since:
        return record, ()
    spot = where(write, world)
    if spot is Where.UNREADABLE:
        return record, ()
    if spot is Where.OTHER:
        return foreign(record, ctx, "the levers are neither as before nor as this action set them")
    if write.undo:
        return _after_undo(record, write, spot, world, ctx)
    return _before_undo(record, write, spot, world, ctx)


def _before_undo(
    record: ActionRecord, write: Intent, spot: Where, world: Snapshot, ctx: Context
) -> Step | _Undo:
    lost_for_good = cannot_land(write, world, ctx.timing)
    if record.in_flight and spot is not Where.POST and not lost_for_good:
        return record, ()
    if spot is Where.PRE and write.stage == 0:
        return _nothing_live(record, write, world, ctx)
    ours = landed_as_ours(write, world) if spot is Where.POST else still_ours(write, world)
    if not ours:
        return foreign(record, ctx, "the live values are not this action's")
    record = replace(record, in_flight=False)
    if record.action.undo is not UndoKind.EXACT:
        waiting = world.changing or spot is Where.PARTIAL
        return (record, ()) if waiting else unproven_for_good(record, ctx, record.reason)
    if values(world, record.first_pre) == record.first_pre:
        return end(record, ActionState.ROLLED_BACK, ctx, f"{record.reason}; already as before")
    return _Undo(record=record, world=world)


def _nothing_live(record: ActionRecord, write: Intent, world: Snapshot, ctx: Context) -> Step:
    """The first stage's write is not live, and if it was in flight it cannot land any more."""
    if record.in_flight and not untouched(write, world):
        return foreign(record, ctx, "the write's fate is unknown and the target was written since")
    if record.in_flight or write.token is None:
        gone = replace(record, in_flight=False)
        return end(gone, ActionState.ROLLED_BACK, ctx, f"{record.reason}; nothing had landed")
    if not still_ours(write, world):
        return foreign(record, ctx, "the pre-image is live, but not by our hand")
    return record, ()  # stamped as ours and not shown: wait for the deadline


def _after_undo(
    record: ActionRecord, write: Intent, spot: Where, world: Snapshot, ctx: Context
) -> Step | _Undo:
    if not still_ours(write, world):
        return foreign(record, ctx, "someone wrote while this action was taken back")
    if spot is Where.POST:
        if world.changing:
            return record, ()
        back = replace(record, in_flight=False)
        return end(back, ActionState.ROLLED_BACK, ctx, record.reason)
    tried = write.id == undo_id(record)
    if record.in_flight and not cannot_land(write, world, ctx.timing):
        return record, ()
    if tried and not record.in_flight:
        return record, ()  # accepted and not shown yet: wait for the deadline
    if tried:
        record = replace(record, undo_attempts=record.undo_attempts + 1)
    record = replace(record, in_flight=False)
    if record.undo_attempts >= ctx.timing.max_undo:
        return _stuck(record, ctx, "the undo was lost")
    return _Undo(record=record, world=world)


def _send_undo(plan: _Undo, news: News, ctx: Context) -> Step:
    record, world = plan.record, plan.world
    stamp = world.stamp(record.action.actuator)
    pre = values(world, record.first_pre)
    stale = not is_fresh(world, ctx.now, ctx.timing) or is_deposed(record, world)
    if stamp is None or pre is None or stale:
        return record, ()
    evidence_at = news.evidence_at if isinstance(news, GuardAllowed) else None
    write = Intent(
        id=undo_id(record),
        action_id=record.id,
        deployment=record.deployment,
        actuator=record.action.actuator,
        epoch=record.epoch,
        stage=record.stage,
        pre=pre,
        post=record.first_pre,
        token=stamp.token,
        evidence_at=evidence_at if evidence_at is not None else world.observed_at,
        deadline=ctx.after(ctx.timing.receipt_deadline_ns),
        undo=True,
        stamp=stamp.intent,
    )
    # Entered anew, so that no reading older than this write can speak about it.
    again = enter(record, ActionState.ROLLING_BACK, ctx, wait_ns=0)
    return send(again, write)


def _receipt(record: ActionRecord, receipt: Receipt, ctx: Context) -> Step:
    write = record.intent
    match receipt.status:
        case ReceiptStatus.UNKNOWN:
            return record, probe(record, ctx)
        case ReceiptStatus.DONE:
            known = replace(record, in_flight=False)  # readings from before now are history
            wait_ns = ctx.timing.readiness_deadline_ns
            return enter(known, ActionState.ROLLING_BACK, ctx, wait_ns=wait_ns), (read(ctx),)
        case ReceiptStatus.NOT_APPLIED:
            known = replace(record, in_flight=False)
            if write is not None and write.undo:
                return _failed(known, ctx, f"undo not applied: {receipt.detail}".rstrip(": "))
            if record.stage == 0:
                why = f"{record.reason}; the write was refused"
                return end(known, ActionState.ROLLED_BACK, ctx, why)
            return known, (read(ctx),)


def _failed(record: ActionRecord, ctx: Context, why: str) -> Step:
    """Count one failed attempt; the last one pages and freezes the target."""
    if ctx.timing.stopped:
        return _held_back(record, ctx)
    record = replace(record, undo_attempts=record.undo_attempts + 1)
    if record.undo_attempts >= ctx.timing.max_undo:
        return _kept(record, ctx) if _kept_by_floor(record) else _stuck(record, ctx, why)
    again = enter(
        record, ActionState.ROLLING_BACK, ctx, wait_ns=readback_wait(record, ctx), reason=why
    )
    return again, probe(again, ctx)


def _held_back(record: ActionRecord, ctx: Context) -> Step:
    """Wait while nothing at all may be written, however long: whoever threw the switch decides."""
    told = () if record.held_back else (Page(text=f"{record.reason}; {_WAITS}"),)
    waits = replace(record, held_back=True)
    again = enter(waits, ActionState.ROLLING_BACK, ctx, wait_ns=readback_wait(waits, ctx))
    return again, (*probe(again, ctx), *told)


def _kept_by_floor(record: ActionRecord) -> bool:
    """Return whether capacity was added and only the floor kept it: no undo was ever written."""
    write = record.intent
    written = record.in_flight or write is None or write.undo
    added = record.action.kind is ActionKind.SCALE_UP
    return added and not written and record.floor_refused


def _kept(record: ActionRecord, ctx: Context) -> Step:
    """Keep added capacity that may not be taken away: nothing is stuck, and a person is told."""
    reason = f"{record.reason}; what it added stays: a person must look"
    return end(record, ActionState.SUCCEEDED_UNPROVEN, ctx, reason, Page(text=reason))


def _stuck(record: ActionRecord, ctx: Context, why: str) -> Step:
    reason = f"{why}; {record.undo_attempts} attempts to go back: a person must look"
    reason += still_apart(record)
    return end(record, ActionState.STUCK, ctx, reason, Page(text=reason))
