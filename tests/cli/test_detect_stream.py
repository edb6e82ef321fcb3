"""`homeostat detect --input -`: a row in, a row out, at once."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from homeostat.cli.exits import Exit
from homeostat.cli.main import app

HEAD = "timestamp,value\n"


def run(text: str | bytes, *arguments: object) -> Result:
    return CliRunner().invoke(app, ["detect", "-i", "-", *map(str, arguments)], input=text)


def lines(seed: int, rows: int) -> list[str]:
    values = np.random.default_rng(seed).normal(10.0, 1.0, rows)
    values[rows // 2] = 90.0
    made = [f"{1_767_225_600 + 15 * k},{value:.6f}\n" for k, value in enumerate(values.tolist())]
    return [line for k, line in enumerate(made) if not 20 <= k < 23]


@pytest.mark.slow
def test_a_stream_is_answered_as_a_file_of_the_same_rows(tmp_path: Path) -> None:
    text = HEAD + "".join(lines(1, 230))
    (tmp_path / "in.csv").write_text(text)
    words = ["detect", "-i", str(tmp_path / "in.csv"), "-o", str(tmp_path / "out.csv")]
    CliRunner().invoke(app, words)
    said = run(text, "-o", "-", "--json", tmp_path / "s.json")
    assert said.exit_code == Exit.OK
    assert said.stdout == (tmp_path / "out.csv").read_text()
    (one,) = json.loads((tmp_path / "s.json").read_text())["files"]
    assert one["quality"]["missing_rows"] == 3


@pytest.mark.slow
def test_a_stream_goes_on_from_its_state_and_adds_to_its_output(tmp_path: Path) -> None:
    rows = lines(2, 230)
    whole = run(HEAD + "".join(rows), "-o", "-").stdout
    for part in (rows[:21], rows[21:100], rows[100:]):
        words = ("-o", tmp_path / "out.csv", "--state", tmp_path / "s")
        assert run(HEAD + "".join(part), *words).exit_code in {Exit.OK, Exit.NO_DATA}
    assert (tmp_path / "out.csv").read_text() == whole


@pytest.mark.slow
def test_rows_that_are_sent_again_are_neither_learnt_nor_told_twice(tmp_path: Path) -> None:
    """`tail -n +1 -F` sends a file from its beginning at each start."""
    rows = lines(2, 230)
    whole = run(HEAD + "".join(rows), "-o", "-").stdout
    words = ("-o", tmp_path / "out.csv", "--state", tmp_path / "s", "--json", tmp_path / "s.json")
    for end in (100, 180, len(rows)):
        assert run(HEAD + "".join(rows[:end]), *words).exit_code in {Exit.OK, Exit.NO_DATA}
    assert (tmp_path / "out.csv").read_text() == whole
    (one,) = json.loads((tmp_path / "s.json").read_text())["files"]
    assert "180 rows that the state has seen were sent again" in one["quality"]["notes"]
    assert "went on after 180 rows that the state has seen" in one["quality"]["notes"]
    assert one["went_on_at_row"] == 181


def test_a_stream_of_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    said = run(HEAD, "-o", tmp_path / "out.csv")
    assert said.exit_code == Exit.NO_DATA
    assert said.stderr == "homeostat: no rows to judge in standard input\n"


def test_a_row_that_goes_back_in_time_later_on_is_judged_as_ever(tmp_path: Path) -> None:
    rows = lines(2, 60)
    words = ("-o", tmp_path / "out.csv", "--state", tmp_path / "s")
    run(HEAD + "".join(rows[:30]), *words)
    run(HEAD + "".join([*rows[30:], rows[40]]), *words)
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 1 + len(rows) + 1


def test_a_stream_goes_on_with_the_same_options_only(tmp_path: Path) -> None:
    rows = lines(2, 60)
    words = ("-o", tmp_path / "out.csv", "--state", tmp_path / "s")
    run(HEAD + "".join(rows[:30]), *words)
    said = run(HEAD + "".join(rows[30:]), *words, "--counters", "none")
    assert "Give the same options" in str(said.exception)
    assert run(HEAD + "".join(rows[30:]), *words).exit_code in {Exit.OK, Exit.NO_DATA}


@pytest.mark.parametrize(
    ("bad", "answer", "told"),
    [
        ("1767226000,twelve\n", "1767226000,0,,0,unknown", "value is 'twelve', no number"),
        ("noon,12\n", "noon,0,,0,unknown", "'noon' is no time"),
        ("1767226000\n", "1767226000,0,,0,unknown", "1 cells where the first row has 2"),
        ('"a,b",1,2\n', '"a,b",0,,0,unknown', "3 cells where the first row has 2"),
        ('"a,b",1,2\n', '"a,b",0,,0,unknown', "1 cell too many: put a cell that holds , in double"),
        ("1" * 200_000 + ",1\n", "20,0,,0,unknown", "field larger than field limit"),
        ("\xff\xfe,1\n", "ÿþ,0,,0,unknown", "is no time"),
    ],
)
def test_a_row_that_cannot_be_read_is_unknown_and_the_stream_goes_on(
    bad: str, answer: str, told: str
) -> None:
    rows = lines(3, 40)
    said = run(HEAD + "".join([*rows[:20], bad, *rows[20:]]), "-o", "-")
    plain = run(HEAD + "".join(rows), "-o", "-")
    assert isinstance(said.exception, SystemExit)
    assert told in said.stderr
    answers = said.stdout.splitlines()
    assert answers[21] == answer
    assert answers[:21] + answers[22:] == plain.stdout.splitlines()


def test_at_its_end_a_stream_says_how_many_rows_could_not_be_read_and_what_is_odd() -> None:
    """As a file's table does; the count that is promised after ten rows was never told."""
    good = [f"{1_767_225_600 + 15 * k},{3 * k}\n" for k in range(100) if k != 60]
    good[80], good[81] = good[81], good[80]
    said = run("timestamp,requests\n" + "".join([*good, *["1767229999,1,2\n"] * 40]), "-o", "-")
    told = said.stderr.splitlines()
    assert sum("cells where" in line for line in told) == 10
    assert told[10].endswith("; the next ones are counted, and at the end how many is said")
    end = told[11:]
    assert end[0].startswith("139 rows, ")
    assert end[0].endswith(" of them judged; 0 incidents")
    assert end[1].startswith("note: 1 row missing in 1 gap")
    assert end[2].startswith("note: 1 row out of order (the first: row 82, 1767226815)")
    assert "note: 40 rows could not be read and are unknown" in end


def test_a_stream_says_at_its_end_that_a_column_counts_up() -> None:
    rows = "".join(f"{60 * k},{3 * k}\n" for k in range(100))
    said = run("timestamp,requests\n" + rows, "-o", "-")
    assert "note: requests never falls" in said.stderr
    assert "say --counters requests" in said.stderr


def test_before_the_first_row_a_stream_says_what_is_kept_for_each_column() -> None:
    said = run(HEAD + "".join(f"{k},{k % 7}\n" for k in range(3)), "-o", "-")
    assert re.match(
        r"judging rows of 1 column as they come; the detectors keep [\d,]+ bytes for each column, "
        r"however many rows there are\n",
        said.stderr,
    )


def test_no_row_and_rows_that_say_nothing_are_no_data() -> None:
    assert run("", "-o", "-").exit_code == Exit.NO_DATA
    assert run(HEAD, "-o", "-").exit_code == Exit.NO_DATA
    said = run(HEAD + "".join(f"{k},\n" for k in range(50)), "-o", "-")
    assert said.exit_code == Exit.NO_DATA
    assert said.stdout.count("unknown") == 50


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """Yield the command as a process, with both of its ends."""
    pipe = subprocess.PIPE
    words = [sys.executable, "-m", "homeostat", "detect", "-i", "-", "-o", "-"]
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe) as started:
        yield started
        started.kill()


@pytest.mark.live
def test_a_row_is_answered_before_the_next_one_comes_and_a_signal_ends_it(
    process: subprocess.Popen[bytes],
) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(HEAD.encode())
    head = b""
    for line in lines(4, 12):
        process.stdin.write(line.encode())
        process.stdin.flush()
        head = head or process.stdout.readline()
        assert process.stdout.readline().startswith(line.split(",")[0].encode())
    assert head == b"timestamp,anomaly_score,neg_log10_p,alarm,verdict\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert b"Traceback" not in process.stderr.read()


@pytest.mark.live
def test_a_reader_that_goes_away_ends_it_without_a_traceback(
    process: subprocess.Popen[bytes],
) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write((HEAD + lines(5, 12)[0]).encode())
    process.stdin.flush()
    process.stdout.readline()
    process.stdout.close()
    process.stdin.write("".join(lines(5, 12)[1:]).encode())
    process.stdin.close()
    said = process.stderr.read()
    assert process.wait(30) == 130
    assert b"nobody reads the output any more" in said
    assert b"Traceback" not in said
    assert b"Exception ignored" not in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("-i", "-", "-o", "-", "--json", "-"), "cannot both go to standard output"),
        (("-i", "-", "-o", "-", "--plot"), "--plot draws recordings"),
        (("-i", "in.csv", "-o", "-"), "--output - goes with --input - alone"),
    ],
)
def test_what_does_not_go_together_is_a_wrong_use(words: tuple[str, ...], told: str) -> None:
    said = CliRunner().invoke(app, ["detect", *words], input="")
    assert said.exit_code == Exit.USAGE
    assert told in said.stderr


def test_a_state_of_other_columns_is_refused(tmp_path: Path) -> None:
    run(HEAD + "1,2\n2,3\n", "-o", "-", "--state", tmp_path / "s")
    said = run("timestamp,other\n3,4\n", "-o", "-", "--state", tmp_path / "s")
    assert "is the state of the columns value, and the rows have other" in str(said.exception)
