"""Tables of text, read in blocks: memory does not grow with the file.

Separators, quotes, a byte order mark and all three kinds of line ends are understood; what is not
UTF-8, holds a NUL byte or has lines without end is refused, with its line and what to do.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from homeostat.cli.detect_block import Block
from homeostat.cli.detect_cells import CellError, Floats, Ints, numbers, times
from homeostat.cli.detect_layout import EmptyError, InputError, Layout, Wanted, layout

BLOCK: Final = 1 << 18
"""Bytes that are read at a time."""
LONGEST: Final = 1 << 20
"""Bytes of a line at most: ten thousand columns fit, a file that is no table does not."""
_SAMPLE: Final = 100  # lines from which the layout is found out
_MARK: Final = b"\xef\xbb\xbf"
_WIDE: Final = (b"\xff\xfe", b"\xfe\xff")


class CsvTable:
    """A table of text in a file.

    Args:
        path: The file.
        wanted: What a person says of its columns.
        block: Bytes that are read at a time.

    Raises:
        InputError: It cannot be read, or is no table of numbers over time.
    """

    def __init__(self, path: Path, wanted: Wanted, *, block: int = BLOCK) -> None:
        self.path, self.block = path, block
        sample: list[str] = []
        for _, text in _lines(path, block):
            sample += text[: _SAMPLE - len(sample)]
            if len(sample) == _SAMPLE:
                break
        self.layout: Layout = layout(sample, str(path), wanted)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns of values."""
        return self.layout.names

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what people should know of how it was understood."""
        return self.layout.notes

    @property
    def timed(self) -> bool:
        """Return whether rows have times."""
        return self.layout.time is not None

    def blocks(self) -> Iterator[Block]:
        """Yield all rows; see `detect_block.Table`."""
        skip, count = self.layout.header, 0
        for first, lines in _lines(self.path, self.block):
            rows, places = _split(lines, first, self.layout, str(self.path))
            if skip and rows:
                rows, places, skip = rows[1:], places[1:], False
            if rows:
                yield read(rows, places, self.layout, str(self.path), count)
                count += len(rows)


def read(
    rows: Sequence[Sequence[str]], lines: Sequence[int], how: Layout, name: str, count: int
) -> Block:
    """Return rows of cells as a block.

    Args:
        rows: Cells; as wide as the layout.
        lines: The number of each row's line.
        how: The layout.
        name: What the file is called.
        count: Rows before these.

    Raises:
        InputError: A cell is not what its column holds.
    """
    by_column = list(zip(*rows, strict=True))
    at: Ints = np.arange(count, count + len(rows)) * 10**9
    texts: Sequence[str] = [str(number) for number in range(count, count + len(rows))]
    if how.time is not None:
        texts = [text.strip() for text in by_column[how.time]]
        try:
            at = times(texts, how.form)
        except CellError as error:
            raise InputError(
                f"{name}:{lines[error.place]}: {error.text!r} is no time as the first one is "
                f"({how.form.value}, 1823 to 2116); correct it, or remove the row"
            ) from None
    values: Floats = np.empty((len(rows), len(how.judged)))
    for place, column in enumerate(how.judged):
        try:
            values[:, place] = numbers(by_column[column], comma=how.comma)
        except CellError as error:
            raise InputError(
                f"{name}:{lines[error.place]}: {how.names[place]} is {error.text!r}, no number; "
                "correct it, leave it empty if it is not known, or choose columns with --columns"
            ) from None
    return Block(texts, at, values, np.ones(len(rows), dtype=bool), np.array(lines))


def _split(
    lines: Sequence[str], first: int, how: Layout, name: str
) -> tuple[list[list[str]], list[int]]:
    """Return the cells of lines, blank ones left out, and the line each row ends on."""
    reader = csv.reader(lines, delimiter=how.separator)
    rows, places = [], []
    try:
        for row in reader:
            if row:
                rows.append(row)
                places.append(first + reader.line_num - 1)
    except csv.Error as error:
        raise InputError(
            f"{name}:{first + reader.line_num}: {error}; is it a table of text?"
        ) from None
    for row, place in zip(rows, places, strict=True):
        if len(row) != how.width:
            raise InputError(
                f"{name}:{place}: {len(row)} cells where the first row has {how.width}: "
                f"{how.separator.join(row)[:60]!r}; {mended(len(row), how)}, or remove it"
            )
    return rows, places


def mended(cells: int, how: Layout) -> str:
    """Return how a row is put right that has fewer or more cells than the first one."""
    if cells < how.width:
        return "complete the row"
    over, mark = cells - how.width, "a tab" if how.separator == "\t" else how.separator
    return (
        f"{over} cell{'s' * (over != 1)} too many: put a cell that holds {mark} in double quotes, "
        f"or name all {cells} columns in the first row"
    )


def _lines(path: Path, block: int) -> Iterator[tuple[int, list[str]]]:
    """Yield lines in blocks, each with the number of its first line.

    Raises:
        InputError: The file cannot be read, or is no text.
    """
    try:
        with path.open("rb") as file:
            yield from _cut(file, str(path), block)
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder; give a file") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; check name and rights") from error


def _cut(file: BinaryIO, name: str, block: int) -> Iterator[tuple[int, list[str]]]:
    line, rest = 1, b""
    while data := file.read(block):
        rest += data
        if line == 1 and rest[:2] in _WIDE:
            raise InputError(f"{name}:1: is UTF-16; convert it: iconv -f UTF-16 -t UTF-8 IN > OUT")
        end = _whole(rest)
        if end:
            lines = _decoded(rest[:end], name, line)
            yield line, lines
            line, rest = line + len(lines), rest[end:]
        elif len(rest) > LONGEST:
            raise InputError(
                f"{name}:{line}: a line or a quoted cell is longer than {LONGEST:,} bytes; "
                "is it a table of text?"
            )
    if rest:
        yield line, _decoded(rest, name, line)


def _whole(data: bytes) -> int:
    """Return where the last whole row ends: at the end of a line, outside of quotes."""
    mark = b"\n" if b"\n" in data else b"\r"
    # A carriage return at the very end may be the first half of a line end.
    end = data.rfind(mark, 0, len(data) - (mark == b"\r"))
    while end >= 0 and data.count(b'"', 0, end) % 2:
        end = data.rfind(mark, 0, end)
    return end + 1


def _decoded(data: bytes, name: str, line: int) -> list[str]:
    if line == 1:
        data = data.removeprefix(_MARK)
    nul = data.find(b"\0")
    if nul >= 0:
        at = line + data.count(b"\n", 0, nul)
        raise InputError(f"{name}:{at}: holds a NUL byte, so it is no table of text")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        at = line + data.count(b"\n", 0, error.start)
        raise InputError(
            f"{name}:{at}: byte {data[error.start]:#04x} is not UTF-8; convert the file, "
            "for example: iconv -f LATIN1 -t UTF-8 IN > OUT"
        ) from None
    # Lines of bytes: `str` takes letters of some scripts and form feeds for ends of lines too.
    return [part.decode("utf-8") for part in data.splitlines()]


__all__ = ["BLOCK", "LONGEST", "CsvTable", "EmptyError", "mended", "read"]
