"""Which files can take part in a test file's tests: all that it can import, directly or not.

Imports are followed by name through the first-party trees, lazy ones and those in quotes too. When
in doubt a file is in: a package's every parent, each file that a bare name could mean, and the
whole package for whoever imports by names made at run time.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Final

from mentioned import Mentions

PACKAGES: Final = ("src/", "instrument/src/")
OURS: Final = tuple(
    f"tests/unchanged/{name}.py"
    for name in ("inputs", "leave_out", "mentioned", "proofs", "reached", "said", "watching")
)  # they look at the checkout for the run, and no test is shown by what they see
BESIDE: Final = ("tests/", "benchmarks/")  # found by bare names, from whatever folder


def _spelled(path: str) -> Iterator[str]:
    """Yield the dotted names under which a file can be imported."""
    parts = PurePosixPath(path).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    root = next((root for root in PACKAGES if path.startswith(root)), None)
    if root is not None:
        yield ".".join(parts[root.count("/") :])
    elif parts and path.startswith(BESIDE):
        yield from (".".join(parts[start:]) for start in range(1, len(parts)))


@dataclass(frozen=True)
class Tree:
    """The first-party files and what each of them names.

    Attributes:
        files: By path from the checkout's root, with `/`.
    """

    files: Mapping[str, Mentions]
    _steps: dict[str, frozenset[str]] = field(default_factory=dict)

    @cached_property
    def _named(self) -> dict[str, list[str]]:
        named: dict[str, list[str]] = {}
        for path in self.files:
            for name in _spelled(path):
                named.setdefault(name, []).append(path)
        return named

    @cached_property
    def _package(self) -> frozenset[str]:
        return frozenset(path for path in self.files if path.startswith(PACKAGES))

    def meant(self, name: str) -> Iterator[str]:
        """Yield every file that a dotted name and its parents could mean."""
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            yield from self._named.get(".".join(parts[:end]), ())

    def _above(self, path: str) -> Iterator[str]:
        """Yield what is imported or loaded before a file: its packages, its conftests."""
        for folder in PurePosixPath(path).parents:
            for name in ("__init__.py", "conftest.py"):
                above = (folder / name).as_posix()
                if above in self.files and (name == "__init__.py" or path.startswith("tests/")):
                    yield above

    def _next(self, path: str) -> frozenset[str]:
        if path not in self._steps:
            said = self.files[path]
            found = {file for name in said.modules for file in self.meant(name)}
            found.update(self._above(path))
            if said.finds:
                found |= self._package
            self._steps[path] = frozenset(found)
        return self._steps[path]

    def reached(self, path: str) -> frozenset[str]:
        """Return the files that a file can import, itself and its conftests included."""
        seen = {path}
        left = [path]
        while left:
            new = self._next(left.pop()) - seen
            seen |= new
            left.extend(new)
        return frozenset(seen)

    def judge(self, reached: Iterable[str]) -> tuple[bool, bool]:
        """Say whether tests that reach these may read all of the checkout, and beyond it.

        Only what lies beside the package is asked: the package reads what it is told to read, and
        its own data, which belong to everybody's inputs. A conftest says where it lies to lend its
        folder; it counts when it also reads.
        """
        looks = beyond = False
        for path in reached:
            if path.startswith(BESIDE) and path not in OURS:
                said = self.files[path]
                lends = path.endswith("conftest.py")
                looks = looks or (said.looks and (said.reads or not lends))
                beyond = beyond or said.beyond
        return looks, beyond
