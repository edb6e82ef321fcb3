"""Is a series on its way somewhere? A straight line through its recent levels, if they lie on one.

The forecasters keep the recent level at eight moments of the last horizon anyhow. With today's
that makes nine points: least squares, and Student's t of the slope. The levels are exponential
averages, and neighbours among them that are few ticks apart are alike; the bar that t must pass
grows with that (the effective number of points of an AR(1): Bayley & Hammersley, Journal of the
Royal Statistical Society Supplement 8 (1946)).
"""

from collections.abc import Sequence
from types import ModuleType
from typing import Any, Final, NamedTuple

from homeostat.detect.demand_pending import PLACES

# Seven degrees of freedom: by chance one straight stretch in a thousand is as straight.
_BAR: Final = 5.4
_SMALLEST: Final = 1e-18


class Line(NamedTuple):
    """The line of each horizon, `[horizon, series]` each.

    Attributes:
        slope: Per tick.
        now: Its value at this tick.
        straight: Whether the slope is there beyond doubt.
    """

    slope: Any
    now: Any
    straight: Any


def line(
    xp: ModuleType, levels: Any, level: Any, tick: Any, strides: Sequence[int], memory: float
) -> Line:
    """Return the line through the levels kept and today's.

    Args:
        xp: numpy or jax.numpy.
        levels: Recent level when forecasts were put down, `[horizon, place, series]`; NaN before.
        level: Today's, `[series]`.
        tick: Number of this tick; what is due at it is not put down yet.
        strides: Ticks between two of them, by horizon.
        memory: Share of the level before that a tick leaves, in [0, 1).

    Returns:
        The line in the series' unit; not straight where a level is missing.
    """
    stride = xp.asarray(strides)[:, None]
    latest = (tick - 1) // stride
    place = xp.arange(PLACES)[None, :]
    age = tick - stride * (latest - (latest - place) % PLACES)
    x = -xp.concatenate([age, xp.zeros_like(age[:, :1])], axis=1)[:, :, None] + 0.0 * level
    today = level + xp.zeros_like(levels[:, :1])
    y = xp.concatenate([levels, today], axis=1)
    known = xp.all(xp.isfinite(y), axis=1)
    y = xp.where(known[:, None], y, 0.0)
    mean_x, mean_y = xp.mean(x, axis=1), xp.mean(y, axis=1)
    off_x, off_y = x - mean_x[:, None], y - mean_y[:, None]
    spread = xp.sum(off_x * off_x, axis=1)
    slope = xp.sum(off_x * off_y, axis=1) / spread
    rest = xp.sum((off_y - slope[:, None] * off_x) ** 2, axis=1)
    error = xp.sqrt(rest / (PLACES - 1.0) / spread)
    alike = memory ** xp.asarray(strides)[:, None]
    bar = _BAR * xp.sqrt((1.0 + alike) / (1.0 - alike))
    straight = known & (xp.abs(slope) > bar * error + _SMALLEST)
    return Line(slope=slope, now=mean_y - slope * mean_x, straight=straight)
