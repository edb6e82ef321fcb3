"""The course of a recording, thinned as it goes by: memory does not grow with its length.

Rows go into cells of equal size; when there are too many cells, two become one. A cell keeps the
extremes of what it holds, so that a single odd row shows in a picture of millions.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CELLS: Final = 720
"""Cells at most: more than a picture has columns to tell apart."""


class Rows(NamedTuple):
    """Rows of a recording, and what was said of them.

    Attributes:
        texts: Their times as written. `[row]`.
        values: What was judged, NaN where nothing was known. `[row, column]`.
        low: Lower edge of where a healthy value lies, NaN if not known. `[row, column]`.
        high: The upper edge.
        evidence: -log10 p, NaN where unknown. `[row]`.
        shares: Of the columns in the evidence, NaN where there is none. `[row, column]`.
        alarm: Bool `[row]`.
        active: Bool `[row]`.
    """

    texts: Sequence[str]
    values: Floats
    low: Floats
    high: Floats
    evidence: Floats
    shares: Floats
    alarm: np.ndarray
    active: np.ndarray


class Cells(NamedTuple):
    """A thinned course; a cell at which nothing was known holds NaN.

    Attributes:
        texts: The time of each cell's first row. `[cell]`.
        least: Lowest value. `[cell, column]`.
        most: Highest value. `[cell, column]`.
        low: Mean lower edge of the band. `[cell, column]`.
        high: Mean upper edge. `[cell, column]`.
        evidence: Highest -log10 p. `[cell]`.
        weight: Evidence times share, summed. `[cell, column]`.
        alarm: Whether an incident starts in it. Bool `[cell]`.
        active: Whether one lasts. Bool `[cell]`.
    """

    texts: tuple[str, ...]
    least: Floats
    most: Floats
    low: Floats
    high: Floats
    evidence: Floats
    weight: Floats
    alarm: np.ndarray
    active: np.ndarray


class Course:
    """A recording that goes by.

    Args:
        columns: Names of its columns.
        cells: How many cells there are at most, an even number.

    Raises:
        ValueError: The number is odd, or 0.
    """

    def __init__(self, columns: Sequence[str], cells: int = CELLS) -> None:
        if cells < 2 or cells % 2:  # noqa: PLR2004 - two become one
            raise ValueError(f"course: needs an even number of cells, got {cells}")
        self.columns, self.rows = tuple(columns), 0
        self._limit, self._size = cells, 1
        self._cells: Cells | None = None
        self._rest: Cells | None = None  # cells of one row each, too few for a cell of `_size`

    def add(self, rows: Rows) -> None:
        """Add rows."""
        if not len(rows.texts):
            return
        self.rows += len(rows.texts)
        single = _single(rows)
        waiting = single if self._rest is None else _joined(self._rest, single)
        while len(waiting.texts) >= self._size:
            held = 0 if self._cells is None else len(self._cells.texts)
            count = min(len(waiting.texts) // self._size, self._limit - held)
            done = _merged(_part(waiting, slice(count * self._size)), self._size)
            waiting = _part(waiting, slice(count * self._size, None))
            self._cells = done if self._cells is None else _joined(self._cells, done)
            if len(self._cells.texts) == self._limit:
                self._cells, self._size = _merged(self._cells, 2), 2 * self._size
        self._rest = waiting

    def cells(self) -> Cells | None:
        """Return the thinned course, the last cell with fewer rows; None without a row."""
        if self._rest is None or not len(self._rest.texts):
            return self._cells
        last = _merged(self._rest, len(self._rest.texts))
        return last if self._cells is None else _joined(self._cells, last)


def _single(rows: Rows) -> Cells:
    weight = np.nan_to_num(rows.evidence, nan=0.0)[:, None] * np.nan_to_num(rows.shares, nan=0.0)
    return Cells(
        texts=tuple(rows.texts), least=rows.values, most=rows.values, low=rows.low,
        high=rows.high, evidence=rows.evidence, weight=weight, alarm=rows.alarm,
        active=rows.active,
    )  # fmt: skip


def _part(cells: Cells, which: slice) -> Cells:
    return Cells(cells.texts[which], *(np.asarray(field)[which] for field in cells[1:]))


def _joined(first: Cells, then: Cells) -> Cells:
    arrays = [np.concatenate(pair) for pair in zip(first[1:], then[1:], strict=True)]
    return Cells(first.texts + then.texts, *arrays)


def _merged(cells: Cells, size: int) -> Cells:
    """Return cells of which each holds `size` of these; their number must divide by it."""
    if size == 1 or not len(cells.texts):
        return cells

    def folded(field: np.ndarray) -> np.ndarray:
        return field.reshape(-1, size, *field.shape[1:])

    return Cells(
        texts=cells.texts[::size],
        least=_extreme(folded(cells.least), np.inf),
        most=_extreme(folded(cells.most), -np.inf),
        low=_mean(folded(cells.low)),
        high=_mean(folded(cells.high)),
        evidence=_extreme(folded(cells.evidence), -np.inf),
        weight=folded(cells.weight).sum(axis=1),
        alarm=np.asarray(folded(cells.alarm).any(axis=1)),
        active=np.asarray(folded(cells.active).any(axis=1)),
    )


def _extreme(table: np.ndarray, worst: float) -> Floats:
    """Return the lowest (worst = inf) or highest known one of each cell."""
    known = np.isfinite(table)
    filled = np.where(known, table, worst)
    found = filled.min(axis=1) if worst > 0.0 else filled.max(axis=1)
    out: Floats = np.where(known.any(axis=1), found, np.nan)
    return out


def _mean(table: np.ndarray) -> Floats:
    known = np.isfinite(table)
    total = np.where(known, table, 0.0).sum(axis=1)
    count = known.sum(axis=1)
    out: Floats = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return out
