"""Conformal detector: has a series done for some ticks what it almost never did, whatever its law.

Each value's prediction error (`stats.whiten`) gets a p-value among the series' own past errors
(`stats.conformal`), and bets on these p-values add up to evidence (`stats.edetector`): one value
far beyond anything seen, or a few that are merely rare. The alarm keeps a promised run length, at
least `run_length` ticks between false alarms of one series, under normal noise and heavy tails.

The past is guarded: an error waits some ticks before it enters the table, and enters only if no
evidence came up meanwhile, and never where the caller says that nothing may be learnt. After a
change for good the row alarms until it is restarted.

Not here: seasons, limits people set, and the fleet (a false discovery rate takes these p-values).
"""

import math
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final, NamedTuple

from typing_extensions import override

from homeostat.base.part import Part
from homeostat.base.ports import Detector, DetectorOutput
from homeostat.stats import conformal as tables
from homeostat.stats import edetector, whiten

# An alarm takes a value that is at least this rare itself: evidence outlives its cause by ticks.
_ALARM_SCORE: Final = 1.0
# Evidence that stops learning, beside half of the way to an alarm in orders of magnitude. By chance
# it is there in well under one tick in a hundred: more, and the table would lose its tail.
_DOUBT: Final = 1000.0
# Ticks that an error waits. From the first rare value (p = 1/200) to doubt takes four.
_DELAY: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        run_length: Mean ticks between false alarms of one series, at least. The default is one
            false incident per 1,000 signals and day at a tick of 15 s (`stats.fdr_budget`).
        model: How values are predicted.
        table: How many past errors are kept.
    """

    run_length: float = 5_760_000.0
    model: whiten.Config = field(default_factory=whiten.Config)
    table: tables.Config = field(default_factory=tables.Config)

    def __post_init__(self) -> None:
        """Refuse a run length that cannot be promised.

        Raises:
            ValueError: The run length is out of range.
        """
        edetector.Config(run_length=self.run_length)


class State(NamedTuple):
    """All that the detector remembers.

    Attributes:
        model: Predicts values.
        table: Errors seen while all was well.
        evidence: Money won by bets.
        waiting: Errors that may enter the table, oldest first, `[delay, series]`.
        quiet: Ticks without doubt, `[series]`.
    """

    model: whiten.Model
    table: tables.Table
    evidence: edetector.Evidence
    waiting: Any
    quiet: Any


class ConformalDetector(Detector[State]):
    """See the module. Causal, pure, one row independent of the next.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.whitener = whiten.Whitener(config.model)
        self.tables = tables.Conformal(config.table)
        self.bets = edetector.EDetector(edetector.Config(run_length=config.run_length))
        half = max(math.sqrt(config.run_length), _DOUBT)
        self.doubt = math.log10(min(half, config.run_length))

    @override
    def init(self, xp: ModuleType, series: int) -> State:
        """Return the state of rows that have seen nothing."""
        return State(
            model=self.whitener.init(xp, series),
            table=self.tables.init(xp, series),
            evidence=self.bets.init(xp, edetector.P_VALUE_BETS, series),
            waiting=xp.full((_DELAY, series), xp.nan),
            quiet=xp.zeros(series),
        )

    def restart(self, xp: ModuleType, state: State, rows: Any) -> State:
        """Return the state with these rows (bool `[series]`) as if new."""
        return State(
            model=self.whitener.restart(xp, state.model, rows),
            table=self.tables.restart(xp, state.table, rows),
            evidence=self.bets.restart(xp, state.evidence, rows),
            waiting=xp.where(rows, xp.nan, state.waiting),
            quiet=xp.where(rows, 0.0, state.quiet),
        )

    @override
    def step(
        self, xp: ModuleType, state: State, values: Any, learn: Any
    ) -> tuple[State, DetectorOutput]:
        """Judge one tick, then learn from it.

        Args:
            xp: numpy or jax.numpy.
            state: From `init` or the last step.
            values: Float `[series]`; NaN and infinities are unknown.
            learn: Bool `[series]`, or one bool: where anything may be learnt.

        Returns:
            The next state, and the p-value of the single value, the band in which the errors of
            the table lie, and the alarm.
        """
        error = self.whitener.errors(xp, state.model, values)
        size = xp.abs(error.sigmas)
        score = self.tables.neg_log10_p(xp, state.table, size)
        evidence, heard = self.bets.step(xp, state.evidence, edetector.p_value_bets(xp, score))
        judged = xp.isfinite(score)
        rare = xp.where(judged, score, 0.0) >= _ALARM_SCORE
        doubt = xp.where(judged, heard.log10_evidence, 0.0) >= self.doubt
        allowed = xp.asarray(learn) & ~doubt
        quiet = xp.where(allowed, state.quiet + 1.0, 0.0)
        quiet = xp.minimum(quiet, 2.0 * _DELAY)
        entering = quiet > _DELAY
        table = self.tables.learn(xp, state.table, state.waiting[0], entering)
        after = State(
            model=self.whitener.learn(xp, state.model, values, allowed, error),
            table=table,
            evidence=evidence,
            waiting=xp.concatenate([state.waiting[1:], size[None]]),
            quiet=quiet,
        )
        return after, self._output(xp, state, error, score, heard.alarm & rare)

    def _output(
        self, xp: ModuleType, state: State, error: whiten.Error, score: Any, alarm: Any
    ) -> DetectorOutput:
        """Return the claims; the band ends at the largest error of the table."""
        judged = xp.isfinite(score)
        half = xp.where(judged, state.table.scores[-1], xp.nan) * error.sd
        return DetectorOutput(
            neg_log10_p=score,
            low=error.expected - half,
            high=error.expected + half,
            alarm=alarm,
        )


PART: Final = Part(
    kind="detector",
    name="conformal",
    summary="Evidence from p-values among a series' own past, with a promised run length.",
    config=Config,
    build=ConformalDetector,
)
