"""Which files are inputs, and how each is opened."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from homeostat.cli.detect_block import Table
from homeostat.cli.detect_csv import CsvTable
from homeostat.cli.detect_layout import InputError, Wanted

TEXT: Final = (".csv", ".tsv", ".txt")
ARRAYS: Final = (".npz",)
PARQUET: Final = (".parquet", ".pq")
JOURNALS: Final = (".db", ".sqlite")
"""Journals of controllers: read where one is named, and not in a folder."""


def table(path: Path, wanted: Wanted) -> Table:
    """Return an input that is ready to be read.

    Raises:
        InputError: It is not there, or nothing that can be read.
    """
    if not path.exists():
        raise InputError(f"{path}: is not there; check the name")
    match path.suffix.lower():
        case ".npz":
            from homeostat.cli.detect_arrays import ArrayTable

            return ArrayTable(path, wanted)
        case ".parquet" | ".pq":
            from homeostat.cli.detect_parquet import ParquetTable

            return ParquetTable(path, wanted)
        case ending if ending in JOURNALS:
            from homeostat.cli.detect_journal import JournalTable

            return JournalTable(path, wanted)
        case _:
            return CsvTable(path, wanted)


def inputs(given: Path, output: Path) -> list[Path]:
    """Return the files to judge: the one that is given, or all of a folder and those in it.

    Args:
        given: A file or a folder.
        output: Where outputs go; what is in there is no input.

    Raises:
        InputError: There is none.
    """
    if not given.exists():
        raise InputError(f"{given}: is not there; check --input")
    if not given.is_dir():
        return [given]
    found = sorted(_under(given, output))
    if not found:
        known = ", ".join((*TEXT, *ARRAYS, *PARQUET))
        raise InputError(f"{given}: holds no file to judge ({known}); check --input")
    return found


def outputs(paths: Sequence[Path], given: Path, output: Path) -> list[Path]:
    """Return where the output of each input goes: under the same path below another folder.

    Inputs that differ in their ending alone keep it: `a.npz` and `a.csv` become `a.npz.csv` and
    `a.csv.csv`.

    Raises:
        InputError: An output would take the place of an input.
    """
    if not given.is_dir():
        into = output / f"{given.stem}.csv" if output.is_dir() else output
        found = [into]
    else:
        if output.exists() and not output.is_dir():
            raise InputError(
                f"{output}: is a file, and {given} a folder; give a folder as --output"
            )
        below = [path.relative_to(given) for path in paths]
        stems = Counter(path.with_suffix("") for path in below)
        found = [
            output
            / (path.with_suffix(".csv") if stems[path.with_suffix("")] == 1 else f"{path}.csv")
            for path in below
        ]
    known = {path.resolve() for path in paths}
    for path in found:
        if path.resolve() in known:
            raise InputError(f"{path}: is an input; choose another --output")
    return found


def _under(folder: Path, output: Path) -> Iterator[Path]:
    """Yield files of known kinds; hidden ones and earlier outputs are left alone."""
    inside = output.resolve() != folder.resolve()
    for path in folder.rglob("*"):
        if inside and output.resolve() in path.resolve().parents:
            continue
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in {*TEXT, *ARRAYS, *PARQUET} and not path.is_dir() and not hidden:
            yield path
