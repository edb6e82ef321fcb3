"""Takes a finished action back, at a person's request or because its promotion did harm."""

from dataclasses import replace

from homeostat.base.actions import UndoKind
from homeostat.base.decisions import Ask, DecisionRecord, Effect, Outcome, Urgency
from homeostat.base.events import Command, Record, UndoRequested
from homeostat.base.guard import NeedApproval
from homeostat.base.intent import ActionRecord, ActionState
from homeostat.base.state import LoopState
from homeostat.loop import acting, memory
from homeostat.loop.parts import LoopParts
from homeostat.loop.protocol import Abort


def undo(parts: LoopParts, state: LoopState, event: UndoRequested) -> acting.Stepped:
    """Take a finished action back, if the live value is still ours.

    Args:
        parts: The stages.
        state: With the finished action among those that are remembered.
        event: A person's request, or the watch's after a promotion, which has found harm: the harm
            is on record even where nothing can be written.
    """
    flying = state.record
    if flying is not None and flying.id == event.decision_id and flying.action.beside:
        stop = Abort(reason=f"{event.by} took it back: {event.why}".rstrip(": "), blameless=True)
        return acting.drive(parts, state, stop, event.at)
    target = next((done for done in state.finished if done.id == event.decision_id), None)
    problem = _cannot_undo(state, target)
    state, found = _harm_found(state, target, event)
    if problem or target is None:
        lost = (
            () if target is None or not event.harm else (Record(fact=replace(target, harmed=True)),)
        )
        title = f"{event.decision_id} cannot be taken back: {problem or 'it is not known'}"
        told = acting.notice(state, event.decision_id, title, Urgency.INFO, event.at)
        return state, (*found, *lost, told)
    # What some replicas had first is taken back in one write: it is a trial of nothing.
    beside = "" if target.action.first else target.action.beside
    action = replace(
        target.action, change=target.first_pre, ramp=(), undo=UndoKind.EXACT, beside=beside
    )
    state = replace(state, decisions=state.decisions + 1)
    state, commands = acting.begin(
        parts,
        state,
        action,
        decision_id=f"d-{state.decisions:04d}",
        incident_id=target.incident_id,
        now=event.at,
        undoes=target.id,
        harmed=event.harm,
    )
    return state, (*found, *_question_of_undo(parts, state, event), *commands)


def _harm_found(
    state: LoopState, target: ActionRecord | None, event: UndoRequested
) -> tuple[LoopState, tuple[Command, ...]]:
    """Return the state and the outcome of what was thought a help and was found to do harm."""
    if target is None or not event.harm:
        return state, ()
    past = tuple(
        replace(one, effect=Effect.HARMED) if one.id == target.id else one for one in state.past
    )
    outcome = Outcome(
        action_id=target.id,
        deployment=target.deployment,
        at=event.at,
        effect=Effect.HARMED,
        before=(),
        after=(),
    )
    return replace(state, past=past), (Record(fact=outcome),)


def _question_of_undo(
    parts: LoopParts, state: LoopState, event: UndoRequested
) -> tuple[Command, ...]:
    """Return what people are asked where a rule of the policy wants a yes to an undo as well.

    No built-in guard does. Other questions come with their decision; an undo has none before.
    """
    record = state.record
    if record is None or record.state is not ActionState.AWAITING_APPROVAL:
        return ()
    answer = parts.guard(record.action, memory.guard_state(state), event.at, undo=True)
    wanted = f"{event.by} wants {record.undoes} taken back: {event.why}".rstrip(": ")
    because = (wanted, *(answer.reasons if isinstance(answer, NeedApproval) else ()))
    change = ", ".join(f"{lever}={value}" for lever, value in record.action.change)
    decision = DecisionRecord(
        id=record.id,
        deployment=record.deployment,
        incident_id=record.incident_id,
        at=event.at,
        decision=Ask(action=record.action, because=because, expires_at=record.deadline),
        considered=(),
        allowed=(f"{record.action.kind} {record.action.subject} ({change})",),
        refused=(),
        policy_digest=state.managed.policy_digest,
        mode=state.managed.mode.value,
    )
    title = f"{record.id}: may I take back {record.undoes} ({change})?"
    asked = acting.notice(state, record.id, title, Urgency.ASK, event.at, because)
    return (Record(fact=decision), asked)


def _cannot_undo(state: LoopState, target: ActionRecord | None) -> str:
    if target is None:
        return "no finished action has that id"
    if state.record is not None:
        return f"{state.record.id} is in flight; one at a time"
    if target.action.undo is not UndoKind.EXACT or not target.first_pre:
        return f"its undo is {target.action.undo}"
    return acting.no_longer_ours(state, target)
