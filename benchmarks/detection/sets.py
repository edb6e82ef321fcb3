"""The public sets, as arrays: recordings, which part is scored, and where the labels are.

Rows that a regular clock would have had and that are missing become ticks at which nothing was
reported; they get no score. Nothing else is done to the data: no scaling, no filling, no label.
"""

import csv
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

SHARED = Path(__file__).resolve().parents[3] / "shared"
# A clock that would make a recording this many times as long is not regular.
_SPARSE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recording.

    Attributes:
        name: What the set calls it.
        values: Float `[tick, column]`; NaN where nothing was reported.
        rows: The tick of each of its scored rows, int `[row]`.
        labels: Bool `[row]`, for the judge alone.
    """

    name: str
    values: Any
    rows: Any
    labels: Any


def load(name: str, *, files: int | None = None) -> list[Recording]:
    """Return the recordings of a set, or the first so many.

    Args:
        name: `nab`, `aiops` or `smd`.
        files: How many; None for all.
    """
    reader, paths = {
        "nab": (_nab, _nab_paths),
        "aiops": (_aiops, _in("aiops29")),
        "smd": (_smd, _in("smd4")),
    }[name]
    return [reader(path) for path in paths()[:files]]


def nab_root() -> Path:
    """Return where the Numenta benchmark's data are."""
    return SHARED / "data" / "nab"


def _in(folder: str) -> Any:
    return lambda: sorted((SHARED / "data" / folder).glob("*.npz"))


def _nab_paths() -> list[Path]:
    labels = json.loads((nab_root() / "labels" / "combined_windows.json").read_text())
    return [nab_root() / "data" / name for name in sorted(labels)]


def _nab(path: Path) -> Recording:
    with path.open() as file:
        rows = list(csv.DictReader(file))
    # Read as one clock without summer time, whatever the machine's own.
    clock = [datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC) for row in rows]
    times = np.array([at.timestamp() for at in clock])
    values = np.array([float(row["value"]) for row in rows])
    at, table = on_clock(times, values[:, None])
    name = f"{path.parent.name}/{path.name}"
    return Recording(name=name, values=table, rows=at, labels=np.zeros(len(rows), dtype=bool))


def _aiops(path: Path) -> Recording:
    kept = np.load(path)
    times = np.concatenate([kept["train_ts"], kept["test_ts"]]).astype(float)
    values = np.concatenate([kept["train"], kept["test"]]).astype(float)
    at, table = on_clock(times, values[:, None])
    scored = at[len(kept["train"]) :]
    return Recording(name=path.stem, values=table, rows=scored, labels=kept["test_label"] > 0)


def _smd(path: Path) -> Recording:
    kept = np.load(path)
    values = np.concatenate([kept["train"], kept["test"]]).astype(float)
    rows = np.arange(len(kept["train"]), len(values))
    return Recording(name=path.stem, values=values, rows=rows, labels=kept["label"] > 0)


def on_clock(times: Any, values: Any) -> tuple[Any, Any]:
    """Return the tick of each row and the values of every tick, `[tick, column]`.

    Args:
        times: Seconds, `[row]`; if they do not ascend, or far apart rows make no clock, every row
            is a tick.
        values: `[row, column]`.
    """
    plain = np.arange(len(times)), values
    steps = np.diff(times)
    if not len(steps) or steps.min() <= 0.0:
        return plain
    step = float(np.median(steps))
    at = np.round((times - times[0]) / step).astype(int)
    if at[-1] >= _SPARSE * len(times) or np.diff(at).min() < 1:
        return plain
    table = np.full((at[-1] + 1, values.shape[1]), np.nan)
    table[at] = values
    return at, table
