"""What every kind of input gives: columns, and blocks of rows in the order of the file."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from homeostat.cli.detect_cells import Floats, Ints


class Block(NamedTuple):
    """Some rows, one after the other.

    Attributes:
        texts: Their times as they are written in the input, for the output. `[row]`.
        at: Their times, nanoseconds since the epoch. `[row]`.
        values: `[row, column]`; NaN = nothing was there, infinities as they are.
        shown: Whether a row has a row in the output. Bool `[row]`.
        line: The number of each in its file, from 1; for messages. `[row]`.
    """

    texts: Sequence[str]
    at: Ints
    values: Floats
    shown: np.ndarray
    line: Ints

    def rows(self, which: slice) -> "Block":
        """Return some of the rows."""
        return Block(
            self.texts[which], self.at[which], self.values[which], self.shown[which],
            self.line[which],
        )  # fmt: skip


class Table(Protocol):
    """An input that may be read from its beginning, more than once."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns of values."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what people should know of how it was understood."""
        ...

    @property
    def timed(self) -> bool:
        """Return whether rows have times; else they are numbered, a second apart."""
        ...

    def blocks(self) -> Iterator[Block]:
        """Yield all rows in the order of the file.

        Raises:
            InputError: Something in it cannot be understood.
        """
        ...


def joined(blocks: Sequence[Block]) -> Block:
    """Return blocks, one at least, as one."""
    return Block(
        [text for block in blocks for text in block.texts],
        np.concatenate([block.at for block in blocks]),
        np.concatenate([block.values for block in blocks]),
        np.concatenate([block.shown for block in blocks]),
        np.concatenate([block.line for block in blocks]),
    )
