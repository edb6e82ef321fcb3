"""What a person asks for: a canary's ramp, and that the one in flight be taken back.

Nothing is done because somebody asked: the guards judge the ramp as they judge any action, and
refuse it with the same words. Where there is a twin, it is asked first, for as long as it may take
to answer: meanwhile everything else is decided as ever, and an incident ends the wish.
"""

from dataclasses import replace

from homeostat.base.actions import Proposal
from homeostat.base.decisions import Hold, Notice, Urgency
from homeostat.base.events import CanaryRequested, Command, Tell
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs
from homeostat.loop import deciding, ebbing, memory, rehearsing, training
from homeostat.loop.parts import LoopParts

Stepped = tuple[LoopState, tuple[Command, ...]]


def canary(parts: LoopParts, state: LoopState, event: CanaryRequested) -> Stepped:
    """Decide about a canary's ramp that somebody asked for."""
    return _canary(parts, state, event, is_new=True)


def _canary(parts: LoopParts, state: LoopState, event: CanaryRequested, *, is_new: bool) -> Stepped:
    state = replace(state, kill=event.kill, fleet=event.fleet or state.fleet)
    seen = memory.guard_state(state)
    wanted = "nothing here offers canaries" if parts.canary is None else parts.canary(seen)
    problem = wanted if isinstance(wanted, str) else _problem(state)
    if problem or isinstance(wanted, str):
        return state, (_told(state, event, problem),)
    safe_set = parts.permit((wanted,), seen, event.at)
    refused = [reason for one in safe_set.refused for reason in one.reasons]
    if not safe_set.holds(wanted):
        return state, (_told(state, event, "; ".join(refused)),)
    because = (f"{event.by} asked for it: {event.why}".rstrip(": "),)
    proposal = Proposal(action=wanted, safe_set=safe_set, policy="request", because=because)
    state, waiting = rehearsing.ask(state, (wanted,), proposal, event.at)
    if waiting is not None:
        title = f"the canary that {event.by} asked for is rehearsed first"
        told = (_notice(state, event.at, title),) if is_new else ()
        return replace(state, wish=event), (*waiting, *told)
    decision = parts.decide(proposal, state.managed, event.at)
    if isinstance(decision, Hold):
        return state, (_told(state, event, "; ".join(decision.because)),)
    return deciding.act(parts, state, proposal, decision.action, event.at)


def resumed(parts: LoopParts, state: LoopState, now: TimeNs) -> Stepped:
    """Decide about what was asked for while the twin was asked, once it answered or may no more.

    Args:
        parts: The stages.
        state: With a wish, or without one: then nothing happens.
        now: The time.
    """
    wish, question = state.wish, state.question
    if wish is None:
        return state, ()
    waits = question is not None and not question.answered and now < question.deadline
    if waits and _problem(state) == "":
        return state, ()
    again = replace(wish, at=now, kill=state.kill, fleet=None)
    return _canary(parts, replace(state, wish=None), again, is_new=False)


def _problem(state: LoopState) -> str:
    if state.record is not None:
        return f"{state.record.id} is in flight; one at a time"
    incident = state.incident
    if incident is None or training.answers(state, incident):
        return ""
    if incident.confirmed_at is not None or ebbing.is_held(state):
        return f"{incident.family} at {incident.subject} is not over ({incident.id})"
    return ""


def _told(state: LoopState, event: CanaryRequested, why: str) -> Tell:
    return _notice(state, event.at, f"no canary for {event.by}: {why}")


def _notice(state: LoopState, now: TimeNs, title: str) -> Tell:
    notice = Notice(
        key=state.managed.name,
        deployment=state.managed.name,
        at=now,
        urgency=Urgency.INFO,
        title=title,
    )
    return Tell(notice=notice)
