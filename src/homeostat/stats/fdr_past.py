"""The fleet's own past: how far off were blocks of ticks while nothing was wrong?

A p-value made of one series' errors is honest only if they are alike from tick to tick. Real ones
are not: a level that jumps, a burst, a job late by a minute make a whole block of ticks strange,
and bets on ticks one after another take that for overwhelming evidence. What is true all the same
is that a block is like the blocks before it. So a block's size (how far its median error is off) is

* measured against the series' own worst blocks so far, where they are worse than most series' are:
  some are wilder than others, and what a series has done twice is no news;
* ranked among the sizes of all blocks of all series of the fleet, each measured like that: a
  thousand series have seen a hundred thousand blocks after an hour, which one series never does.
  Only the younger half of the past counts: what is wild in the first hours may be usual later;
* continued beyond the largest of them by a tail that is not sure of its shape (`stats.tail`).

p is then the share of a fleet's past blocks that were as far off: right on average over the series
of the fleet, which is what a false discovery rate over the fleet needs, if its blocks go on as they
did; not right for a series that is unlike all others and has only just appeared. This is the
empirical null of Efron (Journal of the American Statistical Association 99 (2004)) in the form of a
conformal p-value. It knows nothing of ticks within a block, so take it together with what does: the
larger p-value of two is a p-value.

Guarded: what was rejected is kept out of the fleet's past, but not out of the series' own, or what
recurs would alarm for ever. NumPy only: one look a block.
"""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.stats.tail import ln_exceeded

_LN10: Final = 2.302585092994046
# The tail is fitted to the largest one of so many sizes, and to so many at least and at most.
# A set number will not do: of a hundred thousand sizes the largest 128 are jumps of a few series,
# which say so little about the rest that a shift of three times their size is hardly rarer.
_TAIL: Final = 200
_LEAST_PEAKS: Final = 64
_PEAKS: Final = 2048
# A series is measured in its own worst blocks only if they are worse than those of so many; and in
# this at least, in standard deviations of errors: of blocks of 16 independent ones, nearly all are.
_MOST_SERIES: Final = 0.9
_UNIT: Final = 0.5
# Blocks of the fleet's clock after which halves of its past are told apart.
_FIRST_HALF: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        least: Blocks of a series before it is judged, at least 2.
        fleet: Blocks of the fleet before anything is judged, at least 64.
        memory: Blocks over which a series' own worst fade to 1 / e, at least 1.
    """

    least: int = 16
    fleet: int = 1000
    memory: float = 2000.0

    def __post_init__(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        if self.least < 2:  # noqa: PLR2004 - the two worst are what is kept
            raise ValueError(f"fdr past: least must be 2 or more, got {self.least}")
        if self.fleet < _LEAST_PEAKS:
            raise ValueError(f"fdr past: fleet must be {_LEAST_PEAKS} or more, got {self.fleet}")
        if not self.memory >= 1.0:
            raise ValueError(f"fdr past: memory must be 1 or more, got {self.memory}")


class Past(NamedTuple):
    """What is remembered.

    Attributes:
        worst: The two largest sizes of each series, the larger first, `[2, series]`; neighbours
            that were both large are one.
        lasting: The largest of the blocks in a row, the last one included, that were larger than
            the second worst; 0 if the last one was not. `[series]`.
        blocks: Blocks of each series, `[series]`.
        peaks: The largest sizes of the fleet, each in its series' own, ascending, of the half
            before and of the one under way, `[2, peak]`.
        counts: Blocks of series that were measured in each, `[2]`.
        clock: Blocks of the fleet, `[]`.
    """

    worst: Any
    lasting: Any
    blocks: Any
    peaks: Any
    counts: Any
    clock: Any


class FleetPast:
    """See the module; causal, O(1) a block.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.fade = float(np.exp(-1.0 / config.memory))

    def init(self, series: int) -> Past:
        """Return a fleet that has seen nothing."""
        none = np.zeros(series)
        return Past(
            worst=np.zeros((2, series)), lasting=none, blocks=none,
            peaks=np.zeros((2, _PEAKS + 1)), counts=np.zeros(2),
            clock=np.asarray(0, dtype=np.int64),
        )  # fmt: skip

    def restart(self, state: Past, rows: Any) -> Past:
        """Return the past with these series (bool `[series]`) as if new; the fleet's stays."""
        return state._replace(
            worst=np.where(rows, 0.0, state.worst),
            lasting=np.where(rows, 0.0, state.lasting),
            blocks=np.where(rows, 0.0, state.blocks),
        )

    def neg_log10_p(self, state: Past, sizes: Any) -> Any:
        """Return -log10 p of a block that is over.

        Args:
            state: From `init` or `learn`.
            sizes: How far off each series' block is, 0 or more, `[series]`; NaN is unknown.

        Returns:
            0 or more; 0 for all that is not among the largest; NaN where the size is unknown, or
            the series or the fleet too young. `[series]`.
        """
        own = self._in_own(state, sizes)
        count = state.counts.sum()
        known = np.isfinite(own) & (count >= self.config.fleet)
        at = np.where(known, own, 0.0)
        kept = int(np.clip(count // _TAIL, _LEAST_PEAKS, _PEAKS))
        peaks = np.sort(state.peaks.reshape(-1))[-kept - 1 :]
        higher = len(peaks) - np.searchsorted(peaks, at, side="left")
        out = np.log10(1.0 + count) - np.log10(1.0 + higher)
        out = np.where(at > peaks[0], out, 0.0)
        far = np.flatnonzero(known & (higher == 0))
        if far.size:
            out[far] += _further(peaks, at[far])
        return np.where(known, out, np.nan)

    def learn(self, state: Past, sizes: Any, rejected: Any) -> Past:
        """Learn from a block that is over.

        Args:
            state: From `init` or `learn`.
            sizes: As for `neg_log10_p`.
            rejected: Bool `[series]`: what is an alarm, and no part of a healthy fleet's past.
        """
        own = self._in_own(state, sizes)
        joins = own[np.isfinite(own) & ~np.asarray(rejected)]
        peaks, counts = self._half(state)
        peaks[1] = np.sort(np.concatenate([peaks[1], joins]))[-len(peaks[1]) :]
        counts[1] += joins.size
        known = np.isfinite(sizes)
        size = np.where(known, sizes, 0.0)
        worst = state.worst * self.fade
        young = known & (state.blocks < self.config.least)
        large = known & ~young & (size > worst[1])
        lasting = np.where(large, np.maximum(state.lasting, size), state.lasting)
        # A stretch of large blocks is over with the first that is not: it is one entry.
        over = known & ~large & (lasting > 0.0)
        entry = np.where(young, size, np.where(over, lasting, 0.0))
        first = np.maximum(worst[0], entry)
        second = np.maximum(worst[1], np.minimum(worst[0], entry))
        return Past(
            worst=np.stack([first, second]),
            lasting=np.where(over, 0.0, lasting),
            blocks=state.blocks + known,
            peaks=peaks,
            counts=counts,
            clock=np.asarray(state.clock + 1),
        )

    def _half(self, state: Past) -> tuple[Any, Any]:
        """Return copies of the halves; at each doubling of the clock a new one begins."""
        peaks, counts, clock = state.peaks.copy(), state.counts.copy(), int(state.clock)
        if clock >= _FIRST_HALF and clock & (clock - 1) == 0:
            peaks[0], counts[0] = peaks[1], counts[1]
            peaks[1], counts[1] = 0.0, 0.0
        return peaks, counts

    def _in_own(self, state: Past, sizes: Any) -> Any:
        """Return sizes in those of each series' own worst blocks, NaN where it is too young."""
        old = state.blocks >= self.config.least
        own = _UNIT + state.worst.mean(axis=0)
        usual = np.quantile(own[old], _MOST_SERIES) if old.any() else _UNIT
        return np.where(old & np.isfinite(sizes), sizes / np.maximum(own, usual), np.nan)


def size(errors: Any) -> Any:
    """Return how far off a block is: its median error, so that half of it must be off.

    A mean would take one wild value, or the first error of a shift in correlated noise, for all.

    Args:
        errors: Signed, in standard deviations, `[tick, series]`; NaN is unknown.

    Returns:
        0 or more, NaN where nothing is known, `[series]`.

    >>> size(np.array([[9.0, np.nan], [-2.0, np.nan], [-3.0, np.nan]])).tolist()
    [2.0, nan]
    """
    ordered = np.sort(errors, axis=0)  # NaN last
    count = np.isfinite(errors).sum(axis=0)
    middle = (count // 2, np.maximum(count - 1, 0) // 2)
    high, low = (np.take_along_axis(ordered, at[None], axis=0)[0] for at in middle)
    return np.where(count > 0, np.abs(high + low) / 2.0, np.nan)


def _further(peaks: Any, sizes: Any) -> Any:
    """Return -log10 of how much rarer than the largest peak sizes beyond it are."""
    over = np.maximum(np.append(sizes, peaks[-1]) - peaks[0], 0.0)
    ln = ln_exceeded(np, (peaks[1:] - peaks[0])[:, None], over[:, None])[:, 0]
    beyond = np.minimum(ln[-1] - ln[:-1], -ln[:-1] - np.log(len(peaks)))
    return np.maximum(beyond, 0.0) / _LN10
