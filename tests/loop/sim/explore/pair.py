"""Two controllers and two deployments that share something: never do both change at once.

Each deployment is the model of `moves`; the lead, a crash and the time are both's. The second
action may begin at any moment, by whoever believes to lead, if the guard allows it: what that
controller knows of the first is done, or has not begun to write. An undo is exempt, as in guards.

The two meet in three places: the guard's question when the second begins, a write that lands while
the other is writing, and what happens to both. A deployment whose record has ended answers the
first with yes; if nothing that is left of it (late messages, tasks of who was deposed) can land or
break a promise in any order, it cannot matter any more and is taken for over. That leaves out steps
that change nothing anybody looks at.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from explore.moves import NOBODY, Move, Moves, State, Violation
from explore.rules import Rules
from explore.search import Found
from homeostat.base.intent import ActionState

TIME: Final = "time"
_NOT_WRITING: Final = frozenset({ActionState.PROPOSED, ActionState.AWAITING_APPROVAL})


class Over(NamedTuple):
    """A deployment with which nothing can happen any more that matters."""


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
        leaves_out: What is left of a deployment that ended is left out where it cannot matter.
    """

    def __init__(self, rules: Rules, *, shares: bool = True, leaves_out: bool = True) -> None:
        self._rules, self._shares = rules, shares
        self.leaves_out = leaves_out and rules.fenced  # else who was deposed may begin
        self.moves = Moves(rules)
        self.ends = set[ActionState]()
        self._quiet: dict[State, bool] = {}

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
                if _is_shared(told):
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
        if any(isinstance(one, State) for one in (pair.first, pair.second)):
            yield TIME
        elif pair.second is not None:
            return  # both are over
        yield from _hands(pair.believes, pair.takeovers, pair.crashes)

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
        if not _lands(told) or not isinstance(other, State):
            return None
        if self._rests(other.record):
            return None
        state = self.moves.parts.records[other.record].state
        return Violation(f"a write lands while the other deployment, that shares, is {state}")

    def shortest(self, pair: Pair) -> Pair:
        """Return a state with whatever is left out of it that can be."""
        first, second = pair.first, pair.second
        return pair._replace(
            first=self._settled(first) if isinstance(first, State) else first,
            second=self._settled(second) if isinstance(second, State) else second,
        )

    def _settled(self, state: State) -> State | Over:
        """Return a deployment in its shortest form."""
        end = self.moves.parts.records[state.record].state
        if not end.is_terminal or not self._is_quiet(state):
            return state
        self.ends.add(end)
        return Over()

    def _is_quiet(self, state: State) -> bool:
        """Return whether nothing that is left of an ended deployment can matter, in any order."""
        if not self.leaves_out:
            busy = state.messages or any(one.tasks for one in state.controllers)
            return not busy and not self.moves.wrong(state)
        if state not in self._quiet:
            seen = self._left(state)
            # What only quiet states lead to is quiet; of one that is not, nothing more is known.
            self._quiet.update(dict.fromkeys(seen, True) if seen else {state: False})
        return self._quiet[state]

    def _left(self, state: State) -> set[State]:
        """Return all that an ended deployment may still come to; nothing if any of it matters."""
        seen, waiting = {state}, [state]
        while waiting:
            one = waiting.pop()
            if self.moves.wrong(one):
                return set()
            for told, after in self._whatever(one):
                if isinstance(after, Violation) or _lands(told):
                    return set()
                if after not in seen and not self._quiet.get(after, False):
                    seen.add(after)
                    waiting.append(after)
        return seen

    def _whatever(self, state: State) -> Iterator[Move]:
        """Yield what may happen to a deployment by itself, and with the other one."""
        for told, after in self.moves.after(state):
            if not _is_shared(told):
                yield told, after
        # Whoever may ever take the lead or lose it, whatever it believes now: rather one too many.
        hands = (*_hands((0, 0), state.takeovers, 0), *_hands((1, 1), 0, state.crashes))
        for told in (TIME, *hands):
            yield told, self.moves.jointly(state, told)


def _hands(believes: tuple[int, int], takeovers: int, crashes: int) -> Iterator[str]:
    """Yield how the lead may change hands or be lost."""
    for who in (0, 1):
        if takeovers and not believes[who]:
            yield f"c{who} leads"
        if crashes and believes[who]:
            yield f"c{who} crashes"


def _is_shared(told: str) -> bool:
    return told == TIME or told.endswith((" leads", " crashes"))


def _lands(told: str) -> bool:
    """Return whether a write lands that is no undo."""
    return ": lands" in told and ".undo" not in told


def _put(pair: Pair, place: int, one: State | Over) -> Pair:
    return pair._replace(first=one) if place == 0 else pair._replace(second=one)


def search(rules: Rules, *, at_most: int, shares: bool = True, leaves_out: bool = True) -> Found:
    """Walk until everything is seen, something is wrong, or so many states are known.

    Args:
        rules: Of each deployment, and of the journal.
        at_most: States.
        shares: As in `Pairs`.
        leaves_out: As in `Pairs`.
    """
    pairs = Pairs(rules, shares=shares, leaves_out=leaves_out)
    first = pairs.begin()
    parents: dict[Pair, tuple[Pair, str] | None] = {first: None}
    queue, steps, ends = deque([first]), 0, pairs.ends
    while queue and len(parents) < at_most:
        pair = queue.popleft()
        for one in (pair.first, pair.second):
            if isinstance(one, State) and (wrong := pairs.moves.wrong(one)):
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


def reached(pairs: Pairs, *, at_most: int) -> list[Pair]:
    """Return the states that a walk comes to, in its order, where nothing is wrong.

    Args:
        pairs: The steps.
        at_most: States; more than all of them for all of them.
    """
    first = pairs.begin()
    found, queue = {first: None}, deque([first])
    while queue and len(found) < at_most:
        for _, after in pairs.after(queue.popleft()):
            if isinstance(after, Pair) and after not in found:
                found[after] = None
                queue.append(after)
    return list(found)


def _trace(parents: dict[Pair, tuple[Pair, str] | None], pair: Pair) -> tuple[str, ...]:
    told: list[str] = []
    while (before := parents[pair]) is not None:
        pair, step = before
        told.append(step)
    return tuple(reversed(told))
