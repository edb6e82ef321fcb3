"""Plays recordings through the forecasters, and judges what they said."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from homeostat.detect import breach, demand, forecast_quantiles

Floats = np.ndarray[Any, np.dtype[np.float64]]


class Played(NamedTuple):
    """What was said: `[time, horizon, ...]`."""

    points: Floats
    quantiles: Floats
    chance: Floats
    states: tuple[Any, Any, Any]


def play(
    values: Floats,
    limit: Floats,
    horizons: tuple[int, ...],
    *,
    season: Callable[[int], demand.Season] | None = None,
    held: Callable[[int], Any] = lambda _: True,
) -> Played:
    """Feed `[time, series]` tick by tick."""
    ticks, series = values.shape
    forecaster = demand.Demand(demand.Config(horizons=horizons))
    ranges = forecast_quantiles.Quantiles(forecast_quantiles.Config(horizons=horizons))
    chances = breach.Breach(breach.Config(horizons=horizons))
    one, two = forecaster.init(np, series), ranges.init(np, series)
    three = chances.init(np, series)
    none = forecaster.no_season(np, series)
    points, quantiles, chance = [], [], []
    for tick in range(ticks):
        profile = none if season is None else season(tick)
        one, said = forecaster.step(np, one, values[tick], profile)
        two, edges = ranges.step(np, two, values[tick], said, held(tick))
        three, p = chances.step(np, three, values[tick], limit, said, held(tick))
        points.append(said.at)
        quantiles.append(edges)
        chance.append(p)
    return Played(np.array(points), np.array(quantiles), np.array(chance), (one, two, three))


def passed(values: Floats, limit: Floats, horizon: int) -> Floats:
    """Return whether the limit was passed in the ticks after each, `[time - horizon, series]`."""
    peak = sliding_window_view(values, horizon, axis=0).max(axis=-1)[1:]
    return np.asarray(peak > limit, dtype=float)


def covered(played: Played, values: Floats, horizons: tuple[int, ...], skip: int) -> list[float]:
    """Return the share of values inside the outer edges, by horizon."""
    out = []
    for head, horizon in enumerate(horizons):
        low, high = (
            played.quantiles[skip:-horizon, head, 0],
            played.quantiles[skip:-horizon, head, -1],
        )
        then, known = values[skip + horizon :], np.isfinite(low)
        out.append(float(((then >= low) & (then <= high))[known].mean()))
    return out


def brier(chance: Floats, came: Floats) -> float:
    """Return the mean squared distance where both are known."""
    known = np.isfinite(chance) & np.isfinite(came)
    return float(((chance - came) ** 2)[known].mean())
