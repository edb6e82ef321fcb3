"""Reservoir: a few hundred whole rows of the past, as if drawn by chance from all of it.

While young it holds every row; then it is a uniform sample of the past, in which a row is offered
its place with probability size / rows so far (algorithm R: Vitter, "Random Sampling with a
Reservoir", ACM TOMS 11 (1985)); after `memory` rows that probability stays, so that the past fades.
Rows are kept whole, so what is learnt from them (quantiles, correlations, scores of a new model)
belongs together. Which rows enter is a count and not a draw, and where they go is a hash of the
count: the same on every machine, for each entity by itself.

NumPy only: rows are put where they go, which a trace cannot do cheaply.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        size: Rows that are kept, at least 16; 4 bytes a column each.
        memory: Rows over which the past fades, at least `size`.
    """

    size: int = 512
    memory: int = 16_384

    def __post_init__(self) -> None:
        """Refuse a reservoir that cannot work.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        if self.size < 16:  # noqa: PLR2004 - fewer have no quantiles
            raise ValueError(f"reservoir: size must be 16 or more, got {self.size}")
        if self.memory < self.size:
            raise ValueError(f"reservoir: memory must be {self.size} or more, got {self.memory}")


class Reservoir(NamedTuple):
    """What is kept of each entity.

    Attributes:
        rows: float32 `[size, entity, column]`; NaN where a value is unknown or no row is yet.
        offered: Rows that were offered so far, int64 `[entity]`.
    """

    rows: Any
    offered: Any


def init(config: Config, entities: int, columns: int) -> Reservoir:
    """Return empty reservoirs."""
    rows = np.full((config.size, entities, columns), np.nan, dtype=np.float32)
    return Reservoir(rows=rows, offered=np.zeros(entities, dtype=np.int64))


def entered(config: Config, offered: Any) -> Any:
    """Return how many of the rows offered have entered so far; any shape, whole numbers.

    The sum of min(1, size / n) over the rows, whose part after `memory` is a straight line.
    """
    size, memory = float(config.size), float(config.memory)
    n = np.asarray(offered, dtype=float)
    uniform = size * (1.0 + np.log(np.clip(n, size, memory) / size))
    return np.floor(
        np.minimum(n, size) - size + uniform + np.maximum(n - memory, 0.0) * size / memory
    )


def enters(config: Config, offered: Any, offers: Any) -> Any:
    """Return where a row that is offered enters, bool.

    Args:
        config: Settings.
        offered: Rows offered before, any shape.
        offers: Where one more is, bool, likewise.
    """
    if not len(offered) or int(offered.max()) < config.size:
        return offers  # the first ones all do
    before, after = entered(config, np.stack([offered, offered + offers]))
    return after > before


def learn(config: Config, state: Reservoir, rows: Any, allowed: Any) -> Reservoir:
    """Offer rows in their order in time.

    Args:
        config: Settings.
        state: From `init` or the last call.
        rows: Float `[row, entity, column]`; NaN where a value is unknown.
        allowed: Bool `[row, entity]`: where the row may be learnt from.
    """
    before = state.offered + np.cumsum(allowed, axis=0) - allowed
    done = entered(config, before)
    row, entity = np.nonzero(allowed & (entered(config, before + 1) > done))
    offered = state.offered + allowed.sum(axis=0)
    if not row.size:
        return Reservoir(state.rows, offered)
    turn = done[row, entity].astype(np.int64)
    place = np.where(turn < config.size, turn, chance(turn) % config.size)
    kept = state.rows.copy()
    kept[place, entity] = rows[row, entity]  # in order of time: the last of two wins
    return Reservoir(kept, offered)


def held(config: Config, state: Reservoir) -> Any:
    """Return how many rows each entity holds, int64 `[entity]`."""
    return np.minimum(state.offered, config.size)


def chance(count: Any) -> Any:
    """Return 0 .. 2^32 - 1, as if random in the count (finaliser of MurmurHash3, by Appleby)."""
    mixed = np.asarray(count, dtype=np.uint64) & np.uint64(0xFFFFFFFF)
    for factor, shift in ((0x85EBCA6B, 16), (0xC2B2AE35, 13)):
        mixed ^= mixed >> np.uint64(shift)
        mixed = (mixed * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
    return (mixed ^ (mixed >> np.uint64(16))).astype(np.int64)
