"""Rows screened: the season taken away, several looks at what is left and at the value itself.

Each look is a score without a scale (`detect.screen`); how rarely the row's own past reached it
(`detect.screen_rates`) is what looks have in common: -log10 of how often a healthy tick starts an
episode as extreme, paid for by the number of looks (weighted Bonferroni: Genovese, Roeder &
Wasserman, Biometrika 93 (2006)). The most telling looks make the row's evidence (`agreed`).

What was rare teaches the season nothing. A guarded row learns nothing of how rare scores are while
its own incident lasts, but from the first tick, so that what a long fault does later is not what
the next one is compared with. That is for columns that are judged together, where another look
knows what recurs: of made-up recordings of one column it finds half as many incidents again, but
Numenta's have bursts that recur in health, and there it doubled the false alarms.

Not here: several columns, alarms.
"""

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.detect import screen as looking
from homeostat.detect import screen_rates, screen_reach, seasonal_memory, stack_incident
from homeostat.stats.chosen import where

# A row's value as it is, and without its season.
_FORMS: Final = 2
_LOOKS: Final = _FORMS * len(looking.LOOKS)
# Chosen on made-up recordings, like the weights: see `agreed`.
_AGREES: Final = 0.3
_BOTH: Final = 1.2
_YOUNG: Final = 1000.0
_LONGEST: Final = 1e9  # counts stop here


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        season: How seasons are found and learnt.
        screen: How values are looked at.
        rates: How rarity is counted.
        weights: Share of each of `screen.LOOKS` in the chance of a false alarm, above 0. A step
            gets less: one odd value is the commonest oddity and the least telling.
        calm: -log10 p of a look, above 0, from which on a value teaches the season nothing.
        incident: When a row's own incident starts and ends. Nobody is told of it, so it has no
            budget: it only says what may teach, and what is learnt must not depend on how many
            incidents people want to hear of.
        patience: Ticks of it that teach no look, at least 1; six hours at a tick of 15 s, as for
            `detect.across_calibrate`. What lasts longer is what the row does now.
    """

    season: seasonal_memory.Config = field(
        default_factory=lambda: seasonal_memory.Config(staggered=False)
    )
    screen: looking.Config = field(default_factory=looking.Config)
    rates: screen_rates.Config = field(default_factory=screen_rates.Config)
    weights: tuple[float, ...] = (0.3, 1.0, 1.0, 1.0)
    calm: float = 1.5
    incident: stack_incident.Config = field(
        default_factory=lambda: stack_incident.Config(start=2.6, stay=1.7, quiet=30)
    )
    patience: int = 1440

    def __post_init__(self) -> None:
        """Refuse weights that are not one for each look, and no patience.

        Raises:
            ValueError: Names the setting and its value.
        """
        if len(self.weights) != len(looking.LOOKS) or min(self.weights) <= 0.0:
            raise ValueError(
                f"screen: weights must be {len(looking.LOOKS)} numbers above 0, got {self.weights}"
            )
        if self.patience < 1:
            raise ValueError(f"screen: patience must be 1 or more, got {self.patience}")


class State(NamedTuple):
    """What is remembered.

    Attributes:
        season: Of each row.
        screen: Of both forms of each row, `[form * row]`.
        rates: Of every look, `[look * form * row]`.
        reach: Likewise.
        incident: Of each row.
        lasting: Ticks that it has lasted, 0 for none, `[row]`.
    """

    season: seasonal_memory.SeasonalMemory
    screen: looking.State
    rates: screen_rates.State
    reach: screen_reach.State
    incident: stack_incident.State
    lasting: Any


class Seen(NamedTuple):
    """What one tick says of each row.

    Attributes:
        evidence: See the module; 0 or more, NaN where unknown. Float `[row]`.
        beyond: Evidence beside the usual reach of the row's looks (`detect.screen_reach`), which
            does not fade while something recurs; of the most telling look, NaN where unknown.
        low: Lower edge of where the row's values mostly lie, NaN if not known. Float `[row]`.
        high: The upper edge.
    """

    evidence: Any
    beyond: Any
    low: Any
    high: Any


class Rows:
    """See the module; batched over rows, causal, one row independent of the next.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.seasons = seasonal_memory.Seasons(config.season)
        self.screen = looking.Screen(config.screen)
        self.rates = screen_rates.Rates(config.rates)

    def init(self, xp: ModuleType, rows: int) -> State:
        """Return rows that have seen nothing."""
        return State(
            season=self.seasons.init(xp, rows),
            screen=self.screen.init(xp, _FORMS * rows),
            rates=self.rates.init(xp, _LOOKS * rows),
            reach=screen_reach.init(xp, _LOOKS * rows),
            incident=stack_incident.init(xp, rows),
            lasting=xp.zeros(rows),
        )

    def step(
        self, xp: ModuleType, state: State, values: Any, learn: Any, *, guarded: bool = False
    ) -> tuple[State, Seen]:
        """Judge one tick, then learn from it.

        Args:
            xp: numpy or jax.numpy.
            state: From `init` or the last step.
            values: Float `[row]`; NaN and infinities are unknown.
            learn: Bool `[row]`: where anything may be learnt.
            guarded: Looks learn nothing while a row's incident lasts; see the module.
        """
        rows = values.shape[0]
        values = xp.where(xp.isfinite(values), values, xp.nan)
        removed = self.seasons.remove(xp, state.season, values)
        forms = xp.concatenate([values, removed.values])
        both = xp.concatenate([learn, learn])
        looked, looks = self.screen.step(xp, state.screen, forms, both)
        every = xp.concatenate([both] * len(looking.LOOKS))
        fair = every
        if guarded:
            held = (state.lasting > 0.0) & (state.lasting <= self.config.patience)
            fair = every & ~xp.concatenate([held] * _LOOKS)
        rated, rarity = self.rates.step(xp, state.rates, looks.reshape(-1), fair)
        parts = rarity.reshape(len(looking.LOOKS), _FORMS, rows)
        odd = _largest(xp, parts[:, 1])
        calm = ~(odd >= self.config.calm)  # what is unknown is no oddity
        season = self.seasons.learn(
            xp, state.season, values, allowed=learn, calm=calm, season=removed.season
        )
        reach, times = screen_reach.step(xp, state.reach, looks.reshape(-1), every)
        low, high = self._band(xp, state, removed, rows)
        rare = self.rates.per_tick(xp, state.rates, rarity.reshape(-1))
        evidence = self._evidence(xp, state, rare.reshape(parts.shape))
        incident, _ = stack_incident.step(xp, self.config.incident, state.incident, evidence)
        lasting = xp.where(incident.active, xp.minimum(state.lasting + 1.0, _LONGEST), 0.0)
        beyond = screen_reach.evidence(xp, _largest(xp, times.reshape(_LOOKS, rows)))
        seen = Seen(evidence, beyond, low, high)
        after = State(season, looked, rated, reach, incident, lasting)
        return self._fresh(xp, after, looked.count < state.screen.count), seen

    def _evidence(self, xp: ModuleType, state: State, parts: Any) -> Any:
        """Return the evidence of each row from `[look, form, row]` of rarity a tick."""
        weights = xp.asarray(self.config.weights)
        each = parts + xp.log10(weights / (_FORMS * weights.sum()))[:, None, None]
        age = state.screen.count[: parts.shape[2]]
        return agreed(xp, xp.fmax(each[:, 0], each[:, 1]), age)

    def _band(self, xp: ModuleType, state: State, removed: Any, rows: int) -> tuple[Any, Any]:
        """Return the band: as far from the level as blocks reach at most, with the season."""
        at = _FORMS * looking.LOOKS.index("level") * rows + rows
        highest = self.rates.tables.sizes(xp, state.rates.table.scores[-1, at : at + rows])
        reach = xp.where(xp.isfinite(highest), highest, xp.nan) * state.screen.spread[rows:]
        level = state.screen.level[rows:]
        return removed.back(xp, level - reach), removed.back(xp, level + reach)

    def _fresh(self, xp: ModuleType, state: State, begun: Any) -> State:
        """Start anew with what is left of rows whose season has just become known.

        And with rows that had stood still and move now (`begun`, bool `[form * row]`): how rare
        scores were is of the standstill, beside which all that moves is as strange.
        """
        fresh = state.season.fresh
        if xp is np and not fresh.any() and not begun.any():
            return state
        rows = xp.concatenate([xp.zeros_like(fresh), fresh]) | begun
        every = xp.tile(rows, len(looking.LOOKS))
        return state._replace(
            screen=self.screen.restart(xp, state.screen, rows),
            rates=self.rates.restart(xp, state.rates, every),
            reach=screen_reach.restart(xp, state.reach, every),
        )


def _largest(xp: ModuleType, looks: Any) -> Any:
    """Return the largest of each column's known numbers, NaN for none."""
    most = looks[0]
    for look in looks[1:]:
        most = xp.fmax(most, look)
    return most


def agreed(xp: ModuleType, looks: Any, age: Any) -> Any:
    """Return one evidence of several looks: that of the best one, more if the next best agrees.

    The two smallest p-values, the second with less of the weight: a truncated product (Dudbridge &
    Koeleman, Genetic Epidemiology 25 (2003)), scaled so that the least of looks that often agree
    is not called rarer than it is. What is young knows little of its own tail, and says less.

    Args:
        xp: numpy or jax.numpy.
        looks: -log10 p, `[look, row]`, two looks at least; NaN where unknown.
        age: Ticks that each row has been learnt from, `[row]`.

    Returns:
        0 or more, NaN where every look is unknown, `[row]`.
    """
    most, next_most = _two_largest(xp, xp.fmax(looks, 0.0))
    both = (most + _AGREES * next_most) / _BOTH
    known = ~xp.isnan(_largest(xp, looks))
    return where(xp, known, xp.maximum(both - doubt(xp, age), 0.0), xp.nan)


def doubt(xp: ModuleType, age: Any) -> Any:
    """Return how much less is said by a short past: 0.5 after 111 ticks, 0.15 after 1,000."""
    return 0.5 * xp.log10(1.0 + _YOUNG / xp.maximum(age, 1.0))


def _two_largest(xp: ModuleType, looks: Any) -> tuple[Any, Any]:
    """Return the largest and the next largest of each row; a few passes, where sorting is dear."""
    most, next_most = xp.maximum(looks[0], looks[1]), xp.minimum(looks[0], looks[1])
    for look in looks[2:]:
        next_most = xp.maximum(next_most, xp.minimum(most, look))
        most = xp.maximum(most, look)
    return most, next_most
