"""Cutting a deployment's time into stretches that somebody may speak of, and summing them up.

An incident that people were told of is a stretch; the rest is quarters of an hour. What was done by
an action of ours in flight is masked: its ticks are in no sum.
"""

from dataclasses import replace
from typing import Final

from homeostat.base.evidence import Evidence, Family, Incident
from homeostat.base.feedback import FeedbackState, Span
from homeostat.base.units import MINUTE, TimeNs
from homeostat.learn import feedback
from homeostat.learn.feedback_channels import CHANNELS

QUARTER: Final = 15 * MINUTE
"""Quiet time is cut into stretches of this length, as in the measured form."""
NONE: Final = "a" * len(CHANNELS)
"""Letters of a tick on which nothing has lasted."""


def is_told(span: Span | None, incident: Incident) -> bool:
    """Return whether people were told of it: an unconfirmed one is nothing to them."""
    known = span is not None and span.incident_id == incident.id
    return known or incident.confirmed_at is not None


def is_meant(span: Span, incident_id: str, about: TimeNs | None) -> bool:
    """Return whether a word on an incident, or on a time without one, is about a stretch."""
    if incident_id:
        return span.incident_id == incident_id
    return about is not None and not span.incident_id and span.since <= about <= span.until


def cut(
    state: FeedbackState, incident: Incident | None, now: TimeNs
) -> tuple[FeedbackState, Span | None]:
    """Return the state with the stretch that ends now among those that wait for a word.

    Args:
        state: Before.
        incident: That people were told of, None if there is none.
        now: The tick's time.

    Returns:
        The state, and the stretch instead if somebody has spoken of it already.
    """
    span, wanted = state.open, incident.id if incident is not None else ""
    if span is None:
        return replace(state, open=_begun(now, wanted, mute=False)), None
    full = not span.incident_id and now - span.since >= QUARTER
    if span.incident_id == wanted and not full:
        return state, None
    # When the trouble began nobody knows: the quarter that it ended says nothing, nor does the one
    # after an incident that nobody has called nothing.
    ended = replace(span, mute=span.mute or (not span.incident_id and bool(wanted)))
    unanswered = bool(span.incident_id) and not any(not one.real for one in span.words)
    state = replace(state, open=_begun(now, wanted, mute=unanswered))
    if ended.words:
        return state, ended
    if not ended.ticks and not ended.incident_id:
        return state, None
    return replace(state, waiting=(*state.waiting, ended)), None


def _begun(now: TimeNs, incident_id: str, *, mute: bool) -> Span:
    return Span(
        since=now,
        until=now,
        peaks=NONE,
        worst=NONE,
        score=-1.0,
        incident_id=incident_id,
        mute=mute,
    )


def with_tick(
    span: Span | None,
    evidence: Evidence,
    lasting: str,
    score: float,
    incident: Incident | None,
    missed: int,
    *,
    busy: bool,
) -> Span | None:
    """Return the stretch that lasts, with one more tick.

    Args:
        span: Before.
        evidence: The tick's, as it was found.
        lasting: The bins of what has lasted, a letter each.
        score: What they are worth together.
        incident: That people were told of, None if there is none.
        missed: Ticks in a row on which the objectives were missed.
        busy: An action of ours is in flight.
    """
    if span is None:
        return None
    top = evidence.suspicions[0] if evidence.suspicions else None
    span = replace(
        span,
        until=evidence.at,
        touched=span.touched or busy,
        missed=span.missed or missed >= feedback.PERSIST,
        # Under drift nothing teaches what is normal.
        mute=span.mute or (top is not None and top.family is Family.DRIFT),
    )
    if incident is not None and top is not None and top.confidence >= span.confidence:
        span = replace(span, family=top.family, confidence=top.confidence)
    elif incident is not None and span.family is None:
        span = replace(span, family=incident.family)
    if busy:
        return span  # masked: what it shows may be our doing
    worst = lasting if score > span.score else span.worst
    peaks = "".join(map(max, zip(span.peaks, lasting, strict=True)))
    best = max(span.score, score)
    return replace(span, peaks=peaks, worst=worst, score=best, ticks=span.ticks + 1)


def with_help(state: FeedbackState, helped: frozenset[str]) -> FeedbackState:
    """Return the state with the stretches of these incidents marked as helped by our actions."""
    if not helped:
        return state

    def marked(span: Span) -> Span:
        ours = bool(span.incident_id) and span.incident_id in helped
        return replace(span, helped=True) if ours else span

    return replace(
        state,
        open=None if state.open is None else marked(state.open),
        waiting=tuple(marked(span) for span in state.waiting),
    )
