"""The moves every state shares: enter a state, end, read, claim, give up, take back.

Each returns the next record and what the caller must do; every change of state is checked against
the table here and nowhere else.
"""

from dataclasses import dataclass, replace

from homeostat.base.actions import Action, UndoKind
from homeostat.base.intent import ActionRecord, ActionState, Intent
from homeostat.base.units import TimeNs
from homeostat.base.world import Levers, Snapshot
from homeostat.loop import transitions
from homeostat.loop.protocol_values import (
    AskGuard,
    ClaimTarget,
    Demand,
    Page,
    ReadWorldAgain,
    SendWrite,
    Timing,
)

Step = tuple[ActionRecord, tuple[Demand, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every handler may look at besides the record and the news."""

    now: TimeNs
    world: Snapshot | None
    timing: Timing

    def after(self, wait_ns: int) -> TimeNs:
        """Return the time `wait_ns` from now."""
        return TimeNs(self.now + wait_ns)


def enter(
    record: ActionRecord, state: ActionState, ctx: Context, *, wait_ns: int, reason: str = ""
) -> ActionRecord:
    """Move to a state (or start it again) with a deadline.

    Raises:
        ProtocolError: The table has no such transition.
    """
    transitions.check(record.id, record.state, state)
    return replace(
        record,
        state=state,
        state_since=ctx.now,
        deadline=ctx.after(wait_ns),
        blind_since=ctx.now if state is ActionState.VERIFYING else None,
        reason=reason or record.reason,
    )


def end(
    record: ActionRecord, state: ActionState, ctx: Context, reason: str, *demands: Demand
) -> Step:
    """Move to a terminal state."""
    return enter(record, state, ctx, wait_ns=0, reason=reason), demands


def overdue(record: ActionRecord, ctx: Context) -> bool:
    """Return whether the state's deadline has passed."""
    return ctx.now >= record.deadline


def read(ctx: Context) -> ReadWorldAgain:
    """Return the demand to read the target once more."""
    return ReadWorldAgain(deadline=ctx.after(ctx.timing.receipt_deadline_ns))


def claim(record: ActionRecord, ctx: Context) -> ClaimTarget:
    """Return the demand to stamp the target with the record's epoch."""
    return ClaimTarget(
        actuator=record.action.actuator,
        epoch=record.epoch,
        deadline=ctx.after(ctx.timing.receipt_deadline_ns),
    )


def probe(record: ActionRecord, ctx: Context) -> tuple[Demand, ...]:
    """Return the demands that find out about a write in flight: fence it if possible, then read."""
    intent = record.intent
    if record.in_flight and intent is not None and intent.token is not None:
        return claim(record, ctx), read(ctx)
    return (read(ctx),)


def stages(action: Action) -> int:
    """Return how many writes the action makes."""
    return 2 if action.first else max(1, len(action.ramp))


def stage_change(action: Action, stage: int) -> Levers:
    """Return the absolute values that one stage sets.

    The last stage takes the value in `change`, so that it keeps the type a person wrote.
    """
    if stage >= stages(action) - 1:
        return action.change
    if action.first:
        return action.first
    return ((action.change[0][0], action.ramp[stage]),)


def send(record: ActionRecord, intent: Intent) -> Step:
    """Put an intent in flight; the record must be durable before the write is carried out."""
    held = replace(record, intent=intent, in_flight=True, deadline=intent.deadline)
    return held, (SendWrite(intent=intent),)


def ask_forward(record: ActionRecord) -> AskGuard:
    """Return the question whether the record's stage may be written."""
    return AskGuard(change=stage_change(record.action, record.stage), undo=False)


def readback_wait(record: ActionRecord, ctx: Context) -> int:
    """Return how long reading back may take: without compare-and-set, quiet comes first."""
    wait = ctx.timing.readback_deadline_ns
    intent = record.intent
    if record.in_flight and intent is not None and intent.token is None:
        wait += max(0, intent.deadline + ctx.timing.quiesce_ns - ctx.now)
    return wait


def give_up(record: ActionRecord, ctx: Context, why: str) -> Step:
    """End an action whose current stage is not live: nothing written, or go back."""
    if record.stage == 0 and not record.in_flight:
        return end(record, ActionState.ABANDONED, ctx, why)
    return take_back(record, ctx, why)


def take_back(record: ActionRecord, ctx: Context, why: str, *, harm: bool = False) -> Step:
    """Go back to the pre-image, or say so when there is no way back.

    What is compared with another pool is blamed for harm alone, not for what held it up. Harm is
    remembered whatever the end: what a restart did may end unproven, and was harm all the same.

    An action without an exact undo that is known to be live ends unproven and pages: what a
    restart did cannot be taken back, and nothing is stuck either.
    """
    if record.action.beside:
        record = replace(record, blameless=not harm)
    if harm:
        record = replace(record, harmed=True)
    known_live = record.state in {ActionState.SETTLING, ActionState.VERIFYING}
    if known_live and record.action.undo is not UndoKind.EXACT:
        return unproven_for_good(record, ctx, why)
    back = enter(
        record, ActionState.ROLLING_BACK, ctx, wait_ns=readback_wait(record, ctx), reason=why
    )
    return back, probe(back, ctx)


def unproven_for_good(record: ActionRecord, ctx: Context, why: str) -> Step:
    """End an action that is live, unwanted, and has nothing to write back."""
    reason = f"{why}; its undo is {record.action.undo}: left as it is"
    return end(record, ActionState.SUCCEEDED_UNPROVEN, ctx, reason, Page(text=reason))


def foreign(record: ActionRecord, ctx: Context, what: str) -> Step:
    """Stop because somebody else wrote: alert, never fight."""
    reason = f"{what}: someone else wrote; nothing more is done about it{still_apart(record)}"
    return end(record, ActionState.FOREIGN, ctx, reason, Page(text=reason))


def still_apart(record: ActionRecord) -> str:
    """Return which replicas an action may have left with values of their own, empty for none."""
    if not record.action.first or record.intent is None:
        return ""
    own = ", ".join(lever for lever, _ in record.action.first)
    return f"; {own} may still hold a value of its own: set it to 0"
