"""One test for each series and block of ticks: rare among its own errors and in the fleet's past.

A block's p-value is the larger of two. Bets on its ticks' p-values (`stats.edetector_blocks`) hold
if errors are alike given the past; the block's place among all blocks of the fleet
(`stats.fdr_past`) holds if blocks go on as they did, whatever happens within one. Without the
second, levels that jump by themselves made one alarm in six false.

NumPy only. Not here: which of them are alarms (`fleet_told`).
"""

from typing import Any, NamedTuple

import numpy as np

from homeostat.stats.edetector_blocks import Block, BlockTests
from homeostat.stats.fdr_past import Config, FleetPast, Past, size


class BlocksState(NamedTuple):
    """What is remembered.

    Attributes:
        block: The bets of the block under way.
        errors: Its ticks' errors in standard deviations, the newest last, NaN where there is none
            yet or it is not known. `[tick, series]`.
        past: The fleet's.
    """

    block: Block
    errors: Any
    past: Past


class Ended(NamedTuple):
    """A block that is over, `[series]` each.

    Attributes:
        neg_log10_p: 0 or more; NaN where a series or the fleet is too young, or nothing is known.
        size: How far off it was, as `FleetPast` wants it.
    """

    neg_log10_p: Any
    size: Any


class FleetBlocks:
    """See the module; causal, O(1) a tick and series.

    Args:
        ticks: Of a block, at least 1.
        past: Settings of the fleet's past.

    Raises:
        ValueError: The length is below 1.
    """

    def __init__(self, ticks: int = 16, past: Config | None = None) -> None:
        self.ticks = ticks
        self._tests = BlockTests(ticks)
        self._past = FleetPast(Config() if past is None else past)

    def init(self, series: int) -> BlocksState:
        """Return a fleet that has seen nothing."""
        return BlocksState(
            block=self._tests.init(np, series),
            errors=np.full((self.ticks, series), np.nan),
            past=self._past.init(series),
        )

    def add(
        self, state: BlocksState, neg_log10_p: Any, sigmas: Any
    ) -> tuple[BlocksState, Any, Ended | None]:
        """Add one tick.

        Args:
            state: From `init`, `learn` or the last call.
            neg_log10_p: How rare each error is in its series' past, `[series]`; NaN is no test.
            sigmas: The errors, `[series]`; NaN is unknown.

        Returns:
            The next state, the bets' evidence so far (-log10 p, `[series]`, NaN where nothing was
            tested), and the block if this tick completes it: then `learn` is to be called.
        """
        block, peeked = self._tests.step(np, state.block, neg_log10_p)
        errors = np.concatenate([state.errors[1:], sigmas[None]])
        after = BlocksState(block, errors, state.past)
        if not peeked.full:
            return after, peeked.neg_log10_p, None
        far = size(errors)
        rare = np.minimum(peeked.neg_log10_p, self._past.neg_log10_p(state.past, far))
        return after, peeked.neg_log10_p, Ended(rare, far)

    def learn(self, state: BlocksState, ended: Ended, unusual: Any) -> BlocksState:
        """Learn from a block that is over.

        Args:
            state: As `add` returned it.
            ended: Likewise.
            unusual: Bool `[series]`: no part of a healthy fleet's past.
        """
        errors = np.full_like(state.errors, np.nan)
        return state._replace(errors=errors, past=self._past.learn(state.past, ended.size, unusual))

    def restart(self, state: BlocksState, rows: Any) -> BlocksState:
        """Return the state with these series (bool `[series]`) as if new; the fleet's past stays.

        What there is of the block is of the series as it was, and is forgotten.
        """
        return state._replace(
            errors=np.where(rows, np.nan, state.errors), past=self._past.restart(state.past, rows)
        )
