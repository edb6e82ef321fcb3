"""When will a process reach its memory limit? The earliest credible time, or none in sight.

A robust line through the recent history; a crossing is claimed only when the rise is significant
and the level is one this process has not come down from by itself (a garbage collector's sawtooth
climbs steeply and harmlessly, time and again).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from homeostat.base import names
from homeostat.base.evidence import Forecast
from homeostat.detect.panel import DROP
from homeostat.stats.robust import theil_sen

# Mann-Kendall: ten values that only rise have 4.0 sigmas; chance does that once in 20,000 windows.
_SIGNIFICANT: Final = 3.9
# A rise smaller than this over the window is noise in the accounting of pages.
_LEAST_RISE: Final = 0.03
_LIMIT: Final = 1.0


def forecasts(
    history: Mapping[tuple[str, str], Any],
    fallen: Mapping[tuple[str, str], float],
    scrape_ns: int,
) -> tuple[Forecast, ...]:
    """Return a forecast per replica whose memory is known.

    Args:
        history: Recent values by (subject, signal), oldest first, NaN where unknown.
        fallen: Highest value the same process has come down from, by (subject, signal).
        scrape_ns: Time between two values.
    """
    series = [name for name in sorted(history) if name[1] == names.MEMORY_SHARE]
    falls = [fallen.get(name, math.nan) for name in series]
    calm = _calm([history[name] for name in series], falls)
    return tuple(
        Forecast(
            subject=name[0],
            signal=name[1],
            limit=_LIMIT,
            time_to_limit_ns=None if quiet else time_to_limit(history[name], fell, scrape_ns),
        )
        for name, fell, quiet in zip(series, falls, calm, strict=True)
    )


def _calm(values: Sequence[Any], fallen: Sequence[float]) -> list[bool]:
    """Return which series are surely on their way to no limit, all of them at once.

    What `time_to_limit` finds before it looks for a trend, for series that have no gap since their
    first known value; of the others nothing is said.
    """
    if not values or len({len(one) for one in values}) > 1:
        return [False] * len(values)
    past = np.array(values, dtype=np.float64)
    known = np.isfinite(past)
    gaps = (known[:, :-1] & ~known[:, 1:]).any(axis=1)
    with np.errstate(invalid="ignore"):
        falls = past[:, 1:] - past[:, :-1] < -DROP
    places = np.arange(past.shape[1])
    begun = np.maximum(np.where(falls, places[1:], 0).max(axis=1, initial=0), known.argmax(axis=1))
    last, first = past[:, -1], past[np.arange(len(past)), begun]
    before = np.asarray(fallen)
    with np.errstate(invalid="ignore"):
        been_here = np.isfinite(before) & (last <= before + DROP)
        still = (last < _LIMIT) & ((last - first < _LEAST_RISE) | been_here)
    out: list[bool] = (~gaps & (still | ~known.any(axis=1))).tolist()
    return out


def time_to_limit(values: Any, fallen: float, scrape_ns: int) -> int | None:
    """Return the earliest credible time until the limit, None if none is in sight.

    Args:
        values: Share of the limit, oldest first; NaN where unknown.
        fallen: Highest share this process has come down from by itself, NaN for none.
        scrape_ns: Time between two values.
    """
    climb = _climb(np.asarray(values, dtype=np.float64))
    known = climb[np.isfinite(climb)]
    if not len(known):
        return None
    if known[-1] >= _LIMIT:
        return 0
    been_here = math.isfinite(fallen) and known[-1] <= fallen + DROP
    if known[-1] - known[0] < _LEAST_RISE or been_here:
        return None
    trend = theil_sen(climb)
    if trend is None or trend.kendall_z < _SIGNIFICANT or trend.low <= 0.0:
        return None
    return max(round((_LIMIT - trend.level) / trend.high * scrape_ns), 0)


def _climb(values: Any) -> Any:
    """Return the values since memory was last given back."""
    known = np.flatnonzero(np.isfinite(values))
    falls = np.flatnonzero(np.diff(values[known]) < -DROP)
    return values[known[falls[-1] + 1] :] if len(falls) else values
