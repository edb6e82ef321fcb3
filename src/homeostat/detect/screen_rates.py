"""How rarely does a score get so high: its rank among the highest scores of past stretches.

A p-value for one tick counts ticks, and neighbours say the same thing; people count episodes. So
the table of a row holds the highest score of each of its past blocks, and the p-value of a score is
the share of blocks that reached it (conformal: valid whatever the law of the scores, and whatever
their correlation within a block), continued beyond the highest by the tail (`stats.conformal`). An
episode enters once, however long it lasts ("runs declustering" of peaks over a threshold: Smith &
Weissman, Journal of the Royal Statistical Society B 56 (1994)): what came once counts as one, and
what comes again and again is normal in the end, without anyone having to say so.

Blocks are short at first, so that something can be said soon, and become longer when the table is
full, so that it reaches far back. Not here: what the scores are.
"""

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.stats import conformal
from homeostat.stats.chosen import alike, where

# Blocks after which an episode that does not end is entered all the same: it is no episode.
_LASTING: Final = 64.0
# -log10 p of what a third of all blocks have: less is no episode.
_COMMON: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        blocks: Blocks in a full table, 16 to 4,096; 2 bytes each.
        shortest: Ticks of a block at first, at least 1.
        longest: Ticks of a block at most; it doubles each time the table has been filled anew.
        least: Blocks before anything is judged.
        rare: -log10 p at or above which a stretch is an episode.
    """

    blocks: int = 128
    shortest: int = 4
    longest: int = 128
    least: int = 32
    rare: float = 1.5

    def __post_init__(self) -> None:
        """Refuse blocks that cannot work.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        conformal.Config(size=self.blocks, block=1, least=self.least)
        if not 1 <= self.shortest <= self.longest:
            raise ValueError(
                f"rates: shortest must be in 1..{self.longest} (longest), got {self.shortest}"
            )
        if not self.rare > 0.0:
            raise ValueError(f"rates: rare must be above 0, got {self.rare}")


class State(NamedTuple):
    """What is remembered of each row, `[row]` each.

    Attributes:
        table: Highest scores of past blocks.
        length: Mean ticks of the blocks in the table.
        log10_length: Its logarithm: a logarithm is dear, and blocks end seldom.
        age: Ticks of the block that is not over yet.
        highest: Highest score in it, or in the episode that it belongs to; -inf for none.
        rare: Its -log10 p at the time.
        lasting: Blocks that the episode has lasted.
    """

    table: conformal.Table
    length: Any
    log10_length: Any
    age: Any
    highest: Any
    rare: Any
    lasting: Any


class Rates:
    """See the module; batched over rows, causal, one row independent of the next.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.tables = conformal.Conformal(
            conformal.Config(size=config.blocks, block=1, least=config.least, narrow=True)
        )
        longer = config.shortest * 2.0 ** np.arange(31)
        self._lengths = np.minimum(longer, config.longest)  # by how often the table was filled

    def init(self, xp: ModuleType, rows: int) -> State:
        """Return rows that have seen nothing."""
        none = xp.zeros(rows)
        return State(
            table=self.tables.init(xp, rows),
            length=none + self.config.shortest,
            log10_length=xp.log10(none + self.config.shortest),
            age=none,
            highest=none - xp.inf,
            rare=none,
            lasting=none,
        )

    def step(self, xp: ModuleType, state: State, scores: Any, learn: Any) -> tuple[State, Any]:
        """Judge one score of each row, then learn from it.

        Args:
            xp: numpy or jax.numpy.
            state: From `init` or the last step.
            scores: Float `[row]`; the larger, the stranger; NaN is unknown.
            learn: Bool `[row]`: where the score may be learnt.

        Returns:
            The next state, and -log10 p, 0 or more, NaN where unknown, `[row]`.
        """
        p = self.tables.neg_log10_p(xp, state.table, scores)
        known = xp.isfinite(scores) & learn
        highest = where(xp, known, xp.maximum(state.highest, scores), state.highest)
        rare = xp.fmax(state.rare, p)
        age = state.age + known
        ends = age >= self._ticks(xp, state)
        if xp is np and not ends.any():
            return state._replace(age=age, highest=highest, rare=rare), p
        episode = ends & (rare >= self.config.rare) & (state.lasting < _LASTING)
        enters = ends & ~episode
        # The block after an episode closes it: what enters is the episode's highest score.
        table = state.table
        if xp is not np or bool(enters.any()):
            table = self.tables.learn(xp, table, xp.where(enters, highest, xp.nan), enters)
        share = 1.0 / xp.clip(state.table.entered + 1.0, 1.0, self.config.blocks)
        length = xp.where(enters, state.length + share * (age - state.length), state.length)
        after = State(
            table=table,
            length=length,
            log10_length=_log10_anew(xp, state, length),
            age=xp.where(ends, 0.0, age),
            highest=xp.where(enters, -xp.inf, highest),
            rare=xp.where(ends, 0.0, rare),
            lasting=xp.where(ends, xp.where(episode, state.lasting + 1.0, 0.0), state.lasting),
        )
        return after, p

    def per_tick(self, xp: ModuleType, state: State, neg_log10_p: Any) -> Any:
        """Return -log10 of how often a tick starts an episode as extreme, `[row]`.

        A block of so many ticks starts at most one, so a rare one is as many times rarer at a
        tick. What every other block has is no episode, and is not called rarer than it is.

        Args:
            xp: numpy or jax.numpy.
            state: Before the step that judged.
            neg_log10_p: What it returned, `[row]`.
        """
        sure = xp.minimum(neg_log10_p * (1.0 / _COMMON), 1.0)
        return neg_log10_p + sure * state.log10_length

    def restart(self, xp: ModuleType, state: State, rows: Any) -> State:
        """Return the state with these rows (bool `[row]`) as if new."""
        fresh = self.init(xp, state.age.shape[0])
        table = self.tables.restart(xp, state.table, rows)
        pairs = zip(fresh[1:], state[1:], strict=True)
        return State(table, *(xp.where(rows, new, old) for new, old in pairs))

    def _ticks(self, xp: ModuleType, state: State) -> Any:
        """Return how long a block lasts: twice as long each time the table was filled anew."""
        entered = alike(xp, state.table.entered)
        entered = state.table.entered if entered is None else entered  # divisions are dear
        filled = xp.minimum(entered // self.config.blocks, len(self._lengths) - 1)
        return xp.asarray(self._lengths)[filled]


def _log10_anew(xp: ModuleType, state: State, length: Any) -> Any:
    """Return the logarithms of lengths, of which few are not as they were."""
    if xp is not np:
        return xp.log10(length)
    out = state.log10_length.copy()
    rows = np.flatnonzero(length != state.length)
    out[rows] = np.log10(length[rows])
    return out
