"""A first look at a whole input, before anything is judged: is it readable, and what is odd.

What cannot be read is refused here, in seconds, and not after an hour of judging. The look chooses
one thing alone: rows that are in no order of time are sorted.

A column is a counter if its name says so as Prometheus' conventions have it, or if a person does.
One that merely never falls is told and not touched: a slow morning never falls either.
"""

from collections.abc import Iterator
from time import monotonic
from typing import Final

import numpy as np

from homeostat.cli import detect_ticks as ticks
from homeostat.cli.detect_block import Block, Table, joined
from homeostat.cli.detect_layout import InputError, Wanted
from homeostat.cli.detect_look import COUNTERS, Look, Scan
from homeostat.cli.output import tell

_MOST_SORTED: Final = 50_000_000  # cells that are sorted in memory: 400 MB of numbers
_BACK_SHARE: Final = 0.01  # of the rows may step back in time: a clock that was set, summer time
_BACK_FEW: Final = 2  # and so many in a short file
_LINE_S: Final = 60.0  # between two lines that say how far the look at a long file is


class Sorted:
    """A table in the order of its times.

    Args:
        table: The table as it is; in memory whole while it is read.
    """

    def __init__(self, table: Table) -> None:
        self.columns, self.notes, self._table = table.columns, table.notes, table
        self.timed = table.timed

    def blocks(self) -> Iterator[Block]:
        """Yield the rows by time."""
        whole = joined(list(self._table.blocks()))
        order = np.argsort(whole.at, kind="stable")
        yield Block(
            [whole.texts[place] for place in order], whole.at[order], whole.values[order],
            whole.shown[order], whole.line[order],
        )  # fmt: skip


def look(table: Table, name: str) -> tuple[Table, Scan]:
    """Return the table, sorted where that is needed, and what there is to know of it.

    Args:
        table: The input.
        name: What it is called, for messages.

    Raises:
        InputError: It cannot be read, or is too large to be sorted.
    """
    found = _pass(table, name)
    if found.back > max(_BACK_FEW, _BACK_SHARE * found.rows) or 0 < found.back == found.rows - 1:
        if found.rows * (len(table.columns) + 1) > _MOST_SORTED:
            raise InputError(
                f"{name}: {found.back:,} of {found.rows:,} rows are earlier than the one before, "
                "too many to be sorted in memory; sort the file by time first"
            )
        back, table = found.back, Sorted(table)
        found = _pass(table, name)
        found.sorted_rows = True
        found.notes.insert(0, f"{back:,} rows were earlier than the one before: sorted by time")
    return table, found


def counters(columns: tuple[str, ...], wanted: Wanted, name: str) -> np.ndarray:
    """Return which columns are counters. Bool `[column]`.

    Raises:
        InputError: A person names a column that is not there.
    """
    match wanted.counters:
        case ("auto",):
            return np.array([column.endswith(COUNTERS) for column in columns])
        case ("none",) | ():
            return np.zeros(len(columns), dtype=bool)
        case asked:
            for one in asked:
                if one not in columns:
                    raise InputError(
                        f"{name}: no column {one!r} to take for a counter (there are: "
                        f"{', '.join(columns)}); correct --counters"
                    )
            return np.array([column in asked for column in columns])


def _pass(table: Table, name: str) -> Scan:
    grid, found, rows, last = ticks.new_grid(), Look(table.columns, table.notes), 0, monotonic()
    for block in table.blocks():
        grid, said = ticks.timing(grid, block.at)
        found.add(block, said, float(grid.step[0]))
        rows += len(block.at)
        if (now := monotonic()) - last >= _LINE_S:
            last = now
            tell(f"looking: {rows:,} rows of {name} so far")
    return found.found()
