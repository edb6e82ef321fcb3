"""What is imported is declared: by the package that ships it, in the extra that its room needs."""

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OURS = {"homeostat", "homeostat_instrument"}
OPTIONAL = {
    "adapters": ("otel",),
    "demo": ("demo",),
    "detect": ("twin",),
    "testing": ("twin",),
    "twin": ("twin",),
    "lab": ("gym", "twin"),
    "learn": ("twin",),
    "policy": ("twin",),
    "proof": ("proof",),
}
"""Extras beyond the plain install that a room may import: the kit compiles with jax if it can, and
detectors are trained with it; what proves policies needs a solver, what divides a
budget another."""


def distribution(text: str) -> str:
    """Return the normalised name of a requirement."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", text)[0]).lower()


def declared(*extras: str) -> set[str]:
    """Return the distributions of the plain install and of some extras."""
    texts = [*PROJECT["dependencies"]]
    for extra in extras:
        texts += PROJECT["optional-dependencies"][extra]
    return {distribution(text) for text in texts}


@cache
def providers() -> dict[str, set[str]]:
    """Return the distributions that provide each top-level module here."""
    found = packages_distributions()
    return {module: {distribution(name) for name in names} for module, names in found.items()}


def imported(folder: Path) -> set[str]:
    """Return the foreign top-level modules that the files of a folder import, lazily or not."""
    names: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - OURS


ROOMS = sorted(path for path in (ROOT / "src" / "homeostat").iterdir() if path.is_dir())


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_what_a_room_imports_is_declared_for_it(room: Path) -> None:
    allowed = declared(*OPTIONAL.get(room.name, ()))
    undeclared = {
        module for module in imported(room) if not providers().get(module, set()) & allowed
    }
    assert undeclared == set()


def test_the_instrument_needs_nothing_but_the_prometheus_client() -> None:
    unneeded = {"numpy", "typing_extensions"}  # used where it is there; read by type checkers only
    assert imported(ROOT / "instrument" / "src") - unneeded == {"prometheus_client"}
    text = (ROOT / "instrument" / "pyproject.toml").read_text(encoding="utf-8")
    needs = tomllib.loads(text)["project"]["dependencies"]
    assert [distribution(need) for need in needs] == ["prometheus-client"]


def test_the_lock_pins_every_requirement_by_hash_and_names_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = {distribution(name) for name in re.findall(r"^(\S+)==\S+", lock, re.MULTILINE)}
    assert declared(*PROJECT["optional-dependencies"]) - pinned == {"homeostat-instrument"}
    blocks = re.split(r"\n(?=\S)", lock.strip())
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []
    assert "://" not in lock
    assert "@" not in lock
