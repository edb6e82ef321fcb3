"""Public recordings, and how far apart their values are; none of their labels is read."""

import csv
import datetime as dt
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SHARED = Path(__file__).parents[3] / "shared" / "data"
FILES = {"nab": "nab/data/*/*.csv", "msft_cloud60": "msft_cloud60/data/*/*.csv"}


Floats = np.ndarray[Any, np.dtype[np.float64]]
_MINUTE, _DAY_S = 60.0, 86_400.0


class Recording(NamedTuple):
    """One file: its name, its values, and the seconds between two of them."""

    name: str
    values: Floats
    step_s: float


class Group(NamedTuple):
    """Recordings of equal ticks side by side.

    Attributes:
        day: Ticks of a day.
        horizons: 5, 15 and 60 where ticks are a minute or less; else 1, 3 and 12.
        values: `[time, series]`, NaN after a recording's end.
        half: Rows of the first half of each, `[series]`.
        limit: The 99.5 % quantile of that half, `[series]`.
    """

    day: int
    horizons: tuple[int, ...]
    values: Floats
    half: np.ndarray[Any, np.dtype[np.int64]]
    limit: Floats


def groups(which: str, most: int) -> Iterator[Group]:
    """Yield a set's recordings, those of equal ticks together."""
    found: dict[tuple[tuple[int, ...], int], list[Floats]] = {}
    for one in recordings(which, most):
        horizons: tuple[int, ...] = (5, 15, 60) if one.step_s <= _MINUTE else (1, 3, 12)
        found.setdefault((horizons, round(_DAY_S / one.step_s)), []).append(one.values)
    for (horizons, day), many in sorted(found.items()):
        values = np.full((max(map(len, many)), len(many)), np.nan)
        for column, row in enumerate(many):
            values[: len(row), column] = row
        yield Group(
            day=day,
            horizons=horizons,
            values=values,
            half=np.array([len(row) // 2 for row in many]),
            limit=np.array([np.nanquantile(row[: len(row) // 2], 0.995) for row in many]),
        )


def recordings(which: str, most: int) -> Iterator[Recording]:
    """Yield a set's recordings, at most so many rows of each."""
    for path in sorted(SHARED.glob(FILES[which])):
        with path.open(encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row][1 : most + 1]
        times = [dt.datetime.fromisoformat(row[0].replace("Z", "")) for row in rows[:200]]
        steps = [(b - a).total_seconds() for a, b in pairwise(times)]
        values = np.array([float(row[1] or "nan") for row in rows])
        yield Recording(f"{path.parent.name}/{path.stem}", values, float(np.median(steps)))
