"""What a deployment recorded, as rows of numbers: the form that the twin is fitted to.

A frame comes from a CSV here, and may come from anything else that can name its columns (a range of
a time-series database, a log's format): `frame` is the door for all. NaN = not reported, never
zero; nothing is filled in, sorted or guessed. Files are read by the command line.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.base.errors import ConfigError, HomeostatError
from homeostat.twin.fit_window import UNDATED, Window, spanning, together

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MAX_BYTES: Final = 512 * 1024 * 1024
MAX_ROWS: Final = 2_000_000
COLUMNS: Final[Mapping[str, str]] = {
    "request_rate": "unique requests per second that arrived, all replicas",
    "attempt_rate": "attempts per second that arrived, retries counted, all replicas",
    "throughput": "requests (or tokens) per second that were served, all replicas",
    "error_rate": "requests per second that failed, all replicas",
    "in_flight": "requests in the system, waiting and served, all replicas",
    "queue": "requests that wait, all replicas",
    "running": "requests being served, all replicas",
    "batch_size": "requests per batch, mean of the batches of this row",
    "batch_limit": "largest batch that a replica may form",
    "service_s": "seconds that a batch (or a decoding step) took, mean of this row",
    "latency_p50_s": "median latency in seconds of the requests of this row",
    "latency_p95_s": "95th percentile of latency in seconds",
    "latency_p99_s": "99th percentile of latency in seconds",
    "replicas": "replicas that are ready",
    "replicas_starting": "replicas whose machine is there and whose model is loading",
    "replicas_wanted": "replicas that were asked for",
    "memory_gib": "host memory of the fullest replica, GiB",
}
TIME: Final = "timestamp"
_GAP: Final = 2.5  # a step so many times the usual one is a gap: nothing is carried over it
_WORST: Final = 1e12  # beyond it a value is a mistake of units, and squares would overflow
_SHOWN: Final = 40


class FitInputError(ConfigError):
    """Recorded metrics cannot be used as they are written.

    Attributes:
        file: Its name.
        line: From 1.
        column: The column's name, empty where the whole line is meant.
    """

    def __init__(self, file: str, line: int, column: str, problem: str) -> None:
        where = f"{file}:{line}: {column}: " if column else f"{file}:{line}: "
        super().__init__(where + problem)
        self.file, self.line, self.column = file, line, column


class NotIdentifiedError(HomeostatError):
    """The recorded metrics are sound, but they do not say what was asked of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Recorded metrics; a row stands for the time since the row before.

    Attributes:
        source: Where it is from, for people.
        sha256: Of the input, so that a fit names what it was fitted to.
        unit: What is served: `request` or `token`.
        time_s: Ascending, seconds; only differences matter [n].
        step_s: Seconds that each row stands for [n].
        segment: Number of the stretch without gaps that a row belongs to [n].
        columns: By the names of `COLUMNS`, NaN where not reported, [n] each.
        window: When it was recorded.
    """

    source: str
    sha256: str
    unit: str
    time_s: Floats
    step_s: Floats
    segment: Ints
    columns: Mapping[str, Floats] = field(repr=False)
    window: Window = UNDATED

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.time_s)

    @property
    def usual_step_s(self) -> float:
        """The median step."""
        return float(np.median(self.step_s))

    def has(self, *names: str) -> bool:
        """Return whether every one of the columns reports something."""
        return all(name in self.columns and bool(np.isfinite(self[name]).any()) for name in names)

    def __getitem__(self, name: str) -> Floats:
        """Return a column; NaN everywhere if it was not recorded.

        Raises:
            KeyError: There is no such column.
        """
        if name not in COLUMNS:
            raise KeyError(name)
        found = self.columns.get(name)
        return np.full(self.rows, np.nan) if found is None else found

    def take(self, rows: npt.NDArray[np.bool_]) -> "Frame":
        """Return some of the rows; each keeps its own step, and what is left out is a gap."""
        kept = np.flatnonzero(rows)
        broken = np.diff(kept, prepend=kept[:1]) > 1
        changed = np.diff(self.segment[kept], prepend=self.segment[kept][:1]) != 0
        return Frame(
            source=self.source,
            sha256=self.sha256,
            unit=self.unit,
            time_s=self.time_s[kept],
            step_s=self.step_s[kept],
            segment=np.cumsum(broken | changed),
            columns={name: values[kept] for name, values in self.columns.items()},
            window=self.window,
        )


def frame(
    *,
    source: str,
    sha256: str,
    time_s: Floats,
    columns: Mapping[str, Floats],
    unit: str = "request",
) -> Frame:
    """Return a frame of arrays; the door for sources other than a CSV.

    Args:
        source: Where it is from, for people.
        sha256: Of what was read.
        time_s: Strictly ascending, seconds [n].
        columns: By the names of `COLUMNS` [n]; NaN = not reported.
        unit: `request` or `token`.

    Raises:
        NotIdentifiedError: Fewer than two rows.
        ValueError: A column is unknown, has another length, or times do not ascend.
    """
    unknown = set(columns) - set(COLUMNS)
    if unknown or any(len(values) != len(time_s) for values in columns.values()):
        raise ValueError(f"unknown columns {sorted(unknown)}, or columns of different lengths")
    if len(time_s) < 2:  # noqa: PLR2004 - a step needs two times
        raise NotIdentifiedError(f"{source}: {len(time_s)} rows; nothing can be fitted to them")
    gaps = np.diff(time_s)
    if not bool((gaps > 0).all()):
        raise ValueError("times must ascend strictly")
    usual = float(np.median(gaps))
    long = gaps > _GAP * usual
    return Frame(
        source=source,
        sha256=sha256,
        unit=unit,
        time_s=np.asarray(time_s, float),
        # What a row after a gap says of the gap is not known: it stands for the usual step.
        step_s=np.concatenate([[usual], np.where(long, usual, gaps)]),
        segment=np.concatenate([[0], np.cumsum(long)]).astype(np.int64),
        columns={name: np.asarray(values, float) for name, values in columns.items()},
        window=spanning(float(time_s[0]), float(time_s[-1])),
    )


def joined(frames: Sequence[Frame]) -> Frame:
    """Return several recordings one after the other, each a stretch of its own.

    Raises:
        ValueError: They serve different units, or there is none.
    """
    if len({one.unit for one in frames}) != 1:
        raise ValueError("recordings of one unit are needed, at least one")
    names = {name for one in frames for name in one.columns}
    digest = hashlib.sha256("".join(one.sha256 for one in frames).encode()).hexdigest()
    begin, times, segments, last = 0.0, [], [], 0
    for one in frames:
        times.append(one.time_s - one.time_s[0] + begin)
        segments.append(one.segment + last)
        begin = float(times[-1][-1]) + 10.0 * _GAP * one.usual_step_s
        last = int(segments[-1][-1]) + 1
    return Frame(
        source=", ".join(one.source for one in frames),
        sha256=digest if len(frames) > 1 else frames[0].sha256,
        unit=frames[0].unit,
        time_s=np.concatenate(times),
        step_s=np.concatenate([one.step_s for one in frames]),
        segment=np.concatenate(segments),
        columns={name: np.concatenate([one[name] for one in frames]) for name in sorted(names)},
        window=together([one.window for one in frames]),
    )


def from_csv(data: bytes, file: str) -> Frame:
    """Return the frame that a CSV holds: `timestamp` and any of `COLUMNS`; empty = not reported.

    Args:
        data: The file's bytes, UTF-8, first line the columns' names.
        file: Its name, for messages.

    Raises:
        FitInputError: Something cannot be used; line, column and fix are named.
        NotIdentifiedError: It holds no rows, or one.
    """
    lines = _lines(data, file)
    names = _header(lines[0], file)
    rows = list(_rows(lines, names, file))
    table = np.asarray([values for _, values in rows], float).reshape(len(rows), len(names))
    place = names.index(TIME)
    times = table[:, place]
    back = np.flatnonzero(np.diff(times) <= 0)
    if len(back):
        raise FitInputError(
            file,
            rows[int(back[0]) + 1][0],
            TIME,
            "not later than the row before; sort by time and keep one row of each time",
        )
    return frame(
        source=file,
        sha256=hashlib.sha256(data).hexdigest(),
        time_s=times,
        columns={name: table[:, k] for k, name in enumerate(names) if name != TIME},
    )


def _lines(data: bytes, file: str) -> list[str]:
    if len(data) > MAX_BYTES:
        raise FitInputError(file, 1, "", f"{len(data)} bytes; at most {MAX_BYTES} are read. Cut it")
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise FitInputError(
            file, 1, "", f"not UTF-8 (byte {error.start}); save it as UTF-8"
        ) from error
    if not lines:
        raise NotIdentifiedError(f"{file}: empty; it needs a header and rows")
    if len(lines) - 1 > MAX_ROWS:
        raise FitInputError(file, MAX_ROWS + 2, "", f"more than {MAX_ROWS} rows; cut or thin it")
    return lines


def _header(line: str, file: str) -> list[str]:
    names = [cell.strip().lower() for cell in line.split(",")]
    for name in names:
        if name != TIME and name not in COLUMNS:
            close = get_close_matches(name, COLUMNS, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(COLUMNS)}"
            raise FitInputError(file, 1, name[:_SHOWN], f"unknown column; {hint}")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise FitInputError(file, 1, twice[0], "named twice; keep one of them")
    if TIME not in names:
        raise FitInputError(file, 1, TIME, "missing; every row needs its time")
    return names


def _rows(
    lines: Sequence[str], names: Sequence[str], file: str
) -> Iterator[tuple[int, list[float]]]:
    for number, text in enumerate(lines[1:], start=2):
        cells = text.split(",")
        if len(cells) != len(names):
            raise FitInputError(
                file, number, "", f"{len(cells)} cells, expected {len(names)}; fix the row"
            )
        yield (
            number,
            [
                _time(cell, file, number) if name == TIME else _value(cell, name, file, number)
                for name, cell in zip(names, cells, strict=True)
            ],
        )


def _value(cell: str, name: str, file: str, line: int) -> float:
    if not cell or cell.isspace():
        return math.nan
    try:
        value = float(cell)
    except ValueError as error:
        raise FitInputError(
            file, line, name, f"{cell.strip()[:_SHOWN]!r} is no number; leave it empty if unknown"
        ) from error
    if value < 0 or value > _WORST:  # NaN is neither: it says `not reported`
        raise FitInputError(
            file, line, name, f"{cell.strip()[:_SHOWN]} cannot be; 0 to {_WORST:g} can, or empty"
        )
    return value


def _time(cell: str, file: str, line: int) -> float:
    text = cell.strip()
    try:
        value = float(text)
    except ValueError:
        plain = text.removesuffix("Z").removesuffix("+00:00").replace(" ", "T", 1)
        try:  # NumPy knows more words than dates: `now` and `today` would ask the clock
            date = np.datetime64(plain, "ns") if plain[:4].isdigit() else np.datetime64("NaT")
            value = math.nan if np.isnat(date) else float(date.astype(np.int64)) * 1e-9
        except ValueError:
            value = math.nan
    if not math.isfinite(value) or abs(value) > _WORST:
        raise FitInputError(
            file, line, TIME, f"{text[:_SHOWN]!r}; seconds or YYYY-MM-DDTHH:MM:SS (UTC) is needed"
        )
    return value
