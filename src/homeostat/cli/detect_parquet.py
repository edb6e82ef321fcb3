"""Parquet files, a batch of rows at a time, where PyArrow is installed.

PyArrow is large and used for nothing else, so it is an extra: without it a
Parquet file is refused with what to install. Cells go through the same reading as those of text, so
that columns, times, labels and what stands for nothing mean the same.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np

from homeostat.cli.detect_block import Block
from homeostat.cli.detect_csv import read
from homeostat.cli.detect_layout import InputError, Layout, Wanted, layout_of

_ROWS: Final = 4096  # of a batch
_SAMPLE: Final = 100


class ParquetTable:
    """A Parquet file.

    Args:
        path: The file.
        wanted: What a person says of its columns.

    Raises:
        InputError: PyArrow is missing, or the file cannot be read.
    """

    def __init__(self, path: Path, wanted: Wanted) -> None:
        if find_spec("pyarrow") is None:
            raise InputError(
                f"{path}: reading Parquet needs PyArrow; `pip install 'homeostat[parquet]'` "
                "brings it, or write the table as CSV"
            )
        self.path = path
        self._file = _opened(path)
        names = [str(name) for name in self._file.schema_arrow.names]
        sample = next(self._rows(_SAMPLE), [])
        self.layout: Layout = layout_of(names, sample, str(path), wanted)

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
        count = 0
        for rows in self._rows(_ROWS):
            lines = range(count + 1, count + len(rows) + 1)
            yield read(rows, lines, self.layout, str(self.path), count)
            count += len(rows)

    def _rows(self, most: int) -> Iterator[list[Sequence[str]]]:
        try:
            for batch in self._file.iter_batches(batch_size=most):
                columns = [_texts(column) for column in batch.columns]
                if batch.num_rows:
                    yield list(zip(*columns, strict=True))
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path}: is damaged ({error}); write it again") from error


def _opened(path: Path) -> Any:
    try:
        return import_module("pyarrow.parquet").ParquetFile(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: is no Parquet file ({error}); check the name") from error


def _texts(column: Any) -> list[str]:
    kind = str(column.type)
    if not kind.startswith("timestamp[ns"):
        return [_text(cell) for cell in column.to_pylist()]
    # Python has no time finer than a microsecond, and PyArrow refuses to make one of such a time.
    at = column.to_numpy(zero_copy_only=False)
    zone = "+00:00" if "tz=" in kind else ""
    shown = np.datetime_as_string(at).tolist()
    return ["" if text == "NaT" else f"{text.replace('T', ' ')}{zone}" for text in shown]


def _text(cell: Any) -> str:
    match cell:
        case None:
            return ""
        case float():
            return repr(cell)
        case datetime() | date():
            return cell.isoformat(*([" "] if isinstance(cell, datetime) else []))
        case _:
            return str(cell)
