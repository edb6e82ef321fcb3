"""One rule, four readers: the plain evaluation, the closures, the solver, and CEL itself."""

import random
from collections.abc import Iterator

import cel
import celpy
import celpy.adapter
import pytest
import z3

from homeostat.proof.smt import Cell, Words, literal, strings_of, term, variable
from homeostat.proof.spelling import spell
from homeostat.safety.closures import compile_tree
from homeostat.safety.fields import TYPES
from homeostat.safety.rule import EXEMPTIONS
from homeostat.safety.rules import RULES
from homeostat.safety.tree import (
    Add,
    Compare,
    Const,
    Expr,
    Max,
    Member,
    Min,
    Not,
    Or,
    Ref,
    Scale,
    Sub,
    Value,
    evaluate,
    fields_of,
)

# Nodes that no built-in rule has.
MORE: tuple[Expr, ...] = (
    Compare("<", Min((Ref("left"), Sub(Ref("peak"), Const(1)), Ref("taken"))), Ref("hour")),
    Compare("!=", Max((Ref("left"), Scale(-2, Ref("peak")))), Add(Ref("hour"), Ref("tries"))),
    Not(Member(Ref("left"), (0, 2, 3))),
    Or((Compare("==", Ref("frozen"), Ref("foreign")), Ref("undo"))),
)
TREES = (*(rule.require for rule in RULES), *EXEMPTIONS.values(), *MORE)
WORDS = Words(tuple(sorted(strings_of(TREES))))
SOME = 2000  # points in the check; the long form has the figure that is promised
MANY = 100_000
UNKNOWN = 0.15  # of the facts; more and nearly every answer is unknown


def points(count: int, seed: int) -> Iterator[tuple[Expr, dict[str, Value]]]:
    """Yield a tree and facts for it, some unknown, numbers near each other so that ties occur."""
    rng = random.Random(seed)
    for number in range(count):
        tree = TREES[number % len(TREES)]
        yield tree, {name: fact(name, rng) for name in sorted(set(fields_of(tree)))}


def fact(name: str, rng: random.Random) -> Value:
    if rng.random() < UNKNOWN:
        return None
    match TYPES[name]:
        case "bool":
            return rng.random() < 0.5
        case "int":
            return rng.choice((rng.randrange(-2, 5), rng.randrange(-(10**9), 10**9)))
        case "str":
            return rng.choice(WORDS.known)


def by_solver(tree: Expr, facts: dict[str, Value]) -> Value:
    # Every second fact is a literal, as those that a policy fixes are.
    free = [name for number, name in enumerate(facts) if number % 2 or facts[name] is None]
    cells: dict[str, Cell] = {
        name: variable(name, TYPES[name]) if name in free else literal(facts[name], WORDS)
        for name in facts
    }
    found = term(tree, cells, WORDS)
    here = []
    for name in free:
        cell = cells[name]
        value = literal(facts[name], WORDS)
        absent = z3.BoolVal(val=False) if TYPES[name] == "bool" else z3.IntVal(0)
        here += [
            (cell.known, value.known),
            (cell.value, absent if facts[name] is None else value.value),
        ]
    known, value = (z3.simplify(z3.substitute(one, *here)) for one in (found.known, found.value))
    return z3.is_true(value) if z3.is_true(known) else None


def by_cel(tree: Expr, facts: dict[str, Value]) -> Value:
    """Evaluate with what is unknown not declared: CEL's errors are absorbed as Kleene's unknown."""
    try:
        return bool(
            cel.evaluate(spell(tree, cel=True), {k: v for k, v in facts.items() if v is not None})
        )
    except RuntimeError:
        return None


def mismatches(count: int, seed: int) -> list[tuple[str, dict[str, Value]]]:
    found = []
    for tree, facts in points(count, seed):
        wanted = evaluate(tree, facts)
        answers = (compile_tree(tree)(facts), by_solver(tree, facts), by_cel(tree, facts))
        if any(answer is not wanted for answer in answers):
            found.append((spell(tree), facts))
    return found


@pytest.mark.slow
def test_closures_solver_and_cel_read_the_rules_alike() -> None:
    assert mismatches(SOME, seed=1) == []


@pytest.mark.long
def test_closures_solver_and_cel_read_the_rules_alike_at_a_hundred_thousand_points() -> None:
    assert mismatches(MANY, seed=2) == []


def test_the_points_see_every_answer() -> None:
    answers = [evaluate(tree, facts) for tree, facts in points(SOME, seed=1)]
    assert min(answers.count(answer) for answer in (True, False, None)) > SOME // 10


@pytest.mark.long
def test_cel_python_reads_the_rules_alike_where_all_is_known() -> None:
    environment = celpy.Environment()
    programs = {
        tree: environment.program(environment.compile(spell(tree, cel=True))) for tree in TREES
    }
    rng = random.Random(3)
    for number in range(2000):
        tree = TREES[number % len(TREES)]
        facts = dict.fromkeys(fields_of(tree))
        while None in facts.values():
            facts = {name: fact(name, rng) for name in facts}
        said = programs[tree].evaluate({k: celpy.adapter.json_to_cel(v) for k, v in facts.items()})
        assert bool(said) is evaluate(tree, facts), (spell(tree), facts)
