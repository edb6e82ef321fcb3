"""Asking the twin before an action that is not exempt, and never waiting for it beyond a deadline.

The question is a command and the answer a journaled event, so that a replay needs no twin. No
answer in time is an answer: unknown, which permits nothing (see `safety`). What is exempt (undo,
rollback, one replica, one more replica) is never kept waiting, and goes before more of the same
that would have to wait.
"""

from collections.abc import Sequence
from dataclasses import replace

from homeostat.base.actions import Action, Proposal
from homeostat.base.events import Command, Rehearse, Rehearsed
from homeostat.base.rehearsal import Rehearsal, Trust
from homeostat.base.state import LoopState, Question
from homeostat.base.units import TimeNs

Stepped = tuple[LoopState, tuple[Command, ...]]

# The program is compiled for so many candidates beside HOLD; a runbook names fewer.
MOST_CANDIDATES = 11
NO_ANSWER = "nothing was rehearsed: no answer in time"


def ask(
    state: LoopState, wanted: Sequence[Action], proposal: Proposal, now: TimeNs
) -> tuple[LoopState, tuple[Command, ...] | None]:
    """Return the commands with which to wait for the twin, None if there is nothing to wait for.

    Args:
        state: The deployment's state.
        wanted: Candidates, best first.
        proposal: What would be decided now.
        now: The time.
    """
    action, twin = proposal.action, state.managed.twin
    if twin is None or action.is_passive or action.exempt:
        return state, None
    question = state.question
    if question is not None and not question.answered:
        if now < question.deadline:
            return state, ()
        state = _settled(state, unanswered(question))
    if covers(state, action, now):
        return state, None
    asked = tuple(one for one in wanted if not one.is_passive and proposal.safe_set.holds(one))
    return _ask(state, asked[:MOST_CANDIDATES], now)


def at_once(state: LoopState, proposal: Proposal, now: TimeNs) -> Proposal:
    """Return the proposal, or the exempt step of the same kind where the larger one would wait.

    Args:
        state: The deployment's state.
        proposal: What would be decided now.
        now: The time.
    """
    action = proposal.action
    waits = state.managed.twin is not None and not (action.is_passive or action.exempt)
    if not waits or covers(state, action, now):
        return proposal
    same = (
        one
        for one in proposal.safe_set.allowed
        if one.exempt and (one.kind, one.subject) == (action.kind, action.subject)
    )
    return replace(proposal, action=next(same, action))


def answered(state: LoopState, event: Rehearsed) -> LoopState:
    """Return the state with an answer; one to another question changes nothing."""
    question = state.question
    if question is None or question.answered or question.id != event.rehearsal.id:
        return state
    if event.at > question.deadline:
        return _settled(state, unanswered(question))
    return _settled(state, event.rehearsal)


def unanswered(question: Question | Rehearse, why: str = "no answer in time") -> Rehearsal:
    """Return the rehearsal that a silence comes to, or one that could not be.

    Args:
        question: What was asked.
        why: Why there is no answer.
    """
    return Rehearsal(
        id=question.id,
        at=question.at,
        horizon_ns=0,
        draws=0,
        prospects=(),
        trust=Trust(reasons=(f"nothing was rehearsed: {why}",)),
    )


def _settled(state: LoopState, rehearsal: Rehearsal) -> LoopState:
    if state.question is None:
        raise AssertionError("an answer without a question")
    return replace(state, rehearsal=rehearsal, question=replace(state.question, answered=True))


def covers(state: LoopState, action: Action, now: TimeNs) -> bool:
    """Return whether the last question was about this action, for this incident, a moment ago."""
    twin, incident, question = state.managed.twin, state.incident, state.question
    if question is None or not question.answered:
        return False
    same = question.incident_id == (incident.id if incident is not None else "")
    young = twin is not None and now - question.at <= twin.good_ns
    return same and young and action in question.candidates


def _ask(state: LoopState, candidates: tuple[Action, ...], now: TimeNs) -> Stepped:
    twin = state.managed.twin
    if twin is None:
        raise AssertionError("nobody to ask")
    number = state.questions + 1
    question = Question(
        id=f"r-{number:04d}",
        incident_id=state.incident.id if state.incident is not None else "",
        at=now,
        deadline=TimeNs(now + twin.deadline_ns),
        candidates=candidates,
    )
    command = Rehearse(
        id=question.id,
        deployment=state.managed.name,
        at=now,
        candidates=candidates,
        horizon_ns=twin.horizon_ns,
        draws=twin.draws,
        seed=number,
        deadline=question.deadline,
    )
    state = replace(state, questions=number, question=question, rehearsal=None)
    return state, (command,)
