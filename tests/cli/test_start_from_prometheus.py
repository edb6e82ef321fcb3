"""README's second chapter and its how-to, each command run against a real Prometheus."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import prometheus_server
import pytest
from five_servers import DECOYS, Farm, serving
from prometheus_server import ask, until
from typer.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parents[1] / "how_to"))
from walking import walking

from homeostat.cli.main import app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "start-from-prometheus.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHAPTER = README.split("\n## ")[2]
SCRAPE_S = 2.0  # a scrape may take as long, and the pages are Python's
HERE = "http://127.0.0.1:9090"
COMMANDS = [
    f"get presets --prometheus {HERE}",
    f"init --prometheus {HERE}",
    "doctor",
    "run -f homeostat.yaml --once",
    "run -f homeostat.yaml",
    "report --out shadow.html",
]


def commands(text: str) -> list[str]:
    return re.findall(r"^\$ (?:\.venv/bin/)?homeostat (.*)$", text, re.MULTILINE)


def test_the_second_chapter_is_under_ten_commands_and_each_is_run_here() -> None:
    assert CHAPTER.startswith("From your Prometheus to a shadow report\n")
    assert commands(CHAPTER) == COMMANDS[1:]
    assert commands(PAGE) == COMMANDS
    assert len(COMMANDS) < 10
    with walking("start-from-prometheus.md") as page:
        blocks = [COMMANDS[:1], COMMANDS[1:2], COMMANDS[2:3], COMMANDS[3:5], COMMANDS[5:]]
        for block in blocks:
            assert page.commands() == [f"homeostat {command}" for command in block]


@dataclass
class Place:
    """Somebody's folder, and the Prometheus that was there before."""

    folder: Path
    url: str
    farm: Farm
    environment: dict[str, str]

    def run(self, command: str) -> Result:
        line = shlex.split(command.replace(HERE, self.url))
        return CliRunner(env=self.environment).invoke(app, line)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("newcomer")
    before = Path.cwd()
    with serving(tmp_path_factory.mktemp("prometheus"), SCRAPE_S) as (farm, server):
        until(
            lambda: (
                len(ask(server.url, "/api/v1/query", query="count_over_time(up[1m]) > 4")["result"])
                == 14
            )
        )
        os.chdir(folder)
        try:
            yield Place(folder, server.url, farm, {"XDG_STATE_HOME": str(folder / "state")})
        finally:
            os.chdir(before)


@pytest.mark.live
@pytest.mark.long
@pytest.mark.timeout(1200)  # a busy machine
@prometheus_server.needed
def test_a_newcomer_gets_from_a_prometheus_to_a_shadow_report(place: Place) -> None:
    presets, init, doctor, once, run, report = COMMANDS
    said = place.run(presets)
    assert said.exit_code == 0, said.output
    assert not set(DECOYS) & set(said.stdout.split())
    _found(place, init)
    _examined(place, doctor)
    said = place.run(f"{once} --output json")
    assert said.exit_code == 6  # one look knows no rate yet
    assert {row["deployment"] for row in json.loads(said.stdout)} == place.farm.loads.keys()
    _watched_while_one_breaks(place, run)
    _reported(place, report)


def _found(place: Place, command: str) -> None:
    said = place.run(f"{command} --output json")
    assert said.exit_code == 0, said.output
    rows = {row["deployment"]: row for row in json.loads(said.stdout)}
    assert {name: row["presets"] for name, row in rows.items()} == {
        "chat": ["vllm"],
        "fraud": ["triton"],
        "qwen": ["sglang"],
        "ranker": ["bentoml"],
        "scores": ["fastapi"],
    }
    assert {name: row["replicas"] for name, row in rows.items()} == {
        name: len(loads) for name, loads in place.farm.loads.items()
    }
    assert rows["fraud"]["lacks"] == ["a histogram of latencies"]
    assert rows["chat"]["latency_p95_ms"] == pytest.approx(400.0, rel=0.2)
    assert "left alone, no preset knows them: alertmanager, grafana, node" in said.stderr
    assert place.run(command).exit_code != 0  # nothing is overwritten
    with Path("homeostat.yaml").open("a", encoding="utf-8") as file:  # several tests, one port
        file.write("---\napiVersion: homeostat.dev/v1alpha1\nkind: Controller\n")
        file.write("metadata: {name: controller}\nspec: {api: {port: 0}}\n")


def _examined(place: Place, command: str) -> None:
    said = place.run(f"{command} --output json")
    checks = {(row["check"], row["about"]): row["status"] for row in json.loads(said.stdout)}
    assert checks["signals", "fraud"] == "warn"
    assert checks["buckets", "fraud"] == "unknown"
    for name in place.farm.loads.keys() - {"fraud"}:
        assert checks["buckets", name] == "ok"
        assert checks["scrape interval", name] == "ok"
        assert checks["target", f"{name} (observed)"] == "ok"
    assert checks["clock", place.url] == "ok"
    assert said.exit_code == (1 if "fail" in checks.values() else 6)


def _reported(place: Place, command: str) -> None:
    said = place.run(f"{command} --output json")
    assert said.exit_code == 0, said.output
    seen = {row["deployment"]: row for row in json.loads(said.stdout)}
    assert seen.keys() == place.farm.loads.keys()
    assert seen["scores"]["met"] > 0.0
    assert seen["fraud"]["unknown"] == 1.0  # no histogram: never met, never missed
    (incident, *_) = [one for one in seen["ranker"]["incidents"] if one["confirmed_at"]]
    assert any("errors" in why for why in incident["because"])
    assert incident["decisions"][0]["verdict"] in {"would", "refused", "told", "held"}
    html = Path("shadow.html").read_text(encoding="utf-8")
    assert "Shadow report" in html
    assert "<script" not in html
    assert place.run(command).exit_code == 0  # and as tables


def _watched_while_one_breaks(place: Place, command: str) -> None:
    """Run the controller until it has decided about a server that fails."""
    with (place.folder / "run.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "homeostat", *shlex.split(command)],
            env=os.environ | place.environment,
            stdout=log,
            stderr=log,
        )
    try:
        until(lambda: _learnt_s(place, "ranker") > 0.0, within_s=480.0)
        for load in place.farm.loads["ranker"]:
            load.now().failing = 0.5
        until(lambda: _decided(place, "ranker"), within_s=480.0)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    assert process.returncode == 0, (place.folder / "run.log").read_text()[-2000:]


def _seen(place: Place, name: str) -> dict[str, Any]:
    time.sleep(3.0)
    said = place.run("report --output json")
    rows = json.loads(said.stdout) if said.exit_code == 0 else []
    return next((row for row in rows if row["deployment"] == name), {})


def _learnt_s(place: Place, name: str) -> float:
    """Return for how long enough has been known of a deployment to decide anything about it."""
    seen = _seen(place, name)
    return float(seen["watched_s"]) - float(seen["learning_s"]) if seen else 0.0


def _decided(place: Place, name: str) -> bool:
    incidents = _seen(place, name).get("incidents")
    return isinstance(incidents, list) and any(one["decisions"] for one in incidents)
