"""Who is believed: the shares of the forecasters of `demand`, by what their errors were.

Shares fall with a power of the mean absolute error over the same horizon (Stock & Watson, Journal
of Forecasting 23 (2004), equation 6). The one that follows a straight line speaks seldom, and is
trusted in advance.
"""

from types import ModuleType
from typing import Any, Final

from homeostat.detect.demand_pending import PLACES

LAST, LEVEL, REVERTING, DRIFT, SEASONAL, TREND = range(6)
EXPERTS: Final = 6
# An expert with twice the error of the best has 1/16 of its weight.
_POWER: Final = 4.0
# A line that was never tried is given a quarter of the best one's error, as of one horizon's worth
# of forecasts: ramps are rare, and who waits until they are known waits until they are over.
_TRUST: Final = 0.25
_SMALLEST: Final = 1e-18


def weights(xp: ModuleType, losses: Any, judged: Any, experts: Any) -> Any:
    """Return each expert's share, `[horizon, expert, series]`; those that say nothing have none.

    Args:
        xp: numpy or jax.numpy.
        losses: Mean absolute errors, `[horizon, expert, series]`.
        judged: Forecasts behind them, `[horizon, expert, series]`.
        experts: What they say now, NaN for nothing, `[horizon, expert, series]`.
    """
    speaks = xp.isfinite(experts)
    tried = speaks & (judged > 0.0)
    loss = xp.where(tried, losses, xp.inf)
    loss = xp.where((xp.arange(EXPERTS) == TREND)[:, None], xp.inf, loss)
    best = xp.min(loss, axis=1, keepdims=True)
    lines = judged[:, TREND:]
    line_loss = (lines * losses[:, TREND:] + PLACES * _TRUST * best) / (lines + PLACES)
    line_loss = xp.where(speaks[:, TREND:], line_loss, xp.inf)
    loss = xp.concatenate([loss[:, :TREND], line_loss], axis=1)
    tried = xp.isfinite(loss)
    best = xp.min(loss, axis=1, keepdims=True)
    # Before anything was judged the last value speaks alone.
    least = xp.where(xp.isfinite(best), best, 0.0) + _SMALLEST
    power = xp.where(tried, (least / (xp.where(tried, loss, 1.0) + _SMALLEST)) ** _POWER, 0.0)
    alone = xp.zeros_like(power) + (xp.arange(EXPERTS) == LAST)[:, None]
    share = xp.where(xp.isfinite(best), power, alone)
    total = xp.sum(share, axis=1, keepdims=True)
    return share / xp.where(total > 0.0, total, 1.0)


def mixed(xp: ModuleType, weights: Any, said: Any) -> Any:
    """Return the weighted word, `[horizon, series]`; NaN where nobody speaks."""
    speaks = xp.isfinite(said)
    mixed = xp.sum(weights * xp.where(speaks, said, 0.0), axis=1)
    return xp.where(xp.any(speaks, axis=1), mixed, xp.nan)
