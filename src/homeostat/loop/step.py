"""`step(parts, state, event) -> (state, commands)`: one deployment, one event, no I/O.

Holds all judgement about what happens next; the shell journals the event before the call and the
commands before it carries them out. Replay feeds the same events and must get the same commands.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from homeostat.base.changed import changed
from homeostat.base.decisions import Effect, Notice, Urgency
from homeostat.base.events import (
    Approval,
    AutonomySet,
    CanaryRequested,
    Claim,
    ClockJumped,
    Command,
    Confirmed,
    Event,
    FeedbackReset,
    FleetView,
    Granted,
    Received,
    Reconfigured,
    Record,
    Rehearsed,
    Started,
    Tell,
    Ticked,
    TrainingSeen,
    UndoRequested,
    WorldRead,
)
from homeostat.base.evidence import Evidence, Incident
from homeostat.base.intent import ActionState, Proof
from homeostat.base.policy import Managed
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs
from homeostat.base.words import CalledNormal
from homeostat.loop import (
    accounting,
    acting,
    approving,
    asking,
    autonomous,
    comparing,
    deciding,
    ebbing,
    heeding,
    incidents,
    leaving,
    meddling,
    memory,
    normal,
    rehearsing,
    seat_outcome,
    seat_watch,
    straggling,
    telling,
    training_follow,
    undoing,
)
from homeostat.loop.parts import LoopParts
from homeostat.loop.protocol import (
    Abort,
    Approved,
    KillThrown,
    News,
    Rejected,
    Tick,
    TookOver,
    WorldSeen,
    WroteReceipt,
)

# Ticks on which an effect must be seen before it counts: one sliding window may straddle the
# action, two cannot both be luck; harm is given one more because undoing costs as well.
HELPED_TICKS = 2
HARMED_TICKS = 3
# After the wall clock jumped, observe only for this many scrapes: every age is suspect till then.
JUMP_SCRAPES = 5
CLAIM_DEADLINE_SCRAPES = 5
THE_FILE = "the file"  # who reconfigured, when it was the configuration file

Stepped = tuple[LoopState, tuple[Command, ...]]


def initial(managed: Managed) -> LoopState:
    """Return the state of a deployment that has no history."""
    return LoopState(managed=managed, epoch=0, fleet=FleetView())


def step(parts: LoopParts, state: LoopState, event: Event) -> Stepped:
    """Take one event and return the new state and what must be done.

    Args:
        parts: The stages, handed in by the wiring.
        state: The deployment's state.
        event: What happened; already journaled.

    Returns:
        The new state and the commands, in the order in which they are to be carried out.
    """
    handler = _HANDLERS[type(event)]
    after, commands = handler(parts, state, event)
    return approving.noted(state, after, event), commands


def _started(parts: LoopParts, state: LoopState, event: Started) -> Stepped:
    managed = event.managed
    if state.file_mode is managed.mode:
        # The file says what it said before: what a person set since then stays in force.
        managed = replace(managed, mode=state.managed.mode)
    file_mode = event.managed.mode
    state = replace(state, epoch=event.epoch, managed=managed, file_mode=file_mode)
    if not managed.acts and state.record is None:
        return state, ()  # a shadow writes nothing, not even its epoch
    claim = _claim(state, event.at)
    if state.record is None:
        return state, (claim,)
    state, commands = acting.drive(parts, state, TookOver(epoch=event.epoch), event.at)
    return state, (claim, *commands)


def _claim(state: LoopState, now: TimeNs) -> Claim:
    """Stamp on takeover: what an earlier controller left in the air cannot land after it."""
    managed = state.managed
    return Claim(
        deployment=managed.name,
        actuator=managed.scale_actuator,
        epoch=state.epoch,
        deadline=TimeNs(now + CLAIM_DEADLINE_SCRAPES * managed.scrape_ns),
    )


def _ticked(parts: LoopParts, state: LoopState, event: Ticked) -> Stepped:
    now = event.at
    killed = event.kill is not state.kill
    state, told = accounting.kept(parts, state, event.evidence, now)
    evidence = accounting.suspected(state, event.evidence)
    state = meddling.followed(state, evidence)
    evidence = meddling.suspected(state, evidence)
    state = straggling.followed(state, evidence)
    evidence = straggling.suspected(state, evidence)
    state, heard, heeded = heeding.heed(parts, state, evidence)
    streak, incident, calm, changes = incidents.follow(state, heard, now)
    incident, changes = ebbing.withheld(state, evidence, incident, changes, now)
    calm = 0 if evidence.suspicions else calm  # what was held back is no calm
    same = incident is not None and state.incident is not None and incident.id == state.incident.id
    opened = sum(1 for change, is_open in changes if is_open and change.opened_at == now)
    ebb = ebbing.followed(state, evidence, incident, now)
    came = ebbing.words(state, ebb)
    learnt = heeding.watched(parts, state, evidence, heeded, incident)
    known, before = telling.followed(state, event.evidence, evidence, incident), state
    state = memory.remember(
        changed(
            state,
            evidence=evidence,
            world=evidence.world,
            fleet=event.fleet,
            kill=event.kill,
            streak=streak,
            incident=incident,
            calm_ticks=calm,
            incidents=state.incidents + opened,
            feedback=ebbing.muted(learnt, ebb),
            ebb=ebb,
            telling=known,
            anew=None,
            tried=state.tried if same else (),
            held_because=state.held_because if same else (),
        ),
        now,
    )
    commands: tuple[Command, ...] = tuple(
        Record(fact=change, open=is_open) for change, is_open in changes
    )
    heard_of = telling.heard_of(before, state, changes, now)
    commands += (*_incident_notices(heard_of, now, came, ask=heeded is not None), *told)
    state = comparing.alike(parts, state, evidence, now)
    state = seat_watch.followed(parts, state, evidence)
    state, told = seat_outcome.follow(parts, state, evidence, now)
    commands += told
    if state.record is not None:
        state, more = _follow_action(parts, state, evidence, now, killed=killed)
        state, last = asking.resumed(parts, state, now)
        state, due = training_follow.follow(parts, state, now)
        return state, commands + more + last + due
    state, more = comparing.afterwards(parts, state, evidence, now)
    commands += more
    if state.record is None:
        state, more = deciding.consider(parts, state, now)
        commands += more
    state, more = asking.resumed(parts, state, now)
    state, due = training_follow.follow(parts, state, now)
    return state, commands + more + due


def _follow_action(
    parts: LoopParts, state: LoopState, evidence: Evidence, now: TimeNs, *, killed: bool
) -> Stepped:
    commands: tuple[Command, ...] = ()
    news: list[News] = [KillThrown(level=state.kill)] if killed else []
    world = evidence.world
    record = state.record
    if record is not None and world is not None and world.observed_at > record.state_since:
        news.append(WorldSeen(world=world))
    if comparing.is_compared(record):
        state, told = comparing.news(parts, state, evidence, now)
        news += told
    else:
        state, effect = _effect(parts, state, evidence)
        state, told = leaving.news(parts, state, evidence, now, effect)
        news += told
    outranked = training_follow.outranked(state)
    news += [] if outranked is None else [outranked]
    for item in (*news, Tick()):
        if state.record is not None:
            state, more = acting.drive(parts, state, item, now)
            commands += more
    return state, commands


def _effect(
    parts: LoopParts, state: LoopState, evidence: Evidence
) -> tuple[LoopState, Effect | None]:
    record = state.record
    if record is None or record.state is not ActionState.VERIFYING:
        if not state.helped_ticks and not state.harmed_ticks:
            return state, None
        return replace(state, helped_ticks=0, harmed_ticks=0), None
    seen = parts.judge(state.incident, state.before, evidence, state.managed)
    helped = state.helped_ticks + 1 if seen is Effect.HELPED else 0
    harmed = state.harmed_ticks + 1 if seen is Effect.HARMED else 0
    state = replace(state, helped_ticks=helped, harmed_ticks=harmed)
    if seen is Effect.HELPED and helped < HELPED_TICKS:
        return state, Effect.NO_CHANGE
    if seen is Effect.HARMED and harmed < HARMED_TICKS:
        return state, Effect.NO_CHANGE
    return state, seen


def _world_read(parts: LoopParts, state: LoopState, event: WorldRead) -> Stepped:
    state = replace(state, world=event.world)
    return _tell_record(parts, state, WorldSeen(world=event.world), event)


def _received(parts: LoopParts, state: LoopState, event: Received) -> Stepped:
    state, told = training_follow.marked(state, event)
    state, commands = _tell_record(parts, state, WroteReceipt(receipt=event.receipt), event)
    return state, told + commands


def _approval(parts: LoopParts, state: LoopState, event: Approval) -> Stepped:
    """Take a person's answer, if it is one; where it settles nothing the question stays open."""
    answer, record = approving.answer(state, event), state.record
    told = _tell(state, event.at, answer.words)
    still = (Record(fact=record),) if record is not None and record.id == event.decision_id else ()
    match answer.said:
        case approving.Said.REPEATED:
            return state, ()
        case approving.Said.REFUSED:
            return state, (*still, told)
        case approving.Said.COUNTED:
            return approving.counted(state, event), (*still, told)
        case approving.Said.CHANGED if record is not None and record.proof is Proof.ASKED:
            return approving.renewed(state), (*still, told)  # the ramp waits, no longer than before
        case approving.Said.CHANGED:
            state, commands = _tell_record(parts, state, Abort(reason=answer.words), event)
            return state, (*commands, told)
        case approving.Said.SETTLED:
            state = replace(state, fleet=event.fleet or state.fleet)
            yes = Approved(by=answer.by, people=answer.people)
            no = Rejected(by=event.by, why=event.why)
            return _tell_record(parts, state, yes if event.approved else no, event)


def _tell_record(
    parts: LoopParts, state: LoopState, news: News, event: WorldRead | Received | Approval
) -> Stepped:
    """Tell the action in flight; a switch that was thrown meanwhile is told first."""
    thrown = event.kill is not state.kill
    state = replace(state, kill=event.kill)
    commands: tuple[Command, ...] = ()
    for item in (KillThrown(level=event.kill), news) if thrown else (news,):
        if state.record is not None:
            state, more = acting.drive(parts, state, item, event.at)
            commands += more
    return state, commands


def _undo(parts: LoopParts, state: LoopState, event: UndoRequested) -> Stepped:
    return undoing.undo(parts, replace(state, kill=event.kill), event)


def _reconfigured(parts: LoopParts, state: LoopState, event: Reconfigured) -> Stepped:
    by_file = event.by == THE_FILE and event.managed.mode is not state.managed.mode
    file_mode = event.file_mode or (event.managed.mode if by_file else state.file_mode)
    proved = state.managed.guard.unproved != "" and event.managed.acts
    state = replace(state, managed=event.managed, file_mode=file_mode, held_because=())
    if event.by != THE_FILE:
        # Whoever sets the mode has looked at it.
        seat = seat_outcome.trusted_anew(parts.seat, state.seat, event.managed.adaptive)
        state = replace(state, foreign_until=None, seat=seat)
    title = f"configuration in force: mode {event.managed.mode}, set by {event.by}"
    told = _tell(state, event.at, title)
    # What was a shadow until its policy was proved has stamped nothing yet.
    return state, (told, _claim(state, event.at)) if proved else (told,)


def _clock_jumped(_: LoopParts, state: LoopState, event: ClockJumped) -> Stepped:
    until = TimeNs(event.at + JUMP_SCRAPES * state.managed.scrape_ns)
    state = replace(state, observe_until=until)
    title = f"the clock jumped by {event.by_ns / 1e9:.1f} s; observing only for a while"
    return state, (_tell(state, event.at, title),)


def _rehearsed(parts: LoopParts, state: LoopState, event: Rehearsed) -> Stepped:
    """Take the twin's answer, and decide at once what was waiting for it."""
    thrown = event.kill is not state.kill
    answered = rehearsing.answered(state, event)
    if answered is state:
        return state, ()
    state = replace(answered, kill=event.kill, fleet=event.fleet or state.fleet)
    if state.record is None:
        state, commands = deciding.consider(parts, state, event.at)
        state, more = asking.resumed(parts, state, event.at)
        return state, commands + more
    if not thrown:
        return state, ()
    return acting.drive(parts, state, KillThrown(level=event.kill), event.at)


def _tell(state: LoopState, now: TimeNs, title: str) -> Tell:
    notice = Notice(
        key=state.managed.name,
        deployment=state.managed.name,
        at=now,
        urgency=Urgency.INFO,
        title=title,
    )
    return Tell(notice=notice)


def _incident_notices(
    changes: tuple[tuple[Incident, bool], ...], now: TimeNs, came: tuple[str, ...], *, ask: bool
) -> tuple[Command, ...]:
    notices: list[Command] = []
    for incident, is_open in changes:
        if is_open and incident.confirmed_at == now:
            title, lines = f"{incident.family} suspected at {incident.subject}", incident.because
        elif not is_open and incident.confirmed_at is not None:
            lasted_s = (now - incident.opened_at) / 1e9
            title = f"{incident.family} at {incident.subject} is over after {lasted_s:.0f} s"
            asked = (heeding.question(incident),) if ask else ()
            lines = (*incident.because, *came, *asked)
        else:
            continue
        notice = Notice(
            key=incident.id,
            deployment=incident.deployment,
            at=now,
            urgency=Urgency.INFO,
            title=title,
            lines=lines,
        )
        notices.append(Tell(notice=notice))
    return tuple(notices)


# One handler per event type; a new event without one is a KeyError in the first test.
_HANDLERS: dict[type[Any], Callable[[LoopParts, LoopState, Any], Stepped]] = {
    Started: _started,
    Ticked: _ticked,
    WorldRead: _world_read,
    Received: _received,
    Approval: _approval,
    UndoRequested: _undo,
    CanaryRequested: asking.canary,
    Reconfigured: _reconfigured,
    ClockJumped: _clock_jumped,
    Rehearsed: _rehearsed,
    Granted: autonomous.granted,
    AutonomySet: autonomous.autonomy_set,
    Confirmed: heeding.confirmed,
    CalledNormal: normal.called,
    FeedbackReset: heeding.reset,
    TrainingSeen: training_follow.told,
}
