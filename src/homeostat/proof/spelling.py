"""The guard language: from a syntax tree back to text; `parse` reads it as the same tree.

Two dialects: ours, and plain CEL for tools that have no `min` and `max` (written out as `? :`).
"""

import json

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


def spell(expr: Expr, *, cel: bool = False) -> str:
    """Return a tree as text.

    Args:
        expr: The tree. A conjunction of one term is spelt as that term (see `plain`).
        cel: For CEL itself, which has no `min` and `max`.

    >>> spell(Or((Not(Ref("acted")), Compare(">=", Ref("since_ms"), Const(5)))))
    '!acted || since_ms >= 5'
    """
    match expr:
        case Const(value):
            return _literal(value)
        case Ref(name):
            return name
        case And(terms) | Or(terms):
            sign = " && " if isinstance(expr, And) else " || "
            return sign.join(_inside(term, expr, cel=cel) for term in terms)
        case Not(term):
            return f"!{_atom(term, cel=cel)}"
        case Compare(op, left, right):
            return f"{_side(left, cel=cel)} {op} {_side(right, cel=cel)}"
        case Member(term, of):
            return f"{_side(term, cel=cel)} in [{', '.join(_literal(value) for value in of)}]"
        case _:
            return _arithmetic(expr, cel=cel)


def plain(expr: Expr) -> Expr:
    """Return the tree without conjunctions and disjunctions of a single term."""
    match expr:
        case Const() | Ref():
            return expr
        case And(terms) | Or(terms):
            parts = tuple(plain(term) for term in terms)
            return parts[0] if len(parts) == 1 else type(expr)(parts)
        case Min(terms) | Max(terms):
            return type(expr)(tuple(plain(term) for term in terms))
        case Not(term):
            return Not(plain(term))
        case Scale(factor, term):
            return Scale(factor, plain(term))
        case Member(term, of):
            return Member(plain(term), of)
        case Compare(op, left, right):
            return Compare(op, plain(left), plain(right))
        case Add(left, right) | Sub(left, right):
            return type(expr)(plain(left), plain(right))


def _arithmetic(expr: Expr, *, cel: bool) -> str:
    match expr:
        case Add(left, right) | Sub(left, right):
            sign = "+" if isinstance(expr, Add) else "-"
            first = spell(left, cel=cel) if isinstance(left, Add | Sub) else _term(left, cel=cel)
            return f"{first} {sign} {_term(right, cel=cel)}"
        case Scale(factor, term):
            return f"{factor} * {_atom(term, cel=cel)}"
        case Min(terms) | Max(terms):
            if cel:
                return _chosen("<=" if isinstance(expr, Min) else ">=", terms)
            name = "min" if isinstance(expr, Min) else "max"
            return f"{name}({', '.join(_side(term, cel=cel) for term in terms)})"
        case _:
            raise TypeError(f"{expr!r} is no node of the tree")


def _chosen(op: str, terms: tuple[Expr, ...]) -> str:
    """Return the least or largest of some terms as CEL: the first one that none beats."""
    spelt = [f"({spell(term, cel=True)})" for term in terms]
    text = spelt[-1]
    for index in range(len(spelt) - 2, -1, -1):
        best = " && ".join(f"{spelt[index]} {op} {other}" for other in spelt[index + 1 :])
        text = f"({best} ? {spelt[index]} : {text})"
    return text


def _literal(value: bool | int | str) -> str:  # noqa: FBT001 - any literal
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else _quoted(value)


def _quoted(value: str) -> str:
    r"""Return a string in quotes with CEL's escapes: JSON's, but for \b and \f."""
    return json.dumps(value, ensure_ascii=False).replace("\\b", "\\u0008").replace("\\f", "\\u000c")


def _inside(term: Expr, outer: And | Or, *, cel: bool) -> str:
    text = spell(term, cel=cel)
    loose = isinstance(term, And | Or) and not (isinstance(term, And) and isinstance(outer, Or))
    return f"({text})" if loose else text


def _side(term: Expr, *, cel: bool) -> str:
    text = spell(term, cel=cel)
    return f"({text})" if isinstance(term, And | Or | Compare | Member) else text


def _term(term: Expr, *, cel: bool) -> str:
    text = spell(term, cel=cel)
    return text if isinstance(term, Const | Ref | Scale | Min | Max) else f"({text})"


def _atom(term: Expr, *, cel: bool) -> str:
    text = spell(term, cel=cel)
    return text if isinstance(term, Const | Ref | Min | Max | Not) else f"({text})"
