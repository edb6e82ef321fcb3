"""The frozen look: an entity beside how it was when enough of it had been seen.

A past that goes on learning takes in the end what comes again and again for normal, faults too, and
the rows of a long fault that look no stranger than the wildest healthy ones teach it that they are
healthy. So what `detect.pca` has learnt, model and table, is copied and stands still:

* It is copied anew at each doubling of the healthy rows that were learnt from, until there are as
  many as the past remembers (`stats.reservoir`, 16,384): then the past that learns begins to
  forget, and the copy does not. A column that begins anew is missing to the copy until the past
  knows it; then that is copied once more.
* It begins anew only when the entity has changed for good. That is so when its score against the
  copy has moved to another level, has settled there (`detect.changepoint`), and what the copy says
  has been doubtful for `patience` ticks, less four for each that was not. `restart` then says so
  once, and both pasts begin anew. Until then the change is one incident.

NumPy only. Not here: columns by themselves; how evidence is merged.
"""

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.detect import across_calibrate, changepoint, pca, pca_model
from homeostat.detect.changepoint_config import Config as ChangeConfig
from homeostat.stats import conformal

# A tick that is not doubtful takes back so many that were: an incident of a few hours that comes
# again after twice as long a calm never adds up.
_BACK: Final = 4.0
# The score's level is looked at once in so many ticks, as their mean: it need not be known sooner.
_BLOCK: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        first: Healthy rows at which the first copy is made, at least 64.
        doubt: Evidence (-log10 p) at which a tick is doubtful, above 0.
        patience: Doubtful ticks after which a change that has settled is for good, at least 1; six
            hours at a tick of 15 s, as for `detect.across_calibrate`.
        change: How a change of level is found and when it has settled, in blocks of eight ticks.
    """

    first: int = 1024
    doubt: float = 1.7
    patience: int = 1440
    change: ChangeConfig = field(default_factory=ChangeConfig)

    def __post_init__(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        if self.first < 64:  # noqa: PLR2004 - rows of pca's first model
            raise ValueError(f"frozen: first must be 64 or more, got {self.first}")
        if not self.doubt > 0.0:
            raise ValueError(f"frozen: doubt must be above 0, got {self.doubt}")
        if self.patience < 1:
            raise ValueError(f"frozen: patience must be 1 or more, got {self.patience}")


class State(NamedTuple):
    """What is remembered of each entity.

    Attributes:
        copied: Healthy rows behind the copy, 0 for no copy yet, int64 `[entity]`.
        model: The copied model.
        table: The copied table of scores.
        blame: Moving average of each column's part in the score, `[entity, column]`.
        anew: Columns that began anew and that the copy does not know yet, bool, likewise.
        doubted: Doubtful ticks, `[entity]`.
        settled: Whether a change of level has settled since there was no doubt, bool `[entity]`.
        tick: Ticks so far, int64 `[]`.
        total: Sum of the logarithms of scores in the block under way, `[entity]`.
        count: How many.
        change: Of the score's level.
    """

    copied: Any
    model: pca_model.Model
    table: conformal.Table
    blame: Any
    anew: Any
    doubted: Any
    settled: Any
    tick: Any
    total: Any
    count: Any
    change: changepoint.State


class Said(NamedTuple):
    """What the frozen look says of a tick.

    Attributes:
        evidence: -log10 p, 0 or more, NaN where there is no copy, `[entity]`.
        shares: Each column's part in the score, 0 or more, `[entity, column]`.
        restart: Where the entity has changed for good, bool `[entity]`.
        apart: How far the worst few columns are from what all others say, by the copy
            (`pca.PcaOutput`), NaN where there is none, `[entity]`.
    """

    evidence: Any
    shares: Any
    restart: Any
    apart: Any


class Frozen:
    """See the module. Causal, pure, one entity independent of the next.

    Args:
        config: Settings.
        together: The `pca` whose past is copied.
    """

    def __init__(self, config: Config, together: pca.Pca) -> None:
        self.config, self.together = config, together
        self.tables = across_calibrate.Calibrator(together.config.across.calibrate)
        self.changes = changepoint.Changepoint(config.change)

    def init(self, columns: int, *, entities: int) -> State:
        """Return entities that have seen nothing."""
        none = np.zeros(entities)
        return State(
            copied=np.zeros(entities, dtype=np.int64),
            model=pca_model.init(entities, columns),
            table=self.tables.init(entities).table,
            blame=np.full((entities, columns), np.nan),
            anew=np.zeros((entities, columns), dtype=bool),
            doubted=none,
            settled=none > 0.0,
            tick=np.asarray(0, dtype=np.int64),
            total=none,
            count=none,
            change=self.changes.init(np, entities),
        )

    def step(self, state: State, past: pca.PcaState, values: Any) -> tuple[State, Said]:
        """Judge one tick by the copy, then copy what was learnt if it is time.

        Args:
            state: From `init` or the last step.
            past: Of `pca`, before this tick.
            values: Float `[entity, column]`; NaN is unknown.
        """
        there = state.copied > 0
        if not there.any():
            nothing = np.full(len(there), np.nan)
            shares = np.zeros(state.blame.shape)
            state = state._replace(tick=np.asarray(state.tick + 1))
            return self._copied(state, past), Said(nothing, shares, there, nothing)
        seen = self.together.seen(state.model, values)
        parts = np.where(there[:, None], seen.parts, np.nan)
        apart = np.where(there, seen.apart, np.nan)
        blame = self.together.average(state.blame, parts)
        known: Any = np.isfinite(parts).all(axis=1)
        total = np.where(known, blame.sum(axis=1), np.nan)
        evidence = self.tables.rank(state.table, total)
        state, news = self._level(state, total)
        doubtful = np.nan_to_num(evidence) >= self.config.doubt
        doubted = np.where(
            doubtful, state.doubted + 1.0, np.maximum(state.doubted - _BACK * known, 0.0)
        )
        settled = (state.settled | news) & (doubted > 0.0)
        restart = settled & (doubted >= self.config.patience)
        after = state._replace(blame=blame, doubted=doubted, settled=settled)
        after = self.restart(after, restart) if restart.any() else after
        shares = np.where(known[:, None], blame, 0.0)
        return self._copied(after, past, but=restart), Said(evidence, shares, restart, apart)

    def _level(self, state: State, scores: Any) -> tuple[State, Any]:
        """Look at the level of scores `[entity]`; return also where a change of it has settled."""
        known = np.isfinite(scores)
        total = state.total + np.where(known, np.log1p(np.where(known, scores, 0.0)), 0.0)
        count, tick = state.count + known, np.asarray(state.tick + 1)
        if tick % _BLOCK:
            return state._replace(total=total, count=count, tick=tick), known & False
        mean = np.where(count > 0.0, total / np.maximum(count, 1.0), np.nan)
        change, _ = self.changes.step(np, state.change, mean, learn=True)
        none = np.zeros_like(total)
        after = state._replace(total=none, count=none, tick=tick, change=change)
        return after, self.changes.news(np, change).restart

    def _copied(self, state: State, past: pca.PcaState, *, but: Any = False) -> State:
        """Copy model and table where twice as much has been learnt as at the last copy."""
        rows = past.past.rows.offered
        most = self.together.config.past.rows.memory
        wanted = np.maximum(np.minimum(2 * state.copied, most), self.config.first)
        known = state.anew & np.isfinite(past.past.model.level)
        due: Any = ((rows >= wanted) & (state.copied < most)) | known.any(axis=1)
        due = due & (past.past.fitted > 0) & ~np.asarray(but)
        if not due.any():
            return state
        first = due & (state.copied == 0)
        return state._replace(
            change=self.changes.restart(np, state.change, first) if first.any() else state.change,
            copied=np.where(due, rows, state.copied),
            model=_models(due, past.past.model, state.model),
            table=_tables(due, past.across.calibrator.table, state.table),
            anew=state.anew & ~(known & due[:, None]),
        )

    def without(self, state: State, columns: Any) -> State:
        """Return the state in which nothing is known of some columns, bool `[entity, column]`."""
        return state._replace(
            model=pca_model.without(state.model, columns),
            blame=pca.blameless(state.blame, columns),
            anew=state.anew | (columns & (state.copied > 0)[:, None]),
        )

    def widened(self, state: State, columns: int) -> State:
        """Return the state with so many columns, as many or more, of which nothing is known yet."""
        more = columns - state.blame.shape[1]
        there = (state.copied > 0)[:, None]
        return state._replace(
            model=pca_model.widened(state.model, columns),
            blame=pca.padded(state.blame, columns),
            anew=np.concatenate([state.anew, np.repeat(there, more, axis=1)], axis=1),
        )

    def restart(self, state: State, entities: Any) -> State:
        """Return the state with these entities (bool `[entity]`) as if new."""
        fresh = self.init(state.blame.shape[1], entities=len(state.copied))
        return State(
            copied=np.where(entities, 0, state.copied),
            model=_models(entities, fresh.model, state.model),
            table=_tables(entities, fresh.table, state.table),
            blame=_put(entities, fresh.blame, state.blame, 0),
            anew=_put(entities, fresh.anew, state.anew, 0),
            doubted=np.where(entities, 0.0, state.doubted),
            settled=state.settled & ~np.asarray(entities),
            tick=state.tick,
            total=np.where(entities, 0.0, state.total),
            count=np.where(entities, 0.0, state.count),
            change=self.changes.restart(np, state.change, entities),
        )


def _models(chosen: Any, new: pca_model.Model, old: pca_model.Model) -> pca_model.Model:
    return pca_model.Model(*(_put(chosen, a, b, 0) for a, b in zip(new, old, strict=True)))


def _tables(chosen: Any, new: conformal.Table, old: conformal.Table) -> conformal.Table:
    return conformal.Table(*(_put(chosen, a, b, -1) for a, b in zip(new, old, strict=True)))


def _put(chosen: Any, new: Any, old: Any, axis: int) -> Any:
    """Return `old` with the chosen entities (bool, along this axis) from `new`."""
    shape = [1] * np.ndim(old)
    shape[axis] = -1
    return np.where(np.reshape(chosen, shape), new, old)
