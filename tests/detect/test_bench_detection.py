"""The benchmark's own parts: made-up recordings, the clock, the table's verdict, peers' absence."""

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from homeostat.cli.main import app

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def test_a_seed_makes_the_same_recordings_and_another_seed_others() -> None:
    from detection.synthetic import recordings  # noqa: PLC0415 - found by the fixture above

    first, again, other = (recordings(4, seed=seed) for seed in (5, 5, 6))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.values, two.values)
        assert one.events == two.events
    assert not np.array_equal(first[0].values, other[0].values)
    for one in first:
        assert np.isfinite(one.values).all()
        assert all(0 < a <= b < len(one.values) for a, b in one.events)


def test_missing_rows_become_ticks_without_a_value() -> None:
    from detection.sets import on_clock  # noqa: PLC0415 - found by the fixture above

    times = np.array([0.0, 60.0, 120.0, 180.0, 360.0, 420.0])
    at, table = on_clock(times, np.arange(6.0)[:, None])
    assert at.tolist() == [0, 1, 2, 3, 6, 7]
    np.testing.assert_array_equal(table[:, 0], [0.0, 1.0, 2.0, 3.0, np.nan, np.nan, 4.0, 5.0])


@pytest.mark.parametrize("times", [[0.0, 60.0, 60.0, 120.0], [0.0, 60.0, 30.0], [0.0, 1.0, 1e6]])
def test_times_that_make_no_clock_leave_rows_as_ticks(times: list[float]) -> None:
    from detection.sets import on_clock  # noqa: PLC0415 - found by the fixture above

    values = np.arange(len(times), dtype=float)[:, None]
    at, table = on_clock(np.array(times), values)
    assert at.tolist() == list(range(len(times)))
    np.testing.assert_array_equal(table, values)


def test_a_last_row_that_steps_back_changes_nothing_before_it() -> None:
    from detection.sets import Read, beginning, made  # noqa: PLC0415 - found by the fixture above

    times = np.array([*np.arange(0.0, 1200.0, 60.0), *np.arange(1500.0, 2400.0, 60.0), 30.0])
    values = np.arange(float(len(times)))[:, None]
    whole = made("a", Read(times, values, np.zeros(len(times), dtype=bool)))
    part = beginning(whole, len(times) - 1)
    np.testing.assert_array_equal(whole.rows[:-1], part.rows)
    np.testing.assert_array_equal(whole.values[: len(part.values)], part.values)
    assert len(part.values) > len(part.rows)  # the rows that are missing are ticks


def test_without_the_data_the_error_says_where_they_go(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from detection import sets  # noqa: PLC0415 - found by the fixture above

    monkeypatch.setattr(sets, "SHARED", tmp_path)
    for name, folder in (("nab", "nab"), ("aiops", "aiops29"), ("smd", "smd4")):
        with pytest.raises(
            FileNotFoundError, match=rf"data/{folder}: the data of .* not there; put"
        ):
            sets.load(name)
    (tmp_path / "data" / "smd4").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"smd4: holds no \.npz"):
        sets.load("smd")


def test_what_was_kept_is_scored_again_and_has_no_rate(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from detection import playing  # noqa: PLC0415 - found by the fixture above
    from detection.sets import Read, made  # noqa: PLC0415 - found by the fixture above

    monkeypatch.setattr(playing, "_KEPT", tmp_path)
    values = np.random.default_rng(2).normal(size=(60, 1))
    recordings = [made("a", Read(None, values, np.zeros(60, dtype=bool)))]
    first, again = (playing.run("made-up", recordings) for _ in range(2))
    assert first.seconds is not None
    assert again.seconds is None
    np.testing.assert_array_equal(first.said[0].score, again.said[0].score)
    with pytest.raises(ValueError, match="got none"):
        playing.played([])


def test_a_missed_gate_is_named_and_a_met_one_is_not() -> None:
    from detection import report  # noqa: PLC0415 - found by the fixture above

    text = report.table("aiops", {"homeostat": {"VUS-PR": 0.35, "event F1": 0.69}})
    assert "Gates missed: event F1. Aims missed: VUS-PR, event F1." in text
    assert "| **homeostat** | 0.350 | 0.690 |" in text


def test_fewer_false_alarms_than_the_gate_meet_it() -> None:
    from detection import quoted, report  # noqa: PLC0415 - found by the fixture above

    ours = {key: pair[1] for key, pair in quoted.GATES["nab"].items()}
    assert "Gates missed: none. Aims missed: none." in report.table("nab", {"homeostat": ours})
    worse = ours | {"false a day": 0.051}
    assert "Gates missed: false a day." in report.table("nab", {"homeostat": worse})


def test_peers_that_are_not_installed_are_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from detection import peers  # noqa: PLC0415 - found by the fixture above

    monkeypatch.setattr(peers, "PYTHON", tmp_path / "python")
    assert peers.run([]) == []


def _shared() -> Any:
    from detection import sets  # noqa: PLC0415 - found by the fixture above

    if not (sets.SHARED / "tools" / "adscore.py").exists():
        pytest.skip("the public sets and their scorer are not beside this checkout")
    return sets


@pytest.mark.slow
def test_what_knows_nothing_scores_next_to_nothing() -> None:
    from detection import controls, judging  # noqa: PLC0415 - found by the fixture above

    recordings = _shared().load("nab", files=8)
    names = [one.name for one in recordings]
    for who, scores in controls.degenerate(recordings).items():
        found = judging.nab(names, scores, volume=False)
        assert found["event F1"] < 0.2, who
        assert found["shipped threshold"] < 10.0, who


@pytest.mark.slow
def test_who_tells_of_a_label_when_it_is_over_is_told_from_who_tells_in_time() -> None:
    from detection import controls, judging  # noqa: PLC0415 - found by the fixture above

    sets = _shared()
    root = sets.nab_root() / "data"
    names = ("realKnownCause/rogue_agent_key_hold.csv", "realTraffic/speed_7578.csv")
    recordings = [sets.nab_file(root / name) for name in names]
    late, windows = controls.lagged(recordings), judging.ranges(recordings)
    assert any(windows)
    in_time = [np.zeros(len(one)) for one in late]
    for score, labelled in zip(in_time, windows, strict=True):
        score[[first for first, _ in labelled]] = 1.0
    found, told = (judging.nab(names, one, volume=False) for one in (late, in_time))
    assert found["event F1"] == 0.0
    assert told["event F1"] > 0.9
    assert found["shipped threshold"] <= 0.0
    assert told["shipped threshold"] > 50.0


@pytest.mark.slow
def test_what_must_not_matter_does_not_on_short_stretches_and_neither_does_a_name(
    tmp_path: Path,
) -> None:
    from detection import controls, controls_command, playing, sets  # noqa: PLC0415 - found above

    draw, rows = np.random.default_rng(12), 320
    start = np.datetime64("2026-01-01T00:00:00")
    paths = [tmp_path / "level.csv", tmp_path / "season.csv"]
    for path in paths:
        values = draw.normal(40.0, 1.0, rows)
        values += 4.0 * np.sin(np.arange(rows) / 4.0) * (path.stem == "season")
        values[300:310] += 15.0
        minutes = 5 * (np.arange(rows) + (np.arange(rows) >= 200) * 3)  # three rows are missing
        times = [str(one).replace("T", " ") for one in start + minutes.astype("timedelta64[m]")]
        pairs = zip(times, values.tolist(), strict=True)
        path.write_text("timestamp,value\n" + "".join(f"{at},{one!r}\n" for at, one in pairs))
    if (sets.SHARED / "data" / "nab").is_dir():
        paths.append(sets.nab_root() / "data" / "realTraffic" / "speed_7578.csv")
    recordings = [sets.beginning(_unlabelled(path), rows) for path in paths]
    assert [int(said.alarm.sum()) for said in playing.played(recordings)][:2] == [1, 1]
    holds = controls.invariances(recordings, ticks=rows)
    assert all(holds.values()), holds
    holds = controls_command.checks(paths, rows=rows)
    assert holds.pop("the command: a name changes nothing")
    assert all(holds.values()), holds


def _unlabelled(path: Path) -> Any:
    from detection import sets  # noqa: PLC0415 - found by the fixture above

    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    times = np.array([row["timestamp"] for row in rows], dtype="datetime64[s]").astype(float)
    values = np.array([[float(row["value"])] for row in rows])
    return sets.made(path.stem, sets.Read(times, values, np.zeros(len(rows), dtype=bool)))


@pytest.mark.long
def test_what_must_not_matter_does_not() -> None:
    from detection import controls  # noqa: PLC0415 - found by the fixture above

    sets = _shared()
    names = (
        "realTraffic/speed_7578.csv",
        "artificialNoAnomaly/art_noisy.csv",
        "realAWSCloudwatch/ec2_disk_write_bytes_1ef3de.csv",  # stands still between bursts
    )
    recordings = [sets.nab_file(sets.nab_root() / "data" / name) for name in names]
    holds = controls.invariances(recordings, ticks=900)
    assert all(holds.values()), holds


@pytest.mark.slow
def test_what_is_measured_is_what_the_command_writes(tmp_path: Path) -> None:
    from detection import playing  # noqa: PLC0415 - found by the fixture above

    sets, rows = _shared(), 600
    # Rows are missing in the first, and come at odd times in the second.
    for name in ("realAWSCloudwatch/ec2_disk_write_bytes_1ef3de.csv", "realTraffic/speed_7578.csv"):
        path = sets.nab_root() / "data" / name
        text = path.read_text().splitlines(keepends=True)[: rows + 1]
        (tmp_path / "in.csv").write_text("".join(text))
        files = ("--input", tmp_path / "in.csv", "--output", tmp_path / "out.csv")
        CliRunner().invoke(app, ["detect", *map(str, files)])
        with (tmp_path / "out.csv").open(newline="") as file:
            written = [float(row["anomaly_score"]) for row in csv.DictReader(file)]
        (said,) = playing.played([sets.beginning(sets.nab_file(path), rows)])
        assert max(written) > 0.0
        np.testing.assert_allclose(written, said.score, rtol=1e-5, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    ["stats/test_fdr_fleet.py", "detect/test_ewma_run_lengths.py", "detect/forecast_play.py"],
)
def test_the_bench_finds_what_measures_without_the_paths_that_pytest_sets(path: str) -> None:
    root = Path(__file__).parents[2]
    read = f"from detection.made import of_tests; of_tests({path!r})"
    environ = {**os.environ, "PYTHONPATH": str(root / "benchmarks")}
    done = subprocess.run([sys.executable, "-c", read], env=environ, cwd=root, check=False)
    assert done.returncode == 0
