"""The sure way: a mutant is there before the kernel is imported, and all of its tests may run.

For what takes effect at import (rules, tables, defaults) and for whatever survived the quick way.
The process that forks has imported what tests need, but neither the kernel nor a test.
"""

import contextlib
import os
import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from safety.mutation.inside import LONGEST_S, quick_settings, silence, words
from safety.mutation.kernel import PACKAGE, ROOT, Mutant, import_changed

AT_FIRST: Final = 3  # files


class _Quick:
    """Takes the search for smaller examples from property tests."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Prepare what was collected."""
        quick_settings(items)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A mutant, and the test files that are to be asked about it, the first ones first."""

    mutant: Mutant
    tests: tuple[Path, ...]


def nearest(module: str, tests: Sequence[Path], first: Sequence[str]) -> tuple[Path, ...]:
    """Return test files: some by name first, then those that import a module, then the rest."""
    wanted = f"{PACKAGE}.{module} import"
    return tuple(
        sorted(
            tests,
            key=lambda path: (
                path.name not in first,
                wanted not in path.read_text(encoding="utf-8"),
                path.stat().st_size,
            ),
        )
    )


def outcomes(trials: Sequence[Trial], jobs: int, tell: Callable[[str, str], None]) -> None:
    """Try mutants by importing them.

    Args:
        trials: The mutants and their tests.
        jobs: Processes at a time.
        tell: Takes each mutant's name with `killed` or `survived`, as it is found.

    Raises:
        RuntimeError: The kernel is imported here, so nothing would be tested.
    """
    there = [name for name in sys.modules if name.startswith(PACKAGE)]
    if there:
        raise RuntimeError(f"{there[0]} is imported already; mutants of it would not be seen")
    running: dict[int, Mutant] = {}
    for trial in trials:
        running[_fork(trial)] = trial.mutant
        if len(running) >= jobs:
            _end_one(running, tell)
    while running:
        _end_one(running, tell)


def _end_one(running: dict[int, Mutant], tell: Callable[[str, str], None]) -> None:
    process, status = os.waitpid(-1, 0)
    survived = os.waitstatus_to_exitcode(status) == 0
    tell(running.pop(process).name, "survived" if survived else "killed")


def _fork(trial: Trial) -> int:
    process = os.fork()
    if process:
        return process
    status = 1
    with contextlib.suppress(BaseException):
        silence()
        resource.setrlimit(resource.RLIMIT_CPU, (LONGEST_S, LONGEST_S))
        import_changed(trial.mutant)
        status = int(not _passes(trial.tests))
    os._exit(status)


def _passes(tests: Sequence[Path]) -> bool:
    """Ask a few files first: most mutants are noticed by them, and the rest is not imported."""
    return all(
        pytest.main([*words(), *map(str, some)], plugins=[_Quick()]) == pytest.ExitCode.OK
        for some in (tests[:AT_FIRST], tests[AT_FIRST:])
        if some
    )


def warm_up() -> None:
    """Import what the tests need, without the kernel."""
    os.chdir(ROOT)
    for name in ("numpy", "hypothesis.strategies", "homeostat.base.guard", "homeostat.base.intent"):
        __import__(name)
