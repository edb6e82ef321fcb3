"""How hard property tests try, and what more than one room's tests need.

Property tests: `check` a little, `full` as each test says, `explore` anew. Choose with
`--hypothesis-profile`; `full` is the default. `check` and `full` draw the same examples
on every run, so that a red build is a change's fault and stays red; `explore` draws new ones.
"""

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import is_hypothesis_test, settings

sys.path.insert(0, str(Path(__file__).parent / "unchanged"))
import leave_out
from said import overlooked

NOBODY: Final = 65534  # the user without rights, on every Linux
CHECK_EXAMPLES: Final = 10  # of a test that wants more; keeps `make check` under a minute
EXPLORE_FACTOR: Final = 10  # what `make test-long` can afford in minutes

# A program is compiled once for all workers, stages and runs, not once in each. JAX reads this
# when it is imported; it keeps an entry by the program, its options and its own version.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".jax_cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")  # reading: milliseconds

# No deadline: what is promised about speed is in benchmarks/, and machines are sometimes busy.
settings.register_profile("full", derandomize=True, database=None, deadline=None)
settings.register_profile("check", settings.get_profile("full"))
# Said outright: under CI hypothesis would not draw anew by itself.
settings.register_profile(
    "explore", derandomize=False, database=None, deadline=None, print_blob=True
)
settings.load_profile("full")


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[Path]:
    """Yield an empty folder of its own to a test that runs as a user who may not do everything.

    Permissions mean nothing to root, as whom tests in containers run.
    """
    if os.geteuid() != 0:
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp())
    os.chown(folder, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        os.seteuid(0)
        folder.chmod(0o700)
        shutil.rmtree(folder)


def examples(profile: str, wanted: int) -> int:
    """Return how many examples a test draws that wants so many."""
    match profile:
        case "check":
            return min(wanted, CHECK_EXAMPLES)
        case "explore":
            return wanted * EXPLORE_FACTOR
        case _:
            return wanted


def limit(profile: str, tests: Iterable[Callable[..., Any]]) -> None:
    """Give each property test its profile's number of examples, also where it says its own."""
    for test in tests:
        said = vars(test)["_hypothesis_internal_use_settings"]  # Hypothesis offers no other way
        mine = settings(said, max_examples=examples(profile, said.max_examples))
        vars(test)["_hypothesis_internal_use_settings"] = mine


def pytest_addoption(parser: pytest.Parser) -> None:
    leave_out.add_option(parser)


def pytest_configure(config: pytest.Config) -> None:
    profile = config.getoption("--hypothesis-profile") or "full"
    leave_out.start(config, lambda wanted: examples(profile, wanted))


def leave_to_long(items: Iterable[pytest.Item]) -> None:
    """Mark as long what `sampled(n)` leaves out: of n cases of a test all but the first."""
    seen: dict[str, int] = {}
    for item in items:
        mark = item.get_closest_marker("sampled")
        if mark is None:
            continue
        test = item.nodeid.partition("[")[0]
        seen[test] = seen.get(test, -1) + 1
        if seen[test] % mark.args[0]:
            item.add_marker("long")


@pytest.hookimpl(tryfirst=True)  # before anything is chosen by its marks
def pytest_collection_modifyitems(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """Limit what was collected; the cases of one parametrised test are one function.

    Raises:
        UsageError: If `make test` would not look into a file for a test that is in it.
    """
    leave_to_long(items)
    marks = ((item.path, [mark.name for mark in item.iter_markers()]) for item in items)
    if missed := overlooked(marks):
        raise pytest.UsageError("; ".join(missed))
    functions = (item.function for item in items if isinstance(item, pytest.Function))
    properties = {function for function in functions if is_hypothesis_test(function)}
    limit(config.getoption("--hypothesis-profile") or "full", properties)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage while modules are imported: what they make stays."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """Refuse a module that starts JAX when imported: its threads would be in every fork after.

    Every worker imports all test modules, also those of whose tests it runs none. All that this
    made is kept from the garbage collector, for which it was a fifth of the whole run's time.

    Raises:
        UsageError: If one does.
    """
    gc.freeze()
    bridge = sys.modules.get("jax._src.xla_bridge")  # JAX says nowhere public whether it runs
    if bridge is not None and bridge.backends_are_initialized():
        raise pytest.UsageError("importing a test module has started JAX: make its arrays later")
