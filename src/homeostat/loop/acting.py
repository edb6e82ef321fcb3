"""Drives one action record: feeds news to the protocol and turns its demands into commands.

The guard is asked again right before every write, with what is known at that moment; what it says
goes back into the protocol in the same step, so that nothing can change in between.
"""

from dataclasses import replace

from homeostat.base.actions import Action, ActionKind, barred
from homeostat.base.decisions import Effect, Notice, Outcome, Urgency
from homeostat.base.events import (
    AskTraining,
    Claim,
    Command,
    ReadWorld,
    Record,
    Tell,
    Write,
)
from homeostat.base.guard import Allow, Deny, GuardAnswer, NeedApproval, PastAction
from homeostat.base.intent import ActionRecord, ActionState, Proof
from homeostat.base.own_values import ended
from homeostat.base.policy import KillLevel, Managed
from homeostat.base.state import LoopState
from homeostat.base.units import HOUR, SECOND, TimeNs
from homeostat.loop import memory, training
from homeostat.loop.parts import LoopParts
from homeostat.loop.protocol import (
    AskGuard,
    AskPerson,
    AskTrainer,
    ClaimTarget,
    Demand,
    GuardAllowed,
    GuardDenied,
    GuardNeedsApproval,
    LeverDemand,
    LookAtTrainer,
    News,
    Page,
    ReadWorldAgain,
    SendWrite,
    Tick,
    Timing,
    advance,
    propose,
    timing_for,
)
from homeostat.loop.protocol_values import SAID_NO

Stepped = tuple[LoopState, tuple[Command, ...]]

# A deployment where an undo failed three times is left alone until a person sets its mode anew.
UNTIL_A_PERSON_NS = 10 * 365 * 24 * HOUR
# So many restarts of one replica within an hour are a crash loop (Kubernetes backs off after 5).
REPEATS = 5
# How an action's end counts for learning and for the guards' counters.
_EFFECT_OF_END = {
    ActionState.SUCCEEDED: Effect.HELPED,
    ActionState.SUCCEEDED_UNPROVEN: Effect.NO_CHANGE,
    ActionState.ROLLED_BACK: Effect.HARMED,
    ActionState.STUCK: Effect.UNKNOWN,
    ActionState.FOREIGN: Effect.UNKNOWN,
}


def begin(
    parts: LoopParts,
    state: LoopState,
    action: Action,
    *,
    decision_id: str,
    incident_id: str,
    now: TimeNs,
    undoes: str = "",
    harmed: bool = False,
) -> Stepped:
    """Start an action: PROPOSED, and at once the guard's answer.

    Args:
        parts: The stages.
        state: Without an action in flight.
        action: What is done.
        decision_id: Its id.
        incident_id: The incident it answers, empty for a person's request.
        now: The time.
        undoes: The finished action that it takes back, else empty.
        harmed: That action was found to do harm.
    """
    record = propose(
        action,
        id=decision_id,
        deployment=state.managed.name,
        incident_id=incident_id,
        epoch=state.epoch,
        now=now,
    )
    state = replace(
        state, record=replace(record, undoes=undoes, harmed=harmed), helped_ticks=0, harmed_ticks=0
    )
    return drive(parts, state, Tick(), now)


def drive(parts: LoopParts, state: LoopState, news: News, now: TimeNs) -> Stepped:
    """Feed one piece of news to the action in flight and carry out what it demands."""
    commands: list[Command] = []
    queue: list[News] = [news]
    stopped = state.kill is KillLevel.NOTHING
    limits = replace(timing_for(state.managed), stopped=stopped)
    while queue and state.record is not None:
        before = state.record
        record, demands = advance(before, queue.pop(0), now, world=state.world, timing=limits)
        state = replace(state, record=record)
        if record != before:
            commands.append(Record(fact=record))
        for demand in demands:
            answer, command = _met(parts, state, record, demand, now)
            if answer is not None:
                queue.append(answer)
            if isinstance(command, AskTraining):
                state, fact = training.opened(state, command.order, now)
                commands.append(fact)
            if command is not None:
                commands.append(command)
                state = _counted(state, record, command, now)
        if record.state.is_terminal:
            state, more = _finish(parts, state, record, now)
            commands.extend(more)
    return state, tuple(commands)


def no_longer_ours(state: LoopState, target: ActionRecord) -> str:
    """Return why what an action set is not live any more, as far as can be read; else empty."""
    if state.world is None:
        return "the deployment cannot be read"
    last = target.intent
    # A ramp may have ended at an earlier rung, and stayed there.
    set_by_us = target.action.change if last is None or last.undo else last.post
    for lever, value in set_by_us:
        if (now := state.world.lever(lever)) != value:
            said = "is not read any more" if now is None else f"is now {now}"
            return f"{lever} {said}, no longer what we set ({value})"
    lost = ended(target.first_pre, state.world)
    if lost is None:
        return "not every replica's own value of what it sets could be read"
    robbed = (f"{lever} is {value}, and setting it for all would end that" for lever, value in lost)
    return "; ".join(robbed)


def _changed_meanwhile(state: LoopState, record: ActionRecord) -> str:
    """Return why a person's undo may not be written now; a conflict may hide a foreign write."""
    target = next((done for done in state.finished if done.id == record.undoes), None)
    if target is None:
        return f"what it takes back ({record.undoes}) is not known any more"
    return no_longer_ours(state, target)


def _met(
    parts: LoopParts, state: LoopState, record: ActionRecord, demand: Demand, now: TimeNs
) -> tuple[News | None, Command | None]:
    if isinstance(demand, AskTrainer | LookAtTrainer):
        return None, training.demanded(state, record, demand, now)
    return _meet(parts, state, record, demand, now)


def _meet(
    parts: LoopParts, state: LoopState, record: ActionRecord, demand: LeverDemand, now: TimeNs
) -> tuple[News | None, Command | None]:
    match demand:
        case AskGuard(change=change, undo=back):
            wanted = replace(record.action, change=change)
            if record.undoes and not back and (problem := _changed_meanwhile(state, record)):
                return GuardDenied(reasons=(problem,)), None
            back = back or record.undoes != ""
            answer = parts.guard(wanted, memory.guard_state(state), now, undo=back)
            return _as_news(answer, record, state), None
        case SendWrite(intent=intent):
            return None, Write(intent=intent)
        case ReadWorldAgain(deadline=deadline):
            return None, ReadWorld(deployment=record.deployment, deadline=deadline)
        case ClaimTarget(actuator=actuator, epoch=epoch, deadline=deadline):
            return None, Claim(
                deployment=record.deployment, actuator=actuator, epoch=epoch, deadline=deadline
            )
        case AskPerson(expires_at=expires_at) if record.proof is Proof.ASKED:
            subject = record.action.subject
            title = f"{record.id}: may {subject} be promoted unproven?"
            if record.action.first:
                title = f"{record.id}: may all of {subject} have it, unproven?"
            left_s = (expires_at - now) / SECOND
            lines = (record.reason, f"without an answer within {left_s:.0f} s it goes back")
            return None, notice(state, record.id, title, Urgency.ASK, now, lines)
        case AskPerson():
            return None, None  # the question was told with the decision
        case Page(text=text):
            return None, notice(state, record.id, f"{record.id}: {text}", Urgency.PAGE, now)


def _as_news(answer: GuardAnswer, record: ActionRecord, state: LoopState) -> News:
    seen_at = state.evidence.at if state.evidence is not None else None
    match answer:
        case Allow():
            return GuardAllowed(evidence_at=seen_at)
        case Deny(reasons=reasons):
            return GuardDenied(reasons=reasons)
        case NeedApproval(ttl_ns=ttl_ns):
            return (
                GuardAllowed(evidence_at=seen_at)
                if record.approved_by
                else GuardNeedsApproval(ttl_ns=ttl_ns)
            )


def _counted(state: LoopState, record: ActionRecord, command: Command, now: TimeNs) -> LoopState:
    """Count an action when its first write leaves; ramp stages and undo are the same action."""
    if not isinstance(command, Write | AskTraining) or any(
        past.id == record.id for past in state.past
    ):
        return state
    action = record.action
    return memory.acted(
        state,
        PastAction(
            id=record.id,
            kind=action.kind,
            subject=action.subject,
            at=now,
            exempt=action.exempt,
            levers=tuple(lever for lever, _ in action.change),
        ),
    )


def _finish(
    parts: LoopParts, state: LoopState, record: ActionRecord, now: TimeNs
) -> tuple[LoopState, list[Command]]:
    reached = any(past.id == record.id for past in state.past)
    # What was sent and came to nothing, as a write that the target refuses each time, is a try too.
    effect = _EFFECT_OF_END.get(record.state, Effect.NO_CHANGE if reached else None)
    if record.blameless and record.state is ActionState.ROLLED_BACK:
        effect = Effect.NO_CHANGE
    if record.harmed and not record.undoes:
        effect = Effect.HARMED  # what cannot be taken back did harm all the same
    past = tuple(
        replace(action, effect=effect) if action.id == record.id else action
        for action in state.past
    )
    finished = (*state.finished, record)[-memory.FINISHED_KEPT :]
    state = replace(state, record=None, past=past, finished=finished)
    state = _left_alone(_barred(state, record), record, now)
    state, lineage = training.ended(state, record, now)
    if record.undoes and (not reached or record.state not in _EFFECT_OF_END):
        title = f"{record.id}, the undo of {record.undoes}, came to nothing: {record.state}"
        told = notice(state, record.undoes, title, Urgency.INFO, now, lines=(record.reason,))
        return state, [*lineage, told]
    if not reached:
        return state, [*lineage]
    after = parts.measure(state.evidence) if state.evidence is not None else ()
    outcome = Outcome(
        action_id=record.id,
        deployment=record.deployment,
        at=now,
        effect=effect or Effect.NO_CHANGE,
        before=state.before,
        after=after,
    )
    commands: list[Command] = [*lineage, Record(fact=outcome)]
    if effect is not Effect.HELPED and state.incident is not None:
        incident = replace(state.incident, tries=state.incident.tries + 1)
        tried = (*state.tried, (record.action.kind.value, record.action.subject))
        state = replace(state, incident=incident, tried=tried)
        commands.append(Record(fact=incident))
    title = f"{record.id} {record.action.kind} {record.action.subject}: {record.state}"
    urgency = Urgency.PAGE if record.state in _NEEDS_A_PERSON else Urgency.INFO
    commands.append(notice(state, record.id, title, urgency, now, lines=(record.reason,)))
    return state, [*commands, *_repeated(state, record, now)]


def _barred(state: LoopState, record: ActionRecord) -> LoopState:
    """Bar from this incident what a person has rejected or taken back: their no is an answer."""
    rejected = record.state is ActionState.DENIED and SAID_NO in record.reason
    taken_back = record.undoes != "" and record.state in _EFFECT_OF_END
    if state.incident is None or not (rejected or taken_back):
        return state
    return replace(state, tried=(*state.tried, barred(record.action)))


def _left_alone(state: LoopState, record: ActionRecord, now: TimeNs) -> LoopState:
    """Change nothing for a while after somebody else wrote, or for good where we are stuck."""
    pause_ns = alone_ns(record, state.managed, timing_for(state.managed), now)
    return replace(state, foreign_until=TimeNs(now + pause_ns)) if pause_ns else state


def alone_ns(record: ActionRecord, managed: Managed, timing: Timing, now: TimeNs) -> int:
    """Return for how long an action's end leaves its deployment alone; 0 where it need not.

    Args:
        record: The action, at its end.
        managed: Its deployment.
        timing: How long a write may be on its way.
        now: The time.
    """
    match record.state:
        case ActionState.FOREIGN:
            # Never fight: whoever wrote gets as long as twice the cooldown to finish.
            pause_ns = round(2 * managed.guard.cooldown_scrapes * managed.scrape_ns)
            if record.in_flight and record.intent is not None:
                # Ours may still be on its way: nothing new before it can no longer land, and every
                # reading that may be believed was taken after that.
                rest_ns = timing.quiesce_ns + timing.fresh_ns
                pause_ns = max(pause_ns, record.intent.deadline + rest_ns - now)
            return pause_ns
        case ActionState.STUCK:
            return UNTIL_A_PERSON_NS
        case _:
            return 0


def _repeated(state: LoopState, record: ActionRecord, now: TimeNs) -> tuple[Command, ...]:
    """Tell a person of a cure that is needed again and again, however often it helped."""
    action = record.action
    times = sum(
        now - past.at <= HOUR and (past.kind, past.subject) == (action.kind, action.subject)
        for past in state.past
    )
    if action.kind is not ActionKind.RESTART_REPLICA or times == 0 or times % REPEATS:
        return ()
    title = f"{action.subject} was restarted {times} times within an hour: it does not last"
    return (notice(state, f"{record.id}.repeated", title, Urgency.PAGE, now),)


_NEEDS_A_PERSON = frozenset({ActionState.STUCK, ActionState.FOREIGN})


def notice(
    state: LoopState,
    key: str,
    title: str,
    urgency: Urgency,
    now: TimeNs,
    lines: tuple[str, ...] = (),
) -> Tell:
    """Return what people are told of a deployment; empty lines are left out."""
    return Tell(
        notice=Notice(
            key=key,
            deployment=state.managed.name,
            at=now,
            urgency=urgency,
            title=title,
            lines=tuple(line for line in lines if line),
        )
    )
