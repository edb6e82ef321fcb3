"""The public sets, as arrays: recordings, which part is scored, and where the labels are.

Rows become ticks as `homeostat detect` makes them (`cli.detect_ticks`), by the rows before each:
those that are missing from a grid are ticks at which nothing was reported, and get no score.
Nothing else is done to the data: no scaling, no filling, no label.
"""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from homeostat.cli import detect_ticks

SHARED = Path(__file__).resolve().parents[3] / "shared"
_ORIGINS = {
    "nab": "the Numenta Anomaly Benchmark (`data` and `labels` of github.com/numenta/NAB)",
    "aiops29": "the AIOPS 2018 challenge (29 series, each an .npz: train, test, _ts, _label)",
    "smd4": "the Server Machine Dataset (four machines, each an .npz: train, test, label)",
}
"""What each folder holds, for who has none of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recording.

    Attributes:
        name: What the set calls it.
        values: Float `[tick, column]`; NaN where nothing was reported.
        rows: The tick of each of its scored rows, int `[row]`.
        labels: Bool `[row]`, for the judge alone.
        read: What it was made from.
    """

    name: str
    values: Any
    rows: Any
    labels: Any
    read: "Read"


class Read(NamedTuple):
    """The rows of a recording, as they are in its file.

    Attributes:
        times: Seconds, `[row]`; None where rows are numbered.
        values: Float `[row, column]`.
        labels: Bool `[row]`.
        first: The first row that is scored; those before it are learnt from alone.
    """

    times: Any
    values: Any
    labels: Any
    first: int = 0


def made(name: str, read: Read) -> Recording:
    """Return a recording of rows, each tick made from the rows up to its own."""
    if read.times is None:
        at, table = np.arange(len(read.values)), read.values
    else:
        at, table = on_clock(read.times, read.values)
    first = read.first
    return Recording(
        name=name, values=table, rows=at[first:], labels=read.labels[first:], read=read
    )


def beginning(one: Recording, rows: int) -> Recording:
    """Return what a recording would be had its file ended after so many rows."""
    times, values, labels, first = one.read
    return made(
        one.name,
        Read(
            None if times is None else times[:rows], values[:rows], labels[:rows], min(first, rows)
        ),
    )


def load(name: str, *, files: int | None = None) -> list[Recording]:
    """Return the recordings of a set, or the first so many.

    Args:
        name: `nab`, `aiops` or `smd`.
        files: How many; None for all.

    Raises:
        FileNotFoundError: The data are not there; says where they go.
    """
    reader = {"nab": nab_file, "aiops": _aiops, "smd": _smd}[name]
    return [reader(path) for path in paths(name)[:files]]


def paths(name: str) -> list[Path]:
    """Return the files of a set, in order.

    Raises:
        FileNotFoundError: They are not there; says where they go.
    """
    return {"nab": _nab_paths, "aiops": _in("aiops29"), "smd": _in("smd4")}[name]()


def data_root(folder: str) -> Path:
    """Return where a set's data are.

    Raises:
        FileNotFoundError: They are not there; says where they go and where they are from.
    """
    root = SHARED / "data" / folder
    if not root.is_dir():
        raise FileNotFoundError(
            f"{root}: the data of {_ORIGINS.get(folder, folder)} are not there; put them into "
            f"{SHARED / 'data'}, beside this checkout, under the name {folder}"
        )
    return root


def nab_root() -> Path:
    """Return where the Numenta benchmark's data are.

    Raises:
        FileNotFoundError: They are not there.
    """
    return data_root("nab")


def _in(folder: str) -> Callable[[], list[Path]]:
    def paths() -> list[Path]:
        found = sorted(data_root(folder).glob("*.npz"))
        if not found:
            raise FileNotFoundError(
                f"{data_root(folder)}: holds no .npz; put there {_ORIGINS[folder]}"
            )
        return found

    return paths


def _nab_paths() -> list[Path]:
    windows = nab_root() / "labels" / "combined_windows.json"
    if not windows.is_file():
        raise FileNotFoundError(f"{windows}: is not there; put there {_ORIGINS['nab']}")
    found = [nab_root() / "data" / name for name in sorted(json.loads(windows.read_text()))]
    for path in found:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: is not there; put there {_ORIGINS['nab']}")
    return found


def nab_file(path: Path) -> Recording:
    """Return one file of the Numenta benchmark, without its labels."""
    with path.open() as file:
        rows = list(csv.DictReader(file))
    # Read as one clock without summer time, whatever the machine's own.
    clock = [datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC) for row in rows]
    times = np.array([at.timestamp() for at in clock])
    values = np.array([float(row["value"]) for row in rows])
    name = f"{path.parent.name}/{path.name}"
    return made(name, Read(times, values[:, None], np.zeros(len(rows), dtype=bool)))


def _aiops(path: Path) -> Recording:
    kept = np.load(path)
    times = np.concatenate([kept["train_ts"], kept["test_ts"]]).astype(float)
    values = np.concatenate([kept["train"], kept["test"]]).astype(float)
    return made(path.stem, Read(times, values[:, None], *_labels(kept, kept["test_label"])))


def _smd(path: Path) -> Recording:
    kept = np.load(path)
    values = np.concatenate([kept["train"], kept["test"]]).astype(float)
    return made(path.stem, Read(None, values, *_labels(kept, kept["label"])))


def _labels(kept: Any, test: Any) -> tuple[Any, int]:
    """Return the labels of all rows, none of them of the training part, and where that ends."""
    count = len(kept["train"])
    return np.concatenate([np.zeros(count, dtype=bool), test > 0]), count


def on_clock(times: Any, values: Any) -> tuple[Any, Any]:
    """Return the tick of each row and the values of every tick, `[tick, column]`.

    Args:
        times: Seconds, `[row]`.
        values: `[row, column]`.
    """
    stamps = np.round(np.asarray(times, dtype=float) * 1e9).astype(np.int64)
    _, said = detect_ticks.timing(detect_ticks.new_grid(), stamps)
    at = np.cumsum(said.missing + 1) - 1
    table = np.full((at[-1] + 1, values.shape[1]), np.nan)
    table[at] = detect_ticks.judgeable(values)
    return at, table
