"""What is about to happen under HOLD: points, quantiles and probabilities of one tick, together.

The order of the calls, and the bridge from a seasonal profile (`seasonal_memory`) to what the
forecasters want to know of it. Each part is explained where it is: `demand`, `forecast_quantiles`,
`breach`. Limits of memory have a second answer, from the trend alone: `breach_time`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, NamedTuple

from homeostat.detect import breach, demand, forecast_quantiles
from homeostat.detect.demand import Season

# A season's highest value on the way is looked for at so many moments.
_LOOKS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        horizons: Ticks ahead, ascending; 5, 15 and 60 minutes at a tick of 15 s.
        levels: Quantiles, ascending in (0, 1); the first and the last are steered.
    """

    horizons: tuple[int, ...] = (20, 60, 240)
    levels: tuple[float, ...] = (0.05, 0.25, 0.5, 0.75, 0.95)

    def __post_init__(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            ValueError: Names the setting and its value.
        """
        forecast_quantiles.Config(horizons=self.horizons, levels=self.levels)


class OutlookState(NamedTuple):
    """The states of the three parts."""

    demand: demand.DemandState
    quantiles: forecast_quantiles.QuantileState
    breach: breach.BreachState


class Ahead(NamedTuple):
    """One tick's outlook; NaN where it is unknown.

    Attributes:
        at: Expected value at each horizon, `[horizon, series]`.
        quantiles: `[horizon, level, series]`, ascending along levels.
        chance: Probability that the limit is passed by then, `[horizon, series]`.
    """

    at: Any
    quantiles: Any
    chance: Any


class Outlook:
    """See the module. Causal, pure, one row independent of the next.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        heads = config.horizons
        self.demand = demand.Demand(demand.Config(horizons=heads))
        self.quantiles = forecast_quantiles.Quantiles(
            forecast_quantiles.Config(horizons=heads, levels=config.levels)
        )
        self.breach = breach.Breach(breach.Config(horizons=heads))

    def init(self, xp: ModuleType, series: int) -> OutlookState:
        """Return the state of rows that have seen nothing."""
        return OutlookState(
            self.demand.init(xp, series),
            self.quantiles.init(xp, series),
            self.breach.init(xp, series),
        )

    def step(
        self,
        xp: ModuleType,
        state: OutlookState,
        values: Any,
        held: Any,
        limit: Any,
        season: Season | None = None,
    ) -> tuple[OutlookState, Ahead]:
        """Take in one tick and say what comes.

        Args:
            xp: numpy or jax.numpy.
            state: From `init` or the last step.
            values: Float `[series]`; NaN and infinities are unknown.
            held: Bool `[series]`, or one bool: nothing of ours changed the series on this tick.
            limit: The value that must not be passed, `[series]`; NaN for none. For a limit that
                must not be fallen below give values, limits and seasons negated.
            season: What the profile expects; None where there is none.
        """
        rows = state.demand.count.shape[0]
        profile = self.demand.no_season(xp, rows) if season is None else season
        one, points = self.demand.step(xp, state.demand, values, profile)
        two, quantiles = self.quantiles.step(xp, state.quantiles, values, points, held)
        three, chance = self.breach.step(xp, state.breach, values, limit, points, held)
        return OutlookState(one, two, three), Ahead(points.at, quantiles, chance)


def season_of(
    xp: ModuleType, part: Callable[[int], Any], known: Any, horizons: tuple[int, ...]
) -> Season:
    """Return what the forecasters want to know of a seasonal profile.

    Args:
        xp: numpy or jax.numpy.
        part: The season's part of the value so many ticks after this one (0: of this one),
            `[series]`; `lambda ahead: seasons.season(xp, memory, ahead)` after the tick was learnt.
        known: Bool `[series]`: where a season is known at all.
        horizons: Ticks ahead, ascending.
    """
    at = {horizon: part(horizon) for horizon in horizons}
    peaks = []
    for horizon in horizons:
        ticks = sorted({-(-horizon * look // _LOOKS) for look in range(1, _LOOKS)})
        peak = at[horizon]
        for tick in ticks:
            peak = xp.maximum(peak, part(tick))
        peaks.append(xp.where(known, peak, xp.nan))
    return Season(
        now=xp.where(known, part(0), xp.nan),
        at=xp.stack([xp.where(known, at[horizon], xp.nan) for horizon in horizons]),
        peak=xp.stack(peaks),
    )
