"""The lab's command line for real: workers, the compiled twin, the judge, the report."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from homeostat.report.lab_results import from_json

pytestmark = pytest.mark.long

LAB = [sys.executable, "-m", "homeostat", "lab"]
FEW = ["--only", "S07,S43", "--policies", "hold,threshold,hpa", "--seeds", "2", "--films", "1"]


def lab(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LAB, *arguments], cwd=cwd, capture_output=True, text=True, check=False, timeout=1200
    )


def test_a_small_comparison_from_the_command_to_the_report(tmp_path: Path) -> None:
    done = lab("run", *FEW, "--output", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    results = from_json((tmp_path / "lab" / "results.json").read_text(encoding="utf-8"))
    assert from_json(done.stdout) == results
    hold = results.policies["hold"]
    assert hold.metrics["intervention_minutes"].value == 0.0
    assert hold.metrics["sla_compliance"].n == 4
    assert results.policies["hpa"].metrics["cost_saving_vs_hpa"].value == 0.0
    assert "report.html" in done.stderr
    again = lab("run", *FEW, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "shards:" not in again.stderr  # nothing was played again
    assert from_json(
        (tmp_path / "lab" / "results.json").read_text(encoding="utf-8")
    ).policies == dict(results.policies)


def test_one_episode_leaves_the_same_trace_twice(tmp_path: Path) -> None:
    arguments = ("episode", "S07", "--policy", "threshold", "--seed", "3", "-o", "json", "--out")
    first, second = (lab(*arguments, name, cwd=tmp_path) for name in ("one", "two"))
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    traces = [json.loads(done.stdout)["trace"] for done in (first, second)]
    one, two = ((tmp_path / trace).read_bytes() for trace in traces)
    assert one == two
    rows = list(csv.DictReader(one.decode().splitlines()))
    assert float(rows[-1]["t_s"]) == len(rows) - 1


def test_ctrl_c_ends_the_workers_and_says_how_to_go_on(tmp_path: Path) -> None:
    command = subprocess.Popen(
        [*LAB, "run", *FEW], cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    workers: list[str] = []
    left: list[str] = []
    for _ in range(300):
        listed = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text()
        workers = listed.split()
        if len(workers) >= 2:  # the tracker of shared things and a worker
            break
        time.sleep(0.1)
    time.sleep(2.0)
    os.killpg(command.pid, signal.SIGINT)
    _, said = command.communicate(timeout=60)
    assert command.returncode == 130
    assert "the same command takes it up again" in said
    assert "Traceback" not in said
    for _ in range(200):  # the tracker of shared things ends after the command
        left = [pid for pid in workers if Path(f"/proc/{pid}").exists()]
        if not left:
            return
        time.sleep(0.1)
    pytest.fail(f"outlived their command: {left}")
