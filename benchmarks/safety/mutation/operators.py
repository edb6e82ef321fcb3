"""The small changes: every place of a module where one can be made, each with a name of its own.

Classic operators (as in mutmut and its kin: comparisons, junctions, arithmetic, literals, returned
and assigned values), and some for what guards are made of: a term less in a junction, an exemption
less, a kind less. Not changed are words for people (text with a blank in it, f-strings), types,
decorators, documentation, and `strict=` of `zip`, which asserts and decides nothing.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

_COMPARES: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip
_CALLS: Final = {
    "min": "max", "max": "min", "any": "all", "all": "any", "And": "Or", "Or": "And",
    "Min": "Max", "Max": "Min", "Add": "Sub", "Sub": "Add",
}  # fmt: skip
_OPS: Final = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
_LIFTED: Final = frozenset({"exempt", "on_false", "on_unknown", "kinds"})
_TYPES: Final = frozenset({"Literal", "Final", "Callable", "TypeVar", "NewType"})
_BUILT_IN: Final = frozenset({"bool", "int", "str", "float", "object", "tuple", "dict"})
_LONGEST: Final = 90

Swap = Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One change.

    Attributes:
        name: Unique in its module: where, what, and what it becomes.
        line: Of the source.
        function: Qualified name of the outermost function in whose body it is; empty where it
            takes effect when the module is imported.
        put: Makes the change in the tree.
        back: Takes it back.
    """

    name: str
    line: int
    function: str
    put: Swap
    back: Swap


def sites(tree: ast.Module, module: str) -> list[Site]:
    """Return every change that can be made in a module, in the order of the source.

    Args:
        tree: The module; a change is made in it in place.
        module: Its short name.
    """
    walk = _Walk(module)
    walk.block(tree.body)
    found, seen = [], dict[str, int]()
    for site in walk.found:
        seen[site.name] = number = seen.get(site.name, 0) + 1
        name = site.name if number == 1 else f"{site.name} #{number}"
        found.append(
            Site(name=name, line=site.line, function=site.function, put=site.put, back=site.back)
        )
    return found


class _Walk:
    """Visits everything that can be changed, and notes where it is."""

    def __init__(self, module: str) -> None:
        self._module, self._names = module, list[str]()
        self._function, self._about = "", ""
        self.found: list[Site] = []

    def block(self, body: list[ast.stmt]) -> None:
        for place, node in enumerate(body):
            self._statement(body, place, node)

    def _statement(self, body: list[ast.stmt], place: int, node: ast.stmt) -> None:
        match node:
            case ast.FunctionDef():
                self._def(node)
            case ast.ClassDef():
                self._names.append(node.name)
                self.block(node.body)
                self._names.pop()
            case ast.Expr(value=ast.Constant()) | ast.Import() | ast.ImportFrom():
                return
            case ast.AnnAssign():
                if node.value is not None:
                    self._assigned(node, node.target)
            case ast.Assign():
                self._assigned(node, node.targets[0])
            case ast.If() | ast.While():
                self._condition(node, "test")
                self._expression(node, "test", node.test)
                self.block(node.body)
                self.block(node.orelse)
            case _:
                self._simple(body, place, node)

    def _simple(self, body: list[ast.stmt], place: int, node: ast.stmt) -> None:
        match node:
            case ast.Continue() | ast.Break():
                other = ast.Break() if isinstance(node, ast.Continue) else ast.Continue()
                self._swap(body, place, ast.copy_location(other, node))
            case ast.Return(value=ast.expr() as value):
                # Of `return False` the literal is changed: nothing in its place would be no `bool`.
                plain = isinstance(value, ast.Constant) and isinstance(value.value, bool | None)
                if not plain:
                    none = ast.copy_location(ast.Constant(value=None), value)
                    self._field(node, "value", none, node)
                self._children(node)
            case ast.AugAssign():
                if type(node.op) in _ARITHMETIC:
                    self._field(node, "op", _ARITHMETIC[type(node.op)](), node)
                self._expression(node, "value", node.value)
            case _:
                self._children(node)

    def _def(self, node: ast.FunctionDef) -> None:
        self._names.append(node.name)
        outer, about = self._function, self._about
        self._children(node.args)  # a default is made when the module is imported
        self._function, self._about = outer or ".".join(self._names), ""
        self.block(node.body)
        self._function, self._about = outer, about
        self._names.pop()

    def _assigned(self, node: ast.Assign | ast.AnnAssign, target: ast.expr) -> None:
        value = node.value
        if value is None:
            return
        about, inside = self._about, bool(self._function)
        if not inside:
            self._about = ast.unparse(target)
        nothing = isinstance(value, ast.Constant) and value.value is None
        if inside and isinstance(target, ast.Name) and not nothing:
            none = ast.copy_location(ast.Constant(value=None), value)
            self._field(node, "value", none, node)
        if isinstance(value, ast.Tuple) and not inside:
            self._less(value)
        self._expression(node, "value", value)
        self._about = about

    def _children(self, node: ast.AST) -> None:
        """Visit what a node is made of."""
        for field, value in ast.iter_fields(node):
            if field in {"annotation", "returns", "decorator_list", "type_params", "pattern"}:
                continue
            if isinstance(value, ast.expr):
                self._expression(node, field, value)
            elif isinstance(value, ast.AST):
                self._children(value)
            elif isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                self.block(value)
            elif isinstance(value, list):
                self._several(node, field, value)

    def _several(self, node: ast.AST, field: str, values: list[ast.AST]) -> None:
        for place, one in enumerate(values):
            if isinstance(one, ast.expr):
                if isinstance(node, ast.comprehension) and field == "ifs":
                    self._condition_at(values, place, one)
                self._expression(values, place, one)
            elif isinstance(one, ast.keyword):
                if one.arg != "strict":
                    self._expression(one, "value", one.value)
            elif one is not None:
                self._children(one)

    def _expression(self, owner: object, key: str | int, node: ast.expr) -> None:  # noqa: C901, PLR0912 - one arm a node
        match node:
            case ast.JoinedStr():
                return
            case ast.Subscript(value=ast.Name(id=name)) if name in _TYPES:
                return
            case ast.Constant(value=value):
                self._constant(owner, key, node, value)
                return
            case ast.Compare():
                for place, op in enumerate(node.ops):
                    self._swap(node.ops, place, _COMPARES[type(op)](), shown=node)
            case ast.BoolOp():
                other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
                self._field(node, "op", other, node)
            case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
                self._put(owner, key, operand, node)
            case ast.BinOp():
                if _is_type(node) or _is_words(node):
                    return
                self._field(node, "op", _ARITHMETIC[type(node.op)](), node)
            case ast.IfExp():
                self._condition(node, "test")
            case ast.Set():
                self._less(node)
            case ast.Call():
                self._call(owner, key, node)
                return
            case _:
                pass
        self._children(node)

    def _call(self, owner: object, key: str | int, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        about = self._about
        if name == "Rule":
            said = {one.arg: one.value for one in node.keywords}
            parts = [_text(said.get(part)) for part in ("id", "name")]
            self._about = " ".join(filter(None, parts)) or about
            for one in [one for one in node.keywords if one.arg in _LIFTED]:
                rest = [kept for kept in node.keywords if kept is not one]
                self._field(node, "keywords", rest, one, becomes="left out")
        if name in _CALLS:
            other = ast.copy_location(ast.Name(id=_CALLS[name], ctx=ast.Load()), node.func)
            self._field(node, "func", other, node)
        if name == "Not":
            self._put(owner, key, node.args[0], node)
        for argument in node.args:
            if isinstance(argument, ast.Tuple):
                self._less(argument)
        self._children(node)
        self._about = about

    def _constant(self, owner: object, key: str | int, node: ast.Constant, value: object) -> None:
        other: bool | int | float | str
        match value:
            case bool():
                other = not value
            case int() | float():
                other = value + 1
            case str() if value in _OPS:
                other = _OPS[value]
            case str() if " " not in value:
                other = f"XX{value}XX"
            case _:
                return
        self._put(owner, key, ast.copy_location(ast.Constant(value=other), node), node)

    def _condition(self, node: ast.AST, field: str) -> None:
        test = getattr(node, field)
        if isinstance(test, ast.Name | ast.Attribute | ast.Call):
            self._field(node, field, _negated(test), test)

    def _condition_at(self, values: list[ast.AST], place: int, test: ast.expr) -> None:
        if isinstance(test, ast.Name | ast.Attribute | ast.Call):
            self._swap(values, place, _negated(test))

    def _less(self, node: ast.Tuple | ast.Set) -> None:
        if len(node.elts) < 2:
            return
        for one in node.elts:
            rest = [kept for kept in node.elts if kept is not one]
            self._field(node, "elts", rest, one, becomes="left out")

    def _put(self, owner: object, key: str | int, other: ast.expr, shown: ast.AST) -> None:
        if isinstance(key, int):
            assert isinstance(owner, list)
            self._swap(owner, key, other, shown=shown)
        else:
            assert isinstance(owner, ast.AST)
            self._field(owner, key, other, shown)

    def _field(
        self, owner: ast.AST, field: str, other: object, shown: ast.AST, becomes: str = ""
    ) -> None:
        old = getattr(owner, field)
        whole = owner if shown is owner else None
        self._note(
            shown, whole or other, becomes,
            put=lambda: setattr(owner, field, other), back=lambda: setattr(owner, field, old),
        )  # fmt: skip

    def _swap(
        self, owner: list[ast.AST] | list[ast.stmt] | list[ast.cmpop], place: int, other: ast.AST,
        shown: ast.AST | None = None,
    ) -> None:  # fmt: skip
        old = owner[place]
        self._note(
            shown or old, shown if isinstance(shown, ast.Compare) else other, "",
            put=lambda: owner.__setitem__(place, other),  # type: ignore[call-overload]  # as it was
            back=lambda: owner.__setitem__(place, old),  # type: ignore[call-overload]  # as it was
        )  # fmt: skip

    def _note(self, shown: ast.AST, other: object, becomes: str, *, put: Swap, back: Swap) -> None:
        before = _short(shown)
        put()
        after = becomes or (_short(other) if isinstance(other, ast.AST) else "left out")
        back()
        where = ".".join([self._module, *self._names])
        where += f" [{self._about}]" if self._about else ""
        line = getattr(shown, "lineno", 1)
        self.found.append(
            Site(name=f"{where}: {before} -> {after}", line=line, function=self._function,
                 put=put, back=back)
        )  # fmt: skip


def _negated(test: ast.expr) -> ast.expr:
    return ast.copy_location(ast.UnaryOp(op=ast.Not(), operand=test), test)


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _names(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.BinOp(left=left, right=right):
            yield from _names(left)
            yield from _names(right)
        case ast.Name(id=name):
            yield name
        case ast.Constant(value=None):
            yield "None"
        case _:
            yield ""


def _is_type(node: ast.BinOp) -> bool:
    """Return whether it is a union of types."""
    return isinstance(node.op, ast.BitOr) and all(
        name in _BUILT_IN or (name[:1].isupper() and not name.isupper()) for name in _names(node)
    )


def _is_words(node: ast.BinOp) -> bool:
    return any(" " in _text(one) for one in (node.left, node.right))


def _text(node: ast.expr | None) -> str:
    """Return a literal text, empty for anything else."""
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, str) else ""
