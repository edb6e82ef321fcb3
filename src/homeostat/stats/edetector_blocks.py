"""One test for a block of ticks that may be looked at after every tick.

A false discovery rate counts tests, and an anomaly that lasts is one discovery, not one a tick.
Here a test is a series over a block of ticks: its evidence is a mixture of products of bets on the
block's p-values, so by Ville's inequality 1 / (its largest value so far) is a p-value at every
tick of the block. Weak evidence that repeats adds up, strong evidence is there at once.

Source: Ville (1939); Ramdas, Grunwald, Vovk & Shafer, Statistical Science 38 (2023);
the bets are those of `edetector`.
"""

from types import ModuleType
from typing import Any, Final, NamedTuple

from homeostat.stats.edetector import P_VALUE_BETS, p_value_bets

_MOST: Final = 1e18  # as in `edetector`
_LEAST: Final = 1e-18


class Block(NamedTuple):
    """A block under way.

    Attributes:
        won: Money won by each size of bet since the block began, `[bet, series]`.
        best: The largest mixture of them so far, at least 1, `[series]`.
        seen: Whether anything was tested in the block, `[series]`.
        age: Ticks since the block began, `[]`.
    """

    won: Any
    best: Any
    seen: Any
    age: Any


class Peeked(NamedTuple):
    """What a block says after one of its ticks.

    Attributes:
        neg_log10_p: `[series]`; NaN where nothing was tested in the block yet.
        log10_e: The evidence of this moment, an e-value when the block is full, `[series]`.
        full: Whether this tick completes the block, `[]`.
    """

    neg_log10_p: Any
    log10_e: Any
    full: Any


class BlockTests:
    """Tests of blocks; see the module.

    Args:
        ticks: Length of a block, at least 1.

    Raises:
        ValueError: The length is below 1.
    """

    def __init__(self, ticks: int) -> None:
        if ticks < 1:
            raise ValueError(f"block tests: ticks must be 1 or more, got {ticks}")
        self.ticks = ticks

    def init(self, xp: ModuleType, series: int) -> Block:
        """Return a block that begins."""
        row = xp.zeros(series)
        return Block(xp.zeros((P_VALUE_BETS, series)) + 1.0, row + 1.0, row > 0.0, xp.zeros(()))

    def step(self, xp: ModuleType, state: Block, scores: Any) -> tuple[Block, Peeked]:
        """Add one tick.

        Args:
            xp: numpy or jax.numpy.
            state: From `init` or the last step.
            scores: -log10 p, `[series]`; NaN is no test.
        """
        known = xp.isfinite(scores)
        win = xp.where(known, p_value_bets(xp, scores), 1.0)
        won = xp.clip(state.won * win, _LEAST, _MOST)
        mixture = won.mean(axis=0)
        best = xp.maximum(state.best, mixture)
        seen = state.seen | known
        full = xp.asarray(state.age + 1.0 >= self.ticks)
        peeked = Peeked(
            neg_log10_p=xp.where(seen, xp.log10(best), xp.nan),
            log10_e=xp.where(seen, xp.log10(mixture), xp.nan),
            full=full,
        )
        after = Block(
            won=xp.where(full, 1.0, won),
            best=xp.where(full, 1.0, best),
            seen=seen & ~full,
            age=xp.asarray(xp.where(full, 0.0, state.age + 1.0)),
        )
        return after, peeked
