"""What a promise is to the prover, and the words that promises are made of.

A claim is a list of cases; each is refuted by a state in which its terms hold.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import z3

from homeostat.base.actions import ActionKind
from homeostat.base.policy import LeverLimit
from homeostat.proof.moment import LEVERS, Moment, Setting, moment
from homeostat.proof.smt import Term, is_true, term
from homeostat.safety.rule import EXEMPTIONS

Answer = Literal["runs", "runs or asks", "denied", "does not run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way in which a claim could be false.

    Attributes:
        moments: One moment, or several in their order.
        terms: What would hold then, over and above the moments' ties.
        links: Ties between the moments that always hold.
        drawn: Ties that hold of the deployments a counterexample is built from.
        wished: What makes a counterexample easier to read, if it may be had.
        answer: What the guards answer in each of the moments.
    """

    moments: tuple[Moment, ...]
    terms: tuple[Term, ...]
    links: tuple[Term, ...] = ()
    drawn: tuple[Term, ...] = ()
    wished: tuple[Term, ...] = ()
    answer: Answer = "runs or asks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One promise.

    Attributes:
        name: For scripts: lower-case words with dashes.
        promise: One sentence for people.
        cases: Makes the cases for a policy.
        outage: What the operator would live through without it.
    """

    name: str
    promise: str
    cases: Callable[[Setting], Iterator[Case]] = field(repr=False)
    outage: str = ""


def one(setting: Setting, kind: ActionKind, limit: LeverLimit | None = None) -> Moment:
    """Return a single moment."""
    return moment(setting, kind, "now", limit)


def lever_cases(setting: Setting) -> Iterator[tuple[ActionKind, LeverLimit]]:
    """Yield each kind with each limit of a lever that it may move."""
    for limit in setting.policy.limits:
        for kind, levers in LEVERS.items():
            if any(limit.lever == lever or limit.lever.startswith(lever) for lever in levers):
                yield kind, limit


def exempt(setting: Setting, now: Moment, *names: str) -> Term:
    """Return that one of some exemptions holds."""
    words = setting.words
    return z3.Or(*(is_true(term(EXEMPTIONS[name], now.cells, words)) for name in names))


def undone(now: Moment) -> Term:
    """Return that an action of ours is being taken back."""
    return now.cells["undo"].value


def one_more(now: Moment) -> Term:
    """Return that it is one replica more."""
    cells = now.cells
    wanted = z3.And(cells["added"].known, cells["added"].value == 1, z3.Not(undone(now)))
    return wanted if now.kind is ActionKind.SCALE_UP else z3.BoolVal(val=False)


def stale(now: Moment) -> Term:
    """Return that the latest tick is not known to be fresh."""
    age, fresh = now.cells["evidence_age_ms"], now.cells["fresh_ms"]
    return z3.Or(z3.Not(age.known), age.value < 0, age.value > fresh.value)
