"""Cells of a table to times and numbers: what they are, and what stands for nothing.

A time is ISO 8601 (with a `T` or a space, any offset, none means UTC) or a number since the epoch
in seconds, milliseconds, microseconds or nanoseconds; which of them is found out from the first
one and holds for the whole file. An empty cell, `NaN`, `null` and their like are unknown; an
infinity is kept as it is, for the caller to count. Anything else is refused.
"""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NOTHING: Final = frozenset((
    "",
    "nan",
    "na",
    "n/a",
    "#n/a",
    "null",
    "none",
    "nil",
    "-",
    "?",
    "missing",
    "undefined",
))
"""What people and programs write where there is no value, in small letters."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
MOST_NS: Final = 2**62
"""Latest time: the difference of any two fits into 64 bits. The years are 1823 to 2116."""


class TimeForm(StrEnum):
    """How times are written."""

    ISO = "ISO 8601"
    SECONDS = "seconds since the epoch"
    MILLISECONDS = "milliseconds since the epoch"
    MICROSECONDS = "microseconds since the epoch"
    NANOSECONDS = "nanoseconds since the epoch"


_PER_UNIT: Final = {
    TimeForm.SECONDS: 10**9,
    TimeForm.MILLISECONDS: 10**6,
    TimeForm.MICROSECONDS: 10**3,
    TimeForm.NANOSECONDS: 1,
}
# A number is of the first unit under whose bound it is: 1e11 s is the year 5138, and 1e11 ms 1973.
_BOUNDS: Final = (
    (1e11, TimeForm.SECONDS),
    (1e14, TimeForm.MILLISECONDS),
    (1e17, TimeForm.MICROSECONDS),
    (math.inf, TimeForm.NANOSECONDS),
)


class CellError(ValueError):
    """A cell that is not what its column holds.

    Attributes:
        place: Its number in the sequence that was read.
        text: What it says.
    """

    def __init__(self, place: int, text: str) -> None:
        super().__init__(f"cell {place}: {text!r}")
        self.place, self.text = place, text


def form_of(text: str) -> TimeForm | None:
    """Return how a time is written, or None if it is no time.

    >>> form_of("2014-02-14 14:30:00"), form_of("1392388200"), form_of("noon")
    (<TimeForm.ISO: 'ISO 8601'>, <TimeForm.SECONDS: 'seconds since the epoch'>, None)
    """
    number = number_of(text)
    if number is not None and math.isfinite(number):
        return next(form for bound, form in _BOUNDS if abs(number) < bound)
    return TimeForm.ISO if _iso(text) is not None else None


def unit_ns(number: float) -> int:
    """Return the nanoseconds of one unit of a time since the epoch.

    >>> unit_ns(1.7e9), unit_ns(1.7e12)
    (1000000000, 1000000)
    """
    return _PER_UNIT[next(form for bound, form in _BOUNDS if abs(number) < bound)]


def times(texts: Sequence[str], form: TimeForm) -> Ints:
    """Return times in nanoseconds since the epoch.

    Raises:
        CellError: One is not written in this form.
    """
    read = _iso if form is TimeForm.ISO else _since(_PER_UNIT[form])
    found = [read(text) for text in texts]
    for place, one in enumerate(found):
        if one is None or abs(one) > MOST_NS:
            raise CellError(place, texts[place])
    return np.array(found, dtype=np.int64)


def numbers(texts: Sequence[str], *, comma: bool = False) -> Floats:
    """Return numbers, NaN where a cell holds nothing.

    Args:
        texts: The cells.
        comma: The decimal sign is a comma.

    Raises:
        CellError: One is neither a number nor nothing.
    """
    plain = [text.replace(",", ".") for text in texts] if comma else texts
    try:
        return np.array([float(text) if text else math.nan for text in plain])
    except ValueError:
        pass
    found = [number_of(text) for text in plain]
    for place, one in enumerate(found):
        if one is None:
            raise CellError(place, texts[place])
    return np.array(found, dtype=float)


def number_of(text: str) -> float | None:
    """Return a number, NaN for nothing, None for what is neither.

    >>> number_of(" 1e3 "), number_of("n/a"), number_of("twelve")
    (1000.0, nan, None)
    """
    stripped = text.strip()
    if stripped.lower() in NOTHING:
        return math.nan
    try:
        return float(stripped)
    except ValueError:
        return None


def _iso(text: str) -> int | None:
    written = text.strip()
    if len(written) < 8:  # noqa: PLR2004 - 20140214 is the shortest date
        return None
    try:
        at = datetime.fromisoformat(written.replace("/", "-"))
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return (at - _EPOCH) // _MICROSECOND * 1000


def _since(per_unit: int) -> Callable[[str], int | None]:
    """Return what reads numbers of a unit; whole ones exactly, however large."""

    def read(text: str) -> int | None:
        try:
            return int(text) * per_unit
        except ValueError:
            number = number_of(text)
        return round(number * per_unit) if number is not None and math.isfinite(number) else None

    return read
