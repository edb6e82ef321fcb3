"""Verification: has the change that is live helped, harmed, or can nobody see?

The verdict itself is the caller's; this decides what follows from it, and from its absence.
"""

from dataclasses import replace

from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.decisions import Effect
from homeostat.base.intent import ActionRecord, ActionState, Proof
from homeostat.base.units import TimeNs
from homeostat.base.world import Snapshot
from homeostat.loop.protocol_moves import (
    Context,
    Step,
    end,
    enter,
    foreign,
    overdue,
    read,
    stages,
    take_back,
)
from homeostat.loop.protocol_values import (
    AskPerson,
    EffectSeen,
    News,
    Proven,
    Tick,
    WorldSeen,
)
from homeostat.loop.protocol_world import Where, seen_since, where

# What stays when its effect cannot be seen: it adds capacity, protects what there is, or already is
# the way back to a verified version. Undoing those while blind would take capacity away, lift a
# limit in an overload or send traffic to what was found bad, which missing data may never justify
# (guard G0). A shift to the fallback pool is a way back as well.
STAYS_WHEN_BLIND = frozenset({
    ActionKind.SCALE_UP,
    ActionKind.RESIZE_UP,
    ActionKind.BATCH_UP,
    ActionKind.SHED_LOAD,
    ActionKind.DRAIN_REPLICA,
    ActionKind.ROLLBACK,
})


# What is set for a whole pool at once.
SETTINGS = frozenset({
    ActionKind.BATCH_UP,
    ActionKind.BATCH_DOWN,
    ActionKind.RESIZE_UP,
    ActionKind.RESIZE_DOWN,
})


def settling(record: ActionRecord, news: News, ctx: Context) -> Step:
    """SETTLING: metrics are not listened to yet; the levers are."""
    match news:
        case WorldSeen(world=world) if _taken_from_us(record, world):
            return foreign(record, ctx, "a lever of this change moved while it settled")
        case Tick() if overdue(record, ctx):
            return enter(record, ActionState.VERIFYING, ctx, wait_ns=ctx.timing.blind_ns), ()
        case _:
            return record, ()


def verifying(record: ActionRecord, news: News, ctx: Context) -> Step:
    """VERIFYING: help ends it or allows the next stage, harm takes it back, blindness is bounded.

    Blind until the first verdict: no verdict at all must not read as no harm.
    """
    match news:
        case WorldSeen(world=world) if _taken_from_us(record, world):
            return foreign(record, ctx, "a lever of this change moved while it was verified")
        case EffectSeen(effect=Effect.HELPED, why=why):
            return _helped(record, ctx, why)
        case EffectSeen(effect=Effect.HARMED):
            return take_back(record, ctx, "it harmed", harm=True)
        case EffectSeen(effect=Effect.UNKNOWN):
            return _tick(_blind(record, ctx), ctx)
        case EffectSeen(effect=Effect.NO_CHANGE, compared=True) if _leaves(record, ctx):
            return _undecided(record, ctx)
        case EffectSeen(effect=Effect.NO_CHANGE):
            return _tick(_sighted(record, ctx), ctx)
        case Tick():
            return _tick(record, ctx)
        case _:
            return _of_ramp(record, news, ctx)


def _of_ramp(record: ActionRecord, news: News, ctx: Context) -> Step:
    """What a compared ramp may be promoted on; a certificate is never taken for less."""
    match news:
        case Proven(proof=Proof.ASKED as proof, why=why) if _is_open(record):
            asked = replace(record, proof=proof, reason=why)
            return asked, (AskPerson(expires_at=ctx.after(ctx.timing.approval_ttl_ns)),)
        case Proven(proof=Proof.UNPROVEN | Proof.CERTIFIED as proof, why=why) if _is_open(record):
            return replace(record, proof=proof, reason=why), ()
        case _:
            return record, ()


def _taken_from_us(record: ActionRecord, world: Snapshot | None) -> bool:
    if record.intent is None or not seen_since(record, world):
        return False
    return where(record.intent, world) not in {Where.POST, Where.UNREADABLE}


def _is_compared(record: ActionRecord) -> bool:
    """Return whether the record's present rung is judged beside another pool; the last is not."""
    return record.action.beside != "" and record.stage + 1 < stages(record.action)


def _is_open(record: ActionRecord) -> bool:
    """Return whether the record may still be proven: it is compared, and is not certified yet."""
    return _is_compared(record) and record.proof is not Proof.CERTIFIED


def _may_promote(record: ActionRecord) -> bool:
    """Return whether a compared ramp may take its last rung: proven, or explicitly unproven."""
    return record.proof in {Proof.CERTIFIED, Proof.UNPROVEN}


def _may_go_on(record: ActionRecord, last: int) -> bool:
    """Return whether a compared ramp may take its next rung: none while a person is asked."""
    if record.stage + 1 == last:
        return _may_promote(record)
    return record.proof is not Proof.ASKED


def _helped(record: ActionRecord, ctx: Context, because: str) -> Step:
    last = stages(record.action) - 1
    if record.stage >= last and record.action.beside and record.proof is not Proof.CERTIFIED:
        why = f"no harm was seen, and how much worse it may be was not proven; {record.reason}"
        return end(record, ActionState.SUCCEEDED_UNPROVEN, ctx, why)
    if record.stage >= last:
        why = record.reason if record.action.beside else _help(record.action)
        return end(record, ActionState.SUCCEEDED, ctx, why)
    if record.action.beside and not _may_go_on(record, last):
        return _tick(_sighted(record, ctx), ctx)
    onward = replace(record, stage=record.stage + 1, attempt=0)
    wait_ns = ctx.timing.readback_deadline_ns
    onward = enter(onward, ActionState.INTENT, ctx, wait_ns=wait_ns, reason=because)
    return onward, (read(ctx),)


def _help(action: Action) -> str:
    # No replica had it first, so there was nothing to compare it with.
    told = "; judged by the time before it, not compared side by side"
    return f"it helped{told if action.kind in SETTINGS else ''}"


def _blind(record: ActionRecord, ctx: Context) -> ActionRecord:
    if record.blind_since is not None:
        return record
    return replace(record, blind_since=ctx.now, deadline=ctx.after(ctx.timing.blind_ns))


def _leaves(record: ActionRecord, ctx: Context) -> bool:
    """Return whether traffic is on its way to the fallback pool, and not all of it is there."""
    return _is_way_back(record.action, ctx) and record.stage + 1 < stages(record.action)


def _is_way_back(action: Action, ctx: Context) -> bool:
    """Return whether an action takes traffic to the fallback pool, and tries nothing new there."""
    to_fallback = action.kind is ActionKind.SHIFT_TRAFFIC and action.subject == ctx.timing.fallback
    return to_fallback and not action.beside


def _undecided(record: ActionRecord, ctx: Context) -> Step:
    """Neither pool is proven worse, and the one that is left misses its objectives.

    Going back would send people to what is known to serve them badly: the rung may last longer,
    and when its time is over it stays.
    """
    window_end = TimeNs(record.state_since + ctx.timing.leave_ns)
    if ctx.now >= window_end:
        why = "no harm was seen, and in time nothing was proven: it stays at this share"
        return end(record, ActionState.SUCCEEDED_UNPROVEN, ctx, why)
    if record.blind_since is None and record.deadline == window_end:
        return record, ()
    return replace(record, blind_since=None, deadline=window_end), ()


def _sighted(record: ActionRecord, ctx: Context) -> ActionRecord:
    window_ns = ctx.timing.ramp_ns if _is_compared(record) else ctx.timing.verify_ns
    window_end = TimeNs(record.state_since + window_ns)
    if record.blind_since is None and record.deadline == window_end:
        return record
    return replace(record, blind_since=None, deadline=window_end)


def _tick(record: ActionRecord, ctx: Context) -> Step:
    if not overdue(record, ctx):
        return record, ()
    last_stage = record.stage + 1 >= stages(record.action)
    if record.blind_since is not None:
        if _stays(record, ctx) or (last_stage and record.action.undo is not UndoKind.EXACT):
            return end(
                record,
                ActionState.SUCCEEDED_UNPROVEN,
                ctx,
                "its effect could not be seen; it stays",
            )
        return take_back(record, ctx, "its effect could not be seen")
    if last_stage:
        why = "neither help nor harm was seen in time"
        return end(record, ActionState.SUCCEEDED_UNPROVEN, ctx, why)
    return take_back(record, ctx, f"stage {record.stage} of the ramp showed no help in time")


def _stays(record: ActionRecord, ctx: Context) -> bool:
    action = record.action
    if action.beside and (not action.first or _is_compared(record)):
        return False  # something new, wherever it runs; a setting that all have is none any more
    return _is_way_back(action, ctx) or action.kind in STAYS_WHEN_BLIND
