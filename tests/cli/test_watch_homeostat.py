"""The how-to about watching the controller: each command and each block, and a controller killed.

The Prometheus is a real one; its rules are the exported ones with shorter waits. Grafana and an
Alertmanager are not run.
"""

import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import prometheus_server
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_server import Server, ask, until
from typer.testing import CliRunner

from homeostat.cli.main import app
from homeostat.server.config.loader import assemble, parse
from homeostat.server.telemetry.rules import rule_file
from homeostat.server.telemetry.table import PREFIX, TABLE

PAGE: Final = (
    Path(__file__).parents[2] / "docs" / "how-to" / "watch-homeostat.md"
).read_text(encoding="utf-8")  # fmt: skip
BLOCKS: Final = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS: Final = re.findall(r"^\$ (.*)$", PAGE, re.MULTILINE)
WATCHED: Final = """
apiVersion: homeostat.dev/v1alpha1
kind: ManagedModel
metadata: {name: chat}
spec:
  interval: 1s
  target: {observe: true}
  metrics:
    prometheus: [{url: "http://127.0.0.1:9", select: {job: chat}, replicaLabel: instance}]
  slo: [{name: latency, latency: {below: 250ms}}, {name: errors, errors: {atMost: 1%}}]
"""


def test_every_command_of_the_page_is_run_by_this_file() -> None:
    assert COMMANDS == [
        "homeostat people add prometheus --role viewer --expires 365d",
        "homeostat export rules > homeostat.yml",
        "promtool check rules homeostat.yml",
        "homeostat export grafana --out grafana --prometheus http://127.0.0.1:9090",
    ]


def test_the_commands_do_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    state = {"HOMEOSTAT_PEOPLE_FILE": str(tmp_path / "people.json")}
    runner = CliRunner(env=state)
    people, rules, check, grafana = COMMANDS
    made = runner.invoke(app, people.split()[1:])
    assert made.exit_code == 0
    assert made.stdout.startswith("hs_")
    said = runner.invoke(app, rules.split(">", maxsplit=1)[0].split()[1:])
    Path("homeostat.yml").write_text(said.stdout, encoding="utf-8")
    if shutil.which("promtool"):
        subprocess.run(check.split(), check=True, capture_output=True, timeout=60)
    assert runner.invoke(app, grafana.split()[1:]).exit_code == 0
    written = {str(file.relative_to("grafana")) for file in Path("grafana").rglob("*.*")}
    assert written == {
        "dashboards/homeostat.json",
        "provisioning/dashboards/homeostat.yaml",
        "provisioning/datasources/homeostat.yaml",
    }


def test_the_controllers_block_is_a_configuration() -> None:
    (controller,) = [text for text in BLOCKS if "kind: Controller" in text]
    found = assemble(parse(f"{WATCHED}---\n{controller}".encode(), "page")).controller
    assert found.traces is not None
    assert found.traces.settings["url"] == "http://127.0.0.1:4318/v1/traces"


@prometheus_server.needed
def test_the_scrapes_block_is_one_that_prometheus_reads(tmp_path: Path) -> None:
    (scrapes,) = [text for text in BLOCKS if "scrape_configs" in text]
    token = tmp_path / "token"
    token.write_text("x", encoding="utf-8")
    text = scrapes.replace("/etc/prometheus/homeostat.token", str(token))
    (tmp_path / "prometheus.yml").write_text(text, encoding="utf-8")
    (tmp_path / "homeostat.yml").write_text(yaml.safe_dump(rule_file()), encoding="utf-8")
    words = ["promtool", "check", "config", "prometheus.yml"]
    found = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


@contextmanager
def running(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run a controller of one deployment that nobody hears of; yields it and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file = folder / "homeostat.yaml"
    controller = {
        "apiVersion": "homeostat.dev/v1alpha1",
        "kind": "Controller",
        "metadata": {"name": "controller"},
        "spec": {
            "store": {"path": "homeostat.db"},
            "api": {"port": port},
            "traces": {"url": "http://127.0.0.1:9/v1/traces"},
        },
    }
    file.write_text(f"{WATCHED}---\n{yaml.safe_dump(controller)}", encoding="utf-8")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "homeostat", "run", "-f", str(file)], stdout=log, stderr=log
        )
    try:
        yield process, f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(timeout=30)


def read(address: str) -> str:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def hurried() -> dict[str, Any]:
    """Return the exported rules; what waits for minutes waits for a second here."""
    rules = rule_file()
    for rule in rules["groups"][0]["rules"]:
        rule["for"] = "1s"
    return rules


@pytest.mark.live
@prometheus_server.needed
def test_a_killed_controller_is_told_of_and_a_living_one_says_all_that_is_documented(
    tmp_path: Path,
) -> None:
    prometheus = tmp_path / "prometheus"
    prometheus.mkdir()
    (prometheus / "homeostat.yml").write_text(yaml.safe_dump(hurried()), encoding="utf-8")
    with running(tmp_path) as (process, address):
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["homeostat.yml"],
            "scrape_configs": [
                {"job_name": "homeostat", "static_configs": [{"targets": [address]}]}
            ],
        }
        server = Server(prometheus, config)
        try:
            server.start()
            until(lambda: "HomeostatHeartbeat" in firing(server))
            assert "HomeostatSilent" not in firing(server)
            page = read(address)
            _documented(page)
            process.kill()
            process.wait(timeout=30)
            until(lambda: "HomeostatSilent" in firing(server))
            until(lambda: "HomeostatHeartbeat" not in firing(server))
        finally:
            server.kill()


def firing(server: Server) -> set[str]:
    alerts = ask(server.url, "/api/v1/alerts")["alerts"]
    return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}


def _documented(page: str) -> None:
    found = {
        (one.name, one.type, one.documentation)
        for one in text_string_to_metric_families(page)
        if one.name.startswith(PREFIX)
    }
    assert found == {(row.full, row.kind.value, row.text) for row in TABLE}
    samples = {
        one.name: one.value
        for family in text_string_to_metric_families(page)
        for one in family.samples
    }
    assert samples["homeostat_leader"] == 1
    assert samples["homeostat_journal_ok"] == 1
    assert samples["homeostat_journal_epoch"] >= 1
    assert samples["homeostat_configuration_ok"] == 1
    assert samples["homeostat_managed_deployments"] == 1
    assert samples["homeostat_loop_lag_seconds"] < 60
    assert samples["homeostat_spans_total"] == 0  # they would be sent, and nothing was decided
    assert "homeostat_objectives_met" not in samples  # nobody hears of it
    assert samples["homeostat_verdict_age_seconds"] >= 0
    linted = subprocess.run(
        ["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False
    )
    ours = [line for line in linted.stderr.splitlines() if line.startswith(PREFIX)]
    assert ours == []
