"""The documentation holds together: links lead somewhere, and the menu lists every page."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from homeostat.cli.main import app

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), ROOT / "instrument" / "README.md"])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def links(page: Path) -> list[str]:
    """Return what a page links to in this repository, without anchors; code blocks left out."""
    text = re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    targets = [target.partition("#")[0] for target in LINK.findall(text)]
    return [target for target in targets if target and "://" not in target]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    missing = [target for target in links(page) if not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_table_is_shown_as_one(page: Path) -> None:
    """Without a line of dashes under its head a table is shown as text."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    tables = re.findall(r"(?:^\| .*\n)(?:^\|.*\n?)*", text, flags=re.MULTILINE)
    heads = [table.splitlines()[:2] for table in tables]
    broken = [head for head, *under in heads if not (under and set(under[0]) <= set("|-: "))]
    assert broken == []


def test_the_menu_lists_every_page() -> None:
    listed = {(DOCS / target).resolve() for target in links(DOCS / "index.md")}
    pages = {page.resolve() for page in DOCS.rglob("*.md")} - {(DOCS / "index.md").resolve()}
    plans = {page.resolve() for page in (DOCS / "plans").glob("*.md")}  # for builders, not readers
    assert sorted(pages - listed - plans) == []


def test_decisions_are_numbered_once_and_say_what_they_cost() -> None:
    records = sorted((DOCS / "decisions").glob("*.md"))
    assert len({record.name[:4] for record in records}) == len(records)
    for record in records:
        text = record.read_text(encoding="utf-8")
        assert text.startswith(f"# {int(record.name[:4])}. "), record.name
        for part in ("Question", "Choice", "Price", "Reconsider"):
            assert part in text, f"{record.name} has no {part}"
        assert text.count("\n") <= 60, f"{record.name} is longer than a page"


def test_fragments_have_a_kind_that_the_changelog_knows() -> None:
    kinds = {"safety", "added", "changed", "fixed", "removed"}
    for fragment in (ROOT / "changes").glob("*.md"):
        assert fragment.name.split(".")[-2] in kinds, fragment.name


def test_the_schema_in_the_docs_is_the_one_the_command_prints() -> None:
    """`make docs` writes it; editors read it."""
    said = CliRunner().invoke(app, ["schema"])
    kept = (ROOT / "docs" / "reference" / "homeostat.schema.json").read_text(encoding="utf-8")
    assert json.loads(kept) == json.loads(said.stdout)
