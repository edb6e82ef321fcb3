"""Scenario files that people bring, through the command line: run, or refused in one line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from one_primitive import text

from homeostat.cli.exits import Exit
from homeostat.cli.main import main
from homeostat.twin.primitives import PRIMITIVES

LAB = [sys.executable, "-m", "homeostat", "lab"]
PLAIN = text(next(p for p in PRIMITIVES if p.name == "contention"))

# The fault begins when the episode is nearly over, and hardly is one.
BURSTS = """\
id: T01
name: bursts
family: infrastructure
summary: A neighbour at the end of a recorded load.
length_s: 600
load: {profile: trace, trace: bursts, compress: 1}
onset: {shape: step, start_s: 540, duration_s: 30}
faults:
  - {primitive: contention, magnitude: 1.01}
"""


def lab(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LAB, *arguments], cwd=cwd, capture_output=True, text=True, check=False, timeout=1800
    )


# What a stranger may write -> what the one line that refuses it says.
HOSTILE = {
    "a misspelt primitive": (
        PLAIN.replace("primitive: contention", "primitive: contentoin"),
        "own.yaml:9: P_contention: fault 1: unknown primitive 'contentoin'; did you mean 'conten",
    ),
    "text for a number": (PLAIN.replace("magnitude: 6.0", "magnitude: [much]"), "own.yaml:9:"),
    "no number at all": (PLAIN.replace("magnitude: 6.0", "magnitude: .nan"), "NaN and infinity"),
    "a time before the beginning": (PLAIN.replace("start_s: 120", "start_s: -1"), "own.yaml:7:"),
    "a time after the end": (PLAIN.replace("start_s: 120", "start_s: 600"), "raise length_s"),
    "one key twice": (PLAIN + "length_s: 900\n", "first on line 5"),
    "ten megabytes": ("#" * 10_000_000, "at most 1048576 are read"),
    "a bomb of anchors": (
        "a: &a [1, 1]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n", "own.yaml:1: ",
    ),
    "a thousand brackets": ("a: " + "[" * 1000 + "]" * 1000, "nested deeper than 16"),
    "an object of Python's": ("id: !!python/object/apply:os.system ['true']\n", "tags"),
    "more replicas than there are slots": (
        PLAIN.replace("{label_delay_s: 30,", "{replicas: 30, b_share: 4,"),
        "own.yaml:6: P_contention: up to 30 +",
    ),
    "a fault that does nothing": (
        PLAIN.replace("contention, magnitude: 6.0", "feedback_gain, magnitude: 1"),
        "does nothing alone; add variant_accuracy_delta",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    written, said = HOSTILE[what]
    (tmp_path / "own.yaml").write_text(written, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    words = ("lab", "run", "--scenarios", "own.yaml", "--policies", "hold", "--seeds", "1")
    monkeypatch.setattr("sys.argv", ["homeostat", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr().err
    assert ended.value.code == Exit.USAGE, told
    assert said in told
    assert len(told.splitlines()) == 1
    assert not (tmp_path / "lab").exists()


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_files_with_every_primitive_run_from_the_command_line(tmp_path: Path) -> None:
    for number, primitive in enumerate(PRIMITIVES):
        file = tmp_path / f"{number:03}.yaml"
        file.write_text(text(primitive), encoding="utf-8")
    files = [w for f in sorted(tmp_path.glob("*.yaml")) for w in ("--scenarios", str(f))]
    done = lab(
        "run", *files, "--policies", "hold", "--seeds", "1", "--jobs", "1",
        "--films", "0", "-o", "json", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found["scenarios"]) == {f"P_{p.name}" for p in PRIMITIVES}
    alone = ("--scenarios", files[1], "-o", "json")
    one = lab("episode", f"P_{PRIMITIVES[0].name}", "--policy", "hold", *alone, cwd=tmp_path)
    assert one.returncode == 0, one.stderr
    assert json.loads(one.stdout)["scenario"] == f"P_{PRIMITIVES[0].name}"


@pytest.mark.long
def test_a_recorded_load_breaks_no_promise_before_the_fault(tmp_path: Path) -> None:
    rows = (f"{10 * second},{900.0 if second % 20 == 7 else 30.0}" for second in range(61))
    (tmp_path / "bursts.csv").write_text("timestamp,value\n" + "\n".join(rows), encoding="utf-8")
    (tmp_path / "own.yaml").write_text(BURSTS, encoding="utf-8")
    words = ("--scenarios", "own.yaml", "--only", "T01", "--trace", "bursts=bursts.csv")
    done = lab(
        "run", *words, "--policies", "hold", "--seeds", "2", "--jobs", "1", "--films", "0",
        "-o", "json", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    hold = json.loads(done.stdout)["policies"]["hold"]["metrics"]
    assert hold["sla_compliance"]["value"] == 1.0
