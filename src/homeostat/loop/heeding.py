"""What feedback may do: hold a suspicion back from incidents, or tell of what nobody suspected.

Whatever a learner says, here are the bounds. A suspicion is held back only while the objectives are
known to be met, and never if it is urgent or as sure as the configuration's `loudest`; what is told
of is watched, and nothing follows from it. The evidence that guards and decisions rest on stays as
it was found, and what was held back is no calm: nothing here can permit what was refused.
"""

from dataclasses import replace
from typing import Any

from homeostat.base import names
from homeostat.base.decisions import Notice, Urgency
from homeostat.base.events import Command, Confirmed, FeedbackReset, Tell
from homeostat.base.evidence import UNLIKE_ITSELF, Evidence, Family, Incident, Suspicion
from homeostat.base.feedback import FeedbackMode, FeedbackPolicy, FeedbackState, Heeded, Said
from homeostat.base.intent import ActionState
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs
from homeostat.loop.parts import LoopParts

Stepped = tuple[LoopState, tuple[Command, ...]]


def heed(
    parts: LoopParts, state: LoopState, evidence: Evidence
) -> tuple[LoopState, Evidence, Heeded | None]:
    """Return state and evidence as incidents are to see them, and what feedback made of it.

    Args:
        parts: The stages; without `feedback` nothing is learnt.
        state: Before the tick.
        evidence: As it was found.
    """
    policy = _policy(parts, state)
    if policy is None or parts.feedback is None:
        return state, evidence, None
    heeded = parts.feedback.heed(state.feedback, policy, evidence)
    seen = applied(policy, evidence, heeded) if policy.mode is FeedbackMode.ON else evidence
    if only_told(state) and evidence.suspicions:
        # Persistence is asked of evidence anew: what was only told of has lasted for nobody.
        state = replace(state, streak=None)
    return state, seen, heeded


def applied(policy: FeedbackPolicy, evidence: Evidence, heeded: Heeded) -> Evidence:
    """Return the evidence as incidents are to see it, within the bounds, whoever says what.

    Args:
        policy: The bounds.
        evidence: As it was found.
        heeded: What a learner makes of it; not believed.
    """
    if not evidence.suspicions:
        return replace(evidence, suspicions=(_told(heeded),)) if heeded.told else evidence
    if len(heeded.held) != len(evidence.suspicions) or evidence.slo_met is not True:
        return evidence
    kept = tuple(
        one
        for one, held in zip(evidence.suspicions, heeded.held, strict=True)
        if not held or one.urgent or one.confidence >= policy.loudest
    )
    return replace(evidence, suspicions=kept)


def only_told(state: LoopState) -> bool:
    """Return whether on the last tick nothing but what was learnt spoke."""
    policy, feedback = state.managed.feedback, state.feedback
    on = policy is not None and policy.mode is FeedbackMode.ON
    return on and feedback is not None and feedback.told


def watched(
    parts: LoopParts,
    state: LoopState,
    evidence: Evidence,
    heeded: Heeded | None,
    incident: Incident | None,
) -> FeedbackState | None:
    """Return what was learnt after one tick.

    Args:
        parts: The stages.
        state: Before the tick.
        evidence: As it was found.
        heeded: What `heed` made of it, None where nothing is learnt.
        incident: The open incident after this tick.
    """
    policy = _policy(parts, state)
    if parts.feedback is None or policy is None or heeded is None:
        return state.feedback
    new = _ended(state)
    after = parts.feedback.watched(
        state.feedback,
        policy,
        evidence,
        heeded,
        incident=incident,
        # The tick that sees an action end has still felt it.
        busy=state.record is not None or bool(new),
        # In calm there was nothing to help, and another incident's outcome says nothing of this.
        helped=frozenset(
            one.incident_id for one in new if one.state is ActionState.SUCCEEDED and one.incident_id
        ),
    )
    return replace(after, settled=state.finished[-1].id) if state.finished else after


def confirmed(parts: LoopParts, state: LoopState, event: Confirmed) -> Stepped:
    """Take a person's word on an incident, or on a time without one."""
    policy = _policy(parts, state)
    # Something did come of it, or of what was missed: all is told of anew (`loop.ebbing`).
    state = replace(state, ebb=None) if event.real else state
    if parts.feedback is None or policy is None:
        return state, (_tell(state, event.at, "a word was said, and feedback is off"),)
    said = Said(by=event.by, at=event.at, real=event.real, family=event.family)
    before = state.feedback.moves if state.feedback is not None else ()
    feedback, worth = parts.feedback.answered(
        state.feedback, policy, said, incident_id=event.incident_id, about=event.about
    )
    lines = tuple(one.words for one in feedback.moves if one not in before)
    title = f"{event.by} says {verdict_of(event)}: {worth}"
    return replace(state, feedback=feedback), (_tell(state, event.at, title, lines),)


def reset(parts: LoopParts, state: LoopState, event: FeedbackReset) -> Stepped:
    """Forget what was learnt, or learn on where the answers had changed too much."""
    if parts.feedback is None:
        return state, ()
    feedback = parts.feedback.forgotten(state.feedback, everything=event.everything)
    what = "everything that was said is forgotten" if event.everything else "learning goes on"
    ebb = None if event.everything else state.ebb
    state = replace(state, feedback=feedback, ebb=ebb)
    return state, (_tell(state, event.at, f"{what}, by {event.by}"),)


def question(incident: Incident) -> str:
    """Return what a person is asked when an incident that they were told of is over."""
    say = f"homeostat confirm {incident.deployment} {incident.id}"
    return f"what was it? `{say} --real` or `{say} --nothing`; detection learns from it"


def verdict_of(event: Confirmed) -> str:
    """Return a person's word in words.

    >>> from homeostat.base.units import TimeNs
    >>> verdict_of(Confirmed(at=TimeNs(0), by="ann", real=False, incident_id="i-0007"))
    'i-0007 was nothing'
    """
    about = event.incident_id or "a time without an incident"
    kind = f", {event.family}" if event.family is not None else ""
    return f"{about} was {'real' if event.real else 'nothing'}{kind}"


def _policy(parts: LoopParts, state: LoopState) -> FeedbackPolicy | None:
    policy = state.managed.feedback
    if parts.feedback is None or policy is None or policy.mode is FeedbackMode.OFF:
        return None
    return policy


def _told(heeded: Heeded) -> Suspicion:
    return Suspicion(
        family=Family.UNCLEAR,
        subject=names.MODEL,
        confidence=UNLIKE_ITSELF,
        because=heeded.because,
    )


def _ended(state: LoopState) -> tuple[Any, ...]:
    """Return the actions that finished since the last tick; none of before anybody looked."""
    feedback, ids = state.feedback, [one.id for one in state.finished]
    if feedback is None or not ids:
        return ()
    if feedback.settled not in ids:
        return state.finished if not feedback.settled else ()
    return state.finished[ids.index(feedback.settled) + 1 :]


def _tell(state: LoopState, now: TimeNs, title: str, lines: tuple[str, ...] = ()) -> Tell:
    name = state.managed.name
    return Tell(
        notice=Notice(
            key=f"{name}.feedback",
            deployment=name,
            at=now,
            urgency=Urgency.INFO,
            title=title,
            lines=lines,
        )
    )
