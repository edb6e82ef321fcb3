"""What the tests of a file depend on, as one digest: the files they can reach, and what all share.

A file whose inputs cannot be told has no digest, and its tests run every time.
"""

import hashlib
import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

from mentioned import Mentions, mentions
from reached import Tree

SOURCES: Final = ("src", "instrument/src", "tests", "benchmarks")
# What is not Python in these belongs to every test: policies, scenarios, templates, migrations.
DATA: Final = ("src", "instrument", "examples", "tests")
SHARED: Final = ("pyproject.toml", "instrument/pyproject.toml", "requirements.lock")
HIDDEN_BUT_OURS: Final = frozenset({".ci", ".gitignore", ".importlinter"})
MADE: Final = frozenset({"__pycache__", "build", "dist", "homeostat-demo", "node_modules"})
MADE_SUFFIXES: Final = (".anchor", ".db", ".db-shm", ".db-wal", ".pyc", ".reserve", ".token")
TELLING: Final = (
    "HOMEOSTAT_",
    "HYPOTHESIS_",
    "JAX_",
    "PYTEST_ADDOPTS",
    "XLA_",
)  # in the environment


def _walk(root: Path, top: str) -> Iterator[str]:
    """Yield the files below a folder that somebody wrote, by their path from the root."""
    for folder, names, files in os.walk(root / top):
        names[:] = sorted(
            n for n in names if n not in MADE and (n[0] != "." or n in HIDDEN_BUT_OURS)
        )
        for name in sorted(files):
            if (name[0] != "." or name in HIDDEN_BUT_OURS) and not name.endswith(MADE_SUFFIXES):
                yield (Path(folder) / name).relative_to(root).as_posix()


def around() -> str:
    """Return what all tests share that is no file of the checkout: Python, packages, the user."""
    installed = sorted(f"{found.name} {found.version}" for found in distributions())
    told = sorted(f"{key}={value}" for key, value in os.environ.items() if key.startswith(TELLING))
    return json.dumps([sys.version, platform.platform(), os.geteuid(), installed, told])


@dataclass(frozen=True)
class Inputs:
    """A checkout as it is at one moment.

    Attributes:
        root: The checkout.
        contents: The digest of each file that somebody wrote, by its path.
        files: What each Python file names.
        around: See `around`.
    """

    root: Path
    contents: Mapping[str, str]
    files: Mapping[str, Mentions]
    around: str

    @cached_property
    def tree(self) -> Tree:
        return Tree(self.files)

    @cached_property
    def everybodys(self) -> frozenset[str]:
        """Files that are inputs of every test."""
        data = tuple(f"{folder}/" for folder in DATA)
        return frozenset(
            path
            for path in self.contents
            if path in SHARED or (path.startswith(data) and not path.endswith((".py", ".md")))
        )

    def of(self, path: str) -> frozenset[str] | None:
        """Return the files that a test file's tests depend on; None if that cannot be told."""
        if path not in self.files:
            return None
        reached = self.tree.reached(path)
        looks, beyond = self.tree.judge(reached)
        if beyond:
            return None
        return frozenset(self.contents) if looks else reached | self.everybodys

    @cached_property
    def _all(self) -> str:
        return self._digested(frozenset(self.contents))

    def _digested(self, paths: frozenset[str]) -> str:
        said = "\n".join(f"{path} {self.contents[path]}" for path in sorted(paths))
        return hashlib.sha256(f"{self.around}\n{said}".encode()).hexdigest()

    def digest(self, path: str) -> str | None:
        """Return what tells a test file's inputs from all others; None if they cannot be told."""
        paths = self.of(path)
        if paths is None:
            return None
        return self._all if len(paths) == len(self.contents) else self._digested(paths)


def read(root: Path, memory: Path | None = None) -> Inputs:
    """Read a checkout.

    Args:
        root: The checkout.
        memory: Where to remember what files name, by their contents: reading that takes seconds.

    """
    contents: dict[str, str] = {}
    found: dict[str, Mentions] = {}
    known = _remembered(memory)
    for path in _walk(root, "."):
        with suppress(FileNotFoundError):  # somebody's draft, gone since the folder was listed
            content = (root / path).read_bytes()
            digest = contents[path] = hashlib.sha256(content).hexdigest()
            if path.endswith(".py") and path.startswith(SOURCES):
                found[path] = known.get(digest) or mentions(content)
    if memory is not None and any(contents[path] not in known for path in found):
        kept = {contents[path]: asdict(said) for path, said in found.items()}
        written(memory, json.dumps({"by": _itself(), "files": kept}))
    return Inputs(root=root, contents=contents, files=found, around=around())


def written(path: Path, text: str) -> None:
    """Replace a file as a whole; two runs at a time may do so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def _itself() -> str:
    """Return the digest of what reads the files: another version said something else."""
    return hashlib.sha256(Path(mentions.__code__.co_filename).read_bytes()).hexdigest()


def _remembered(memory: Path | None) -> dict[str, Mentions]:
    if memory is None:
        return {}
    try:
        said = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if said.get("by") != _itself():
        return {}
    return {
        digest: Mentions(**(kept | {"modules": tuple(kept["modules"])}))
        for digest, kept in said["files"].items()
    }
