"""Screening: in what ways is a row's newest value unlike its past, as plain scores.

Four looks at each row, each in O(1): the step from the value before (whitened); the distance from
the long level; the same smoothed, for small departures that last; and the size of steps against its
long course, either way. Scores have no scale of their own:
`detect.screen_rates` says how rare each is among the row's own.

The long level and spread are robust: a value moves them by at most a bounded step, so that an
incident does not become normal soon, and a change for good does after a while. Not here: seasons.
"""

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final, NamedTuple

from homeostat.stats import whiten

LOOKS: Final = ("step", "level", "lasting", "spread")
_SMALLEST: Final = 1e-12
_LARGEST: Final = 1e15
# Departures are clipped here before they are averaged, in long spreads: one value is not a shift.
_BOUND: Final = 8.0
# A value pulls the long level by at most so many spreads, times the weight of one value.
_PULL: Final = 2.0
_FARTHEST: Final = 1e6
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
        floor_relative: Smallest spread as a share of the level; covers rounding.
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
    off: Any
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
        floor = xp.maximum(self.config.floor_relative * xp.abs(state.level), _SMALLEST)
        off = (x - state.level) / xp.maximum(state.spread, floor)
        # The first value is the level, whatever the unit's zero.
        off = xp.where(state.count > 0.0, xp.clip(off, -_FARTHEST, _FARTHEST), 0.0)
        fast = known / self.config.short
        lasting = state.lasting + fast * (xp.clip(off, -_BOUND, _BOUND) - state.lasting)
        sure = xp.isfinite(error.sigmas)
        size = xp.abs(x - error.expected) / xp.maximum(error.sd, floor)
        fast = sure / self.config.short
        busy = state.busy + fast * (xp.minimum(size, _BOUND) - state.busy)
        course = xp.log(busy + _STILL)
        wild = xp.abs(course - state.usual)
        looks = xp.stack([xp.abs(error.sigmas), xp.abs(off), xp.abs(lasting), wild])
        looks = xp.where(known & (state.count >= self.config.warmup), looks, xp.nan)
        moved = state._replace(lasting=lasting, busy=busy)
        news = _News(error, off, course, known & learn, sure)
        return self._learn(xp, moved, values, news), looks

    def _learn(self, xp: ModuleType, state: State, values: Any, news: _News) -> State:
        """Move the long level and spread by a bounded step, and the rest."""
        error, off, course, teaches, sure = news
        x = xp.where(teaches, values, 0.0)
        young = state.count < self.config.warmup
        weight = xp.maximum(1.0 / (state.count + 1.0), 1.0 / self.config.long)
        spread = xp.maximum(state.spread, _SMALLEST)
        pull = xp.where(young, x - state.level, spread * xp.clip(off, -_PULL, _PULL))
        size = xp.minimum(xp.abs(off), 2.0 * _PULL)
        away = xp.where(young, xp.abs(x - state.level), spread * size)
        away = xp.where(state.count > 0.0, away, 0.0)
        usual = state.usual + weight * (course - state.usual)
        return state._replace(
            model=self.whitener.learn(xp, state.model, values, teaches, error),
            count=state.count + teaches,
            level=xp.where(teaches, state.level + weight * pull, state.level),
            spread=xp.where(teaches, state.spread + weight * (away - state.spread), state.spread),
            usual=xp.where(teaches & sure, usual, state.usual),
        )
