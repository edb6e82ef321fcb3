"""When is a replica's memory, or its KV cache, full? The earliest credible time, or none in sight.

A robust line through the recent history; a crossing is claimed only when the rise is significant
and the level is one this process has not come down from by itself (a garbage collector's sawtooth
climbs steeply and harmlessly, time and again). Where one is claimed, `breach_time` adds by when it
is reached with 5 %, 50 % and 95 %. What is acted on is the earliest time of memory alone, the
host's and a device's: a KV cache that is full makes requests wait and kills no process, so of it
the three times are told and no more.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol

import numpy as np

from homeostat.base import names
from homeostat.base.evidence import Forecast
from homeostat.base.policy import Managed
from homeostat.detect.breach_time import time_left
from homeostat.detect.layout import FILLING
from homeostat.detect.panel import DROP
from homeostat.stats.robust import theil_sen

# Mann-Kendall: ten values that only rise have 4.0 sigmas; chance does that once in 20,000 windows.
_SIGNIFICANT: Final = 3.9
# A rise smaller than this over the window is noise in the accounting of pages.
_LEAST_RISE: Final = 0.03
_LIMIT: Final = 1.0
# Whoever has no more of these is ended, or answers nothing but errors.
_ACTED_ON: Final = frozenset({names.MEMORY_SHARE, names.DEVICE_MEMORY_SHARE})


class Past(Protocol):
    """What is known of one deployment's past; see `verdicts.Judged`."""

    @property
    def history(self) -> Mapping[tuple[str, str], Any]: ...  # noqa: D102 - see the class
    @property
    def fallen(self) -> Mapping[tuple[str, str], float]: ...  # noqa: D102 - see the class


def forecasts(
    judged: Mapping[str, Past], managed: Sequence[Managed]
) -> dict[str, tuple[Forecast, ...]]:
    """Return for every deployment a forecast per replica and share that fills up.

    Args:
        judged: By deployment: recent values by (subject, signal), oldest first, NaN where unknown,
            and the highest value the same process has come down from.
        managed: The deployments.
    """
    rows = [
        (entry, name, past.history[name], past.fallen.get(name, math.nan))
        for entry, past in ((entry, judged[entry.name]) for entry in managed)
        for name in sorted(past.history)
        if name[1] in FILLING
    ]
    # Whose way leads nowhere is seen of the whole fleet at once, and is nearly everybody.
    calm = _calm([past for _, _, past, _ in rows], [fell for _, _, _, fell in rows])
    out: dict[str, list[Forecast]] = {entry.name: [] for entry in managed}
    for (entry, name, past, fell), quiet in zip(rows, calm, strict=True):
        until = None if quiet else time_to_limit(past, fell, entry.scrape_ns)
        if until is None:
            out[entry.name].append(_nothing_in_sight(*name))
            continue
        # Played on only where a climb is claimed: paths cost a thousand times what the claim does.
        left = time_left(past, fell, entry.scrape_ns, limit=_LIMIT)
        out[entry.name].append(_at(name, until, () if left is None else left.at_ns))
    return {name: tuple(found) for name, found in out.items()}


@lru_cache(maxsize=4096)
def _nothing_in_sight(subject: str, signal: str) -> Forecast:
    """Return what is said of nearly every replica on nearly every tick: one value for all."""
    return Forecast(subject=subject, signal=signal, limit=_LIMIT, time_to_limit_ns=None)


def _at(name: tuple[str, str], until: int, left: tuple[int | None, ...]) -> Forecast:
    subject, signal = name
    acted_on = until if signal in _ACTED_ON else None
    return Forecast(
        subject=subject, signal=signal, limit=_LIMIT, time_to_limit_ns=acted_on, left_ns=left
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
