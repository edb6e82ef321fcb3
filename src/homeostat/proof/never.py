"""The properties that a policy writes itself: so many permitted actions like this, never.

`times: 1` is about any permitted action in any state; more is about a chain of them within a time,
from any state, with anything in between. An undo is no matter of such a property: it must always
be possible.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import z3

from homeostat.base.actions import ActionKind
from homeostat.base.policy import LeverLimit
from homeostat.proof.claim import Case, Claim
from homeostat.proof.moment import KINDS, LEVERS, Moment, Setting, moment
from homeostat.proof.smt import Term, is_true, term
from homeostat.proof.windows import Step, past, within
from homeostat.safety.tree import Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """What must never happen.

    Attributes:
        name: For scripts and people.
        text: The condition as it was written.
        when: The condition: true of each action that counts.
        kinds: Kinds of actions that count; empty for all.
        times: How many of them are too many.
        within_ms: Within this time; 0 where one is too many.
    """

    name: str
    text: str
    when: Expr
    kinds: tuple[ActionKind, ...] = ()
    times: int = 1
    within_ms: int = 0


def claim_of(wanted: Property) -> Claim:
    """Return a property as the prover takes it."""
    kinds = ", ".join(kind.value for kind in wanted.kinds) or "action"
    often = (
        "" if wanted.times == 1 else f"{wanted.times} times within {wanted.within_ms // 1000} s "
    )
    return Claim(
        name=wanted.name,
        promise=f"Never {often}a permitted {kinds} with {wanted.text}.",
        cases=lambda setting: _cases(setting, wanted),
    )


Watched = tuple[ActionKind, LeverLimit | None]
"""A kind of action, and the bounds of the lever that it moves."""


def _cases(setting: Setting, wanted: Property) -> Iterator[Case]:
    kinds = wanted.kinds or KINDS
    every = [one for kind in kinds for one in _watched(setting, kind)]
    if wanted.times == 1:
        for kind, limit in every:
            now = moment(setting, kind, "now", limit)
            yield Case(moments=(now,), terms=(now.with_a_yes, *_counts(setting, now, wanted)))
        return
    for one in every:  # of one lever: what people mean first, and what is easiest to read
        yield _chain(setting, (one,), wanted)
    if len(every) > 1:
        yield _chain(setting, every, wanted)


def _chain(setting: Setting, choices: Sequence[Watched], wanted: Property) -> Case:
    steps = [
        Step(
            moments=tuple(
                moment(setting, kind, f"{number}.{kind.value}.{which}", limit)
                for which, (kind, limit) in enumerate(choices)
            ),
            at=z3.Int(f"{number}.time"),
        )
        for number in range(wanted.times)
    ]
    counted = [
        z3.Implies(one.chosen, z3.And(*_counts(setting, one, wanted)))
        for step in steps
        for one in step.moments
    ]
    return Case(
        moments=tuple(one for step in steps for one in step.moments),
        terms=(*within(steps, wanted.within_ms), steps[0].at >= 0, *counted),
        links=tuple(past(steps, exact=False)),
        drawn=(*past(steps, exact=True), *_following(steps)),
        wished=tuple(_inside(one) for one in steps[0].moments if one.limit is not None),
    )


def _inside(one: Moment) -> Term:
    """Return that a lever begins within its bounds: nothing odd distracts from what is shown."""
    high = 0.0 if one.limit is None else one.limit.high
    return z3.Implies(one.chosen, one.live <= round(high * 1000))


def _counts(setting: Setting, one: Moment, wanted: Property) -> tuple[Term, ...]:
    meant = term(wanted.when, one.cells, setting.words)
    return (is_true(meant), z3.Not(one.cells["undo"].value))


def _following(steps: list[Step]) -> list[Term]:
    """Tie what a lever is to what the action before set it to, where one kind is repeated."""
    if len(steps[0].moments) > 1:
        return []
    chain = [step.moments[0] for step in steps]
    following = [later.live == earlier.wanted for earlier, later in pairwise(chain)]
    if chain[0].kind is ActionKind.SCALE_DOWN:
        following += [one.cells["peak"].value == chain[0].live / 1000 for one in chain]
    return following


def _watched(setting: Setting, kind: ActionKind) -> list[Watched]:
    """Return a kind with each of the bounds that its levers may have: of every pool, every lever.

    Whatever an action of the kind moves has one of them, or the guards refuse it for want of one.
    """
    found = {
        limit.lever: limit
        for lever in LEVERS.get(kind, ())
        for limit in setting.policy.limits
        if limit.lever == lever or limit.lever.startswith(lever)
    }
    return [(kind, limit) for limit in found.values()] or [(kind, None)]
