"""Variational autoencoder over the columns of an entity: do they still belong together?

HASH (section 3.1) trains one on historical normal data and scores by the reconstruction error; its
commentary (section 5) also alarms when the latent space diverges. Both scores are here, each
calibrated against the entity's own past (`stats.conformal`), and either alarms. Training is
`vae_model.fit`; this judges with a trained model, by NumPy alone.

Unknown is an answer: an entity without a model, a window with a missing value, a table that is too
young. Outside the region it learnt a network knows nothing: with a value far outside the latent
divergence is unknown, and with most columns there (another unit, another deployment) all is.

Not here: single columns (`ewma`, `shesd`), and incidents out of alarms.
"""

from collections.abc import Sequence
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.detect import vae_inputs
from homeostat.detect.vae_config import Config
from homeostat.detect.vae_model import CALIBRATION, Judged, Model, judge
from homeostat.detect.vae_network import mapped
from homeostat.stats.conformal import Config as TableConfig
from homeostat.stats.conformal import Conformal, Table

# Two looks share one p-value: Bonferroni, log10(2).
_LOG10_LOOKS: Final = 0.3010299956639812
# With more than this share of the columns far outside, this is not what the model was taught.
_STRANGE: Final = 0.5


class State(NamedTuple):
    """All that it remembers.

    Attributes:
        recent: The last values, oldest first, NaN for none, `[window - 1, entity, column]`.
        table: Scores while all was well: errors of each entity, then divergences.
    """

    recent: Any
    table: Table


class Output(NamedTuple):
    """What it says about one tick.

    Attributes:
        neg_log10_p: Both scores as one, NaN for unknown, `[entity]`.
        alarm: Where either score alarms, bool `[entity]`.
        contributions: Share of each column, 0 or more, sum 1; NaN where unknown,
            `[entity, column]`.
        error: -log10 p of the reconstruction error, `[entity]`.
        divergence: -log10 p of the latent divergence, `[entity]`.
        far: Columns far outside the region that was learnt, bool `[entity, column]`.
    """

    neg_log10_p: Any
    alarm: Any
    contributions: Any
    error: Any
    divergence: Any
    far: Any


class Vae:
    """Judges entities side by side, each with its own model.

    Args:
        config: The settings that the models were fitted with.
        models: One for each entity, None for an entity without one.

    Raises:
        ValueError: No entity has a model, or a model does not fit the settings or the others.
    """

    def __init__(self, config: Config, models: Sequence[Model | None]) -> None:
        there = [model for model in models if model is not None]
        if not there:
            raise ValueError(f"vae: none of {len(models)} entities has a model; fit one first")
        shapes = [mapped(np.shape, model) for model in there]
        columns = there[0].inputs.low.shape[-1]
        expected = (config.window * columns, config.components)
        if there[0].inputs.basis.shape != expected or any(one != shapes[0] for one in shapes):
            raise ValueError(
                f"vae: models must all have {columns} columns and the settings' shapes "
                f"{expected}, got {[model.inputs.basis.shape for model in there]}; "
                "fit them with these settings"
            )
        self.config, self.columns, self.entities = config, columns, len(models)
        self.trained = np.array([model is not None for model in models])
        self.model: Model = _stacked([there[0] if one is None else one for one in models])
        self.tables = Conformal(TableConfig(size=CALIBRATION))

    def init(self, xp: ModuleType) -> State:
        """Return the state before the first tick; the calibration is the models' held-out past."""
        normal = self.model.normal
        scores = np.concatenate([normal.errors, normal.divergences]).T
        entered = np.isfinite(scores).sum(axis=0).astype(np.int32)
        return State(
            recent=xp.full((self.config.window - 1, self.entities, self.columns), xp.nan),
            table=Table(
                scores=xp.asarray(scores, dtype=xp.float32),
                entered=xp.asarray(entered, dtype=xp.int32),
                wait=xp.zeros(2 * self.entities, dtype=xp.int32),
            ),
        )

    def restart(self, xp: ModuleType, state: State, rows: Any) -> State:
        """Return the state with these entities (bool `[entity]`) as after `init`."""
        fresh = self.init(xp)
        both = xp.concatenate([rows, rows])
        return State(
            recent=xp.where(rows[None, :, None], fresh.recent, state.recent),
            table=Table(
                *(
                    xp.where(both, new, old)
                    for new, old in zip(fresh.table, state.table, strict=True)
                )
            ),
        )

    def step(self, xp: ModuleType, state: State, values: Any, learn: Any) -> tuple[State, Output]:
        """Judge one tick, then learn from it.

        Args:
            xp: numpy or jax.numpy.
            state: From `init` or the last step.
            values: Float `[entity, column]`; NaN and infinities are unknown.
            learn: Bool `[entity]`, or one bool: where scores may enter the calibration. Those of
                alarms never do.
        """
        now = xp.asarray(values, dtype=state.recent.dtype)
        seen = xp.concatenate([state.recent, now[None]])
        known = xp.all(xp.isfinite(seen), axis=(0, 2)) & xp.asarray(self.trained)
        held = xp.where(xp.isfinite(seen), seen, self.model.inputs.low)
        wide = vae_inputs.scaled(xp, self.config, self.model.inputs, held)
        flat = xp.swapaxes(wide.values, 0, 1).reshape(self.entities, 1, -1)
        judged = Judged(*(part[:, 0] for part in judge(xp, self.model, flat)))
        far = xp.any(wide.far, axis=0) & known[:, None]
        known = known & (xp.mean(far * 1.0, axis=-1) <= _STRANGE)
        return self._said(xp, state, seen, judged, known=known, far=far, learn=learn)

    def _said(
        self,
        xp: ModuleType,
        state: State,
        seen: Any,
        judged: Judged,
        *,
        known: Any,
        far: Any,
        learn: Any,
    ) -> tuple[State, Output]:
        """Return the next state, and calibrated scores."""
        latent = known & ~xp.any(far, axis=-1)
        scores = xp.concatenate([
            xp.where(known, judged.error, xp.nan),
            xp.where(latent, judged.divergence, xp.nan),
        ])
        each = self.tables.neg_log10_p(xp, state.table, scores)
        error, divergence = each[: self.entities], each[self.entities :]
        alarms = xp.where(xp.isfinite(each), each, 0.0) >= self.config.alarm
        alarm = alarms[: self.entities] | alarms[self.entities :]
        allowed = xp.broadcast_to(xp.asarray(learn), alarm.shape) & ~alarm
        table = self.tables.learn(xp, state.table, scores, xp.concatenate([allowed, allowed]))
        output = Output(
            neg_log10_p=xp.maximum(xp.fmax(error, divergence) - _LOG10_LOOKS, 0.0),
            alarm=alarm,
            contributions=self._contributions(xp, judged, error, divergence),
            error=error,
            divergence=divergence,
            far=far,
        )
        return State(recent=seen[1:], table=table), output

    def _contributions(self, xp: ModuleType, judged: Judged, error: Any, divergence: Any) -> Any:
        """Return each column's share of what the stranger score is about.

        Of the error that is the columns' errors above their usual ones; of the divergence the
        columns' distances from their levels, since latent values belong to no column.
        """
        normal = self.model.normal
        excess = xp.maximum(judged.errors - normal.usual[:, 0], 0.0)
        latent = xp.where(xp.isfinite(divergence), divergence, -1.0) > error
        part = xp.where(latent[:, None], judged.levels, excess)
        total = xp.sum(part, axis=-1, keepdims=True)
        even = xp.ones_like(part) / part.shape[-1]
        share = xp.where(total > 0.0, part / xp.where(total > 0.0, total, 1.0), even)
        return xp.where(xp.isfinite(error)[:, None], share, xp.nan)


def _stacked(models: Sequence[Any]) -> Any:
    """Return trees of arrays as one tree, with the entity axis first."""
    first = models[0]
    if not isinstance(first, tuple):
        return np.stack(models)
    parts = [_stacked(list(same)) for same in zip(*models, strict=True)]
    return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)
