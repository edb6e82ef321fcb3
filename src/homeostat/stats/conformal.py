"""Conformal p-values: how rare is a score among those of the same series while all was well.

p = (1 + scores at least as large) / (1 + scores): if the new score is exchangeable with those in
the table, P(p <= level) <= level for every level, whatever the distribution. (Vovk, Gammerman &
Shafer, "Algorithmic Learning in a Random World" (2005).) A score above all of a table
has 1 / (1 + scores) by that; how far above, the tail of its highest eighth says (`stats.tail`).

The table of each series is guarded: the caller says what may enter, and flagged points must not.
It is kept sorted, so a p-value costs a binary search. A full table takes a score only every `block`
ticks, because neighbours in time say the same thing, and drops one by chance (a hash of the count,
the same on every machine): what stays is a random sample of a past that fades, and takes 2 KiB.
Scores are kept in single precision or in 16 bits, rounding the new one alike, so ties stay ties.

A season's buckets are so many tables (`BySeason`). Not here: what the score is.
"""

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.stats import sixteen
from homeostat.stats.chosen import alike, where
from homeostat.stats.tail import ln_exceeded

_LN10: Final = 2.302585092994046
# The share of a full table that is its tail: 64 peaks of 512, see `stats.tail`.
_TAIL: Final = 8
# Series at a time where full tables change, so that they stay in the processor's cache.
_CHUNK: Final = 512
# The same where each row is gone over twice at most; fewer cost more calls than cache.
_WIDE: Final = 8192
# So many filled rows are counted faster than searched, and any number of so few series.
_COUNTED: Final = 128
_NARROW: Final = 64
# Where a smaller share than one in so many columns changes, picking them out is cheaper.
_FEW: Final = 16
# Counts stop here; far from where int32 ends.
_COUNT_MAX: Final = 1_000_000_000
_WAIT_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings of a table.

    Attributes:
        size: Scores in a full table, 16 to 4,096; 4 bytes each, 2 where narrow.
        block: A full table takes one score in this many ticks, at least 1.
        least: Scores before anything is judged; 1 / (1 + least) is then the smallest p.
        narrow: Scores, 0 or more, are kept in 16 bits (`stats.sixteen`). p is as valid: scores
            within a thousandth of each other are ties.
    """

    size: int = 512
    block: int = 8
    least: int = 19
    narrow: bool = False

    def __post_init__(self) -> None:
        """Refuse a table that cannot work.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        if not 16 <= self.size <= 4096:  # noqa: PLR2004 - two peaks; 16 KiB a series
            raise ValueError(f"conformal: size must be in 16..4096, got {self.size}")
        if self.block < 1:
            raise ValueError(f"conformal: block must be 1 or more, got {self.block}")
        if not 1 <= self.least <= self.size:
            raise ValueError(f"conformal: least must be in 1..{self.size}, got {self.least}")


class Table(NamedTuple):
    """What is known of each series.

    Attributes:
        scores: Ascending, `[size, series]`: float32, -inf where there is none yet; codes of
            `stats.sixteen` where narrow. See `Conformal.sizes`.
        entered: Scores that ever entered, int32, `[series]`.
        wait: Ticks since the last one did, int32, `[series]`.
    """

    scores: Any
    entered: Any
    wait: Any


class Conformal:
    """Tables and their p-values, batched over series; see the module.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self._log10 = np.log10(1.0 + np.arange(config.size + 1))  # of a count and one

    def init(self, xp: ModuleType, series: int) -> Table:
        """Return empty tables."""
        none = xp.zeros(series, dtype=xp.int32)
        shape = (self.config.size, series)
        if self.config.narrow:
            empty = xp.full(shape, sixteen.EMPTY, dtype=xp.uint16)
        else:
            empty = xp.full(shape, -xp.inf, dtype=xp.float32)
        return Table(scores=empty, entered=none, wait=none)

    def sizes(self, xp: ModuleType, scores: Any) -> Any:
        """Return some of a table's scores as numbers: float32, -inf for none, any shape."""
        return sixteen.sized(xp, scores) if self.config.narrow else scores

    def _kept(self, xp: ModuleType, scores: Any) -> Any:
        """Return scores, finite and float32, as a table keeps them."""
        return sixteen.coded(xp, scores) if self.config.narrow else scores

    def neg_log10_p(self, xp: ModuleType, state: Table, scores: Any) -> Any:
        """Return -log10 p, `[series]`; the larger a score, the rarer.

        Args:
            xp: numpy or jax.numpy.
            state: The tables.
            scores: `[series]`; NaN and infinities are unknown.

        Returns:
            0 or more and finite; NaN where the score is unknown or the table is too young.
        """
        size = self.config.size
        new = xp.asarray(scores, dtype=xp.float32)
        there = xp.minimum(state.entered, size)
        known = xp.isfinite(new) & (there >= self.config.least)
        if xp is np and not known.any():
            return np.full(known.shape, np.nan)
        new = where(xp, known, new, xp.float32(0.0))
        below = self._below(xp, state.scores, self._kept(xp, new), there)
        far = known & (below == size) & (2 * there >= size)
        low = size - size // _TAIL - 1  # the tail, and its threshold
        out = self._ranked(xp, below, there)
        if xp is np:
            columns = np.flatnonzero(far)
            if columns.size:
                tail = self.sizes(np, state.scores[low:, columns])
                out[columns] += _further(np, tail, new[columns])
        else:
            tail = self.sizes(xp, state.scores[low:])
            out = out + xp.where(far, _further(xp, tail, new), 0.0)
        return where(xp, known, out, xp.nan)

    def _ranked(self, xp: ModuleType, below: Any, there: Any) -> Any:
        """Return -log10 p of scores with so many entries of the table below, `[series]`."""
        size = self.config.size
        if xp is not np:
            return xp.log10(1.0 + there) - xp.log10(1.0 + xp.minimum(size - below, there))
        count = alike(np, there)
        if count is not None:  # as many entries everywhere: one table of what each rank says
            higher = np.minimum(size - np.arange(size + 1), count)
            return (self._log10[count] - self._log10[higher]).take(below)
        return self._log10[there] - self._log10[np.minimum(size - below, there)]

    def below(self, xp: ModuleType, state: Table, scores: Any) -> Any:
        """Return how many entries of each table are smaller, the empty ones included, `[series]`.

        Args:
            xp: numpy or jax.numpy.
            state: The tables.
            scores: `[series]`, float32 and finite.
        """
        return self._below(xp, state.scores, self._kept(xp, scores), state.entered)

    def _below(self, xp: ModuleType, table: Any, new: Any, entered: Any) -> Any:
        """Do what `below` does; of a young table only the rows that any series has filled."""
        if xp is not np:
            return _searched(xp, table, new)
        empty = self.config.size - min(int(entered.max(initial=0)), self.config.size)
        filled = table[empty:]
        if len(filled) <= _COUNTED or len(new) <= _NARROW:
            return empty + _counted(filled, new)
        return empty + _searched(np, filled, new)

    def learn(self, xp: ModuleType, state: Table, scores: Any, allowed: Any) -> Table:
        """Let scores enter where they may.

        Args:
            xp: numpy or jax.numpy.
            state: The tables.
            scores: `[series]`; NaN and infinities never enter.
            allowed: Bool `[series]`, or one bool: False for flagged and masked points.
        """
        new = xp.asarray(scores, dtype=xp.float32)
        due = (state.entered < self.config.size) | (state.wait + 1 >= self.config.block)
        enters = xp.isfinite(new) & xp.asarray(allowed) & due
        new = self._kept(xp, xp.where(enters, new, xp.float32(0.0)))
        wait = xp.where(enters, 0, xp.minimum(state.wait + 1, _WAIT_MAX))
        wait = xp.asarray(wait, dtype=xp.int32)
        entered = xp.asarray(xp.minimum(state.entered + enters, _COUNT_MAX), dtype=xp.int32)
        if xp is not np:
            drop = _dropped(xp, state.entered, self.config.size)
            moved = _replaced(xp, state.scores, new, drop)
            return Table(xp.where(enters, moved, state.scores), entered, wait)
        columns = np.flatnonzero(enters)
        if not columns.size:
            return Table(state.scores, entered, wait)
        return Table(_taken_in(state.scores, new, enters, columns, state.entered), entered, wait)

    def restart(self, xp: ModuleType, state: Table, rows: Any) -> Table:
        """Return the tables with those of these rows (bool `[series]`) empty."""
        fresh = self.init(xp, state.entered.shape[0])
        return Table(*(xp.where(rows, new, old) for new, old in zip(fresh, state, strict=True)))


class BySeason:
    """One table for each part of a season, such as the hour of the day.

    Args:
        config: Settings of each table; memory is so many times that of one.
        buckets: Parts of a season, at least 1.

    Raises:
        ValueError: There are no parts.
    """

    def __init__(self, config: Config, buckets: int) -> None:
        if buckets < 1:
            raise ValueError(f"conformal: buckets must be 1 or more, got {buckets}")
        self.tables, self.buckets = Conformal(config), buckets

    def init(self, xp: ModuleType, series: int) -> tuple[Table, ...]:
        """Return empty tables."""
        return tuple(self.tables.init(xp, series) for _ in range(self.buckets))

    def neg_log10_p(
        self, xp: ModuleType, state: tuple[Table, ...], bucket: int, scores: Any
    ) -> Any:
        """Return -log10 p among the scores of this part of the season."""
        return self.tables.neg_log10_p(xp, state[bucket], scores)

    def learn(
        self, xp: ModuleType, state: tuple[Table, ...], bucket: int, scores: Any, allowed: Any
    ) -> tuple[Table, ...]:
        """Let scores enter the table of this part of the season."""
        learnt = self.tables.learn(xp, state[bucket], scores, allowed)
        return (*state[:bucket], learnt, *state[bucket + 1 :])


def _searched(xp: ModuleType, table: Any, new: Any) -> Any:
    """Return how many entries are smaller, by binary search over all series at once."""
    size, series = table.shape
    flat, at = table.reshape(-1), xp.arange(series)  # `at`: first candidate's place in `flat`
    left = size
    while left > 1:
        half = left // 2
        smaller = xp.take(flat, at + (half - 1) * series) < new
        at = at + smaller * (half * series)
        left -= half
    last = xp.take(flat, at) < new
    return at // series + last


def _counted(table: Any, new: Any) -> Any:
    """Return how many entries are smaller by looking at each, int64 `[series]`. NumPy."""
    narrow = np.uint8 if len(table) <= np.iinfo(np.uint8).max else np.uint16
    out = np.empty(len(new), dtype=np.int64)
    for first in range(0, len(new), _WIDE):
        part = slice(first, first + _WIDE)
        smaller = (table[:, part] < new[part]).view(np.uint8)
        out[part] = np.add.reduce(smaller, axis=0, dtype=narrow)
    return out


def _taken_in(table: Any, new: Any, enters: Any, columns: Any, entered: Any) -> Any:
    """Return the tables with new scores where `enters` says so, that is in `columns`. NumPy.

    Where many change, all are gone over in the order of memory, which is far cheaper than picking
    columns: the others are given what leaves them as they are.
    """
    size, most = len(table), int(entered[columns].max())
    if _FEW * columns.size < enters.size:
        drop = _dropped(np, entered[columns], size)
        out = table.copy()
        out[:, columns] = _replaced(np, table[:, columns], new[columns], drop)
        return out
    out = np.empty_like(table)
    if most >= size:
        drop = np.where(enters, _dropped(np, entered, size), size - 1)
        new = np.where(enters, new, table[-1])
        for first in range(0, enters.size, _CHUNK):
            part = slice(first, first + _CHUNK)
            out[:, part] = _replaced(np, table[:, part], new[part], drop[part])
        return out
    low = size - 1 - most  # what is above is empty; one empty place goes
    out[:low] = table[:low]
    new = np.where(enters, new, table[0])
    for first in range(0, enters.size, _WIDE):
        part = slice(first, first + _WIDE)
        _inserted(table[low:, part], new[part], out[low:, part])
    return out


def _inserted(table: Any, new: Any, out: Any) -> None:
    """Write tables without their first entry and with the new one in its place to `out`. NumPy."""
    # Below its place entries move down by one, above it they stay: both at once.
    np.minimum(table[1:], new, out=out[:-1])
    np.maximum(table[:-1], out[:-1], out=out[:-1])
    np.maximum(table[-1], new, out=out[-1])


def _dropped(xp: ModuleType, entered: Any, size: int) -> Any:
    """Return which entry goes when one comes: an empty one, or of a full table one by chance."""
    return xp.where(entered < size, 0, _chance(xp, entered) % size)


def _replaced(xp: ModuleType, table: Any, new: Any, drop: Any) -> Any:
    """Return the tables with one entry dropped and the new one in its place in the order."""
    row = xp.arange(table.shape[0] - 1, dtype=xp.int32)[:, None]
    rest = xp.where(row < xp.asarray(drop, dtype=xp.int32), table[:-1], table[1:])
    # Below its place an entry stays, above it the one before moves up: both at once.
    middle = xp.maximum(rest[:-1], xp.minimum(rest[1:], new))
    first, last = xp.minimum(rest[:1], new), xp.maximum(rest[-1:], new)
    return xp.concatenate([first, middle, last])


def _chance(xp: ModuleType, count: Any) -> Any:
    """Return 0 .. 2^31 - 1, as if random in the count (finaliser of MurmurHash3, by Appleby)."""
    mixed = xp.asarray(count, dtype=xp.int32)
    for factor, shift in ((-2048144789, 16), (-1028477387, 13)):
        mixed = mixed ^ ((mixed >> shift) & ((1 << (32 - shift)) - 1))
        mixed = mixed * xp.asarray(factor, dtype=xp.int32)
    return (mixed ^ ((mixed >> 16) & 0xFFFF)) & 0x7FFFFFFF


def _further(xp: ModuleType, tail: Any, new: Any) -> Any:
    """Return -log10 of how much rarer than "above all" a score above all is.

    The smaller claim of two: continued from the highest entry, and from the tail's threshold.

    Args:
        xp: numpy or jax.numpy.
        tail: The highest entries, ascending, the threshold first, `[entry, series]`.
        new: `[series]`.
    """
    count = tail.shape[0] - 1
    wide = xp.asarray(tail, dtype=xp.zeros(0).dtype)
    threshold = wide[0]
    size_over = xp.stack([new - threshold, wide[-1] - threshold])
    ln_new, ln_top = ln_exceeded(xp, wide[1:] - threshold, size_over)
    from_top = ln_top - ln_new
    from_threshold = -ln_new - xp.log(xp.asarray(1.0 + count))
    return xp.maximum(xp.minimum(from_top, from_threshold), 0.0) / _LN10
