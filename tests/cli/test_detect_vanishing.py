"""A column that vanishes midway and one that appears: unknown there, and no trouble of others."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from homeostat.cli.exits import Exit
from homeostat.cli.main import app

ROWS, TURN = 560, 280
FAULT = slice(480, 500)
NAMES = ("cpu", "disk", "gone", "new")


def values() -> np.ndarray:
    """Return four columns: one has values before `TURN` alone, and one from there on alone."""
    table = np.random.default_rng(11).normal(10.0, 1.0, (ROWS, len(NAMES)))
    table[FAULT, 0] += 12.0
    table[TURN:, 2] = np.nan
    table[:TURN, 3] = np.nan
    return table


def recording(path: Path, table: np.ndarray, columns: list[int]) -> None:
    cells = [["" if one != one else repr(one) for one in row] for row in table.tolist()]  # noqa: PLR0124 - NaN
    lines = [",".join([str(60 * k), *(row[c] for c in columns)]) for k, row in enumerate(cells)]
    head = ",".join(["timestamp", *(NAMES[c] for c in columns)])
    path.write_text("\n".join([head, *lines]) + "\n")


def written(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def told(rows: list[dict[str, str]], name: str) -> np.ndarray:
    return np.array([row[name] for row in rows])


@pytest.mark.slow
def test_what_vanishes_and_what_appears_is_unknown_there_and_changes_no_other(
    tmp_path: Path,
) -> None:
    files = {"whole": [0, 1, 2, 3], "others": [0, 1], "gone": [2], "new": [3]}
    (tmp_path / "in").mkdir()
    for name, columns in files.items():
        recording(tmp_path / "in" / f"{name}.csv", values(), columns)
    words = ("detect", "-i", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--json", "-")
    done = CliRunner().invoke(app, words)
    assert done.exit_code == Exit.OK, done.output
    notes = {
        Path(one["input"]).stem: one["quality"]["notes"] for one in json.loads(done.stdout)["files"]
    }
    assert f"gone vanishes after row {TURN}" in notes["whole"]
    assert f"new appears at row {TURN + 1}" in notes["whole"]
    whole, others, gone, new = (written(tmp_path / "out" / f"{name}.csv") for name in files)
    # Alone: unknown for as long as it is not there, and for no longer than any new column.
    assert set(told(gone, "verdict")[TURN:]) == {"unknown"} == set(told(new, "verdict")[:TURN])
    assert set(told(gone, "verdict")[TURN - 100 : TURN]) == {"healthy"}
    assert set(told(new, "verdict")[-100:]) == {"healthy"}
    # Beside others: their rows are judged and their fault told as without it; how long the incident
    # lasts may differ by the looks at columns together.
    assert np.flatnonzero(told(whole, "alarm") == "1").tolist() == [FAULT.start]
    np.testing.assert_array_equal(told(whole, "alarm"), told(others, "alarm"))
    before = slice(0, FAULT.stop)
    np.testing.assert_array_equal(told(whole, "verdict")[before], told(others, "verdict")[before])
    assert "unknown" not in set(told(whole, "verdict")[TURN - 100 :])
    # What is not there is blamed for nothing, once what was smoothed over it is past.
    assert set(told(whole, "contribution_new")[:TURN]) <= {"", "0"}
    share = [float(one or 0.0) for one in told(whole, "contribution_gone")[TURN + 60 :]]
    assert max(share) < 0.01
