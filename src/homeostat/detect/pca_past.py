"""What PCA learns from, and when: rows in blocks, a reservoir, fading correlations, refits.

Rows wait for one to two blocks and are learnt only if nothing rare came up in the block that
followed them, so that the first ticks of a fault do not teach what it is compared with. An entity's
model is fitted anew when it has learnt `first` rows, then at every doubling, then at every `refit`
rows. Each entity goes by its own count of rows: one does not change when another is refitted.

NumPy only: which entities are refitted is decided here, by their counts.
"""

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.detect import pca_model
from homeostat.stats import covariance, reservoir

# Ticks in a block; what waits is two of them.
BLOCK: Final = 16
# Values farther from their level than this many spreads are learnt as if they were there. What is
# usual and far is known after a few refits; a fault that slips in makes no column deaf.
_TAME: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        rows: Rows that are kept, and how long the past is remembered.
        first: Rows that the first model takes, at least 32.
        refit: Rows learnt between two refits, at least 16.
        explained: Share of the variance at which no further component is kept, in (0, 1].
    """

    rows: reservoir.Config = field(default_factory=reservoir.Config)
    first: int = 64
    refit: int = 256
    explained: float = 0.9

    def __post_init__(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        if not 32 <= self.first <= self.rows.size:  # noqa: PLR2004 - see pca_model._LEAST_VALUES
            raise ValueError(f"pca: first must be in 32..{self.rows.size}, got {self.first}")
        if self.refit < BLOCK:
            raise ValueError(f"pca: refit must be {BLOCK} or more, got {self.refit}")
        if not 0.0 < self.explained <= 1.0:
            raise ValueError(f"pca: explained must be in (0, 1], got {self.explained}")


class PastState(NamedTuple):
    """What is known of the past of each entity.

    Attributes:
        tick: Ticks so far, int64, no axis.
        waiting: Rows that may be learnt, by tick modulo two blocks, `[slot, entity, column]`.
        open: Where they may, as far as each tick alone says, bool `[slot, entity]`.
        origin: First value learnt of each column, NaN before, `[entity, column]`.
        rows: The reservoir, as differences from the origin: single precision would lose what a
            counter does far from 0.
        moments: Fading sums of clipped deviations.
        fitted: Rows learnt at the last refit, 0 before the first, int64 `[entity]`.
        model: What the last refit found.
    """

    tick: Any
    waiting: Any
    open: Any
    origin: Any
    rows: reservoir.Reservoir
    moments: covariance.Moments
    fitted: Any
    model: pca_model.Model


def init(config: Config, entities: int, columns: int) -> PastState:
    """Return the state of entities that have seen nothing."""
    return PastState(
        tick=np.asarray(0, dtype=np.int64),
        waiting=np.full((2 * BLOCK, entities, columns), np.nan),
        open=np.zeros((2 * BLOCK, entities), dtype=bool),
        origin=np.full((entities, columns), np.nan),
        rows=reservoir.init(config.rows, entities, columns),
        moments=covariance.init(np, entities, columns),
        fitted=np.zeros(entities, dtype=np.int64),
        model=pca_model.init(entities, columns),
    )


def step(config: Config, state: PastState, row: Any, allowed: Any) -> PastState:
    """Let a tick's row wait; at the end of a block learn the block before.

    Args:
        config: Settings.
        state: From `init` or the last step.
        row: Float `[entity, column]`, NaN where a value is unknown or must not be learnt.
        allowed: Bool `[entity]`: where the row may be learnt, as far as this tick says.
    """
    slot = int(state.tick) % (2 * BLOCK)
    waiting, is_open = state.waiting.copy(), state.open.copy()
    waiting[slot], is_open[slot] = row, allowed
    state = state._replace(tick=np.asarray(state.tick + 1), waiting=waiting, open=is_open)
    if (slot + 1) % BLOCK:
        return state
    oldest = (slot + 1) % (2 * BLOCK)
    before, after = slice(oldest, oldest + BLOCK), slice(slot + 1 - BLOCK, slot + 1)
    quiet = is_open[before] & is_open[after].all(axis=0)
    quiet = np.flip(np.logical_and.accumulate(np.flip(quiet, axis=0), axis=0), axis=0)
    quiet &= np.isfinite(waiting[before]).any(axis=2)
    learnt = pca_model.tamed(state.model, waiting[before], _TAME)
    origin = _origin(state.origin, learnt, quiet)
    rows = reservoir.learn(config.rows, state.rows, learnt - origin, quiet)
    off = pca_model.clipped(state.model, np.moveaxis(learnt, 0, 1))
    off = np.where(quiet[:, :, None], np.moveaxis(off, 1, 0), np.nan)
    moments = covariance.learn(np, state.moments, off, float(config.rows.memory))
    state = state._replace(origin=origin, rows=rows, moments=moments)
    count, last = rows.offered, state.fitted
    due = (count >= config.first) & ((count >= 2 * last) | (count - last >= config.refit))
    return _refitted(config, state, np.flatnonzero(due)) if due.any() else state


def _origin(origin: Any, rows: Any, allowed: Any) -> Any:
    """Return the origin, with the first value learnt where there was none."""
    usable = np.isfinite(rows) & allowed[:, :, None]
    first = np.take_along_axis(rows, np.argmax(usable, axis=0)[None], axis=0)[0]
    return np.where(np.isnan(origin) & usable.any(axis=0), first, origin)


def _refitted(config: Config, state: PastState, entities: Any) -> PastState:
    """Fit the models of some entities anew and score their reservoirs by them."""
    count = state.rows.offered[entities]
    held = reservoir.held(config.rows, state.rows)[entities]
    size = config.rows.size
    most = pca_model.filled_rows(held, size)
    rows = np.moveaxis(state.rows.rows[:, entities] + state.origin[entities], 0, 1)
    scale = pca_model.scaled(rows[:, :most])
    moments = covariance.Moments(*(part[entities] for part in state.moments))
    young = (count <= size)[:, None, None]
    # A young entity's rows are all there still; take them in the units of the new model.
    if young.any():
        again = _moments(config, rows, scale)
        moments = covariance.Moments(
            *(np.where(young, new, old) for new, old in zip(again, moments, strict=True))
        )
    model = pca_model.fit(
        rows[:, :most], moments, held,
        explained=config.explained, scale=scale, left_out=size - most,
    )  # fmt: skip
    return state._replace(
        moments=covariance.Moments(*_put(state.moments, entities, moments)),
        fitted=next(_put([state.fitted], entities, [count])),
        model=pca_model.Model(*_put(state.model, entities, model)),
    )


def _moments(config: Config, rows: Any, scale: tuple[Any, Any, Any]) -> covariance.Moments:
    """Return the sums over all rows `[entity, row, column]`, in units of their own spread."""
    level, spread, moves = scale
    blank = pca_model.init(len(rows), rows.shape[2])._replace(
        level=level, spread=spread, moves=moves
    )
    off = np.moveaxis(pca_model.clipped(blank, rows), 1, 0)
    empty = covariance.init(np, len(rows), rows.shape[2])
    return covariance.learn(np, empty, off, float(config.rows.memory))


def _put(wholes: Any, entities: Any, parts: Any) -> Any:
    """Yield arrays in which these entities' parts are the new ones."""
    for whole, part in zip(wholes, parts, strict=True):
        out = whole.copy()
        out[entities] = part
        yield out


def restart(config: Config, state: PastState, entities: Any) -> PastState:
    """Return the state with these entities (bool `[entity]`) as if new."""
    fresh = init(config, *state.waiting.shape[1:])

    def mixed(new: Any, old: Any, axis: int) -> Any:
        shape = [1] * np.ndim(old)
        shape[axis] = -1
        return np.where(np.reshape(entities, shape), new, old)

    def each(news: Any, olds: Any) -> Any:
        return (mixed(new, old, 0) for new, old in zip(news, olds, strict=True))

    return PastState(
        tick=state.tick,
        waiting=mixed(fresh.waiting, state.waiting, 1),
        open=mixed(fresh.open, state.open, 1),
        origin=mixed(fresh.origin, state.origin, 0),
        rows=reservoir.Reservoir(
            mixed(fresh.rows.rows, state.rows.rows, 1),
            mixed(fresh.rows.offered, state.rows.offered, 0),
        ),
        moments=covariance.Moments(*each(fresh.moments, state.moments)),
        fitted=mixed(fresh.fitted, state.fitted, 0),
        model=pca_model.Model(*each(fresh.model, state.model)),
    )


def without(state: PastState, columns: Any) -> PastState:
    """Return the state in which nothing is known of some columns, bool `[entity, column]`.

    To the model they are missing until it is fitted anew.
    """
    pairs = columns[:, :, None] | columns[:, None, :]
    return state._replace(
        waiting=np.where(columns, np.nan, state.waiting),
        origin=np.where(columns, np.nan, state.origin),
        rows=state.rows._replace(
            rows=np.where(columns, np.float32(np.nan), state.rows.rows),
        ),
        moments=covariance.Moments(*(np.where(pairs, 0.0, part) for part in state.moments)),
        model=pca_model.without(state.model, columns),
    )


def widened(config: Config, state: PastState, columns: int) -> PastState:
    """Return the state with so many columns, as many or more, of which nothing is known yet."""
    _, entities, before = state.waiting.shape
    fresh, more = init(config, entities, columns), columns - before

    def padded(new: Any, old: Any) -> Any:
        return np.concatenate([old, new[..., before:]], axis=-1)

    pad = ((0, 0), (0, more), (0, more))
    return state._replace(
        waiting=padded(fresh.waiting, state.waiting),
        origin=padded(fresh.origin, state.origin),
        rows=state.rows._replace(rows=padded(fresh.rows.rows, state.rows.rows)),
        moments=covariance.Moments(*(np.pad(part, pad) for part in state.moments)),
        model=pca_model.widened(state.model, columns),
    )
