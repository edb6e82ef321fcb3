"""Other people's outages: the naive rule does the harm, ours does not, and the page says so."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from homeostat.cli import lab_outages
from homeostat.cli.main import app
from homeostat.testing.outages import BEGIN, END, Outage, Outcome, Row, page, run

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "other-peoples-outages.md"
NO_BETTER = {"facebook-2021", "price-zero"}


@pytest.mark.parametrize("outage", lab_outages.OUTAGES, ids=lambda one: one.key)
def test_the_naive_rule_does_the_harm_and_ours_does_not(outage: Outage) -> None:
    (row,) = run((outage,))
    assert row.naive.harm, "a naive rule that does no harm shows nothing"
    assert row.better is (outage.key not in NO_BETTER), row.ours.does
    assert bool(outage.no_better) is (outage.key in NO_BETTER)
    assert outage.placed is None or outage.placed(), "without the fault the same run acts"
    assert outage.fair is None or not outage.fair().harm, "without the fault the rule is right"


def test_there_are_forty_outages_each_cited_and_most_placed() -> None:
    keys = [outage.key for outage in lab_outages.OUTAGES]
    assert len(set(keys)) == len(keys) >= 40
    assert all(outage.source and outage.happened for outage in lab_outages.OUTAGES)
    assert sum(outage.placed is not None for outage in lab_outages.OUTAGES) >= 20


FAIR = {
    "argo-kills-canary", "argo-stuck", "argo-provider-errors", "after-promotion", "google-quota",
}  # fmt: skip


def test_rules_of_one_number_are_run_without_the_fault_as_well() -> None:
    assert {one.key for one in lab_outages.OUTAGES if one.fair is not None} >= FAIR


@pytest.mark.slow
def test_the_page_says_what_the_outages_do() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert lab_outages.renewed(PAGE, lab_outages.played()) == text, (
        "`homeostat lab outages --page` writes it"
    )


def test_a_harm_of_ours_that_is_not_admitted_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    harm = Outcome(does="acts", harm=True)
    bad = Outage(
        key="bad", source="here", happened="this | that", naive=lambda: harm, ours=lambda: harm
    )
    monkeypatch.setattr(lab_outages, "OUTAGES", (bad,))
    file = tmp_path / "page.md"
    file.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["lab", "outages", "--page", str(file)])
    assert result.exit_code == 1
    text = file.read_text(encoding="utf-8")
    assert "this \\| that" in text
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "Homeostat in 1." in text


def test_a_page_without_a_place_is_refused_and_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(lab_outages, "OUTAGES", ())
    file = tmp_path / "page.md"
    file.write_text("nothing here\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["lab", "outages", "--page", str(file)])
    assert result.exit_code == 2
    assert file.read_text(encoding="utf-8") == "nothing here\n"
    with pytest.raises(ValueError, match="no <!-- outages: begin"):
        page("nothing", tuple[Row, ...]())
