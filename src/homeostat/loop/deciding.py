"""One decision: candidates, safe set, proposal, decision, and the first step of the protocol."""

from dataclasses import replace
from typing import Final

from homeostat.base.actions import Action, ActionKind, Proposal
from homeostat.base.decisions import Ask, DecisionRecord, Hold, Notice, Urgency
from homeostat.base.events import Command, Record, Tell
from homeostat.base.evidence import UNLIKE_ITSELF, Evidence, Family, Incident
from homeostat.base.family import only_foreseen
from homeostat.base.state import LoopState
from homeostat.base.units import MINUTE, TimeNs
from homeostat.loop import acting, heeding, memory, rehearsing, seat, telling, training
from homeostat.loop.parts import LoopParts

# An idle deployment says no more often than this why it is left as it is: that may last for weeks.
IDLE_NS: Final = 10 * MINUTE
_DIGITS = str.maketrans("", "", "0123456789.")

Stepped = tuple[LoopState, tuple[Command, ...]]


def consider(parts: LoopParts, state: LoopState, now: TimeNs) -> Stepped:
    """Decide, if there is something to decide about; else return the state as it is."""
    evidence, incident = state.evidence, state.incident
    if evidence is None or not evidence.ready:
        return state, ()
    if incident is not None and (incident.confirmed_at is None or not _still_there(state)):
        return state, ()
    if incident is not None and (heeding.only_told(state) or _only_unlike_itself(evidence)):
        return state, ()  # told, and watched: nobody is hurt and nothing says why
    drifts = incident is not None and incident.family is Family.DRIFT
    if drifts and training.underway(state) is not None:
        return state, ()  # what it needs was asked for, and people know
    if incident is None and state.calm_ticks < state.managed.guard.scale_in_scrapes:
        return state, ()
    seen = memory.guard_state(state)
    wanted, because = parts.candidates(incident, seen, state.tried)
    if not wanted:
        return state, ()
    safe_set = parts.permit(wanted, seen, now)
    proposal = rehearsing.at_once(state, parts.choose(wanted, safe_set, because), now)
    held = seat.holds_back(state, proposal, now)
    told: tuple[Command, ...] = ()
    if held is None:
        state, waiting = rehearsing.ask(state, wanted, proposal, now)
        if waiting is not None:
            return state, waiting
        state, proposal, told = seat.taken(parts, state, wanted, proposal, now)
    proposal = held or proposal
    decision = parts.decide(proposal, state.managed, now)
    if isinstance(decision, Hold):
        state, commands = _hold(parts, state, proposal, decision, now, heard=bool(told))
    else:
        state, commands = act(parts, state, proposal, decision.action, now)
    return state, (*told, *commands)


def _only_unlike_itself(evidence: Evidence) -> bool:
    """Return whether the objectives are met and nothing is suspected but by the score alone."""
    if evidence.slo_met is False or not evidence.suspicions:
        return False
    return evidence.suspicions[0].confidence <= UNLIKE_ITSELF


def _still_there(state: LoopState) -> bool:
    """An open incident is acted on only while it is suspected; afterwards it only has to close."""
    streak, incident = state.streak, state.incident
    if streak is None or incident is None or streak.unclear:
        return False
    if incident.family is Family.UNCLEAR and streak.missed:
        return True  # explanations that take turns are none: what is asked for is a person
    return (streak.family, streak.subject) == (incident.family, incident.subject)


def _record(
    parts: LoopParts, state: LoopState, proposal: Proposal, now: TimeNs
) -> tuple[LoopState, DecisionRecord]:
    state = replace(state, decisions=state.decisions + 1)
    record = parts.record(
        proposal,
        parts.decide(proposal, state.managed, now),
        decision_id=f"d-{state.decisions:04d}",
        incident_id=state.incident.id if state.incident is not None else "",
        managed=state.managed,
        now=now,
    )
    return state, record


def _hold(
    parts: LoopParts,
    state: LoopState,
    proposal: Proposal,
    decision: Hold,
    now: TimeNs,
    *,
    heard: bool,
) -> Stepped:
    """Record a hold once per reason, and tell a person once per incident when that is all.

    Without an incident too: why nothing was made smaller is a decision that people ask about. And
    always where learning was heard: its draw is made from the decision's number, which no other
    decision may have.
    """
    incident = state.incident
    if incident is None:
        return _idle(parts, state, proposal, decision, now, heard=heard)
    gist = _gist(decision)
    commands: tuple[Command, ...] = ()
    if heard or gist != state.held_because:
        state, record = _record(parts, state, proposal, now)
        state = replace(state, held_because=gist)
        commands = (Record(fact=record),)
    if incident.escalated or not _must_tell(state, incident, proposal.action, now):
        return state, commands
    if telling.is_held(state.telling, incident):
        return state, commands  # charts alone, and the fleet does not tell: nobody is woken
    told = replace(incident, escalated=True)
    notice = Notice(
        key=incident.id,
        deployment=incident.deployment,
        at=now,
        urgency=Urgency.PAGE,
        title=f"{incident.family} at {incident.subject}: a person is needed",
        lines=(*incident.because, *decision.because),
    )
    state = replace(state, incident=told)
    return state, (*commands, Record(fact=told), Tell(notice=notice))


def _idle(
    parts: LoopParts,
    state: LoopState,
    proposal: Proposal,
    decision: Hold,
    now: TimeNs,
    *,
    heard: bool,
) -> Stepped:
    gist, last = _gist(decision), state.idle_at
    recent = last is not None and 0 <= now - last < IDLE_NS
    if not heard and (recent or gist == state.held_because):
        return state, ()
    state, record = _record(parts, state, proposal, now)
    return replace(state, held_because=gist, idle_at=now), (Record(fact=record),)


def _gist(decision: Hold) -> tuple[str, ...]:
    """Return why it is held, without the numbers: a repeat is not recorded again."""
    return tuple(sentence.translate(_DIGITS) for sentence in decision.because)


def _must_tell(state: LoopState, incident: Incident, action: Action, now: TimeNs) -> bool:
    """Escalation was chosen, or the incident has been held for as long as blindness may last."""
    if action.kind is ActionKind.ESCALATE:
        return True
    if only_foreseen(incident.family, incident.subject):
        return False  # when what was foreseen comes, it is felt, and told of as what it is
    waited_ns = now - (incident.confirmed_at or now)
    patience_ns = round(state.managed.guard.blind_scrapes * state.managed.scrape_ns)
    return waited_ns > patience_ns


def act(
    parts: LoopParts, state: LoopState, proposal: Proposal, action: Action, now: TimeNs
) -> Stepped:
    """Record the decision, ask if it must be asked, and take the first step of the protocol."""
    state, record = _record(parts, state, proposal, now)
    before = parts.measure(state.evidence) if state.evidence is not None else ()
    state = replace(state, before=before, held_because=())
    state, commands = acting.begin(
        parts, state, action, decision_id=record.id, incident_id=record.incident_id, now=now
    )
    return state, (Record(fact=record), *_question(record), *commands)


def _question(record: DecisionRecord) -> tuple[Command, ...]:
    if not isinstance(record.decision, Ask):
        return ()
    action = record.decision.action
    notice = Notice(
        key=record.id,
        deployment=record.deployment,
        at=record.at,
        urgency=Urgency.ASK,
        title=f"{record.id}: may I {action.kind} {action.subject}?",
        lines=record.decision.because,
    )
    return (Tell(notice=notice),)
