"""What comes of a series of which little was seen: a line that bends flat, and how sure it is.

An empirical forecast (`forecast_quantiles`, `breach`) knows nothing before it has been wrong a few
dozen times, an hour for a look of fifteen minutes. Until then this speaks: exponential smoothing
with a damped trend (Gardner & McKenzie, Management Science 31 (1985)), whose errors so far say how
wide it is. The variance ahead is that of the innovations form with additive errors, ETS(A,Ad,N):
s2 (1 + sum over j < h of (a + a b phi_j)^2), phi_j = phi + .. + phi^j (Hyndman, Koehler, Ord &
Snyder, "Forecasting with Exponential Smoothing" (2008), table 6.1). The highest value until a
horizon is taken to pass a limit if the value at some moment until then does, with Student's t of
few degrees of freedom: errors come in bursts.

Series are smoothed as the logarithm of how near they are to their limit, so that a demand that
doubles and a latency that doubles look alike, and a limit that moves moves the series. One step is
the mean over a quarter of a minute, or one tick where ticks are longer.
"""

from functools import cache
from types import ModuleType
from typing import Any, Final, NamedTuple

# Chosen on random compositions of the twin's primitives, see docs/explanation/detection.md.
_ALPHA: Final = 0.3
_BETA: Final = 0.05
_PHI: Final = 0.98
# Errors fade over about 20 steps, five minutes.
_FADE: Final = 0.05
# One wild value counts as at most so many usual errors.
_CLIP: Final = 4.0
# Steps before anything is said; two minutes of quarter minutes.
LEAST: Final = 8.0
# A share of the limit that is added, so that a series at zero has a logarithm.
_OFFSET: Final = 0.1
# Errors of the logarithm below this are rounding.
_SMALLEST: Final = 0.01
_COUNT_MAX: Final = 1e6
_LOOKS: Final = 6
# Student's t with four degrees of freedom: 5 % are beyond.
_EDGE: Final = 2.132


class YoungState(NamedTuple):
    """All that is remembered, `[series]` each.

    Attributes:
        sum: Sum of the values of the step under way.
        ticks: How many they are.
        count: Steps seen.
        level: Smoothed logarithm.
        trend: Its change a step.
        spread2: Mean squared error of one step ahead.
    """

    sum: Any
    ticks: Any
    count: Any
    level: Any
    trend: Any
    spread2: Any


class Seen(NamedTuple):
    """What is said of each horizon; NaN where too little was seen.

    Attributes:
        chance: Probability that the limit is passed by then, `[horizon, series]`.
        at: Expected value, `[horizon, series]`, in the series' unit.
        low: 5 % of the values are below, `[horizon, series]`.
        high: 5 % of the values are above, `[horizon, series]`.
    """

    chance: Any
    at: Any
    low: Any
    high: Any


def init(xp: ModuleType, series: int) -> YoungState:
    """Return the state of rows that have seen nothing."""
    none = xp.zeros(series)
    return YoungState(none, none, none, none, none, none)


def step(
    xp: ModuleType, state: YoungState, values: Any, limit: Any, *, whole: bool, moved: Any
) -> YoungState:
    """Take in one tick.

    Args:
        xp: numpy or jax.numpy.
        state: From `init` or the last step.
        values: `[series]`, 0 or more; NaN is unknown.
        limit: What must not be passed, `[series]`, above 0; NaN for none.
        whole: Whether this tick ends a step.
        moved: By how much the logarithm moves because the limit did, `[series]`.
    """
    z = xp.log((xp.maximum(values, 0.0) + _OFFSET * limit) / ((1.0 + _OFFSET) * limit))
    known = xp.isfinite(z)
    total = state.sum + xp.where(known, z, 0.0)
    ticks = state.ticks + known
    state = state._replace(sum=total, ticks=ticks, level=state.level + moved)
    if not whole:
        return state
    there = ticks > 0.0
    mean = total / xp.maximum(ticks, 1.0)
    begun = state.count > 0.0
    ahead = state.level + _PHI * state.trend
    error = xp.where(begun, mean - ahead, 0.0)
    spread = xp.sqrt(xp.maximum(state.spread2, _SMALLEST**2))
    usual = xp.where(state.count >= LEAST, _CLIP * spread, xp.inf)
    kept = xp.clip(error, -usual, usual)
    weight = xp.maximum(1.0 / xp.maximum(state.count, 1.0), _FADE)
    level = xp.where(begun, ahead + _ALPHA * error, mean)
    trend = xp.where(begun, _PHI * state.trend + _ALPHA * _BETA * kept, 0.0)
    none = xp.zeros_like(total)
    return YoungState(
        sum=none,
        ticks=none,
        count=xp.where(there, xp.minimum(state.count + 1.0, _COUNT_MAX), state.count),
        level=xp.where(there, level, state.level),
        trend=xp.where(there, trend, state.trend),
        spread2=xp.where(
            there & begun, state.spread2 + weight * (kept**2 - state.spread2), state.spread2
        ),
    )


def seen(xp: ModuleType, state: YoungState, limit: Any, steps: tuple[float, ...]) -> Seen:
    """Return what comes.

    Args:
        xp: numpy or jax.numpy.
        state: After this tick.
        limit: What must not be passed, `[series]`; NaN for none.
        steps: Horizons in steps, ascending.
    """
    sigma = xp.sqrt(xp.maximum(state.spread2, _SMALLEST**2))
    known = (state.count >= LEAST) & xp.isfinite(limit)
    sums, widths = _looks(tuple(steps))
    # All moments that are looked at, of all horizons, at once. `[look, series]`
    middle = state.level + xp.asarray(sums, dtype=sigma.dtype)[:, None] * state.trend
    wide = sigma * xp.asarray(widths, dtype=sigma.dtype)[:, None]
    beyond = _beyond(xp, -middle / wide)
    chance, chances = xp.zeros_like(sigma), []
    for first in range(0, len(sums), _LOOKS):
        chance = xp.maximum(chance, xp.max(beyond[first : first + _LOOKS], axis=0))
        chances.append(chance)
    last = slice(_LOOKS - 1, None, _LOOKS)
    ends = (_value(xp, middle[last] + k * wide[last], limit) for k in (0.0, -_EDGE, _EDGE))
    return Seen(*(xp.where(known, one, xp.nan) for one in (xp.stack(chances), *ends)))


@cache
def _looks(steps: tuple[float, ...]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return how much of the trend and of an error's width there is at each moment looked at."""
    aheads, before = [], 0.0
    for reach in steps:
        aheads += [before + (reach - before) * look / _LOOKS for look in range(1, _LOOKS + 1)]
        before = reach
    return tuple(_sum(ahead) for ahead in aheads), tuple(_width(ahead) for ahead in aheads)


def _value(xp: ModuleType, z: Any, limit: Any) -> Any:
    """Return the value whose nearness to the limit this is."""
    far = xp.clip(z, -4.0, 4.0)
    return xp.maximum(xp.exp(far) * (1.0 + _OFFSET) - _OFFSET, 0.0) * limit


def _beyond(xp: ModuleType, t: Any) -> Any:
    """Return the probability that Student's t of four degrees of freedom is above `t`."""
    share = t / xp.sqrt(4.0 + t * t)
    return 0.5 - 0.75 * (share - share**3 / 3.0)


@cache
def _sum(ahead: float) -> float:
    """Return phi + .. + phi^ahead."""
    return float(_PHI * (1.0 - _PHI**ahead) / (1.0 - _PHI))


@cache
def _width(ahead: float) -> float:
    """Return how many errors of one step wide it is so many steps ahead."""
    steps = max(round(ahead), 1)
    total = 1.0 + sum((_ALPHA + _ALPHA * _BETA * _sum(j)) ** 2 for j in range(1, steps))
    return float(total**0.5)
