"""`homeostat detect` end to end: what it writes, what it refuses, and how it ends."""

import csv
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from homeostat.cli.detect_tally import Tally
from homeostat.cli.exits import Exit
from homeostat.cli.main import app, main
from homeostat.detect.stack import Said, Stack
from homeostat.detect.stack_play import play

NAB = Path(__file__).parents[3] / "shared" / "data" / "nab" / "data"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["detect", *map(str, arguments)])


def noise(seed: int, rows: int = 250, columns: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(10.0, 1.0, (rows, columns))


def recording(path: Path, values: np.ndarray, names: str = "value") -> Path:
    rows = [
        f"2026-01-01 {k // 60:02d}:{k % 60:02d}:00,{','.join(f'{v!r}' for v in row)}"
        for k, row in enumerate(values.tolist())
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([f"timestamp,{names}", *rows]) + "\n", encoding="utf-8")
    return path


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def judged(values: np.ndarray) -> Said:
    """Return what the stack says of the values, time first, without files between."""
    said = play(Stack(), values[:, None, :]).said
    return Said(*(part[:, 0] for part in said))


def numbers(rows: list[dict[str, str]], column: str) -> list[float]:
    return [float(row[column] or "nan") for row in rows]


def test_each_row_of_a_file_has_a_row_in_the_output_that_says_what_the_stack_says(
    tmp_path: Path,
) -> None:
    values = noise(1)
    values[230:234] += 40.0
    values[100] = np.nan
    source = recording(tmp_path / "in.csv", values)
    said = run("--input", source, "--output", tmp_path / "out.csv")
    assert said.exit_code == Exit.OK, said.output
    assert "judging 250 rows of 1 file; the detectors keep" in said.stderr
    rows, expected = table(tmp_path / "out.csv"), judged(values)
    assert [row["timestamp"] for row in rows] == [row["timestamp"] for row in table(source)]
    assert list(rows[0]) == ["timestamp", "anomaly_score", "neg_log10_p", "alarm", "verdict"]
    evidence = expected.neg_log10_p
    assert numbers(rows, "neg_log10_p") == pytest.approx(evidence.tolist(), rel=1e-5, nan_ok=True)
    score = np.nan_to_num(expected.anomaly_score, nan=0.0)
    assert numbers(rows, "anomaly_score") == pytest.approx(score.tolist(), rel=1e-8)
    assert numbers(rows, "alarm") == expected.alarm.tolist()
    words = np.where(expected.active, "anomalous", "healthy")
    assert [row["verdict"] for row in rows] == np.where(expected.unknown, "unknown", words).tolist()
    assert {"unknown", "healthy"} <= {row["verdict"] for row in rows}


@pytest.mark.slow
def test_of_several_columns_each_has_its_share(tmp_path: Path) -> None:
    values = noise(2, columns=3)
    values[230:234, 1] += 40.0
    source = recording(tmp_path / "in.csv", values, 'cpu,"a,b",disk')
    assert run("-i", source, "-o", tmp_path / "out.csv").exit_code in {Exit.OK, Exit.NO_DATA}
    rows, expected = table(tmp_path / "out.csv"), judged(values)
    for place, name in enumerate(("cpu", "a,b", "disk")):
        shares = expected.contributions[:, place].tolist()
        said = numbers(rows, f"contribution_{name}")
        assert said == pytest.approx(shares, rel=1e-4, nan_ok=True)
    assert list(rows[0])[5:] == ["contribution_cpu", "contribution_a,b", "contribution_disk"]


def test_a_folder_is_mirrored_and_what_cannot_be_read_stops_nothing_else(tmp_path: Path) -> None:
    recording(tmp_path / "in" / "a.csv", noise(3, 60))
    recording(tmp_path / "in" / "deep" / "er" / "b.csv", noise(4, 90))
    (tmp_path / "in" / "bad.csv").write_text("timestamp,value\n2026-01-01,1\n2026-01-02,x\n")
    said = run("-i", tmp_path / "in", "-o", tmp_path / "out", "--json", "-")
    assert said.exit_code == Exit.FAILED
    assert "bad.csv:3: value is 'x', no number" in said.stderr
    out = tmp_path / "out"
    found = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.csv"))
    assert found == ["a.csv", "deep/er/b.csv"]
    assert [one["rows"] for one in json.loads(said.stdout)["files"]] == [60, 90]


@pytest.mark.slow
def test_what_is_said_of_a_file_does_not_depend_on_those_beside_it(tmp_path: Path) -> None:
    for seed, rows in ((5, 180), (6, 230), (7, 30)):
        recording(tmp_path / "in" / f"{seed}.csv", noise(seed, rows))
    assert run("-i", tmp_path / "in", "-o", tmp_path / "all").exit_code == Exit.OK
    assert run("-i", tmp_path / "in" / "5.csv", "-o", tmp_path / "one.csv").exit_code == Exit.OK
    assert (tmp_path / "all" / "5.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()


def test_a_page_lies_beside_each_output_where_it_is_asked_for(tmp_path: Path) -> None:
    recording(tmp_path / "in" / "a.csv", noise(8, 40))
    words = ("-i", tmp_path / "in", "-o", tmp_path / "out")
    run(*words)
    assert not (tmp_path / "out" / "a.html").exists()
    run(*words, "--plot")
    text = (tmp_path / "out" / "a.html").read_text(encoding="utf-8")
    assert "40 rows from 2026-01-01 00:00:00 to 2026-01-01 00:39:00" in text
    assert text.count("<svg") == 1


@pytest.mark.slow
def test_the_rows_of_test_are_judged_after_those_of_train(tmp_path: Path) -> None:
    values = noise(10, 220, 2)
    np.savez(tmp_path / "in.npz", train=values[:190], test=values[190:])
    run("-i", tmp_path / "in.npz", "-o", tmp_path / "out.csv")
    rows, expected = table(tmp_path / "out.csv"), judged(values)
    assert [row["timestamp"] for row in rows] == [str(k) for k in range(30)]
    evidence = expected.neg_log10_p[190:].tolist()
    assert numbers(rows, "neg_log10_p") == pytest.approx(evidence, rel=1e-5, nan_ok=True)


def test_the_summary_has_the_fields_that_the_page_of_commands_shows(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "commands.md"
    text = page.read_text(encoding="utf-8").partition("## The summary of `detect`")[2]
    shown = json.loads(text.partition("```json")[2].partition("```")[0])
    source = recording(tmp_path / "in.csv", noise(11, 20, 2), "cpu,disk")
    made = json.loads(run("-i", source, "-o", tmp_path / "out.csv", "--json", "-").stdout)
    assert list(made) == list(shown)
    (one,), (shown_one,) = made["files"], shown["files"]
    assert list(one) == list(shown_one)
    assert list(one["quality"]) == list(shown_one["quality"])
    tally = Tally(columns=["cpu", "disk"])
    row = np.ones(1)
    flags = np.array([True])
    both = np.ones((1, 2))
    tally.add(["t"], Said(row, row, flags, flags, ~flags, both, both, both))
    assert [list(i) for i in tally.incidents()] == [list(i) for i in shown_one["incidents"]]


def test_cells_without_a_number_are_counted_and_placed(tmp_path: Path) -> None:
    values = noise(12, rows=30, columns=2)
    values[[6, 9], 0] = np.nan
    values[20, 1] = np.inf
    source = recording(tmp_path / "in.csv", values, "cpu,disk")
    made = run("-i", source, "-o", tmp_path / "out.csv", "--json", "-")
    quality = json.loads(made.stdout)["files"][0]["quality"]
    what = (
        "each is unknown, not zero: its row is judged by what else is known in it, if anything is"
    )
    nothing = "2 cells without a value (empty or NaN): cpu (2, first in row 7, 2026-01-01 00:06:00)"
    infinite = "1 cell with an infinity: disk (1, first in row 21, 2026-01-01 00:20:00)"
    assert quality["notes"] == [f"{nothing}; {what}", f"{infinite}; {what}"]
    assert quality["first_unknown"] == {"cpu": {"row": 7, "time": "2026-01-01 00:06:00"}}
    assert quality["first_infinite"] == {"disk": {"row": 21, "time": "2026-01-01 00:20:00"}}
    (tmp_path / "one.csv").write_text("timestamp,v\n1,1\n2,\n3,1\n4,nan\n5,2\n")
    said = run("-i", tmp_path / "one.csv", "-o", tmp_path / "out.csv").stdout
    assert "v (2, first in row 2, 2); each is unknown, not zero, and so is its row" in said


@pytest.mark.slow
def test_a_row_with_a_cell_that_holds_no_number_is_judged_by_the_others(tmp_path: Path) -> None:
    values = noise(13, columns=2)
    values[240, 0], values[241, 1], values[242] = np.inf, np.nan, np.nan
    recording(tmp_path / "in" / "two.csv", values, "cpu,disk")
    recording(tmp_path / "in" / "one.csv", values[:, :1])
    assert run("-i", tmp_path / "in", "-o", tmp_path / "out").exit_code == Exit.OK
    for name, unknown in (("two", [242]), ("one", [240, 242])):
        words = [row["verdict"] for row in table(tmp_path / "out" / f"{name}.csv")]
        assert [k for k in range(235, 250) if words[k] == "unknown"] == unknown


def test_a_header_alone_has_a_header_in_the_output_and_no_data(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("timestamp,value\n")
    said = run("-i", tmp_path / "in.csv", "-o", tmp_path / "out.csv")
    assert said.exit_code == Exit.NO_DATA
    assert said.stderr == f"homeostat: no rows to judge in {tmp_path / 'in.csv'}\n"
    assert "no rows to judge" in said.stdout
    head = "timestamp,anomaly_score,neg_log10_p,alarm,verdict\n"
    assert (tmp_path / "out.csv").read_text() == head


def test_a_file_that_is_refused_leaves_no_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.csv").write_text("timestamp,value\n2026-01-01,1\nnoon,2\n")
    words = ["homeostat", "detect", "-i", tmp_path / "in.csv", "-o", tmp_path / "out.csv"]
    monkeypatch.setattr("sys.argv", [str(word) for word in words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == Exit.USAGE
    assert (
        "in.csv:3: 'noon' is no time as the first one is (ISO 8601, 1823 to 2116)"
        in capsys.readouterr().err
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv"]


ODD = {
    "constant": "3",
    "huge": "-1e308|1e308",
    "tiny": "0|1e-320",
    "infinite": "inf|-inf|1",
    "nothing": "",
    "beyond": "1e400|1",
    "sparse": "1||||||||2",
}


def test_odd_values_are_answered_without_a_warning(tmp_path: Path) -> None:
    for name, cycle in ODD.items():
        cells = cycle.split("|")
        rows = [f"{60 * k},{cells[k % len(cells)]}" for k in range(50)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["timestamp,value", *rows]))
    said = run("-i", tmp_path, "-o", tmp_path / "out")
    assert said.exit_code in {Exit.OK, Exit.NO_DATA}, said.output
    for name in ODD:
        assert len(table(tmp_path / "out" / f"{name}.csv")) == 50


AWFUL = {
    "empty.csv": b"",
    "page.csv": b"<html>\n<body>404</body></html>\n",
    "lines.csv": b'{"a": [1,2,3]}\n{"a": [1,2]}\n',
    "year.csv": b"timestamp,v\n0001-01-01 00:00:00,1\n",
    "number.csv": b"timestamp,v\n1,2\n1e40,3\n",
    "array.npz": b"\x93NUMPY\x01\x00",
    "words.csv": b"timestamp,v\n1,true\n2,false\n",
}


def test_what_is_no_recording_is_named_each_and_ends_in_no_traceback(tmp_path: Path) -> None:
    for name, data in AWFUL.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "broken.csv").symlink_to(tmp_path / "none")
    (tmp_path / "folder.csv").mkdir()
    said = run("-i", tmp_path, "-o", tmp_path / "out", "--json", "-")
    assert said.exit_code == Exit.FAILED
    assert isinstance(said.exception, SystemExit)
    failed = [Path(one["input"]).name for one in json.loads(said.stdout)["failed"]]
    assert failed == sorted([*AWFUL, "broken.csv"])
    assert f"{len(failed)} files could not be read" in said.stderr


@pytest.mark.live
def test_on_a_terminal_a_bar_counts_files_and_rows(tmp_path: Path) -> None:
    source = recording(tmp_path / "in.csv", noise(9, 40))
    ours, theirs = os.openpty()
    begin = [sys.executable, "-m", "homeostat", "detect"]
    words = [*begin, "-i", str(source), "-o", str(tmp_path / "out.csv")]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=theirs) as started:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # the terminal is gone when the process is
            while part := os.read(ours, 4096):
                shown += part
    os.close(ours)
    assert started.returncode == Exit.NO_DATA
    assert b"looking" in shown
    assert b"1 of 1 files" in shown
    assert b"40 of 40 rows" in shown


@pytest.mark.slow
def test_a_file_of_nab_is_judged_and_its_beginning_alone_is_judged_the_same(tmp_path: Path) -> None:
    source = NAB / "realKnownCause" / "rogue_agent_key_hold.csv"
    if not source.exists():
        pytest.skip("the recordings of NAB are not beside this checkout (shared/data/nab)")
    said = run("-i", source, "-o", tmp_path / "out.csv")
    assert said.exit_code == Exit.OK, said.output
    rows = table(tmp_path / "out.csv")
    assert len(rows) == 1882
    assert "3,456 rows missing in 91 gaps" in said.stdout
    assert {"healthy", "unknown"} <= {row["verdict"] for row in rows}
    begun = source.read_text(encoding="utf-8").splitlines(keepends=True)[:901]
    (tmp_path / "begun.csv").write_text("".join(begun), encoding="utf-8")
    run("-i", tmp_path / "begun.csv", "-o", tmp_path / "prefix.csv")
    whole = (tmp_path / "out.csv").read_text().splitlines()
    assert (tmp_path / "prefix.csv").read_text().splitlines() == whole[:901]
