"""The table in the documentation holds what the results hold, and goes where its markers are."""

import re
from dataclasses import replace

import pytest

from homeostat.report import lab_figures
from homeostat.report.lab_results import Figure, Results, from_json, to_json
from homeostat.report.lab_words import METRICS


def rows(text: str) -> dict[str, list[str]]:
    """Return the cells of a Markdown table by its first column."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {line[0]: line[1:] for line in lines}


def test_every_metric_that_was_measured_has_a_row_with_each_policys_interval(
    results: Results,
) -> None:
    found = rows(lab_figures.comparison(results))
    assert found["hold"] == list(results.policies)[1:]  # the head, whose first cell is empty
    labels = {METRICS[name].label for name in METRICS if name != "breach_brier_skill"}
    assert labels <= set(found)
    assert METRICS["breach_brier_skill"].label not in found  # nobody measured it
    mttr = results.policies["threshold"].metrics["mttr_s"]
    assert mttr.value is not None
    cell = found["Mean time to repair"][list(results.policies).index("threshold")]
    assert cell.startswith(f"{mttr.value / 60:.1f} min (")
    assert found["The gate"][0] == "not passed"
    assert found["The gate"][-1] == "open"  # nothing fails, one cannot be judged


def test_a_policy_without_a_figure_shows_none_and_never_zero(results: Results) -> None:
    hpa = results.policies["hpa"]
    metrics = {**hpa.metrics, "uptime": Figure(value=None, n=0)}
    text = lab_figures.comparison(
        replace(results, policies={**results.policies, "hpa": replace(hpa, metrics=metrics)})
    )
    assert rows(text)["Uptime"][list(results.policies).index("hpa")] == "-"


def test_seeds_machine_commit_and_command_are_said(results: Results) -> None:
    text = lab_figures.comparison(replace(results, commit="0123456789abcdef+"))
    for fact in ("seeds 0 to 99", "900 episodes", "A processor with 2 cores", "0123456789ab"):
        assert fact in text
    assert results.command in text
    assert "0123456789ab and changes that were never committed" in text
    assert "never" not in lab_figures.comparison(replace(results, commit="0123456789abcdef"))
    assert "commit" not in lab_figures.comparison(results)  # of nothing is nothing said


def test_a_summary_is_small_and_says_the_same(results: Results) -> None:
    small = lab_figures.summary(results)
    text = to_json(small)
    assert lab_figures.comparison(from_json(text)) == lab_figures.comparison(results)
    assert len(text) < len(to_json(results)) / 5
    assert "S07" not in "".join(small.policies["hold"].scenarios)


def test_text_goes_between_its_markers_and_nowhere_else() -> None:
    page = "<!-- begin a -->\n<!-- end a -->\nmiddle \\1\n<!-- begin b -->x<!-- end b -->\n"
    once = lab_figures.spliced(lab_figures.spliced(page, "a", r"\g<0> | 1"), "b", "two")
    assert once == lab_figures.spliced(once, "a", r"\g<0> | 1")
    assert re.findall(r"^(?!<!--|$).+", once, re.MULTILINE) == [r"\g<0> | 1", "middle \\1", "two"]


@pytest.mark.parametrize(
    "page", ["", "<!-- begin a -->", "<!-- end a --><!-- begin a -->", "<!-- begin a -->" * 2]
)
def test_a_page_without_its_markers_is_an_error_that_names_them(page: str) -> None:
    with pytest.raises(lab_figures.MarkerError, match="begin a"):
        lab_figures.spliced(page, "a", "text")
