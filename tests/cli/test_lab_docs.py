"""`homeostat lab docs`: what was measured gets into a page, and a page that says else is found."""

from pathlib import Path
from typing import Any

import pytest

from homeostat.base.errors import ConfigError
from homeostat.cli import lab_docs
from homeostat.cli.exits import Exit
from homeostat.report.lab_results import Figure, Machine, PolicyResults, Results, to_json


def written(folder: Path, uptime: float = 0.78) -> Path:
    """Return a results file with one figure."""
    results = Results(
        version="0.1.0",
        made_at="2026-02-03T04:05:06Z",
        command="homeostat lab run",
        wall_s=1.0,
        machine=Machine(cpu="A processor", cores=2, python="3.11.2", jax="0.9.0"),
        catalogue="catalogue",
        catalogue_digest="c",
        thresholds_digest="d",
        seed_first=0,
        seeds=3,
        scenarios={},
        policies={"hold": PolicyResults(metrics={"uptime": Figure(value=uptime, n=3)})},
    )
    file = folder / "results.json"
    file.write_text(to_json(results), encoding="utf-8")
    return file


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "figures.md"
    file.write_text("# F\n\n<!-- begin comparison -->\n<!-- end comparison -->\n", encoding="utf-8")
    return file


def test_a_file_of_results_becomes_a_table_and_the_check_agrees(
    bare: Any, page: Path, tmp_path: Path
) -> None:
    at = ("--page", str(page))
    assert bare("lab", "docs", str(written(tmp_path)), *at).exit_code == Exit.OK
    assert "| Uptime | 78.0 % |" in page.read_text(encoding="utf-8")
    assert bare("lab", "docs", "--check", *at).exit_code == Exit.OK
    assert (tmp_path / "figures" / "comparison.json").exists()


def test_a_number_changed_by_hand_fails_the_check_and_is_shown(
    bare: Any, page: Path, tmp_path: Path
) -> None:
    at = ("--page", str(page))
    bare("lab", "docs", str(written(tmp_path)), *at)
    page.write_text(page.read_text(encoding="utf-8").replace("78.0", "98.0"), encoding="utf-8")
    found = bare("lab", "docs", "--check", *at)
    assert found.exit_code == Exit.FAILED
    assert "-| Uptime | 98.0 % |" in found.stdout
    assert "+| Uptime | 78.0 % |" in found.stdout
    assert bare("lab", "docs", *at).exit_code == Exit.OK  # made again from what is kept
    assert bare("lab", "docs", "--check", *at).exit_code == Exit.OK


def test_new_figures_without_the_page_written_anew_fail_the_check(
    bare: Any, page: Path, tmp_path: Path
) -> None:
    at = ("--page", str(page))
    bare("lab", "docs", str(written(tmp_path)), *at)
    (kept,) = lab_docs.kept([written(tmp_path, 0.5)], page).items()
    kept[0].write_text(kept[1], encoding="utf-8")
    assert bare("lab", "docs", "--check", *at).exit_code == Exit.FAILED


def test_a_page_without_markers_changes_nothing_on_disk(
    bare: Any, page: Path, tmp_path: Path
) -> None:
    page.write_text("# nothing\n", encoding="utf-8")
    assert bare("lab", "docs", str(written(tmp_path)), "--page", str(page)).exit_code != Exit.OK
    assert not (tmp_path / "figures").exists()


def test_what_nobody_measured_says_so(bare: Any, page: Path, tmp_path: Path) -> None:
    place = "<!-- begin cycles --><!-- end cycles -->\n"
    page.write_text(page.read_text(encoding="utf-8") + place, encoding="utf-8")
    assert bare("lab", "docs", str(written(tmp_path)), "--page", str(page)).exit_code == Exit.OK
    assert page.read_text(encoding="utf-8").count("Not measured yet.") == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "homeostat.dev/fit/v1"}'])
def test_what_is_no_file_of_figures_is_refused_by_name(
    page: Path, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "other.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"other\.json"):
        lab_docs.kept([file], page)


def test_two_files_of_one_kind_are_refused(page: Path, tmp_path: Path) -> None:
    file = written(tmp_path)
    with pytest.raises(ConfigError, match="second file of comparison"):
        lab_docs.kept([file, file], page)


def test_a_check_of_given_files_is_a_usage_error(bare: Any, page: Path, tmp_path: Path) -> None:
    found = bare("lab", "docs", "--check", str(written(tmp_path)), "--page", str(page))
    assert found.exit_code == Exit.USAGE


def test_a_page_without_any_figures_cannot_be_checked(page: Path) -> None:
    with pytest.raises(ConfigError, match="holds no figures"):
        lab_docs.difference(page)


def test_the_documentation_says_what_was_measured() -> None:
    """`homeostat lab docs` writes the page from the figures beside it; nobody else may."""
    published = Path(__file__).parents[2] / "docs" / "reference" / "lab-figures.md"
    assert lab_docs.difference(published) == ""
