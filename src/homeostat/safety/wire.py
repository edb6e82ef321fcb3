"""A rule's tree as one line of JSON, so that a policy can carry it through the journal.

Every node is a list: its name, then its parts. What is not exactly such a tree is refused.
"""

import json
from typing import Any, Final

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
    Or,
    Ref,
    Scale,
    Sub,
)

_OPS: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})
_MANY: Final[dict[str, type[And | Or | Min | Max]]] = {"and": And, "or": Or, "min": Min, "max": Max}
_TWO: Final[dict[str, type[Add | Sub]]] = {"+": Add, "-": Sub}
_NAMES: Final = {node: name for name, node in {**_MANY, **_TWO}.items()}


def to_wire(expr: Expr) -> str:
    """Return a tree as JSON.

    >>> to_wire(Compare("<", Ref("shrunk"), Const(2)))
    '["<",["ref","shrunk"],["is",2]]'
    """
    return json.dumps(_plain(expr), separators=(",", ":"))


def from_wire(text: str) -> Expr:
    """Return the tree that `to_wire` wrote.

    Raises:
        ValueError: The text is no such tree.
    """
    try:
        return _tree(json.loads(text))
    except (TypeError, RecursionError, IndexError) as error:
        raise ValueError(f"not a rule's tree: {text[:80]!r} ({error!r})") from error


def _plain(expr: Expr) -> list[Any]:
    match expr:
        case Const(value):
            return ["is", value]
        case Ref(name):
            return ["ref", name]
        case Compare(op, left, right):
            return [op, _plain(left), _plain(right)]
        case Not(term):
            return ["not", _plain(term)]
        case Scale(factor, term):
            return ["*", factor, _plain(term)]
        case Member(term, of):
            return ["in", _plain(term), list(of)]
        case Add(left, right) | Sub(left, right):
            return [_NAMES[type(expr)], _plain(left), _plain(right)]
        case And(terms) | Or(terms) | Min(terms) | Max(terms):  # pragma: no branch
            return [_NAMES[type(expr)], *(_plain(term) for term in terms)]


def _tree(plain: Any) -> Expr:
    match plain:
        case ["is", bool() | int() | str() as value]:
            return Const(value)
        case ["ref", str() as name]:
            return Ref(name)
        case ["not", term]:
            return Not(_tree(term))
        case ["*", int() as factor, term] if not isinstance(factor, bool):
            return Scale(factor, _tree(term))
        case ["in", term, [*of]] if all(isinstance(value, bool | int | str) for value in of):
            return Member(_tree(term), tuple(of))
        case [str() as name, left, right] if name in _OPS:
            return Compare(name, _tree(left), _tree(right))  # type: ignore[arg-type]  # checked
        case [str() as name, left, right] if name in _TWO:
            return _TWO[name](_tree(left), _tree(right))
        case [str() as name, *terms] if name in _MANY and terms:
            return _MANY[name](tuple(_tree(term) for term in terms))
    raise ValueError(f"not a node of a rule's tree: {plain!r}")
