"""Where a series will be in so many ticks: the weighted word of six simple forecasters.

Each row has, for every horizon on its own, six opinions: it stays where it is (the last value);
it stays at its recent level; it comes back to its mean, by as much as it did over this horizon so
far; it goes on as it went over the last so many ticks; where a seasonal profile is known, the
profile plus what is left of today's distance from it; and, where its recent levels lie on a
straight line beyond doubt (`demand_trend`), it follows the line. Opinions are weighed by what
their errors over this very horizon were (Bates & Granger, Operational Research Quarterly 20 (1969);
the weights by power are those of Stock & Watson, Journal of Forecasting 23 (2004), equation 6).

Points only; how far off they may be is measured, not assumed: `forecast_quantiles`, `breach`.
"""

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, NamedTuple

from homeostat.detect.demand_pending import PLACES, Pending
from homeostat.detect.demand_trend import line
from homeostat.detect.demand_weights import EXPERTS, mixed, weights

# The recent level and the fast spread look back about 5 and 10 ticks, the slow spread 100.
_LEVEL_WEIGHT: Final = 0.2
_FAST_WEIGHT: Final = 0.1
_SLOW_WEIGHT: Final = 0.01
# The size of a step is between the recent and the usual one, by so much of their ratio.
_RECENT: Final = 0.25
# A mean to come back to is taken over so many horizons.
_MEAN_HORIZONS: Final = 8.0
# Errors and correlations of forecasts fade over so many of them (8 a horizon: as many horizons).
_MEMORY: Final = 64.0
# One wild value counts as at most so many usual errors.
_CLIP: Final = 8.0
# A value so many steps away is believed when the next one is there too.
_FAR: Final = 1e3
LARGEST: Final = 1e15  # squares stay finite in single precision
_SMALLEST: Final = 1e-18
_COUNT_MAX: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        horizons: Ticks ahead, ascending; 5, 15 and 60 minutes at a tick of 15 s.
        scale_floor_relative: Smallest spread as a share of the level; covers rounding.
    """

    horizons: tuple[int, ...] = (20, 60, 240)
    scale_floor_relative: float = 1e-6

    def __post_init__(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            ValueError: Names the setting and its value.
        """
        Pending(self.horizons)
        if not 0.0 <= self.scale_floor_relative < float("inf"):
            raise ValueError(
                f"forecast: scale_floor_relative must be 0 or more, got {self.scale_floor_relative}"
            )


class Season(NamedTuple):
    """What a seasonal profile expects; NaN where none is known.

    Attributes:
        now: At this tick, `[series]`.
        at: At each horizon, `[horizon, series]`.
        peak: Highest from the next tick to the horizon, `[horizon, series]`.
    """

    now: Any
    at: Any
    peak: Any


class DemandState(NamedTuple):
    """All that the forecaster remembers.

    Attributes:
        tick: Ticks seen, int scalar.
        count: Values seen, `[series]`.
        last: The last known value, `[series]`.
        gap: Ticks since it, `[series]`.
        far: 1 where the last value was absurdly far off, `[series]`.
        level: Recent level, `[series]`.
        fast: Recent size of a step, `[series]`.
        slow: Usual size of a step, `[series]`.
        drift: Change of the level over the last horizon, `[horizon, series]`.
        mean: Long mean of value and remainder, `[2, horizon, series]`.
        spread2: Variance around it, `[2, horizon, series]`.
        together: Covariance over the horizon, `[2, horizon, series]`.
        loss: Mean absolute error, `[horizon, expert, series]`.
        judged: Forecasts behind it, `[horizon, expert, series]`.
        said: Forecasts under way, `[horizon, place, expert, series]`.
        levels: The recent level when they were made, `[horizon, place, series]`.
        off: Distance from the mean when they were made, `[horizon, place, 2, series]`.
    """

    tick: Any
    count: Any
    last: Any
    gap: Any
    far: Any
    level: Any
    fast: Any
    slow: Any
    drift: Any
    mean: Any
    spread2: Any
    together: Any
    loss: Any
    judged: Any
    said: Any
    levels: Any
    off: Any


class Points(NamedTuple):
    """One tick's forecasts; NaN where nothing is known.

    Attributes:
        at: Expected value at each horizon, `[horizon, series]`.
        peak: About the highest value until then, `[horizon, series]`: a place to count from.
        scale: Size of a step, `[series]`, above 0.
        weights: Share of each expert, `[horizon, expert, series]`.
    """

    at: Any
    peak: Any
    scale: Any
    weights: Any


class Demand:
    """See the module. Causal, pure, one row independent of the next.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.pending = Pending(config.horizons)

    def init(self, xp: ModuleType, series: int) -> DemandState:
        """Return the state of rows that have seen nothing."""
        heads = len(self.config.horizons)
        none = xp.zeros(series)
        two = xp.zeros((2, heads, series))
        experts = xp.zeros((heads, EXPERTS, series))
        return DemandState(
            tick=xp.asarray(0, dtype=xp.int32),
            count=none, last=xp.full(series, xp.nan), gap=none, far=none,
            level=none, fast=none, slow=none,
            drift=xp.zeros((heads, series)), mean=two, spread2=two, together=two,
            loss=experts, judged=experts,
            said=xp.full((heads, PLACES, EXPERTS, series), xp.nan),
            levels=xp.full((heads, PLACES, series), xp.nan),
            off=xp.full((heads, PLACES, 2, series), xp.nan),
        )  # fmt: skip

    def no_season(self, xp: ModuleType, series: int) -> Season:
        """Return the profile of rows that have none."""
        none = xp.full((len(self.config.horizons), series), xp.nan)
        return Season(now=xp.full(series, xp.nan), at=none, peak=none)

    def step(
        self, xp: ModuleType, state: DemandState, values: Any, season: Season
    ) -> tuple[DemandState, Points]:
        """Take in one tick and say what comes.

        Args:
            xp: numpy or jax.numpy.
            state: From `init` or the last step.
            values: Float `[series]`; NaN and infinities are unknown.
            season: What the profile expects, in the unit of the values.

        Returns:
            The next state and the forecasts from this tick on.
        """
        raw = xp.asarray(values, dtype=state.count.dtype)
        known = xp.isfinite(raw)
        x = xp.clip(xp.where(known, raw, 0.0), -LARGEST, LARGEST)
        far = known & (state.count >= PLACES)
        far = far & (xp.abs(x - state.level) > _FAR * self._floor(xp, state, state.slow))
        known = known & ~(far & (state.far == 0.0))
        x = xp.where(known, x, state.last)
        state = state._replace(far=xp.where(far, 1.0, 0.0))
        judged = state
        if not self.pending.idle(xp, state.tick):
            due, place = self.pending.due(xp, state.tick)
            judged = self._judged(xp, state, x, due[:, None] & known, place)
        moved = self._moved(xp, judged, x, known, season)
        experts, peaks = self._experts(xp, moved, season)
        share = weights(xp, moved.loss, moved.judged, experts)
        points = Points(
            at=mixed(xp, share, experts),
            peak=mixed(xp, share, peaks),
            scale=self._scale(xp, moved),
            weights=share,
        )
        off = xp.moveaxis(_off(xp, moved, season), 0, 1)
        return moved._replace(
            tick=state.tick + 1,
            said=self.pending.put(xp, state.said, experts, state.tick),
            levels=self.pending.put(
                xp, state.levels, moved.level + xp.zeros_like(moved.drift), state.tick
            ),
            off=self.pending.put(xp, state.off, off, state.tick),
        ), points

    def _judged(
        self, xp: ModuleType, state: DemandState, x: Any, due: Any, place: Any
    ) -> DemandState:
        """Learn from the forecasts whose time has come; `due` is bool `[horizon, series]`."""
        said = self.pending.taken(xp, state.said, place)
        counts = due[:, None] & xp.isfinite(said)
        error = xp.abs(x - xp.where(counts, said, 0.0))
        most = xp.where(state.judged >= PLACES, _CLIP * state.loss, LARGEST)
        # A loss of zero (a constant series) must not clip what comes after it for ever.
        error = xp.minimum(error, xp.where(most > 0.0, most, LARGEST))
        weight = xp.maximum(1.0 / (state.judged + 1.0), 1.0 / _MEMORY)
        before = self.pending.taken(xp, state.levels, place)
        rises = due & xp.isfinite(before)
        drift = xp.where(rises, state.level - xp.where(rises, before, 0.0), state.drift)
        return state._replace(
            loss=xp.where(counts, state.loss + weight * (error - state.loss), state.loss),
            judged=xp.where(counts, xp.minimum(state.judged + 1.0, _COUNT_MAX), state.judged),
            drift=drift,
        )

    def _moved(
        self, xp: ModuleType, state: DemandState, x: Any, known: Any, season: Season
    ) -> DemandState:
        """Move level, spread, means and correlations on by one value."""
        begun = state.count > 0.0
        step = xp.where(begun, xp.abs(x - state.level), 0.0)
        usual = xp.where(state.count >= PLACES, _CLIP * state.slow, LARGEST)
        step = xp.minimum(step, xp.where(usual > 0.0, usual, LARGEST))
        young = 1.0 / xp.maximum(state.count, 1.0)
        fast = state.fast + xp.maximum(young, _FAST_WEIGHT) * (step - state.fast)
        slow = state.slow + xp.maximum(young, _SLOW_WEIGHT) * (step - state.slow)
        level = xp.where(begun, state.level + _LEVEL_WEIGHT * (x - state.level), x)
        after = state._replace(
            count=xp.where(known, xp.minimum(state.count + 1.0, _COUNT_MAX), state.count),
            last=x,
            gap=xp.where(known, 0.0, xp.minimum(state.gap + 1.0, _COUNT_MAX)),
            level=xp.where(known, level, state.level),
            fast=xp.where(known, fast, state.fast),
            slow=xp.where(known, slow, state.slow),
        )
        return self._means(xp, after, known, season)

    def _means(self, xp: ModuleType, state: DemandState, known: Any, season: Season) -> DemandState:
        """Move means and what is left of a distance from them after a horizon."""
        off = _off(xp, state, season)
        fits = known & xp.isfinite(off)
        weight = 1.0 / (_MEAN_HORIZONS * xp.asarray(self.config.horizons)[:, None])
        weight = xp.maximum(weight, 1.0 / xp.maximum(state.count, 1.0))
        state = state._replace(
            mean=xp.where(fits, state.mean + weight * xp.where(fits, off, 0.0), state.mean)
        )
        if self.pending.idle(xp, state.tick):
            return state
        due, place = self.pending.due(xp, state.tick)
        before = xp.moveaxis(self.pending.taken(xp, state.off, place), 0, 1)
        pairs = fits & due[:, None] & xp.isfinite(before)
        product = off * xp.where(pairs, before, 0.0)
        square = xp.where(pairs, before, 0.0) ** 2
        fade = 1.0 / _MEMORY
        return state._replace(
            spread2=xp.where(pairs, state.spread2 + fade * (square - state.spread2), state.spread2),
            together=xp.where(
                pairs, state.together + fade * (product - state.together), state.together
            ),
        )

    def _experts(self, xp: ModuleType, state: DemandState, season: Season) -> tuple[Any, Any]:
        """Return what each expert says of the end and of the way, `[horizon, expert, series]`."""
        off = _off(xp, state, season)
        share = xp.where(
            state.spread2 > 0.0, state.together / xp.maximum(state.spread2, _SMALLEST), 0.0
        )
        back = state.mean + xp.clip(share, 0.0, 1.0) * off
        flat = xp.zeros_like(state.drift)
        last, level = state.last + flat, state.level + flat
        drift = level + state.drift
        found = line(
            xp, state.levels, state.level, state.tick, self.pending.strides, 1.0 - _LEVEL_WEIGHT
        )
        # The recent level lags behind a line by so many ticks.
        late = (1.0 - _LEVEL_WEIGHT) / _LEVEL_WEIGHT
        reach = xp.asarray(self.config.horizons)[:, None] + late
        trend = xp.where(found.straight, found.now + found.slope * reach, xp.nan)
        ahead = xp.stack([last, level, back[0], drift, back[1] + season.at, trend], axis=1)
        way = xp.stack([
            last,
            level,
            xp.maximum(level, back[0]),
            xp.maximum(level, drift),
            xp.maximum(level, back[1] + season.peak),
            xp.maximum(level, trend),
        ], axis=1)  # fmt: skip
        # What was last seen longer ago than one looks ahead says nothing.
        fresh = (state.count > 0.0) & (state.gap <= xp.asarray(self.config.horizons)[:, None])
        return (
            xp.where(fresh[:, None], ahead, xp.nan),
            xp.where(fresh[:, None], way, xp.nan),
        )

    def _floor(self, xp: ModuleType, state: DemandState, size: Any) -> Any:
        """Return a size of steps, at least what rounding is worth."""
        floor = self.config.scale_floor_relative * xp.abs(state.level)
        return xp.maximum(xp.maximum(size, floor), _SMALLEST)

    def _scale(self, xp: ModuleType, state: DemandState) -> Any:
        """Return the size of a step: between the recent and the usual one."""
        fast, slow = (self._floor(xp, state, one) for one in (state.fast, state.slow))
        return slow * (fast / slow) ** _RECENT


def _off(xp: ModuleType, state: DemandState, season: Season) -> Any:
    """Return how far value and remainder are from their means, `[2, horizon, series]`."""
    both = xp.stack([state.last, state.last - season.now])
    return both[:, None] - state.mean
