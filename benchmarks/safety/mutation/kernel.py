"""The guard kernel as something to change: its modules, their mutants, and how one is put in place.

A change inside a function is put in place by giving the function that is there the code of the
changed one, in a process of its own. What takes effect when a module is imported needs an import.
"""

import ast
import importlib
import importlib.abc
import importlib.machinery
import inspect
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Final

from typing_extensions import override

from safety.mutation.operators import Site, sites

ROOT: Final = Path(__file__).parents[3]
PACKAGE: Final = "homeostat.safety"
FOLDER: Final = ROOT / "src" / "homeostat" / "safety"
TESTS: Final = ROOT / "tests" / "safety"


@dataclass(frozen=True)
class Module:
    """One module of the kernel.

    Attributes:
        name: Its short name.
        path: Its source.
    """

    name: str
    path: Path

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree, in which mutants are made and taken back."""
        return ast.parse(self.path.read_text(encoding="utf-8"))

    @cached_property
    def sites(self) -> list[Site]:
        """Every change that can be made in it."""
        return sites(self.tree, self.name)

    def changed(self, site: Site) -> CodeType:
        """Return its code with one change."""
        site.put()
        try:
            return compile(self.tree, str(self.path), "exec")
        finally:
            site.back()


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one module."""

    module: Module
    site: Site

    @property
    def name(self) -> str:
        """Return its name: unique in the kernel, as long as what it changes stands there."""
        return self.site.name


def modules() -> list[Module]:
    """Return the kernel's modules, in the order of their names."""
    return [Module(path.stem, path) for path in sorted(FOLDER.glob("*.py"))]


def mutants() -> list[Mutant]:
    """Return every mutant of the kernel."""
    return [Mutant(module, site) for module in modules() for site in module.sites]


def put_in_place(mutant: Mutant) -> bool:
    """Give the function that is there the changed code; return whether that can be done.

    For a process that ends with its mutant: nothing is taken back.
    """
    there = importlib.import_module(f"{PACKAGE}.{mutant.module.name}")
    function = _function(there, mutant.site.function)
    if function is None:
        return False
    path = mutant.site.function.split(".")
    code = _code(mutant.module.changed(mutant.site), path, function.__code__.co_firstlineno)
    if code is None or len(code.co_freevars) != len(function.__code__.co_freevars):
        return False
    function.__code__ = code
    return True


def import_changed(mutant: Mutant) -> None:
    """Have the next import of its module bring in the changed one.

    Raises:
        RuntimeError: The module has been imported before: nobody would see the change.
    """
    name = f"{PACKAGE}.{mutant.module.name}"
    if name in sys.modules:
        raise RuntimeError(f"{name} is imported already; mutants of imports need a fresh process")
    sys.meta_path.insert(0, _Finder(name, mutant.module.path, mutant.module.changed(mutant.site)))


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Brings in one module from code that is given."""

    def __init__(self, name: str, path: Path, code: CodeType) -> None:
        self._name, self._path, self._code = name, path, code

    @override
    def find_spec(
        self, fullname: str, _path: object = None, _target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, origin=str(self._path))

    @override
    def create_module(self, _spec: importlib.machinery.ModuleSpec) -> None:
        return None

    @override
    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(self._path)
        exec(self._code, module.__dict__)


def _function(module: ModuleType, qualified: str) -> FunctionType | None:
    found: object = module
    for part in qualified.split("."):
        found = vars(found).get(part)
    if isinstance(found, property):
        found = found.fget
    found = inspect.unwrap(found) if callable(found) else found
    return found if isinstance(found, FunctionType) else None


def _code(whole: CodeType, path: list[str], line: int) -> CodeType | None:
    found = whole
    for name in path:
        inside = [one for one in found.co_consts if isinstance(one, CodeType)]
        named = [one for one in inside if one.co_name == name]
        exact = [one for one in named if one.co_firstlineno == line] or named
        if not exact:
            return None
        found = exact[0]
    return found
