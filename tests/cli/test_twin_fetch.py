"""`homeostat twin fetch`: what a Prometheus held becomes rows, and what it lacked stays empty."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from typer.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "sources"))
from prometheus_server import exposed

from homeostat.cli.main import app
from homeostat.twin.fit_frame import from_csv

pytestmark = pytest.mark.skipif(find_spec("jax") is None, reason="the extra twin is not installed")

STEP_S = 60.0
NAMES = ("vllm:num_requests_running", "vllm:e2e_request_latency_seconds_bucket")


def run(url: str, out: Path, *more: str) -> Result:
    words = ["--prometheus", url, "--select", "job=llm", "--out", str(out), "--since", "10m"]
    return CliRunner().invoke(app, ["twin", "fetch", *words, *more])


def answer(path: str, held: Mapping[str, Mapping[int, float]]) -> str:
    """Answer as a Prometheus that holds, for queries with this text, a value by step back."""
    asked = parse_qs(urlsplit(path).query)
    if "/label/" in path:
        return json.dumps({"status": "success", "data": NAMES})
    query, end = asked["query"][0], float(asked["end"][0])
    values = next((values for text, values in held.items() if text in query), {})
    rows = [
        [end - STEP_S * back, str(value).replace("nan", "NaN")]
        for back, value in sorted(values.items())[::-1]
    ]
    result = [{"metric": {}, "values": rows}] if rows else []
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})


HELD: Mapping[str, Mapping[int, float]] = {
    "sum(rate(vllm:request_success_total": {0: 8.0, 1: 6.0, 2: 4.0},
    "http_requests_total": {0: 0.25, 2: 0.0},
    "sum(vllm:num_requests_running": {0: 3.0, 1: float("nan"), 2: 1.0},
    "sum(vllm:num_requests_waiting": {1: 2.0},
}


@pytest.fixture
def url() -> Iterator[str]:
    with exposed({}, otherwise=lambda path: answer(path, HELD)) as port:
        yield f"http://127.0.0.1:{port}"


def test_a_stretch_of_the_past_becomes_rows_that_a_fit_reads(url: str, tmp_path: Path) -> None:
    out = tmp_path / "rec.csv"
    said = run(url, out)
    assert said.exit_code == 0, said.output
    frame = from_csv(out.read_bytes(), out.name)
    assert frame.rows == 3
    assert frame.time_s[-1] % STEP_S == 0.0
    assert time.time() - frame.time_s[-1] < 2 * STEP_S
    expected = {
        "request_rate": [4.0, 6.0, 8.0],
        "throughput": [4.0, np.nan, 6.0],
        "error_rate": [0.0, np.nan, 2.0],
        "queue": [np.nan, 2.0, np.nan],
        "running": [1.0, np.nan, 3.0],
    }
    assert set(frame.columns) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(frame[name], values, err_msg=name)
    assert "by vllm" in said.output or "(vllm)" in said.output


def test_too_little_is_missing_data_and_writes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "rec.csv"
    with exposed({}, otherwise=lambda path: answer(path, {})) as port:
        said = run(f"http://127.0.0.1:{port}", out)
    assert said.exit_code == 6
    assert "shows too little (vllm)" in said.output
    assert not out.exists()


def test_nobody_there_is_missing_data(tmp_path: Path) -> None:
    said = run("http://127.0.0.1:1", tmp_path / "rec.csv")
    assert said.exit_code == 6
    assert "http://127.0.0.1:1" in said.output


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("--select", "job"), "LABEL=VALUE"),
        (("--select", "pod=~.*"), "without the label"),
        (("--preset", "vlm"), "did you mean 'vllm'"),
        (("--step", "soon"), "--since or --step"),
        (("--step", "1h"), "at most --since"),
    ],
)
def test_options_that_cannot_be_are_refused(
    more: tuple[str, str], why: str, url: str, tmp_path: Path
) -> None:
    said = run(url, tmp_path / "rec.csv", *more)
    assert said.exit_code != 0
    assert why in said.output + str(said.exception)
