"""Tests are left out only if all that they depend on is as it was when they were green."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

HERE: Final = Path(__file__).parent
CONFTEST: Final = """
import sys
sys.path.insert(0, {here!r})
import leave_out
from hypothesis import settings

settings.register_profile("few", database=None)

def pytest_addoption(parser):
    leave_out.add_option(parser)

def pytest_configure(config):
    few = config.getoption("--hypothesis-profile") == "few"
    leave_out.start(config, lambda wanted: min(wanted, 10) if few else wanted)
"""
FILES: Final = {
    "pyproject.toml": "[tool.pytest.ini_options]\nmarkers=['live','slow']\ntestpaths=['tests']",
    "src/homeostat/__init__.py": "",
    "src/homeostat/near.py": "VALUE = 1\n",
    "src/homeostat/far.py": "VALUE = 2\n",
    "README.md": "Four words are here\n",
    "examples/policy.yaml": "limit: 3\n",
    "tests/test_far.py": """
import pytest
from homeostat.far import VALUE

def test_it(): assert VALUE

@getattr(pytest.mark, 'live')  # not in so many words: the Makefile looks for files that say them
def test_live(): pass

def test_skipped(): pytest.skip("always")
""",
    "tests/test_near.py": """
import pytest
from hypothesis import given, settings, strategies as st

@settings(max_examples=30, database=None)
@given(st.integers())
def test_many(number): pass

def test_lazily():
    from homeostat.near import VALUE
    assert VALUE

@pytest.mark.slow
def test_slow(): pass
""",
    "tests/test_readme.py": """
from pathlib import Path

def test_words(): assert len((Path(__file__).parents[1] / "README.md").read_text().split()) == 4
""",
    "tests/test_sly.py": """
import os

def test_words():
    with open(os.path.join("tests", "..", "README.md")) as page: assert page.read()
""",
}
UNPROVEN: Final = ("--only-unproven", "--hypothesis-profile", "few", "-m", "not slow")
WHOLE: Final = ("--only-unproven", "-m", "not live")
SKIPPED, LIVE = "tests/test_far.py::test_skipped", "tests/test_far.py::test_live"
SLY = "tests/test_sly.py::test_words"
EVER: Final = {SKIPPED, LIVE, SLY}
FAR, README = "tests/test_far.py::test_it", "tests/test_readme.py::test_words"
MANY, LAZILY = "tests/test_near.py::test_many", "tests/test_near.py::test_lazily"
SLOW: Final = "tests/test_near.py::test_slow"
FAST: Final = {FAR, README, MANY, LAZILY}


def run(checkout: Path, *options: str, code: int = 0) -> set[str]:
    """Run a checkout's tests and return which were run."""
    # Only these plug-ins: a process that loads all takes three times as long.
    plugins = [f"-p{name}" for name in ("_hypothesis_pytestplugin", "xdist.plugin")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "--import-mode=importlib", *plugins, *options],
        cwd=checkout,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": "src"}
        | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if "::" in line]
    return {word for line in lines for word in line.split() if word.startswith("tests/")}


def added(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Story:
    """What each run of one checkout ran, in this order."""

    first: set[str]
    after_a_failure: set[str]
    after_a_module: set[str]
    after_a_page: set[str]
    unlimited: set[str]
    unlimited_again: set[str]
    by_workers: set[str]
    by_workers_again: set[str]
    without_the_option: set[str]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Tell it once: each run is a process."""
    checkout = tmp_path_factory.mktemp("checkout")
    for name, text in FILES.items():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text(text, encoding="utf-8")
    conftest = CONFTEST.format(here=str(HERE))
    (checkout / "tests" / "conftest.py").write_text(conftest, encoding="utf-8")
    readme = checkout / "README.md"
    readme.write_text("Three words only\n", encoding="utf-8")
    first = run(checkout, *UNPROVEN, code=1)
    after_a_failure = run(checkout, *UNPROVEN, code=1)
    readme.write_text(FILES["README.md"], encoding="utf-8")
    added(checkout / "src/homeostat/near.py")
    after_a_module = run(checkout, *UNPROVEN)
    added(readme)
    after_a_page = run(checkout, *UNPROVEN)
    unlimited = run(checkout, *WHOLE)
    unlimited_again = run(checkout, *WHOLE)
    for name in ("far", "sly"):
        (checkout / f"tests/test_{name}.py").unlink()
    added(checkout / "examples/policy.yaml")
    return Story(
        first=first,
        after_a_failure=after_a_failure,
        after_a_module=after_a_module,
        after_a_page=after_a_page,
        unlimited=unlimited,
        unlimited_again=unlimited_again,
        by_workers=run(checkout, *UNPROVEN, "-n", "2"),
        by_workers_again=run(checkout, *UNPROVEN, "-n", "2"),
        without_the_option=run(checkout, *UNPROVEN[1:]),
    )


@pytest.mark.slow
def test_a_fresh_checkout_runs_all(story: Story) -> None:
    assert story.first == EVER | FAST


@pytest.mark.slow
def test_a_test_that_failed_was_skipped_is_live_or_reads_on_the_sly_runs_again(
    story: Story,
) -> None:
    assert story.after_a_failure == EVER | {README}


@pytest.mark.slow
def test_what_is_run_again_is_what_a_change_can_reach(story: Story) -> None:
    """Who reads a page may read a module's text."""
    assert story.after_a_module == EVER | {MANY, LAZILY, README}
    assert story.after_a_page == EVER | {README}


@pytest.mark.slow
def test_more_examples_and_other_tests_are_not_shown_by_fewer(story: Story) -> None:
    assert story.unlimited == {SKIPPED, SLY, MANY, SLOW}
    assert story.unlimited_again == {SKIPPED, SLY}


@pytest.mark.slow
def test_workers_leave_out_what_one_process_would_and_nothing_left_is_no_failure(
    story: Story,
) -> None:
    assert story.by_workers == {README, MANY, LAZILY}
    assert story.by_workers_again == set()


@pytest.mark.slow
def test_without_the_option_all_run(story: Story) -> None:
    assert story.without_the_option == {README, MANY, LAZILY}
