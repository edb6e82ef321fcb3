"""The guard language's trees as terms of the solver: a value, and whether it is known.

Means what `safety.tree.evaluate` means (a differential test compares them): Kleene's three truth
values are two booleans, `known` and, where known, `value`. Strings are only compared for equality,
so each literal becomes a number of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import z3

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
    Type,
    Value,
    children,
    compare,
)

Term = Any
"""A term of the solver; its Python package is untyped."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One value that may be unknown.

    Attributes:
        value: Boolean or integer term; means nothing where `known` is false.
        known: Boolean term.
        plain: The value itself where it is a literal, else None: what is decided already is not
            handed to the solver, most of a guard's exemptions above all.
    """

    value: Term
    known: Term
    plain: bool | int | None = None


Record = Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class Words:
    """A number for each string that the rules name; every other string is another number.

    >>> words = Words(("off", "no_new"))
    >>> words.code("no_new"), words.text(1), words.text(9)
    (1, 'no_new', 'other-9')
    """

    known: tuple[str, ...]

    def code(self, text: str) -> int:
        """Return the number of a string that is known.

        Raises:
            ValueError: No rule names it.
        """
        return self.known.index(text)

    def text(self, code: int) -> str:
        """Return the string of a number; an invented one for a number that none has."""
        return self.known[code] if 0 <= code < len(self.known) else f"other-{code}"


def strings_of(exprs: Sequence[Expr]) -> set[str]:
    """Return the strings that some trees name."""
    found: set[str] = set()
    for expr in exprs:
        if isinstance(expr, Const) and isinstance(expr.value, str):
            found.add(expr.value)
        if isinstance(expr, Member):
            found.update(value for value in expr.of if isinstance(value, str))
        found |= strings_of(children(expr))
    return found


def literal(value: Value, words: Words) -> Cell:
    """Return a plain value; None is an unknown one."""
    if value is None:
        return Cell(z3.IntVal(0), z3.BoolVal(val=False))
    if isinstance(value, bool):
        return Cell(z3.BoolVal(value), _YES, value)
    number = value if isinstance(value, int) else words.code(value)
    return Cell(z3.IntVal(number), _YES, number)


def variable(name: str, of: Type) -> Cell:
    """Return a fact of which nothing is said, not even whether it is known."""
    value = z3.Bool(name) if of == "bool" else z3.Int(name)
    return Cell(value, z3.Bool(f"{name}?"))


def term(expr: Expr, record: Record, words: Words) -> Cell:
    """Return a tree as terms over a record of facts.

    Args:
        expr: The tree; it must type-check over the record's fields.
        record: A cell for every field that it reads.
        words: Numbers of the strings.
    """
    match expr:
        case Const(value):
            return literal(value, words)
        case Ref(name):
            return record[name]
        case And(terms) | Or(terms):
            return _junction([term(one, record, words) for one in terms], of=type(expr))
        case Not(inner):
            return _negated(term(inner, record, words), words)
        case Compare(op, left, right):
            return _comparison(op, term(left, record, words), term(right, record, words), words)
        case Member(inner, of):
            return _among(term(inner, record, words), [literal(one, words) for one in of], words)
        case _:
            parts = [term(one, record, words) for one in children(expr)]
            return Cell(_number(expr, [part.value for part in parts]), _all_known(parts))


def is_true(cell: Cell) -> Term:
    """Return that a condition is known and true."""
    return _every(cell.known, cell.value)


def is_false(cell: Cell) -> Term:
    """Return that a condition is known and false."""
    return _every(cell.known, z3.Not(cell.value))


def is_unknown(cell: Cell) -> Term:
    """Return that a condition cannot be decided."""
    return z3.Not(cell.known)


_YES: Final = z3.BoolVal(val=True)


def _every(*terms: Term) -> Term:
    """Return that all hold, as `z3.And` does, which looks at each pair of terms' sorts anew.

    A proof builds tens of thousands; what is given here are boolean terms of the one context.
    """
    context = z3.main_ctx()
    given = (z3.Ast * len(terms))(*(one.as_ast() for one in terms))
    return z3.BoolRef(z3.Z3_mk_and(context.ref(), len(terms), given), context)


def _some(*terms: Term) -> Term:
    """Return that one of them holds, as `z3.Or` does; see `_every`."""
    context = z3.main_ctx()
    given = (z3.Ast * len(terms))(*(one.as_ast() for one in terms))
    return z3.BoolRef(z3.Z3_mk_or(context.ref(), len(terms), given), context)


def _negated(part: Cell, words: Words) -> Cell:
    if part.plain is not None:
        return literal(not part.plain, words)
    return Cell(z3.Not(part.value), part.known)


def _comparison(op: Op, left: Cell, right: Cell, words: Words) -> Cell:
    if left.plain is not None and right.plain is not None:
        return literal(compare(op, left.plain, right.plain), words)
    return Cell(_compared(op, left.value, right.value), _all_known([left, right]))


def _among(part: Cell, of: list[Cell], words: Words) -> Cell:
    if part.plain is not None:
        return literal(part.plain in [one.plain for one in of], words)
    return Cell(_some(*(part.value == one.value for one in of)), part.known)


def _junction(parts: list[Cell], *, of: type[And] | type[Or]) -> Cell:
    neutral = of is And
    if any(part.plain is (not neutral) for part in parts):
        return Cell(z3.BoolVal(not neutral), _YES, not neutral)
    parts = [part for part in parts if part.plain is not neutral]
    if not parts:
        return Cell(z3.BoolVal(neutral), _YES, neutral)
    if len(parts) == 1:
        return parts[0]
    decides = is_false if of is And else is_true
    known = _some(_all_known(parts), *(decides(part) for part in parts))
    if of is And:
        return Cell(_every(*(z3.Implies(part.known, part.value) for part in parts)), known)
    return Cell(_some(*(is_true(part) for part in parts)), known)


def _all_known(parts: list[Cell]) -> Term:
    doubtful = [part.known for part in parts if part.known is not _YES]
    if len(doubtful) < 2:  # noqa: PLR2004 - a conjunction joins two
        return doubtful[0] if doubtful else _YES
    return _every(*doubtful)


def _compared(op: Op, left: Term, right: Term) -> Term:
    match op:
        case "==":
            return left == right
        case "!=":
            return left != right
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case ">=":
            return left >= right


def _number(expr: Expr, values: list[Term]) -> Term:
    match expr:
        case Add():
            return values[0] + values[1]
        case Sub():
            return values[0] - values[1]
        case Scale(factor, _):
            return factor * values[0]
        case Min() | Max():
            least = isinstance(expr, Min)
            best = values[0]
            for value in values[1:]:
                best = z3.If(value < best if least else value > best, value, best)
            return best
        case _:
            raise TypeError(f"{expr!r} is no number")
