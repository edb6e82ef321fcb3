"""Lines of single families: what people called nothing several times in a row is held back.

A word counts for the family that was suspected, up to the confidence with which it was. One real
incident takes back every "nothing" that was said of something as sure or surer; so do missed
objectives, whoever said what.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from homeostat.base.evidence import Family
from homeostat.base.feedback import (
    FeedbackPolicy,
    FeedbackState,
    Mistaken,
    Moved,
    Nothing,
    Said,
    Span,
)
from homeostat.base.units import TimeNs

PER_FAMILY: Final = 16
"""Incidents called nothing that are remembered of each family."""
MOVES: Final = 20
"""Moves of lines that are kept for people; the journal has them all."""


def held_up_to(
    nothings: tuple[Nothing, ...], policy: FeedbackPolicy, now: TimeNs
) -> Mapping[Family, float]:
    """Return the confidence up to which each family is held back; families without are left out.

    Args:
        nothings: As remembered.
        policy: How many are needed, and for how long they count.
        now: The tick's time.
    """
    needed = max(policy.words, 2)
    found: dict[Family, dict[str, float]] = {}
    for one in nothings:
        if 0 <= now - one.at < policy.keep_ns:
            found.setdefault(one.family, {})[one.incident_id] = one.confidence
    # As many incidents as are needed were as sure as the line: one loud one alone raises nothing.
    return {
        family: sorted(some.values(), reverse=True)[needed - 1]
        for family, some in found.items()
        if len(some) >= needed
    }


def settled(state: FeedbackState, policy: FeedbackPolicy, span: Span, said: Said) -> FeedbackState:
    """Return the state after a word on a stretch, as far as the families' lines go.

    Args:
        state: Before.
        policy: How many words are needed.
        span: What it is about.
        said: The word.
    """
    if span.family is None or span.confidence <= 0.0:
        return state  # what was learnt spoke, no suspicion: only the learnt line moves
    if said.real:
        state = _named(state, span.family, said.family)
        if said.family not in {None, span.family}:
            return state  # this family's line learns nothing of another kind of trouble
        after = without(state, span.family, span.confidence)
    else:
        one = Nothing(
            incident_id=span.incident_id,
            family=span.family,
            confidence=span.confidence,
            by=said.by,
            at=said.at,
        )
        after = replace(state, nothings=_bounded((*state.nothings, one), span.family))
    return _told(state, after, policy, span, said)


def without(state: FeedbackState, family: Family, confidence: float) -> FeedbackState:
    """Return the state without what was called nothing and was as sure as this real one."""
    kept = tuple(
        one for one in state.nothings if one.family is not family or one.confidence < confidence
    )
    return replace(state, nothings=kept)


def by_whom(nothings: tuple[Nothing, ...], family: Family) -> str:
    """Return who called incidents of a family nothing, and which, in words."""
    some = [one for one in nothings if one.family is family]
    people = ", ".join(dict.fromkeys(one.by for one in some))
    return f"{people} called {', '.join(dict.fromkeys(one.incident_id for one in some))} nothing"


def moved(state: FeedbackState, now: TimeNs, words: str) -> FeedbackState:
    """Return the state with one more move of a line on record."""
    return replace(state, moves=(*state.moves, Moved(at=now, words=words))[-MOVES:])


def _bounded(nothings: tuple[Nothing, ...], family: Family) -> tuple[Nothing, ...]:
    same = [one for one in nothings if one.family is family]
    dropped = same[: max(len(same) - PER_FAMILY, 0)]
    return tuple(one for one in nothings if one not in dropped)


def _named(state: FeedbackState, suspected: Family, said: Family | None) -> FeedbackState:
    if said is None or said is suspected:
        return state
    known = [one for one in state.mistaken if (one.suspected, one.said) == (suspected, said)]
    count = known[0].count + 1 if known else 1
    rest = tuple(one for one in state.mistaken if one not in known)
    return replace(state, mistaken=(*rest, Mistaken(suspected=suspected, said=said, count=count)))


def _told(
    before: FeedbackState, after: FeedbackState, policy: FeedbackPolicy, span: Span, said: Said
) -> FeedbackState:
    """Return the state with the line's move on record, where it moved."""
    assert span.family is not None  # noqa: S101 - the caller asked
    was = held_up_to(before.nothings, policy, said.at).get(span.family)
    line = held_up_to(after.nothings, policy, said.at).get(span.family)
    if was == line:
        return after
    if line is None:
        words = f"{span.family} is told of from its shipped line on again, by {said.by}"
    else:
        words = (
            f"{span.family} is held back up to a confidence of {min(line, policy.loudest):.2f}: "
            f"{by_whom(after.nothings, span.family)}"
        )
    return moved(after, said.at, words)
