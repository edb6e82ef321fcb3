"""What the score alone told of and nothing came of: the like must outdo it to be told of again.

A score says that a deployment is unlike itself and never why; nobody acts on it, it is watched. A
season that moves inputs and answers and breaks nothing is told of once. Where such an incident
ended by itself (objectives met all along, nothing else suspected, no action of ours in flight, no
lever moved by anybody), the next one is told of only where a signal is off that was not off in it,
or its evidence is clearly beyond the most of it. After a week it is told of anew, and so it is
after any incident of which something did come, and after a person's word that one was real. Where
`spec.feedback.mode` is not `on`, no line moves. A series whose new level is usual since is not
remembered as having been off: what it does next, it does from there.

All that is withheld is an incident's confirmation, and with it that people are told. It opens, and
what it has lasted counts: where an objective is missed, or a rule speaks, it is told of at once.
Guards rest on the evidence as it was found, and what else waits for an incident to be over waits.
"""

from dataclasses import replace
from typing import Final

from homeostat.base import names
from homeostat.base.evidence import UNLIKE_ITSELF, Evidence, Family, Incident, Verdict
from homeostat.base.feedback import FeedbackMode, FeedbackState
from homeostat.base.state import Ebb, LoopState
from homeostat.base.units import HOUR, TimeNs

KEPT_NS: Final = 7 * 24 * HOUR
"""For so long what came to nothing must be outdone: a weekly season is told of once a week."""
MARGIN: Final = 0.5
"""Decades of evidence by which it must be: three times as rare."""
MOST: Final = 64
"""Signals that are remembered as having been off; of more than these all is told of."""
_STACK: Final = "stack"

Changes = tuple[tuple[Incident, bool], ...]


def withheld(
    state: LoopState,
    evidence: Evidence,
    incident: Incident | None,
    changes: Changes,
    now: TimeNs,
) -> tuple[Incident | None, Changes]:
    """Return the open incident and what to record, a confirmation withheld where that is due.

    Args:
        state: Before the tick.
        evidence: As it was found.
        incident: The open one after it.
        changes: Incidents to record, and whether each is open.
        now: The tick's time.
    """
    if incident is None or incident.confirmed_at != now:
        return incident, changes
    before = state.incident if state.incident and state.incident.id == incident.id else None
    if (before is not None and before.confirmed_at is not None) or not _like(state, evidence):
        return incident, changes
    kept = replace(incident, confirmed_at=None) if before is None else before
    rest = tuple(one for one in changes if one[0].id != incident.id)
    return kept, rest if kept == before else (*rest, (kept, True))


def _like(state: LoopState, evidence: Evidence) -> bool:
    """Return whether what is seen is like what came to nothing, and no more than that."""
    line = beyond(state, evidence.at)
    strength = _strength(evidence)
    if line is None or strength is None or not evidence.suspicions or evidence.slo_met is not True:
        return False
    ebb = state.ebb
    seen = ebb is not None and set(_off(evidence)) <= set(ebb.off)
    # Trouble that was more than this on one of its ticks is not told of less because it pauses.
    other = ebb is not None and ebb.incident_id != "" and not ebb.harmless
    return seen and not other and strength < line


def followed(
    state: LoopState, evidence: Evidence, incident: Incident | None, now: TimeNs
) -> Ebb | None:
    """Return what is remembered after a tick.

    Args:
        state: Before the tick.
        evidence: As it was found.
        incident: The open one after it, as `withheld` made it.
        now: Its time.
    """
    ebb = _over(state, incident, now)
    if ebb is not None and not ebb.incident_id and not _fresh(ebb, now):
        ebb = None
    anew = frozenset() if evidence.score is None else frozenset(evidence.score.renewed)
    if ebb is not None and anew:
        ebb = replace(ebb, off=tuple(one for one in ebb.off if one not in anew))
    if incident is None:
        return ebb
    strength = _strength(evidence) if evidence.suspicions else 0.0
    moves = state.seen_levers.moves if state.seen_levers is not None else ()
    quiet = (
        strength is not None
        and evidence.slo_met is True
        and state.record is None
        and (state.foreign_until is None or state.foreign_until <= now)
        and not any(one.at >= incident.opened_at for one in moves)
    )
    before = Ebb() if ebb is None else ebb
    if before.incident_id != incident.id:
        # What it was before it was followed is not known.
        whole = state.incident is None or state.incident.id != incident.id
        before = replace(before, incident_id=incident.id, peak=0.0, now=(), harmless=whole)
    off = tuple(sorted({*before.now, *_off(evidence)} - anew))
    return replace(
        before,
        peak=max(before.peak, strength or 0.0),
        now=off[: MOST + 1],
        harmless=before.harmless and quiet,
        held=incident.confirmed_at is None and _like(state, evidence),
    )


def words(state: LoopState, after: Ebb | None) -> tuple[str, ...]:
    """Return what people are told of an incident that has just come to nothing.

    Args:
        state: Before the tick.
        after: What is remembered after it.
    """
    before = state.ebb.at if state.ebb is not None else None
    if after is None or after.at is None or before == after.at or not _moves(state):
        return ()
    days = KEPT_NS // (24 * HOUR)
    line = f"for {days} days the like is told of again only beyond 1e-{after.outdo + MARGIN:.1f}"
    return (f"nothing came of it: {line}, or where objectives are missed or a rule says why",)


def beyond(state: LoopState, now: TimeNs) -> float | None:
    """Return the evidence from which on the like is told of, None: from the shipped line on.

    Args:
        state: Of the loop.
        now: The time.
    """
    ebb = state.ebb
    if ebb is None or not _fresh(ebb, now) or not _moves(state):
        return None
    return ebb.outdo + MARGIN


def is_held(state: LoopState) -> bool:
    """Return whether the open incident was not confirmed on the last tick because it is alike."""
    return state.ebb is not None and state.ebb.held


def muted(feedback: FeedbackState | None, ebb: Ebb | None) -> FeedbackState | None:
    """Return what feedback remembers; a stretch of what is withheld says nothing of normal time.

    Args:
        feedback: After the tick.
        ebb: After the tick.
    """
    if feedback is None or feedback.open is None or ebb is None or not ebb.held:
        return feedback
    return replace(feedback, open=replace(feedback.open, mute=True))


def _over(state: LoopState, incident: Incident | None, now: TimeNs) -> Ebb | None:
    """Return what is remembered, with what came of the incident that this tick ended."""
    ebb, last = state.ebb, state.incident
    if ebb is None or last is None or ebb.incident_id != last.id:
        return ebb
    if incident is not None and incident.id == last.id:
        return ebb
    ended = replace(ebb, incident_id="", peak=0.0, now=(), harmless=True, held=False)
    if last.confirmed_at is None:
        return ended  # people were told nothing
    if not ebb.harmless:
        return None  # trouble was real: everything is told of anew
    if ebb.peak <= 0.0 or len(ebb.now) > MOST:
        return ended  # the score never told of it, or of nearly everything
    if not _fresh(ebb, now):
        return replace(ended, outdo=ebb.peak, off=ebb.now, at=now)
    off = tuple(sorted({*ebb.off, *ebb.now}))[:MOST]
    return replace(ended, outdo=max(ebb.outdo, ebb.peak), off=off, at=now)


def _fresh(ebb: Ebb, now: TimeNs) -> bool:
    return ebb.at is not None and 0 <= now - ebb.at < KEPT_NS


def _moves(state: LoopState) -> bool:
    """Return whether lines may move here."""
    policy = state.managed.feedback
    return policy is None or policy.mode is FeedbackMode.ON


def _off(evidence: Evidence) -> tuple[tuple[str, str], ...]:
    """Return what detectors other than the score itself call anomalous, as (subject, signal)."""
    return tuple(
        (one.subject, one.signal)
        for one in evidence.anomalies
        if one.verdict is Verdict.ANOMALOUS and one.detector != _STACK
    )


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
