"""`homeostat export`: what it prints can be loaded, what it writes is where it says."""

import json
from pathlib import Path

import yaml
from typer.testing import CliRunner, Result

from homeostat.cli.export_files import written
from homeostat.cli.main import app
from homeostat.server.telemetry.grafana import dashboard
from homeostat.server.telemetry.rules import ALERTS, rule_file
from homeostat.server.telemetry.table import TABLE

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"


def export(*words: str) -> Result:
    return CliRunner().invoke(app, ["export", *words])


def test_rules_are_printed_as_prometheus_reads_them() -> None:
    found = export("rules")
    assert found.exit_code == 0
    assert yaml.safe_load(found.stdout) == rule_file()
    assert yaml.safe_load(export("rules", "--job", "x y").stdout) == rule_file("x y")


def test_grafana_is_given_a_dashboard_and_told_where_it_is(tmp_path: Path) -> None:
    words = ("--out", str(tmp_path), "--folder", "/boards", "--job", "mine")
    assert export("grafana", *words).exit_code == 0
    board = json.loads((tmp_path / "dashboards" / "homeostat.json").read_text(encoding="utf-8"))
    assert board == dashboard("mine")
    said = (tmp_path / "provisioning" / "dashboards" / "homeostat.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(said)["providers"][0]["options"]["path"] == "/boards"
    source = tmp_path / "provisioning" / "datasources" / "homeostat.yaml"
    assert not source.exists()
    assert export("grafana", *words, "--prometheus", "http://p:9090/").exit_code == 0
    assert yaml.safe_load(source.read_text(encoding="utf-8"))["datasources"][0]["url"] == (
        "http://p:9090"
    )


def test_an_address_with_a_password_is_not_written_anywhere(tmp_path: Path) -> None:
    found = export("grafana", "--out", str(tmp_path), "--prometheus", "http://ada:pw@p:9090")
    assert found.exit_code != 0
    assert "password" in str(found.exception)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "dashboards").write_text("a file", encoding="utf-8")
    found = export("grafana", "--out", str(tmp_path))
    assert found.exit_code != 0
    assert "homeostat.json" in str(found.exception)
    assert "--out" in str(found.exception)


def test_what_cannot_be_a_job_is_refused() -> None:
    found = export("rules", "--job", "a\nb")
    assert found.exit_code != 0
    assert "--job" in str(found.exception)


def test_every_metric_is_listed() -> None:
    rows = json.loads(export("metrics", "--output", "json").stdout)
    assert [row["says"] for row in rows] == [row.text for row in TABLE]


def test_the_page_says_what_the_table_says() -> None:
    """`make docs` writes it."""
    text = PAGE.read_text(encoding="utf-8")
    assert written(PAGE) == text
    assert all(f"`{alert.name}`" in text for alert in ALERTS)
    assert all(f"| {row.text} |" in text for row in TABLE)
    assert "$labels" not in text
