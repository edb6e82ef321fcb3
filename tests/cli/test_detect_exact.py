"""`homeostat detect --method shesd-exact`: the golden sets' answers, and what it refuses."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from homeostat.base.errors import ConfigError
from homeostat.cli import detect_exact
from homeostat.cli.exits import Exit
from homeostat.cli.main import app

SHARED = Path(__file__).parents[3] / "shared"
GOLDEN = SHARED / "oracles" / "shesd_golden.json"
TOLD = {
    "period": "--period",
    "direction": "--direction",
    "max_anoms": "--max-anomalies",
    "alpha": "--alpha",
    "longterm_period": "--longterm",
    "threshold": "--threshold",
}
EXACT = ("--method", "shesd-exact")


def run(*arguments: object, rows: str | None = None) -> Result:
    return CliRunner().invoke(app, ["detect", *map(str, arguments)], input=rows)


def golden() -> dict[str, Any]:
    answers: dict[str, Any] = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    return answers


def recording(name: str) -> Path:
    if name.startswith("twitter"):
        return SHARED / "oracles" / "twitter_raw_data.csv"
    paths = sorted((SHARED / "data" / "nab").rglob(name.removeprefix("nab_") + ".csv"))
    if not paths:
        pytest.skip(f"needs NAB's {name} under {SHARED / 'data' / 'nab'}")
    return paths[0]


def text(values: np.ndarray, names: str = "value") -> str:
    rows = [f"{60 * k},{','.join(f'{v!r}' for v in row)}" for k, row in enumerate(values.tolist())]
    return "\n".join([f"timestamp,{names}", *rows]) + "\n"


def season(rows: int = 480, columns: int = 1, seed: int = 0) -> np.ndarray:
    """Return a season of 48 rows with noise that has no tails. `[row, column]`."""
    noise = np.random.default_rng(seed).uniform(-1.5, 1.5, (rows, columns))
    return 100.0 + 10.0 * np.sin(2.0 * np.pi * np.arange(rows) / 48)[:, None] + noise


def anomalous(path: Path) -> list[int]:
    with path.open(encoding="utf-8", newline="") as file:
        return [k for k, row in enumerate(csv.DictReader(file)) if row["verdict"] == "anomalous"]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(golden()) or ["none is here"])
def test_a_golden_set_comes_out_with_the_indices_of_twitters_program(
    name: str, tmp_path: Path
) -> None:
    if not GOLDEN.exists():
        pytest.skip(f"needs the answers of Twitter's program at {GOLDEN}")
    answer, out = golden()[name], tmp_path / "out.csv"
    asked = ["--only-last"] if answer["args"].get("only_last") else []
    for key, option in TOLD.items():
        asked += [option, answer["args"][key]] if key in answer["args"] else []
    # Twitter's program knows no times: rows are neighbours, whatever is missing between them.
    said = run("-i", recording(name), "-o", out, *EXACT, "--time", "", *asked)
    assert said.exit_code == Exit.OK, said.output
    wanted = np.sort(np.atleast_1d(answer["index1"]))  # by time, and from 1
    assert [place + 1 for place in anomalous(out)] == wanted.tolist()


def test_it_finds_the_season_and_says_the_same_things_as_a_method(tmp_path: Path) -> None:
    values = season(columns=2)
    values[[100, 101], 0] += 15.0
    values[333, 1] -= 15.0
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text(text(values, "cpu,disk"))
    words = ("-i", tmp_path / "in", "-o", tmp_path / "out", *EXACT, "--json", "-", "--plot")
    said = run(*words)
    assert said.exit_code == Exit.OK, said.output
    one = json.loads(said.stdout)["files"][0]
    assert [(i["start"], i["end"]) for i in one["incidents"]] == [("6000", "6060"), ("19980",) * 2]
    assert [i["columns"][0]["name"] for i in one["incidents"]] == ["cpu", "disk"]
    assert all(i["anomaly_score"] > 0.5 for i in one["incidents"])
    assert one["quality"]["notes"] == [
        "cpu has a season of 48 ticks, found by itself",
        "disk has a season of 48 ticks, found by itself",
    ]
    assert re.search(r"judging 480 rows of 1 file, by shesd-exact, .* about \d+ MB", said.stderr)
    assert anomalous(tmp_path / "out" / "a.csv") == [100, 101, 333]
    head, *rows = (tmp_path / "out" / "a.csv").read_text().splitlines()
    assert head.endswith("alarm,verdict,contribution_cpu,contribution_disk")
    assert [k for k, row in enumerate(rows) if row.split(",")[3] == "1"] == [100, 333]
    assert "<svg" in (tmp_path / "out" / "a.html").read_text(encoding="utf-8")
    before = (tmp_path / "out" / "a.csv").stat().st_mtime_ns
    assert run(*words).exit_code == Exit.OK  # it is done already
    assert (tmp_path / "out" / "a.csv").stat().st_mtime_ns == before


def test_a_row_that_is_missing_keeps_its_place_in_the_season(tmp_path: Path) -> None:
    values = season()
    values[400] += 15.0
    rows = text(values).splitlines(keepends=True)
    (tmp_path / "in.csv").write_text("".join(rows[:201] + rows[225:]))  # half a season less
    said = run("-i", tmp_path / "in.csv", "-o", tmp_path / "out.csv", *EXACT, "--period", 48)
    assert said.exit_code == Exit.OK, said.output
    assert anomalous(tmp_path / "out.csv") == [400 - 24]


def test_a_series_without_a_season_is_unknown_and_says_what_to_do(tmp_path: Path) -> None:
    noise = np.random.default_rng(7).normal(10.0, 1.0, (300, 1))
    (tmp_path / "in.csv").write_text(text(noise))
    words = ("-i", tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--json", "-", *EXACT)
    said = run(*words)
    assert said.exit_code == Exit.NO_DATA
    assert "value is unknown: no season was found" in said.stdout
    assert "name its season with --period" in said.stdout
    assert set(np.loadtxt(tmp_path / "out.csv", str, delimiter=",")[1:, 4]) == {"unknown"}
    assert run(*words, "--period", 48).exit_code == Exit.OK


WRONG = {
    "--period 1": "--period 1: a season has 2 ticks at least",
    "--period 48 --longterm 95": "--longterm 95: a piece holds two seasons at least, 96 ticks",
    "--max-anomalies 0.5": "--max-anomalies 0.5: must be above 0 and at most 0.49",
    "--max-anomalies nan": "--max-anomalies nan: must be above 0",
    "--alpha 1": "--alpha 1: must be above 0 and below 1",
    "--direction up": "--direction 'up': is none; give one of both, pos, neg",
    "--threshold p90": "--threshold 'p90': is none; give one of med_max, p95, p99",
    "--method shesd-exact,ewma": "shesd-exact looks at later rows too and stands beside no causal",
    "--method stack --period 48": "--period: is an option of --method shesd-exact; give that",
    "--method ewma --only-last": "--only-last: is an option of --method shesd-exact",
    "--state s": "--state: does not go with --method shesd-exact, which looks at a whole file",
    "--model m": "--model: does not go with --method shesd-exact",
    "--train": "--train: does not go with --method shesd-exact",
    "--false-incidents 1": "--false-incidents: does not go with --method shesd-exact",
    "--share-of-ticks 0.01": "--share-of-ticks: does not go with --method shesd-exact",
    "--false-share 0.05": "--false-share: does not go with --method shesd-exact",
}


@pytest.mark.parametrize("words", WRONG)
def test_what_does_not_go_is_refused_by_name_value_and_fix(words: str, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(text(season(rows=96)))
    named = () if "--method" in words else EXACT
    said = run("-i", tmp_path / "in.csv", "-o", tmp_path / "out.csv", *named, *words.split())
    assert isinstance(said.exception, ConfigError)
    assert WRONG[words] in str(said.exception)
    assert not (tmp_path / "out.csv").exists()


def test_a_stream_is_refused_because_it_has_no_end_to_look_at() -> None:
    said = run("-i", "-", "-o", "-", *EXACT, rows=text(season(rows=96)))
    assert isinstance(said.exception, ConfigError)
    assert "--input -: does not go with --method shesd-exact" in str(said.exception)
    assert "--method shesd, its causal form" in str(said.exception)
    assert not said.stdout


def test_more_rows_than_memory_should_hold_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detect_exact, "_MOST", 90_000)
    (tmp_path / "in.csv").write_text(text(season(rows=101)))
    said = run("-i", tmp_path / "in.csv", "-o", tmp_path / "out.csv", *EXACT)
    assert "101 rows would take 0.0 GB of memory and --method" in str(said.exception)
    assert "take --method shesd, which is causal" in str(said.exception)
    assert not list(tmp_path.glob("*out*"))


def test_a_row_out_of_order_takes_no_row_of_the_output_away(tmp_path: Path) -> None:
    """The ticks that are put between rows are played, though no row is missing."""
    head, *rows = text(season()).splitlines(keepends=True)
    rows[100], rows[101] = rows[101], rows[100]
    (tmp_path / "in.csv").write_text(head + "".join(rows))
    assert run("-i", tmp_path / "in.csv", "-o", tmp_path / "out.csv", *EXACT).exit_code == Exit.OK
    times = [line.split(",")[0] for line in (tmp_path / "out.csv").read_text().splitlines()]
    assert times == ["timestamp", *(row.split(",")[0] for row in rows)]
