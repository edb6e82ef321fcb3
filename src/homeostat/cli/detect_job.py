"""One input on its way through the stack: ticks out, what was said of them in.

A job reads no more than it is asked for, so several go side by side in little memory. It knows
which ticks are rows, and writes what is said of those.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from homeostat.cli import detect_ticks as ticks
from homeostat.cli.detect_block import Block, Table, joined
from homeostat.cli.detect_cells import Floats, Ints
from homeostat.cli.detect_scan import Scan, as_json
from homeostat.cli.detect_tally import Tally
from homeostat.cli.detect_write import Sink
from homeostat.detect.stack import Said


class Job:
    """One input and its output.

    Args:
        source: The input.
        output: Where the output goes.
        table: The input, opened.
        scan: What a look at all of it found.
        counters: Which columns are counters. Bool `[column]`.
    """

    def __init__(
        self, source: Path, output: Path, table: Table, scan: Scan, counters: np.ndarray
    ) -> None:
        self.source, self.output, self.table, self.scan = source, output, table, scan
        self.columns = table.columns
        self.tally = Tally(columns=table.columns)
        self.rows = 0
        self._counters = counters
        self._grid, self._counts = ticks.new_grid(), ticks.new_counts(len(table.columns))
        self._blocks: Iterator[Block] = table.blocks()
        self._ready = _Ready(len(table.columns))
        self._asked: Ints = np.empty(0, dtype=np.int64)
        self._block: Block | None = None
        self._sink: Sink | None = None

    def take(self, most: int) -> Floats:
        """Return the next ticks, fewer than `most` only at the end. `[tick, column]`."""
        while self._ready.count < most and (block := next(self._blocks, None)) is not None:
            self._grid, said = ticks.timing(self._grid, block.at)
            finite = np.where(np.isfinite(block.values), block.values, np.nan)
            self._counts, values = ticks.rates(self._counts, block.at, finite, self._counters)
            self._ready.add(block, values, said.missing)
        values, self._asked, self._block = self._ready.take(most)
        return values

    def give(self, said: Said) -> None:
        """Take what was said of the ticks that were taken last, and write it.

        Args:
            said: Time first: `[tick]`, contributions and bands `[tick, column]`.
        """
        block = self._block
        if block is None:
            return
        self.rows += len(block.texts)
        of_rows = Said(*(part[self._asked] for part in said))
        shown = block.shown
        if not shown.all():
            block = Block(
                [text for text, one in zip(block.texts, shown.tolist(), strict=True) if one],
                block.at[shown], block.values[shown], shown[shown], block.line[shown],
            )  # fmt: skip
            of_rows = Said(*(part[shown] for part in of_rows))
        if not len(block.at):
            return
        self.tally.add(block.texts, of_rows)
        self._out().write(block, of_rows)

    def finish(self) -> None:
        """Give the output its name."""
        self._out().finish()

    def abandon(self) -> None:
        """Leave no output."""
        if self._sink is not None:
            self._sink.abandon()

    def summary(self) -> dict[str, Any]:
        """Return what is written of this input."""
        tally, scan = self.tally, self.scan
        return {
            "input": str(self.source),
            "output": str(self.output),
            "rows": tally.rows,
            "judged": tally.rows - tally.unknown,
            "unknown": tally.unknown,
            "first": scan.first,
            "last": scan.last,
            "columns": list(self.columns),
            "counters": [
                c for c, is_one in zip(self.columns, self._counters, strict=True) if is_one
            ],
            "incidents": tally.incidents(),
            "quality": as_json(scan),
        }

    def _out(self) -> Sink:
        if self._sink is None:
            self._sink = Sink(self.output, self.columns, sort=self.scan.sorted_rows)
        return self._sink


class _Ready:
    """Rows that were read and not yet taken; unknown ticks are made when they are taken."""

    def __init__(self, columns: int) -> None:
        self.count = 0
        self._columns = columns
        self._parts: list[_Part] = []

    def add(self, block: Block, values: Floats, missing: Ints) -> None:
        """Add rows with their values and the unknown ticks before each."""
        place = np.cumsum(missing + 1) - 1
        self._parts.append(_Part(block, values, place, 0))
        self.count += int(place[-1]) + 1

    def take(self, most: int) -> tuple[Floats, Ints, Block | None]:
        """Return the next ticks, which of them are rows, and these rows."""
        values: Floats = np.full((min(most, self.count), self._columns), np.nan)
        asked, blocks, taken = [], [], 0
        while taken < len(values):
            part = self._parts.pop(0)
            count = min(len(values) - taken, int(part.place[-1]) + 1 - part.begun)
            end = part.begun + count
            first, stop = np.searchsorted(part.place, [part.begun, end]).tolist()
            at = part.place[first:stop] - part.begun + taken
            values[at] = part.values[first:stop]
            asked.append(at)
            if stop > first:
                blocks.append(part.block.rows(slice(first, stop)))
            if end <= part.place[-1]:
                self._parts.insert(0, part._replace(begun=end))
            taken += count
        self.count -= taken
        places: Ints = np.concatenate([np.empty(0, dtype=np.int64), *asked])
        return values, places, joined(blocks) if blocks else None


class _Part(NamedTuple):
    """Rows of one block.

    Attributes:
        block: The rows.
        values: Their values, counters as rates. `[row, column]`.
        place: The tick of each. `[row]`.
        begun: Ticks that were taken.
    """

    block: Block
    values: Floats
    place: Ints
    begun: int
