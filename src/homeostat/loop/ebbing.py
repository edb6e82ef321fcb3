"""What the score alone told of and nothing came of: the like must outdo it to be told of again.

A score says that a deployment is unlike itself and never why; nobody acts on it, it is watched. A
season that moves inputs and answers and breaks nothing is told of once. Where such an incident
ended by itself, the objectives met all along, nothing else suspected and no action of ours in
flight, the next one opens only where its evidence is clearly beyond the most that was seen in it.
After a week it is told of anew, and so it is after any incident of which something did come, and
after a person's word that one was real. Where `spec.feedback.mode` is not `on`, no line moves.

Only what opens an incident is touched, within `heeding`'s bounds: guards and decisions rest on the
evidence as it was found, and what is not told of again is no calm.
"""

from dataclasses import replace
from typing import Final

from homeostat.base import names
from homeostat.base.evidence import UNLIKE_ITSELF, Evidence, Family, Incident
from homeostat.base.feedback import FeedbackMode
from homeostat.base.state import Ebb, LoopState
from homeostat.base.units import HOUR, TimeNs

KEPT_NS: Final = 7 * 24 * HOUR
"""For so long what came to nothing must be outdone: a weekly season is told of once a week."""
MARGIN: Final = 0.5
"""Decades of evidence by which it must be: three times as rare."""


def heard(state: LoopState, evidence: Evidence, told: Evidence) -> Evidence:
    """Return the evidence as incidents are to see it.

    Args:
        state: Before the tick.
        evidence: As it was found.
        told: As feedback makes it (`loop.heeding`).
    """
    policy = state.managed.feedback
    if policy is not None and policy.mode is not FeedbackMode.ON:
        return told  # somebody wants no line to move
    line = beyond(state.ebb, evidence.at)
    open_one = state.incident is not None and state.incident.confirmed_at is not None
    if line is None or open_one or evidence.slo_met is not True or not evidence.suspicions:
        return told
    strength = _strength(evidence)
    if strength is None or strength >= line:
        return told
    return replace(told, suspicions=())


def followed(
    state: LoopState, evidence: Evidence, incident: Incident | None, now: TimeNs
) -> Ebb | None:
    """Return what is remembered after a tick.

    Args:
        state: Before the tick.
        evidence: As it was found.
        incident: The open one after it.
        now: Its time.
    """
    ebb = _over(state, incident, now)
    if ebb is not None and not ebb.incident_id and beyond(ebb, now) is None:
        ebb = None
    if incident is None:
        return ebb
    strength = _strength(evidence) if evidence.suspicions else 0.0
    quiet = strength is not None and evidence.slo_met is True and state.record is None
    before = Ebb() if ebb is None else ebb
    if before.incident_id != incident.id:
        before = replace(before, incident_id=incident.id, peak=0.0, harmless=True)
    return replace(
        before,
        peak=max(before.peak, strength or 0.0),
        harmless=before.harmless and quiet,
    )


def words(before: Ebb | None, after: Ebb | None) -> tuple[str, ...]:
    """Return what people are told of an incident that has just come to nothing.

    Args:
        before: What was remembered before the tick.
        after: And after it.
    """
    if after is None or after.at is None or (before is not None and before.at == after.at):
        return ()
    days = KEPT_NS // (24 * HOUR)
    line = f"for {days} days the like is told of again only beyond 1e-{after.outdo + MARGIN:.1f}"
    return (f"nothing came of it: {line}, or where objectives are missed or a rule says why",)


def _over(state: LoopState, incident: Incident | None, now: TimeNs) -> Ebb | None:
    """Return what is remembered, with what came of the incident that this tick ended."""
    ebb, last = state.ebb, state.incident
    if ebb is None or last is None or ebb.incident_id != last.id:
        return ebb
    if incident is not None and incident.id == last.id:
        return ebb
    ended = replace(ebb, incident_id="", peak=0.0, harmless=True)
    if last.confirmed_at is None:
        return ended  # a blip: people were told nothing
    if not ebb.harmless:
        return None  # trouble was real: everything is told of anew
    most = ebb.outdo if beyond(ebb, now) is not None else 0.0
    return replace(ended, outdo=max(most, ebb.peak), at=now)


def beyond(ebb: Ebb | None, now: TimeNs) -> float | None:
    """Return the evidence from which on the like is told of, None: from the shipped line on.

    Args:
        ebb: What is remembered.
        now: The time.
    """
    if ebb is None or ebb.at is None or not 0 <= now - ebb.at < KEPT_NS:
        return None
    return ebb.outdo + MARGIN


def _strength(evidence: Evidence) -> float | None:
    """Return the score's evidence where nothing but the score speaks, else None."""
    score = evidence.score
    if score is None or score.since is None or score.neg_log10_p is None:
        return None
    alone = all(
        one.family is Family.UNCLEAR
        and one.subject == names.MODEL
        and one.confidence <= UNLIKE_ITSELF
        and not one.urgent
        for one in evidence.suspicions
    )
    return score.neg_log10_p if alone else None
