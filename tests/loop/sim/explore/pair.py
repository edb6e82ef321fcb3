"""Two controllers and two deployments that share something: never do both change at once.

Each deployment is the model of `moves`; the lead, a crash and the time are both's. The second
action may begin at any moment, by whoever believes to lead, if the guard allows it: what that
controller knows of the first is done, or has not begun to write. An undo is exempt, as in guards.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from explore.moves import NOBODY, Moves, State, Violation
from explore.rules import Rules
from explore.search import Found
from homeostat.base.intent import ActionState

TIME: Final = "time"
_NOT_WRITING: Final = frozenset({ActionState.PROPOSED, ActionState.AWAITING_APPROVAL})


class Over(NamedTuple):
    """A deployment with which nothing can happen any more."""

    end: ActionState


class Pair(NamedTuple):
    """Both; the second has nothing to do until its action begins."""

    first: State | Over
    second: State | Over | None
    believes: tuple[int, int]  # epoch under which each controller believes to lead; 0: it does not
    takeovers: int
    crashes: int


Step = tuple[str, Pair | Violation]


class Pairs:
    """The steps of two deployments under one set of rules.

    Args:
        rules: Of each of them, and of the journal that they share.
        shares: The guard is asked whether the other one changes; without it this search finds two.
    """

    def __init__(self, rules: Rules, *, shares: bool = True) -> None:
        self._rules, self._shares = rules, shares
        self.moves = Moves(rules)

    def begin(self) -> Pair:
        """Return where it begins: the first controller leads, with an action of the first."""
        return Pair(self.moves.first(), None, (1, 0), self._rules.takeovers, self._rules.crashes)

    def after(self, pair: Pair) -> Iterator[Step]:
        """Yield every step and what it leads to."""
        for place, own in enumerate((pair.first, pair.second)):
            if not isinstance(own, State):
                continue
            other = (pair.second, pair.first)[place]
            for told, after in self.moves.after(own):
                if told == TIME or told.endswith((" leads", " crashes")):
                    continue  # these happen to both
                name = f"d{place + 1} {told}"
                if isinstance(after, Violation):
                    yield name, after
                else:
                    wrong = self._wrong(told, other)
                    yield name, wrong or _put(pair, place, self._settled(after))
        for told in self._shared(pair):
            yield told, self._jointly(pair, told)
        if pair.second is None:
            yield from self._begins(pair)

    def _shared(self, pair: Pair) -> Iterator[str]:
        if not any(isinstance(one, State) for one in (pair.first, pair.second)):
            return
        yield TIME
        for who in (0, 1):
            if pair.takeovers and not pair.believes[who]:
                yield f"c{who} leads"
            if pair.crashes and pair.believes[who]:
                yield f"c{who} crashes"

    def _jointly(self, pair: Pair, told: str) -> Pair:
        both = [
            self._settled(self.moves.jointly(one, told)) if isinstance(one, State) else one
            for one in (pair.first, pair.second)
        ]
        who, believes = int(told[1] == "1"), list(pair.believes)
        first = both[0] if both[0] is not None else pair.first
        after = pair._replace(first=first, second=both[1])
        if told.endswith(" leads"):
            believes[who] = max(pair.believes) + 1 if self._rules.reclaims else max(pair.believes)
            if self._rules.fenced:
                believes[1 - who] = 0
            after = after._replace(takeovers=pair.takeovers - 1)
        if told.endswith(" crashes"):
            believes[who] = 0
            after = after._replace(crashes=pair.crashes - 1)
        return after._replace(believes=(believes[0], believes[1]))

    def _begins(self, pair: Pair) -> Iterator[Step]:
        for who in (0, 1):
            if not pair.believes[who] or (self._shares and not self._allows(pair.first, who)):
                continue
            second = self.moves.begun(pair.believes, who, pair.takeovers, pair.crashes)
            yield f"c{who} begins d2", pair._replace(second=second)

    def _allows(self, first: State | Over, who: int) -> bool:
        """Return what the guard says to a controller that knows this much of the first."""
        if isinstance(first, Over):
            return True
        number = first.controllers[who].record
        return self._rests(number) if number != NOBODY else self._rests(first.record)

    def _rests(self, number: int) -> bool:
        state = self.moves.parts.records[number].state
        return state.is_terminal or state in _NOT_WRITING

    def _wrong(self, told: str, other: State | Over | None) -> Violation | None:
        """Return what a step of one deployment breaks beside the other, None if nothing."""
        if ": lands" not in told or ".undo" in told or not isinstance(other, State):
            return None
        if self._rests(other.record):
            return None
        state = self.moves.parts.records[other.record].state
        return Violation(f"a write lands while the other deployment, that shares, is {state}")

    def _settled(self, state: State) -> State | Over:
        """Return a deployment in its shortest form."""
        end = self.moves.parts.records[state.record].state
        busy = state.messages or any(one.tasks for one in state.controllers)
        return state if busy or not end.is_terminal or self.moves.wrong(state) else Over(end)


def _put(pair: Pair, place: int, one: State | Over) -> Pair:
    return pair._replace(first=one) if place == 0 else pair._replace(second=one)


def search(rules: Rules, *, at_most: int, shares: bool = True) -> Found:
    """Walk until everything is seen, something is wrong, or so many states are known."""
    pairs = Pairs(rules, shares=shares)
    first = pairs.begin()
    parents: dict[Pair, tuple[Pair, str] | None] = {first: None}
    queue, steps, ends = deque([first]), 0, set[ActionState]()
    while queue and len(parents) < at_most:
        pair = queue.popleft()
        for one in (pair.first, pair.second):
            if isinstance(one, Over):
                ends.add(one.end)
            elif one is not None and (wrong := pairs.moves.wrong(one)):
                return Found(states=len(parents), steps=steps, ends=frozenset(ends),
                             violation=wrong, trace=_trace(parents, pair))  # fmt: skip
        for told, after in pairs.after(pair):
            steps += 1
            if isinstance(after, Violation):
                trace = (*_trace(parents, pair), told)
                return Found(states=len(parents), steps=steps, ends=frozenset(ends),
                             violation=after.what, trace=trace)  # fmt: skip
            if after not in parents:
                parents[after] = (pair, told)
                queue.append(after)
    return Found(states=len(parents), steps=steps, ends=frozenset(ends), whole=not queue)


def _trace(parents: dict[Pair, tuple[Pair, str] | None], pair: Pair) -> tuple[str, ...]:
    told: list[str] = []
    while (before := parents[pair]) is not None:
        pair, step = before
        told.append(step)
    return tuple(reversed(told))
