"""Claims about several actions within a stretch of time, from any state at all.

A chain of actions is unrolled: between two of them anything may happen (other actions, time,
any metrics), so facts about the past are only bounded by what the chain itself implies. That is
complete for "in any window" and needs no fix-point; a chain that cannot be longer ends the proof.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Final

import z3

from homeostat.base.actions import ActionKind
from homeostat.base.guard import CAPACITY_NS, TURNS_NS
from homeostat.base.policy import LeverLimit
from homeostat.base.units import MILLISECOND
from homeostat.proof.claim import Case, Claim
from homeostat.proof.moment import GROWS, HOUR_MS, SHRINKS, Moment, Setting, moment
from homeostat.proof.smt import Term

K = ActionKind
CAPACITY_MS: Final = CAPACITY_NS // MILLISECOND
TURNS_MS: Final = TURNS_NS // MILLISECOND
MOST_TURNS: Final = 2
_READABLE: Final = 12  # replicas that a picture shows well
LONGEST: Final = 8  # actions of a chain; a policy that lets more happen in a window is not proved


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One action of a chain: one of several kinds, at one time.

    Attributes:
        moments: One for each kind; exactly one is chosen.
        at: When, in milliseconds.
    """

    moments: tuple[Moment, ...]
    at: Term

    @property
    def term(self) -> Term:
        """That one of the kinds is chosen and the guards let it through."""
        return z3.And(
            z3.Or(*(one.chosen for one in self.moments)),
            *(z3.Not(z3.And(a.chosen, b.chosen)) for a, b in combinations(self.moments, 2)),
            *(
                z3.Implies(one.chosen, z3.And(one.with_a_yes, one.at == self.at))
                for one in self.moments
            ),
        )

    def any_of(self, kinds: Sequence[ActionKind]) -> Term:
        """Return that the chosen kind is one of some."""
        return z3.Or(*(one.chosen for one in self.moments if one.kind in kinds))


def step(
    setting: Setting, number: int, kinds: Sequence[ActionKind], limit: LeverLimit | None = None
) -> Step:
    """Return the action of that number in a chain."""
    moments = tuple(moment(setting, kind, f"{number}.{kind.value}", limit) for kind in kinds)
    return Step(moments=moments, at=z3.Int(f"{number}.time"))


def past(steps: Sequence[Step], *, exact: bool) -> list[Term]:
    """Return what a chain implies of the facts about the past.

    Args:
        steps: The chain.
        exact: Nothing else happens in between, and nothing happened before.
    """
    links: list[Term] = []
    for index, now in enumerate(steps):
        for one in now.moments:
            links += [
                z3.Implies(one.chosen, link) for link in _past(one, now, steps[:index], exact=exact)
            ]
        if index:
            links.append(now.at >= steps[index - 1].at)
    return links


def _past(one: Moment, now: Step, before: Sequence[Step], *, exact: bool) -> list[Term]:
    counts = {
        "hour": [z3.If(now.at - step.at < HOUR_MS, 1, 0) for step in before],
        "grown": [_counted(now, step, GROWS) for step in before],
        "shrunk": [_counted(now, step, SHRINKS) for step in before],
    }
    links = []
    for name, terms in counts.items():
        if name not in one.cells:
            continue
        total = z3.Sum(*terms) if terms else z3.IntVal(0)
        value = one.cells[name].value
        links.append(value == total if exact else value >= total)
    if exact:
        links.append(one.cells["fleet_hour"].value == one.cells["hour"].value)
    if before:
        gap = now.at - before[-1].at
        since = one.cells["since_ms"].value
        links.append(one.cells["acted"].value)
        links.append(since == gap if exact else since <= gap)
    return links


def _counted(now: Step, before: Step, kinds: Sequence[ActionKind]) -> Term:
    return z3.If(z3.And(now.at - before.at < HOUR_MS, before.any_of(kinds)), 1, 0)


def capacity_chain(setting: Setting, limit: LeverLimit, length: int) -> Case:
    """Return that so many actions within the window leave less than half of the replicas.

    Args:
        setting: The policy.
        limit: Bounds of the pool's replicas.
        length: Actions that take a replica from users.
    """
    steps, links, drawn = _taking(setting, limit, length)
    last = z3.Int(f"{length - 1}.after")
    terms = [*within(steps, CAPACITY_MS), 2 * last < z3.Int("0.before")]
    return Case(
        moments=tuple(one for step in steps for one in step.moments),
        terms=tuple(terms),
        links=tuple(links),
        drawn=tuple(drawn),
        wished=(z3.Int("0.before") <= _READABLE,),
    )


def capacity_kept(setting: Setting, limit: LeverLimit) -> Case:
    """Return that one action leaves less than half of the most that served within the window.

    If none can, then no chain of whatever length: what there was before its first action is
    remembered at its last (`_taking`).
    """
    steps, links, _ = _taking(setting, limit, 1)
    less = [
        z3.And(one.chosen, 2 * z3.Int("0.after") < one.cells["peak"].value)
        for one in steps[0].moments
    ]
    return Case(moments=steps[0].moments, terms=(steps[0].term, z3.Or(*less)), links=tuple(links))


def capacity_longer(setting: Setting, limit: LeverLimit, length: int) -> Case:
    """Return that so many actions that take a replica from users fit into the window at all."""
    steps, links, _ = _taking(setting, limit, length)
    return Case(
        moments=tuple(one for step in steps for one in step.moments),
        terms=tuple(within(steps, CAPACITY_MS)),
        links=tuple(links),
    )


def within(steps: Sequence[Step], window_ms: int) -> list[Term]:
    """Return that a chain is let through by the guards and fits into a window."""
    return [*(step.term for step in steps), steps[-1].at - steps[0].at < window_ms]


def _taking(
    setting: Setting, limit: LeverLimit, length: int
) -> tuple[list[Step], list[Term], list[Term]]:
    kinds = (K.SCALE_DOWN, K.DRAIN_REPLICA)
    steps = [step(setting, number, kinds, limit) for number in range(length)]
    links, drawn = past(steps, exact=False), past(steps, exact=True)
    for number, now in enumerate(steps):
        before, after = z3.Ints(f"{number}.before {number}.after")
        drained = z3.Sum(z3.IntVal(0), *(_drains(one) for one in steps[:number]))
        links += [after < before, now.at >= 0]
        for one in now.moments:
            taken = one.cells["taken"].value
            here = [before - after == taken, one.cells["left_in_pool"].value <= after]
            # The lever counts what serves and what the chain itself took out of rotation.
            out = z3.IntVal(0) if one.kind is K.DRAIN_REPLICA else drained
            here += [one.live == 1000 * (before + out), z3.Not(one.cells["undo"].value)]
            here.append(one.cells["left"].value == one.cells["left_in_pool"].value)
            # What there was before a step, and before those within the window, is remembered.
            most = one.cells["peak"].value
            here.append(most >= before)
            here += [
                z3.Implies(now.at - steps[earlier].at < CAPACITY_MS, most >= _before(earlier))
                for earlier in range(number)
            ]
            links += [z3.Implies(one.chosen, link) for link in here]
            if number:
                drawn.append(one.chosen == steps[0].moments[now.moments.index(one)].chosen)
        if number:
            previous = z3.Int(f"{number - 1}.after")
            links.append(before >= previous)
            drawn.append(before == previous)
    drawn += _peaks(setting, steps)
    return steps, links, drawn


def _before(number: int) -> Term:
    return z3.Int(f"{number}.before")


def _drains(one: Step) -> Term:
    return z3.If(one.any_of((K.DRAIN_REPLICA,)), 1, 0)


def _peaks(setting: Setting, steps: Sequence[Step]) -> list[Term]:
    """Tie the most replicas that are remembered to what the chain had."""
    window = setting.remembered_ms
    ties = []
    for number, now in enumerate(steps):
        peak = z3.Int(f"{number}.before")
        for earlier in range(number):
            # What there was before a step was there until that step.
            size = z3.Int(f"{earlier}.before")
            seen = z3.And(now.at - steps[earlier].at <= window, size > peak)
            peak = z3.If(seen, size, peak)
        ties += [z3.Implies(one.chosen, one.cells["peak"].value == peak) for one in now.moments]
    return ties


_LEVERS: Final = (
    ("replicas.", K.SCALE_UP, K.SCALE_DOWN),
    ("concurrency_max", K.RESIZE_UP, K.RESIZE_DOWN),
    ("batch_max", K.BATCH_UP, K.BATCH_DOWN),
)


def _turns(setting: Setting) -> Iterator[Case]:
    """A lever that turns once more than is promised needs one action more than turns."""
    for limit in setting.policy.limits:
        for lever, up, down in _LEVERS:
            if not limit.lever.startswith(lever):
                continue
            for first, second in ((down, up), (up, down)):
                yield _alternating(setting, limit, (first, second) * (MOST_TURNS // 2 + 1))


def _alternating(setting: Setting, limit: LeverLimit, kinds: Sequence[ActionKind]) -> Case:
    steps = [step(setting, number, (kind,), limit) for number, kind in enumerate(kinds)]
    moments = [now.moments[0] for now in steps]
    ahead = [z3.Not(one.cells["undo"].value) for one in moments]
    moves = [one.live != one.wanted for one in moments]
    window = steps[-1].at - steps[1].at < TURNS_MS
    following = [b.live == a.wanted for a, b in pairwise(moments)]
    return Case(
        moments=tuple(moments),
        terms=(*(now.term for now in steps), *ahead, *moves, window, steps[0].at >= 0),
        links=(*past(steps, exact=False), *_turned(steps, exact=False)),
        drawn=(
            *past(steps, exact=True),
            *following,
            *_rooms(moments),
            *_turned(steps, exact=True),
        ),
        wished=(steps[-1].at - steps[0].at < 2 * TURNS_MS,),
    )


def _turned(steps: Sequence[Step], *, exact: bool) -> list[Term]:
    """Tie the turns that are counted to an alternating chain, of which each step is one."""
    ties = []
    for number, now in enumerate(steps):
        lately = [z3.If(now.at - one.at < TURNS_MS, 1, 0) for one in steps[1 : number + 1]]
        total = z3.Sum(z3.IntVal(0), *lately)
        value = now.moments[0].cells["turns"].value
        ties.append(value == total if exact else value >= total)
    return ties


def _rooms(moments: Sequence[Moment]) -> list[Term]:
    """The most replicas within any window are at most those of the whole chain."""
    if moments[0].kind not in {K.SCALE_UP, K.SCALE_DOWN}:
        return []
    tops = [z3.If(one.live > one.wanted, one.live, one.wanted) / 1000 for one in moments]
    most = tops[0]
    for top in tops[1:]:
        most = z3.If(top > most, top, most)
    return [one.cells["peak"].value == most for one in moments]


TURNS: Final = Claim(
    name="turns",
    promise="No lever of capacity (replicas, concurrency, batch) turns round more than twice in "
    "any 15 minutes; an undo is no turn.",
    cases=_turns,
    outage="Scaling in and out chase each other, and every round starts and stops replicas.",
)
CAPACITY_NAME: Final = "capacity"
CAPACITY_PROMISE: Final = (
    "Scaling in and draining never take more than half of the stable pool's serving replicas "
    "within any 30 minutes; taking back what was only on trial is no loss."
)
CAPACITY_OUTAGE: Final = (
    "A quiet spell, or a measurement that says so, and most of the capacity is gone before the "
    "next peak; the way up takes as long as replicas take to start."
)
