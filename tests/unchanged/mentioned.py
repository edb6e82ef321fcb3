"""What one source file names: modules it may import, and signs that it reads more than modules.

Only the text is looked at; nothing is imported. What a name leads to is decided in `reached`.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

IMPORTERS: Final = frozenset({"import_module", "__import__"})
FINDERS: Final = frozenset({
    "entry_points",
    "iter_modules",
    "run_module",
    "run_path",
    "walk_packages",
})
# Whoever says one of these may read any file of the checkout, or start a program that does.
LOOKING: Final = frozenset(
    {"__file__", "cwd", "executable", "getcwd", "getsource", "getsourcefile", "rootpath"}
    | {"multiprocessing", "subprocess", "Popen", "create_subprocess_exec", "fork", "posix_spawn"}
)
READING: Final = frozenset({"open", "read_bytes", "read_text"})
DOTTED: Final = re.compile(r"\bhomeostat(?:_\w+)?(?:\.\w+)+")
BEYOND: Final = re.compile(r"(^|/)(\.\.?/)*shared(/|$)|^git$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mentions:
    """What a file names.

    Attributes:
        modules: Dotted names of what may be modules, the names imported from them included.
        finds: Whether it imports by names that are made while it runs.
        looks: Whether it may read files of the checkout, or start programs.
        reads: Whether it opens files, of whatever place.
        beyond: Whether it names what lies outside the checkout, or its history.
    """

    modules: tuple[str, ...]
    finds: bool
    looks: bool
    reads: bool
    beyond: bool


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _words(node: ast.AST) -> Iterator[str]:
    """Yield the names of code that a node says, without those in strings."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.Import | ast.ImportFrom):
        for name in _imported(node):
            yield from name.split(".")


def _imports_by_value(node: ast.AST) -> bool:
    """Say whether a call imports what it computed; a name in quotes is found as a string."""
    if not isinstance(node, ast.Call):
        return False
    called = next(_words(node.func), "")
    return called in IMPORTERS and not (node.args and isinstance(node.args[0], ast.Constant))


def mentions(text: str | bytes) -> Mentions:
    """Return what a source text names; whoever is no Python, while it is edited, may do anything.

    >>> found = mentions("from homeostat.base import types" + chr(10) + "import numpy.linalg")
    >>> found.modules, found.finds, found.looks
    (('homeostat.base', 'homeostat.base.types', 'numpy.linalg'), False, False)
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return Mentions(modules=(), finds=True, looks=True, reads=True, beyond=True)
    modules: set[str] = set()
    words: set[str] = set()
    by_value = beyond = False
    for node in ast.walk(tree):
        modules.update(_imported(node))
        words.update(_words(node))
        by_value = by_value or _imports_by_value(node)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            modules.update(DOTTED.findall(node.value))
            beyond = beyond or BEYOND.search(node.value) is not None
    return Mentions(
        modules=tuple(sorted(modules)),
        finds=by_value or bool(words & FINDERS),
        looks=bool(words & LOOKING),
        reads=bool(words & READING),
        beyond=beyond,
    )
