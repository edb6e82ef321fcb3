"""The sure way: a mutant is there before the kernel is imported, and all of its tests may run.

For what takes effect at import (rules, tables, defaults) and for whatever survived the quick way.
The process that forks has imported what tests need, but neither the kernel nor a test.
"""

import contextlib
import os
import resource
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from safety.mutation.inside import LONGEST_S, quick_settings, silence, words
from safety.mutation.kernel import PACKAGE, ROOT, Mutant, import_changed


class _Quick:
    """Takes the search for smaller examples from property tests."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Prepare what was collected."""
        quick_settings(items)


def nearest(module: str, tests: Sequence[Path]) -> list[Path]:
    """Return test files, those first that import a module of the kernel by its name."""
    files = sorted(tests, key=lambda path: path.stat().st_size)
    wanted = f"{PACKAGE}.{module} import"
    return sorted(files, key=lambda path: wanted not in path.read_text(encoding="utf-8"))


def outcomes(
    mutants: Sequence[Mutant], jobs: int, tests: Sequence[Path], first: Sequence[str]
) -> dict[str, str]:
    """Return `killed` or `survived` for each mutant's name.

    Args:
        mutants: To be tried.
        jobs: Processes at a time.
        tests: Test files.
        first: Test files that are asked before all others, by name.

    Raises:
        RuntimeError: The kernel is imported here, so nothing would be tested.
    """
    there = [name for name in sys.modules if name.startswith(PACKAGE)]
    if there:
        raise RuntimeError(f"{there[0]} is imported already; mutants of it would not be seen")
    found: dict[str, str] = {}
    running: dict[int, Mutant] = {}
    for mutant in mutants:
        running[_fork(mutant, tests, first)] = mutant
        if len(running) >= jobs:
            _end_one(running, found)
    while running:
        _end_one(running, found)
    return found


def _end_one(running: dict[int, Mutant], found: dict[str, str]) -> None:
    process, status = os.waitpid(-1, 0)
    survived = os.waitstatus_to_exitcode(status) == 0
    found[running.pop(process).name] = "survived" if survived else "killed"


def _fork(mutant: Mutant, tests: Sequence[Path], first: Sequence[str]) -> int:
    process = os.fork()
    if process:
        return process
    status = 1
    with contextlib.suppress(BaseException):
        silence()
        resource.setrlimit(resource.RLIMIT_CPU, (LONGEST_S, LONGEST_S))
        import_changed(mutant)
        status = int(not _passes(mutant, tests, first))
    os._exit(status)


def _passes(mutant: Mutant, tests: Sequence[Path], first: Sequence[str]) -> bool:
    files = nearest(mutant.module.name, tests)
    near = [path for path in files if path.name in first]
    rest = [path for path in files if path not in near]
    return all(
        pytest.main([*words(), *map(str, some)], plugins=[_Quick()]) == pytest.ExitCode.OK
        for some in (near, rest)
        if some
    )


def warm_up() -> None:
    """Import what the tests need, without the kernel."""
    os.chdir(ROOT)
    for name in ("numpy", "hypothesis.strategies", "homeostat.base.guard", "homeostat.base.intent"):
        __import__(name)
