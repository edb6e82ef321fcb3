"""Plays recordings through the outlook, and judges what was said."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from homeostat.detect import demand
from homeostat.detect.demand_outlook import Config, Outlook, OutlookState

Floats = np.ndarray[Any, np.dtype[np.float64]]


class Played(NamedTuple):
    """What was said: `[time, horizon, ...]`."""

    points: Floats
    quantiles: Floats
    chance: Floats
    state: OutlookState


def play(
    values: Floats,
    limit: Floats,
    horizons: tuple[int, ...],
    *,
    season: Callable[[int], demand.Season] | None = None,
    held: Callable[[int], Any] = lambda _: True,
) -> Played:
    """Feed `[time, series]` tick by tick; the season is that of the tick's number."""
    outlook = Outlook(Config(horizons=horizons))
    state, said = outlook.init(np, values.shape[1]), []
    for tick, row in enumerate(values):
        profile = None if season is None else season(tick)
        state, ahead = outlook.step(np, state, row, held(tick), limit, profile)
        said.append(ahead)
    points, quantiles, chance = (np.array(part) for part in zip(*said, strict=True))
    return Played(points, quantiles, chance, state)


def passed(values: Floats, limit: Floats, horizon: int) -> Floats:
    """Return whether the limit was passed in the ticks after each, `[time - horizon, series]`.

    NaN where nothing of the way was seen.
    """
    way = sliding_window_view(values, horizon, axis=0)[1:]
    peak = np.where(np.isnan(way), -np.inf, way).max(axis=-1)
    return np.where(np.isinf(peak), np.nan, np.asarray(peak > limit, dtype=float))


def covered(played: Played, values: Floats, horizons: tuple[int, ...], skip: int) -> list[float]:
    """Return the share of values inside the outer edges, by horizon."""
    out = []
    for head, horizon in enumerate(horizons):
        edges = played.quantiles[skip:-horizon, head]
        low, high, then = edges[:, 0], edges[:, -1], values[skip + horizon :]
        known = np.isfinite(low) & np.isfinite(then)
        out.append(float(((then >= low) & (then <= high))[known].mean()))
    return out


def brier(chance: Floats, came: Floats) -> float:
    """Return the mean squared distance where both are known."""
    known = np.isfinite(chance) & np.isfinite(came)
    return float(((chance - came) ** 2)[known].mean())
