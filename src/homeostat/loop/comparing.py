"""Drives a compared ramp: what the comparison of its two pools calls for becomes news.

Anything else that needs healing ends the ramp, whatever its evidence says so far: one action is in
flight at a time, and somebody may suffer while a ramp waits for numbers. It is then not blamed,
unless what is suspected is the pool that is tried.
"""

from dataclasses import replace

from homeostat.base import names
from homeostat.base.canary import CanaryVerdict
from homeostat.base.changed import changed
from homeostat.base.decisions import Effect, Notice, RampCall, Urgency
from homeostat.base.events import Command, Tell, UndoRequested
from homeostat.base.evidence import UNLIKE_ITSELF, Evidence, Family, Suspicion
from homeostat.base.intent import ActionRecord, ActionState, Proof
from homeostat.base.state import Comparison, LoopState
from homeostat.base.units import MINUTE, TimeNs
from homeostat.loop import training, undoing
from homeostat.loop.parts import LoopParts
from homeostat.loop.protocol_moves import stages
from homeostat.loop.protocol_values import Abort, EffectSeen, News, Proven

# Before its first write a ramp has nothing to compare; these end without one, or ask a person.
_BEFORE = frozenset({ActionState.PROPOSED, ActionState.AWAITING_APPROVAL})
# Who saw less than half of the watch has not watched: what was missed may be what went wrong.
_SEEN_LEAST = 0.5
# What a setting may be changed for; while it is tried, that very trouble goes on.
_SETTINGS_CURE = frozenset({Family.LOAD, Family.BATCHING})
_PROMOTED = frozenset({ActionState.SUCCEEDED, ActionState.SUCCEEDED_UNPROVEN})


def is_compared(record: ActionRecord | None) -> bool:
    """Return whether a record's present rung is judged beside another pool; the last is not."""
    if record is None or not record.action.beside or record.state is ActionState.ROLLING_BACK:
        return False
    return record.stage + 1 < stages(record.action)


def news(
    parts: LoopParts, state: LoopState, evidence: Evidence, now: TimeNs
) -> tuple[LoopState, tuple[News, ...]]:
    """Return the state and what the ramp in flight is told on this tick.

    Args:
        parts: The stages; without `compare` nothing is compared, and nothing is promoted.
        state: With a compared ramp in flight.
        evidence: This tick's.
        now: The tick's time.
    """
    record = state.record
    if record is None:
        return state, ()
    if (trouble := _trouble(state, record, evidence)) is not None:
        return state, (trouble,)
    if parts.compare is None or record.state in _BEFORE:
        return state, ()
    comparison, call = parts.compare(
        state.comparison, record, evidence, state.managed, now, state.alike
    )
    judgement = None if comparison is None else comparison.judgement
    because = () if judgement is None else (*judgement.because, *judgement.caveats)
    tried = "the setting" if record.action.first else "the canary"
    return replace(state, comparison=comparison), _as_news(call, tried, because)


def alike(parts: LoopParts, state: LoopState, evidence: Evidence, now: TimeNs) -> LoopState:
    """Return the state with what both pools say of their comparison while they serve the same.

    Args:
        parts: The stages; without `alike` nobody looks.
        state: With this tick's incident and calm.
        evidence: This tick's.
        now: The tick's time.
    """
    if parts.alike is None:
        return state
    calm = state.record is None and state.incident is None and state.calm_ticks > 0
    known = parts.alike(state.alike, state.managed, evidence, now, calm=calm)
    return state if known is state.alike else changed(state, alike=known)


def _as_news(call: RampCall, tried: str, because: tuple[str, ...]) -> tuple[News, ...]:
    why, share = "; ".join(because), "traffic goes" if tried == "the canary" else "trial goes"
    match call:
        case RampCall.HARM:
            return (Abort(reason=f"{tried} does harm: {why}"),)
        case RampCall.RETURN:
            return (Abort(reason=f"{tried}'s {share} back: {why}", blameless=True),)
        case RampCall.CERTIFIED:
            proven = Proven(proof=Proof.CERTIFIED, why=why)
            return (proven, EffectSeen(effect=Effect.HELPED, why=why))
        case RampCall.UNPROVEN:
            return (Proven(proof=Proof.UNPROVEN, why=why), EffectSeen(effect=Effect.NO_CHANGE))
        case RampCall.ASK:
            return (Proven(proof=Proof.ASKED, why=why), EffectSeen(effect=Effect.NO_CHANGE))
        case RampCall.GO_ON:
            return (EffectSeen(effect=Effect.HELPED, why=why),)
        case RampCall.WAIT:
            return (EffectSeen(effect=Effect.NO_CHANGE),)
        case RampCall.BLIND:
            return (EffectSeen(effect=Effect.UNKNOWN),)


def _trouble(state: LoopState, record: ActionRecord, evidence: Evidence) -> Abort | None:
    """Return the news that something else needs healing, None if nothing does."""
    if record.action.first and record.incident_id:
        return _other_trouble(state, record, evidence)
    if state.accounts is not None and state.accounts.burning is True:
        # None burned when the ramp began, or the guards had not let it begin.
        why = "an error budget burns so fast that a person is called"
        return Abort(reason=f"{why}: the canary's traffic goes back", blameless=True)
    incident = state.incident
    if incident is None or incident.confirmed_at is None or not evidence.suspicions:
        return None
    top = evidence.suspicions[0]
    if top.confidence <= UNLIKE_ITSELF and evidence.slo_met is not False:
        return None  # told, and watched: nobody is hurt and nothing says why
    about = f"{incident.family} at {incident.subject}"
    if incident.subject == record.action.subject:
        return Abort(reason=f"{about} is suspected: the pool that is tried")
    if training.answers(state, incident):
        if top.family is incident.family or not _lasts(state, top):
            return None  # it is tried against this very drift; whether it does harm is compared
        about = f"{top.family} at {top.subject}"
    return Abort(reason=f"{about} needs healing first", blameless=True)


def _lasts(state: LoopState, top: Suspicion) -> bool:
    """Return whether what is suspected now would be an incident, were there none."""
    streak = state.streak
    ticks = 0 if streak is None or streak.unclear else streak.ticks
    return top.urgent or ticks >= state.managed.guard.persist_scrapes


def _other_trouble(state: LoopState, record: ActionRecord, evidence: Evidence) -> Abort | None:
    """Return the news that something else is wrong while a setting is tried, or because of it.

    An incident keeps its name while an action is in flight: what is suspected by now is asked.
    """
    streak, top = state.streak, evidence.suspicions[0] if evidence.suspicions else None
    if top is None or streak is None or top.family in _SETTINGS_CURE:
        return None  # what it was for may be over: whether it does harm is still compared
    if not _lasts(state, top):
        return None
    about = f"{top.family} at {top.subject}"
    slots = {of[1] for lever, _ in record.action.first if (of := names.own(lever)) is not None}
    if names.bare(top.subject) in slots:
        return Abort(reason=f"{about} is suspected: a replica that is tried")
    return Abort(reason=f"{about} needs healing first", blameless=True)


def afterwards(
    parts: LoopParts, state: LoopState, evidence: Evidence, now: TimeNs
) -> tuple[LoopState, tuple[Command, ...]]:
    """Watch what was promoted for a while; take it back if it is worse than what it replaced.

    Only with the objectives missed as well: the pool that it replaced serves no more, and what is
    worse for all alike looks as if it were worse than before. Where too little was seen it is
    watched once more as long, and then it is said that nobody knows.

    Args:
        parts: The stages.
        state: Without an action in flight.
        evidence: This tick's.
        now: The tick's time.
    """
    known, policy = state.comparison, state.managed.canary
    if known is None or policy is None or parts.watch is None or state.record is not None:
        return state, ()
    done = next((one for one in state.finished if one.id == known.action_id), None)
    # A setting that all have was watched by before and after, as its last stage.
    watched = done is not None and done.state in _PROMOTED and not done.action.first
    if done is None or not watched or not _still_live(done, state):
        return replace(state, comparison=None), ()
    until = known.watch_until or TimeNs(now + policy.watch_ns)
    if now >= until:
        return _watched(state, known, done, policy.watch_ns, now)
    known, judgement = parts.watch(replace(known, watch_until=until), evidence, now)
    state = replace(state, comparison=known)
    harmed = judgement is not None and judgement.verdict is CanaryVerdict.HARM
    if judgement is None or not harmed or evidence.slo_met is not False:
        return state, ()
    back = UndoRequested(
        at=now,
        decision_id=done.id,
        by="the watch after its promotion",
        kill=state.kill,
        why="; ".join(judgement.because),
        harm=True,
    )
    title = f"{done.id} is taken back: worse than what it replaced, and the objectives are missed"
    state, commands = undoing.undo(parts, replace(state, comparison=None), back)
    return state, (_told(state, done, title, now, judgement.because), *commands)


def _watched(
    state: LoopState, known: Comparison, done: ActionRecord, watch_ns: int, now: TimeNs
) -> tuple[LoopState, tuple[Command, ...]]:
    """Return what the watch comes to at its end: praise only of what was seen."""
    saw = f"seen for {known.watched_ns / MINUTE:.1f} minutes of {watch_ns / MINUTE:.1f}"
    if known.watched_ns >= _SEEN_LEAST * watch_ns:
        title = f"{done.id} is promoted for good: not worse than before for as long as was asked"
        return replace(state, comparison=None), (_told(state, done, title, now, (saw,)),)
    if not known.watched_on:
        title = f"{done.id} is watched on: too little was seen of it since its promotion"
        on = replace(known, watched_on=True, watch_until=TimeNs(now + watch_ns))
        return replace(state, comparison=on), (_told(state, done, title, now, (saw,)),)
    title = f"{done.id} is promoted, and nobody saw whether it is worse than before: not known"
    lines = (saw, "look at what it serves; `homeostat undo` takes it back")
    return replace(state, comparison=None), (_told(state, done, title, now, lines),)


def _still_live(done: ActionRecord, state: LoopState) -> bool:
    world = state.world
    return world is None or all(world.lever(lever) == v for lever, v in done.action.change)


def _told(
    state: LoopState, done: ActionRecord, title: str, now: TimeNs, lines: tuple[str, ...] = ()
) -> Tell:
    notice = Notice(
        key=done.id,
        deployment=state.managed.name,
        at=now,
        urgency=Urgency.INFO,
        title=title,
        lines=lines,
    )
    return Tell(notice=notice)
