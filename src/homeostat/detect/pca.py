"""PCA across the columns of an entity: is a row as its columns usually go together.

A model of each entity (`pca_model`) is learnt while all is well (`pca_past`) and gives three kinds
of evidence: Q, how far the row is from what the principal components can make; T^2, how far within
them; and how far single columns are from their own level or from what all others say, of which the
worst few count (`across`). Their weighted sum is averaged over some ticks, and how rare that is in
the entity's own past is its -log10 p.

The weights were chosen on simulated entities (factors, correlated and heavy-tailed noise, constant,
bursting and drifting columns, regular jobs; faults in few or many columns, broken relations,
changed noise, slow ramps, flat lines). There the worst columns carry nearly all; Q and T^2 weighed
like them cost a twentieth of the area under precision and recall, so they have a small say.

Constant, missing and new columns are left out and back in by themselves. NumPy only. Not here:
seasons, other than as a component that columns share; alarms with a promised rate; levels that
changed for good, for which there is `restart`.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from homeostat.detect import across as columnwise
from homeostat.detect import pca_model, pca_past


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        prediction_error: Weight of how far Q is beyond usual, 0 or more.
        hotelling: Weight of T^2's, 0 or more.
        columns: Weight of the worst columns', 0 or more.
        past: What is learnt, and when.
        across: How many columns are the worst, over how many ticks, and when to alarm.
    """

    prediction_error: float = 0.3
    hotelling: float = 0.1
    columns: float = 1.0
    past: pca_past.Config = field(default_factory=pca_past.Config)
    across: columnwise.Config = field(default_factory=lambda: columnwise.Config(most=5))

    def __post_init__(self) -> None:
        """Refuse weights that make no score.

        Raises:
            ValueError: Names the weights and the range.
        """
        weights = (self.prediction_error, self.hotelling, self.columns)
        if not min(weights) >= 0.0 or not 0.0 < sum(weights) < float("inf"):
            raise ValueError(f"pca: weights must be 0 or more and not all 0, got {weights}")


class PcaState(NamedTuple):
    """All that is remembered; arrays of fixed size.

    Attributes:
        past: What was learnt, and the model.
        across: The score's average and past.
    """

    past: pca_past.PastState
    across: columnwise.AcrossState


class PcaOutput(NamedTuple):
    """What is said of entities on one tick; all NaN where unknown.

    Attributes:
        entity: Evidence, alarm and contributions.
        q: Squared prediction error, `[entity]`.
        t2: Hotelling's T^2, `[entity]`.
        beyond: How far the logarithms of both are above their median in the entity's own past,
            bounded like deviations, 0 or more, `[entity, 2]`.
        deviations: How far each column is from its level or from what all others say, whichever is
            farther, `[entity, column]`: up to 3 in robust standard deviations, beyond by logarithm.
        apart: Mean of the worst few columns' distances from what all others say, at this tick
            alone, `[entity]`; of deviations that beyond 3 count by logarithm.
    """

    entity: columnwise.EntityOutput
    q: Any
    t2: Any
    beyond: Any
    deviations: Any
    apart: Any


class Seen(NamedTuple):
    """What a model says of one tick's rows.

    Attributes:
        parts: Each column's part in the score, 0 or more, `[entity, column]`.
        apart: As in `PcaOutput`, `[entity]`.
    """

    parts: Any
    apart: Any


class Pca:
    """See the module. Causal, pure, one entity independent of the next.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = Config() if config is None else config
        self._across = columnwise.Across(self.config.across)
        self.average = self._across.averaged

    def init(self, columns: int, *, entities: int = 1) -> PcaState:
        """Return the state of entities that have seen nothing.

        Args:
            columns: Columns of each entity, at least 1.
            entities: How many, at least 1.

        Raises:
            ValueError: There is no column or no entity.
        """
        if columns < 1 or entities < 1:
            raise ValueError(f"pca: need columns and entities, got {columns} and {entities}")
        return PcaState(
            past=pca_past.init(self.config.past, entities, columns),
            across=self._across.init(columns, entities=entities),
        )

    def step(self, state: PcaState, values: Any, learn: Any) -> tuple[PcaState, PcaOutput]:
        """Judge one tick, then learn from it.

        Args:
            state: From `init` or the last step.
            values: Float `[entity, column]`; NaN and infinities are unknown.
            learn: Bool that broadcasts to `[entity, column]`: where anything may be learnt.
        """
        raw = np.asarray(values, dtype=float)
        known = np.where(np.isfinite(raw), raw, np.nan)
        may = np.broadcast_to(np.asarray(learn, dtype=bool), known.shape)
        past = state.past
        ready = (past.fitted > 0)[:, None]
        if not ready.any():
            return self._young(state, known, may)
        seen = pca_model.score(past.model, known[:, None])
        beyond = np.where(ready, seen.beyond[:, 0], np.nan)
        deviations = np.where(ready, seen.deviations[:, 0], np.nan)
        parts = self._parts(deviations, beyond, seen.apart[:, 0])
        after, said, allowed = self._across.weigh(state.across, parts, may.any(axis=1))
        row = np.where(may, known, np.nan)
        return PcaState(pca_past.step(self.config.past, past, row, allowed), after), PcaOutput(
            entity=said,
            q=np.where(ready, seen.distances[:, 0], np.nan)[:, 0],
            t2=np.where(ready, seen.distances[:, 0], np.nan)[:, 1],
            beyond=beyond,
            deviations=deviations,
            apart=np.where(ready[:, 0], self._apart(seen), np.nan),
        )

    def _young(self, state: PcaState, known: Any, may: Any) -> tuple[PcaState, PcaOutput]:
        """Learn from a tick at which no entity has a model yet, and say nothing."""
        none = np.full(known.shape, np.nan)
        after, said, allowed = self._across.weigh(state.across, none, may.any(axis=1))
        row = np.where(may, known, np.nan)
        past = pca_past.step(self.config.past, state.past, row, allowed)
        nothing = np.full((len(known), 2), np.nan)
        return PcaState(past, after), PcaOutput(
            entity=said, q=nothing[:, 0], t2=nothing[:, 1], beyond=nothing, deviations=none,
            apart=nothing[:, 0],
        )  # fmt: skip

    def seen(self, model: pca_model.Model, values: Any) -> Seen:
        """Return what a model says; nothing is learnt.

        Args:
            model: Of each entity.
            values: Float `[entity, column]`; NaN and infinities are unknown.
        """
        raw = np.asarray(values, dtype=float)
        seen = pca_model.score(model, np.where(np.isfinite(raw), raw, np.nan)[:, None])
        parts = self._parts(seen.deviations[:, 0], seen.beyond[:, 0], seen.apart[:, 0])
        return Seen(parts, self._apart(seen))

    def _apart(self, seen: pca_model.Scores) -> Any:
        """Return the mean of the worst few distances; see `PcaOutput.apart`."""
        return self._across.few(seen.strange[:, 0]).sum(axis=1)

    def _parts(self, deviations: Any, beyond: Any, apart: Any) -> Any:
        """Return each column's part in the score, `[entity, column]`."""
        config = self.config
        weights = np.array([config.prediction_error, config.hotelling])
        together = np.where(np.isfinite(beyond), beyond, 0.0) @ weights
        pull = apart * apart
        total = pull.sum(axis=1, keepdims=True)
        share = pull / np.where(total > 0.0, total, 1.0)
        worst = self._across.few(deviations)
        return config.columns * worst + together[:, None] * share

    def restart(self, state: PcaState, entities: Any) -> PcaState:
        """Return the state with these entities (bool `[entity]`) as if new."""
        chosen = np.asarray(entities, dtype=bool)
        return PcaState(
            past=pca_past.restart(self.config.past, state.past, chosen),
            across=self._across.restart(state.across, chosen),
        )

    def without(self, state: PcaState, columns: Any) -> PcaState:
        """Return the state in which nothing is known of some columns, bool `[entity, column]`."""
        return PcaState(
            past=pca_past.without(state.past, columns),
            across=state.across._replace(blame=blameless(state.across.blame, columns)),
        )

    def widened(self, state: PcaState, columns: int) -> PcaState:
        """Return the state with so many columns, as many or more, of which nothing is known yet."""
        return PcaState(
            past=pca_past.widened(self.config.past, state.past, columns),
            across=state.across._replace(blame=padded(state.across.blame, columns)),
        )

    def worst_of(self, columns: int) -> int:
        """Return how many of so many columns are the worst few."""
        return self._across.worst_of(columns)


def padded(blame: Any, columns: int) -> Any:
    """Return parts in a score of so many columns, as many or more, none for the new ones."""
    more = np.zeros((len(blame), columns - blame.shape[1]))
    return np.concatenate([blame, more + 0.0 * blame[:, :1]], axis=1)


def blameless(blame: Any, columns: Any) -> Any:
    """Return parts in a score with none for these columns; NaN for an unknown entity stays."""
    return np.where(columns & np.isfinite(blame), 0.0, blame)
