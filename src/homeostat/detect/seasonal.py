"""Seasonal detector: has a series done what it almost never did at this hour of its season?

The season is taken away (`seasonal_memory`: found by itself, learnt tick by tick, robust), and what
it leaves is judged as `detect.conformal` judges a value: an error of prediction, a p-value among
the series' own past errors, evidence with a promised run length. Until a season is known it is
that detector, value for value, but for the next paragraph.

A level that has changed for good: after `patience` ticks in a row that were flagged, and where
something may be learnt, the level (and, if need be, the noise) is what it was during them, the
evidence begins anew, and the profile stays whole. Flagged values teach neither level, table nor
history, and the profile only where they come again at the same hour of the next cycle.

For forecasts: `SeasonalDetector.expected(xp, state, ahead)` is the value `ahead` ticks after the
last one, with its season, and `Seasons.season(xp, state.season, ahead)` the season's part alone.

Not here: limits that people set, the fleet, and several seasons at once other than a short one
within a longer (a day within a week).
"""

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np
from typing_extensions import override

from homeostat.base.part import Part
from homeostat.base.ports import Detector, DetectorOutput
from homeostat.detect import conformal, seasonal_memory
from homeostat.detect.seasonal_memory import Removed, SeasonalMemory, Seasons

_RUN_TICKS: Final = 64.0  # what the level during a run of flagged values is taken from
_SIGMA: Final = 1.2533  # standard deviations to a mean absolute deviation: sqrt(pi / 2)
_YOUNG: Final = 0.25  # flagged ticks that outweigh one that was learnt
_LEAST_PATIENCE: Final = 8
_BACK: Final = 4.0  # one calm tick takes so many flagged ones away


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        season: How seasons are found and learnt.
        judge: How what they leave is judged.
        patience: Flagged ticks after which a changed level is the level, at least 8; a quarter of
            the values learnt before is enough. The default is an hour of ticks of 15 s.
    """

    season: seasonal_memory.Config = field(default_factory=seasonal_memory.Config)
    judge: conformal.Config = field(default_factory=conformal.Config)
    patience: int = 240

    def __post_init__(self) -> None:
        """Refuse a patience that one long spike ends.

        Raises:
            ValueError: The patience is below 8.
        """
        if self.patience < _LEAST_PATIENCE:
            raise ValueError(f"seasonal: patience must be 8 ticks or more, got {self.patience}")


class SeasonalState(NamedTuple):
    """All that the detector remembers.

    Attributes:
        season: The season.
        judge: Judges what it leaves.
        run: Flagged ticks in a row, `[series]`.
        run_level: Their level without season, `[series]`.
        run_size: Their mean absolute departure from it, `[series]`.
    """

    season: SeasonalMemory
    judge: conformal.State
    run: Any
    run_level: Any
    run_size: Any


class Expected(NamedTuple):
    """A coming value, `[series]` each.

    Attributes:
        value: What is expected, NaN while nothing is known.
        season: The season's part of it, 0 where no season is known.
        sd: Standard deviation of one tick's error around it, in the series' unit.
        period: Ticks of the season, 0 where none is known.
    """

    value: Any
    season: Any
    sd: Any
    period: Any


class SeasonalDetector(Detector[SeasonalState]):
    """See the module. Causal, pure, one row independent of the next.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.seasons = Seasons(config.season)
        self.judge = conformal.ConformalDetector(config.judge)

    @override
    def init(self, xp: ModuleType, series: int) -> SeasonalState:
        """Return the state of rows that have seen nothing."""
        none = xp.zeros(series)
        return SeasonalState(
            season=self.seasons.init(xp, series),
            judge=self.judge.init(xp, series),
            run=none,
            run_level=none,
            run_size=none,
        )

    def restart(self, xp: ModuleType, state: SeasonalState, rows: Any) -> SeasonalState:
        """Return the state with these rows (bool `[series]`) as if new."""
        return SeasonalState(
            self.seasons.restart(xp, state.season, rows),
            self.judge.restart(xp, state.judge, rows),
            *(xp.where(rows, 0.0, part) for part in state[2:]),
        )

    @override
    def step(
        self, xp: ModuleType, state: SeasonalState, values: Any, learn: Any
    ) -> tuple[SeasonalState, DetectorOutput]:
        """Judge one tick, then learn from it.

        Args:
            xp: numpy or jax.numpy.
            state: From `init` or the last step.
            values: Float `[series]`; NaN and infinities are unknown.
            learn: Bool `[series]`, or one bool: where anything may be learnt.

        Returns:
            The next state, and the p-value of the single value, the band in which the errors of
            the past lie around the season, and the alarm.
        """
        removed = self.seasons.remove(xp, state.season, values)
        judge, said = self.judge.step(xp, state.judge, removed.values, learn)
        calm = (judge.quiet > 0.0) & (judge.model.doubted == 0.0)
        season = self.seasons.learn(
            xp, state.season, values, allowed=learn, calm=calm, season=removed.season
        )
        after = self._run(xp, state, removed, calm, learn)
        after = after._replace(season=season, judge=judge)
        return self._moved(xp, after, state.season.period), DetectorOutput(
            neg_log10_p=said.neg_log10_p,
            low=removed.back(xp, said.low),
            high=removed.back(xp, said.high),
            alarm=said.alarm,
        )

    def expected(self, xp: ModuleType, state: SeasonalState, ahead: Any = 1) -> Expected:
        """Return what is expected of a coming value, by season, level and the last error.

        Args:
            xp: numpy or jax.numpy.
            state: After the last tick.
            ahead: Ticks after that one, at least 1. A number or `[series]`.
        """
        value, sd = self.judge.whitener.ahead(xp, state.judge.model, ahead)
        season = self.seasons.season(xp, state.season, ahead)
        ratio = self.seasons.ratio(xp, state.season, ahead)
        removed = Removed(value, season, ratio, state.season.level)
        known = state.judge.model.count >= self.judge.whitener.config.warmup
        whole = xp.where(known, removed.back(xp, value), xp.nan)
        return Expected(whole, season, xp.where(known, sd * ratio, xp.nan), state.season.period)

    def _run(
        self, xp: ModuleType, state: SeasonalState, removed: Removed, calm: Any, learn: Any
    ) -> SeasonalState:
        """Count flagged ticks, and keep what they were like."""
        known = xp.isfinite(removed.values)
        flagged = known & ~calm & xp.asarray(learn)
        run = xp.where(flagged, state.run + 1.0, state.run)
        run = xp.where(known & calm, xp.maximum(run - _BACK, 0.0), run)
        off = xp.where(flagged, removed.values - state.run_level, 0.0)
        weight = 1.0 / xp.clip(run, 1.0, _RUN_TICKS)
        first = run <= 1.0
        size = xp.where(first, 0.0, xp.abs(off))
        return state._replace(
            run=run,
            run_level=xp.where(flagged, state.run_level + weight * off, state.run_level),
            run_size=xp.where(
                flagged, state.run_size + weight * (size - state.run_size), state.run_size
            ),
        )

    def _moved(self, xp: ModuleType, state: SeasonalState, before: Any) -> SeasonalState:
        """Move levels: where a season is new, and where patience has ended.

        Errors of values with their season say nothing about errors without it, so where the first
        season begins (or the last one ends) the judge begins anew.

        Args:
            xp: numpy or jax.numpy.
            state: The state.
            before: The periods before this tick, `[series]`.
        """
        believed = xp.maximum(_YOUNG * state.season.age, _LEAST_PATIENCE)
        ended = state.run >= xp.minimum(believed, self.config.patience)
        fresh = state.season.fresh
        level = xp.where(ended, state.run_level, state.season.level)
        sd = xp.where(ended, _SIGMA * state.run_size, xp.nan)
        judge = state.judge._replace(
            model=self.judge.whitener.move(xp, state.judge.model, ended | fresh, level, sd),
            evidence=self.judge.bets.restart(xp, state.judge.evidence, ended | fresh),
        )
        other = fresh & ((before == 0.0) | (state.season.period == 0.0))
        return state._replace(
            season=self.seasons.moved(xp, state.season, ended, level),
            judge=self._restarted(xp, judge, other),
            run=xp.where(ended | fresh, 0.0, state.run),
        )

    def _restarted(self, xp: ModuleType, judge: conformal.State, rows: Any) -> conformal.State:
        """Return the judge with these rows as if new, copying nothing where there are none."""
        if xp is np and not rows.any():
            return judge
        return self.judge.restart(xp, judge, rows)


PART: Final = Part(
    kind="detector",
    name="seasonal",
    summary="Evidence beside a season found by itself, with a promised run length.",
    config=Config,
    build=SeasonalDetector,
)
"""Found by itself; not in the controller's panel."""
