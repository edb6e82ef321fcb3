"""Compiles a rule's tree into closures for the hot path.

Means exactly what `tree.evaluate` means (a property test compares them); only faster: the shapes
that rules are made of (a field against a literal, a field against a field, a field itself) read
the facts directly instead of calling through two more functions.
"""

import operator
from collections.abc import Callable
from typing import Any

from homeostat.safety.tree import (
    Add,
    And,
    Compare,
    Const,
    Expr,
    Max,
    Member,
    Min,
    Not,
    Op,
    Or,
    Ref,
    Scale,
    Sub,
    Value,
)

Compiled = Callable[[dict[str, Value]], Any]
"""Takes facts that hold every field the tree reads; returns a `tree.Value`."""

_OPS: dict[Op, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compile_tree(expr: Expr) -> Compiled:  # noqa: C901, PLR0911 - one arm a node
    """Return a function from facts to the tree's value (None for unknown)."""
    match expr:
        case Const(value):
            return lambda _facts: value
        case Ref(name):
            return operator.itemgetter(name)
        case And(terms):
            return _junction(terms, stop=False)
        case Or(terms):
            return _junction(terms, stop=True)
        case Not(term):
            return _not(term)
        case Compare():
            return _compare(expr)
        case Member(term, of):
            return _member(term, of)
        case Add(left, right):
            return _arithmetic(operator.add, left, right)
        case Sub(left, right):
            return _arithmetic(operator.sub, left, right)
        case Scale(factor, term):
            return _arithmetic(operator.mul, Const(factor), term)
        case Min(terms):
            return _extreme(min, terms)
        case Max(terms):  # pragma: no branch
            return _extreme(max, terms)


def _junction(terms: tuple[Expr, ...], *, stop: bool) -> Compiled:
    parts = tuple(compile_tree(term) for term in terms)
    if len(parts) == 2:  # noqa: PLR2004 - the commonest junction has two terms
        return _pair(parts[0], parts[1], stop=stop)

    def run(facts: dict[str, Value]) -> Any:
        unknown = False
        for part in parts:
            value = part(facts)
            if value is stop:
                return stop
            if value is None:
                unknown = True
        return None if unknown else not stop

    return run


def _pair(first: Compiled, second: Compiled, *, stop: bool) -> Compiled:
    def run(facts: dict[str, Value]) -> Any:
        one = first(facts)
        if one is stop:
            return stop
        two = second(facts)
        if two is stop:
            return stop
        return None if one is None or two is None else not stop

    return run


def _not(term: Expr) -> Compiled:
    part = compile_tree(term)

    def run(facts: dict[str, Value]) -> Any:
        value = part(facts)
        return None if value is None else not value

    return run


def _compare(expr: Compare) -> Compiled:
    test = _OPS[expr.op]
    match expr.left, expr.right:
        case Ref(name), Const(limit):

            def against_literal(facts: dict[str, Value]) -> Any:
                value = facts[name]
                return None if value is None else test(value, limit)

            return against_literal
        case Ref(left_name), Ref(right_name):

            def against_field(facts: dict[str, Value]) -> Any:
                left = facts[left_name]
                right = facts[right_name]
                return None if left is None or right is None else test(left, right)

            return against_field
        case _:
            return _arithmetic(test, expr.left, expr.right)


def _member(term: Expr, of: tuple[bool | int | str, ...]) -> Compiled:
    part, allowed = compile_tree(term), frozenset(of)

    def run(facts: dict[str, Value]) -> Any:
        value = part(facts)
        return None if value is None else value in allowed

    return run


def _arithmetic(apply: Callable[[Any, Any], Any], left: Expr, right: Expr) -> Compiled:
    first, second = compile_tree(left), compile_tree(right)

    def run(facts: dict[str, Value]) -> Any:
        one = first(facts)
        two = second(facts)
        return None if one is None or two is None else apply(one, two)

    return run


def _extreme(choose: Callable[[list[Any]], Any], terms: tuple[Expr, ...]) -> Compiled:
    parts = tuple(compile_tree(term) for term in terms)

    def run(facts: dict[str, Value]) -> Any:
        values = [part(facts) for part in parts]
        return None if None in values else choose(values)

    return run
