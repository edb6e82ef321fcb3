"""`homeostat detect` goes on where it stopped, bit for bit as in one go."""

import json
import os
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from homeostat.cli import detect_done, detect_play, detect_run, detect_state
from homeostat.cli.detect_job import Job
from homeostat.cli.detect_look import Scan
from homeostat.cli.exits import Exit
from homeostat.cli.main import app
from homeostat.detect import stack_checkpoint, stack_play
from homeostat.detect.stack import Stack

HEAD = "timestamp,cpu,disk\n"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["detect", *map(str, arguments)])


def lines(seed: int, rows: int) -> list[str]:
    """Return rows with gaps, unknown values and a jump."""
    values = np.random.default_rng(seed).normal(10.0, 1.0, (rows, 2))
    values[rows // 2 : rows // 2 + 5] += 50.0
    values[7, 0] = np.nan
    made = [
        f"2026-01-01 {k // 60:02d}:{k % 60:02d}:00,{cpu:.6f},{disk:.6f}\n"
        for k, (cpu, disk) in enumerate(values.tolist())
    ]
    return [line.replace("nan", "") for k, line in enumerate(made) if not 60 <= k < 64]


def ended(result: Result) -> bool:
    """Return whether a run came to its end; how much of it can be judged is up to the stack."""
    return result.exit_code in {Exit.OK, Exit.NO_DATA}


def stack_in(path: Path) -> bytes:
    """Return the stack's part of a state."""
    kept = detect_state.read(path, Stack(), 2)
    assert kept is not None
    return stack_checkpoint.to_bytes(Stack(), kept.stack)


def summary(result: Result) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(result.stdout)
    return plain


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Say after every few ticks where a run is."""
    monkeypatch.setattr(detect_play, "_TICKS", 32)
    monkeypatch.setattr(detect_run, "Keep", partial(detect_play.Keep, every_s=0.0))
    # Whatever is edited in the meantime is not what these tests are about.
    monkeypatch.setattr(detect_done, "code_digest", lambda: "one")


def stop_after(monkeypatch: pytest.MonkeyPatch, rounds: int) -> None:
    """Press Ctrl-C in a round, after the stack has judged and before it is written."""
    played, real = [0], stack_play.play

    def play(*arguments: Any, **options: Any) -> Any:
        played[0] += 1
        if played[0] > rounds:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(stack_play, "play", play)


def count_ticks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which every call of the stack adds how many ticks it judged."""
    judged, real = list[int](), stack_play.play

    def play(stack: Any, values: Any, **options: Any) -> Any:
        judged.append(len(values))
        return real(stack, values, **options)

    monkeypatch.setattr(stack_play, "play", play)
    return judged


@pytest.mark.parametrize(
    "first",
    [62, pytest.param(3, marks=pytest.mark.slow), pytest.param(100, marks=pytest.mark.slow)],
)
def test_added_rows_are_judged_as_if_all_had_been_there(tmp_path: Path, first: int) -> None:
    rows = lines(1, 130)
    source, state = tmp_path / "in.csv", tmp_path / "s"
    source.write_text(HEAD + "".join(rows))
    whole_state = ("--state", tmp_path / "whole")
    one = run("-i", source, "-o", tmp_path / "one.csv", "--json", "-", *whole_state)
    assert ended(one), one.output
    source.write_text(HEAD + "".join(rows[:first]))
    run("-i", source, "-o", tmp_path / "out.csv", "--state", state)
    source.write_text(HEAD + "".join(rows))
    two = run("-i", source, "-o", tmp_path / "out.csv", "--state", state, "--json", "-")
    assert ended(two), two.output
    assert stack_in(state) == stack_in(tmp_path / "whole")
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
    (whole,), (parts,) = summary(one)["files"], summary(two)["files"]
    assert parts["incidents"] == whole["incidents"]
    assert (whole["went_on_at_row"], parts["went_on_at_row"]) == (None, first + 1)
    note = f"went on at row {first + 1} of {len(rows)}, where an earlier run ended"
    assert parts["quality"]["notes"].pop() == note
    assert note in two.stderr
    assert parts | {"output": "", "went_on_at_row": None} == whole | {"output": ""}


def test_nothing_new_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(HEAD + "".join(lines(2, 80)))
    out = ("-o", tmp_path / "out.csv", "--plot", "--state", tmp_path / "s")
    run("-i", tmp_path / "in.csv", *out)
    files = [tmp_path / name for name in ("out.csv", "out.html", "s")]
    before = [path.read_bytes() for path in files]
    assert ended(run("-i", tmp_path / "in.csv", *out))
    assert [path.read_bytes() for path in files] == before


@pytest.mark.slow
def test_a_file_of_later_rows_goes_on_from_the_state_of_the_one_before(tmp_path: Path) -> None:
    rows = lines(3, 130)
    (tmp_path / "all.csv").write_text(HEAD + "".join(rows))
    whole = ("--state", tmp_path / "whole")
    run("-i", tmp_path / "all.csv", "-o", tmp_path / "whole.csv", *whole)
    said = []
    for name, part in (("a", rows[:90]), ("b", rows[90:])):
        (tmp_path / f"{name}.csv").write_text(HEAD + "".join(part))
        out = tmp_path / f"{name}.out"
        words = ("-i", tmp_path / f"{name}.csv", "-o", out, "--state", tmp_path / "s")
        assert ended(run(*words))
        said += out.read_text().splitlines()[1:]
    assert said == (tmp_path / "whole.csv").read_text().splitlines()[1:]
    assert stack_in(tmp_path / "s") == stack_in(tmp_path / "whole")


def test_a_state_of_other_rows_is_refused_and_left_alone(tmp_path: Path) -> None:
    for name, seed in (("a", 4), ("b", 5)):
        (tmp_path / f"{name}.csv").write_text(HEAD + "".join(lines(seed, 60)))
    state = tmp_path / "s"
    run("-i", tmp_path / "a.csv", "-o", tmp_path / "a.out", "--state", state)
    before = state.read_bytes()
    said = run("-i", tmp_path / "b.csv", "-o", tmp_path / "b.out", "--state", state)
    assert "does not go on from" in str(said.exception)
    assert state.read_bytes() == before
    assert not (tmp_path / "b.out").exists()


def test_a_state_of_other_options_or_another_version_is_refused_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raw counts must not meet baselines that were learnt on rates."""
    rows = lines(4, 80)
    (tmp_path / "in.csv").write_text(HEAD + "".join(rows[:60]))
    words = ("-i", tmp_path / "in.csv", "-o", tmp_path / "out", "--state", tmp_path / "s")
    run(*words)
    before = (tmp_path / "s").read_bytes()
    (tmp_path / "in.csv").write_text(HEAD + "".join(rows))
    said = run(*words, "--counters", "none")
    assert "made with other options (--counters: auto then, none now)" in str(said.exception)
    monkeypatch.setattr(detect_done, "code_digest", lambda: "another")
    assert "another version of the program" in str(run(*words).exception)
    assert (tmp_path / "s").read_bytes() == before
    monkeypatch.undo()
    assert ended(run(*words))


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"\x08" + bytes(7) + b"{}      "])
def test_a_damaged_state_is_refused(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "in.csv").write_text(HEAD + "".join(lines(6, 40)))
    (tmp_path / "s").write_bytes(damage)
    words = ("-i", tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--state", tmp_path / "s")
    assert "remove the file to begin anew" in str(run(*words).exception)


@pytest.mark.slow
@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("asked", [(), ("--state", "s")])
def test_a_stopped_file_is_taken_up_and_ends_as_in_one_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.csv").write_text(HEAD + "".join(lines(7, 130)))
    run("-i", "in.csv", "-o", "one.csv")
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        stopped = run("-i", "in.csv", "-o", "out.csv", *asked)
    assert stopped.exit_code == 130
    assert not Path("out.csv").exists()
    judged = count_ticks(monkeypatch)
    assert ended(run("-i", "in.csv", "-o", "out.csv", *asked))
    assert Path("out.csv").read_bytes() == Path("one.csv").read_bytes()
    assert sum(judged) == 130 - 2 * 32
    left = {"in.csv", "one.csv", "out.csv", *asked[1:]}
    assert {path.name for path in tmp_path.iterdir()} == left


@pytest.mark.slow
@pytest.mark.usefixtures("often")
def test_two_outputs_of_one_input_in_one_folder_are_taken_up_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One hidden file, named after the input: the second to stop took the first's place."""
    monkeypatch.chdir(tmp_path)
    Path("in.csv").write_text(HEAD + "".join(lines(7, 130)))
    runs = {
        "cpu.csv": ("--columns", "cpu"),
        "two.csv": (),
        "raw.csv": ("--counters", "none"),
    }
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        assert run("-i", "in.csv", "-o", "two.csv").exit_code == 130
    for name, asked in runs.items():
        with monkeypatch.context() as patch:
            stop_after(patch, 1)
            run("-i", "in.csv", "-o", name, *asked)
    for name, asked in runs.items():
        ended_at = run("-i", "in.csv", "-o", name, *asked, "--json", "-")
        row = summary(ended_at)["files"][0]["went_on_at_row"]
        assert (name, row) == (name, {"cpu.csv": 33, "two.csv": 93, "raw.csv": 33}[name])
        Path("whole").mkdir(exist_ok=True)
        run("-i", "in.csv", "-o", f"whole/{name}", *asked)
        assert Path(name).read_bytes() == Path(f"whole/{name}").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"in.csv", "whole", *runs}


@pytest.mark.slow
@pytest.mark.usefixtures("often")
def test_one_output_with_other_settings_takes_nothing_of_what_was_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second's lines were in the part file that the first went on with."""
    monkeypatch.chdir(tmp_path)
    Path("in.csv").write_text(HEAD + "".join(lines(7, 130)))
    run("-i", "in.csv", "-o", "one.csv")
    for asked in ((), ("--columns", "cpu")):
        with monkeypatch.context() as patch:
            stop_after(patch, 2)
            run("-i", "in.csv", "-o", "out.csv", *asked)
    on = run("-i", "in.csv", "-o", "out.csv", "--json", "-")
    assert summary(on)["files"][0]["went_on_at_row"] == 2 * 32 - 4 + 1
    assert Path("out.csv").read_bytes() == Path("one.csv").read_bytes()


@pytest.mark.slow
@pytest.mark.usefixtures("often")
def test_a_state_that_does_not_fit_is_not_left_for_another_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in (7, 8):
        Path("in.csv").write_text(HEAD + "".join(lines(seed, 130)))
        with monkeypatch.context() as patch:
            stop_after(patch, 2 if seed == 7 else 0)
            run("-i", "in.csv", "-o", "out.csv")
    assert {path.name for path in tmp_path.iterdir()} == {"in.csv"}


@pytest.mark.slow
@pytest.mark.usefixtures("often")
def test_a_stopped_folder_is_taken_up_and_what_is_done_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, rows in (("a", 60), ("b", 150), ("c", 170)):
        path = Path("in") / name / "x.csv"
        path.parent.mkdir(parents=True)
        path.write_text(HEAD + "".join(lines(8, rows)))
    run("-i", "in", "-o", "one")
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        assert run("-i", "in", "-o", "out").exit_code == 130
    assert [path.as_posix() for path in Path("out").rglob("*.csv")] == ["out/a/x.csv"]
    judged = count_ticks(monkeypatch)
    assert ended(run("-i", "in", "-o", "out"))
    assert sum(judged) == 170 - 3 * 32
    for name in "abc":
        assert Path(f"out/{name}/x.csv").read_bytes() == Path(f"one/{name}/x.csv").read_bytes()
    assert not [path for path in Path("out").rglob(".*") if path.name != ".homeostat-detect.json"]
    stop_after(monkeypatch, 0)
    again = run("-i", "in", "-o", "out", "--json", "-")
    assert ended(again), again.output
    assert [one["rows"] for one in summary(again)["files"]] == [60, 146, 166]
    assert run("-i", "in", "-o", "out", "--fresh").exit_code == 130


def test_a_changed_input_or_output_of_a_folder_is_judged_again(tmp_path: Path) -> None:
    source, out = tmp_path / "in" / "a.csv", tmp_path / "out" / "a.csv"
    source.parent.mkdir()
    source.write_text(HEAD + "".join(lines(9, 60)))
    run("-i", tmp_path / "in", "-o", tmp_path / "out")
    whole = out.read_bytes()
    out.write_bytes(whole[:-10])
    run("-i", tmp_path / "in", "-o", tmp_path / "out")
    assert out.read_bytes() == whole
    stamps = source.stat()
    source.write_text(HEAD + "".join(lines(9, 60)).replace("1", "2", 1))
    os.utime(source, ns=(stamps.st_atime_ns, stamps.st_mtime_ns))
    run("-i", tmp_path / "in", "-o", tmp_path / "out")
    assert out.read_bytes() != whole


@pytest.mark.slow
@pytest.mark.usefixtures("often")
def test_another_program_judges_again_and_takes_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Path("in/a.csv").write_text(HEAD + "".join(lines(10, 130)))
    run("-i", "in", "-o", "one")
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        run("-i", "in", "-o", "out")
    monkeypatch.setattr(detect_done, "code_digest", lambda: "another")
    judged = count_ticks(monkeypatch)
    assert ended(run("-i", "in", "-o", "out"))
    assert ended(run("-i", "in", "-o", "one"))
    assert sum(judged) == 2 * 130
    assert Path("out/a.csv").read_bytes() == Path("one/a.csv").read_bytes()


def test_a_state_is_of_one_file_in_order(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text(HEAD + "".join(reversed(lines(11, 20))))
    state = ("--state", tmp_path / "s")
    said = run("-i", tmp_path / "in", "-o", tmp_path / "out", *state)
    assert "takes one file" in str(said.exception)
    said = run("-i", tmp_path / "in" / "a.csv", "-o", tmp_path / "out.csv", *state)
    assert "with --state rows must be in order of time; sort the file" in str(said.exception)
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
def test_wide_inputs_are_played_fewer_at_a_time() -> None:
    scan = Scan(columns=())
    narrow = [
        SimpleNamespace(columns=("v",), scan=scan, source=k, method=Stack()) for k in range(100)
    ]
    wide = [
        SimpleNamespace(columns=("v",) * 1000, scan=scan, source=k, method=Stack())
        for k in range(7)
    ]
    sizes = [len(group) for group in detect_play.groups(cast("list[Job]", [*wide, *narrow]))]
    assert sizes == [64, 36, 3, 3, 1]
