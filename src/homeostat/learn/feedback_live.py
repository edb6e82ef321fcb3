"""The feedback loop of one live deployment: what a tick is worth, and what is learnt of stretches.

Time is cut as in the measured form (`lab.feedback_learn`): an incident is a stretch, quiet time is
quarters of an hour. A finished stretch waits for a word; then it teaches, once. What people call
nothing several times in a row raises the line of its family alone; what was missed lowers the
learnt line over all channels, no lower than the budget for false alarms surely allows.

Windows touched by our own actions are masked. Nothing here is read by the guards, and no baseline
learns from it: `loop.heeding` applies it to incidents, and only there.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Final

import numpy as np

from homeostat.base.evidence import Evidence, Incident
from homeostat.base.feedback import FeedbackPolicy, FeedbackState, Heeded, Said, Span
from homeostat.base.units import HOUR, TimeNs
from homeostat.learn import feedback
from homeostat.learn import feedback_steady as steady
from homeostat.learn.feedback_channels import CHANNELS, binned, strengths
from homeostat.learn.feedback_file import DIGEST, bins_of, from_text, letters, to_text
from homeostat.learn.feedback_line import Budget
from homeostat.learn.feedback_said import by_whom, held_up_to, moved, settled, without
from homeostat.learn.feedback_spans import NONE, cut, is_meant, is_told, with_help, with_tick
from homeostat.learn.feedback_words import Source, Word

ROOM: Final = 256
"""Stretches of each kind that are remembered by their worst tick; 20 KB of text at most."""
WAITING: Final = 128
"""Stretches that wait for a word; 24 quarters of six hours, and a hundred incidents."""
_NAMED: Final = 3
_MOST: Final = 1000
# A line that moved by less is where it was, to people.
_MOVE: Final = 0.05


def heed(before: FeedbackState | None, policy: FeedbackPolicy, evidence: Evidence) -> Heeded:
    """Return what feedback makes of one tick's evidence.

    Args:
        before: What was learnt; None before the first tick.
        policy: How far lines may move.
        evidence: As it was found.
    """
    state = _fresh(before)
    bins = binned(strengths(evidence))
    lasting = letters(bins)
    # Bins rise with strength and unknown is the lowest: the least of the last bins is the bin of
    # what has lasted (`feedback.lasting`), and a beginning has lasted nowhere.
    short = len(state.recent) < feedback.PERSIST - 1
    lasting = NONE if short else "".join(map(min, zip(lasting, *state.recent, strict=True)))
    now = _drawn(state.learnt, policy)
    score = round(float(feedback.score(now, bins_of(lasting))), 9)
    # What was learnt speaks only where trouble was really overlooked, and then no lower than the
    # budget for false alarms allows, which is what the learnt line is.
    over = bool(score >= now.line) and state.overlooked >= policy.words
    lines = {} if state.stopped else held_up_to(state.nothings, policy, evidence.at)
    held = tuple(
        evidence.slo_met is True
        and not one.urgent
        and one.confidence < policy.loudest
        and one.confidence <= lines.get(one.family, 0.0)
        for one in evidence.suspicions
    )
    faint = int(binned(np.array(policy.faintest)))
    told = over and not evidence.suspicions and max(bins_of(lasting), default=0) >= faint
    because = _because(state, now, lasting, score) if told else _why_held(state, evidence, held)
    return Heeded(bins=letters(bins), score=score, held=held, told=told, because=because)


def watched(
    before: FeedbackState | None,
    policy: FeedbackPolicy,
    evidence: Evidence,
    heeded: Heeded,
    *,
    incident: Incident | None,
    busy: bool,
    helped: frozenset[str],
) -> FeedbackState:
    """Return the state after one tick.

    Args:
        before: What was learnt.
        policy: How far lines may move.
        evidence: As it was found.
        heeded: What `heed` made of it.
        incident: The open one, None if there is none.
        busy: An action of ours is in flight.
        helped: Incidents whose action was seen to help since the last tick; what was learnt from
            already, and what is not known, stays as it is.
    """
    state = _fresh(before)
    recent = (*state.recent, heeded.bins)
    short = len(recent) < feedback.PERSIST
    lasting = NONE if short else "".join(map(min, zip(*recent, strict=True)))
    missed = state.missed + 1 if evidence.slo_met is False else 0
    known = None if incident is None or not is_told(state.open, incident) else incident
    state, ended = cut(state, known, evidence.at)
    if ended is not None:
        state = _learn(state, policy, ended, evidence.at)
    state = replace(
        state,
        recent=recent[-(feedback.PERSIST - 1) :],
        missed=missed,
        open=with_tick(state.open, evidence, lasting, heeded.score, known, missed, busy=busy),
        held=tuple(
            one.family for one, held in zip(evidence.suspicions, heeded.held, strict=True) if held
        ),
        told=heeded.told,
    )
    return _learn_due(with_help(state, helped), policy, evidence.at)


def answered(
    before: FeedbackState | None,
    policy: FeedbackPolicy,
    said: Said,
    *,
    incident_id: str,
    about: TimeNs | None,
) -> tuple[FeedbackState, str]:
    """Return the state after a person's word, and what it was worth in one sentence.

    Args:
        before: What was learnt.
        policy: How far lines may move.
        said: The word.
        incident_id: The incident that it is about; empty for a time without one.
        about: That time.
    """
    state = _fresh(before)
    for place, ended in enumerate(state.waiting):
        if is_meant(ended, incident_id, about):
            word = replace(ended, words=(*ended.words, said))
            rest = (*state.waiting[:place], *state.waiting[place + 1 :])
            state = settled(replace(state, waiting=rest), policy, word, said)
            return _learn(state, policy, word, said.at), "heard, and learnt from"
    span = state.open
    if span is not None and is_meant(span, incident_id, about):
        if any((one.by, one.real) == (said.by, said.real) for one in span.words):
            return state, "heard before"
        state = settled(state, policy, span, said)
        words = (*span.words, said)
        return replace(state, open=replace(span, words=words)), "heard; it is learnt at its end"
    if incident_id:
        return state, f"{incident_id} is settled or not known: a word counts once, and not for ever"
    if span is not None and span.incident_id and about is not None and about >= span.since:
        return state, f"{span.incident_id} was open then: confirm that"
    return state, "that time is not kept (any more), or an incident was open then: confirm that"


def forgotten(before: FeedbackState | None, *, everything: bool) -> FeedbackState:
    """Return the state after a person's reset: of everything, or of the stop alone."""
    state = _fresh(before)
    if everything:
        return FeedbackState(channels=DIGEST, settled=state.settled, moves=state.moves)
    learner = from_text(config(FeedbackPolicy()), state.learnt)
    learner = learner._replace(steady=steady.restarted(learner.steady))
    return replace(state, learnt=to_text(learner), stopped=False)


def _fresh(before: FeedbackState | None) -> FeedbackState:
    """Return a state whose letters mean what they mean now."""
    if before is not None and before.channels == DIGEST:
        return before
    kept = before if before is not None else FeedbackState()
    return replace(kept, channels=DIGEST, recent=(), open=None, waiting=())


def config(policy: FeedbackPolicy) -> feedback.Config:
    """Return the learner's settings under a policy."""
    return feedback.Config(budget=Budget(per_day=policy.per_day, sure=policy.sure), room=ROOM)


def _drawn(learnt: str, policy: FeedbackPolicy) -> feedback.Drawn:
    return _drawn_of(learnt, policy.per_day, policy.sure)


# A function of its arguments; drawn anew only when something was learnt, not on every tick.
@lru_cache(maxsize=4096)
def _drawn_of(learnt: str, per_day: float, sure: float) -> feedback.Drawn:
    chosen = config(FeedbackPolicy(per_day=per_day, sure=sure))
    return feedback.drawn(chosen, from_text(chosen, learnt))


def _why_held(state: FeedbackState, evidence: Evidence, held: tuple[bool, ...]) -> tuple[str, ...]:
    return tuple(
        f"{one.family} at {one.subject} is held back: {by_whom(state.nothings, one.family)}"
        for one, is_held in zip(evidence.suspicions, held, strict=True)
        if is_held
    )


def _because(
    state: FeedbackState, now: feedback.Drawn, lasting: str, score: float
) -> tuple[str, ...]:
    bins = bins_of(lasting)
    worth = now.odds[np.arange(len(bins)), bins]
    order = [int(place) for place in np.argsort(-worth, kind="stable")[:_NAMED]]
    named = [f"{CHANNELS[place]} ({worth[place]:.1f})" for place in order if worth[place] > 0.0]
    spoke = (
        f"what was learnt of earlier trouble speaks at {score:.2f} of its line {now.line:.2f}: "
        f"{', '.join(named)}"
    )
    return (spoke, *(one.words for one in state.moves[-1:]))


def _learn_due(state: FeedbackState, policy: FeedbackPolicy, now: TimeNs) -> FeedbackState:
    """Learn from what waited long enough; the oldest also for want of room."""
    excess = len(state.waiting) - WAITING
    kept: list[Span] = []
    due: list[Span] = []
    for place, span in enumerate(state.waiting):
        patience = policy.answer_ns if span.incident_id else policy.report_ns
        over = place < excess or not 0 <= now - span.until < patience
        (due if over else kept).append(span)
    if not due:
        return state
    state = replace(state, waiting=tuple(kept))
    for span in due:
        state = _learn(state, policy, span, now)
    return state


def _learn(state: FeedbackState, policy: FeedbackPolicy, span: Span, now: TimeNs) -> FeedbackState:
    words = _words(span)
    chosen, before = config(policy), _drawn(state.learnt, policy)
    if span.missed and span.family is not None:
        state = without(state, span.family, span.confidence)
    if (not words and not span.incident_id) or not span.ticks:
        return state
    if not span.incident_id and any(word.trouble for word in words):
        state = replace(state, overlooked=min(state.overlooked + 1, _MOST))
    seen = feedback.Stretch(
        peaks=bins_of(span.peaks),
        worst=bins_of(span.worst),
        score=span.score,
        hours=(span.until - span.since) / HOUR,
        alarmed=bool(span.incident_id),
        touched=span.touched,
    )
    learner = feedback.learnt(chosen, from_text(chosen, state.learnt), before, seen, words)
    state = replace(state, learnt=to_text(learner), stopped=steady.changed(learner.steady))
    return _noted(state, policy, before.line, span, now)


def _words(span: Span) -> tuple[Word, ...]:
    words = [Word(source=Source.PERSON, trouble=one.real) for one in span.words]
    if span.missed:
        words.append(Word(source=Source.OBJECTIVES, trouble=True))
    if span.helped:
        words.append(Word(source=Source.OUTCOME, trouble=True))
    if not span.incident_id and not span.mute:
        words.append(Word(source=Source.SILENCE, trouble=False))
    return tuple(words)


def _noted(
    state: FeedbackState, policy: FeedbackPolicy, before: float, span: Span, now: TimeNs
) -> FeedbackState:
    """Return the state with the learnt line's move on record, where it moved."""
    after = _drawn(state.learnt, policy).line
    if np.isfinite(after) == np.isfinite(before) and not abs(after - before) > _MOVE * after:
        return state
    whom = " and ".join(dict.fromkeys(one.by for one in span.words)) or "what needed no words"
    said = f"the learnt line moved from {_line(before)} to {_line(after)}, by {whom}"
    about = f" on {span.incident_id}" if span.incident_id else ""
    return moved(state, now, said + about)


def _line(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "none"
