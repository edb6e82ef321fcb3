"""A shift of traffic to the fallback pool: what comparing it with the pool it leaves changes.

The protocol knows no more of it than of any action: what the comparison calls for becomes the news
by which before and after are told (`loop.step`). It stops what does harm, lets a rung be followed
on its evidence, and lengthens one; where it sees nothing, all is as without it.
"""

from homeostat.base import names
from homeostat.base.actions import ActionKind
from homeostat.base.changed import changed
from homeostat.base.decisions import Effect, LeaveCall
from homeostat.base.evidence import Evidence, Family
from homeostat.base.intent import ActionRecord, ActionState
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs
from homeostat.loop.parts import LoopParts
from homeostat.loop.protocol_moves import stages
from homeostat.loop.protocol_values import Abort, EffectSeen, News

# What is wrong is in the answers themselves: no counter of the gateway shows it, and a pool that
# fails a little more often may be the cure.
_IN_THE_ANSWERS = frozenset({Family.OUTPUT, Family.QUALITY, Family.DRIFT})


def news(
    parts: LoopParts, state: LoopState, evidence: Evidence, now: TimeNs, effect: Effect | None
) -> tuple[LoopState, tuple[News, ...]]:
    """Return the state and what the action in flight is told of its effect on this tick.

    Args:
        parts: The stages; without `leave` nothing is compared.
        state: With an action in flight, or none.
        evidence: This tick's.
        now: The tick's time.
        effect: By before and after; None = nothing is verified on this tick.
    """
    record = state.record
    if parts.leave is None or record is None or not _is_compared(state, record):
        return state, _as_before(effect)
    left = _left(state, record)
    known, call = parts.leave(state.leaving, record, left, evidence, state.managed, now)
    state = state if known is state.leaving else changed(state, leaving=known)
    judged = None if known is None else known.harmed
    return state, _as_news(call, effect, "" if judged is None else "; ".join(judged.because))


def _is_compared(state: LoopState, record: ActionRecord) -> bool:
    """Return whether the present rung is judged beside the pool that it leaves; the last is not."""
    action, fallback = record.action, state.managed.fallback_pool
    if action.kind is not ActionKind.SHIFT_TRAFFIC or action.beside or record.undoes:
        return False
    if fallback is None or action.subject != names.pool(fallback):
        return False
    if record.state is ActionState.ROLLING_BACK or record.stage + 1 >= stages(action):
        return False
    begun = state.leaving is not None and state.leaving.action_id == record.id
    if begun or record.incident_id == "":
        return True
    incident = state.incident
    known = incident is not None and incident.id == record.incident_id
    return known and incident is not None and incident.family not in _IN_THE_ANSWERS


def _left(state: LoopState, record: ActionRecord) -> str:
    """Return the pool that the traffic leaves: the one that is suspected, else the stable one."""
    stable, incident = state.managed.stable_pool, state.incident
    if incident is None or incident.id != record.incident_id:
        return stable
    suspected = incident.subject.startswith(names.pool("")) and incident.subject
    if not suspected or suspected == record.action.subject:
        return stable
    return names.bare(suspected)


def _as_before(effect: Effect | None) -> tuple[News, ...]:
    return () if effect is None else (EffectSeen(effect=effect),)


def _as_news(call: LeaveCall, effect: Effect | None, why: str) -> tuple[News, ...]:
    """Return the news; harm by before and after, and blindness, are what they were."""
    match call, effect:
        case LeaveCall.HARM, _:
            return (Abort(reason=f"worse than what it leaves: {why}"),)
        case LeaveCall.DOUBT, Effect.HELPED:
            return (EffectSeen(effect=Effect.NO_CHANGE),)
        case ((LeaveCall.BETTER | LeaveCall.GO_ON), (Effect.HELPED | Effect.NO_CHANGE)):
            return (EffectSeen(effect=Effect.HELPED, why=why),)
        case LeaveCall.STAY, Effect.NO_CHANGE:
            return (EffectSeen(effect=Effect.NO_CHANGE, why=why, compared=True),)
        case _, Effect.HELPED:
            return (EffectSeen(effect=effect, why=why),)
        case _:
            return _as_before(effect)
