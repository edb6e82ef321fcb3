"""What there is to know of rows: how many, which are missing, unknown, repeated, or odd.

Rows are added as they come, so the same serves a look at a whole file and a stream. Nothing here
changes what is judged; it is what people are told beside it.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from homeostat.cli import detect_ticks as ticks
from homeostat.cli.detect_block import Block
from homeostat.cli.detect_feed import digest
from homeostat.cli.detect_late import Late

COUNTERS: Final = ("_total", "_count", "_sum", "_bucket")
"""How names of counters end. Source: Prometheus, metric and label naming."""
_ODD_RISES: Final = 64  # rises that a counter must show at least to look like one
_FEW_RESTARTS: Final = 0.02  # a rise: what falls more often than that is no counter
_RESTART: Final = 0.1  # a counter that starts again begins at a small part of what it was
_NAMED: Final = 3  # columns that a note names
_ABSENT: Final = 0.05  # of the rows, before or after all known values, is worth telling


class Place(NamedTuple):
    """A row.

    Attributes:
        row: Its number among those that are read, from 1, in the order in which they are judged.
        time: As it is written.
    """

    row: int
    time: str


@dataclass(slots=True, kw_only=True)
class Scan:
    """What the look found.

    Attributes:
        columns: Names of the columns of values.
        rows: How many there are.
        shown: How many have a row in the output.
        digest: SHA-256 of everything that is judged and written.
        first: The first time, as written.
        first_ns: The same in nanoseconds since the epoch.
        last: The last one.
        step_s: Seconds between rows, None if they lie on no grid.
        blank: Ticks of which nothing is known that are played between the rows: those of missing
            rows, and those of rows that come late.
        missing_rows: Ticks of the grid that have no row.
        gaps: How many holes they make.
        late: Rows at a time that was missing when later ones came.
        first_late: The first of them.
        set_back: Other rows at an earlier time than the one before.
        cut: How many holes were longer than is played.
        repeated: Rows at the time of the one before.
        back: Rows at an earlier time than the one before.
        steps_changed: How often the sampling changed.
        unknown: Cells without a value, by column.
        infinite: Cells with an infinity, by column.
        first_unknown: Where the first cell without a value is, by column.
        first_infinite: Where the first infinity is, by column.
        sorted_rows: The rows were in no order and were sorted.
        notes: Sentences for people.
    """

    columns: tuple[str, ...]
    rows: int = 0
    shown: int = 0
    digest: str = ""
    first_ns: int | None = None
    first: str | None = None
    last: str | None = None
    step_s: float | None = None
    blank: int = 0
    missing_rows: int = 0
    gaps: int = 0
    late: int = 0
    first_late: Place | None = None
    set_back: int = 0
    cut: int = 0
    repeated: int = 0
    back: int = 0
    steps_changed: int = 0
    unknown: dict[str, int] = field(default_factory=dict)
    infinite: dict[str, int] = field(default_factory=dict)
    first_unknown: dict[str, Place] = field(default_factory=dict)
    first_infinite: dict[str, Place] = field(default_factory=dict)
    sorted_rows: bool = False
    notes: list[str] = field(default_factory=list)


class Look:
    """Rows that are looked at as they come.

    Args:
        columns: Names of the columns of values.
        notes: What is known of the input already.
    """

    def __init__(self, columns: tuple[str, ...], notes: tuple[str, ...] = ()) -> None:
        self._scan, self._notes = Scan(columns=columns), notes
        self._step_ns, self._late = np.nan, Late()
        self._total = hashlib.sha256("\0".join(columns).encode())
        width = len(columns)
        zero, nan = np.zeros(width, dtype=np.int64), np.full(width, np.nan)
        self._seen = _Columns(
            known=zero, infinite=zero, low=np.full(width, np.inf), high=np.full(width, -np.inf),
            last=nan, falls=zero.copy(), restarts=zero.copy(), rises=zero.copy(),
            first_row=zero - 1, last_row=zero - 1,
        )  # fmt: skip

    def add(self, block: Block, said: ticks.Timing, step_ns: float) -> None:
        """Add rows.

        Args:
            block: One row at least.
            said: What their times say.
            step_ns: The step of the grid after them, NaN if there is none.
        """
        found = self._scan
        digest(self._total, block)
        self._total.update("\0".join(block.texts).encode())
        if found.first is None:
            found.first, found.first_ns = block.texts[0], int(block.at[0])
        found.last, self._step_ns = block.texts[-1], step_ns
        found.blank += int(said.missing.sum())
        late = self._late.add(block.at, said)
        if late is not None and found.first_late is None:
            found.first_late = Place(found.rows + late + 1, block.texts[late])
        found.cut += int(said.cut.sum())
        found.repeated += int(said.repeated.sum())
        found.back += int(said.back.sum())
        found.steps_changed += int(said.changed.sum())
        _see(self._seen, block.values, found.rows)
        _place(found.first_unknown, np.isnan(block.values), block, found)
        _place(found.first_infinite, np.isinf(block.values), block, found)
        found.rows += len(block.at)
        found.shown += int(block.shown.sum())

    def found(self) -> Scan:
        """Return what was found so far."""
        found, seen, late = self._scan, self._seen, self._late
        found.missing_rows, found.gaps, found.late = late.missing, late.gaps, late.rows
        found.set_back = late.set_back
        found.digest = self._total.hexdigest()
        found.step_s = None if np.isnan(self._step_ns) else float(self._step_ns) / 1e9
        unknown = (found.rows - seen.known - seen.infinite).tolist()
        found.unknown = {c: n for c, n in zip(found.columns, unknown, strict=True) if n}
        infinite = seen.infinite.tolist()
        found.infinite = {c: n for c, n in zip(found.columns, infinite, strict=True) if n}
        found.notes = [
            *self._notes, *_time_notes(found), *_cell_notes(found), *_column_notes(found, seen)
        ]  # fmt: skip
        return found


def as_json(found: Scan) -> dict[str, object]:
    """Return what the look found as it is written."""
    return {
        "step_s": found.step_s,
        "missing_rows": found.missing_rows,
        "gaps": found.gaps,
        "gaps_cut": found.cut,
        "late_rows": found.late,
        "repeated_times": found.repeated,
        "backward_times": found.back,
        "sampling_changes": found.steps_changed,
        "sorted": found.sorted_rows,
        "unknown_cells": found.unknown,
        "infinite_cells": found.infinite,
        "first_unknown": {column: at._asdict() for column, at in found.first_unknown.items()},
        "first_infinite": {column: at._asdict() for column, at in found.first_infinite.items()},
        "notes": found.notes,
    }


@dataclass(slots=True)
class _Columns:
    """What each column showed so far; arrays are `[column]`."""

    known: np.ndarray
    infinite: np.ndarray
    low: np.ndarray
    high: np.ndarray
    last: np.ndarray
    falls: np.ndarray
    restarts: np.ndarray
    rises: np.ndarray
    first_row: np.ndarray
    last_row: np.ndarray


def _see(seen: _Columns, values: np.ndarray, before: int) -> None:
    finite = np.isfinite(values)
    seen.infinite = seen.infinite + np.isinf(values).sum(axis=0)
    seen.known = seen.known + finite.sum(axis=0)
    seen.low = np.minimum(seen.low, np.where(finite, values, np.inf).min(axis=0))
    seen.high = np.maximum(seen.high, np.where(finite, values, -np.inf).max(axis=0))
    for column in np.flatnonzero(finite.any(axis=0)):
        rows = np.flatnonzero(finite[:, column])
        series = np.concatenate([seen.last[column : column + 1], values[rows, column]])
        with np.errstate(over="ignore"):
            risen = np.diff(series)
        seen.rises[column] += int((risen > 0.0).sum())
        seen.falls[column] += int((risen < 0.0).sum())
        started = (risen < 0.0) & (series[1:] <= _RESTART * series[:-1]) & (series[1:] >= 0.0)
        seen.restarts[column] += int(started.sum())
        seen.last[column] = series[-1]
        if seen.first_row[column] < 0:
            seen.first_row[column] = before + rows[0]
        seen.last_row[column] = before + rows[-1]


def _place(first: dict[str, Place], cells: np.ndarray, block: Block, found: Scan) -> None:
    """Note where the first of some cells is in each column that has shown none; `[row, column]`."""
    for column in np.flatnonzero(cells.any(axis=0)).tolist():
        if found.columns[column] not in first:
            row = int(cells[:, column].argmax())
            first[found.columns[column]] = Place(found.rows + row + 1, block.texts[row])


def _time_notes(found: Scan) -> Iterator[str]:
    if not found.rows:
        yield "no rows to judge"
    if found.rows == 1:
        yield "one row alone: nothing to compare it with"
    if found.missing_rows:
        yield (
            f"{_of(found.missing_rows, 'row')} missing in {_of(found.gaps, 'gap')}: "
            "taken as ticks at which nothing is known"
        )
    if found.cut:
        yield f"{_of(found.cut, 'gap')} longer than {ticks.MOST_MISSING:,} ticks: cut to it"
    if found.repeated:
        yield f"{_of(found.repeated, 'row')} at the time of the one before: judged in turn"
    if found.first_late is not None:
        yield (
            f"{_of(found.late, 'row')} out of order (the first: row {found.first_late.row:,}, "
            f"{found.first_late.time}): judged in the order in which rows come, with a tick at "
            "which nothing is known at its own time; sort the rows to have it in its place"
        )
    if found.set_back:
        yield (
            f"the clock went back {_of(found.set_back, 'time')}: rows are judged in the order in "
            "which they come"
        )
    if found.steps_changed:
        yield f"the sampling changed {_of(found.steps_changed, 'time')}"
    if found.step_s is None and found.rows > ticks.LEAST_STEPS:
        yield "the times lie on no grid: each row is a tick"


def _of(count: int, what: str) -> str:
    """Return a number with what it counts.

    >>> _of(1, "row"), _of(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{count:,} {what}{'s' * (count != 1)}"


def _cell_notes(found: Scan) -> Iterator[str]:
    """Yield what is said of cells that hold no number, and what becomes of them."""
    kinds = (
        (found.unknown, found.first_unknown, "without a value (empty or NaN)"),
        (found.infinite, found.first_infinite, "with an infinity"),
    )
    for cells, first, what in kinds:
        # Of a column without any value that is said already; infinities are said of all.
        there = {c: n for c, n in cells.items() if n < found.rows or cells is found.infinite}
        if not there:
            continue
        most = sorted(there, key=lambda c: (-there[c], found.columns.index(c)))
        said = [
            f"{c} ({there[c]:,}, first in row {first[c].row:,}, {first[c].time})"
            for c in most[:_NAMED]
        ]
        if len(most) > _NAMED:
            said.append(f"{_of(len(most) - _NAMED, 'more column')}")
        rest = ", and so is its row"
        if len(found.columns) > 1:
            rest = ": its row is judged by what else is known in it, if anything is"
        total = _of(sum(there.values()), "cell")
        yield f"{total} {what}: {', '.join(said)}; each is unknown, not zero{rest}"


def _column_notes(found: Scan, seen: _Columns) -> Iterator[str]:
    for place, column in enumerate(found.columns):
        if not seen.known[place]:
            if found.rows:
                yield f"{column} has no value at all"
            continue
        largest = max(-seen.low[place], seen.high[place])
        if largest > ticks.MOST_JUDGED and not column.endswith(COUNTERS):
            yield (
                f"{column} holds values beyond {ticks.MOST_JUDGED:g}, which are not judged; give "
                "it in a larger unit"
            )
        if seen.low[place] == seen.high[place] and seen.known[place] > 1:
            yield f"{column} never changes"
        late, early = seen.first_row[place], found.rows - 1 - seen.last_row[place]
        if late > _ABSENT * found.rows:
            yield f"{column} appears at row {late + 1:,}"
        if early > _ABSENT * found.rows:
            yield f"{column} vanishes after row {seen.last_row[place] + 1:,}"
        few = _FEW_RESTARTS * seen.rises[place] >= seen.restarts[place]
        monotone = seen.falls[place] == seen.restarts[place] and few
        enough = seen.rises[place] >= _ODD_RISES and seen.low[place] >= 0.0
        if monotone and enough and not column.endswith(COUNTERS):
            yield (
                f"{column} never falls, but to start again: if it counts up, say --counters "
                f"{column}, and its rate is judged"
            )
