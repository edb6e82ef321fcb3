"""What a promise is to the solver: the ways in which it could be false, and what would show it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from homeostat.proof.moment import Moment, Setting
from homeostat.proof.smt import Term

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
