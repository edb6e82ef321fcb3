"""Screening: in what ways is a row's newest value unlike its past, as plain scores.

Four looks at each row, each in O(1): the step from the value before (whitened); the distance from
the long level; the same smoothed, for small departures that last; and the size of steps against its
long course, either way. Scores have no scale of their own:
`detect.screen_rates` says how rare each is among the row's own.

A row that stood still has no spread by which to tell one departure from another. Where it moves on
and on it begins anew, or it would be deaf for as long as a spread takes to grow from nothing.

The long level and spread are robust: a value moves them by at most a bounded step, so that an
incident does not become normal soon, and a change for good does after a while. Not here: seasons.
"""

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.stats import whiten

LOOKS: Final = ("step", "level", "lasting", "spread")
_SMALLEST: Final = 1e-18
_LARGEST: Final = 1e15
# Share of the level that double precision does not hold after some hundred sums.
_EXACT: Final = 1e-13
# Departures are clipped here before they are averaged, in long spreads: one value is not a shift.
_BOUND: Final = 8.0
# A value pulls the long level by at most so many spreads, times the weight of one value.
_PULL: Final = 2.0
_FARTHEST: Final = 1e6
# Average size of steps, of `_BOUND` at most, at which nearly every one of some forty was beyond it.
_ALL_WILD: Final = 7.5
# Steps smaller than this share of their usual size are all "still": keeps the logarithm finite.
_STILL: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        model: How values are predicted from the one before.
        long: Ticks over which the long level and spread move, at least 100.
        short: Ticks of the averages that show small departures that last, at least 2.
        warmup: Values before anything is said, at least 16.
        floor_relative: A departure of up to this share of the level is rounding, and less than one
            spread. What is more is measured in the row's own spreads, however far its level is from
            the unit's zero: a row that never moved has none, so any more is as far as can be told.
    """

    model: whiten.Config = field(default_factory=whiten.Config)
    long: float = 2000.0
    short: float = 16.0
    warmup: int = 32
    floor_relative: float = 1e-6

    def __post_init__(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        if not self.long >= 100.0 or not self.short >= 2.0:  # noqa: PLR2004 - see the attributes
            raise ValueError(f"screen: need long >= 100, short >= 2, got {self.long}, {self.short}")
        if self.warmup < 16:  # noqa: PLR2004 - see the attribute
            raise ValueError(f"screen: warmup must be 16 or more, got {self.warmup}")
        if not 0.0 <= self.floor_relative < 1.0:
            raise ValueError(f"screen: floor_relative must be in [0, 1), got {self.floor_relative}")


class State(NamedTuple):
    """What is remembered of each row, `[row]` each.

    Attributes:
        model: Predicts values from the one before.
        count: Values seen.
        level: Long level.
        spread: Long mean absolute deviation from it.
        lasting: Average departure from it, in spreads.
        busy: Average size of steps.
        usual: Long course of log `busy`.
    """

    model: whiten.Model
    count: Any
    level: Any
    spread: Any
    lasting: Any
    busy: Any
    usual: Any


class _News(NamedTuple):
    """What a tick says: the error of prediction, departures, and where there is what to learn."""

    error: whiten.Error
    away: Any
    course: Any
    teaches: Any
    sure: Any


class Screen:
    """See the module; batched over rows, causal, one row independent of the next.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.whitener = whiten.Whitener(config.model)

    def init(self, xp: ModuleType, rows: int) -> State:
        """Return rows that have seen nothing."""
        none = xp.zeros(rows)
        return State(self.whitener.init(xp, rows), *(none for _ in State._fields[1:]))

    def restart(self, xp: ModuleType, state: State, rows: Any) -> State:
        """Return the state with these rows (bool `[row]`) as if new."""
        fresh = self.init(xp, state.count.shape[0])
        model = self.whitener.restart(xp, state.model, rows)
        pairs = zip(fresh[1:], state[1:], strict=True)
        return State(model, *(xp.where(rows, new, old) for new, old in pairs))

    def step(self, xp: ModuleType, state: State, values: Any, learn: Any) -> tuple[State, Any]:
        """Look at one tick, then learn from it.

        Args:
            xp: numpy or jax.numpy.
            state: From `init` or the last step.
            values: Float `[row]`; NaN and infinities are unknown.
            learn: Bool `[row]`: where anything may be learnt.

        Returns:
            The next state, and the scores of `LOOKS`, 0 or more, NaN where unknown: float
            `[look, row]`.
        """
        known = xp.isfinite(values)
        x = xp.clip(xp.where(known, values, 0.0), -_LARGEST, _LARGEST)
        error = self.whitener.errors(xp, state.model, values)
        # The first value is the level, whatever the unit's zero.
        away = xp.where(state.count > 0.0, x - state.level, 0.0)
        off = self._spreads(xp, away, state.spread, state.level)
        fast = known / self.config.short
        lasting = state.lasting + fast * (xp.clip(off, -_BOUND, _BOUND) - state.lasting)
        sure = xp.isfinite(error.sigmas)
        # Not the error's own deviation: its floor is a share of the level.
        deviation = error.grown * xp.sqrt(state.model.scale2)
        size = xp.abs(self._spreads(xp, x - error.expected, deviation, state.level))
        fast = sure / self.config.short
        busy = state.busy + fast * (xp.minimum(size, _BOUND) - state.busy)
        course = xp.log(busy + _STILL)
        wild = xp.abs(course - state.usual)
        step = xp.where(sure, size, xp.nan)
        looks = xp.stack([step, xp.abs(off), xp.abs(lasting), wild])
        looks = xp.where(known & (state.count >= self.config.warmup), looks, xp.nan)
        moved = state._replace(lasting=lasting, busy=busy)
        news = _News(error, away, course, known & learn, sure)
        after = self._learn(xp, moved, values, news)
        begun = news.teaches & (xp.abs(off) >= _FARTHEST) & (busy >= _ALL_WILD)
        if xp is np and not begun.any():
            return after, looks
        return self.restart(xp, after, begun), looks

    def _spreads(self, xp: ModuleType, away: Any, spread: Any, level: Any) -> Any:
        """Return departures in spreads, bounded; what is rounding is less than one of them."""
        size = xp.abs(away)
        # What the arithmetic leaves is nothing at all, or it would be rare where all else is 0.
        away = xp.where(size <= xp.maximum(_EXACT * xp.abs(level), _SMALLEST), 0.0, away)
        rounding = self.config.floor_relative * xp.abs(level)
        least = xp.where(size <= rounding, rounding, 0.0)
        unit = xp.maximum(xp.maximum(spread, least), _SMALLEST)
        return xp.clip(away / unit, -_FARTHEST, _FARTHEST)

    def _learn(self, xp: ModuleType, state: State, values: Any, news: _News) -> State:
        """Move the long level and spread by a bounded step, and the rest."""
        error, away, course, teaches, sure = news
        x = xp.where(teaches, values, 0.0)
        young = state.count < self.config.warmup
        weight = xp.maximum(1.0 / (state.count + 1.0), 1.0 / self.config.long)
        spread = xp.maximum(state.spread, _SMALLEST)
        off = xp.clip(away / spread, -_FARTHEST, _FARTHEST)
        pull = xp.where(young, x - state.level, spread * xp.clip(off, -_PULL, _PULL))
        size = xp.minimum(xp.abs(off), 2.0 * _PULL)
        wide = xp.where(young, xp.abs(away), spread * size)
        usual = state.usual + weight * (course - state.usual)
        return state._replace(
            model=self.whitener.learn(xp, state.model, values, teaches, error),
            count=state.count + teaches,
            level=xp.where(teaches, state.level + weight * pull, state.level),
            spread=xp.where(teaches, state.spread + weight * (wide - state.spread), state.spread),
            usual=xp.where(teaches & sure, usual, state.usual),
        )
