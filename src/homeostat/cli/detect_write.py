"""What the stack says of rows, as lines of text; whole under its name, or not there at all.

Lines go into a part file beside the output, which gets its name when the last one is in it. A
number that is not known is an empty cell; `anomaly_score` alone is always a number, 0 where nothing
could be judged, because what reads scores wants one for each row: `verdict` says which zeros are
unknown.
"""

import csv
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

import numpy as np

from homeostat.base.errors import ConfigError
from homeostat.base.evidence import Verdict
from homeostat.cli.detect_block import Block
from homeostat.detect.stack import Said

HEAD: Final = ("timestamp", "anomaly_score", "neg_log10_p", "alarm", "verdict")
"""Columns of the output; `contribution_<column>` follow where there are several columns."""


def head(columns: Sequence[str], parts: Sequence[str] = ()) -> str:
    r"""Return the first line of an output.

    Args:
        columns: Names of the columns of values.
        parts: Names of what is said apart; see `Said.each`.

    >>> head(["cpu", "a,b"])
    'timestamp,anomaly_score,neg_log10_p,alarm,verdict,contribution_cpu,"contribution_a,b"\n'
    >>> head(["cpu"], ["ewma"]).strip().partition("verdict,")[2]
    'ewma_anomaly_score,ewma_neg_log10_p,ewma_alarm,ewma_verdict'
    """
    names = [*HEAD, *(f"contribution_{name}" for name in columns if len(columns) > 1)]
    names += [f"{part}_{one}" for part in parts for one in HEAD[1:]]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(names)
    return text.getvalue()


def lines(texts: Sequence[str], said: Said) -> list[str]:
    """Return one line for each row.

    Args:
        texts: The rows' times as the input has them.
        said: Of one entity, time first: `[row]`, contributions `[row, column]`.
    """
    score = np.where(np.isnan(said.anomaly_score), 0.0, said.anomaly_score).tolist()
    evidence = said.neg_log10_p.tolist()
    alarm, verdict = said.alarm.tolist(), verdicts(said)
    out = [
        f"{text},{one:.9g},{_known(p)},{a:d},{v}"
        for text, one, p, a, v in zip(texts, score, evidence, alarm, verdict, strict=True)
    ]
    if said.contributions.shape[1] > 1:
        shares = said.contributions.tolist()
        out = [
            f"{line},{','.join(_known(share) for share in row)}"
            for line, row in zip(out, shares, strict=True)
        ]
    if not said.each.shape[1]:
        return out
    return [f"{line},{_apart(row)}" for line, row in zip(out, said.each.tolist(), strict=True)]


def unread(columns: int, parts: int) -> str:
    """Return what follows the time of a row that could not be read.

    Args:
        columns: How many there are.
        parts: How many things are said apart.

    >>> unread(2, 0), unread(1, 1)
    ('0,,0,unknown,,', '0,,0,unknown,0,,0,unknown')
    """
    return "0,,0,unknown" + "," * columns * (columns > 1) + ",0,,0,unknown" * parts


def _apart(parts: Sequence[Sequence[float]]) -> str:
    """Return the cells of what is said apart: `[part, 4]`, see `Said.each`."""
    cells = []
    for score, evidence, alarm, active in parts:
        known = _known(evidence)
        word = (Verdict.ANOMALOUS if active else Verdict.HEALTHY) if known else Verdict.UNKNOWN
        cells.append(f"{score if known else 0.0:.9g},{known},{alarm:.0f},{word.value}")
    return ",".join(cells)


def verdicts(said: Said) -> list[str]:
    """Return each row's verdict; a row that could not be judged is unknown, whatever goes on."""
    words = [
        Verdict.UNKNOWN if unknown else Verdict.ANOMALOUS if active else Verdict.HEALTHY
        for unknown, active in zip(said.unknown.tolist(), said.active.tolist(), strict=True)
    ]
    return [word.value for word in words]


class Sink:
    """An output that is being written.

    Args:
        path: Its final name.
        columns: Names of the columns of values.
        sort: Lines come in another order than that of the input, whose order they get.
        begun: Bytes of a part file to go on with; None = begin.
        parts: Names of what is said apart.
        run: Which run writes it; see `part_of`.

    Raises:
        ConfigError: It cannot be written.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[str],
        *,
        sort: bool = False,
        begun: int | None = None,
        parts: Sequence[str] = (),
        run: str = "",
    ) -> None:
        self.path, self.part = path, part_of(path, run)
        self._sort, self._kept = sort, list[tuple[int, str]]()
        with _named(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if begun is None:
                self._file: IO[bytes] = self.part.open("wb")
                self._file.write(head(columns, parts).encode())
            else:
                self._file = self.part.open("r+b")
                self._file.truncate(begun)
                self._file.seek(begun)

    def write(self, block: Block, said: Said) -> None:
        """Write rows; the order of the input's lines is restored at the end where it is asked."""
        made = lines(block.texts, said)
        if self._sort:
            self._kept += zip(block.line.tolist(), made, strict=True)
        else:
            self._put(made)

    def flush(self) -> int:
        """Return how many bytes are surely on the disk."""
        with _named(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())
            return self._file.tell()

    def finish(self) -> None:
        """Give the output its name."""
        self._put([line for _, line in sorted(self._kept, key=lambda one: one[0])])
        self.flush()
        self._file.close()
        with _named(self.path):
            self.part.replace(self.path)

    def abandon(self, *, keep: bool = False) -> None:
        """Leave nothing, or the part file alone for a later run to go on with."""
        with suppress(OSError):  # what is in its buffer is not wanted
            self._file.close()
        if not keep:
            self.part.unlink(missing_ok=True)

    def _put(self, made: Sequence[str]) -> None:
        if made:
            with _named(self.path):
                self._file.write(("\n".join(made) + "\n").encode())


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Name the output where writing fails, for example because the disk is full."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}; make room there, or choose another --output"
        ) from error


def part_of(path: Path, run: str = "") -> Path:
    """Return where an output is written until it is whole.

    Args:
        path: The output.
        run: What tells runs apart that write to it, so that none takes the part of another.

    >>> part_of(Path("out/a.csv")).name, part_of(Path("out/a.csv"), "1f").name
    ('.a.csv.part', '.a.csv.1f.part')
    """
    return path.with_name(f".{path.name}.{run}.part" if run else f".{path.name}.part")


def page_of(output: Path) -> Path:
    """Return where the page with the picture of an output goes.

    >>> page_of(Path("out/a.csv")).as_posix()
    'out/a.html'
    """
    return output.with_suffix(".html") if output.suffix else output.with_name(f"{output.name}.html")


def _known(value: float) -> str:
    return "" if value != value else f"{value:.6g}"  # noqa: PLR0124 - not NaN


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        ConfigError: It cannot be written.
    """
    part = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; choose another place") from error
