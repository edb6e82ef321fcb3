"""What `homeostat detect` says beside its answers: where, how near, what differs."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from homeostat.cli.detect_tally import Tally
from homeostat.cli.exits import Exit
from homeostat.cli.main import app
from homeostat.detect.stack import Said


def run(*arguments: object, rows: str | None = None) -> Result:
    return CliRunner().invoke(app, ["detect", *map(str, arguments)], input=rows)


def recording(path: Path, rows: int = 260, names: str = "value") -> Path:
    values = np.random.default_rng(5).normal(10.0, 1.0, (rows, names.count(",") + 1))
    made = [
        f"{60 * k},{','.join(f'{one:.4f}' for one in row)}" for k, row in enumerate(values.tolist())
    ]
    path.write_text("\n".join([f"timestamp,{names}", *made]) + "\n")
    return path


def said(evidence: list[float], alarm: list[int]) -> Said:
    known, flags = np.array(evidence), np.array(alarm, dtype=bool)
    one = known[:, None]
    return Said(known, known, flags, flags, np.isnan(known), one, one, one, spoke=flags)


@pytest.mark.slow
def test_a_budget_that_found_nothing_says_how_much_it_asks_for_and_how_much_there_was(
    tmp_path: Path,
) -> None:
    source = recording(tmp_path / "in.csv")
    words = ("-o", tmp_path / "out.csv", "--json", tmp_path / "s.json", "--false-incidents", 1)
    told = run("-i", source, *words)
    assert told.exit_code == Exit.OK
    (one,) = json.loads((tmp_path / "s.json").read_text())["files"]
    assert one["incidents"] == []
    assert 0.0 < one["largest"]["neg_log10_p"] < one["largest"]["starts_at"]
    note = one["quality"]["notes"][0]
    assert note.startswith("no incident, which is not to say that nothing is there: the largest")
    assert note.endswith("and a budget of 1 at ticks of 60 s asks for 6.6")
    assert "at ticks of 60 s asks for 6.6" in told.stdout
    stream = run("-i", "-", *words, rows=source.read_text())
    assert f"note: {note}" in stream.stderr
    assert run("-i", source, *words[:-2]).exit_code == Exit.OK
    (plain,) = json.loads((tmp_path / "s.json").read_text())["files"]
    assert plain["quality"]["notes"] == []
    assert plain["largest"] == one["largest"] | {"starts_at": None}


def test_the_row_with_most_evidence_is_kept_with_the_level_that_it_met() -> None:
    tally = Tally(columns=["v"])
    tally.add(["a", "b"], said([np.nan, 1.5], [0, 0]), np.array([5.0, 6.0]))
    tally.add(["c", "d"], said([0.5, 1.0], [0, 0]), np.array([7.0, 8.0]))
    assert tally.largest == {"time": "b", "neg_log10_p": 1.5, "starts_at": 6.0}
    assert Tally.of(["v"], json.loads(json.dumps(tally.plain()))).largest == tally.largest
    assert tally.too_little(None, 60.0) == []
    assert len(tally.too_little(1.0, None)) == 1
    tally.add(["e"], said([9.0], [1]), np.array([6.0]))
    assert tally.too_little(1.0, 60.0) == []


@pytest.mark.parametrize("stream", [False, True])
def test_a_state_of_other_options_names_those_that_differ_before_anything_is_judged(
    tmp_path: Path, *, stream: bool
) -> None:
    source = recording(tmp_path / "in.csv", 40)
    rows = source.read_text() if stream else None
    words = ("-i", "-" if stream else source, "-o", tmp_path / "out.csv", "--state", tmp_path / "s")
    run(*words, rows=rows)
    other = run(*words, "--false-incidents", 1, "--counters", "none", rows=rows)
    told = str(other.exception)
    assert "(--counters: auto then, none now; --false-incidents: none then, 1 now)" in told
    assert "Wanted(" not in told
    assert "judging" not in other.stderr
    two = recording(tmp_path / "two.csv", 40, "value,cpu")
    words = ("-i", "-" if stream else two, *words[2:])
    other = run(*words, rows=two.read_text() if stream else None)
    assert "is the state of the columns value, and the rows have value, cpu;" in str(
        other.exception
    )
    assert "judging" not in other.stderr


@pytest.mark.slow
def test_the_table_says_when_incidents_began_and_a_line_where_the_answers_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(_: Tally) -> list[dict[str, object]]:
        return [{"start": "10:00", "neg_log10_p": 3.0}, {"start": "12:00", "neg_log10_p": 4.0}]

    monkeypatch.setattr(Tally, "incidents", found)
    (tmp_path / "in").mkdir()
    recording(tmp_path / "in" / "a.csv")
    recording(tmp_path / "in" / "b.csv", 60)
    told = run("-i", tmp_path / "in", "-o", tmp_path / "out")
    head, *rows = told.stdout.splitlines()
    assert head.split() == ["input", "rows", "judged", "incidents", "began", "notes"]
    assert all("10:00, largest 12:00" in row for row in rows)
    assert all(line == line.rstrip() for line in (head, *rows)), "piped: no padding"
    assert told.stderr.splitlines()[-1] == f"answers: under {tmp_path / 'out'}"


@pytest.mark.slow
def test_an_output_that_is_called_like_a_format_is_told_to_be_a_file(tmp_path: Path) -> None:
    source = recording(tmp_path / "in.csv")
    told = run("-i", source, "-o", tmp_path / "json").stderr
    assert f"answers: {tmp_path / 'json'}; it is CSV, in a file called json:" in told
    plotted = run("-i", source, "-o", tmp_path / "out.csv", "--plot")
    page = tmp_path / "out.html"
    assert plotted.stderr.splitlines()[-1] == f"answers: {tmp_path / 'out.csv'}; page: {page}"
    assert "at which an incident starts, 2.6;" in page.read_text()
    run("-i", source, "-o", tmp_path / "out.csv", "--plot", "--method", "ewma")
    assert "at which an incident starts" not in page.read_text()


def test_a_share_that_bounds_nothing_is_named_once(tmp_path: Path) -> None:
    told = run("-i", recording(tmp_path / "in.csv", 3), "-o", tmp_path / "o", "--share-of-ticks", 5)
    assert str(told.exception) == "--share-of-ticks: must be above 0 and at most 0.05, got 5"


@pytest.mark.parametrize(
    "option",
    [
        "--period",
        "--longterm",
        "--max-anomalies",
        "--alpha",
        "--direction",
        "--threshold",
        "--only-last",
    ],
)
def test_help_says_which_options_are_of_one_method_alone(option: str) -> None:
    text = " ".join(CliRunner().invoke(app, ["detect", "--help"]).output.split())
    assert "--method shesd-exact only:" in text.partition(f" {option} ")[2][:60]
