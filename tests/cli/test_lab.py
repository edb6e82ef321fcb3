"""`homeostat lab` as it is typed: lists, names that do not exist, files that cannot be used."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from homeostat.base.errors import ConfigError
from homeostat.cli import lab_files, lab_needs
from homeostat.cli.exits import Exit
from homeostat.cli.main import main
from homeostat.lab.policies import names
from homeostat.report.lab_schema import schema

OWN = """\
id: X01
name: my_own_rush
family: load
summary: Twice the load for ten minutes.
length_s: 3600
onset: {shape: step, start_s: 600, duration_s: 600}
faults:
  - {primitive: arrival_mult, magnitude: 2, target: deployment}
best:
  - {when: always, do: scale_up}
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "own.yaml"
    file.write_text(OWN, encoding="utf-8")
    return file


@pytest.mark.parametrize("form", ["table", "json", "yaml"])
def test_the_catalogue_is_listed_in_every_format(bare: Any, form: str) -> None:
    result = bare("lab", "list", "--output", form)
    assert result.exit_code == Exit.OK
    if form == "table":
        assert len(result.stdout.splitlines()) == 44
        return
    rows = yaml.safe_load(result.stdout)  # JSON is YAML
    assert [row["id"] for row in rows] == [f"S{i:02}" for i in range(1, 44)]
    crowd = rows[6]
    assert (crowd["name"], crowd["family"]) == ("flash_crowd", "load")
    assert any("scale_up" in text for text in crowd["best"])
    assert any("[K1, K2]" in text for text in crowd["unsafe"])


def test_scenarios_without_a_fault_and_beyond_a_controller_are_listed_as_such(bare: Any) -> None:
    rows = json.loads(bare("lab", "list", "-o", "json").stdout)
    ends = {row["id"]: row["end"] for row in rows}
    assert ends["S43"] == ends["S22"] == "leave it alone"
    assert ends["S33"] == "tell a person"
    assert ends["S07"] == "recover"


def test_a_file_of_ones_own_is_listed_instead_of_the_catalogue(bare: Any, own: Path) -> None:
    rows = json.loads(bare("lab", "list", "--scenarios", str(own), "-o", "json").stdout)
    assert [(row["id"], row["length"]) for row in rows] == [("X01", "1 h")]


def test_every_policy_is_listed_with_what_it_does(bare: Any) -> None:
    rows = json.loads(bare("lab", "list", "--policies", "-o", "json").stdout)
    assert [row["policy"] for row in rows] == names()
    assert all(row["does"] for row in rows)


def test_the_schema_printed_is_the_one_that_is_published(bare: Any) -> None:
    assert json.loads(bare("lab", "schema").stdout) == schema()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("episode", "S077", "--policy", "hold"), "unknown scenario 'S077'; did you mean 'S07'?"),
        (("episode", "S07", "--policy", "hpaa"), "unknown policy 'hpaa'; did you mean 'hpa'?"),
        (("run", "--policies", "hold,treshold"), "did you mean 'threshold'?"),
        (("run", "--only", "S7"), "unknown scenario 'S7'"),
        (("list", "--scenarios", "nowhere.yaml"), "nowhere.yaml: cannot be read"),
        (("run", "--first-seed", "999999", "--seeds", "2"), "tunes the autoscalers on"),
        (("run", "--person-scale", "nan"), "--person-scale nan cannot be; give 0.1 to 10"),
        (("feedback", "--per-hour", "nan"), "--per-hour nan cannot be; give 0 to 4"),
        (("feedback", "--per-hour", "4.1"), "--per-hour 4.1 cannot be; give 0 to 4"),
    ],
)
def test_a_name_or_file_that_is_not_there_ends_with_one_line(
    arguments: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", ["homeostat", "lab", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    out = capsys.readouterr()
    assert ended.value.code == Exit.USAGE
    assert said in out.err
    assert len(out.err.splitlines()) == 1
    assert out.out == ""


def test_no_policy_at_all_is_a_usage_error(bare: Any) -> None:
    assert bare("lab", "run", "--policies", " , ").exit_code == Exit.USAGE


def test_without_jax_the_command_says_what_to_install(
    bare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab_needs, "find_spec", lambda name: None if name == "jax" else object())
    result = bare("lab", "list")
    assert result.exit_code == Exit.USAGE
    assert "pip install 'homeostat[twin]'" in result.stderr


def test_help_imports_neither_jax_nor_numpy() -> None:
    code = (
        "import sys; from homeostat.cli.main import app; "
        "print(sorted({'jax', 'equinox', 'numpy', 'jinja2', 'homeostat.lab'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_another_byte_in_a_scenario_file_is_another_catalogue(own: Path) -> None:
    before = lab_files.catalogue([own])
    own.write_text(OWN + "# a comment\n", encoding="utf-8")
    after = lab_files.catalogue([own])
    assert after.scenarios == before.scenarios
    assert after.digest != before.digest


def test_two_files_with_one_id_are_refused_by_both_names(own: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(OWN, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^other\.yaml: id 'X01' is in own\.yaml already"):
        lab_files.catalogue([own, other])


@pytest.mark.parametrize(
    "command", [("run", "--seeds", "1"), ("episode", "X01", "--policy", "hpa")]
)
def test_a_recorded_load_that_was_not_given_is_asked_for_before_anything_is_played(
    own: Path,
    tmp_path: Path,
    command: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own.write_text(OWN + "load: {profile: trace, trace: rush, compress: 1}\n", encoding="utf-8")
    out = tmp_path / "lab"
    words = ("lab", *command, "--scenarios", str(own), "--out", str(out))
    monkeypatch.setattr("sys.argv", ["homeostat", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == Exit.USAGE
    (told,) = capsys.readouterr().err.splitlines()
    assert told == (
        "homeostat: X01 replays the recorded load 'rush', which was not given; "
        "add --trace rush=FILE"
    )
    assert not out.exists()


def test_a_scenario_of_the_file_that_is_not_played_needs_no_recorded_load(own: Path) -> None:
    replays = OWN.replace("X01", "X02") + "load: {profile: trace, trace: rush, compress: 1}\n"
    own.write_text(f"{OWN}---\n{replays}", encoding="utf-8")
    found = lab_files.catalogue([own])
    assert found.only(["X01"]).playable() is not None
    assert found.playable(["X01"]) is found
    with pytest.raises(ConfigError, match="X02 replays the recorded load 'rush'"):
        found.playable()


@pytest.mark.parametrize("command", [("run",), ("cycles",), ("episode", "X01", "--policy", "hpa")])
def test_a_place_where_nothing_can_be_written_is_told_before_anything_is_played(
    own: Path,
    command: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    taken = own / "lab"  # a file is in the way
    words = ("lab", *command, "--scenarios", str(own), "--out", str(taken))
    monkeypatch.setattr("sys.argv", ["homeostat", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == Exit.USAGE
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == (
        f"homeostat: {taken}: nothing can be written there (Not a directory); choose another --out"
    )


def test_a_part_of_a_catalogue_says_so_in_its_command_line(own: Path) -> None:
    part = lab_files.catalogue([own]).only(["X01"])
    assert part.arguments == ("--scenarios", str(own), "--only", "X01")


def test_a_recorded_load_is_read_under_the_name_that_scenarios_use(
    own: Path, tmp_path: Path
) -> None:
    rush = tmp_path / "rush.csv"
    rush.write_text("timestamp,value\n0,10\n60,30\n120,20\n", encoding="utf-8")
    plain = lab_files.catalogue([own])
    found = plain.with_traces([f"rush={rush}"])
    assert found.recorded["rush"].rps.tolist() == [10.0, 30.0, 20.0]
    assert found.arguments[-2:] == ("--trace", f"rush={rush}")
    rush.write_text("timestamp,value\n0,10\n60,30\n120,21\n", encoding="utf-8")
    digests = {c.recorded_digest for c in (plain, found, plain.with_traces([f"rush={rush}"]))}
    assert len(digests) == 3


@pytest.mark.parametrize("given", ["rush", "=rush.csv", "rush=", "rush=nowhere.csv"])
def test_a_recorded_load_that_cannot_be_read_is_refused(own: Path, given: str) -> None:
    with pytest.raises(ConfigError, match=r"NAME=FILE|nowhere\.csv: cannot be read"):
        lab_files.catalogue([own]).with_traces([given])


def test_compiled_programs_lie_below_the_cache_folder_of_the_desktop_standard(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = lab_files.compile_cache()
    assert folder.parent == tmp_path / "homeostat" / "jax"
    monkeypatch.setattr(lab_files, "_processor", lambda: {"flags": "of another processor"})
    assert lab_files.compile_cache() != folder


def test_a_file_is_written_whole_or_not_at_all_and_a_full_disk_is_no_bug_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "deep" / "results.json"
    lab_files.write(file, "old")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ConfigError, match=r"results\.json: .*No space left on device.*make room"):
        lab_files.write(file, "new")
    assert file.read_text(encoding="utf-8") == "old"
    assert [one.name for one in file.parent.iterdir()] == ["results.json"]  # and no half of one
