"""NPZ files: `train` is learnt from, and each row of `test` has a row in the output.

Arrays are `[row]` or `[row, column]`. Times are `test_ts` and `train_ts` (or `timestamp`), numbers
since the epoch; without them rows are numbered. Labels are not looked at. A file with one array
alone is judged whole, whatever the array is called. Nothing in a file is run: arrays of objects are
refused.
"""

import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from homeostat.cli.detect_block import Block
from homeostat.cli.detect_cells import MOST_NS, Floats, Ints, unit_ns
from homeostat.cli.detect_layout import LABELS, EmptyError, InputError, Wanted

_ROWS: Final = 4096  # of a block
_NAMES: Final = ("columns", "names", "features")
_TIMES: Final = ("test_ts", "ts", "timestamp", "timestamps", "time", "test_timestamp")
_TRAIN_TIMES: Final = ("train_ts", "train_timestamp")
# What NumPy and the zip module raise on a file that is damaged, or something else altogether.
_DAMAGE: Final = (
    OSError, ValueError, TypeError, KeyError, EOFError, RuntimeError, NotImplementedError,
    MemoryError, OverflowError, SyntaxError, zipfile.BadZipFile, zlib.error, struct.error,
)  # fmt: skip


class ArrayTable:
    """An NPZ file; its arrays are in memory while they are read.

    Args:
        path: The file.
        wanted: What a person says of its columns.

    Raises:
        InputError: It cannot be read, or its arrays are of no use.
    """

    def __init__(self, path: Path, wanted: Wanted) -> None:
        self.path, self._wanted = path, wanted
        self.columns, self.notes, rows = self._read()
        self.timed = rows.timed

    def blocks(self) -> Iterator[Block]:
        """Yield all rows; see `detect_block.Table`."""
        whole = self._read()[2].block
        for start in range(0, len(whole.at), _ROWS):
            yield whole.rows(slice(start, min(start + _ROWS, len(whole.at))))

    def _read(self) -> tuple[tuple[str, ...], tuple[str, ...], "_Whole"]:
        """Return the names of the columns, notes, and all rows."""
        path, arrays = self.path, _arrays(self.path)
        main = _main(arrays, path)
        test = _matrix(arrays[main], path, main)
        train, notes = test[:0], list[str]()
        if "train" in arrays and main != "train":
            train = _matrix(arrays["train"], path, "train")
            notes.append(
                f"learnt from {len(train):,} rows of train: they have no row in the output"
            )
        if train.shape[1] != test.shape[1]:
            raise InputError(
                f"{path}: train has {train.shape[1]} columns and {main} {test.shape[1]}; "
                "give both the same"
            )
        names = _names(arrays, test.shape[1], path)
        chosen = _chosen(names, self._wanted, path)
        values: Floats = np.concatenate([train, test])[:, chosen]
        texts, at, timed = _times(arrays, path, len(train), len(test))
        number = np.arange(len(values))
        rows = Block(texts, at, values, number >= len(train), number + 1)
        return tuple(names[place] for place in chosen), tuple(notes), _Whole(rows, timed)


class _Whole(NamedTuple):
    """All rows, and whether they have times."""

    block: Block
    timed: bool


def _arrays(path: Path) -> Mapping[str, np.ndarray]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except _DAMAGE as error:
        raise InputError(
            f"{path}: is no NPZ file of numbers ({error}); write one with numpy.savez"
        ) from error


def _main(arrays: Mapping[str, np.ndarray], path: Path) -> str:
    """Return the name of the array whose rows are judged."""
    if "test" in arrays:
        return "test"
    known = {*_NAMES, *_TIMES, *_TRAIN_TIMES, *LABELS}
    others = [name for name in arrays if name not in known and not name.endswith("label")]
    if len(others) == 1:
        return others[0]
    raise InputError(
        f"{path}: no array `test` (there are: {', '.join(arrays) or 'none'}); "
        "write train and test with numpy.savez"
    )


def _matrix(array: np.ndarray, path: Path, name: str) -> Floats:
    if array.ndim not in {1, 2} or array.dtype.kind not in "biuf":
        raise InputError(
            f"{path}: {name} is {array.dtype}{list(array.shape)}; "
            "give numbers as [row] or [row, column]"
        )
    table: Floats = array.astype(float)
    table = table[:, None] if table.ndim == 1 else table
    if not table.shape[1]:
        raise EmptyError(f"{path}: {name} has no column; give one at least")
    return table


def _names(arrays: Mapping[str, np.ndarray], width: int, path: Path) -> list[str]:
    for known in _NAMES:
        if known in arrays:
            names = [str(name) for name in arrays[known].reshape(-1)]
            if len(names) != width or len({*names}) != width:
                raise InputError(
                    f"{path}: {known} has {len({*names})} different names for {width} columns; "
                    "give one for each"
                )
            return names
    return ["value"] if width == 1 else [f"column_{place + 1}" for place in range(width)]


def _chosen(names: list[str], wanted: Wanted, path: Path) -> list[int]:
    for one in wanted.columns:
        if one not in names:
            raise InputError(
                f"{path}: no column is called {one!r} (there are: {', '.join(names[:12])}); "
                "correct --columns"
            )
    return [names.index(one) for one in wanted.columns] or list(range(len(names)))


def _times(
    arrays: Mapping[str, np.ndarray], path: Path, train: int, test: int
) -> tuple[list[str], Ints, bool]:
    """Return the times of train and test, as text and in nanoseconds, and if there are any."""
    own = next((name for name in _TIMES if name in arrays), None)
    before = next((name for name in _TRAIN_TIMES if name in arrays), None)
    if own is None or (train and before is None):
        numbers = np.arange(-train, test)
        return [str(one) for one in numbers], numbers * 10**9, False
    parts = [arrays[own]] if not train or before is None else [arrays[before], arrays[own]]
    stamps = np.concatenate([part.reshape(-1) for part in parts])
    if len(stamps) != train + test or stamps.dtype.kind not in "iuf":
        raise InputError(
            f"{path}: {own} has {len(stamps)} times of {stamps.dtype} for {train + test} rows; "
            "give one number for each row"
        )
    if not np.isfinite(stamps).all():
        raise InputError(f"{path}: {own} holds times that are no numbers; correct them")
    unit = unit_ns(float(stamps[0])) if len(stamps) else 1
    whole = np.issubdtype(stamps.dtype, np.integer)
    if len(stamps) and float(np.abs(stamps.astype(float)).max()) * unit > MOST_NS:
        raise InputError(f"{path}: {own} holds times outside of 1823 to 2116; correct them")
    at = stamps.astype(np.int64) * unit if whole else np.round(stamps * unit).astype(np.int64)
    return [str(one) for one in stamps.tolist()], at, True
