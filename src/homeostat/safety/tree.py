"""The guard rules' syntax tree: total, loop-free, typed, with a third truth value.

A rule is data, never a Python lambda, so that the same text can run in the hot path (`closures`),
be handed to a solver and be exported. Values are booleans, integers (counts, milliseconds or
thousandths) and strings that are only compared for equality. A field that is not known is `None`
and spreads by Kleene's strong logic: what cannot be decided is unknown, never true. There is on
purpose no node that asks whether a field is known: with it a rule could permit more in doubt.
Source: Kleene, "Introduction to Metamathematics" (1952), section 64.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Value = bool | int | str | None
Facts = Mapping[str, Value]
Type = Literal["bool", "int", "str"]
Op = Literal["==", "!=", "<", "<=", ">", ">="]

ORDER_OPS = frozenset({"<", "<=", ">", ">="})


@dataclass(frozen=True, slots=True)
class Const:
    """A literal."""

    value: bool | int | str


@dataclass(frozen=True, slots=True)
class Ref:
    """A field of the facts."""

    name: str


@dataclass(frozen=True, slots=True)
class Compare:
    """A comparison; order only between integers."""

    op: Op
    left: "Expr"
    right: "Expr"


@dataclass(frozen=True, slots=True)
class And:
    """True when all are, false when one is not, else unknown."""

    terms: tuple["Expr", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """True when one is, false when none is, else unknown."""

    terms: tuple["Expr", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Negation; unknown stays unknown."""

    term: "Expr"


@dataclass(frozen=True, slots=True)
class Add:
    """Sum of two integers."""

    left: "Expr"
    right: "Expr"


@dataclass(frozen=True, slots=True)
class Sub:
    """Difference of two integers."""

    left: "Expr"
    right: "Expr"


@dataclass(frozen=True, slots=True)
class Scale:
    """An integer times a constant; keeps every rule linear."""

    factor: int
    term: "Expr"


@dataclass(frozen=True, slots=True)
class Min:
    """Smallest of integers; unknown if one is."""

    terms: tuple["Expr", ...]


@dataclass(frozen=True, slots=True)
class Max:
    """Largest of integers; unknown if one is."""

    terms: tuple["Expr", ...]


@dataclass(frozen=True, slots=True)
class Member:
    """Whether a value is one of some literals of its type."""

    term: "Expr"
    of: tuple[bool | int | str, ...]


Expr = Const | Ref | Compare | And | Or | Not | Add | Sub | Scale | Min | Max | Member


def children(expr: Expr) -> tuple[Expr, ...]:
    """Return the direct parts of a node, left to right."""
    match expr:
        case Const() | Ref():
            return ()
        case And(terms) | Or(terms) | Min(terms) | Max(terms):
            return terms
        case Not(term) | Scale(_, term) | Member(term, _):
            return (term,)
        case Compare(_, left, right) | Add(left, right) | Sub(left, right):  # pragma: no branch
            return (left, right)


def fields_of(expr: Expr) -> Iterator[str]:
    """Yield the names of the fields a tree reads, left to right, repeats included."""
    if isinstance(expr, Ref):
        yield expr.name
    for child in children(expr):
        yield from fields_of(child)


def type_of(expr: Expr, fields: Mapping[str, Type]) -> Type:  # noqa: C901 - one arm a node
    """Return the type of a tree, having checked every node.

    Args:
        expr: The tree.
        fields: Type of each field that may be read.

    Raises:
        TypeError: A node has a part of the wrong type, an unknown field or no parts.

    >>> type_of(Compare("<=", Ref("n"), Const(3)), {"n": "int"})
    'bool'
    """
    match expr:
        case Const(value):
            return _literal(value)
        case Ref(name):
            if name not in fields:
                raise TypeError(f"no field {name!r}")
            return fields[name]
        case And(terms) | Or(terms) | Min(terms) | Max(terms):
            part: Type = "bool" if isinstance(expr, And | Or) else "int"
            if not terms:
                raise TypeError(f"{type(expr).__name__} without terms")
            return _all(part, terms, fields)
        case Not(term):
            return _all("bool", (term,), fields)
        case Add(left, right) | Sub(left, right):
            return _all("int", (left, right), fields)
        case Scale(_, term):
            return _all("int", (term,), fields)
        case Member(term, of):
            of_type = type_of(term, fields)
            if not of or any(_literal(value) != of_type for value in of):
                raise TypeError(f"membership of {of_type} in {of!r}")
            return "bool"
        case Compare(op, left, right):  # pragma: no branch
            kind = type_of(left, fields)
            if op in ORDER_OPS and kind != "int":
                raise TypeError(f"{op} compares integers, got {kind}")
            _all(kind, (left, right), fields)
            return "bool"


def evaluate(expr: Expr, facts: Facts) -> Value:
    """Return a tree's value, None for unknown: the plain reading that `closures` must agree with.

    Total for trees that `type_of` accepts and facts of the declared types; a field that the facts
    lack is unknown.
    """
    match expr:
        case Const(value):
            return value
        case Ref(name):
            return facts.get(name)
        case And(terms):
            return _and([evaluate(term, facts) for term in terms])
        case Or(terms):
            return _or([evaluate(term, facts) for term in terms])
        case Not(term):
            truth = evaluate(term, facts)
            return None if truth is None else not truth
        case Member(term, of):
            found = evaluate(term, facts)
            return None if found is None else found in of
        case Compare(op, left, right):
            return compare(op, evaluate(left, facts), evaluate(right, facts))
        case Add() | Sub() | Scale() | Min() | Max():  # pragma: no branch
            return _number(expr, [evaluate(child, facts) for child in children(expr)])


def compare(op: Op, left: Value, right: Value) -> bool | None:
    """Compare two values; unknown if one of them is.

    Raises:
        TypeError: Order was asked of something that is not two integers.
    """
    if left is None or right is None:
        return None
    if op in ORDER_OPS and (isinstance(left, str) or isinstance(right, str)):
        raise TypeError(f"{op} compares integers, got {left!r} and {right!r}")
    match op:
        case "==":
            return left == right
        case "!=":
            return left != right
        case "<":
            return left < right  # type: ignore[operator]  # strings were refused above
        case "<=":
            return left <= right  # type: ignore[operator]  # as above
        case ">":
            return left > right  # type: ignore[operator]  # as above
        case ">=":  # pragma: no branch
            return left >= right  # type: ignore[operator]  # as above


def _and(values: list[Value]) -> bool | None:
    if any(value is False for value in values):
        return False
    return None if None in values else True


def _or(values: list[Value]) -> bool | None:
    if any(value is True for value in values):
        return True
    return None if None in values else False


def _number(expr: Add | Sub | Scale | Min | Max, values: list[Value]) -> int | None:
    numbers = [value for value in values if isinstance(value, int)]
    if len(numbers) < len(values):
        return None
    match expr:
        case Add():
            return numbers[0] + numbers[1]
        case Sub():
            return numbers[0] - numbers[1]
        case Scale(factor, _):
            return factor * numbers[0]
        case Min():
            return min(numbers)
        case Max():  # pragma: no branch
            return max(numbers)


def _literal(value: object) -> Type:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, str):
        return "str"
    raise TypeError(f"a literal is a bool, an int or a str, got {value!r}")


def _all(part: Type, terms: tuple[Expr, ...], fields: Mapping[str, Type]) -> Type:
    for term in terms:
        found = type_of(term, fields)
        if found != part:
            raise TypeError(f"expected {part}, got {found} in {term!r}")
    return part
