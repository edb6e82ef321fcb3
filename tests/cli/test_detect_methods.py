"""`homeostat detect --method`: every method, several of them, and what does not go together."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from homeostat.base.errors import ConfigError
from homeostat.cli import detect_methods, detect_play
from homeostat.cli.exits import Exit
from homeostat.cli.main import app
from homeostat.detect.stack_play import play

ROOT = Path(__file__).parents[2]
LONE = ("changepoint", "conformal", "ewma", "seasonal", "shesd", "spot")


def run(*arguments: object, rows: str | None = None) -> Result:
    return CliRunner().invoke(app, ["detect", *map(str, arguments)], input=rows)


def shifted(seed: int, rows: int = 420, columns: int = 1) -> np.ndarray:
    values = np.random.default_rng(seed).normal(10.0, 1.0, (rows, columns))
    values[rows - 40 :] += 15.0
    return values


def text(values: np.ndarray, names: str = "value") -> str:
    rows = [f"{60 * k},{','.join(f'{v!r}' for v in row)}" for k, row in enumerate(values.tolist())]
    return "\n".join([f"timestamp,{names}", *rows]) + "\n"


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def numbers(rows: list[dict[str, str]], column: str) -> np.ndarray:
    return np.array([float(row[column] or "nan") for row in rows])


@pytest.mark.slow
@pytest.mark.parametrize("name", LONE)
def test_each_method_writes_the_same_columns_and_tells_of_a_shift_once(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text(text(shifted(1)))
    said = run("-i", tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--method", name, "--plot")
    assert said.exit_code == Exit.OK, said.output
    rows = table(tmp_path / "out.csv")
    assert list(rows[0]) == ["timestamp", "anomaly_score", "neg_log10_p", "alarm", "verdict"]
    alarms = [k for k, row in enumerate(rows) if row["alarm"] == "1"]
    assert len([k for k in alarms if k >= 380]) == 1, alarms
    assert len(alarms) <= 2
    assert np.flatnonzero(numbers(rows, "anomaly_score") >= 0.5).tolist() == alarms
    expected = play(detect_methods.made([name]), shifted(1)[:, None]).said.neg_log10_p[:, 0]
    found = numbers(rows, "neg_log10_p")
    assert found == pytest.approx(expected.tolist(), rel=1e-5, nan_ok=True)
    assert f"by {name}" in said.stderr
    assert "<svg" in (tmp_path / "out.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_several_methods_are_told_together_and_each_apart(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(text(shifted(2, columns=2), "cpu,disk"))
    words = ("-i", tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--json", "-")
    said = run(*words, "--method", "ewma, spot")
    assert said.exit_code == Exit.OK, said.output
    rows = table(tmp_path / "out.csv")
    parts = ("anomaly_score", "neg_log10_p", "alarm", "verdict")
    assert list(rows[0])[5:7] == ["contribution_cpu", "contribution_disk"]
    assert list(rows[0])[7:] == [f"{name}_{part}" for name in ("ewma", "spot") for part in parts]
    assert json.loads(said.stdout)["methods"] == ["ewma", "spot"]
    for name in ("ewma", "spot"):
        run("-i", tmp_path / "in.csv", "-o", tmp_path / "one.csv", "--method", name)
        for part in parts:
            alone = [row[part] for row in table(tmp_path / "one.csv")]
            assert [row[f"{name}_{part}"] for row in rows] == alone
    alarm = numbers(rows, "ewma_alarm") + numbers(rows, "spot_alarm") > 0.0
    assert numbers(rows, "alarm")[np.flatnonzero(alarm)[0]] == 1.0


@pytest.mark.slow
def test_a_stream_by_a_method_says_what_the_file_says_and_goes_on(tmp_path: Path) -> None:
    rows = text(shifted(3)).splitlines(keepends=True)
    (tmp_path / "in.csv").write_text("".join(rows))
    run("-i", tmp_path / "in.csv", "-o", tmp_path / "file.csv", "--method", "ewma,spot")
    words = ("-i", "-", "-o", tmp_path / "said.csv", "--state", tmp_path / "s")
    run(*words, "--method", "ewma,spot", rows="".join(rows[:300]))
    run(*words, "--method", "ewma,spot", rows=rows[0] + "".join(rows[300:]) + "25500,x\n")
    expected = (tmp_path / "file.csv").read_text().splitlines()
    found = (tmp_path / "said.csv").read_text().splitlines()
    assert found[:-1] == expected
    assert found[-1] == "25500,0,,0,unknown,0,,0,unknown,0,,0,unknown"
    other = run(*words, "--method", "ewma", rows="".join(rows))
    assert isinstance(other.exception, ConfigError)
    assert "remove" in str(other.exception)


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_by_its_method(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.csv").write_text(text(shifted(4, rows=700)))
    words = ("-i", tmp_path / "in.csv", "--method", "shesd")
    run(*words, "-o", tmp_path / "whole.csv")
    monkeypatch.setattr(detect_play, "_TICKS", 100)
    state = tmp_path / "s"
    (tmp_path / "half.csv").write_text(text(shifted(4, rows=700)[:430]))
    half = ("-i", tmp_path / "half.csv", "-o", tmp_path / "half_said.csv")
    run(*half, "--method", "shesd", "--state", state)
    begun = (tmp_path / "half_said.csv").read_text()
    rest = text(shifted(4, rows=700)).splitlines(keepends=True)
    (tmp_path / "half.csv").write_text("".join(rest))
    assert run(*half, "--method", "shesd", "--state", state).exit_code == Exit.OK
    whole = (tmp_path / "whole.csv").read_text()
    assert whole.startswith(begun)
    assert (tmp_path / "half_said.csv").read_text() == whole


WRONG = {
    "ewna": r"--method: there is none called 'ewna'; known: changepoint, .*stack, vae",
    "": "--method: names none; give one or several of: changepoint",
    "ewma,ewma": "--method: names 'ewma' twice",
    "stack,Stack": "none called 'Stack'",
    "vae": "method vae: judges by a model; make one .*--train",
    "ewma,vae": "judges by a model",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_name_that_is_none_is_refused_with_those_there_are(name: str, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(text(shifted(5, rows=30)))
    said = run("-i", tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--method", name)
    assert isinstance(said.exception, ConfigError)
    assert re.search(WRONG[name], str(said.exception)), said.exception
    assert not (tmp_path / "out.csv").exists()


def test_a_budget_is_for_the_stack_and_columns_together_are_two(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(text(shifted(6, rows=30)))
    words = ("-i", tmp_path / "in.csv", "-o", tmp_path / "out.csv")
    budget = run(*words, "--method", "ewma", "--false-incidents", "1")
    assert "--false-incidents goes with --method stack alone" in str(budget.exception)
    few = run(*words, "--method", "pca")
    assert "has 1 column of numbers, and --method pca judges 2 or more" in str(few.exception)
    unused = run(*words, "--method", "ewma", "--model", tmp_path / "none")
    assert "a model is two files" in str(unused.exception)


def test_help_and_page_name_every_method_of_the_house() -> None:
    names = ", ".join(detect_methods.known())
    text_of = " ".join(run("--help").stdout.replace("│", " ").split())
    assert names in text_of
    page = (ROOT / "docs" / "how-to" / "detect-in-a-file.md").read_text(encoding="utf-8")
    for name in detect_methods.known():
        assert f"| `{name}` |" in page
