"""Variational autoencoder over the columns of an entity: do they still belong together?

HASH (section 3.1) trains one on historical normal data and scores by the reconstruction error; its
commentary (section 5) also alarms when the latent space diverges. Both scores are here, each
calibrated against the entity's own past (`stats.conformal`), and either alarms when bets on its
p-values have won enough (`stats.edetector`). Training is `vae_model.fit`; this judges with a
trained model, by NumPy alone. Scores depend on the load of the moment, so bets are placed as far
apart as the model found its past scores independent; the promised run length holds as far as they
are, and as far as the past has seen what loads there are.

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
from homeostat.detect.vae_model import CALIBRATION, Judged, Model, judge, repaired
from homeostat.detect.vae_network import mapped
from homeostat.stats import conformal as tables
from homeostat.stats import edetector

# Two looks share one p-value: Bonferroni, log10(2).
_LOG10_LOOKS: Final = 0.3010299956639812
# Errors this rare are asked which column they are about.
_SPECIAL: Final = 2.0
# With more than this share of the columns far outside, this is not what the model was taught.
_STRANGE: Final = 0.5


# Evidence that stops learning: a thousandfold win, as in `detect.conformal`.
_DOUBT: Final = 1000.0
# An alarm takes a score that is at least this rare itself: evidence outlives its cause.
_ALARM_SCORE: Final = 1.0
# A full table takes the score of every so many tests: 8 minutes at the default spacing.
_BLOCK: Final = 2
# Tests that a score waits before it enters the past: doubt takes a few of them to come up.
_DELAY: Final = 8


class State(NamedTuple):
    """All that it remembers; rows are errors of each entity, then divergences.

    Attributes:
        recent: The last values, oldest first, NaN for none, `[window - 1, entity, column]`.
        table: Scores while all was well.
        evidence: Money won by bets.
        waiting: Scores that may enter the table, oldest first, `[delay, 2 * entity]`.
        quiet: Tests without doubt, `[2 * entity]`.
        clock: Ticks since the last test, int32 `[2 * entity]`.
    """

    recent: Any
    table: tables.Table
    evidence: edetector.Evidence
    waiting: Any
    quiet: Any
    clock: Any


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
        alarms: Where the error alarms, and where the divergence does, bool `[2, entity]`.
    """

    neg_log10_p: Any
    alarm: Any
    contributions: Any
    error: Any
    divergence: Any
    far: Any
    alarms: Any


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
        self.tables = tables.Conformal(tables.Config(size=CALIBRATION, block=_BLOCK))
        self.spacing = np.maximum(self.model.normal.spacing, config.spacing).T.reshape(-1)
        # Two scores share the promise, which counts ticks; evidence counts tests.
        self.enough = 2.0 * config.run_length / self.spacing
        most = float(self.enough.max())
        self.bets = edetector.EDetector(edetector.Config(run_length=most))

    @property
    def bytes_per_series(self) -> int:
        """Memory of one column of one entity: its part of the model and of the state."""
        sizes: list[int] = []
        mapped(lambda array: sizes.append(array.nbytes), (self.model, self.init(np)))
        return int(-(-sum(sizes) // (self.entities * self.columns)))

    def init(self, xp: ModuleType) -> State:
        """Return the state before the first tick; the calibration is the models' held-out past."""
        normal = self.model.normal
        scores = np.concatenate([normal.errors, normal.divergences]).T
        entered = np.isfinite(scores).sum(axis=0).astype(np.int32)
        rows = 2 * self.entities
        return State(
            recent=xp.full((self.config.window - 1, self.entities, self.columns), xp.nan),
            table=tables.Table(
                scores=xp.asarray(scores, dtype=xp.float32),
                entered=xp.asarray(entered, dtype=xp.int32),
                wait=xp.zeros(rows, dtype=xp.int32),
            ),
            evidence=self.bets.init(xp, edetector.P_VALUE_BETS, rows),
            waiting=xp.full((_DELAY, rows), xp.nan),
            quiet=xp.zeros(rows),
            clock=xp.zeros(rows, dtype=xp.int32),
        )

    def restart(self, xp: ModuleType, state: State, rows: Any) -> State:
        """Return the state with these entities (bool `[entity]`) as after `init`."""
        fresh, both = self.init(xp), xp.concatenate([rows, rows])

        def anew(new: Any, old: Any) -> Any:
            return xp.where(both, new, old)

        return State(
            recent=xp.where(rows[None, :, None], fresh.recent, state.recent),
            table=tables.Table(*map(anew, fresh.table, state.table)),
            evidence=self.bets.restart(xp, state.evidence, both),
            waiting=anew(fresh.waiting, state.waiting),
            quiet=anew(fresh.quiet, state.quiet),
            clock=anew(fresh.clock, state.clock),
        )

    def step(self, xp: ModuleType, state: State, values: Any, learn: Any) -> tuple[State, Output]:
        """Judge one tick, then learn from it.

        Args:
            xp: numpy or jax.numpy.
            state: From `init` or the last step.
            values: Float `[entity, column]`; NaN and infinities are unknown.
            learn: Bool `[entity]`, or one bool: where scores may enter the calibration. Those
                from before or during doubt never do.
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
        active = xp.any(xp.asarray(self.model.reference.active) > 0.0, axis=(1, 2))
        latent = known & ~xp.any(far, axis=-1) & active
        scores = xp.concatenate([
            xp.where(known, judged.error, xp.nan),
            xp.where(latent, judged.divergence, xp.nan),
        ])
        each = self.tables.neg_log10_p(xp, state.table, scores)
        after, alarms = self._weighed(xp, state, scores, each, learn)
        error, divergence = each[: self.entities], each[self.entities :]
        return after._replace(recent=seen[1:]), Output(
            neg_log10_p=xp.maximum(xp.fmax(error, divergence) - _LOG10_LOOKS, 0.0),
            alarm=alarms[: self.entities] | alarms[self.entities :],
            contributions=self._contributions(xp, judged, flat, error, divergence),
            error=error,
            divergence=divergence,
            far=far,
            alarms=alarms.reshape(2, self.entities),
        )

    def _weighed(
        self, xp: ModuleType, state: State, scores: Any, each: Any, learn: Any
    ) -> tuple[State, Any]:
        """Bet on some p-values, far apart; return the next state and alarms."""
        due = state.clock + 1 >= xp.asarray(self.spacing)
        rare = xp.where(xp.isfinite(each), each, 0.0) >= _ALARM_SCORE
        if (
            xp is np and not due.any()
        ):  # most ticks; all below would change nothing but the queue's age
            quiet = np.where(self._calm(np, state.evidence, learn), state.quiet, 0.0)
            waited = np.asarray(state.clock + 1, dtype=np.int32)
            alarms = (state.evidence.won.mean(axis=0) >= self.enough) & rare
            return state._replace(quiet=quiet, clock=waited), alarms
        evidence, _ = self.bets.step(
            xp, state.evidence, edetector.p_value_bets(xp, xp.where(due, each, xp.nan))
        )
        allowed = self._calm(xp, evidence, learn)
        quiet = xp.where(allowed, state.quiet + xp.where(due, 1.0, 0.0), 0.0)
        quiet = xp.minimum(quiet, 2.0 * _DELAY)
        enters = due & (quiet > _DELAY)
        moved = xp.concatenate([state.waiting[1:], scores[None]])
        table = self.tables.learn(xp, state.table, state.waiting[0], enters)
        return state._replace(
            table=table._replace(wait=xp.where(due, table.wait, state.table.wait)),
            evidence=evidence,
            waiting=xp.where(due, moved, state.waiting),
            quiet=quiet,
            clock=xp.asarray(xp.where(due, 0, state.clock + 1), dtype=xp.int32),
        ), (evidence.won.mean(axis=0) >= xp.asarray(self.enough)) & rare

    def _calm(self, xp: ModuleType, evidence: edetector.Evidence, learn: Any) -> Any:
        """Return where scores may be learnt from, bool `[2 * entity]`."""
        may = xp.broadcast_to(xp.asarray(learn), (self.entities,))
        won = evidence.won.mean(axis=0)
        # A fault that one score has seen is not normal for the other one either.
        doubt = (won[: self.entities] >= _DOUBT) | (won[self.entities :] >= _DOUBT)
        return xp.concatenate([may & ~doubt, may & ~doubt])

    def _contributions(
        self, xp: ModuleType, judged: Judged, flat: Any, error: Any, divergence: Any
    ) -> Any:
        """Return each column's share of what the stranger score is about.

        Of the error that is how much of it goes when the column is repaired, and where the error
        is nothing special the columns' errors above their usual ones; of the divergence it is the
        columns' distances from their levels, since latent values belong to no column.
        """
        excess = xp.maximum(judged.errors - self.model.normal.usual[:, 0], 0.0)
        special = xp.where(xp.isfinite(error), error, 0.0) >= _SPECIAL
        if xp is not np or special.any():  # it costs more than all else, and is seldom needed
            after = repaired(xp, self.model, flat)
            gone = xp.maximum(judged.error[:, None] - after, 0.0)
            excess = xp.where(special[:, None], gone, excess)
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
