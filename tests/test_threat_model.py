"""The threat model names tests: each exists, and no threat stands without one."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "explanation" / "threat-model.md"
DEFENCES = re.compile(r"^## What stands in the way$(.*?)^## ", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`(test_\w+)`")
DEFINED = re.compile(r"^\s*(?:async )?def (test_\w+)\(", re.MULTILINE)


def rows(page: str) -> list[list[str]]:
    """Return the cells of every row of the tables of defences, headings left out."""
    part = DEFENCES.search(page)
    assert part is not None, "the page has no section of defences"
    lines = [line for line in part[1].splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row in cells if row[0] != "threat"]


def unshown(page: str, known: frozenset[str]) -> list[str]:
    """Return what is wrong with a page: threats without a test, and tests that are not there."""
    found = [f"no test: {row[0]}" for row in rows(page) if not NAMED.search(row[-1])]
    return found + [f"not there: {name}" for name in NAMED.findall(page) if name not in known]


@pytest.fixture(scope="module")
def known() -> frozenset[str]:
    """The names of all tests."""
    files = (ROOT / "tests").rglob("test_*.py")
    return frozenset(name for file in files for name in DEFINED.findall(file.read_text("utf-8")))


def test_each_threat_has_a_defence_that_a_test_shows(known: frozenset[str]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert len(rows(page)) >= 40
    assert {len(row) for row in rows(page)} == {3}
    assert unshown(page, known) == []


def test_a_threat_without_a_test_and_a_test_that_is_gone_are_seen(known: frozenset[str]) -> None:
    page = (
        "## What stands in the way\n"
        "| threat | defence | shown by |\n|---|---|---|\n"
        "| fire | hope | nobody |\n"
        "| flood | a dam | `test_the_dam_that_nobody_built` |\n"
        "## What is not\n"
    )
    assert unshown(page, known) == ["no test: fire", "not there: test_the_dam_that_nobody_built"]


def test_the_boundaries_of_the_picture_have_a_section_each() -> None:
    page = PAGE.read_text(encoding="utf-8")
    drawn = set(re.findall(r"\bB[0-9]\b", page.partition("```mermaid")[2].partition("```")[0]))
    headed = set(re.findall(r"\bB[0-9]\b", " ".join(re.findall(r"^### .*$", page, re.MULTILINE))))
    assert drawn == headed == {f"B{number}" for number in range(1, 9)}
