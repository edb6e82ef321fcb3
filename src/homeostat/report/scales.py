"""Scales and ticks of charts: from values to coordinates, and round numbers along an axis."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

_ROUND: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
_CLOCK: Final = (1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps [low, high] to [start, end] linearly; values outside are drawn at the border.

    >>> Scale(0.0, 10.0, 100.0, 0.0)(2.5)
    75.0
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the coordinate of a value."""
        if self.high <= self.low:
            return (self.start + self.end) / 2
        share = min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))
        return self.start + share * (self.end - self.start)


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return about `count` round numbers from `low` to `high`, both ends counted if round.

    >>> ticks(0.0, 1.0, 5)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low or count < 1:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * r for r in _ROUND if power * r >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def time_ticks(high_s: float, count: int) -> list[float]:
    """Return about `count` times from 0 to `high_s`, whole seconds, minutes or hours apart."""
    step = next((s for s in _CLOCK if s * count >= high_s), 86400)
    return [float(i * step) for i in range(int(high_s // step) + 1)]


def time_text(seconds: float) -> str:
    """Return a time on an axis.

    >>> time_text(45.0), time_text(600.0), time_text(5400.0)
    ('45 s', '10 min', '1.5 h')
    """
    if seconds == 0:
        return "0"
    if seconds % 3600 == 0 or (seconds > 3600 and seconds % 1800 == 0):  # noqa: PLR2004 - an hour
        return f"{seconds / 3600:g} h"
    return f"{seconds / 60:g} min" if seconds % 60 == 0 else f"{seconds:g} s"


def time_label(high_s: float) -> Callable[[float], str]:
    """Return what writes times along an axis up to `high_s`, all in one unit.

    >>> [time_label(7200.0)(t) for t in (0.0, 2700.0, 5400.0)], time_label(14400.0)(5400.0)
    (['0', '45 min', '90 min'], '1.5 h')
    """
    unit_s, name = (1.0, "s")
    if high_s > 120.0:  # noqa: PLR2004 - two minutes
        unit_s, name = (60.0, "min") if high_s <= 7200.0 else (3600.0, "h")  # noqa: PLR2004
    return lambda seconds: f"{seconds / unit_s:g} {name}" if seconds else "0"


def around(values: Sequence[float], *, margin: float = 0.06) -> tuple[float, float]:
    """Return a range that holds all values, with a margin; (0, 1) when there are none.

    >>> around([1.0, 1.0])
    (0.94, 1.06)
    """
    known = [v for v in values if math.isfinite(v)]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    pad = margin * ((high - low) or abs(high)) or margin  # a number too small to have a margin
    return low - pad, high + pad


def apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return positions near the wanted ones, at least `gap` apart where [low, high] has room.

    >>> apart([10.0, 11.0, 50.0], 12.0, 0.0, 100.0)
    [10.0, 22.0, 50.0]
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = list(wanted)
    floor = low
    for i in order:
        placed[i] = floor = max(wanted[i], floor)
        floor += gap
    ceiling = high
    for i in reversed(order):
        placed[i] = ceiling = min(placed[i], ceiling)
        ceiling -= gap
    return placed
