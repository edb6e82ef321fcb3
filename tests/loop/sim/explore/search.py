"""Breadth first over every state that the moves reach: the first violation is a shortest."""

from collections import deque
from dataclasses import dataclass

from explore.moves import Moves, State, Violation
from explore.rules import Rules
from homeostat.base.intent import ActionState


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search has seen.

    Attributes:
        states: Distinct states.
        steps: Steps between them.
        ends: Final states of the record in the journal, as reached.
        violation: The first broken promise, empty if none.
        trace: The steps that lead to it.
        whole: Every reachable state was seen.
    """

    states: int
    steps: int
    ends: frozenset[ActionState]
    violation: str = ""
    trace: tuple[str, ...] = ()
    whole: bool = True


def search(rules: Rules, *, at_most: int = 2_000_000) -> Found:
    """Walk until everything is seen, something is wrong, or so many states are known."""
    moves = Moves(rules)
    first = moves.first()
    parents: dict[State, tuple[State, str] | None] = {first: None}
    queue, steps, ends = deque([first]), 0, set()
    while queue and len(parents) < at_most:
        state = queue.popleft()
        end = moves.parts.records[state.record].state
        if end.is_terminal:
            ends.add(end)
            if wrong := moves.wrong(state):
                return Found(states=len(parents), steps=steps, ends=frozenset(ends),
                             violation=wrong, trace=_trace(parents, state))  # fmt: skip
        for told, after in moves.after(state):
            steps += 1
            if isinstance(after, Violation):
                trace = (*_trace(parents, state), told)
                return Found(states=len(parents), steps=steps, ends=frozenset(ends),
                             violation=after.what, trace=trace)  # fmt: skip
            if after not in parents:
                parents[after] = (state, told)
                queue.append(after)
    return Found(states=len(parents), steps=steps, ends=frozenset(ends), whole=not queue)


def _trace(parents: dict[State, tuple[State, str] | None], state: State) -> tuple[str, ...]:
    told: list[str] = []
    while (before := parents[state]) is not None:
        state, step = before
        told.append(step)
    return tuple(reversed(told))
