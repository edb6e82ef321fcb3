"""The way forward: from a proposal to a change that is carried out.

Verification is `protocol_verify`, the way back `protocol_back`.

One handler per state; each answers the news it knows and stays put on all other.
"""

from dataclasses import replace

from homeostat.base import names
from homeostat.base.actions import ActionKind
from homeostat.base.intent import ActionRecord, ActionState, Intent, Receipt, ReceiptStatus
from homeostat.base.world import Levers, ReplicaState, Snapshot
from homeostat.loop.protocol_moves import (
    Context,
    Step,
    ask_forward,
    end,
    enter,
    foreign,
    give_up,
    overdue,
    probe,
    read,
    readback_wait,
    send,
    stage_change,
    take_back,
)
from homeostat.loop.protocol_values import (
    SAID_NO,
    Approved,
    AskPerson,
    GuardAllowed,
    GuardDenied,
    GuardNeedsApproval,
    News,
    Page,
    ReadWorldAgain,
    Rejected,
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
    seen_since,
    still_ours,
    untouched,
    values,
    where,
)


def proposed(record: ActionRecord, news: News, ctx: Context) -> Step:
    """PROPOSED: the guard's first answer decides."""
    match news:
        case GuardAllowed():
            return _begin(record, news, ctx)
        case GuardNeedsApproval(ttl_ns=ttl_ns):
            wait_ns = min(ttl_ns, ctx.timing.approval_ttl_ns)
            asked = enter(record, ActionState.AWAITING_APPROVAL, ctx, wait_ns=wait_ns)
            return asked, (AskPerson(expires_at=asked.deadline),)
        case GuardDenied(reasons=reasons):
            return end(record, ActionState.DENIED, ctx, "; ".join(reasons))
        case Tick() if overdue(record, ctx):
            return end(record, ActionState.ABANDONED, ctx, "the guard did not answer in time")
        case Tick():
            return record, (ask_forward(record),)
        case _:
            return record, ()


def awaiting_approval(record: ActionRecord, news: News, ctx: Context) -> Step:
    """AWAITING_APPROVAL: a yes only means that the guard is asked once more."""
    if overdue(record, ctx):
        return end(record, ActionState.EXPIRED, ctx, "nobody answered in time")
    match news:
        case Approved(by=by, people=people) if not record.approved_by:
            agreed = replace(record, approved_by=by or "someone", approvers=people)
            return agreed, (ask_forward(agreed),)
        case Rejected(by=by, why=why):
            return end(record, ActionState.DENIED, ctx, f"{by} {SAID_NO}: {why}".rstrip(": "))
        case GuardAllowed() | GuardNeedsApproval() if record.approved_by:
            return _begin(record, news, ctx)
        case GuardDenied(reasons=reasons):
            return end(record, ActionState.DENIED, ctx, "; ".join(reasons))
        case Tick() if record.approved_by:
            return record, (ask_forward(record),)
        case _:
            return record, ()


def intent(record: ActionRecord, news: News, ctx: Context) -> Step:
    """INTENT: before the write is sent, and until its receipt."""
    return _sent(record, news, ctx) if record.in_flight else _unsent(record, news, ctx)


def readback(record: ActionRecord, news: News, ctx: Context) -> Step:
    """READBACK: a write's fate is unknown; only the world can tell."""
    match news:
        case WroteReceipt(receipt=receipt) if answers(record, receipt):
            return _receipt(record, receipt, ctx)
        case WorldSeen(world=world):
            return _read_back(record, world, ctx)
        case Tick() if overdue(record, ctx):
            return take_back(record, ctx, "the write's fate could not be read back in time")
        case Tick():  # only time asks again: a reading that answered with the next would never rest
            return record, probe(record, ctx)
        case _:
            return record, ()


def applied(record: ActionRecord, news: News, ctx: Context) -> Step:
    """APPLIED: accepted; waits until it is carried out and read back."""
    match news:
        case WorldSeen(world=world) if seen_since(record, world):
            return _carried_out(record, world, ctx)
        case Tick() if overdue(record, ctx):
            return _late(record, ctx)
        case Tick():
            return record, (read(ctx),)
        case _:
            return record, ()


def _late(record: ActionRecord, ctx: Context) -> Step:
    """Take back what was not carried out in time, but no replica that may serve by now.

    Added replicas come one by one. To take all of them back because some are missing would take
    away, in the overload that asked for them, what came: it stays, unproven, and a person is told
    that the rest does not come. So does what cannot be seen: missing data take no capacity away.
    """
    why = "accepted, but not carried out in time"
    adds = record.action.kind is ActionKind.SCALE_UP and not record.undoes
    if not adds or _nothing_came(record, ctx):
        return take_back(record, ctx, why)
    reason = f"{why}; what came of it stays, the rest is still asked for: a person must look"
    return end(record, ActionState.SUCCEEDED_UNPROVEN, ctx, reason, Page(text=reason))


def _nothing_came(record: ActionRecord, ctx: Context) -> bool:
    """Return whether a fresh reading shows no more replicas ready than there were before."""
    write, world = record.intent, ctx.world
    if write is None or world is None or not is_fresh(world, ctx.now, ctx.timing):
        return False
    pool = names.bare(record.action.subject)
    before = dict(record.first_pre).get(names.lever_replicas(pool))
    ready = sum(one.pool == pool and one.state is ReplicaState.READY for one in world.replicas)
    return isinstance(before, int) and ready <= before


def answers(record: ActionRecord, receipt: Receipt) -> bool:
    """Return whether the receipt is for the record's write; those of older writes are history."""
    return record.intent is not None and receipt.intent_id == record.intent.id


def landed(record: ActionRecord, ctx: Context) -> Step:
    """The write is known to have landed: APPLIED."""
    known = enter(
        replace(record, in_flight=False),
        ActionState.APPLIED,
        ctx,
        wait_ns=ctx.timing.readiness_deadline_ns,
    )
    return known, (read(ctx),)


def unknown(record: ActionRecord, ctx: Context, why: str) -> Step:
    """The write's fate is not known: READBACK. Never a failure, never retried blindly."""
    wait_ns = readback_wait(record, ctx)
    back = enter(record, ActionState.READBACK, ctx, wait_ns=wait_ns, reason=why)
    return back, probe(back, ctx)


def _begin(record: ActionRecord, news: News, ctx: Context) -> Step:
    begun = enter(record, ActionState.INTENT, ctx, wait_ns=ctx.timing.readback_deadline_ns)
    return _try_send(begun, news, ctx)


def _unsent(record: ActionRecord, news: News, ctx: Context) -> Step:
    match news:
        case GuardNeedsApproval() if not record.approved_by:
            return give_up(record, ctx, "the guard now wants a person's approval")
        case GuardAllowed() | GuardNeedsApproval():
            after, demands = _try_send(record, news, ctx)
            # The guard answered about a reading just taken: the next one waits for the tick.
            return after, tuple(d for d in demands if not isinstance(d, ReadWorldAgain))
        case GuardDenied(reasons=reasons) if record.stage == 0:
            return give_up(record, ctx, "; ".join(reasons))
        case GuardDenied(reasons=reasons):  # a ramp may wait for its guards, until its deadline
            return replace(record, reason="; ".join(reasons)), ()
        case WorldSeen(world=world):
            return _world_before_write(record, world, ctx)
        case Tick() if overdue(record, ctx):
            return give_up(record, ctx, record.reason or "it could not be written in time")
        case Tick():
            return record, (read(ctx),)
        case _:
            return record, ()


def _sent(record: ActionRecord, news: News, ctx: Context) -> Step:
    match news:
        case WroteReceipt(receipt=receipt) if answers(record, receipt):
            return _receipt(record, receipt, ctx)
        case Tick() if overdue(record, ctx):
            return unknown(record, ctx, "no receipt before the deadline")
        case _:
            return record, ()


def _receipt(record: ActionRecord, receipt: Receipt, ctx: Context) -> Step:
    match receipt.status:
        case ReceiptStatus.DONE:
            return landed(record, ctx)
        case ReceiptStatus.NOT_APPLIED if receipt.conflict:
            return _next_attempt(record, ctx, receipt.detail or "the target had moved on")
        case ReceiptStatus.NOT_APPLIED:
            why = f"the target refused: {receipt.detail or 'no reason given'}"
            return give_up(replace(record, in_flight=False), ctx, why)
        case ReceiptStatus.UNKNOWN if record.state is ActionState.READBACK:
            return record, (read(ctx),)
        case ReceiptStatus.UNKNOWN:
            return unknown(record, ctx, receipt.detail or "the write's result is not known")


def _next_attempt(record: ActionRecord, ctx: Context, why: str) -> Step:
    """The write did not land and never will: read, ask the guard, write anew under a new id."""
    record = replace(record, in_flight=False, attempt=record.attempt + 1)
    if record.attempt >= ctx.timing.max_conflicts:
        return give_up(record, ctx, f"{why}; {record.attempt} attempts")
    wait_ns = ctx.timing.readback_deadline_ns
    again = enter(record, ActionState.INTENT, ctx, wait_ns=wait_ns, reason=why)
    return again, (read(ctx),)


def _read_back(record: ActionRecord, world: Snapshot | None, ctx: Context) -> Step:
    write = record.intent
    if write is None or world is None:
        return record, ()
    spot = where(write, world)
    if spot is Where.POST and landed_as_ours(write, world):
        return landed(record, ctx)
    if world.observed_at < record.state_since or spot in {Where.UNREADABLE, Where.PARTIAL}:
        return record, ()  # the next tick reads again
    if spot is not Where.PRE:
        return foreign(record, ctx, "the write's fate is unknown and the levers are not as before")
    if not untouched(write, world):
        return foreign(record, ctx, "the write's fate is unknown and the target was written since")
    if not cannot_land(write, world, ctx.timing):
        return record, ()
    return _next_attempt(record, ctx, "the write was lost")


def _world_before_write(record: ActionRecord, world: Snapshot | None, ctx: Context) -> Step:
    if world is None:
        return record, ()
    if not is_fresh(world, ctx.now, ctx.timing):
        return record, ()
    if _twin_landed(record, world):
        return landed(record, ctx)
    return record, (ask_forward(record),)


def _twin_landed(record: ActionRecord, world: Snapshot) -> bool:
    """Return whether a write told "conflict" is live after all: its duplicate came first."""
    last = record.intent
    if last is None or last.stage != record.stage or last.token is None:
        return False
    return landed_as_ours(last, world) and where(last, world) is Where.POST


def _try_send(record: ActionRecord, news: News, ctx: Context) -> Step:
    """Build the intent on a fresh reading and send it; the guard has just said yes."""
    world = ctx.world
    if world is None or not is_fresh(world, ctx.now, ctx.timing) or is_deposed(record, world):
        return record, (read(ctx),)
    stamp = world.stamp(record.action.actuator)
    post = stage_change(record.action, record.stage)
    pre = values(world, post)
    if stamp is None:
        return record, (read(ctx),)
    if pre is None:
        missing = ", ".join(name for name, _ in post if world.lever(name) is None)
        return give_up(record, ctx, f"{record.action.actuator} does not report {missing}")
    if record.stage > 0 and not _ramp_intact(record, world):
        return foreign(record, ctx, f"stage {record.stage} of the ramp found its lever moved")
    if pre == post:
        return give_up(record, ctx, "the levers already are what it would set")
    evidence_at = news.evidence_at if isinstance(news, GuardAllowed) else None
    write = Intent(
        id=forward_id(record),
        action_id=record.id,
        deployment=record.deployment,
        actuator=record.action.actuator,
        epoch=record.epoch,
        stage=record.stage,
        pre=pre,
        post=post,
        token=stamp.token,
        evidence_at=evidence_at if evidence_at is not None else world.observed_at,
        deadline=ctx.after(ctx.timing.receipt_deadline_ns),
        stamp=stamp.intent,
    )
    return send(replace(record, first_pre=_first_pre(record, pre)), write)


def _first_pre(record: ActionRecord, pre: Levers) -> Levers:
    """Return the pre-image before the first stage; a lever's own where a later stage adds it."""
    if record.stage == 0:
        return pre
    known = {name for name, _ in record.first_pre}
    more = tuple(pair for pair in pre if pair[0] not in known)
    return tuple(sorted((*record.first_pre, *more))) if more else record.first_pre


def forward_id(record: ActionRecord) -> str:
    """Return the id of the record's next forward write: never used for two writes."""
    return f"{record.id}.{record.stage}.{record.attempt}"


def _ramp_intact(record: ActionRecord, world: Snapshot) -> bool:
    last = record.intent
    if last is None or not still_ours(last, world):
        return False
    expected = Where.POST if last.stage < record.stage else Where.PRE
    return where(last, world) is expected


def _carried_out(record: ActionRecord, world: Snapshot | None, ctx: Context) -> Step:
    write = record.intent
    if write is None or world is None:
        return record, ()
    spot = where(write, world)
    if spot is Where.POST and write.token is not None and not landed_as_ours(write, world):
        # The target said "done" of what it lost, and somebody else wrote the same values.
        return foreign(record, ctx, "the levers are as this write wanted, but by another hand")
    if spot is Where.POST and not world.changing:
        settled = enter(record, ActionState.SETTLING, ctx, wait_ns=record.action.settle_ns)
        return settled, ()
    if spot is Where.OTHER or (spot is Where.PRE and not still_ours(write, world)):
        return foreign(record, ctx, "the levers were changed after this write landed")
    return record, ()  # still changing, partly live or not yet visible: wait for the deadline
