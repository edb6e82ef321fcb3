"""Asks the solver, within a time that is stated; what it does not answer in it is unknown.

A counterexample is looked for among the states that differ least from a deployment that is well:
defaults are assumed, and only those that stand in the way are given up. So what a picture of it
shows beside the ordinary is what the failure needs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import z3

from homeostat.proof.moment import Moment, Setting
from homeostat.proof.smt import Term
from homeostat.safety.fields import TYPES
from homeostat.safety.tree import Value

Found = Literal["none", "some", "unknown"]
_MOST_GIVEN_UP: Final = 60  # rounds of giving up defaults; each gives up at least one


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One moment of a counterexample, as plain values.

    Attributes:
        kind: What is done.
        at_ms: When, in milliseconds from the first one.
        live: The lever's value before, in thousandths.
        wanted: Its value after.
        lever: The lever, empty where none is watched.
        facts: Every fact; None for unknown.
        odd: Facts that are not as in a deployment that is well.
    """

    kind: str
    at_ms: int
    live: int
    wanted: int
    lever: str
    facts: Mapping[str, Value]
    odd: tuple[str, ...]


def exists(terms: Sequence[Term], timeout_ms: int) -> Found:
    """Return whether some state satisfies all terms."""
    solver = z3.SolverFor("QF_LIA")
    solver.set("timeout", max(1, timeout_ms))
    solver.add(*terms)
    answer = solver.check()
    if answer == z3.unsat:
        return "none"
    return "some" if answer == z3.sat else "unknown"


def draw(
    setting: Setting,
    moments: Sequence[Moment],
    hard: Sequence[Term],
    soft: Sequence[tuple[str, str, Term]],
    timeout_ms: int,
) -> tuple[Drawn, ...] | None:
    """Return a state that satisfies the hard terms and nearly all soft ones; None if none is found.

    Args:
        setting: The policy.
        moments: The moments to read out.
        hard: What must hold.
        soft: (moment's name, fact, term) of what should.
        timeout_ms: For each of the solver's answers.
    """
    solver = z3.Solver()
    solver.set("timeout", max(1, timeout_ms))
    solver.add(*hard)
    held = {f"soft.{index}": one for index, one in enumerate(soft)}
    for label, (_, _, meant) in held.items():
        solver.add(z3.Implies(z3.Bool(label), meant))
    for _ in range(_MOST_GIVEN_UP):
        answer = solver.check(*(z3.Bool(label) for label in held))
        if answer == z3.sat:
            model = _nearer(solver, held, len(soft))
            return _read(setting, moments, model, soft)
        core = [] if answer != z3.unsat else [str(one) for one in solver.unsat_core()]
        if not core:
            return None
        for label in core:
            held.pop(label, None)
    return None


def _nearer(solver: Term, held: Mapping[str, object], count: int) -> Term:
    """Return a state that takes back defaults which were given up together with others."""
    kept, model = list(held), solver.model()
    for index in range(count):
        label = f"soft.{index}"
        if label in held:
            continue
        if solver.check(*(z3.Bool(one) for one in (*kept, label))) == z3.sat:
            kept.append(label)
            model = solver.model()
    return model


def _read(
    setting: Setting,
    moments: Sequence[Moment],
    model: Term,
    soft: Sequence[tuple[str, str, Term]],
) -> tuple[Drawn, ...]:
    done = [one for one in moments if z3.is_true(model.eval(one.chosen, model_completion=True))]
    start = _integer(model, done[0].at)
    found = []
    for one in done:
        facts = {name: _fact(setting, one, name, model) for name in TYPES if name in one.cells}
        odd = {fact for moment, fact, term in soft if moment == one.name and _is(model, term)}
        found.append(
            Drawn(
                kind=one.kind.value,
                at_ms=_integer(model, one.at) - start,
                live=_integer(model, one.live),
                wanted=_integer(model, one.wanted),
                lever="" if one.limit is None else one.limit.lever,
                facts=facts,
                odd=tuple(sorted(odd)),
            )
        )
    return tuple(found)


def _is(model: Term, term: Term) -> bool:
    """Return whether a default that was given up does not hold in the end."""
    return not z3.is_true(model.eval(term, model_completion=True))


def _integer(model: Term, term: Term) -> int:
    value = model.eval(term, model_completion=True)
    return int(value.as_long())


def _fact(setting: Setting, one: Moment, name: str, model: Term) -> Value:
    cell = one.cells[name]
    if not z3.is_true(model.eval(cell.known, model_completion=True)):
        return None
    value = model.eval(cell.value, model_completion=True)
    if TYPES[name] == "bool":
        return bool(z3.is_true(value))
    number = int(value.as_long())
    return setting.words.text(number) if TYPES[name] == "str" else number
