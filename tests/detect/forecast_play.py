"""Plays recordings through the outlook, and judges what was said."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from homeostat.detect import demand, seasonal_memory
from homeostat.detect.demand_outlook import Config, Outlook, OutlookState, season_of
from homeostat.detect.seasonal import Config as SeasonalConfig
from homeostat.detect.seasonal import SeasonalDetector

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


def play_with_season(
    values: Floats, limit: Floats, horizons: tuple[int, ...], hints: tuple[int, ...]
) -> Played:
    """Feed `[time, series]` tick by tick beside the seasonal detector, which finds the season."""
    detector = SeasonalDetector(SeasonalConfig(season=seasonal_memory.Config(hints=hints)))
    memory = detector.init(np, values.shape[1])

    def season(tick: int) -> demand.Season:
        nonlocal memory
        memory, _ = detector.step(np, memory, values[tick], learn=True)

        def part(ahead: int) -> Any:
            return detector.seasons.season(np, memory.season, ahead)

        return season_of(np, part, memory.season.period > 0.0, horizons)

    return play(values, limit, horizons, season=season)


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


class Rivals(NamedTuple):
    """What others say of a breach within a horizon, `[time, series]`; NaN where they cannot.

    Attributes:
        still: Persistence: what is beyond the limit stays, what is not does not get there.
        yesterday: Seasonal-naive: what the same time one season ago did.
        still_rate: How often a breach followed so far, beyond the limit and within it.
        yesterday_rate: How often one followed, by what the season before did.
    """

    still: Floats
    yesterday: Floats
    still_rate: Floats
    yesterday_rate: Floats


def rivals(values: Floats, limit: Floats, horizon: int, season: int) -> Rivals:
    """Return what is said from each tick on of which the outcome is in the recording."""
    came = passed(values, limit, horizon)
    here = values[: len(came)]
    still = np.where(np.isfinite(here), np.asarray(here > limit, dtype=float), np.nan)
    yesterday = still.copy()
    if 0 < season < len(came):
        before = came[: len(came) - season]
        yesterday[season:] = np.where(np.isfinite(before), before, still[season:])
    rates = (_rate(flag, came, horizon) for flag in (still, yesterday))
    return Rivals(still, yesterday, *rates)


def _rate(flag: Floats, came: Floats, horizon: int) -> Floats:
    """Return the share of breaches after the same flag, of outcomes known by then."""
    columns = np.arange(came.shape[1])
    outcomes, breaches = np.full((2, came.shape[1]), 1.0), np.full((2, came.shape[1]), 0.5)
    out = np.full_like(came, np.nan)
    for tick in range(len(came)):
        if tick >= horizon:
            then, result = flag[tick - horizon], came[tick - horizon]
            known = np.isfinite(then) & np.isfinite(result)
            at = (then[known].astype(int), columns[known])
            outcomes[at] += 1.0
            breaches[at] += result[known]
        known = np.isfinite(flag[tick])
        at = (flag[tick, known].astype(int), columns[known])
        out[tick, known] = breaches[at] / outcomes[at]
    return out


def skills(chance: Floats, came: Floats, others: Rivals, judged: Any) -> dict[str, float]:
    """Return 1 - Brier score / a rival's, over the ticks and series that are judged.

    Args:
        chance: What was said, `[time, series]`.
        came: What happened, `[time, series]`; NaN where unknown.
        others: The rivals.
        judged: Bool `[time, series]`, or what broadcasts to it.
    """
    each = squares(chance, came, others, judged)
    mine = each.pop("ours").sum()
    return {
        name: float(1.0 - mine / theirs.sum()) if theirs.sum() > 0.0 else np.nan
        for name, theirs in each.items()
    }


def squares(chance: Floats, came: Floats, others: Rivals, judged: Any) -> dict[str, Floats]:
    """Return the squared errors of all, summed over the ticks that are judged, `[series]`.

    Args:
        chance: What was said, `[time, series]`.
        came: What happened, `[time, series]`; NaN where unknown.
        others: The rivals, by whose names theirs are; ours is `ours`.
        judged: Bool `[time, series]`, or what broadcasts to it.
    """
    use = np.isfinite(chance) & np.isfinite(came) & np.isfinite(others.still) & judged
    every = {"ours": chance, **others._asdict()}
    return {
        name: np.square(np.where(use, said - came, 0.0)).sum(axis=0) for name, said in every.items()
    }
