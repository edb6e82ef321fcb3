"""What a memory of seasons (`seasonal_memory`) does now and then: write, forget, search. NumPy.

The history is a ring that never runs out: when it is full, neighbours are joined, and from then on
an entry stands for twice as many ticks. So it always spans all that was seen, up to a longest
block, in 256 to 512 entries: short seasons are looked for while entries are short, long ones when
there is enough of them. (A season shorter than some entries that begins later is not found.)

All rows have one clock; a row that appears later has an unknown past.
"""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from homeostat.detect import season_many
from homeostat.detect.seasonal_search import Found, History, Known, search

BINS: Final = 512  # places of a profile: 2 KiB; a day of minutes has 2.8 ticks to a place
PARTS: Final = 16  # parts of a season with a spread of their own
RING: Final = 512  # entries of the history: 2 KiB
STRIDE: Final = 16  # ticks between two upkeeps
MEMORY: Final = 7.0  # cycles that a place remembers: a week of days
_TURNS: Final = 4  # upkeeps between two searches of a row while entries are single ticks
_LEAST: Final = 64  # entries before the first search
_RATIO_MOST: Final = 4.0  # a part's spread against the mean, at most, and its inverse at least
_RATIO_WORTH: Final = 30.0  # values of a part before its own spread counts for half


class SeasonalMemory(NamedTuple):
    """What is known of each series; `[series]` where nothing else is said.

    Attributes:
        tick: Ticks so far, `[]` int.
        block: Ticks that an entry of the history stands for, `[]` int.
        used: Entries of the history, `[]` int.
        ring: The history as differences from the origin, float32 `[RING, series]`, NaN unknown.
        part_sum: Sum of the values of an entry that is not complete.
        part_count: How many.
        seen: The last ticks' values for the history, float32 `[STRIDE, series]`.
        place: The last ticks' phases, float32 `[STRIDE, series]`.
        off: The last ticks' clipped departures, NaN where nothing is learnt, `[STRIDE, series]`.
        odd: Where the last ticks were flagged, bool `[STRIDE, series]`.
        streak: Ticks since the last one that was calm.
        origin: The first value.
        period: Ticks of the season, 0 for none; not always a whole number.
        phase: The next tick's place in the season, in ticks.
        cycles: Cycles behind the profile.
        profile: The season, float32 `[BINS, series]`.
        marked: Places that were flagged when last seen, bool `[BINS, series]`.
        spread: Width of the noise against its mean, float32 `[PARTS, series]`.
        level: Slow level.
        scale: Mean absolute departure from season and level.
        age: Values behind level and scale.
        fresh: Whether the season changed at this tick: what was learnt from values without their
            season is of another series now. Bool.
    """

    tick: Any
    block: Any
    used: Any
    ring: Any
    part_sum: Any
    part_count: Any
    seen: Any
    place: Any
    off: Any
    odd: Any
    streak: Any
    origin: Any
    period: Any
    phase: Any
    cycles: Any
    profile: Any
    marked: Any
    spread: Any
    level: Any
    scale: Any
    age: Any
    fresh: Any


@dataclass(frozen=True, slots=True)
class Search:
    """How to search; see `seasonal_memory.Config`."""

    hints: tuple[int, ...]
    alpha: float
    longest_block: int
    staggered: bool = True


def upkeep_arrays(parts: tuple[Any, ...], how: Search) -> SeasonalMemory:
    """Do the upkeep on the arrays of a memory of any framework; types and shapes stay."""
    before = SeasonalMemory(*(np.asarray(part) for part in parts))
    after = upkeep(before, how)
    pairs = zip(after, before, strict=True)
    return SeasonalMemory(*(np.asarray(new, dtype=old.dtype) for new, old in pairs))


def upkeep(memory: SeasonalMemory, how: Search) -> SeasonalMemory:
    """Learn what the last `STRIDE` ticks left, write the history, and search whose turn it is."""
    memory = _learnt(memory)
    memory = _written(memory, how.longest_block)
    block, used = int(memory.block), int(memory.used)
    if used < _LEAST:
        return memory
    turns, turn = _TURNS * block, int(memory.tick) // STRIDE
    if how.staggered:
        rows = np.arange((-turn) % turns, memory.period.shape[0], turns)
    else:
        rows = np.arange(memory.period.shape[0] if turn % turns == 0 else 0)
    if not len(rows):
        return memory
    if not how.hints:  # two cycles, enough for a hint, make no line that stands out
        rows = _worth_a_search(memory, rows, how.alpha)
    found = [(int(row), _search_row(memory, int(row), how)) for row in rows]
    changed = [(row, one) for row, one in found if one is not None]
    return _adopted(memory, changed) if changed else memory


def _worth_a_search(memory: SeasonalMemory, rows: Any, alpha: float) -> Any:
    """Return those of these rows that have a season or may have one."""
    out = memory.period[rows] > 0.0
    for first in range(0, len(rows), season_many.TOGETHER):
        some = first + np.flatnonzero(~out[first : first + season_many.TOGETHER])
        past = _past(memory, rows[some])
        may = season_many.suspects(past)
        out[some[may]] = ~season_many.without(past[may], alpha=alpha)
    return rows[out]


def _past(memory: SeasonalMemory, rows: Any) -> Any:
    """Return the histories of some rows, `[row, entry]`."""
    out = np.empty((len(rows), int(memory.used)))
    for first in range(0, len(rows), season_many.ROWS):  # turned over within the cache
        part = slice(first, first + season_many.ROWS)
        out[part] = memory.ring[: out.shape[1], rows[part]].T
    return out


def _learnt(memory: SeasonalMemory) -> SeasonalMemory:
    """Let the last ticks' departures teach profile and spread."""
    taught = np.isfinite(memory.off)
    if not taught.any():
        return memory
    columns = np.flatnonzero(taught.any(axis=0))
    period = memory.period[columns]
    bins = np.clip(np.round(period), 1, BINS)
    # Shares of one cycle: a place hears of period / bins ticks in each, a part of period / PARTS.
    gain = 1.0 / (np.minimum(memory.cycles[columns], MEMORY) + 1.0)
    own, wide = gain * np.minimum(bins / period, 1.0), gain * np.minimum(PARTS / period, 1.0)
    profile, spread, marked = (
        part.copy() for part in (memory.profile, memory.spread, memory.marked)
    )
    size = np.maximum(memory.scale[columns], 1e-300)
    for tick in range(STRIDE):
        along = memory.place[tick, columns] / period * bins
        low = np.clip(np.floor(along), 0, bins - 1).astype(np.int64)
        share = np.clip(along - low, 0.0, 1.0)
        high = np.where(low + 1 >= bins, 0, low + 1)
        # What is flagged teaches nothing, but twice in a row at the same place is the season.
        there, odd = taught[tick, columns], memory.odd[tick, columns]
        here = there & (~odd | marked[low, columns])
        marked[low, columns] = np.where(there, odd, marked[low, columns])
        off = np.where(here, memory.off[tick, columns], 0.0)
        profile[low, columns] += own * (1.0 - share) * off
        profile[high, columns] += own * share * off
        part = np.clip(memory.place[tick, columns] / period * PARTS, 0, PARTS - 1).astype(np.int64)
        apart = np.where(here & ~odd, np.abs(off) / size - spread[part, columns], 0.0)
        spread[part, columns] += wide * _trust(memory.cycles[columns] * period) * apart
    spread[:, columns] = _even(spread[:, columns])
    cycles = memory.cycles.copy()
    cycles[columns] += taught[:, columns].sum(axis=0) / period
    cycles = np.minimum(cycles, 1e6)
    return memory._replace(profile=profile, spread=spread, marked=marked, cycles=cycles)


def _trust(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return how far a part's own spread is believed, by the values behind all parts."""
    each = values / PARTS
    out: npt.NDArray[Any] = each / (each + _RATIO_WORTH)
    return out


def _even(spread: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return spreads as shares of their mean, none absurd."""
    mean = np.maximum(spread.mean(axis=0), 1e-6)
    out: npt.NDArray[Any] = np.clip(spread / mean, 1.0 / _RATIO_MOST, _RATIO_MOST)
    return out


def _written(memory: SeasonalMemory, longest: int) -> SeasonalMemory:
    """Write the last ticks into the history."""
    memory = _with_room(memory, longest)
    block, used = int(memory.block), int(memory.used)
    values = memory.seen.astype(np.float64)
    if block <= STRIDE:
        entries = _mean(values.reshape(STRIDE // block, block, -1))
        total, count = memory.part_sum, memory.part_count
    else:
        known = np.isfinite(values)
        total = memory.part_sum + np.where(known, values, 0.0).sum(axis=0)
        count = memory.part_count + known.sum(axis=0)
        if int(memory.tick) % block:
            return memory._replace(part_sum=total, part_count=count)
        mean = np.where(count > 0, total / np.maximum(count, 1.0), np.nan)
        entries, total, count = mean[None], np.zeros_like(total), np.zeros_like(count)
    ring = memory.ring.copy()
    ring[used : used + len(entries)] = entries
    return memory._replace(
        ring=ring,
        used=np.asarray(used + len(entries), dtype=np.int32),
        part_sum=total,
        part_count=count,
    )


def _with_room(memory: SeasonalMemory, longest: int) -> SeasonalMemory:
    """Join neighbours of a full history, or drop the older half where entries are long enough."""
    if int(memory.used) < RING:
        return memory
    half, block = RING // 2, int(memory.block)
    ring = np.full_like(memory.ring, np.nan)
    if block < longest:
        ring[:half] = _mean(memory.ring.reshape(half, 2, -1))
        block *= 2
    else:
        ring[:half] = memory.ring[half:]
    return memory._replace(
        ring=ring, used=np.asarray(half, dtype=np.int32), block=np.asarray(block, dtype=np.int32)
    )


def _mean(groups: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the mean of the known values of each group (second axis), NaN for none."""
    known = np.isfinite(groups)
    count = known.sum(axis=1)
    total = np.where(known, groups, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _search_row(memory: SeasonalMemory, row: int, how: Search) -> Found | None:
    """Return the new season of a row, None for no news."""
    block, used = int(memory.block), int(memory.used)
    history = memory.ring[:used, row].astype(np.float64)
    known = np.flatnonzero(np.isfinite(history))
    if len(known) < _LEAST:
        return None
    period = float(memory.period[row])
    bins = int(np.clip(round(period), 1, BINS))
    since = int(memory.tick) % block  # ticks of an entry that is not complete
    past = History(values=history[known[0] :], block=block, since=since)
    profile = memory.profile[:bins, row].astype(np.float64)
    season = Known(period=period, phase=float(memory.phase[row]), profile=profile)
    return search(past, season, bins=BINS, hints=how.hints, alpha=how.alpha)


def _adopted(memory: SeasonalMemory, changed: list[tuple[int, Found]]) -> SeasonalMemory:
    """Return the memory with the new seasons of these rows."""
    parts = {
        name: np.array(getattr(memory, name))
        for name in (
            "period",
            "phase",
            "cycles",
            "profile",
            "marked",
            "spread",
            "level",
            "scale",
            "fresh",
        )
    }
    for row, one in changed:
        parts["period"][row], parts["phase"][row] = one.period, one.phase
        if one.profile is None:  # the period is known better; the rest stays
            continue
        parts["profile"][:, row] = 0.0
        parts["profile"][: len(one.profile), row] = one.profile
        parts["spread"][:, row], parts["cycles"][row] = 1.0, one.cycles
        parts["marked"][:, row] = False
        parts["level"][row] = one.level + memory.origin[row]
        parts["scale"][row], parts["fresh"][row] = one.scale, True
    return memory._replace(**parts)
