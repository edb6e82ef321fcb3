"""Ten million rows: what it takes is told before it starts, and a stop costs next to nothing."""

import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from homeostat.cli import detect_done, detect_play, detect_run, detect_scan
from homeostat.cli.detect_csv import CsvTable
from homeostat.cli.detect_layout import Wanted
from homeostat.cli.main import app
from homeostat.detect import stack_play

BLOCK = 1_000
MEMORY = 512_000_000  # bytes of data: ten million rows as Python's numbers would not fit
SOON_S = 300.0


def written(path: Path, rows: int) -> Path:
    """Write numbered rows of one column."""
    values = np.random.default_rng(3).normal(10.0, 1.0, BLOCK)
    block = "".join(f"{value:.4f}\n" for value in values.tolist())
    with path.open("w", encoding="utf-8") as file:
        file.write("value\n")
        for _ in range(rows // BLOCK):
            file.write(block)
    return path


@pytest.mark.slow
def test_a_long_file_is_foretold_looked_at_in_little_memory_and_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = written(tmp_path / "in.csv", 100_000)
    monkeypatch.setattr(detect_run, "Keep", partial(detect_play.Keep, every_s=0.0))
    monkeypatch.setattr(detect_play, "_TICKS", 100)
    monkeypatch.setattr(detect_done, "code_digest", lambda: "one")
    real, played = stack_play.play, list[int]()

    def play(*arguments: Any, **options: Any) -> Any:
        played.append(1)
        if len(played) == 3:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(stack_play, "play", play)
    words = ("detect", "-i", str(source), "-o", str(tmp_path / "out.csv"))
    first = CliRunner().invoke(app, words)
    assert first.exit_code == 130
    assert re.search(
        r"judging 100,000 rows of 1 file; the detectors keep [\d,]+ bytes for each column, however "
        r"many rows there are; it takes about 2 minutes on one core\n",
        first.stderr,
    )
    played.clear()
    second = CliRunner().invoke(app, words)
    assert "went on at row 201 of 100,000" in second.stderr
    assert not (tmp_path / "out.csv").exists()


def test_a_look_that_lasts_says_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, now = written(tmp_path / "in.csv", 40_000), [0.0]

    def clock() -> float:
        now[0] += 61.0
        return now[0]

    monkeypatch.setattr(detect_scan, "monotonic", clock)
    detect_scan.look(CsvTable(source, Wanted()), "in.csv")
    told = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"looking: [\d,]+ rows of in\.csv so far", told[0])


@pytest.mark.long
def test_ten_million_rows_begin_are_stopped_and_go_on_in_little_memory(tmp_path: Path) -> None:
    source, out = written(tmp_path / "in.csv", 10_000_000), tmp_path / "out.csv"
    words = ["sh", "-c", f'ulimit -d {MEMORY // 1024}; exec "$@"', "sh", sys.executable, "-m"]
    words += ["homeostat", "detect", "-i", str(source), "-o", str(out)]
    told = tmp_path / "told"

    def stopped(until: str) -> str:
        """Run the command until it has said something and where it is; return what it said."""
        with told.open("w") as file:
            process = subprocess.Popen(
                words,
                stderr=file,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        begun = time.monotonic()
        while not (until in told.read_text() and list(tmp_path.glob(".homeostat-detect.*.state"))):
            assert process.poll() is None, told.read_text()
            assert time.monotonic() - begun < SOON_S, told.read_text()
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.wait(60.0) == 130
        return told.read_text()

    first = stopped("judging 10,000,000 rows of 1 file; the detectors keep ")
    assert "it takes about 2.2 hours on one core" in first
    assert "the same command takes it up again" in first
    second = stopped("went on at row ")
    row = re.search(r"went on at row ([\d,]+) of 10,000,000", second)
    assert row is not None
    assert int(row[1].replace(",", "")) > 512
    assert not out.exists()
