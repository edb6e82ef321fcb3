"""`homeostat backtest`: recordings and a Prometheus' past in, findings and a page out."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from typer.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parents[1] / "server"))
sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "sources"))
from backtest_case import past
from prometheus_server import exposed

from homeostat.base.errors import ConfigError
from homeostat.base.units import MINUTE
from homeostat.cli import backtest_fetch
from homeostat.cli.main import app
from homeostat.server.config.loader import assemble, parse
from homeostat.twin.fit_frame import Frame

OVERLOAD = range(60, 72)
STEP_S = 300.0


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["backtest", *(str(word) for word in words)])


def written(folder: Path, name: str, one: Frame) -> Path:
    """Write a recording as `twin fetch` writes it."""
    columns = {key: values.tolist() for key, values in one.columns.items()}
    lines = [",".join(["timestamp", *columns])]
    for row, at in enumerate(one.time_s.tolist()):
        cells = ("" if np.isnan(v[row]) else f"{v[row]:.7g}" for v in columns.values())
        lines.append(",".join([f"{at:.3f}", *cells]))
    path = folder / f"{name}.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("past")
    return [
        written(folder, "ranker", past(overload=OVERLOAD, seed=1)),
        written(folder, "fraud", past(gap=range(90, 96), seed=2)),
    ]


PROMISED = ("--p95", "300ms", "--replicas", "2:8", "--no-saved")


@pytest.mark.slow
def test_what_would_have_been_is_printed_and_drawn(recordings: list[Path], tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    said = run(*recordings, *PROMISED, "--jobs", 1, "--report", page, "-o", "json")
    assert said.exit_code == 0, said.output
    plain = json.loads(said.stdout)
    fraud, ranker = plain["deployments"]
    assert (fraud["name"], ranker["name"]) == ("fraud", "ranker")
    assert plain["step_s"] == STEP_S
    assert plain["total"]["breaches"] == ranker["summary"]["breaches"] == 1
    assert plain["total"]["would"] == {"act": 1, "page": 0, "blind": 1, "watch": 0}
    (incident,) = ranker["incidents"]
    assert incident["action"]["change"] == {"replicas.a": 5}
    html = page.read_text()
    assert "scale_up pool:a" in html
    assert "<script" not in html
    assert "http" not in html.replace("http-equiv", "")
    assert html.count("<svg") >= 2


@pytest.mark.slow
def test_processes_change_nothing_of_what_is_found(recordings: list[Path]) -> None:
    alone, apart = (
        json.loads(run(*recordings, *PROMISED, "--jobs", jobs, "-o", "json").stdout)
        for jobs in (1, 2)
    )
    for one in (alone, apart):
        del one["took_s"]
    assert alone == apart


@pytest.mark.slow
def test_a_table_says_it_in_a_line(recordings: list[Path]) -> None:
    said = run(recordings[0], *PROMISED, "--jobs", 1)
    assert said.exit_code == 0, said.output
    assert "1 of 1" in said.stdout
    assert "scale_up pool:a (replicas.a=5)" in said.stdout


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        ((), 6, "no history"),
        (("gone.csv", "--p95", "1s"), 2, "gone.csv"),
        (("{ranker}",), 2, "--p95"),
        (("{ranker}", "--p95", "soon"), 2, "no duration"),
        (("{ranker}", "--p95", "1s", "--replicas", "many"), 2, "LOW:HIGH"),
        (("{ranker}", "--p95", "1s", "--errors", "7"), 2, "--errors"),
        (("{ranker}", "--p95", "1s", "-d", "other"), 2, "other"),
        (("{ranker}", "--p95", "1s", "--step", "1s"), 2, "finer"),
        (("{ranker}", "{ranker}", "--p95", "1s"), 2, "second recording"),
    ],
)
def test_what_cannot_be_is_named_with_its_fix(
    recordings: list[Path], words: tuple[str, ...], code: int, why: str
) -> None:
    said = run(*(word.replace("{ranker}", str(recordings[0])) for word in words))
    if isinstance(said.exception, ConfigError):  # `main` turns it into a line and the code 2
        assert why in str(said.exception)
        assert code == 2
    else:
        assert said.exit_code == code
        assert why in said.output


NAMES = ("vllm:num_requests_running", "vllm:e2e_request_latency_seconds_bucket")
CONFIG = """
apiVersion: homeostat.dev/v1alpha1
kind: ManagedModel
metadata: {name: llm}
spec:
  target: {process: {host: "http://127.0.0.1:9"}, pools: {stable: a}}
  metrics:
    prometheus:
      - {url: "URL", select: {job: llm}, subject: gateway}
  slo:
    - {name: latency, latency: {below: 2s}}
    - {name: errors, errors: {atMost: 1%}}
"""


def answer(path: str) -> str:
    """Answer as a Prometheus that holds half an hour of a steady load, one row of it missing."""
    asked = parse_qs(urlsplit(path).query)
    if "/label/" in path:
        return json.dumps({"status": "success", "data": NAMES})
    query, end, step = asked["query"][0], float(asked["end"][0]), float(asked["step"][0])
    held: Mapping[str, float] = {
        "sum(rate(vllm:request_success_total": 8.0,
        "http_requests_total": 0.001,
        "histogram_quantile(0.95": 0.5,
        'sum(up{job="llm"})': 4.0,
    }
    value = next((value for text, value in held.items() if text in query), None)
    rows = [[end - step * back, str(value)] for back in range(30, -1, -1) if back != 10]
    result = [{"metric": {}, "values": rows}] if value is not None else []
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})


@pytest.fixture
def configured(tmp_path: Path) -> Iterator[Path]:
    with exposed({}, otherwise=answer) as port:
        path = tmp_path / "homeostat.yaml"
        path.write_text(CONFIG.replace("URL", f"http://127.0.0.1:{port}"))
        yield path


PROCESS = 'target: {process: {host: "http://127.0.0.1:9"}, pools: {stable: a}}'


def test_scraped_targets_are_the_replicas_of_what_is_only_watched(
    configured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = configured.read_text()
    line = next(one for one in text.splitlines() if "subject: gateway" in one)
    text = text.replace(line, f"{line}\n{line.replace('subject: gateway', 'replicaLabel: pod')}")
    (owned,) = assemble(parse(text.encode(), "f.yaml")).deployments
    text = text.replace(PROCESS, "target: {observe: true}")
    (watched,) = assemble(parse(text.encode(), "f.yaml")).deployments
    found = [
        backtest_fetch.fetch([one], since_ns=30 * MINUTE, step_ns=1 * MINUTE)["llm"]
        for one in (owned, watched)
    ]
    assert "replicas" not in found[0].columns
    assert "how many replicas" in capsys.readouterr().err
    replicas = found[1].columns["replicas"]
    assert set(replicas[np.isfinite(replicas)]) == {4.0}
    assert np.isnan(replicas).sum() <= 1  # the row that is missing is not carried over


def commands() -> list[str]:
    """Return the commands of the how-to page, as they are written there."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "backtest.md"
    blocks = page.read_text(encoding="utf-8").split("```")[1::2]
    return [line for block in blocks for line in block.splitlines() if line]


@pytest.mark.slow
@pytest.mark.parametrize("line", commands())
def test_the_page_says_what_works(
    line: str,
    recordings: list[Path],
    configured: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "ranker.csv").write_bytes(recordings[0].read_bytes())
    monkeypatch.chdir(configured.parent)
    program, command, *words = line.split()
    assert (program, command) == ("homeostat", "backtest")
    said = run(*words, "--jobs", 1, "--no-saved")
    assert said.exit_code == 0, said.output
    if "--report" in words:
        assert (tmp_path / "backtest.html").stat().st_size < 500_000


@pytest.mark.slow
def test_the_past_of_a_prometheus_is_replayed_and_its_gap_is_unknown(configured: Path) -> None:
    said = run("-f", configured, "--since", "31m", "--jobs", 1, "--no-saved", "-o", "json")
    assert said.exit_code == 0, said.output
    plain = json.loads(said.stdout)
    (one,) = plain["deployments"]
    found: dict[str, Any] = one["summary"]
    assert plain["step_s"] == 60.0
    assert one["steps"] == 31
    assert found["missed_minutes"] == 0.0
    assert one["known"] == 30
    assert set(one["recorded"]) == {"arrivals", "errors", "p95_ms"}
