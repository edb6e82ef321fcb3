"""The dashboard draws every metric and asks for nothing else; no Grafana is run here."""

import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from homeostat.server.telemetry import grafana
from homeostat.server.telemetry.table import TABLE, Kind, Part

BOARD = grafana.dashboard()
PANELS: list[dict[str, Any]] = [one for one in BOARD["panels"] if one["type"] != "row"]
SAMPLES = {sample: row for row in TABLE for sample in row.samples}
NAMED = re.compile(r"\b(?:homeostat_)\w+")


def exprs(board: dict[str, Any] = BOARD) -> list[str]:
    panels = [target["expr"] for one in board["panels"] for target in one.get("targets", ())]
    return [
        *panels,
        *(one["definition"] for one in board["templating"]["list"] if "refId" in str(one)),
    ]


def test_every_query_names_a_metric_that_is_there_and_every_metric_is_drawn() -> None:
    named = {name for expr in exprs() for name in NAMED.findall(expr)}
    assert named <= set(SAMPLES)
    assert {SAMPLES[name].name for name in named} == {row.name for row in TABLE}
    assert len(PANELS) == len(TABLE)


def test_queries_group_by_labels_that_the_metric_has() -> None:
    for expr in exprs():
        (name,) = set(NAMED.findall(expr))
        labels = {label.name for label in SAMPLES[name].labels} | {"job", "instance", "le"}
        for part in re.findall(r"by \(([^)]*)\)", expr):
            assert {one.strip() for one in part.split(",")} <= labels
        assert set(re.findall(r"(\w+)=~?\"", expr)) <= labels


def test_a_counter_is_never_drawn_as_it_stands() -> None:
    for row in TABLE:
        for expr, _ in grafana.queries(row):
            assert ("increase(" in expr) == (row.kind is Kind.COUNTER)
            assert ("histogram_quantile(" in expr) == (row.kind is Kind.HISTOGRAM)


@pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="no promtool on this machine; `apt-get install prometheus` brings it",
)
def test_promtool_can_read_every_query(tmp_path: Path) -> None:
    job = 'a"b'
    plain = [
        expr.replace("$__rate_interval", "5m").replace("$deployment", ".*")
        for expr in exprs(grafana.dashboard(job))
        if not expr.startswith("label_values")
    ]
    rules = [{"record": f"r:{number}", "expr": expr} for number, expr in enumerate(plain)]
    file = tmp_path / "rules.yml"
    groups = {"groups": [{"name": "panels", "rules": rules}]}
    file.write_text(yaml.safe_dump(groups), encoding="utf-8")
    words = ["promtool", "check", "rules", str(file)]
    found = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 0, found.stderr
    rules[0]["expr"] = "sum by ("  # that the check can fail
    file.write_text(yaml.safe_dump(groups), encoding="utf-8")
    assert subprocess.run(words, capture_output=True, timeout=60, check=False).returncode != 0


def test_it_is_one_dashboard_of_a_stable_name_and_format() -> None:
    assert (BOARD["uid"], BOARD["schemaVersion"], BOARD["version"]) == ("homeostat", 39, 1)
    assert grafana.dashboard() == BOARD
    titles = [one["title"] for one in BOARD["panels"] if one["type"] == "row"]
    assert titles == [part.value for part in Part]
    numbers = [one["id"] for one in BOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
    assert all(one["description"] for one in PANELS)


def test_no_panel_lies_over_another() -> None:
    places = [one["gridPos"] for one in BOARD["panels"]]
    for place in places:
        assert place["x"] + place["w"] <= 24
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below


def test_what_enumerates_has_words() -> None:
    drawn = {one["description"]: one for one in PANELS}
    for row in TABLE:
        said = drawn[row.text]["fieldConfig"]["defaults"]["mappings"]
        if row.words:
            assert {k: v["text"] for k, v in said[0]["options"].items()} == {
                str(number): word for number, word in row.words
            }
        else:
            assert bool(said) == (row.unit.value == "1 or 0")


def test_the_provisioning_is_as_grafana_reads_it() -> None:
    provider = grafana.provider("/dashboards")
    assert provider["apiVersion"] == 1
    assert provider["providers"][0]["options"] == {"path": "/dashboards"}
    source = grafana.source("http://prometheus:9090")
    assert source["apiVersion"] == 1
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    assert source["datasources"][0]["uid"] == "homeostat-prometheus"
