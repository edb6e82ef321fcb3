"""From a fleet's values to p-values of each tick: season away, whitened, ranked in its own past.

The first two links of the chain that the fleet's false discovery rate stands on
(`tests/stats/test_fdr_fleet.py` measures it whole): each series has its season taken away
(`detect.seasonal_memory`, which finds it by itself), its memory modelled (`stats.whiten`), and its
errors ranked among its own past ones (`stats.conformal`). What is not calm teaches none of them.

Where a season has just been found the series begins anew, as in `detect.seasonal`: errors with and
without a season are not alike. NumPy only; not here: blocks and alarms (`fleet_blocks`,
`fleet_told`).
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from homeostat.detect import seasonal_memory
from homeostat.detect.seasonal_memory import SeasonalMemory, Seasons
from homeostat.stats.conformal import Config as TablesConfig
from homeostat.stats.conformal import Conformal, Table
from homeostat.stats.whiten import Config as WhitenConfig
from homeostat.stats.whiten import Model, Whitener


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        whiten: Of the model of a series' memory.
        tables: Of the tables of past errors.
        seasons: How seasons are found; None: there are none to be found.
    """

    whiten: WhitenConfig = field(default_factory=WhitenConfig)
    tables: TablesConfig = field(default_factory=TablesConfig)
    seasons: seasonal_memory.Config | None = field(default_factory=seasonal_memory.Config)


class ChainState(NamedTuple):
    """What is remembered of each series.

    Attributes:
        model: Of its memory.
        table: Of its past errors.
        memory: Of its season; empty where none is looked for.
    """

    model: Model
    table: Table
    memory: SeasonalMemory | tuple[()]


class Seen(NamedTuple):
    """One tick, `[series]` each.

    Attributes:
        rest: The values without their season; NaN where unknown.
        sigmas: Their errors in standard deviations, signed; NaN where unknown.
        neg_log10_p: How rare errors as large are in the series' own past; NaN where unknown.
    """

    rest: Any
    sigmas: Any
    neg_log10_p: Any


class Chain:
    """See the module. Causal and pure; series are independent of each other.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = Config() if config is None else config
        self._whitener = Whitener(self.config.whiten)
        self._tables = Conformal(self.config.tables)
        found = self.config.seasons
        self._seasons = None if found is None else Seasons(found)

    def init(self, series: int) -> ChainState:
        """Return the state of series that have shown nothing."""
        return ChainState(
            model=self._whitener.init(np, series),
            table=self._tables.init(np, series),
            memory=() if self._seasons is None else self._seasons.init(np, series),
        )

    def see(self, state: ChainState, values: Any) -> Seen:
        """Return what values are beside the past; nothing is learnt.

        Args:
            state: From `init` or `learn`.
            values: `[series]`; NaN is unknown.
        """
        rest = values
        if self._seasons is not None and isinstance(state.memory, SeasonalMemory):
            rest = self._seasons.remove(np, state.memory, values).values
        sigmas = self._whitener.errors(np, state.model, rest).sigmas
        rare = self._tables.neg_log10_p(np, state.table, np.abs(sigmas))
        return Seen(rest, sigmas, rare)

    def learn(
        self, state: ChainState, values: Any, seen: Seen, calm: Any
    ) -> tuple[ChainState, Any]:
        """Learn from one tick.

        Args:
            state: The state that `see` was asked with.
            values: As for `see`.
            seen: What it said.
            calm: Bool `[series]`: what was not flagged; the rest teaches nothing.

        Returns:
            The next state, and the series whose season has just been found, bool `[series]`.
        """
        model = self._whitener.learn(np, state.model, seen.rest, calm)
        table = self._tables.learn(np, state.table, np.abs(seen.sigmas), calm)
        if self._seasons is None or not isinstance(state.memory, SeasonalMemory):
            return ChainState(model, table, ()), np.zeros(len(values), dtype=bool)
        believed = calm & (model.doubted == 0.0)
        memory = self._seasons.learn(np, state.memory, values, allowed=True, calm=believed)
        fresh = memory.fresh
        if fresh.any():
            model = self._whitener.restart(np, model, fresh)
            table = self._tables.restart(np, table, fresh)
        return ChainState(model, table, memory), fresh
