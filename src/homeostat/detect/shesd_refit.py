"""Refits of the streaming Seasonal Hybrid ESD: the exact method on what has been seen so far.

`fit` is the batch test on one series' past, `install` puts fits into a detector's state, `due` says
whose turn it is, so that the cost of a fleet's refits is spread over time. A refit reads history
that the state does not hold (80 KB for two weeks of minutes against the state's 7): the caller
brings it. Ticks that may not teach are NaN in it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from homeostat.detect.season import find_season, without_season
from homeostat.detect.shesd import MAD_BIAS, ShesdState
from homeostat.detect.shesd_config import Config
from homeostat.stats.esd import MAD_SIGMA, esd
from homeostat.stats.stl import stl_periodic

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

# More flagged values than this are not outliers, they are what the series does now.
_MAJORITY: Final = 0.49
_WILD: Final = 10.0  # sigmas of what the seasonal median leaves


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """What the past says of the next values.

    Attributes:
        period: Ticks of the season, 0 for none.
        profile: The season, from the tick after the past on. `[period]`
        centre: Median of what the season leaves.
        scale: Its spread in standard deviations, for a value outside the past.
        count: Values behind it.
        neg_log10_p: Evidence for the season.
        unknown: Why there is no fit; empty when there is one.
    """

    period: int
    profile: Floats
    centre: float
    scale: float
    count: int
    neg_log10_p: float
    unknown: str = ""


def fit(
    past: Floats, config: Config, *, flagged: Bools | None = None, period: int | None = None
) -> Fit:
    """Return what one series' past says.

    Args:
        past: `[time]`, equally spaced, the last `Config.window` of it used; NaN where unknown or
            not to be learnt from.
        config: The detector's settings.
        flagged: Values that alarmed: left out unless they are the majority. `[time]`
        period: Ticks of the season, 0 for none, None to find out.

    Raises:
        ValueError: `flagged` is not as long as `past`, or the period is negative.
    """
    if flagged is not None and flagged.shape != past.shape:
        raise ValueError(f"need a flag for each of {len(past)} values, got {len(flagged)}")
    if period is not None and period < 0:
        raise ValueError(f"need period >= 0, got {period}")
    x = np.where(np.isfinite(past), past, np.nan)[-config.window :]
    if flagged is not None:
        marked = flagged[-config.window :] & np.isfinite(x)
        if marked.sum() <= _MAJORITY * np.isfinite(x).sum():
            x = np.where(marked, np.nan, x)
    known = np.isfinite(x)
    if known.sum() < config.warmup:
        return _no_fit(f"{int(known.sum())} known values, fewer than {config.warmup}")
    evidence = 0.0
    if period is None:
        season = find_season(x, hints=config.hints, alpha=config.season_alpha)
        period, evidence = season.period, season.neg_log10_p
    return _fitted(x, known, period, evidence, config)


def _no_fit(why: str) -> Fit:
    return Fit(
        period=0,
        profile=np.empty(0),
        centre=np.nan,
        scale=np.nan,
        count=0,
        neg_log10_p=0.0,
        unknown=why,
    )


def _fitted(x: Floats, known: Bools, period: int, evidence: float, config: Config) -> Fit:
    n, seasonal, profile = len(x), np.zeros_like(x), np.empty(0)
    if period > 1 and n >= 2 * period:
        seasonal = stl_periodic(_without_wild(x, period), period).seasonal
        profile = seasonal[(n % period) : (n % period) + period]
    rest = (x - seasonal)[known]
    most = max(min(int(len(rest) * config.max_anoms), len(rest) - 2), 0)
    test = esd(rest, most, direction=config.direction)
    rest = np.delete(rest, test.found)
    centre, scale = _spread(rest)
    if not scale > 0.0:
        return _no_fit("more than half of the values are exactly the season: no spread to measure")
    if len(profile):
        scale = _outside(x, scale, period)
    return Fit(
        period=len(profile),
        profile=profile,
        centre=centre,
        scale=scale,
        count=len(rest),
        neg_log10_p=evidence,
    )


def _spread(values: Floats) -> tuple[float, float]:
    centre = float(np.median(values))
    scale = MAD_SIGMA * float(np.median(np.abs(values - centre)))
    return centre, scale * len(values) / (len(values) - MAD_BIAS)


def _outside(x: Floats, inside: float, period: int) -> float:
    """Return the spread of the next cycle's residuals around a season of m cycles.

    A mean of m cycles takes 1 / m of the variance out of their own residuals and adds it to those
    of the next cycle. Of few cycles a robust season is no mean, but runs through one of them; what
    neighbouring cycles differ by does not depend on the season and is the least that is believed.
    """
    cycles = max(float(np.isfinite(x).sum()) / period, 1.5)
    apart = x[period:] - x[:-period]
    apart = apart[np.isfinite(apart)]
    least = _spread(apart)[1] / math.sqrt(2.0) if len(apart) > 1 else 0.0
    own = math.sqrt((cycles + 1.0) / (cycles - 1.0))
    return max(inside * own, least * math.sqrt(1.0 + 1.0 / cycles))


def _without_wild(x: Floats, period: int) -> Floats:
    """Return the series without values so wild that they cost their whole phase its weight.

    The decomposition starts from means: one huge value makes all the others of its phase look
    like outliers, and then nothing is left but its first and last cycle.
    """
    left = without_season(x, period)
    known = np.isfinite(left)
    centre, scale = _spread(left[known])
    return np.where(known & (np.abs(left - centre) > _WILD * scale) & (scale > 0.0), np.nan, x)


def install(state: ShesdState, rows: Sequence[int], fits: Sequence[Fit]) -> ShesdState:
    """Return the state with refits for these rows (NumPy); rows without a fit stay as they are.

    Args:
        state: Of `Shesd`, after the last tick of the fits' past.
        rows: Which series.
        fits: One for each.
    """
    parts: dict[str, Any] = {name: np.array(part) for name, part in state._asdict().items()}
    bins = state.profile.shape[0]
    for row, one in zip(rows, fits, strict=True):
        if one.unknown:
            continue
        if np.isnan(parts["origin"][row]):
            parts["origin"][row] = one.centre
        parts["centre"][row] = one.centre - parts["origin"][row]
        parts["scale"][row], parts["count"][row] = one.scale, one.count
        parts["fitted"][row], parts["period"][row] = one.count, one.period
        parts["phase"][row] = 0
        parts["ring"][:, row], parts["place"][row] = np.nan, 0  # it held another season's residuals
        parts["profile"][:, row] = _binned(one.profile, bins)
    return ShesdState(**parts)


def _binned(profile: Floats, bins: int) -> Floats:
    """Return a profile of at most `bins` places; longer ones are averaged around each place."""
    out = np.zeros(bins)
    period = len(profile)
    if period <= bins:
        out[:period] = profile
        return out
    width = -(-period // bins)
    around = np.concatenate((profile[-width:], profile, profile[:width]))
    total = np.concatenate(([0.0], np.cumsum(around)))
    half = width // 2
    smooth = (total[2 * half + 1 :] - total[: -2 * half - 1]) / (2 * half + 1)
    smooth = smooth[width - half : width - half + period]
    out[:] = np.interp(np.arange(bins) * (period / bins), np.arange(period), smooth)
    return out


def due(tick: int, series: int, every: int) -> npt.NDArray[np.int64]:
    """Return the rows whose refit is due: each once in `every` ticks, evenly spread.

    >>> [due(tick, 5, 3).tolist() for tick in range(4)]
    [[0, 3], [1, 4], [2], [0, 3]]
    """
    return np.arange(tick % every, series, every)
