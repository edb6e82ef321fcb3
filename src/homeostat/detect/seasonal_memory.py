"""The season of a stream: taken from each value, learnt from it, in a memory of fixed size.

A profile of at most `BINS` places, read between places where a season has more ticks, each place a
running location of about `MEMORY` cycles. It is robust because what is learnt is clipped, and
guarded because the caller says which values were calm; others teach only where the same place was
flagged in the cycle before, and half a cycle of flags in a row is a fault. Beside it stand a slow
level (the profile is what departs from it, so a shift of the level leaves the profile whole) and
the spread of each sixteenth of the season. Where no season is known, values pass as they are.

What is dear (writing the profile, the history, the search for a period) waits for every
`STRIDE`-th tick and is done by `seasonal_upkeep`, in NumPy also under JAX (a callback), so that
there is one search. Learning takes from half a cycle on effect, so the wait costs nothing.

Source of the update: a clipped stochastic gradient, that is a running M-estimate (Huber &
Ronchetti, "Robust Statistics" (2009), 6.4); a robust seasonal profile under a median is from
Hochenbaum, Vallis & Kejariwal, arXiv:1704.07706 (2017).
"""

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.detect import seasonal_upkeep
from homeostat.detect.seasonal_search import SHORTEST
from homeostat.detect.seasonal_upkeep import BINS, MEMORY, PARTS, RING, STRIDE, SeasonalMemory

_CLIP: Final = 3.0  # sigmas; under normal noise one value in 370 is clipped
_SIGMA: Final = 1.2533  # standard deviations to a mean absolute deviation: sqrt(pi / 2)
_LEVEL_LEAST: Final = 64.0  # ticks that the level and the spread remember, at least
_LARGEST: Final = 1e15  # squares stay finite in single precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        hints: Seasons to ask about first, in ticks: a day, a week. They need two cycles to be
            believed, others three.
        alpha: Probability to see a season where there is none, at one search, in (0, 1). There are
            two searches to a doubling of what has been seen.
        longest_block: Ticks that one entry of the history stands for, at most; a power of two. The
            history then spans 256 to 512 times that: with 64, 11 to 22 days of minutes.
        staggered: Rows take turns in searching, so that a tick of a large fleet does not wait for
            all of them. When a season becomes known then depends on the row's number; where what
            is said of a row must not, all search in the same tick.
    """

    hints: tuple[int, ...] = ()
    alpha: float = 1e-4
    longest_block: int = 64
    staggered: bool = True

    def __post_init__(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        if not 0.0 < self.alpha < 1.0:
            raise ValueError(f"seasonal: alpha must be in (0, 1), got {self.alpha}")
        if any(hint < SHORTEST for hint in self.hints):
            raise ValueError(f"seasonal: hints must be {SHORTEST} ticks or more, got {self.hints}")
        block = self.longest_block
        if block < 1 or block & (block - 1):
            raise ValueError(f"seasonal: longest_block must be a power of two, got {block}")


class Removed(NamedTuple):
    """One tick without its season, `[series]` each.

    Attributes:
        values: What the season leaves: level and noise, in the series' unit, the noise as wide
            at every phase. The values themselves where no season is known.
        season: What was taken away; 0 where no season is known.
        ratio: What the noise was divided by; 1 where no season is known.
        level: The slow level around which it was divided.
    """

    values: Any
    season: Any
    ratio: Any
    level: Any

    def back(self, xp: ModuleType, values: Any) -> Any:
        """Return values like those of `values` with the season put back."""
        whole = self.season + self.level + (values - self.level) * self.ratio
        return xp.where(self.ratio == 1.0, values + self.season, whole)


class Seasons:
    """The memory of seasons, batched over series; see the module.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        self.config = config

    def init(self, xp: ModuleType, series: int) -> SeasonalMemory:
        """Return the memory of rows that have seen nothing."""
        number, whole, single = xp.zeros(series), xp.zeros((), dtype=xp.int32), xp.float32
        return SeasonalMemory(
            tick=whole, block=whole + 1, used=whole,
            ring=xp.full((RING, series), xp.nan, dtype=single),
            part_sum=number, part_count=number,
            seen=xp.full((STRIDE, series), xp.nan, dtype=single),
            place=xp.zeros((STRIDE, series), dtype=single),
            off=xp.full((STRIDE, series), xp.nan, dtype=single),
            odd=xp.zeros((STRIDE, series), dtype=bool), streak=number,
            origin=number + xp.nan, period=number, phase=number, cycles=number,
            profile=xp.zeros((BINS, series), dtype=single),
            marked=xp.zeros((BINS, series), dtype=bool),
            spread=xp.ones((PARTS, series), dtype=single),
            level=number, scale=number, age=number,
            fresh=xp.zeros(series, dtype=bool),
        )  # fmt: skip

    def restart(self, xp: ModuleType, memory: SeasonalMemory, rows: Any) -> SeasonalMemory:
        """Return the memory with these rows (bool `[series]`) as if new; the clock goes on."""
        fresh = self.init(xp, memory.period.shape[0])
        pairs = zip(fresh, memory, strict=True)
        parts = (old if old.ndim == 0 else xp.where(rows, new, old) for new, old in pairs)
        return SeasonalMemory(*parts)

    def season(self, xp: ModuleType, memory: SeasonalMemory, ahead: Any = 1) -> Any:
        """Return the season's part of a coming value, 0 where no season is known. `[series]`.

        Args:
            xp: numpy or jax.numpy.
            memory: After the last tick that was learnt from.
            ahead: Ticks after that one: 1 is the next. A number or `[series]`.
        """
        if xp is np:
            return _season_of(memory, ahead)
        return _season(xp, memory, ahead)

    def ratio(self, xp: ModuleType, memory: SeasonalMemory, ahead: Any = 1) -> Any:
        """Return how wide the noise is at that phase, its mean over the season 1. `[series]`."""
        if xp is np:
            return _ratio_of(memory, ahead)
        return _ratio(xp, memory, ahead)

    def remove(self, xp: ModuleType, memory: SeasonalMemory, values: Any) -> Removed:
        """Return the values of the next tick without their season; nothing is learnt.

        Args:
            xp: numpy or jax.numpy.
            memory: From `init` or `learn`.
            values: `[series]`; NaN where unknown, which stays.
        """
        raw = xp.asarray(values, dtype=memory.level.dtype)
        season, ratio = self.season(xp, memory), self.ratio(xp, memory)
        rest = raw - season
        even = memory.level + (rest - memory.level) / ratio
        return Removed(xp.where(ratio == 1.0, rest, even), season, ratio, memory.level)

    def learn(
        self,
        xp: ModuleType,
        memory: SeasonalMemory,
        values: Any,
        *,
        allowed: Any,
        calm: Any,
        season: Any = None,
    ) -> SeasonalMemory:
        """Move on by one tick.

        Args:
            xp: numpy or jax.numpy.
            memory: From `init` or the last call.
            values: `[series]`; NaN and infinities are unknown.
            allowed: Bool `[series]`, or one bool: where anything may be learnt. The history from
                which a period is found takes all such values until a season is known.
            calm: Bool `[series]`: where the value was not flagged either. Others teach no season.
            season: What `remove` took away from the values, where it was asked.
        """
        raw = xp.asarray(values, dtype=memory.level.dtype)
        known = xp.isfinite(raw) & xp.asarray(allowed)
        x = xp.clip(xp.where(known, raw, 0.0), -_LARGEST, _LARGEST)
        origin = xp.where(xp.isnan(memory.origin) & known, x, memory.origin)
        there = memory.period > 0.0
        season = self.season(xp, memory) if season is None else season
        off = x - season - memory.level
        most = _CLIP * _SIGMA * memory.scale
        off = xp.where(memory.scale > 0.0, xp.clip(off, -most, most), off)
        learns = known & xp.asarray(calm)
        age = xp.where(learns, xp.minimum(memory.age + 1.0, _LARGEST), memory.age)
        weight = 1.0 / xp.clip(age, 1.0, xp.maximum(memory.period, _LEVEL_LEAST))
        level = xp.where(memory.age > 0.0, memory.level + weight * off, x)
        size = xp.where(memory.age > 0.0, xp.abs(off), 0.0)
        # A fault may last for more than a cycle; what the season does ends within half of one.
        streak = xp.where(known & xp.asarray(calm), 0.0, memory.streak + known)
        odd = known & ~xp.asarray(calm)
        staged = there & (learns | (odd & (streak < 0.5 * memory.period)))
        held = known & (xp.asarray(calm) | ~there)
        single = memory.ring.dtype
        after = memory._replace(
            tick=xp.asarray(memory.tick + 1, dtype=xp.int32),
            seen=_pushed(xp, memory.seen, xp.where(held, x - origin, xp.nan).astype(single)),
            place=_pushed(xp, memory.place, memory.phase.astype(single)),
            off=_pushed(xp, memory.off, xp.where(staged, off, xp.nan).astype(single)),
            odd=_pushed(xp, memory.odd, odd),
            streak=xp.minimum(streak, _LARGEST),
            origin=origin,
            phase=_next_phase(xp, memory, there),
            level=xp.where(learns, level, memory.level),
            scale=xp.where(learns, memory.scale + weight * (size - memory.scale), memory.scale),
            age=age,
            fresh=xp.zeros_like(memory.fresh),
        )
        return self._kept(after)

    def moved(
        self, xp: ModuleType, memory: SeasonalMemory, rows: Any, level: Any
    ) -> SeasonalMemory:
        """Return the memory with the level of these rows (bool `[series]`) elsewhere."""
        return memory._replace(level=xp.where(rows, level, memory.level))

    def _kept(self, memory: SeasonalMemory) -> SeasonalMemory:
        """Do the upkeep when it is due."""
        config = self.config
        search = seasonal_upkeep.Search(
            config.hints, config.alpha, config.longest_block, staggered=config.staggered
        )
        if hasattr(memory.ring, "at"):  # JAX, perhaps under a trace
            return _kept_by_jax(memory, search)
        return seasonal_upkeep.upkeep(memory, search) if memory.tick % STRIDE == 0 else memory


def _season(xp: ModuleType, memory: SeasonalMemory, ahead: Any) -> Any:
    """Return what `Seasons.season` does, reading the profile of every row."""
    period = xp.maximum(memory.period, 1.0)
    phase = (memory.phase + (ahead - 1.0)) % period
    low, high, share = _between(xp, phase, period)
    first = xp.take_along_axis(memory.profile, low[None, :], axis=0)[0]
    second = xp.take_along_axis(memory.profile, high[None, :], axis=0)[0]
    first, second = (xp.asarray(one, dtype=memory.level.dtype) for one in (first, second))
    return xp.where(memory.period > 0.0, first + share * (second - first), 0.0)


def _season_of(memory: SeasonalMemory, ahead: Any) -> Any:
    """Return the same, reading the profiles that there are: most rows have none. NumPy."""
    out = np.zeros_like(memory.level)
    rows = np.flatnonzero(memory.period > 0.0)
    if rows.size:
        period, phase = _phase_of(memory, rows, ahead)
        low, high, share = _between(np, phase, period)
        first, second = (memory.profile[at, rows].astype(out.dtype) for at in (low, high))
        out[rows] = first + share * (second - first)
    return out


def _ratio(xp: ModuleType, memory: SeasonalMemory, ahead: Any) -> Any:
    """Return what `Seasons.ratio` does, reading the spreads of every row."""
    period = xp.maximum(memory.period, 1.0)
    phase = (memory.phase + (ahead - 1.0)) % period
    part = xp.asarray(xp.floor(phase / period * PARTS), dtype=xp.int32)
    part = xp.clip(part, 0, PARTS - 1)
    found = xp.take_along_axis(memory.spread, part[None, :], axis=0)[0]
    return xp.where(memory.period > 0.0, xp.asarray(found, dtype=memory.level.dtype), 1.0)


def _ratio_of(memory: SeasonalMemory, ahead: Any) -> Any:
    """Return the same, reading the spreads that there are. NumPy."""
    out = np.ones_like(memory.level)
    rows = np.flatnonzero(memory.period > 0.0)
    if rows.size:
        period, phase = _phase_of(memory, rows, ahead)
        part = np.clip(np.floor(phase / period * PARTS).astype(np.int32), 0, PARTS - 1)
        out[rows] = memory.spread[part, rows].astype(out.dtype)
    return out


def _phase_of(memory: SeasonalMemory, rows: Any, ahead: Any) -> tuple[Any, Any]:
    """Return the periods of rows and where in them a coming tick is. NumPy."""
    period = np.maximum(memory.period[rows], 1.0)
    after = ahead[rows] if np.ndim(ahead) else ahead
    return period, (memory.phase[rows] + (after - 1.0)) % period


def _next_phase(xp: ModuleType, memory: SeasonalMemory, there: Any) -> Any:
    """Return the phases after one tick more, 0 where no season is known."""
    if xp is not np:
        return xp.where(there, (memory.phase + 1.0) % xp.maximum(memory.period, 1.0), 0.0)
    out = np.zeros_like(memory.phase)
    rows = np.flatnonzero(there)  # remainders are dear
    out[rows] = (memory.phase[rows] + 1.0) % np.maximum(memory.period[rows], 1.0)
    return out


def _between(xp: ModuleType, phase: Any, period: Any) -> tuple[Any, Any, Any]:
    """Return the places around a phase and how far along between them it is."""
    bins = xp.clip(xp.round(period), 1, BINS)
    along = phase / period * bins
    low = xp.minimum(xp.floor(along), bins - 1.0)
    high = xp.where(low + 1.0 >= bins, 0.0, low + 1.0)
    whole = xp.int32
    return low.astype(whole), high.astype(whole), along - low


def _pushed(xp: ModuleType, rows: Any, new: Any) -> Any:
    """Return the rows without the oldest and with a new one, the oldest first."""
    return xp.concatenate([rows[1:], new[None]])


def _kept_by_jax(memory: SeasonalMemory, search: seasonal_upkeep.Search) -> SeasonalMemory:
    """Do the upkeep from within compiled code; the shapes of a memory never change."""
    import jax  # noqa: PLC0415 - optional: whoever passes jax.numpy has it

    shapes = jax.eval_shape(lambda: memory)

    def now(state: SeasonalMemory) -> Any:
        return jax.pure_callback(
            lambda *parts: seasonal_upkeep.upkeep_arrays(parts, search), shapes, *state
        )

    kept = jax.lax.cond(memory.tick % STRIDE == 0, now, lambda state: state, memory)
    return SeasonalMemory(*kept)


__all__ = ["BINS", "MEMORY", "STRIDE", "Config", "Removed", "SeasonalMemory", "Seasons"]
