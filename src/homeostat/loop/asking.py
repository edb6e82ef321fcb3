"""What a person asks for: a canary's ramp, and that the one in flight be taken back.

Nothing is done because somebody asked: the guards judge the ramp as they judge any action, and
refuse it with the same words.
"""

from dataclasses import replace

from homeostat.base.actions import Proposal
from homeostat.base.decisions import Hold, Notice, Urgency
from homeostat.base.events import CanaryRequested, Command, Tell
from homeostat.base.state import LoopState
from homeostat.loop import deciding, memory
from homeostat.loop.parts import LoopParts

Stepped = tuple[LoopState, tuple[Command, ...]]


def canary(parts: LoopParts, state: LoopState, event: CanaryRequested) -> Stepped:
    """Decide about a canary's ramp that somebody asked for."""
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
    decision = parts.decide(proposal, state.managed, event.at)
    if isinstance(decision, Hold):
        return state, (_told(state, event, "; ".join(decision.because)),)
    return deciding.act(parts, state, proposal, decision.action, event.at)


def _problem(state: LoopState) -> str:
    if state.record is not None:
        return f"{state.record.id} is in flight; one at a time"
    incident = state.incident
    if incident is not None and incident.confirmed_at is not None:
        return f"{incident.family} at {incident.subject} is not over ({incident.id})"
    return ""


def _told(state: LoopState, event: CanaryRequested, why: str) -> Tell:
    notice = Notice(
        key=state.managed.name,
        deployment=state.managed.name,
        at=event.at,
        urgency=Urgency.INFO,
        title=f"no canary for {event.by}: {why}",
    )
    return Tell(notice=notice)
