"""Calibration of an entity's score: how rare is it in the entity's own past.

A score of any unit becomes -log10 p by a guarded conformal table (`stats.conformal`), which is a
uniform sample of a long past (`stats.reservoir.entered`): neighbours in time are alike, and what
came first would else fill it. So p is the share of the past in which the score was as high; it is
no promise about how many alarms there will be, which takes what comes after (`stats.edetector`).

The past is guarded: a score waits some ticks and enters only if nothing rare came up meanwhile.
What stays rare for `patience` ticks is what the entity does now, and is learnt again.
"""

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.stats import conformal, reservoir

_COUNT_MAX: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        doubt: Evidence (-log10 p) at which nothing is learnt, above 0. The default leaves out one
            healthy tick in 1,000: many more, and the table would lose its tail.
        delay: Ticks that a score waits, at least 1.
        patience: Ticks in a row of doubt after which they are learnt again, at least 1; six hours
            at a tick of 15 s.
        past: How much of the past the table is a sample of.
    """

    doubt: float = 3.0
    delay: int = 16
    patience: int = 1440
    past: reservoir.Config = field(default_factory=reservoir.Config)

    def __post_init__(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        if not self.doubt > 0.0:
            raise ValueError(f"across: doubt must be above 0, got {self.doubt}")
        if self.delay < 1 or self.patience < 1:
            raise ValueError(
                f"across: delay and patience must be 1 or more, got {self.delay}, {self.patience}"
            )


class CalibratorState(NamedTuple):
    """What is remembered of each entity.

    Attributes:
        table: Scores of the past.
        waiting: Scores that may enter, oldest first, `[delay, entity]`.
        offered: Scores that might have entered, int64 `[entity]`.
        quiet: Ticks since a doubt, `[entity]`.
        doubted: Ticks in doubt in a row, `[entity]`.
    """

    table: conformal.Table
    waiting: Any
    offered: Any
    quiet: Any
    doubted: Any


class Judged(NamedTuple):
    """What is said of one tick, `[entity]` each.

    Attributes:
        neg_log10_p: 0 or more; NaN where unknown.
        allowed: Where this tick may be learnt from, as far as it alone says; bool.
    """

    neg_log10_p: Any
    allowed: Any


class Calibrator:
    """See the module. Causal, pure, one entity independent of the next.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self._tables = conformal.Conformal(conformal.Config(size=config.past.size, block=1))

    def init(self, entities: int) -> CalibratorState:
        """Return the state of entities of which nothing is known."""
        return CalibratorState(
            table=self._tables.init(np, entities),
            waiting=np.full((self.config.delay, entities), np.nan),
            offered=np.zeros(entities, dtype=np.int64),
            quiet=np.zeros(entities),
            doubted=np.zeros(entities),
        )

    def rank(self, table: conformal.Table, scores: Any) -> Any:
        """Return -log10 p of scores `[entity]` in a table, NaN where unknown; nothing is learnt."""
        return self._tables.neg_log10_p(np, table, scores)

    def step(
        self, state: CalibratorState, scores: Any, learn: Any
    ) -> tuple[CalibratorState, Judged]:
        """Judge one tick, then learn from it.

        Args:
            state: From `init` or the last step.
            scores: The larger, the worse, `[entity]`; NaN for unknown.
            learn: Bool `[entity]`: where anything may be learnt.
        """
        said = self.rank(state.table, scores)
        doubt = np.where(np.isfinite(said), said, 0.0) >= self.config.doubt
        doubted = np.where(doubt, np.minimum(state.doubted + 1.0, _COUNT_MAX), 0.0)
        allowed = learn & (~doubt | (doubted > self.config.patience))
        quiet = np.where(allowed, np.minimum(state.quiet + 1.0, _COUNT_MAX), 0.0)
        offers = (quiet > self.config.delay) & np.isfinite(state.waiting[0])
        offered = state.offered + offers
        enters = reservoir.enters(self.config.past, state.offered, offers)
        table = state.table
        if enters.any():
            table = self._tables.learn(np, table, state.waiting[0], enters)
        after = CalibratorState(
            table=table,
            waiting=np.concatenate([state.waiting[1:], np.asarray(scores)[None]]),
            offered=offered,
            quiet=quiet,
            doubted=doubted,
        )
        return after, Judged(said, allowed)

    def restart(self, state: CalibratorState, entities: Any) -> CalibratorState:
        """Return the state with these entities (bool `[entity]`) as if new."""
        fresh = self.init(state.offered.shape[0])
        table = self._tables.restart(np, state.table, entities)
        rest = (np.where(entities, new, old) for new, old in zip(fresh[1:], state[1:], strict=True))
        return CalibratorState(table, *rest)
