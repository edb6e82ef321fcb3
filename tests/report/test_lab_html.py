"""The report is one file that says what was found, with intervals, and hides nothing."""

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import pytest
from typing_extensions import override

from homeostat.lab.policies import names
from homeostat.report import lab_tables as tables
from homeostat.report.charts import SHAPES
from homeostat.report.lab_html import Film, page, passed
from homeostat.report.lab_results import Bound, Check, Curve, Figure, PolicyResults, Results
from homeostat.report.lab_words import CODES, METRICS, Unit, written


class Outline(HTMLParser):
    """Collects what a browser would fetch or run, ids, links, tables and balance."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        named = {key: value or "" for key, value in attrs}
        self.fetched += [named[k] for k in ("src", "srcset", "data", "action") if k in named]
        self.handlers += [key for key in named if key.startswith("on")]
        if tag == "link":
            self.fetched.append(named.get("href", ""))
        if tag == "a":
            self.links.append(named.get("href", ""))
        if "id" in named:
            self.ids.append(named["id"])


@pytest.fixture(scope="module")
def html(results: Results, films: list[Film]) -> str:
    return page(results, films)


def row_of(table: tables.Table, head: str) -> tables.Row:
    return next(row for row in table.rows if row.head == head)


def test_the_page_asks_no_other_host_for_anything_and_runs_nothing(html: str) -> None:
    seen = Outline(html)
    assert seen.fetched == []
    assert seen.handlers == []
    assert "script" not in seen.tags
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", html)


def test_every_link_leads_to_a_part_of_the_page_and_ids_are_unique(html: str) -> None:
    seen = Outline(html)
    assert seen.links
    assert {link.removeprefix("#") for link in seen.links} <= set(seen.ids)
    assert len(seen.ids) == len(set(seen.ids))


def test_every_table_has_a_caption_and_heads(html: str) -> None:
    count = html.count("<table")
    assert count >= 8
    assert html.count("<caption>") == count
    for table in re.findall(r"<table.*?</table>", html, re.DOTALL):
        rows = len(re.findall(r"<tr>", table)) - 1
        assert len(re.findall(r'<th scope="row">', table)) == rows > 0


def test_every_figure_stands_beside_its_interval(results: Results, html: str) -> None:
    figure = results.policies["hpa"].metrics["mttr_s"]
    assert written(figure.value, Unit.SECONDS) in html
    low, high = written(figure.low, Unit.SECONDS), written(figure.high, Unit.SECONDS)
    assert f"{low.removesuffix(' min')} to {high}" in html


def test_both_bounds_of_a_zero_count_stand_in_one_sentence(html: str) -> None:
    said = re.sub(r"\s+", " ", html)
    assert "homeostat caused a catastrophe in none of 900 episodes" in said
    assert "at most 0.33 % (95 %). It happened in none of 9 scenarios" in said
    assert "up to 28.3 % of the scenarios" in said


def test_the_page_defines_every_word_it_uses(html: str) -> None:
    text = unescape(html)
    for metric in METRICS.values():
        assert metric.label in text
        assert metric.means in text
    assert all(f"<dt>{code}</dt>" in html for code in CODES)


def test_the_page_says_how_to_run_it_again(results: Results, html: str) -> None:
    assert results.command in html
    assert results.catalogue_digest in html
    assert results.thresholds_digest in html


def test_names_from_a_scenario_file_are_text_and_never_markup(results: Results) -> None:
    evil = replace(results.scenarios["S07"], name="<img src=x onerror=alert(1)>")
    made = page(replace(results, scenarios={**results.scenarios, "S07": evil}))
    assert "<img" not in made
    assert "&lt;img src=x" in made


def test_what_was_not_measured_says_so_and_shows_no_number(results: Results) -> None:
    table = tables.every_metric(results, tables.looks(results.policies))
    cells = row_of(table, METRICS["breach_brier_skill"].label).cells
    assert {(c.text, c.sub) for c in cells} == {("-", "not measured")}


def policies(**figures: Figure) -> dict[str, PolicyResults]:
    return {name: PolicyResults(metrics={"mttr_s": f}) for name, f in figures.items()}


def span(low: float, high: float) -> Figure:
    return Figure(value=(low + high) / 2, low=low, high=high, n=10)


def test_a_policy_is_clearly_best_only_when_no_other_interval_touches_its_own() -> None:
    best = tables.clearly_best
    assert best("mttr_s", policies(hpa=span(10, 20), hold=span(30, 40))) == "hpa"
    assert best("mttr_s", policies(hpa=span(10, 31), hold=span(30, 40))) is None
    assert best("mttr_s", policies(hpa=span(10, 20), hold=Figure(value=30.0, n=1))) is None
    assert best("mttr_s", policies(hpa=span(10, 20))) is None


def test_the_oracle_wins_nothing_and_takes_nothing_from_the_best() -> None:
    found = policies(hpa=span(10, 20), hold=span(30, 40), oracle=span(1, 2))
    assert tables.clearly_best("mttr_s", found) == "hpa"


def test_a_gate_with_an_open_condition_is_neither_passed_nor_failed() -> None:
    good = Check(name="a", passed=True, because="")
    unsure = Check(name="b", passed=None, because="")
    bad = Check(name="c", passed=False, because="")
    assert passed([good]) is True
    assert passed([good, unsure]) is None
    assert passed([good, unsure, bad]) is False


def test_the_heat_of_a_cell_follows_its_rate_and_names_the_codes(results: Results) -> None:
    rows = tables.heat_codes(results).rows
    (first,) = [row for row in rows if row.head.startswith("S07")]
    by_policy = dict(zip(results.policies, first.cells, strict=True))
    assert by_policy["hold"].kind == "h4"
    assert re.fullmatch(r"K[1-7]", by_policy["hold"].sub)
    assert tables.heat(0.0, tables.RATE_STEPS) == "h0"
    assert tables.heat(0.005, tables.RATE_STEPS) == "h1"


def test_the_share_recovered_is_unknown_beyond_the_curve() -> None:
    curve = Curve(t_s=(0.0, 60.0, 120.0), share=(0.0, 0.2, 0.5), n=10)
    assert tables.share_at(curve, 59.0) == 0.0
    assert tables.share_at(curve, 60.0) == 0.2
    assert tables.share_at(curve, 121.0) is None


def test_a_run_without_oracle_curves_or_films_is_reported_all_the_same(results: Results) -> None:
    bare = {
        "hold": PolicyResults(metrics={"mttr_s": Figure(value=None, n=0)}),
        "mine": PolicyResults(metrics={"my_metric": Figure(value=3.0, n=2)}),
    }
    made = page(replace(results, policies=bare, notes=()))
    assert "my metric" in made
    assert "The worst episodes" not in made
    assert "Recovery and cost" not in made


def test_colours_follow_policies_and_not_their_order() -> None:
    one, two = tables.looks(["hpa", "homeostat"]), tables.looks(["homeostat", "hold", "hpa"])
    assert one["hpa"] == two["hpa"]
    assert one["homeostat"].strong
    assert not one["hpa"].strong


def test_every_policy_of_the_lab_is_drawn_otherwise_than_all_others() -> None:
    asked = [*names(), *(f"policy {number}" for number in range(9))]
    drawn = tables.looks(asked)
    assert len({(look.tone, look.dash, look.kind % SHAPES) for look in drawn.values()}) == len(
        asked
    )


def test_a_bound_over_episodes_alone_is_said_without_the_other(results: Results) -> None:
    lone = replace(
        results.policies["hold"],
        over_episodes=Bound(events=1, n=10, upper=0.39),
        over_scenarios=None,
    )
    made = page(replace(results, policies={"hold": lone}))
    assert "hold caused a catastrophe in 1 of 10 episodes" in made
    assert "nobody wrote down, it" not in made


def test_other_thresholds_are_shown_where_they_change_something(results: Results) -> None:
    assert tables.sensitivity(results) is None  # nobody asked
    base = results.policies["hold"].metrics["catastrophic_rate_caused"]
    assert base.value is not None
    more = Figure(value=base.value + 0.1, n=base.n)
    told = {"all x 0.5": base, "k2_for_s x 2": base, "k1_short_s x 2": more}
    hold = replace(results.policies["hold"], sensitivity=told)
    found = tables.sensitivity(replace(results, policies={**results.policies, "hold": hold}))
    assert found is not None
    assert [row.head for row in found.rows] == ["as they are", "all x 0.5", "k1_short_s x 2"]
    assert found.note is not None
    assert "other 1 of 3" in found.note
    assert found.rows[2].cells[0].text == written(more.value, Unit.SHARE)
    assert found.rows[2].cells[1].text == "-"  # the other policies were not judged so
