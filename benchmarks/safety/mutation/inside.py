"""The quick way: mutants of functions, in forks of a pytest that has collected the kernel's tests.

First every test runs once, to see which lines of the kernel it runs and how long that takes. Then
for each mutant those that run its line, the ones that noticed a neighbour first, until one fails.
A test that is not told of the change (because its file looked when it was imported) can only miss
it, never be fooled into noticing. Which files run a line when they are imported is noted too: what
survives here is tried again by `fresh`, with these.
"""

import contextlib
import importlib
import os
import resource
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import coverage
import pytest
from hypothesis import Phase, is_hypothesis_test, settings

from safety.mutation.kernel import FOLDER, PACKAGE, Mutant, modules, put_in_place

LONGEST_S: Final = 60  # of processor, for one mutant: it hangs, and that is noticed
_NOT_PLACED: Final = 77  # exit status: the change could not be put in place here
_SURVIVED: Final = 0
_IMPORT: Final = "import:"
KERNEL: Final = "kernel"  # in the place of a test file: its own import


def quick_settings(items: Sequence[pytest.Item]) -> None:
    """Let no property test look for a smaller example: that it fails is enough."""
    functions = {one.function for one in items if isinstance(one, pytest.Function)}
    for test in (one for one in functions if is_hypothesis_test(one)):
        said = vars(test)["_hypothesis_internal_use_settings"]
        vars(test)["_hypothesis_internal_use_settings"] = settings(
            said, phases=(Phase.explicit, Phase.generate)
        )


@dataclass(slots=True)
class Inside:
    """A pytest plugin that runs mutants where the tests would run.

    Attributes:
        mutants: To be tried.
        jobs: Processes at a time.
        outcomes: `killed` or `survived` for each mutant's name, as found; none for what could not
            be tried here.
        looked: For each of the survivors, the test files that run its line when imported.
        broken: Tests that fail without any mutant.
    """

    mutants: list[Mutant]
    jobs: int = 1
    outcomes: dict[str, str] = field(default_factory=dict)
    looked: dict[str, list[str]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    _seconds: dict[str, float] = field(default_factory=dict)
    _lines: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    _noticed: dict[str, Counter[int]] = field(default_factory=dict)
    _meter: coverage.Coverage = field(
        default_factory=lambda: coverage.Coverage(
            data_file=None, include=[f"{FOLDER}/*"], config_file=False
        )
    )

    def pytest_configure(self) -> None:
        """Begin to note which lines of the kernel run, those of its own import first."""
        self._meter.start()
        self._meter.switch_context(_IMPORT + KERNEL)
        for module in modules():
            importlib.import_module(f"{PACKAGE}.{module.name}")

    def pytest_pycollect_makemodule(self, module_path: Path) -> None:
        """Note which lines a test file runs when it is imported."""
        self._meter.switch_context(_IMPORT + module_path.name)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Prepare what was collected."""
        quick_settings(items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the mutants in the place of the tests."""
        self._look(session)
        if not self.broken:
            self._try_all(session)
        return True

    def _look(self, session: pytest.Session) -> None:
        """Run every test once and note what it runs and how long it takes."""
        for item in session.items:
            self._meter.switch_context(item.nodeid)
            began, failed = time.process_time(), session.testsfailed
            _run(session, item)
            self._seconds[item.nodeid] = time.process_time() - began
            if session.testsfailed > failed:
                self.broken.append(item.nodeid)
        self._meter.stop()
        data = self._meter.get_data()
        for path in data.measured_files():
            for line, contexts in data.contexts_by_lineno(path).items():
                self._lines[path, line] = set(contexts) - {""}

    def _try_all(self, session: pytest.Session) -> None:
        running: dict[int, tuple[Mutant, int]] = {}
        for mutant in self.mutants:
            seen = self._lines.get((str(mutant.module.path), mutant.site.line), set())
            self.looked[mutant.name] = sorted(
                one.removeprefix(_IMPORT) for one in seen if one.startswith(_IMPORT)
            )
            if order := self._order(session, mutant, seen):  # else nothing is known of its line
                process, reading = _fork(session, mutant, order)
                running[process] = (mutant, reading)
            while running and len(running) >= self.jobs:
                self._end_one(running)
        while running:
            self._end_one(running)

    def _order(self, session: pytest.Session, mutant: Mutant, seen: set[str]) -> list[int]:
        """Return the tests that run a mutant's line, by number, the likeliest to notice first."""
        noticed = self._noticed.get(mutant.module.name, Counter())
        numbers = [number for number, item in enumerate(session.items) if item.nodeid in seen]
        key = {n: (-noticed[n], self._seconds[session.items[n].nodeid]) for n in numbers}
        return sorted(numbers, key=key.__getitem__)

    def _end_one(self, running: dict[int, tuple[Mutant, int]]) -> None:
        process, status = os.waitpid(-1, 0)
        mutant, reading = running.pop(process)
        with open(reading, "rb") as pipe:  # noqa: PTH123 - a descriptor
            said = pipe.read()
        ended = os.waitstatus_to_exitcode(status)
        if ended == _NOT_PLACED:
            return
        self.outcomes[mutant.name] = "survived" if ended == _SURVIVED else "killed"
        if said:
            self._noticed.setdefault(mutant.module.name, Counter())[int(said)] += 1


def _run(session: pytest.Session, item: pytest.Item) -> None:
    session.config.hook.pytest_runtest_protocol(item=item, nextitem=None)


def _fork(session: pytest.Session, mutant: Mutant, order: list[int]) -> tuple[int, int]:
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    status = 1
    with contextlib.suppress(BaseException):
        os.close(reading)
        silence()
        status = _in_child(session, mutant, order, writing)
    os._exit(status)


def _in_child(session: pytest.Session, mutant: Mutant, order: list[int], writing: int) -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (LONGEST_S, LONGEST_S))
    if not put_in_place(mutant):
        return _NOT_PLACED
    for number in order:
        failed = session.testsfailed
        _run(session, session.items[number])
        if session.testsfailed > failed:
            os.write(writing, str(number).encode())
            return 1
    return _SURVIVED


def silence() -> None:
    """Let this process write to nobody."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def words(more: Sequence[str] = ()) -> Iterator[str]:
    """Yield pytest's arguments."""
    yield from ("-q", "-x", "--import-mode=importlib", "-p", "no:cacheprovider")
    yield from ("-p", "no:schemathesis", "-p", "no:xdist", "-o", "addopts=", "--benchmark-disable")
    yield from ("--hypothesis-profile", "check", "-W", "ignore")
    yield from more
