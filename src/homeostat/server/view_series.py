"""A ring of the last minutes of chosen series of one deployment, for charts.

All series of a deployment share one time axis (the ticks), so that a chart needs no join. Values
are single precision: these are for eyes; decisions rest on journaled evidence, never on this.
A tick on which a series was not read is a gap (NaN, verdict unknown), never zero.
"""

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypedDict

from homeostat.base import names
from homeostat.base.types import Evidence, Reading, TimeNs, Verdict
from homeostat.base.units import SECOND

CAPACITY: Final = 900
"""Ticks kept: 15 minutes at one tick a second."""

MAX_SERIES: Final = 256
"""Series kept per deployment: 11.7 kB each, so at most 3 MB."""

CHOSEN: Final = frozenset({
    names.ARRIVAL_RATE,
    names.ERROR_RATIO,
    names.REFUSED_RATIO,
    names.LATENCY_P95,
    names.PROBE_LATENCY,
    names.MEMORY_SHARE,
    names.DEVICE_MEMORY_SHARE,
    names.DEVICE_SHARE,
    names.DEVICE_TIME,
    names.BATCH_SIZE,
    names.QUEUE_LENGTH,
    names.PREDICTION_SHIFT,
    names.FEATURE_SHIFT,
    names.INVALID_SHARE,
    names.ACCURACY,
    names.ACTIVATION_SHIFT,
    names.RECONSTRUCTION_ERROR,
    names.LATENT_DIVERGENCE,
})

Key = tuple[str, str]
"""Subject and signal."""

_CODE: Final[Mapping[Verdict, int]] = {
    Verdict.HEALTHY: ord("h"),
    Verdict.ANOMALOUS: ord("a"),
    Verdict.UNKNOWN: ord("u"),
}


class SeriesDict(TypedDict):
    """One series as JSON: columns of equal length; `verdict` has one letter a tick (h, a, u)."""

    subject: str
    signal: str
    value: list[float | None]
    low: list[float | None]
    high: list[float | None]
    verdict: str


class _Column:
    """Value, expected band and verdict of one series, one entry a tick."""

    __slots__ = ("high", "low", "value", "verdict")

    def __init__(self, gaps: int) -> None:
        nothing = [math.nan] * gaps
        self.value, self.low, self.high = (array("f", nothing) for _ in range(3))
        self.verdict = bytearray(b"u" * gaps)

    def push(self, reading: Reading | None) -> None:
        self.value.append(_number(reading.value if reading else None))
        self.low.append(_number(reading.low if reading else None))
        self.high.append(_number(reading.high if reading else None))
        self.verdict.append(_CODE[reading.verdict if reading else Verdict.UNKNOWN])

    def cut(self, start: int, stop: int) -> None:
        for column in (self.value, self.low, self.high):
            del column[start:stop]
        del self.verdict[start:stop]

    def is_empty(self) -> bool:
        return all(math.isnan(value) for value in self.value)


class SeriesRing:
    """The last `capacity` ticks of one deployment's chosen series."""

    __slots__ = ("_at", "_bad", "_columns", "_judged", "capacity")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self._at: array[int] = array("q")
        self._bad: array[int] = array("H")  # anomalous series on each tick, for the ribbon
        self._judged: array[int] = array("H")
        self._columns: dict[Key, _Column] = {}

    def push(self, at: TimeNs, readings: Iterable[Reading]) -> None:
        """Append one tick; a time that went back replaces what came after it."""
        here = {(r.subject, r.signal): r for r in readings if r.signal in CHOSEN}
        if self._at and at <= self._at[-1]:
            self._cut(bisect_left(self._at, at), len(self._at))
        for key in here:
            if key not in self._columns and len(self._columns) < MAX_SERIES:
                self._columns[key] = _Column(len(self._at))
        self._at.append(at)
        for key, column in self._columns.items():
            column.push(here.get(key))
        shown = [r.verdict for key, r in here.items() if key in self._columns]
        self._bad.append(shown.count(Verdict.ANOMALOUS))
        self._judged.append(len(shown) - shown.count(Verdict.UNKNOWN))
        if len(self._at) >= 2 * self.capacity:  # a rare, cheap move instead of one every tick
            self._cut(0, len(self._at) - self.capacity)
            for key in [key for key, column in self._columns.items() if column.is_empty()]:
                del self._columns[key]

    def names(self) -> tuple[Key, ...]:
        """Return the series, sorted by subject and signal."""
        return tuple(sorted(self._columns))

    def times(self, since: TimeNs | None = None) -> list[float]:
        """Return the ticks' times in seconds since the epoch, oldest first."""
        return [_seconds(at) for at in self._at[self._first(since) :]]

    def read(self, key: Key, since: TimeNs | None = None) -> SeriesDict | None:
        """Return one series from `since` on, None if there is no such series."""
        column = self._columns.get(key)
        if column is None:
            return None
        first = self._first(since)
        return SeriesDict(
            subject=key[0],
            signal=key[1],
            value=[plain_number(value) for value in column.value[first:]],
            low=[plain_number(value) for value in column.low[first:]],
            high=[plain_number(value) for value in column.high[first:]],
            verdict=column.verdict[first:].decode("ascii"),
        )

    def anomalies(self, buckets: int, width_ns: int, now: TimeNs) -> list[float | None]:
        """Return how anomalous each stretch of time was: a share of series 0..1, None unseen.

        Args:
            buckets: How many stretches, the last one ending at `now`.
            width_ns: How long each is, in nanoseconds.
            now: The end of the last stretch.
        """
        shares: list[float | None] = []
        for index in range(buckets):
            start = now - (buckets - index) * width_ns
            low, high = bisect_left(self._at, start), bisect_left(self._at, start + width_ns)
            judged = sum(self._judged[low:high])
            shares.append(sum(self._bad[low:high]) / judged if judged else None)
        return shares

    def _first(self, since: TimeNs | None) -> int:
        oldest = max(0, len(self._at) - self.capacity)
        return oldest if since is None else max(oldest, bisect_left(self._at, since))

    def _cut(self, start: int, stop: int) -> None:
        del self._at[start:stop], self._bad[start:stop], self._judged[start:stop]
        for column in self._columns.values():
            column.cut(start, stop)


def plain_number(value: float | None) -> float | None:
    """Return a number with six significant digits, or None for what JSON cannot hold.

    >>> plain_number(61.29999923706055), plain_number(float("nan")), plain_number(None)
    (61.3, None, None)
    """
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.6g}")


def _number(value: float | None) -> float:
    if value is None or not math.isfinite(value):
        return math.nan
    return value if abs(value) < _FLOAT_MAX else math.nan


_FLOAT_MAX: Final = 3.4e38
"""Largest magnitude of single precision (IEEE 754 binary32)."""


def _seconds(at: int) -> float:
    return round(at / SECOND, 6)


def points(evidence: Evidence) -> dict[str, Any]:
    """Return one tick of the charted series: (subject, signal, value, low, high, verdict)."""
    return {
        "deployment": evidence.deployment,
        "at": round(evidence.at / SECOND, 6),
        "points": [
            [
                r.subject,
                r.signal,
                plain_number(r.value),
                plain_number(r.low),
                plain_number(r.high),
                r.verdict.value[0],
            ]
            for r in evidence.readings
            if r.signal in CHOSEN
        ],
    }
