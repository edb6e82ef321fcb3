"""The demand up to which a pool keeps its promise, by its own curve of latency.

Device times say what full queues can serve (`demand_capacity`). A promise is often missed below
that: what comes between device and user grows with demand too, and what the percentile sees is
more than two batches. So latency is watched as demand moves it. A server in batches takes
S(b) = t + a b for b requests; at x requests a second b = x S(b), so S = t / (1 - a x): one over
latency falls along a straight line as demand grows (the same of M/M/1, 1 / (m - x), and of
processor sharing; Kleinrock, "Queueing Systems" vol. 2 (1976), 4.4). The line is fitted by least
squares that forget, of demand per ready replica, so that a replica more moves demand and not the
line. Where it crosses one over the promise is the demand that the promise ends at.

Unknown until demand has moved enough, and latency with it, to tell a line from chance.
"""

from types import ModuleType
from typing import Any, Final, NamedTuple

_MEMORY_S: Final = 2400.0
# Ten minutes of quarter minutes.
_LEAST: Final = 40.0
# Demand must have moved by so much of its mean (standard deviation), or a line is a guess.
_MOVED: Final = 0.05
# Of what one over latency does, demand explains at least so much.
_EXPLAINED: Final = 0.5
# The line's end is taken one standard error late: nobody is to act on its error. Decision 72.
SURE: Final = 1.0
# Neighbouring ticks are alike: so many tell as much as one.
_ALIKE: Final = 4.0
# Squares stay finite in single precision: what is beyond is another unit.
_LARGEST: Final = 1e15
_LEAST_MS: Final = 1e-6
_COUNT_MAX: Final = 1e6
_SMALLEST: Final = 1e-30


class Curve(NamedTuple):
    """What is remembered, `[series]` each.

    Attributes:
        count: Ticks learnt from.
        demand: Mean demand of a replica, requests a second.
        pace: Mean of one over latency, 1/ms.
        demand2: Variance of demand.
        pace2: Variance of one over latency.
        both: Their covariance.
        worth: Ticks that what is remembered is worth (Kish's effective size).
    """

    count: Any
    demand: Any
    pace: Any
    demand2: Any
    pace2: Any
    both: Any
    worth: Any


def init(xp: ModuleType, series: int) -> Curve:
    """Return the state of rows that have seen nothing."""
    none = xp.zeros(series)
    return Curve(none, none, none, none, none, none, none)


def step(xp: ModuleType, state: Curve, demand: Any, latency_ms: Any, tick_s: float) -> Curve:
    """Take in one tick.

    Args:
        xp: numpy or jax.numpy.
        state: From `init` or the last step.
        demand: Requests a second of one ready replica, `[series]`; NaN or 0 teach nothing.
        latency_ms: The percentile that was promised, `[series]`; NaN or 0 teach nothing.
        tick_s: Seconds between two ticks.
    """
    known = (demand > 0.0) & (latency_ms > 0.0) & xp.isfinite(demand) & xp.isfinite(latency_ms)
    x = xp.where(known, xp.minimum(demand, _LARGEST), 0.0)
    y = xp.where(known, 1.0 / xp.maximum(xp.where(known, latency_ms, 1.0), _LEAST_MS), 0.0)
    weight = xp.maximum(1.0 / (state.count + 1.0), tick_s / _MEMORY_S)
    off_x, off_y = x - state.demand, y - state.pace
    left = 1.0 - weight
    return Curve(*(
        xp.where(known, after, before)
        for before, after in zip(
            state,
            (
                xp.minimum(state.count + 1.0, _COUNT_MAX),
                state.demand + weight * off_x,
                state.pace + weight * off_y,
                left * (state.demand2 + weight * off_x * off_x),
                left * (state.pace2 + weight * off_y * off_y),
                left * (state.both + weight * off_x * off_y),
                1.0
                / (left * left / xp.maximum(state.worth, 1.0) + weight * weight),
            ),
            strict=True,
        )
    ))  # fmt: skip


def limit(xp: ModuleType, state: Curve, promised_ms: Any, sure: float = SURE) -> Any:
    """Return the demand of one replica at which the promise surely ends, `[series]`.

    NaN where that is unknown.

    Args:
        xp: numpy or jax.numpy.
        state: After this tick.
        promised_ms: The latency promised, `[series]`; NaN for none.
        sure: Standard errors of the line by which its end is taken later.
    """
    spread = xp.maximum(state.demand2, _SMALLEST)
    slope = state.both / spread
    share = state.both * state.both / (spread * xp.maximum(state.pace2, _SMALLEST))
    known = (
        (state.count >= _LEAST)
        & (state.demand2 >= (_MOVED * state.demand) ** 2)
        & (share >= _EXPLAINED)
        & (slope < 0.0)
        & (promised_ms > 0.0)
    )
    falls = xp.where(known, slope, -1.0)
    reached = state.demand + (1.0 / xp.where(known, promised_ms, 1.0) - state.pace) / falls
    # Standard error of a fitted line there (Draper & Smith, "Applied Regression Analysis", 1.4).
    worth = xp.maximum(state.worth / _ALIKE - 2.0, 1.0)
    rest2 = xp.maximum(state.pace2 * (1.0 - share), 0.0)
    far2 = (reached - state.demand) ** 2 / spread
    later = sure * xp.sqrt(rest2 * (1.0 + far2) / worth) / xp.abs(falls)
    # A promise that the line says was missed already is one that the line does not describe.
    return xp.where(known & (reached > state.demand), reached + later, xp.nan)
