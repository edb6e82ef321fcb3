"""Recorded load as demand: rows of a file in, rates out, replayed faster or slower, and scaled.

Read are the Azure LLM trace (a request per row), WorldCup98 (a count per minute), Mooncake (a
request per JSON line, milliseconds) and a CSV of one's own with `timestamp,value` (a rate, 1/s) or
`timestamp,requests` (a count since the row before). Bytes in: files are read by the command line.
A row that is missing, negative or out of order is refused with its line. Counts per minute may lack
three minutes in a row, as the log of the World Cup does: they are drawn as a straight line between
their neighbours, for a gap is not zero.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from homeostat.lab.deployment_build import rounded
from homeostat.lab.scenario_errors import DrawError, TraceError, shown
from homeostat.twin.shapes import LOAD_KNOTS

MAX_BYTES: Final = 256 * 1024 * 1024
MAX_ROWS: Final = 20_000_000
_LATEST_MS: Final = 1e18  # a number of JSON may have any size, also one that no float holds
_STEP_S: Final = 1.0  # requests are counted per second at the finest
_FEWEST: Final = 2
_GAP_MIN: Final = 3  # the longest gap of the World Cup's log, 1998-05-17 09:42 to 09:46
_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d(?:\.\d+)?)(?:Z|\+00:00)?\Z"
)
_DAYS_BEFORE: Final = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A recorded load.

    Attributes:
        name: As scenarios call it.
        step_s: Seconds that one rate stands for.
        rps: Requests per second [n].
    """

    name: str
    step_s: float
    rps: np.ndarray

    @property
    def length_s(self) -> float:
        """How long it lasts."""
        return self.step_s * len(self.rps)


def read(data: bytes, file: str, name: str) -> Recorded:
    """Return the load that a file records; its form is told by its first line.

    Args:
        data: The file's bytes.
        file: Its name, for messages.
        name: As scenarios are to call it.

    Raises:
        TraceError: It is in no known form, or a row cannot be used; file, line and fix are named.
    """
    if len(data) > MAX_BYTES:
        raise TraceError(file, 1, f"{len(data)} bytes; at most {MAX_BYTES} are read. Cut it")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TraceError(file, 1, f"not UTF-8 (byte {error.start}); save it as UTF-8") from error
    lines = text.splitlines()
    if not lines:
        raise TraceError(file, 1, "empty; it needs a header and rows")
    if lines[0].lstrip().startswith("{"):
        return _events(name, _json_times(lines, file), file)
    header = tuple(cell.strip().lower() for cell in lines[0].split(","))
    form = _FORMS.get(header)
    if form is None:
        known = "; ".join(",".join(columns) for columns in _FORMS)
        raise TraceError(file, 1, f"columns {shown(lines[0])} are not known; one of: {known}")
    return form(name, lines, file)


def replay(
    recorded: Recorded, *, length_s: float, mean_rps: float, compress: float, where: float
) -> np.ndarray:
    """Return a window of a recorded load as knots, 1/s [LOAD_KNOTS].

    Rates are averaged over the time between two knots, so that no request is lost between them;
    bursts that are shorter (14 s in an episode of an hour, 56 s in four) are lost.

    Args:
        recorded: The load.
        length_s: Of the episode.
        mean_rps: What the window's mean is scaled to.
        compress: Seconds of the record per second of the episode.
        where: Which window, 0 the first and 1 the last one that fits.

    Raises:
        DrawError: The record is shorter than the episode needs, or empty in that window.
    """
    needed_s = length_s * compress
    slack_s = recorded.length_s - needed_s
    if slack_s < -recorded.step_s / 2:
        raise DrawError(
            f"recorded load {recorded.name!r} lasts {recorded.length_s:.0f} s and {needed_s:.0f} s "
            f"are needed; lower load.compress to {recorded.length_s / length_s:.3g} or length_s"
        )
    begin_s = max(0.0, slack_s) * min(max(where, 0.0), 1.0)
    total = np.concatenate([[0.0], np.cumsum(recorded.rps)]) * recorded.step_s
    edges_s = np.arange(len(total)) * recorded.step_s
    spacing_s = needed_s / (LOAD_KNOTS - 1)
    # Every knot stands for the time around it; the first and the last one for half of that.
    marks_s = begin_s + np.clip((np.arange(LOAD_KNOTS + 1) - 0.5) * spacing_s, 0.0, needed_s)
    served = np.diff(np.interp(marks_s, edges_s, total)) / np.diff(marks_s)
    weights = np.diff(marks_s)
    mean = float(np.sum(served * weights) / np.sum(weights))
    if mean <= 0:
        raise DrawError(
            f"recorded load {recorded.name!r} has no requests from {begin_s:.0f} s to "
            f"{begin_s + needed_s:.0f} s; use a busier part of it"
        )
    return np.asarray([rounded(float(rate)) for rate in served * (mean_rps / mean)], np.float32)


def _azure(name: str, lines: list[str], file: str) -> Recorded:
    """A request per row; only its time counts here."""
    return _events(name, _times(lines, file, columns=3), file)


def _per_minute(name: str, lines: list[str], file: str) -> Recorded:
    """A count per minute; up to three minutes without a row lie on a line between their neighbours.

    Raises:
        TraceError: More minutes in a row are missing, or a row cannot be used.
    """
    rows = list(_rows(lines, file, columns=2))
    begin = rows[0][1]
    minutes = [round((at - begin) / 60.0) for _, at, _ in rows]
    _bounded(minutes[-1] + 1, "minutes", file, rows[-1][0])
    rps = np.zeros(minutes[-1] + 1)
    before = 0
    for (line, _, cells), minute in zip(rows, minutes, strict=True):
        missing = minute - before - 1
        if missing > _GAP_MIN:
            raise TraceError(
                file,
                line,
                f"{missing} minutes before this row are missing; a gap is not zero: write a row "
                "with count 0 for each minute without requests, or cut the record there",
            )
        rps[minute] += _amount(cells[0], file, line) / 60.0
        before = minute
    return Recorded(name=name, step_s=60.0, rps=_bridged(rps, np.unique(minutes)))


def _bridged(rps: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return rates [n] with a straight line where no minute is known."""
    return np.asarray(np.interp(np.arange(len(rps)), known, rps[known]))


def _rates(name: str, lines: list[str], file: str) -> Recorded:
    """A rate per row, which holds until the next one."""
    return _held(name, lines, file, counts=False)


def _counts(name: str, lines: list[str], file: str) -> Recorded:
    """A count per row, of the requests since the row before."""
    return _held(name, lines, file, counts=True)


def _held(name: str, lines: list[str], file: str, *, counts: bool) -> Recorded:
    rows = list(_rows(lines, file, columns=2))
    at = np.asarray([time for _, time, _ in rows])
    amounts = np.asarray([_amount(cells[0], file, line) for line, _, cells in rows])
    steps = np.diff(at)
    if np.any(steps <= 0):
        line = rows[int(np.argmax(steps <= 0)) + 1][0]
        raise TraceError(file, line, "the same time twice; keep one row of each time")
    step_s = float(np.min(steps))
    steps_there = float((at[-1] - at[0]) / step_s)
    _bounded(steps_there, f"steps of {step_s:g} s", file, rows[int(np.argmin(steps)) + 1][0])
    grid = at[0] + step_s * np.arange(round(steps_there) + (0 if counts else 1))
    if counts:  # row i counts what came since row i - 1
        held = (amounts[1:] / steps)[np.searchsorted(at[1:-1], grid, side="right")]
    else:
        held = amounts[np.searchsorted(at[1:], grid, side="right")]
    return Recorded(name=name, step_s=step_s, rps=held)


_FORMS: Final[Mapping[tuple[str, ...], Callable[[str, list[str], str], Recorded]]] = {
    ("timestamp", "contexttokens", "generatedtokens"): _azure,
    ("period", "count"): _per_minute,
    ("timestamp", "value"): _rates,
    ("timestamp", "requests"): _counts,
}


def _events(name: str, times: Iterator[tuple[int, float]], file: str) -> Recorded:
    """Return single requests as counts per second.

    Raises:
        TraceError: There are too few.
    """
    at = np.asarray([time for _, time in times])
    if len(at) < _FEWEST:
        raise TraceError(file, 1, f"{len(at)} requests; a load needs at least {_FEWEST}")
    _bounded(float(at[-1] - at[0]), "seconds from the first request to the last", file, 1)
    seconds = np.floor((at - at[0]) / _STEP_S).astype(np.int64)
    return Recorded(name=name, step_s=_STEP_S, rps=np.bincount(seconds) / _STEP_S)


def _bounded(count: float, what: str, file: str, line: int) -> None:
    """Refuse a record that would fill the memory with time in which nothing was recorded.

    Raises:
        TraceError: It would.
    """
    if not count <= MAX_ROWS:
        raise TraceError(
            file,
            line,
            f"{count:g} {what}, at most {MAX_ROWS} are read; cut it or record it coarser",
        )


def _times(lines: list[str], file: str, *, columns: int) -> Iterator[tuple[int, float]]:
    for line, time, _ in _rows(lines, file, columns=columns):
        yield line, time


def _rows(lines: list[str], file: str, *, columns: int) -> Iterator[tuple[int, float, list[str]]]:
    """Yield line number, time and the other cells of each row, in order.

    Raises:
        TraceError: A row has another number of cells, no time, or is older than the one before.
    """
    before, seen = -math.inf, 0
    for number, text in enumerate(lines[1:], start=2):
        if not text.strip():
            raise TraceError(file, number, "an empty row; remove it or fill it in")
        cells = [cell.strip() for cell in text.split(",")]
        if len(cells) != columns:
            raise TraceError(file, number, f"{len(cells)} cells, expected {columns}; {shown(text)}")
        time = _time(cells[0], file, number)
        if time < before:
            raise TraceError(file, number, f"{cells[0]} is older than the row before; sort by time")
        before, seen = time, seen + 1
        if seen > MAX_ROWS:
            raise TraceError(file, number, f"more than {MAX_ROWS} rows; cut or thin it")
        yield number, time, cells[1:]
    if seen < _FEWEST:
        raise TraceError(file, len(lines), f"{seen} rows; a load needs at least {_FEWEST}")


def _json_times(lines: list[str], file: str) -> Iterator[tuple[int, float]]:
    before = -math.inf
    for number, text in enumerate(lines, start=1):
        try:
            value = json.loads(text).get("timestamp")
        except (ValueError, AttributeError, RecursionError) as error:
            raise TraceError(file, number, f"no JSON object ({shown(text)}); remove it") from error
        known = not isinstance(value, bool) and isinstance(value, int | float)
        if not (known and 0 <= value <= _LATEST_MS):
            raise TraceError(
                file, number, f"timestamp {shown(value)}; milliseconds from 0 are needed"
            )
        time = value / 1000.0
        if not math.isfinite(time) or time < before:
            raise TraceError(file, number, f"timestamp {value} is out of order; sort by time")
        before = time
        yield number, time


def _amount(cell: str, file: str, line: int) -> float:
    """Return a rate or a count.

    Raises:
        TraceError: It is missing, no finite number, or negative.
    """
    try:
        value = float(cell)
    except ValueError as error:
        what = "missing" if not cell else f"{shown(cell)} is no number"
        raise TraceError(file, line, f"{what}; a gap is not zero: fill it in or cut it") from error
    if not math.isfinite(value) or value < 0:
        raise TraceError(file, line, f"{cell} cannot be a load; a finite number from 0 is needed")
    return value


def _time(cell: str, file: str, line: int) -> float:
    """Return seconds: of a number as it is, of a date and time since 1970 (UTC).

    Raises:
        TraceError: It is neither.
    """
    match = _TIME.match(cell)
    if match:
        year, month, day, hour, minute = (int(match[i]) for i in range(1, 6))
        if 1 <= month <= len(_DAYS_BEFORE) and day >= 1:
            return _days(year, month, day) * 86400.0 + hour * 3600 + minute * 60 + float(match[6])
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise TraceError(
            file, line, f"time {shown(cell)}; seconds or YYYY-MM-DD HH:MM:SS (UTC) is needed"
        )
    return value


def _days(year: int, month: int, day: int) -> int:
    """Return days since 1970-01-01 in the Gregorian calendar (no clock is involved)."""
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    before = year - 1
    days = 365 * before + before // 4 - before // 100 + before // 400
    days += _DAYS_BEFORE[month - 1] + (1 if leap and month > _FEWEST else 0) + day - 1
    return days - 719162
