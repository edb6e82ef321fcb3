"""Across columns: one score of an entity from what is said of each of its columns.

Takes -log10 p of each column and tick, from any detector, and returns one for the entity: the mean
of its few worst columns, averaged over some ticks, and then ranked in the entity's own past
(`across_calibrate`), so that neither the number of columns, nor their correlation, nor a detector
that claims too much makes the score more than it is. A fault is seldom in one column, never in all,
and seldom lasts one tick. On simulated entities with factors, heavy tails, constant columns and
eight kinds of faults the mean of few was better than the worst alone, the mean of all and higher
criticism (Donoho & Jin, Annals of Statistics 32 (2004)).

Not here: what a column says, and relations between columns; for these see `detect.pca`.
"""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from homeostat.detect import across_calibrate


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        most: Worst columns that count, at least 1; never more than a quarter of them, or one column
            would not be heard among few.
        smoothing: Weight of the newest tick in the moving average, in (0, 1].
        alarm: Evidence (-log10 p) at which an entity alarms, above 0.
        calibrate: How the entity's past is kept.
    """

    most: int = 3
    smoothing: float = 0.25
    alarm: float = 4.0
    calibrate: across_calibrate.Config = field(default_factory=across_calibrate.Config)

    def __post_init__(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        if self.most < 1:
            raise ValueError(f"across: most must be 1 or more, got {self.most}")
        if not 0.0 < self.smoothing <= 1.0:
            raise ValueError(f"across: smoothing must be in (0, 1], got {self.smoothing}")
        if not self.alarm > 0.0:
            raise ValueError(f"across: alarm must be above 0, got {self.alarm}")


class EntityOutput(NamedTuple):
    """What is said of entities on one tick.

    Attributes:
        neg_log10_p: Evidence against healthy, 0 or more, NaN where unknown, `[entity]`.
        alarm: Evidence has reached the limit, bool `[entity]`.
        contributions: Share of each column in the evidence, 0 or more and summing to 1 where
            something was judged, else NaN, `[entity, column]`.
    """

    neg_log10_p: Any
    alarm: Any
    contributions: Any


class AcrossState(NamedTuple):
    """What is remembered.

    Attributes:
        blame: Moving average of each column's part in the score, `[entity, column]`; NaN before
            the first tick that was judged.
        calibrator: The entities' past.
    """

    blame: Any
    calibrator: across_calibrate.CalibratorState


class Across:
    """See the module. Causal, pure, one entity independent of the next.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = Config() if config is None else config
        self._calibrator = across_calibrate.Calibrator(self.config.calibrate)

    def init(self, columns: int, *, entities: int = 1) -> AcrossState:
        """Return the state of entities that have seen nothing."""
        return AcrossState(
            blame=np.full((entities, columns), np.nan), calibrator=self._calibrator.init(entities)
        )

    def step(
        self, state: AcrossState, neg_log10_p: Any, learn: Any
    ) -> tuple[AcrossState, EntityOutput]:
        """Judge one tick, then learn from it.

        Args:
            state: From `init` or the last step.
            neg_log10_p: Of each column, `[entity, column]`; NaN where unknown.
            learn: Bool `[entity]`, or one bool: where anything may be learnt.
        """
        after, output, _ = self.weigh(state, self.few(neg_log10_p), learn)
        return after, output

    def few(self, scores: Any) -> Any:
        """Return each column's part in the mean of the worst few, as `worst` does."""
        return worst(scores, self.worst_of(scores.shape[1]))

    def worst_of(self, columns: int) -> int:
        """Return how many of so many columns are the worst few; see `Config.most`."""
        return min(self.config.most, math.ceil(columns / 4))

    def averaged(self, blame: Any, parts: Any) -> Any:
        """Return the moving average of parts after one tick more; see `AcrossState.blame`."""
        known = np.isfinite(parts).all(axis=1)
        moved = blame + self.config.smoothing * (parts - blame)
        fresh = np.where(np.isnan(blame), parts, moved)
        return np.where(known[:, None], fresh, blame)

    def weigh(
        self, state: AcrossState, parts: Any, learn: Any
    ) -> tuple[AcrossState, EntityOutput, Any]:
        """Judge columns' parts in a score that is made elsewhere.

        Args:
            state: From `init` or the last step.
            parts: 0 or more, whose sum is the score, `[entity, column]`; NaN for an unknown entity.
            learn: As in `step`.

        Returns:
            The next state, what is said, and where this tick may be learnt from, bool `[entity]`.
        """
        blame = self.averaged(state.blame, parts)
        known = np.isfinite(parts).all(axis=1)
        total = blame.sum(axis=1)
        scores = np.where(known, total, np.nan)
        learnt = np.broadcast_to(np.asarray(learn, dtype=bool), scores.shape)
        calibrator, judged = self._calibrator.step(state.calibrator, scores, learnt)
        said = judged.neg_log10_p
        some = total[:, None] > 0.0
        shares = np.where(some, blame / np.where(some, total[:, None], 1.0), 1.0 / blame.shape[1])
        output = EntityOutput(
            neg_log10_p=said,
            alarm=np.where(np.isfinite(said), said, 0.0) >= self.config.alarm,
            contributions=np.where(np.isfinite(said)[:, None], shares, np.nan),
        )
        return AcrossState(blame, calibrator), output, judged.allowed

    def restart(self, state: AcrossState, entities: Any) -> AcrossState:
        """Return the state with these entities (bool `[entity]`) as if new."""
        return AcrossState(
            blame=np.where(np.asarray(entities)[:, None], np.nan, state.blame),
            calibrator=self._calibrator.restart(state.calibrator, entities),
        )


def worst(neg_log10_p: Any, most: int) -> Any:
    """Return each column's part in the mean of the `most` worst; NaN for an unknown entity.

    >>> worst(np.array([[4.0, 1.0, np.nan, 2.0]]), 2).tolist()
    [[2.0, 0.0, 0.0, 1.0]]
    """
    known = np.isfinite(neg_log10_p)
    sure = np.where(known, neg_log10_p, 0.0)
    count = min(most, sure.shape[1])
    last = np.partition(sure, -count, axis=1)[:, -count, None]
    above, at = sure > last, sure == last
    # Columns as bad as the last one that counts share its place.
    left = (count - above.sum(axis=1, keepdims=True)) / at.sum(axis=1, keepdims=True)
    parts = np.where(above, sure, np.where(at, sure * left, 0.0)) / count
    return np.where(known.any(axis=1, keepdims=True), parts, np.nan)
