"""What was green, with which inputs and how many examples: kept in the checkout between runs.

Nothing here decides what inputs are; a digest stands for them.
"""

import fcntl
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from inputs import written

FORM: Final = 2  # of the file; another form is not read


@dataclass(kw_only=True)
class Proof:
    """What is known of one file's tests.

    Attributes:
        digest: Of the inputs with which all of this is so.
        wanted: How many examples each test asks for where nothing limits it; 0 without examples.
        shown: With how many examples each was green.
        chosen: The tests that a marker expression leaves, for each that was asked.
        tests: All tests, whatever their markers; None if nobody has looked.
    """

    digest: str
    wanted: dict[str, int] = field(default_factory=dict)
    shown: dict[str, int] = field(default_factory=dict)
    chosen: dict[str, list[str]] = field(default_factory=dict)
    tests: list[str] | None = None

    def green(self, limit: Callable[[int], int]) -> frozenset[str]:
        """Return the tests that were green with as many examples as a run would draw.

        Args:
            limit: From the examples that a test wants to those that the run draws.
        """
        return frozenset(
            test for test, drawn in self.shown.items() if drawn >= limit(self.wanted[test])
        )

    def joined(self, other: "Proof") -> "Proof":
        """Return what both know; of other inputs, only what the other does."""
        if self.digest != other.digest:
            return other
        tests = self.shown.keys() | other.shown.keys()
        return Proof(
            digest=self.digest,
            wanted=self.wanted | other.wanted,
            shown={t: max(self.shown.get(t, 0), other.shown.get(t, 0)) for t in tests},
            chosen=self.chosen | other.chosen,
            tests=self.tests if other.tests is None else other.tests,
        )


def load(path: Path) -> dict[str, Proof]:
    """Return what was kept, by test file; nothing if nothing readable was."""
    with suppress(OSError, ValueError, TypeError, AttributeError, KeyError):
        said = json.loads(path.read_text(encoding="utf-8"))
        if said["form"] == FORM:
            return {file: Proof(**kept) for file, kept in said["files"].items()}
    return {}


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def keep(path: Path, news: Mapping[str, Proof]) -> None:
    """Add what a run has shown to what is kept; other runs may do so at the same time."""
    with _alone(path):
        kept = load(path)
        for file, proof in news.items():
            kept[file] = kept[file].joined(proof) if file in kept else proof
        files = {file: asdict(proof) for file, proof in sorted(kept.items())}
        written(path, json.dumps({"form": FORM, "files": files}))


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """What a run need not show again.

    Attributes:
        files: Files of which nothing is left to run, with their numbers of tests; they need not
            even be imported.
        tests: The tests, of these and of other files.
    """

    files: Mapping[str, int]
    tests: frozenset[str]

    @classmethod
    def of(
        cls,
        kept: Mapping[str, Proof],
        digest: Callable[[str], str | None],
        limit: Callable[[int], int],
        expression: str,
    ) -> "LeftOut":
        """Compare what was kept with a checkout, for a run of what an expression leaves."""
        files: dict[str, int] = {}
        tests: set[str] = set()
        for file, proof in kept.items():
            if proof.digest != digest(file):
                continue
            green = proof.green(limit)
            tests |= green
            for chosen in (proof.chosen.get(expression), proof.tests):
                if chosen is not None and green.issuperset(chosen):
                    files[file] = len(chosen)
                    break
        return cls(files=files, tests=frozenset(tests))
