"""The same checks on what a person runs: real files in, `homeostat detect`, files out.

Each file is written in several forms into one folder: as it is, under another name, of another
year, in another unit, and ended early. What the command writes of them must be alike.
"""

import csv
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from detection import controls

Row = tuple[str, str]
"""A time and a value, as they are in a file."""


def _later(row: Row) -> Row:
    at = datetime.fromisoformat(row[0]) + timedelta(seconds=controls.LATER_S)
    return at.isoformat(sep=" "), row[1]


def _unit(row: Row) -> Row:
    return row[0], repr(float(row[1]) * controls.UNIT)


_FORMS: Final[dict[str, Callable[[Row], Row]]] = {
    "as-it-is": lambda row: row,
    "renamed": lambda row: row,
    "later": _later,
    "unit": _unit,
    "prefix": lambda row: row,
}


def checks(paths: Sequence[Path], *, rows: int) -> dict[str, bool]:
    """Return what holds of what the command writes of the first rows of some files.

    Args:
        paths: Numenta's files.
        rows: Of each; the shortened form has two thirds of them.

    Raises:
        RuntimeError: The command failed; the message has its last words.
    """
    with TemporaryDirectory() as folder:
        given, taken = Path(folder) / "given", Path(folder) / "taken"
        given.mkdir()
        for number, path in enumerate(paths):
            _write(path, number, given, rows)
        command = [sys.executable, "-m", "homeostat", "detect", "-i", given, "-o", taken]
        done = subprocess.run(
            [str(word) for word in command], check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"homeostat detect failed: {done.stderr.strip()[-400:]}")
        said = {
            form: [_scores(taken / _name(form, number)) for number in range(len(paths))]
            for form in _FORMS
        }
    plain = said["as-it-is"]
    return {
        "the command says something of each file": all((one > 0.0).any() for one in plain),
        "the command: a name changes nothing": _equal(said["renamed"], plain),
        "the command: another year in the file changes nothing": _equal(said["later"], plain),
        f"the command: values {controls.UNIT:g} times as large move no alarm": _equal(
            [one >= 0.5 for one in said["unit"]], [one >= 0.5 for one in plain]
        ),
        "the command: a file that ends early is judged as the whole": _equal(
            said["prefix"], [one[: rows * 2 // 3] for one in plain]
        ),
    }


def _name(form: str, number: int) -> str:
    """Return a file's name in a form; of the renamed ones it says what sorts and means other."""
    return f"zz_anomaly_{number}.csv" if form == "renamed" else f"{form}-{number}.csv"


def _write(path: Path, number: int, folder: Path, rows: int) -> None:
    with path.open(newline="", encoding="utf-8") as file:
        head, *lines = list(csv.reader(file))[: rows + 1]
    for form, change in _FORMS.items():
        some = lines[: rows * 2 // 3] if form == "prefix" else lines
        with (folder / _name(form, number)).open("w", newline="", encoding="utf-8") as out:
            csv.writer(out).writerows([head, *(change((line[0], line[1])) for line in some)])


def _scores(path: Path) -> Any:
    with path.open(newline="", encoding="utf-8") as file:
        return np.array([float(row["anomaly_score"] or 0.0) for row in csv.DictReader(file)])


def _equal(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
