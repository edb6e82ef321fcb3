"""`homeostat detect --false-share`: a folder as one fleet, on one clock, and its state."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from homeostat.base.errors import ConfigError
from homeostat.cli import detect_done, detect_fleet
from homeostat.cli.exits import Exit
from homeostat.cli.main import app
from homeostat.detect.fleet_chain import Config as ChainConfig
from homeostat.detect.fleet_told import Config
from homeostat.stats.conformal import Config as TablesConfig
from homeostat.stats.fdr_past import Config as PastConfig

FILES, ROWS, ILL = 12, 480, "m03.csv"
COLUMNS = ("cpu", "disk")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["detect", *map(str, arguments)])


def small(share: float) -> Config:
    """Return a fleet that has seen enough after so few rows."""
    chain = ChainConfig(seasons=None, tables=TablesConfig(size=256, block=1))
    past = PastConfig(least=8, fleet=200)
    return Config(rate=share, chain=chain, past=past, warm=256)


@pytest.fixture(autouse=True)
def young(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect_fleet, "settings", small)
    # Whatever is edited in the meantime is not what these tests are about.
    monkeypatch.setattr(detect_done, "code_digest", lambda: "one")
    monkeypatch.setattr(detect_fleet, "code_digest", lambda: "one")


def row(tick: int, values: Any, step_s: int = 60) -> str:
    at = np.datetime64("2026-01-01T00:00:00") + np.timedelta64(tick * step_s, "s")
    return f"{at},{','.join(f'{one:.6f}' for one in values)}\n".replace("nan", "")


def fleet() -> dict[str, list[str]]:
    """Return the rows of files of which one goes wrong; one begins late, one misses rows."""
    out = {}
    for number in range(FILES):
        values = np.random.default_rng(number).normal(10.0, 1.0, (ROWS, 2))
        name = f"m{number:02d}.csv"
        if name == ILL:
            values[360:430, 1] += 60.0
        out[name] = [row(tick, one) for tick, one in enumerate(values)]
    del out["m05.csv"][:7]
    del out["m07.csv"][100:110]
    return out


def write(folder: Path, rows: dict[str, list[str]], part: slice = slice(None)) -> None:
    folder.mkdir(exist_ok=True)
    for name, lines in rows.items():
        text = "".join(lines[part])
        (folder / name).write_text(f"timestamp,{','.join(COLUMNS)}\n{text}")


def judged(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def alarms(folder: Path) -> list[tuple[str, int]]:
    return [
        (path.name, number)
        for path in sorted(folder.glob("*.csv"))
        for number, one in enumerate(judged(path))
        if one["alarm"] == "1"
    ]


@pytest.mark.slow
def test_one_incident_of_one_file_is_told_and_the_summary_says_what_was_promised(
    tmp_path: Path,
) -> None:
    write(tmp_path / "in", fleet())
    said = run("-i", tmp_path / "in", "-o", tmp_path / "out", "--false-share", 0.05, "--json", "-")
    assert said.exit_code == Exit.OK, said.output
    assert "at most 0.05 are false in expectation" in said.stderr
    [(name, number)] = alarms(tmp_path / "out")
    assert name == ILL
    assert 360 <= number < 360 + 32
    lines = judged(tmp_path / "out" / ILL)
    assert len(lines) == ROWS
    assert float(lines[number]["contribution_disk"]) > 0.8
    for at, one in enumerate(lines):
        assert (float(one["anomaly_score"]) >= 0.5) == (at == number)
        assert (one["verdict"] == "unknown") == (one["neg_log10_p"] == "")
    assert {one["verdict"] for one in lines[:256]} == {"unknown"}
    summary = json.loads(said.stdout)
    assert summary["fleet"] == {
        "false_share": 0.05, "files": FILES, "series": 2 * FILES, "told": 1, "late_ticks": 0,
    }  # fmt: skip
    [incident] = next(one for one in summary["files"] if one["input"].endswith(ILL))["incidents"]
    assert incident["start"] == lines[number]["timestamp"]
    assert incident["columns"][0]["name"] == "disk"


@pytest.mark.slow
@pytest.mark.parametrize("later", ["added", "apart"])
def test_a_fleet_goes_on_from_its_state_as_if_all_rows_had_been_there_at_once(
    tmp_path: Path, later: str
) -> None:
    rows, option = fleet(), ("--false-share", 0.05)
    write(tmp_path / "whole", rows)
    run("-i", tmp_path / "whole", "-o", tmp_path / "one", *option)
    state = (*option, "--state", tmp_path / "s")
    # Within the incident, and within a block.
    cut = {name: sum(line < row(371, []) for line in lines) for name, lines in rows.items()}
    write(tmp_path / "in", {name: lines[: cut[name]] for name, lines in rows.items()})
    first = run("-i", tmp_path / "in", "-o", tmp_path / "out", *state)
    assert first.exit_code == Exit.OK, first.output
    source, out = tmp_path / "in", tmp_path / "out"
    if later == "apart":
        source, out = tmp_path / "in2", tmp_path / "out2"
        write(source, {name: lines[cut[name] :] for name, lines in rows.items()})
    else:
        write(source, rows)
    second = run("-i", source, "-o", out, *state)
    assert second.exit_code == Exit.OK, second.output
    for name in rows:
        whole = (tmp_path / "one" / name).read_text()
        head, _, rest = (out / name).read_text().partition("\n")
        if later == "apart":
            rest = (tmp_path / "out" / name).read_text().partition("\n")[2] + rest
        assert f"{head}\n{rest}" == whole


@pytest.mark.slow
def test_a_file_that_is_missing_is_unknown_to_the_fleet_and_goes_on_when_it_comes_again(
    tmp_path: Path,
) -> None:
    rows = fleet()
    state = ("--false-share", 0.05, "--state", tmp_path / "s", "--json", "-")
    write(tmp_path / "a", {name: lines[:300] for name, lines in rows.items()})
    run("-i", tmp_path / "a", "-o", tmp_path / "oa", *state)
    write(tmp_path / "b", {name: lines[300:400] for name, lines in rows.items() if name != ILL})
    assert run("-i", tmp_path / "b", "-o", tmp_path / "ob", *state).exit_code == Exit.OK
    # Its rows of the time in between come late: nobody knew them when others were judged.
    write(tmp_path / "c", {ILL: rows[ILL][300:]})
    said = run("-i", tmp_path / "c", "-o", tmp_path / "oc", *state)
    assert said.exit_code == Exit.OK, said.output
    lines = judged(tmp_path / "oc" / ILL)
    late = json.loads(said.stdout)["fleet"]["late_ticks"]
    assert late == 110  # m05.csv began seven ticks late and m07.csv missed ten: the clock went on
    assert {one["verdict"] for one in lines[:late]} == {"unknown"}
    write(tmp_path / "d", {"new.csv": rows[ILL]})
    refused = run("-i", tmp_path / "d", "-o", tmp_path / "od", *state).exception
    assert isinstance(refused, ConfigError)
    assert "new.csv: is not in the state, which is of a fleet of 12 files" in str(refused)


def slow(lines: list[str]) -> list[str]:
    """Return rows of a clock that loses a second a minute: half a step after half an hour."""
    return [row(tick, [1.0, 2.0], step_s=61) for tick in range(len(lines))]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (slow, "m00.csv:32: the row at 2026-01-01T00:30:30 is not where a clock of 60 s"),
        (lambda lines: [*lines[:9], lines[8], *lines[9:]], "m00.csv:11: the row at"),
        (lambda lines: [lines[0], *lines[5:]], "no gap among a file's first three"),
    ],
)
def test_rows_off_the_fleets_clock_are_refused_by_file_row_and_time(
    tmp_path: Path, change: Callable[[list[str]], list[str]], named: str
) -> None:
    rows = {name: fleet()[name][:80] for name in ("m00.csv", "m01.csv", "m02.csv")}
    write(tmp_path / "in", rows | {"m00.csv": change(rows["m00.csv"])})
    refused = run("-i", tmp_path / "in", "-o", tmp_path / "out", "--false-share", 0.05).exception
    assert isinstance(refused, ConfigError)
    assert named in str(refused)
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--false-share", "0"), "above 0 and at most 0.5"),
        (("--false-share", "nan"), "above 0 and at most 0.5"),
        (("--false-share", "0.51"), "above 0 and at most 0.5"),
        (("--false-share", "0.05", "--false-incidents", "1"), "two promises"),
        (("--false-share", "0.05", "--plot"), "--plot draws"),
    ],
)
def test_a_share_that_nobody_can_keep_and_options_beside_it_are_refused(
    tmp_path: Path, options: tuple[str, ...], named: str
) -> None:
    write(tmp_path / "in", {"a.csv": fleet()["m00.csv"][:20]})
    result = run("-i", tmp_path / "in", "-o", tmp_path / "out", *options)
    assert result.exit_code == Exit.USAGE
    assert named in result.stderr


def test_one_file_and_a_stream_are_no_fleet(tmp_path: Path) -> None:
    write(tmp_path / "in", {"a.csv": fleet()["m00.csv"][:20]})
    option = ("--false-share", "0.05")
    one = run("-i", tmp_path / "in" / "a.csv", "-o", tmp_path / "out.csv", *option)
    assert "is one file, and a fleet is many" in str(one.exception)
    stream = run("-i", "-", "-o", "-", *option)
    assert stream.exit_code == Exit.USAGE
    assert "give a folder of files as --input" in stream.stderr


def test_a_state_of_another_share_or_of_something_else_is_refused(tmp_path: Path) -> None:
    rows = {name: fleet()[name][:40] for name in ("m00.csv", "m01.csv")}
    write(tmp_path / "in", rows)
    paths = ("-i", tmp_path / "in", "-o", tmp_path / "out", "--state", tmp_path / "s")
    assert run(*paths, "--false-share", 0.05).exit_code == Exit.NO_DATA  # so young a fleet
    other = run(*paths, "--false-share", 0.1).exception
    assert isinstance(other, ConfigError)
    assert "(--false-share: 0.05 then, 0.1 now)" in str(other)
    (tmp_path / "s").write_bytes(b"something else")
    broken = run(*paths, "--false-share", 0.05).exception
    assert isinstance(broken, ConfigError)
    assert "remove the file to begin anew" in str(broken)


def test_a_file_that_cannot_be_read_stops_no_other_and_a_run_without_any_is_refused(
    tmp_path: Path,
) -> None:
    rows = {name: fleet()[name][:40] for name in ("m00.csv", "m01.csv")}
    write(tmp_path / "in", rows)
    (tmp_path / "in" / "bad.csv").write_text("timestamp,value\n2026-01-01,what\n2026-01-02,1\n")
    option = ("--false-share", 0.05)
    said = run("-i", tmp_path / "in", "-o", tmp_path / "out", *option, "--json", tmp_path / "j")
    assert said.exit_code == Exit.FAILED
    summary = json.loads((tmp_path / "j").read_text())
    assert [Path(one["input"]).name for one in summary["failed"]] == ["bad.csv"]
    assert len(judged(tmp_path / "out" / "m01.csv")) == 40
    for name in rows:
        (tmp_path / "in" / name).unlink()
    none = run("-i", tmp_path / "in", "-o", tmp_path / "out2", *option).exception
    assert "holds no file that can be read" in str(none)
