"""Normal days of real series, drawn again and again: fleets of any size with nothing wrong in them.

Days without a labelled anomaly are drawn with replacement, from the same weekday where there are
some, each at one level, and among those that begin near where the last one ended, or series would
jump at midnight (matched blocks: Carlstein, Do, Hall, Hesterberg & Kuensch, Bernoulli 4 (1998)). So
a fleet has the noise, the seasons and the tails of real series, and no fault that anybody labelled.

What is not there: levels that move from day to day (they are taken out, since two days that were
not neighbours would meet at a step), and whatever takes longer than a day.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from detection.sets import data_root, paths
from homeostat.stats.esd import MAD_SIGMA

DAY = 86_400
LEAST_DAYS = 6
EDGE = 4  # ticks of a day's begin and end
KNOWN = 0.95  # of a day's values


class Source(NamedTuple):
    """One series' normal days.

    Attributes:
        name: Where it is from.
        days: `[day, tick]`, at one level, NaN where unknown.
        weekday: 0..6, `[day]`.
        sd: Robust deviation from its weekly season and its days' levels.
    """

    name: str
    days: Any
    weekday: Any
    sd: float

    @property
    def first(self) -> Any:
        """How days begin, `[day]`."""
        return np.nan_to_num(np.nanmedian(self.days[:, :EDGE], axis=1))

    @property
    def last(self) -> Any:
        """How days end, `[day]`."""
        return np.nan_to_num(np.nanmedian(self.days[:, -EDGE:], axis=1))


def sources(name: str, ticks: int, *, most: int | None = None) -> list[Source]:
    """Return the series of a set that have enough normal days of so many ticks.

    Args:
        name: `nab` or `aiops`.
        ticks: Of a day: 288 are five minutes each, 1,440 one.
        most: Return the first so many, and read no more.

    Raises:
        FileNotFoundError: The set is not there.
        ValueError: No series has such days.
    """
    found: list[Source] = []
    for one in {"nab": _nab, "aiops": _aiops}[name]():
        if one is not None and one.days.shape[1] == ticks:
            found.append(one)
        if most is not None and len(found) >= most:
            break
    if not found:
        raise ValueError(f"{name}: no series has {LEAST_DAYS} normal days of {ticks} ticks")
    return found


def picked(sources: list[Source], series: int, days: int, rng: Any) -> tuple[list[Source], Any]:
    """Return the source of each series of a fleet, and which days it goes through, `[series, day]`.

    Args:
        sources: Taken in turn; all with as many ticks a day.
        series: Of the fleet.
        days: Of each.
        rng: Chance.
    """
    which = [sources[k % len(sources)] for k in range(series)]
    picks = np.empty((series, days), dtype=np.int64)
    ends = {one.name: (one.first, one.last) for one in sources}
    for row, one in enumerate(which):
        begin, (first, last) = int(rng.integers(7)), ends[one.name]
        for day in range(days):
            alike = np.flatnonzero(one.weekday == (begin + day) % 7)
            alike = alike if len(alike) > 3 else np.arange(len(one.days))
            if day:
                step = np.abs(first[alike] - last[picks[row, day - 1]])
                alike = alike[np.argsort(step, kind="stable")[: max(len(alike) // 3, 2)]]
            picks[row, day] = rng.choice(alike)
    return which, picks


def drawn(sources: list[Source], series: int, days: int, rng: Any) -> tuple[Iterator[Any], Any]:
    """Return a fleet's values tick by tick, `[series]` each, and each series' deviation."""
    which, picks = picked(sources, series, days, rng)
    ticks = which[0].days.shape[1]

    def rows() -> Iterator[Any]:
        for day in range(days):
            whole = np.array([one.days[picks[k, day]] for k, one in enumerate(which)])
            for at in range(ticks):
                yield whole[:, at].copy()

    return rows(), np.array([one.sd for one in which])


def _source(name: str, seconds: Any, values: Any, ill: Any, step: int) -> Source | None:
    """Return a series' normal days, None where there are too few or they do not move."""
    if len(seconds) < LEAST_DAYS * DAY // step:
        return None
    ticks, first = DAY // step, int(seconds[0] // DAY) * DAY
    place = (seconds - first) // step
    count = int(place[-1]) // ticks + 1
    grid, bad = np.full(count * ticks, np.nan), np.zeros(count * ticks, dtype=bool)
    grid[place], bad[place] = values, ill
    days = grid.reshape(count, ticks)
    kept: Any = ~bad.reshape(count, ticks).any(axis=1) & (np.isfinite(days).mean(axis=1) >= KNOWN)
    kept &= np.isfinite(days[:, :EDGE]).any(axis=1) & np.isfinite(days[:, -EDGE:]).any(axis=1)
    if kept.sum() < LEAST_DAYS:
        return None
    weekday = (first // DAY + np.arange(count)) % 7
    days, weekday = days[kept], weekday[kept]
    usual = np.nanmedian(days, axis=0)
    rest = days - usual
    rest = rest - np.nanmedian(rest, axis=1)[:, None]
    days = usual + rest
    sd = MAD_SIGMA * float(np.nanmedian(np.abs(rest)))
    return Source(name, days, weekday, sd) if sd > 1e-9 * np.nanmax(np.abs(days)) else None


def _aiops() -> Iterator[Source | None]:
    for path in paths("aiops"):
        with np.load(path) as part:
            seconds, values, label = (
                np.concatenate((part[f"train{end}"], part[f"test{end}"]))
                for end in ("_ts", "", "_label")
            )
        step = int(np.median(np.diff(seconds)))
        yield _source(path.stem, seconds, values, label > 0, step)


def _nab() -> Iterator[Source | None]:
    paths("nab")  # all of it is there, or an error says what is not
    root = data_root("nab")
    windows = json.loads((root / "labels" / "combined_windows.json").read_text())
    for name, spans in windows.items():
        if name.startswith("artificial"):
            continue
        text = np.loadtxt(root / "data" / name, delimiter=",", skiprows=1, dtype=str)
        when = text[:, 0].astype("datetime64[s]").astype(np.int64)
        step = int(np.median(np.diff(when)))
        if step != 300 or (np.diff(when) <= 0).any():
            continue
        ill = np.zeros(len(when), dtype=bool)
        for begin, end in spans:
            start, stop = (np.datetime64(at, "s").astype(np.int64) for at in (begin, end))
            ill |= (when >= start) & (when <= stop)
        yield _source(name, when, text[:, 1].astype(float), ill, step)
