"""Rows of one input as ticks, a few at a time, and a digest of those that were taken.

No more is read than is asked for, so many inputs go side by side in little memory. The digest says
whether an input begins with the rows that an earlier run has seen.
"""

import hashlib
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from homeostat.cli import detect_ticks as ticks
from homeostat.cli.detect_block import Block, Table, joined
from homeostat.cli.detect_cells import Floats, Ints

_SKIP: Final = 4096  # ticks at a time


class Past(NamedTuple):
    """What rows before the first one leave behind.

    Attributes:
        grid: Their times.
        counts: Their counters.
    """

    grid: ticks.Grid
    counts: ticks.Counts


def no_past(columns: int) -> Past:
    """Return what no rows leave behind."""
    return Past(ticks.new_grid(), ticks.new_counts(columns))


def digest(total: "hashlib._Hash", block: Block) -> None:
    """Add rows to a digest: times, values, and which of them are shown.

    Row by row, so that it does not matter how many rows come at a time.
    """
    rows = len(block.at)
    parts = (block.at.astype(np.int64), block.values.astype(np.float64), block.shown.astype(bool))
    flat = [np.ascontiguousarray(part).view(np.uint8).reshape(rows, -1) for part in parts]
    total.update(np.hstack(flat).tobytes())


class Taken(NamedTuple):
    """Some ticks.

    Attributes:
        values: `[tick, column]`, NaN where nothing is known.
        length_s: How long each tick is by the rows so far, seconds; NaN where nobody knows, and
            at ticks that are no rows. `[tick]`.
        place: Which of the ticks are rows. `[row]`.
        block: These rows; None if there is none.
    """

    values: Floats
    length_s: Floats
    place: Ints
    block: Block | None


class Feed:
    """An input as ticks.

    Args:
        table: The input.
        counters: Which columns are counters. Bool `[column]`.
        past: What rows before the first one left behind.
    """

    def __init__(self, table: Table, counters: np.ndarray, past: Past | None = None) -> None:
        self.ticks, self.rows = 0, 0
        self._counters, self._timed = counters, table.timed
        self._past = no_past(len(table.columns)) if past is None else past
        self._blocks: Iterator[Block] = table.blocks()
        self._ready = _Ready(len(table.columns))
        self._total = hashlib.sha256()

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the rows that were taken, by row."""
        return self._total.hexdigest()

    @property
    def past(self) -> Past:
        """Return what the rows leave behind; all of them must have been taken."""
        return self._past

    def take(self, most: int) -> Taken:
        """Return the next ticks, fewer than `most` only at the end."""
        while self._ready.count < most and (block := next(self._blocks, None)) is not None:
            grid, said = ticks.timing(self._past.grid, block.at)
            finite = ticks.judgeable(block.values)
            counts, values = ticks.rates(self._past.counts, block.at, finite, self._counters)
            self._past, values = Past(grid, counts), ticks.reachable(values)
            length = said.length_s if self._timed else np.full_like(said.length_s, np.nan)
            self._ready.add(block, values, said.missing, length)
        taken = self._ready.take(most)
        self.ticks += len(taken.values)
        if taken.block is not None:
            self.rows += len(taken.block.at)
            digest(self._total, taken.block)
        return taken

    def skip(self, count: int) -> bool:
        """Take ticks that nobody looks at; return whether there were as many."""
        while count and len(part := self.take(min(count, _SKIP)).values):
            count -= len(part)
        return not count


class _Ready:
    """Rows that were read and not yet taken; unknown ticks are made when they are taken."""

    def __init__(self, columns: int) -> None:
        self.count = 0
        self._columns = columns
        self._parts: list[_Part] = []

    def add(self, block: Block, values: Floats, missing: Ints, length_s: Floats) -> None:
        """Add rows with their values, the unknown ticks before each, and how long ticks are."""
        place = np.cumsum(missing + 1) - 1
        self._parts.append(_Part(block, values, length_s, place, 0))
        self.count += int(place[-1]) + 1

    def take(self, most: int) -> Taken:
        """Return the next ticks, which of them are rows, and these rows."""
        values: Floats = np.full((min(most, self.count), self._columns), np.nan)
        length: Floats = np.full(len(values), np.nan)
        asked, blocks, taken = [], [], 0
        while taken < len(values):
            part = self._parts.pop(0)
            count = min(len(values) - taken, int(part.place[-1]) + 1 - part.begun)
            end = part.begun + count
            first, stop = np.searchsorted(part.place, [part.begun, end]).tolist()
            at = part.place[first:stop] - part.begun + taken
            values[at], length[at] = part.values[first:stop], part.length_s[first:stop]
            asked.append(at)
            if stop > first:
                blocks.append(part.block.rows(slice(first, stop)))
            if end <= part.place[-1]:
                self._parts.insert(0, part._replace(begun=end))
            taken += count
        self.count -= taken
        places: Ints = np.concatenate([np.empty(0, dtype=np.int64), *asked])
        return Taken(values, length, places, joined(blocks) if blocks else None)


class _Part(NamedTuple):
    """Rows of one block.

    Attributes:
        block: The rows.
        values: Their values, counters as rates. `[row, column]`.
        length_s: How long ticks are by then. `[row]`.
        place: The tick of each. `[row]`.
        begun: Ticks that were taken.
    """

    block: Block
    values: Floats
    length_s: Floats
    place: Ints
    begun: int
