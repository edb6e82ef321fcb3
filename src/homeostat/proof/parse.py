"""The guard language: from text to the syntax tree that the guards run.

A subset of CEL: total (no loops, no calls but `min` and `max`, no division), typed, integers only.
Types are checked while reading, so that an error says where. `spelling` is the way back.
Grammar (loosest first): `||`, `&&`, one comparison or `in`, `+ -`, `*` by a literal, `! -`.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from homeostat.proof.lexer import Word, words
from homeostat.safety.tree import (
    ORDER_OPS,
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
)

DEEPEST: Final = 40  # brackets within brackets; the deepest built-in rule has 4
LARGEST: Final = 10**15  # of a literal: CEL's integers have 64 bits, sums of ours must fit
_COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=")
_SAID: Final = {"bool": "true or false", "int": "an integer", "str": "a string"}


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of the tree, what it is, and where it began."""

    tree: Expr
    type: Type
    at: Word


def parse(text: str, fields: Mapping[str, Type]) -> Expr:
    """Return the tree of a condition.

    Args:
        text: The rule, as people write it.
        fields: Type of each fact that may be read.

    Raises:
        GuardTextError: It is no condition of the language; says where, and what to write.

    >>> parse("2 * left >= peak", {"left": "int", "peak": "int"})
    Compare(op='>=', left=Scale(factor=2, term=Ref(name='left')), right=Ref(name='peak'))
    """
    reader = _Reader(words(text), fields)
    found = reader.either()
    rest = reader.here
    if rest.kind != "end":
        raise rest.error(f"{rest} after a complete condition; join conditions with && or ||")
    return _want(found, "bool").tree


@dataclass(slots=True)
class _Reader:
    """Where the reading stands."""

    all: tuple[Word, ...]
    fields: Mapping[str, Type]
    at: int = 0
    depth: int = 0

    @property
    def here(self) -> Word:
        return self.all[self.at]

    def take(self) -> Word:
        word = self.here
        self.at += word.kind != "end"
        return word

    def said(self, *texts: str) -> Word | None:
        """Return the next word and go on if it is one of some operators or words, else None."""
        word = self.here
        fits = word.kind in {"operator", "name"} and word.text in texts
        return self.take() if fits else None

    def expect(self, text: str) -> None:
        if self.said(text) is None:
            raise self.here.error(f"expected {text!r}, found {self.here}")

    def either(self) -> _Part:
        return self._joined("||", self.both, Or)

    def both(self) -> _Part:
        return self._joined("&&", self.comparison, And)

    def _joined(self, sign: str, part: Callable[[], _Part], node: type[And] | type[Or]) -> _Part:
        first = part()
        terms = [first]
        while self.said(sign):
            terms.append(part())
        if len(terms) == 1:
            return first
        return _Part(node(tuple(_want(term, "bool").tree for term in terms)), "bool", first.at)

    def comparison(self) -> _Part:
        left = self.sum()
        if self.said("in"):
            return self._member(left)
        sign = self.said(*_COMPARISONS)
        if sign is None:
            return left
        right = self.sum()
        kind: Type = "int" if sign.text in ORDER_OPS else left.type
        _want(left, kind)
        _want(right, kind)
        if self.here.text in _COMPARISONS and self.here.kind == "operator":
            raise self.here.error("two comparisons in a row; write a < b && b < c")
        return _Part(Compare(cast("Op", sign.text), left.tree, right.tree), "bool", left.at)

    def _member(self, left: _Part) -> _Part:
        self.expect("[")
        of: list[bool | int | str] = []
        while True:
            one = _want(self.unary(), left.type)
            if not isinstance(one.tree, Const):
                raise one.at.error("a list holds literals only; compare with == instead")
            of.append(one.tree.value)
            if not self.said(","):
                break
        self.expect("]")
        return _Part(Member(left.tree, tuple(of)), "bool", left.at)

    def sum(self) -> _Part:
        left = self.product()
        while sign := self.said("+", "-"):
            right = _want(self.product(), "int")
            node = Add if sign.text == "+" else Sub
            left = _Part(node(_want(left, "int").tree, right.tree), "int", left.at)
        return left

    def product(self) -> _Part:
        left = self.unary()
        while sign := self.said("*"):
            right = _want(self.unary(), "int")
            _want(left, "int")
            if isinstance(left.tree, Const):
                factor, term = left.tree.value, right.tree
            elif isinstance(right.tree, Const):
                factor, term = right.tree.value, left.tree
            else:
                raise sign.error("two facts multiplied; one side must be a number, such as 2 * n")
            left = _Part(Scale(int(factor), term), "int", left.at)
        return left

    def unary(self) -> _Part:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.here.error(f"more than {DEEPEST} levels of brackets; make two rules of it")
        at = self.here
        if self.said("!"):
            found = _Part(Not(_want(self.unary(), "bool").tree), "bool", at)
        elif self.said("-"):
            found = _Part(_negated(_want(self.unary(), "int").tree), "int", at)
        else:
            found = self.primary()
        self.depth -= 1
        return found

    def primary(self) -> _Part:
        at = self.take()
        match at.kind, at.text:
            case "number", digits:
                return _Part(Const(_number(at, digits)), "int", at)
            case "string", text:
                return _Part(Const(text), "str", at)
            case "name", "true" | "false":
                return _Part(Const(at.text == "true"), "bool", at)
            case "name", "min" | "max":
                return self._extreme(at)
            case "name", _:
                return self._field(at)
            case "operator", "(":
                found = self.either()
                self.expect(")")
                return _Part(found.tree, found.type, at)
            case _:
                raise at.error(f"expected a fact, a number or a bracket, found {at}")

    def _extreme(self, at: Word) -> _Part:
        self.expect("(")
        terms = [_want(self.sum(), "int").tree]
        while self.said(","):
            terms.append(_want(self.sum(), "int").tree)
        self.expect(")")
        node = Min if at.text == "min" else Max
        return _Part(node(tuple(terms)), "int", at)

    def _field(self, at: Word) -> _Part:
        kind = self.fields.get(at.text)
        if kind is None:
            close = difflib.get_close_matches(at.text, self.fields, n=3)
            hint = f"did you mean {' or '.join(close)}?" if close else "see the list of facts"
            raise at.error(f"no fact is called {at.text!r}; {hint}")
        return _Part(Ref(at.text), kind, at)


def _want(part: _Part, kind: Type) -> _Part:
    if part.type != kind:
        hint = "; compare it with a number" if (part.type, kind) == ("int", "bool") else ""
        raise part.at.error(f"this is {_SAID[part.type]}, {_SAID[kind]} is needed{hint}")
    return part


def _number(at: Word, digits: str) -> int:
    if len(digits) > len(str(LARGEST)) or int(digits) > LARGEST:
        raise at.error(f"{digits[:20]} is too large; at most {LARGEST}")
    return int(digits)


def _negated(tree: Expr) -> Expr:
    return Const(-int(tree.value)) if isinstance(tree, Const) else Scale(-1, tree)
