"""The page on connecting a Prometheus does what it says, from its own text."""

import json
import re
import shlex
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from typer.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "sources"))
sys.path.insert(0, str(Path(__file__).parents[1] / "how_to"))
from prometheus_server import exposed
from walking import FOLDER, walking

from homeostat.adapters.sources.presets_file import presets
from homeostat.cli.main import app
from homeostat.server.config.loader import assemble, parse

PAGE = "connect-prometheus.md"
TEXT = (FOLDER / PAGE).read_text(encoding="utf-8")
WHOLE, PART = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^\$ homeostat (.*)$", TEXT, re.MULTILINE)


def run(command: str) -> Result:
    return CliRunner().invoke(app, shlex.split(command))


def test_every_command_of_the_page_is_run_by_a_test() -> None:
    assert COMMANDS == [
        "get presets",
        "get presets vllm",
        "get presets --prometheus http://127.0.0.1:9090",
        "run -f credit.yaml --once",
    ]


def test_no_block_of_the_page_is_left_out() -> None:
    with walking(PAGE) as page:
        assert page.commands() == [f"homeostat {command}" for command in COMMANDS[:3]]
        assert page.take("yaml") == WHOLE
        assert page.commands() == [f"homeostat {COMMANDS[3]}"]
        assert page.take("yaml") == PART


def test_presets_are_listed_and_one_is_shown_with_its_queries() -> None:
    listed, one = (run(command) for command in COMMANDS[:2])
    assert (listed.exit_code, one.exit_code) == (0, 0)
    for name in ("vllm", "triton", "envoy", "kubernetes", "dcgm"):
        assert re.search(rf"^{name} ", listed.stdout, re.MULTILINE), name
    assert "vllm:num_requests_waiting" in one.stdout
    plain = json.loads(run("get presets vllm --output json").stdout)
    assert plain["signals"]["queue_depth"]["q"] == "sum(vllm:num_requests_waiting{$sel})"


def test_a_preset_that_is_not_there_is_missing_with_a_suggestion() -> None:
    said = run("get presets vlm")
    assert said.exit_code == 6
    assert "did you mean 'vllm'" in said.stderr


def test_a_servers_jobs_are_told_with_what_fits_them_and_strangers_are_left_out() -> None:
    jobs = {
        "node": ["node_load1", "up"],
        "llm": presets()["vllm"].entry.needs,
        "two": [*presets()["vllm"].entry.needs, *presets()["triton"].entry.needs],
    }

    def answer(path: str) -> str:
        asked = urlsplit(path)
        if asked.path.endswith("/label/job/values"):
            return json.dumps({"status": "success", "data": list(jobs)})
        job = parse_qs(asked.query)["match[]"][0].split('"')[1]
        return json.dumps({"status": "success", "data": list(jobs[job])})

    with exposed({}, otherwise=answer) as port:
        said = run(f"get presets --prometheus http://127.0.0.1:{port} --output json")
    rows = {row["job"]: row for row in json.loads(said.stdout)}
    assert rows.keys() == {"llm", "two"}
    assert rows["llm"]["presets"] == "vllm"
    assert "triton, vllm all fit" in rows["two"]["note"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "prom:9090"])
def test_a_server_that_is_not_there_is_no_empty_list(url: str) -> None:
    said = run(f"get presets --prometheus {url}")
    assert said.exit_code != 0
    assert said.stdout == ""


def test_what_is_said_of_secrets_is_taken_as_it_stands() -> None:
    document = yaml.safe_load(WHOLE)
    document["spec"]["metrics"]["prometheus"] = yaml.safe_load(PART)
    (deployment,) = assemble(parse(json.dumps(document).encode(), "f.yaml")).deployments
    (query,) = deployment.prometheus
    assert query.settings["reach"] == "private"
    assert query.settings["token_file"].name == "token"


@pytest.mark.slow
def test_one_look_asks_one_query_for_each_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    asked: list[str] = []

    def answer(path: str) -> str:
        asked.append(path)
        if "/label/" in path:
            data: object = [
                "vllm:num_requests_running",
                "vllm:e2e_request_latency_seconds_bucket",
            ]
        else:
            labels = {"__name__": "vllm:num_requests_running", "pod": "a-1"}
            series = {"metric": labels, "values": [[time.time() - 1.0, "3"]]}
            data = {"resultType": "matrix", "result": [series]}
        return json.dumps({"status": "success", "data": data})

    with exposed({}, otherwise=answer) as port:
        text = WHOLE.replace("http://127.0.0.1:9090", f"http://127.0.0.1:{port}")
        text = text.replace("http://127.0.0.1:7070", "http://127.0.0.1:1")
        (tmp_path / "credit.yaml").write_text(text)
        said = run(COMMANDS[-1])
    assert said.exit_code == 6, said.output  # one look knows no rate yet: unknown, and says so
    queries = [parse_qs(urlsplit(path).query)["query"][0] for path in asked if "/query?" in path]
    gateway, replicas = sorted(queries, key=lambda query: "envoy" not in query)
    assert 'job="envoy"}[150s]' in gateway
    assert 'job="credit",namespace=~"prod-.*"}[150s]' in replicas
    assert "envoy_cluster_upstream_rq_total" in gateway
    assert "vllm:num_requests_running" in replicas
    assert len(asked) == 3  # and once which metrics there are
