"""Leaves out tests that were green in this checkout with the same inputs: `--only-unproven`.

Tests with real servers, a browser, the machine for themselves or minutes to take always run, and
so does a test that was skipped, failed, or reads what its digest does not hold. What a run has
shown is kept in `.pytest_cache`, which a fresh checkout has not.
"""

import json
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import is_hypothesis_test
from inputs import read
from proofs import LeftOut, Proof, keep, load
from watching import Watch, surprises

OPTION: Final = "--only-unproven"
ALWAYS: Final = frozenset({"alone", "browser", "live", "long", "sim"})
PROPERTY: Final = "unchanged"  # under which a report carries what the test's process knows
SETTINGS: Final = "_hypothesis_internal_use_settings"  # Hypothesis offers no other way
Limit = Callable[[int], int]


def file_of(test: str) -> str:
    """Return the file of a test's identifier."""
    return test.partition("::")[0]


def wanted(item: pytest.Item) -> int:
    """Return how many examples a test asks for, 0 if it draws none."""
    function = getattr(item, "function", None)
    if function is None or not is_hypothesis_test(function):
        return 0
    return int(vars(function)[SETTINGS].max_examples)


class Chooser:
    """Collects what is not yet shown; in each process that runs tests."""

    def __init__(self, config: pytest.Config, left: LeftOut) -> None:
        self._config = config
        self._left = left
        self._watch = Watch(config.rootpath)
        self._wanted: dict[str, int] = {}
        self._files: set[str] = set()
        self._folders = self._empty_folders()
        self.chosen: dict[str, list[str]] = {}
        self.tests: dict[str, list[str]] = {}
        self.left: set[str] = set()  # tests, and what was not even imported: files and folders

    def _empty_folders(self) -> set[str]:
        """Return the folders of which no file is to be imported, not even a conftest."""
        folders = {Path(file).parent for file in self._left.files}
        root = self._config.rootpath
        return {
            folder.as_posix()
            for folder in folders
            if all(
                path.relative_to(root).as_posix() in self._left.files
                for path in (root / folder).rglob("*.py")
                if path.name != "__main__.py"  # pytest does not look into these
            )
        }

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        if not collection_path.is_relative_to(self._config.rootpath):
            return None
        path = collection_path.relative_to(self._config.rootpath).as_posix()
        if path not in self._left.files and path not in self._folders:
            return None
        self.left.add(path)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, object, object]:
        name = file_of(collector.nodeid)
        self._watch.now = name if name.endswith(".py") else None
        try:
            return (yield)
        finally:
            self._watch.now = None

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.passed and report.nodeid.endswith(".py"):
            self._files.add(report.nodeid)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, items: list[pytest.Item]
    ) -> Generator[None, None, None]:
        self._wanted = {item.nodeid: wanted(item) for item in items}
        self.tests = self._by_file(items)
        yield
        self.chosen = self._by_file(items)
        gone = [item for item in items if item.nodeid in self._left.tests]
        self.left.update(item.nodeid for item in gone)
        items[:] = [item for item in items if item.nodeid not in self._left.tests]
        self._config.hook.pytest_deselected(items=gone)

    def _by_file(self, items: list[pytest.Item]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {file: [] for file in self._files}
        for item in items:
            found.setdefault(file_of(item.nodeid), []).append(item.nodeid)
        return found

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._watch.now = file_of(item.nodeid)
        try:
            return (yield)
        finally:
            self._watch.now = None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        if call.when == "teardown":
            always = any(mark.name in ALWAYS for mark in item.iter_markers())
            told = self._watch.told(file_of(item.nodeid))
            said = [-1 if always else self._wanted[item.nodeid], told]
            item.user_properties.append((PROPERTY, json.dumps(said)))
        return (yield)

    @pytest.hookimpl(optionalhook=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            said = [self.tests, self.chosen, sorted(self.left)]
            session.config.workeroutput[PROPERTY] = json.dumps(said)


class Keeper:
    """Says what need not run, and keeps what was shown; in the process that sees all reports."""

    def __init__(self, config: pytest.Config, limit: Limit) -> None:
        kept = config.rootpath / ".pytest_cache" / "unchanged"
        self._memory, self._path = kept / "mentions.json", kept / "proofs.json"
        self._config = config
        self._limit = limit
        self._inputs = read(config.rootpath, self._memory)
        self.left = LeftOut.of(load(self._path), self._inputs.digest, limit, self._expression)
        self._bad: set[str] = set()
        self._wanted: dict[str, int] = {}
        self._heard: dict[str, set[str]] = {}
        self._chosen: dict[str, list[str]] = {}
        self._tests: dict[str, list[str]] = {}
        self._left: set[str] = set()
        self.chooser: Chooser | None = None

    @property
    def _expression(self) -> str:
        return str(self._config.option.markexpr)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[PROPERTY] = json.dumps([dict(self.left.files), sorted(self.left.tests)])

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        said = getattr(node, "workeroutput", {}).get(PROPERTY)
        if said is not None:
            tests, chosen, left = json.loads(said)
            self._tests |= tests
            self._chosen |= chosen
            self._left.update(left)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:
            self._bad.add(report.nodeid)
        for name, value in report.user_properties:
            if name == PROPERTY and report.when == "teardown" and isinstance(value, str):
                self._wanted[report.nodeid], heard = json.loads(value)
                self._heard.setdefault(file_of(report.nodeid), set()).update(heard)

    def _shown(self) -> Iterator[tuple[str, Proof]]:
        """Yield what this run knows, of files whose inputs are still those of the beginning."""
        now = read(self._config.rootpath, self._memory)
        tests: dict[str, dict[str, int]] = {file: {} for file in self._chosen}
        for test, number in self._wanted.items():
            of_file = tests.setdefault(file_of(test), {})
            if number >= 0 and test not in self._bad:
                of_file[test] = number
        for file, good in tests.items():
            digest = self._inputs.digest(file)
            heard = self._heard.get(file, ())
            if digest is None or digest != now.digest(file) or surprises(self._inputs, file, heard):
                continue
            yield (
                file,
                Proof(
                    digest=digest,
                    wanted=good,
                    shown={test: self._limit(number) for test, number in good.items()},
                    chosen={self._expression: self._chosen[file]} if file in self._chosen else {},
                    tests=self._tests.get(file),
                ),
            )

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.chooser is not None:
            self._tests |= self.chooser.tests
            self._chosen |= self.chooser.chosen
            self._left |= self.chooser.left
        keep(self._path, dict(self._shown()))
        if session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and self._count:
            session.exitstatus = pytest.ExitCode.OK

    @property
    def _count(self) -> int:
        """Return how many tests were left out, also in files and folders not looked at."""
        unseen = (
            number
            for file, number in self.left.files.items()
            if not self._left.isdisjoint({file, *map(str, Path(file).parents)})
        )
        return sum("::" in name for name in self._left) + sum(unseen)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._count:
            terminalreporter.write_line(
                f"left out {self._count} tests that were green with the same inputs in this "
                f"checkout; without {OPTION}, all run (make ... ALL=1)"
            )
        if terminalreporter.verbosity > 0:
            for file, heard in sorted(self._heard.items()):
                for what in surprises(self._inputs, file, heard):
                    terminalreporter.write_line(f"{file} is run each time: {what}")


def add_option(parser: pytest.Parser) -> None:
    """Offer the option."""
    parser.addoption(
        OPTION,
        action="store_true",
        help="leave out tests that were green with the same inputs in this checkout",
    )


def start(config: pytest.Config, limit: Limit) -> None:
    """Do what the option asks for.

    Args:
        config: Of this process.
        limit: From the examples that a test wants to those that this run draws.
    """
    option = config.option
    picked = option.keyword or getattr(option, "lf", False) or any("::" in a for a in config.args)
    if not config.getoption(OPTION) or picked or option.collectonly:
        return
    given = getattr(config, "workerinput", None)
    if given is not None:
        files, tests = json.loads(given[PROPERTY])
        left = LeftOut(files=files, tests=frozenset(tests))
        config.pluginmanager.register(Chooser(config, left), "unchanged-chooser")
        return
    keeper = Keeper(config, limit)
    config.pluginmanager.register(keeper, "unchanged-keeper")
    if not getattr(option, "tx", None) and not getattr(option, "numprocesses", None):
        keeper.chooser = Chooser(config, keeper.left)
        config.pluginmanager.register(keeper.chooser, "unchanged-chooser")
