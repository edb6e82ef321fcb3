"""Proves or refutes the promises of a policy.

*Proved* means that no state whatever breaks the promise; *refuted* that a state was found and the
real guards confirmed it; everything else, a solver that ran out of time above all, is *unknown*.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

import z3

from homeostat.proof.claim import Case, Claim
from homeostat.proof.claims import PACK
from homeostat.proof.claims_accounts import ACCOUNTS
from homeostat.proof.claims_capacity import ROOM
from homeostat.proof.moment import Setting
from homeostat.proof.question import draw, exists
from homeostat.proof.replay import Guard, Seen, holds, replay
from homeostat.proof.well import defaults, drawable
from homeostat.proof.windows import (
    CAPACITY_NAME,
    CAPACITY_OUTAGE,
    CAPACITY_PROMISE,
    LONGEST,
    TURNS,
    capacity_chain,
    capacity_kept,
    capacity_longer,
)

Verdict = Literal["proved", "refuted", "unknown"]
_UNDECIDED = "the solver did not answer in time"
_UNCONFIRMED = "a state was found that the real guards do not confirm; the model knows too little"
# What a chain itself says of its past.
_OF_THE_CHAIN: Final = frozenset({
    "acted",
    "since_ms",
    "hour",
    "fleet_hour",
    "grown",
    "shrunk",
    "turns",
})


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one promise.

    Attributes:
        name: The promise's name.
        promise: One sentence.
        verdict: Three answers.
        counterexample: What breaks it, step by step, empty unless refuted.
        replayed: That the real guards answered as the counterexample says.
        why: For an unknown verdict.
        outage: What the operator would live through, if refuted.
    """

    name: str
    promise: str
    verdict: Verdict
    counterexample: tuple[Seen, ...] = ()
    replayed: bool = False
    why: str = ""
    outage: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prover:
    """How to prove: what judges in earnest, and how long the solver may take.

    Attributes:
        guard: The real guards.
        timeout_ms: For one answer of the solver.
    """

    guard: Guard
    timeout_ms: int = 5000

    def pack(self, setting: Setting, more: Iterable[Claim] = ()) -> Iterator[Result]:
        """Yield the verdict on every promise of the safety pack, and on further ones."""
        for claim in PACK:
            yield self.claim(setting, claim)
        yield self.capacity(setting)
        yield self.claim(setting, TURNS)
        for claim in (*ROOM, *ACCOUNTS):
            yield self.claim(setting, claim)
        for claim in more:
            yield self.claim(setting, claim)

    def claim(self, setting: Setting, claim: Claim) -> Result:
        """Return the verdict on one promise."""
        blank = Result(name=claim.name, promise=claim.promise, verdict="proved")
        doubts = []
        for case in claim.cases(setting):
            found = self.case(setting, case)
            if isinstance(found, str):
                doubts.append(found)
            elif found:
                return replace(
                    blank, verdict="refuted", counterexample=found, replayed=True,
                    outage=claim.outage,
                )  # fmt: skip
        return replace(blank, verdict="unknown", why=doubts[0]) if doubts else blank

    def case(self, setting: Setting, case: Case) -> tuple[Seen, ...] | str:
        """Return the confirmed counterexample of one case, empty if there is none, or the doubt."""
        ties = [tie for one in case.moments for tie in one.ties]
        hard = [*ties, *case.links, *case.terms]
        if len(case.moments) == 1:
            hard.append(case.moments[0].chosen)
        found = exists(hard, self.timeout_ms)
        if found == "none":
            return ()
        if found == "unknown":
            return _UNDECIDED
        hard += [
            *case.drawn,
            *(
                z3.Implies(one.chosen, term)
                for one in case.moments
                for term in drawable(setting, one)
            ),
        ]
        soft = [
            (name, fact, z3.Implies(one.chosen, term))
            for one in case.moments
            for name, fact, term in defaults(setting, one)
            if len(case.moments) == 1 or fact not in _OF_THE_CHAIN
        ]
        soft += [("", "", wish) for wish in case.wished]
        drawn = draw(setting, case.moments, hard, soft, self.timeout_ms)
        if drawn is None:
            return _UNCONFIRMED
        seen = replay(setting, drawn, self.guard)
        return seen if holds(seen, case.answer) else _UNCONFIRMED

    def capacity(self, setting: Setting) -> Result:
        """Return the verdict on the replicas that may go within half an hour."""
        blank = Result(name=CAPACITY_NAME, promise=CAPACITY_PROMISE, verdict="proved")
        for limit in setting.policy.limits:
            if not limit.lever.startswith("replicas."):
                continue
            if self._nothing(capacity_kept(setting, limit)):
                continue
            found = self._unrolled(
                setting,
                lambda length, limit=limit: capacity_chain(setting, limit, length),  # type: ignore[misc]  # bound now
                lambda length, limit=limit: capacity_longer(setting, limit, length),  # type: ignore[misc]  # bound now
            )
            if isinstance(found, str):
                return replace(blank, verdict="unknown", why=found)
            if found:
                return replace(
                    blank, verdict="refuted", counterexample=found, replayed=True,
                    outage=CAPACITY_OUTAGE,
                )  # fmt: skip
        return blank

    def _nothing(self, case: Case) -> bool:
        """Return whether no state whatever is of a case."""
        ties = [tie for one in case.moments for tie in one.ties]
        return exists([*ties, *case.links, *case.terms], self.timeout_ms) == "none"

    def _unrolled(
        self,
        setting: Setting,
        broken: Callable[[int], Case],
        longer: Callable[[int], Case],
    ) -> tuple[Seen, ...] | str:
        """Look at longer and longer chains until none longer fits into the window."""
        doubt = ""
        for length in range(1, LONGEST + 1):
            found = self.case(setting, broken(length))
            if isinstance(found, str):
                doubt = found
            elif found:
                return found
            if self._nothing(longer(length + 1)):
                return doubt or ()
        return doubt or f"more than {LONGEST} such actions fit into the window"
