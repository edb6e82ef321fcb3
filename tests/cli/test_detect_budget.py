"""`homeostat detect --false-incidents`: the level of an alarm by budget, tick and columns."""

import csv
import io
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from homeostat.base.errors import ConfigError
from homeostat.cli import detect_run
from homeostat.cli.exits import Exit
from homeostat.cli.main import app
from homeostat.detect.stack_budget import levels_of

EVIDENCE = "neg_log10_p"


def run(*arguments: object, rows: str | None = None) -> Result:
    return CliRunner().invoke(app, ["detect", *map(str, arguments)], input=rows)


def text(values: np.ndarray, step_s: float, names: str = "value") -> str:
    begin = np.datetime64("2026-01-01T00:00:00", "ms")
    times = [begin + np.timedelta64(round(1000 * k * step_s), "ms") for k in range(len(values))]
    cells = [",".join(f"{v!r}" for v in np.atleast_1d(row).tolist()) for row in values]
    rows = [f"{at},{cell}" for at, cell in zip(times, cells, strict=True)]
    return "\n".join([f"timestamp,{names}", *rows]) + "\n"


def wild() -> np.ndarray:
    """Return noise with one jump that is odd, and a longer one that is odder."""
    values = np.random.default_rng(3).normal(10.0, 1.0, 900)
    values[500:503] += 8.0
    values[700:740] += 60.0
    return values


def judged(rows: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(rows)))


def evidence(rows: list[dict[str, str]]) -> np.ndarray:
    return np.array([float(row[EVIDENCE] or "nan") for row in rows])


def alarms(rows: list[dict[str, str]]) -> list[int]:
    return [k for k, row in enumerate(rows) if row["alarm"] == "1"]


@pytest.mark.slow
def test_incidents_start_where_the_budget_of_the_ticks_says_and_evidence_is_as_without(
    tmp_path: Path,
) -> None:
    said = {}
    for step_s in (300.0, 15.0):
        (tmp_path / "in.csv").write_text(text(wild(), step_s))
        for budget in (None, 0.2, 50.0):
            option = () if budget is None else ("--false-incidents", budget)
            out = tmp_path / "out.csv"
            result = run("-i", tmp_path / "in.csv", "-o", out, *option)
            assert result.exit_code == Exit.OK, result.output
            said[step_s, budget] = judged(out.read_text())
    plain = evidence(said[300.0, None])
    assert np.nanmax(plain) > 3.0
    for (step_s, budget), rows in said.items():
        np.testing.assert_array_equal(evidence(rows), plain)
        level = 2.6 if budget is None else float(levels_of(budget, step_s))
        first = alarms(rows)
        assert all(plain[k] >= level for k in first)
        assert bool(first) == bool(np.nanmax(plain) >= level)
        scores = np.array([float(row["anomaly_score"]) for row in rows])
        assert np.flatnonzero(scores >= 0.5).tolist() == first
    # The same evidence is an incident at ticks of five minutes and none at those of 15 s.
    assert len(alarms(said[300.0, 50.0])) > len(alarms(said[15.0, 50.0]))


@pytest.mark.slow
def test_a_stream_has_the_levels_of_a_file(tmp_path: Path) -> None:
    rows = text(wild(), 300.0)
    (tmp_path / "in.csv").write_text(rows)
    option = ("--false-incidents", 50)
    run("-i", tmp_path / "in.csv", "-o", tmp_path / "out.csv", *option)
    streamed = run("-i", "-", "-o", "-", *option, rows=rows)
    assert streamed.exit_code == Exit.OK, streamed.output
    assert streamed.stdout == (tmp_path / "out.csv").read_text()
    assert alarms(judged(streamed.stdout))


@pytest.mark.slow
def test_several_columns_share_a_budget_and_numbered_rows_are_short_ticks(tmp_path: Path) -> None:
    values = np.random.default_rng(5).normal(10.0, 1.0, (600, 2))
    values[500:540] += 60.0
    plain = text(values, 300.0, "cpu,disk")
    numbered = "\n".join(line.partition(",")[2] for line in plain.splitlines()) + "\n"
    for name, rows, option, step_s in (
        ("timed.csv", plain, (), 300.0),
        ("numbered.csv", numbered, ("--time", ""), 15.0),
    ):
        (tmp_path / name).write_text(rows)
        out = tmp_path / f"out-{name}"
        run("-i", tmp_path / name, "-o", out, "--false-incidents", 400, *option)
        found = judged(out.read_text())
        level = float(levels_of(400.0, step_s, signals=2))
        seen = evidence(found)
        above = np.flatnonzero(np.nan_to_num(seen) >= level)
        assert alarms(found)[:1] == above[:1].tolist()


@pytest.mark.slow
def test_values_that_nobody_can_tell_apart_are_unknown_and_a_counter_goes_as_far_as_it_likes(
    tmp_path: Path,
) -> None:
    draw = np.random.default_rng(8).normal(10.0, 1.0, 300)
    for name, judged_rows in (("wei", False), ("wei_total", True)):
        values = 1.7e18 + 1e6 * np.cumsum(np.round(draw)) if judged_rows else 1.7e18 * draw
        (tmp_path / "in.csv").write_text(text(values, 60.0, name))
        summary = tmp_path / "s.json"
        run("-i", tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--json", summary)
        verdicts = {row["verdict"] for row in judged((tmp_path / "out.csv").read_text())}
        assert ("healthy" in verdicts) is judged_rows
        notes = " ".join(json.loads(summary.read_text())["files"][0]["quality"]["notes"])
        assert (f"{name} holds values beyond 1e+15" in notes) is not judged_rows


def test_where_nobody_looks_there_is_a_line_a_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(detect_run, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with detect_run.progress("judging", 5_000, "rows") as advance:
        for second in range(0, 130, 10):
            now[0] = float(second)
            advance(100)
    assert capsys.readouterr().err.splitlines() == [
        "judging: 700 of 5,000 rows",
        "judging: 1,300 of 5,000 rows",
    ]


@pytest.mark.parametrize("said", ["0", "-1", "nan", "inf", "501"])
def test_a_budget_that_nobody_can_keep_is_refused(tmp_path: Path, said: str) -> None:
    (tmp_path / "in.csv").write_text(text(wild()[:40], 60.0))
    result = run("-i", tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--false-incidents", said)
    assert result.exit_code == Exit.USAGE
    assert "must be above 0 and at most 500 per 1,000 signals and day" in result.stderr
    assert not (tmp_path / "out.csv").exists()


def test_a_state_of_another_budget_is_refused(tmp_path: Path) -> None:
    rows = text(wild()[:60], 60.0)
    (tmp_path / "in.csv").write_text(rows)
    options = ("-i", tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--state", tmp_path / "s")
    run(*options, "--false-incidents", 1)
    refused = run(*options, "--false-incidents", 2).exception
    assert isinstance(refused, ConfigError)
    assert "made with other options (--false-incidents: 1 then, 2 now)" in str(refused)


@pytest.mark.slow
def test_a_share_of_ticks_bounds_what_is_told_in_a_file_and_in_a_stream(tmp_path: Path) -> None:
    rows = text(wild(), 300.0)
    (tmp_path / "in.csv").write_text(rows)
    option = ("--share-of-ticks", 0.002)
    run("-i", tmp_path / "in.csv", "-o", tmp_path / "plain.csv")
    result = run("-i", tmp_path / "in.csv", "-o", tmp_path / "out.csv", *option)
    assert result.exit_code == Exit.OK, result.output
    said = judged((tmp_path / "out.csv").read_text())
    plain = judged((tmp_path / "plain.csv").read_text())
    np.testing.assert_array_equal(evidence(said), evidence(plain))
    assert 0 < len(alarms(said)) <= 0.002 * len(said) + 2
    streamed = run("-i", "-", "-o", "-", *option, rows=rows)
    assert streamed.stdout == (tmp_path / "out.csv").read_text()


@pytest.mark.slow
def test_a_state_goes_on_with_the_level_that_it_had(tmp_path: Path) -> None:
    lines = text(wild(), 300.0).splitlines(keepends=True)
    option = ("--share-of-ticks", 0.002)
    (tmp_path / "in.csv").write_text("".join(lines))
    run("-i", tmp_path / "in.csv", "-o", tmp_path / "whole.csv", *option)
    state = ("--state", tmp_path / "s")
    (tmp_path / "in.csv").write_text("".join(lines[:720]))
    run("-i", tmp_path / "in.csv", "-o", tmp_path / "out.csv", *option, *state)
    (tmp_path / "in.csv").write_text("".join(lines))
    # Of another share it is refused, of the same it goes on.
    refused = run(
        "-i", tmp_path / "in.csv", "-o", tmp_path / "no.csv", "--share-of-ticks", 0.004, *state
    )
    assert refused.exit_code != Exit.OK
    result = run("-i", tmp_path / "in.csv", "-o", tmp_path / "out.csv", *option, *state)
    assert result.exit_code == Exit.OK, result.output
    assert (tmp_path / "out.csv").read_text() == (tmp_path / "whole.csv").read_text()


@pytest.mark.parametrize(
    ("share", "others", "said"),
    [
        ("0", (), "above 0 and at most 0.05"),
        ("0.06", (), "above 0 and at most 0.05"),
        ("nan", (), "above 0 and at most 0.05"),
        ("0.01", ("--false-incidents", 1), "does not go with --false-incidents"),
        ("0.01", ("--false-share", 0.05), "does not go with --false-share"),
        ("0.01", ("--method", "ewma"), "does not go with --method ewma"),
    ],
)
def test_a_share_that_bounds_nothing_or_meets_another_rule_is_refused(
    tmp_path: Path, share: str, others: tuple[object, ...], said: str
) -> None:
    (tmp_path / "in.csv").write_text(text(wild()[:40], 60.0))
    result = run(
        "-i", tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--share-of-ticks", share, *others
    )
    assert result.exit_code != Exit.OK
    assert said in str(result.exception) + result.stderr
    assert not (tmp_path / "out.csv").exists()
