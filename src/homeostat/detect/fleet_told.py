"""Which incidents of a fleet are told: of those told at most a share is false, in expectation.

A fleet is many entities (files, machines), each of one series or more. Every block of ticks of
every entity that is in no incident is one test: the p-values of its series' blocks
(`fleet_chain`, `fleet_blocks`), the smallest times their number (Bonferroni: they may depend on
each other). The online rule LORD++ (`stats.fdr`) decides all of a block in O(1) each, and what it
rejects is told, once: while an incident lasts its entity is not tested. So one alarm is one
discovery, and the promise is about alarms as people count them.

The promise, in full: of all alarms told up to any time, at most `rate` are false in expectation,
if a healthy series' blocks go on as those of the fleet did, on average over its series. It is no
promise about one series that is unlike all others, nor about one stretch of time; what lasts for
less than half a block is no incident here, and before a fleet has seen enough nothing is told.

An incident that has lasted for `patience` ticks is what its series do now, and is learnt.
NumPy only. Not here: where values come from; causes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.detect import fleet_blocks, fleet_chain, stack_incident
from homeostat.detect.fused_groups import filled, leaves
from homeostat.stats import fdr, fdr_past

# Evidence of a block under way from which on its ticks teach nothing: what the alarm would say.
_CALM: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        rate: Share of the alarms told that may be false, in (0, 1).
        chain: How values become p-values.
        past: Of the fleet's past.
        block: Ticks of a test, at least 1.
        warm: Known ticks of a series before it is tested. The gate on made-up fleets gives 800 to
            series without a season and 1,600 to those with one of 200 ticks; nobody knows before.
        stay: Evidence of a block with which an incident goes on.
        quiet: Blocks in a row below it that end one: the end of a shift is a jump too.
        patience: Ticks of an incident after which it is taken for what its series do now.
    """

    rate: float = 0.05
    chain: fleet_chain.Config = field(default_factory=fleet_chain.Config)
    past: fdr_past.Config = field(default_factory=fdr_past.Config)
    block: int = 16
    warm: int = 1600
    stay: float = 2.0
    quiet: int = 2
    patience: int = 240

    def __post_init__(self) -> None:
        """Refuse settings that nothing can be promised with.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        fdr.Config(rate=self.rate)
        if self.warm < 0 or self.patience < 1:
            raise ValueError(
                f"fleet: warm must be 0 or more and patience 1 or more, got {self.warm} and "
                f"{self.patience}"
            )


class FleetState(NamedTuple):
    """All that is remembered; arrays only.

    Attributes:
        chain: Of each series.
        blocks: Of each series, and the fleet's past.
        balance: What the fleet may still spend.
        age: Known ticks of each series, `[series]`.
        incident: Of each entity.
        lasts: Ticks for which its incident has lasted, `[entity]`.
        evidence: Of the last block of each entity, NaN where unknown, `[entity]`.
        shares: Of each series in it, `[series]`.
    """

    chain: fleet_chain.ChainState
    blocks: fleet_blocks.BlocksState
    balance: fdr.Balance
    age: Any
    incident: stack_incident.State
    lasts: Any
    evidence: Any
    shares: Any


class Told(NamedTuple):
    """What is said of one tick.

    Attributes:
        neg_log10_p: Evidence of the last whole block, `[entity]`; NaN where it is unknown, and
            where an entity has no value at this tick.
        alarm: An incident is told at this tick, the last of its first block. Bool `[entity]`.
        active: One lasts. Bool `[entity]`.
        shares: Of each series in its entity's evidence, NaN where there is none. `[series]`.
        block: -log10 p of each series' block, where this tick ends one and it was old enough
            (NaN else), `[series]`; None where no block ends.
        unusual: Series whose own block is rare enough, bool `[series]`; None likewise.
    """

    neg_log10_p: Any
    alarm: Any
    active: Any
    shares: Any
    block: Any
    unusual: Any


class Fleet:
    """See the module. Causal and pure.

    Args:
        columns: How many series each entity has, one at least each; a series' number is that of
            its entity's first one, and its place in it.
        config: Settings.
        each: Level that a series' test has besides, from a budget of false alarms; 0 for none. An
            entity has the sum of those of its series that are tested.

    Raises:
        ValueError: There is no entity, or one without series.
    """

    def __init__(
        self, columns: Sequence[int], config: Config | None = None, *, each: float = 0.0
    ) -> None:
        if not columns or min(columns) < 1:
            raise ValueError(f"fleet: each entity needs a series, got {list(columns)}")
        self.config = Config() if config is None else config
        self.columns = tuple(columns)
        self._first = np.cumsum([0, *columns[:-1]])
        self._of = np.repeat(np.arange(len(columns)), columns)
        self._each = each
        self._chain = fleet_chain.Chain(self.config.chain)
        self._blocks = fleet_blocks.FleetBlocks(self.config.block, self.config.past)
        self._rule = fdr.OnlineFdr(fdr.Config(rate=self.config.rate))
        # Where an incident starts is the rule's word at every block.
        self._lasting = stack_incident.Config(
            start=self.config.stay, stay=self.config.stay, quiet=self.config.quiet
        )

    def init(self) -> FleetState:
        """Return a fleet that has shown nothing."""
        series, entities = len(self._of), len(self.columns)
        return FleetState(
            chain=self._chain.init(series),
            blocks=self._blocks.init(series),
            balance=self._rule.init(np),
            age=np.zeros(series),
            incident=stack_incident.init(np, entities),
            lasts=np.zeros(entities),
            evidence=np.full(entities, np.nan),
            shares=np.full(series, np.nan),
        )

    def step(self, state: FleetState, values: Any) -> tuple[FleetState, Told]:
        """Judge one tick, then learn from it.

        Args:
            state: From `init` or the last step.
            values: `[series]`; NaN and infinities are unknown.
        """
        row = np.where(np.isfinite(values), values, np.nan)
        seen = self._chain.see(state.chain, row)
        blocks, so_far, ended = self._blocks.add(state.blocks, seen.neg_log10_p, seen.sigmas)
        judging = state.age >= self.config.warm
        usual_now = (state.lasts >= self.config.patience)[self._of]
        calm = ~(so_far > _CALM) | ~judging | usual_now
        alarm, block, unusual = np.zeros(len(self.columns), dtype=bool), None, None
        if ended is not None:
            block = np.where(judging, ended.neg_log10_p, np.nan)
            state, alarm, unusual = self._decided(state, block)
            blocks = self._blocks.learn(blocks, ended, unusual)
        chain, fresh = self._chain.learn(state.chain, row, seen, calm)
        if fresh.any():
            blocks = self._blocks.restart(blocks, fresh)
        active = state.incident.active
        after = state._replace(
            chain=chain,
            blocks=blocks,
            age=state.age + np.isfinite(row),
            lasts=np.where(active, state.lasts + 1.0, 0.0),
        )
        there = np.logical_or.reduceat(np.isfinite(row), self._first)
        shown = np.where(there, after.evidence, np.nan)
        return after, Told(shown, alarm, active, after.shares, block, unusual)

    def moved(self, state: FleetState, series: Any, entities: Any) -> FleetState:
        """Return the state of another fleet's as this one's, with some of its series and entities.

        What the fleet has in common goes on: its past, its balance, its block under way.

        Args:
            state: Of the other fleet, which has the same settings.
            series: Where each series of this one was in it, -1 for one that is new, `[series]`.
            entities: Likewise, `[entity]`.
        """
        blank, blocks = self.init(), state.blocks
        block, past = blocks.block, blocks.past

        def rows(new: Any, old: Any, where: Any = series) -> Any:
            out = new.copy()
            there = where >= 0
            out[..., there] = old[..., where[there]]
            return out

        fresh = blank.blocks
        chain = [
            old if not new.ndim else rows(new, old)
            for new, old in zip(leaves(blank.chain), leaves(state.chain), strict=True)
        ]
        return state._replace(
            chain=filled(blank.chain, chain),
            blocks=blocks._replace(
                block=block._replace(
                    won=rows(fresh.block.won, block.won),
                    best=rows(fresh.block.best, block.best),
                    seen=rows(fresh.block.seen, block.seen),
                ),
                errors=rows(fresh.errors, blocks.errors),
                past=past._replace(
                    worst=rows(fresh.past.worst, past.worst),
                    lasting=rows(fresh.past.lasting, past.lasting),
                    blocks=rows(fresh.past.blocks, past.blocks),
                ),
            ),
            age=rows(blank.age, state.age),
            incident=stack_incident.State(
                rows(blank.incident.active, state.incident.active, entities),
                rows(blank.incident.calm, state.incident.calm, entities),
            ),
            lasts=rows(blank.lasts, state.lasts, entities),
            evidence=rows(blank.evidence, state.evidence, entities),
            shares=rows(blank.shares, state.shares),
        )

    def _decided(self, state: FleetState, block: Any) -> tuple[FleetState, Any, Any]:
        """Return the state after the tests of a block, the alarms, and which series are unusual."""
        known = np.isfinite(block)
        count = np.add.reduceat(known.astype(float), self._first)
        best = np.maximum.reduceat(np.where(known, block, -1.0), self._first)
        price = np.log10(np.maximum(count, 1.0))
        evidence = np.where(count > 0.0, np.maximum(best - price, 0.0), np.nan)
        tests = np.where(state.incident.active, np.nan, evidence)
        besides = self._each * count if self._each > 0.0 else None
        balance, decided = self._rule.step(np, state.balance, tests, besides)
        level = np.broadcast_to(decided.neg_log10_level, count.shape)
        incident, alarm = stack_incident.step(np, self._lasting, state.incident, evidence, level)
        unusual = known & (np.where(known, block, 0.0) - price[self._of] >= level[self._of])
        sure = np.where(known, block, 0.0)
        total = np.add.reduceat(sure, self._first)[self._of]
        shares = np.where(total > 0.0, sure / np.where(total > 0.0, total, 1.0), np.nan)
        after = state._replace(balance=balance, incident=incident, evidence=evidence, shares=shares)
        return after, alarm, unusual
