"""From the history of one series to its season: how long it is, where we are, what it looks like.

The test whether there is a season is `detect.season`; this makes its whole number of history
entries a period in ticks, and the history a first profile. A period is refined by the power at its
multiples, where being wrong shows more with every cycle, and is then a round one if that explains
the series as well: people's days and weeks at usual ticks first, whole ticks second.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.detect.season import evidence, find_season, medians

Floats = npt.NDArray[np.float64]

SHORTEST: Final = 4  # ticks; the shortest season that is looked for
_SHORTEST_JOINED: Final = 12  # entries of several ticks: fewer would hide what a season looks like
_DAY: Final = 86_400
_TICKS: Final = (1, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600)  # seconds
# An hour, a day and a week at each of these ticks.
_CALENDAR: Final = tuple(
    sorted({float(seconds // tick) for tick in _TICKS for seconds in (3600, _DAY, 7 * _DAY)})
)
_DAYS: Final = frozenset(float(_DAY // tick) for tick in _TICKS)
_WEEK: Final = 7
# A likelier period (people's, what is known, whole ticks) is taken if the power at its multiples is
# this share of the best: the best of many tries is better by chance, and a wrong one loses more
# with every cycle.
_AS_GOOD: Final = (0.97, 0.995, 0.99)
_NEAR: Final = 0.02
_MULTIPLES: Final = 14  # of a week: those of the day and of half of it are among them
_TRIES: Final = 41
_BETWEEN: Final = 32
_PASSES: Final = 3
_CLIP: Final = 4.0  # sigmas
_SIGMA: Final = 1.4826  # standard deviations to a median absolute deviation
_MEAN_ABSOLUTE: Final = 0.7979  # mean absolute deviations to a standard deviation: sqrt(2 / pi)
_SAME: Final = 0.03  # periods this near are one, known better
_MOST_TIMES: Final = 7.4  # a week of days, and what the period is not known by


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """News of a series' season.

    Attributes:
        period: In ticks, 0 for none any more.
        phase: The next tick's place in it, in ticks.
        profile: The season at equal distances from phase 0 on, `[bin]`; None: what is known of its
            shape stays.
        cycles: How many are behind it.
        level: Median of what the season leaves of the last cycle, as a difference from the origin.
        scale: Mean absolute departure from season and level.
    """

    period: float
    phase: float
    profile: Floats | None
    cycles: float
    level: float
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """The season that is believed so far; period 0 for none.

    Attributes:
        period: In ticks.
        phase: The next tick's place in it.
        profile: `[bin]`.
    """

    period: float
    phase: float
    profile: Floats

    def at(self, ticks: Floats) -> Floats:
        """Return the season at ticks counted from the next one."""
        if not self.period:
            return np.zeros_like(ticks)
        place = ((self.phase + ticks) % self.period) / self.period * len(self.profile)
        around = np.append(self.profile, self.profile[0])
        out: Floats = np.interp(place, np.arange(len(around)), around)
        return out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """What was seen of one series.

    Attributes:
        values: `[entry]`, oldest first, NaN where unknown.
        block: Ticks of an entry.
        since: Ticks after the last entry.
    """

    values: Floats
    block: int
    since: int

    @property
    def ticks(self) -> Floats:
        """The middle of each entry, in ticks before the next tick (negative). `[entry]`."""
        n = len(self.values)
        first = -float(n * self.block + self.since)
        return first + 0.5 * (self.block - 1) + self.block * np.arange(n, dtype=np.float64)

    def mean_of(self, known: Known) -> Floats:
        """Return the mean of a season over the ticks of each entry. `[entry]`."""
        within = np.arange(self.block) - 0.5 * (self.block - 1)
        out: Floats = known.at(self.ticks[:, None] + within).mean(axis=1)
        return out


def search(
    history: History, known: Known, *, bins: int, hints: tuple[int, ...], alpha: float
) -> Found | None:
    """Return what the history says that is not known, None for no news.

    Args:
        history: At least 16 known values.
        known: The season so far.
        bins: Most places of a profile.
        hints: Periods to ask about first, in ticks.
        alpha: Probability to see a season where there is none.
    """
    block, x = history.block, history.values
    least = SHORTEST if block == 1 else _SHORTEST_JOINED
    short = 0.0 < known.period < least * block  # entries say nothing about it, only beyond it
    if short:
        x = x - history.mean_of(known)
    asked = tuple(sorted({round(hint / block) for hint in hints if hint >= least * block}))
    season = find_season(x, hints=asked, alpha=alpha)
    if season.period < least:
        return None if short else _gone(x, known, block)
    names = ((*(float(hint) for hint in hints), *_CALENDAR), (known.period,))
    period = _refined(x, season.period, block, names=names)
    if known.period:
        times = period / known.period
        if abs(times - 1.0) <= _SAME:
            return _known_better(known, period)
        whole = round(times)
        if times < 1.0 or (times <= _MOST_TIMES and abs(times - whole) > _SAME * times):
            return None  # a part of the season that is known, or none of its multiples
        if times <= _MOST_TIMES and known.period in _DAYS and whole != _WEEK:
            return None  # nobody lives by five days
        period = whole * known.period if times <= _MOST_TIMES else period
    return _profile(history, known, period, bins)


def _gone(x: Floats, known: Known, block: int) -> Found | None:
    """Return that a season is no more, if nothing at all speaks for it."""
    entries = round(known.period / block)
    if not known.period or len(x) < 3 * entries or evidence(x, entries) >= 1.0:
        return None
    return Found(period=0.0, phase=0.0, profile=np.zeros(1), cycles=0.0, level=0.0, scale=0.0)


def _known_better(known: Known, period: float) -> Found | None:
    """Return the same season with another length, its profile kept where it is now."""
    if abs(period - known.period) < 1e-3 * known.period / len(known.profile):
        return None
    phase = known.phase / known.period * period
    return Found(period=period, phase=phase, profile=None, cycles=0.0, level=0.0, scale=0.0)


def _refined(x: Floats, entries: int, block: int, *, names: tuple[tuple[float, ...], ...]) -> float:
    """Return a period in ticks near a number of entries: one of these names if one is as good.

    Args:
        x: The history.
        entries: About how many of them are a period.
        block: Ticks of an entry.
        names: Periods in ticks that are more likely than others: what is known, people's.
    """
    power = _Power(_clipped(x, entries))
    best, width = float(entries), 1.0
    for _ in range(2):
        tries = best + width * np.linspace(-1.0, 1.0, _TRIES)
        tries = tries[tries >= 2.0]  # noqa: PLR2004 - two entries to a season
        best = float(tries[int(np.argmax(power.at(tries)))])
        width *= 2.0 / (_TRIES - 1)
    most = float(power.at(np.array([best]))[0])
    ticks = best * block
    near = max(float(block), _NEAR * ticks)
    for some, share in zip((*names, (float(round(ticks)),)), _AS_GOOD, strict=True):
        round_ones = np.array([name for name in some if abs(name - ticks) <= near])
        if len(round_ones):
            theirs = power.at(round_ones / block)
            if float(theirs.max()) >= share * most:
                return float(round_ones[int(np.argmax(theirs))])
    return ticks


def _clipped(x: Floats, period: int) -> Floats:
    """Return the series without each cycle's level, its wildest values clipped, 0 where unknown."""
    n = len(x)
    grid = np.full((-(-n // period), period), np.nan)
    grid.ravel()[-n:] = x
    rest = (grid - medians(grid.T)[:, None]).ravel()[-n:]
    seen = np.isfinite(rest)
    most = _CLIP * _SIGMA * float(np.median(np.abs(rest[seen])))
    rest = np.clip(rest, -most, most) if most > 0.0 else rest
    return np.where(seen, rest, 0.0)


class _Power:
    """The power of a series at the first multiples of any period's frequency.

    Args:
        x: `[entry]`, around 0.
    """

    def __init__(self, x: Floats) -> None:
        # Between so many places to a line its power is straight within a thousandth.
        self.size = _BETWEEN * (1 << (len(x) - 1).bit_length())
        self.power = np.abs(np.fft.rfft(x, self.size)) ** 2
        self.place = np.arange(len(self.power), dtype=np.float64)

    def at(self, periods: Floats) -> Floats:
        """Return it for each period, in entries."""
        total = np.zeros(len(periods))
        for multiple in range(1, _MULTIPLES + 1):
            place = multiple * self.size / periods
            inside = place <= self.place[-1]
            total += np.where(inside, np.interp(place, self.place, self.power), 0.0)
        return total


def _profile(history: History, known: Known, period: float, bins: int) -> Found:
    """Return a new season: what is known of a shorter one, and the medians of what it leaves."""
    ticks = history.ticks
    rest = history.values - known.at(ticks)
    coarse = max(min(int(period / history.block), bins), 2)
    turn = np.floor(ticks / period).astype(np.int64)  # -1 for the last cycle
    cell = np.clip(((ticks / period - turn) * coarse).astype(np.int64), 0, coarse - 1)
    grid = np.full((int(-turn.min()), coarse), np.nan)
    grid[turn, cell] = rest  # the last cycle is the last row
    shape = np.zeros(coarse)
    for _ in range(_PASSES):  # an oldest cycle that is not whole has a level only beside the others
        shape = medians(grid - medians((grid - shape).T)[:, None])
    centres = (np.arange(coarse) + 0.5) * period / coarse - 0.5
    count = max(min(round(period), bins), 1)
    starts = np.arange(count) * period / count
    profile = np.interp(starts, centres, shape, period=period)
    # Phase 0 of the new season is the next tick.
    profile = profile + known.at(starts)
    profile -= float(np.median(profile))
    season = Known(period=period, phase=0.0, profile=profile)
    left = history.values - season.at(ticks)
    last = left[ticks >= -period]
    level = float(np.nanmedian(last if np.isfinite(last).any() else left))
    away = np.abs(left - level)
    return Found(
        period=period,
        phase=0.0,
        profile=profile,
        # An entry of several ticks knows less than one: what is sharp has yet to be learnt.
        cycles=float(np.isfinite(rest).sum()) * math.sqrt(history.block) / period,
        level=level,
        # Of independent noise a mean of so many ticks shows this much less; too wide soon narrows.
        scale=float(np.nanmedian(away)) * _SIGMA * _MEAN_ABSOLUTE * math.sqrt(history.block),
    )
