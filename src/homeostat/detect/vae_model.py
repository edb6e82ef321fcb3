"""A trained model: fitted to one deployment's normal past, it scores windows of its columns.

Two scores, calibrated apart: the reconstruction error (what the network cannot make again from its
latent values) and the latent divergence (how far those are from where they are while all is well).
A fault that keeps the columns' relations shows in the second only, one that breaks them in the
first. Judging needs NumPy alone.
"""

from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.detect import vae_inputs, vae_reference
from homeostat.detect.vae_config import Config
from homeostat.detect.vae_inputs import Inputs
from homeostat.detect.vae_network import Weights, decode, encode
from homeostat.detect.vae_reference import Reference
from homeostat.detect.vae_train import Progress, train

# Stretches of the past, each of which gives its end to the held-out part: all hours are in both.
_STRETCHES: Final = 10
# Windows to learn from, at least: 2 for each input that the network may have.
_LEAST: Final = 64
# Rank correlation that is hardly one, and the most ticks between tests, 16 minutes at 15 s.
# Scores that follow the time of day are correlated for longer, but tests further apart would find a
# fault hours late.
_CORRELATED: Final = 0.1
_SPACING_MAX: Final = 64
# Values in a window: the components of so many take a minute, and grow with the cube.
_WIDTH_MAX: Final = 4096
# Held-out scores in the calibration: as many as its tables hold.
CALIBRATION: Final = 512
# Times that a column is made again from the others: each halves what is left of a fault in it.
_REPAIRS: Final = 3
# The largest errors of so many columns are the error: a fault shows in few columns, and the noise
# of all others would hide it. On made data ahead of the sum, its logarithm and a capped sum.
_WORST: Final = 5
# Windows judged at a time: bounds memory, not the result.
_CHUNK: Final = 4096
# The least error of a column, in ranges: less is rounding.
_SPREAD_LEAST: Final = 1e-4


class Normal(NamedTuple):
    """What errors are while all is well, from held-out windows; may carry an `entity` axis.

    Attributes:
        spread: Root mean square error of each column, in ranges, `[..., 1, column]`.
        usual: Mean error of each column in units of `spread`, `[..., 1, column]`.
        level: Mean of each column, scaled, `[..., 1, column]`.
        deviation: Standard deviation of each column, scaled, `[..., 1, column]`.
        errors: Errors of held-out windows, ascending, float32 `[..., CALIBRATION]`.
        divergences: Their latent divergences, ascending, float32 `[..., CALIBRATION]`.
        spacing: Ticks after which an error, and a divergence, hardly depends on the one before,
            int32 `[..., 2]`.
    """

    spread: Any
    usual: Any
    level: Any
    deviation: Any
    errors: Any
    divergences: Any
    spacing: Any


class Model(NamedTuple):
    """Everything that judging needs.

    Attributes:
        inputs: Scaling and components.
        weights: The network.
        reference: The posterior of normal data.
        normal: The errors of normal data.
    """

    inputs: Inputs
    weights: Weights
    reference: Reference
    normal: Normal


class Fitted(NamedTuple):
    """A model and how it came to be.

    Attributes:
        model: The model.
        elbo: Held-out ELBO before training (probabilistic PCA) and after each round, nats.
        best: Index of the round that was kept.
        taught: Windows learnt from.
        held_out: Windows that stopped the training and calibrate the scores.
        active: Latent dimensions that say something of the data; 0 is posterior collapse.
    """

    model: Model
    elbo: tuple[float, ...]
    best: int
    taught: int
    held_out: int
    active: int


class Judged(NamedTuple):
    """Scores of windows; larger is stranger.

    Attributes:
        error: Reconstruction error: mean of the largest `errors`, `[..., row]`.
        divergence: Latent divergence, nats, `[..., row]`.
        errors: Root mean square over the window of each column, in those of normal data,
            `[..., row, column]`.
        levels: Distance of each column's last value from its level, in standard deviations,
            `[..., row, column]`.
    """

    error: Any
    divergence: Any
    errors: Any
    levels: Any


def judge(xp: ModuleType, model: Model, flat: Any) -> Judged:
    """Score scaled windows `[..., row, window * column]`."""
    parts = vae_inputs.components(xp, model.inputs, flat)
    posterior = encode(xp, model.weights, parts)
    made = vae_inputs.restored(
        xp, model.inputs, decode(xp, model.weights, posterior.mean) * model.inputs.kept
    )
    normal = model.normal
    columns = normal.spread.shape[-1]
    gap = (flat - made).reshape(*flat.shape[:-1], -1, columns)
    errors = xp.sqrt(xp.mean(gap * gap, axis=-2)) / normal.spread
    last = (flat[..., -columns:] - normal.level) / normal.deviation
    return Judged(
        error=xp.mean(xp.sort(errors, axis=-1)[..., -_WORST:], axis=-1),
        divergence=vae_reference.divergence(xp, posterior, model.reference),
        errors=errors,
        levels=xp.abs(last),
    )


def repaired(xp: ModuleType, model: Model, flat: Any) -> Any:
    """Return the error of each window if one column were what the others say it is.

    An innocent column that hangs together with a faulty one is made again wrongly, so its own error
    does not clear it; that repairing it does not help does. (Alcala & Qin, "Reconstruction-based
    contribution for process monitoring", Automatica 45 (2009), there for linear models; here the
    column is made again a few times over.)

    Args:
        xp: numpy or jax.numpy.
        model: The model.
        flat: One scaled window an entity, `[..., 1, window * column]`.

    Returns:
        `[..., column]`.
    """
    columns = model.normal.spread.shape[-1]
    own = xp.asarray(np.tile(np.eye(columns, dtype=bool), flat.shape[-1] // columns))
    rows = xp.broadcast_to(flat, (*flat.shape[:-2], columns, flat.shape[-1]))
    for _ in range(_REPAIRS):
        rows = xp.where(own, _made(xp, model, rows), rows)
    return judge(xp, model, rows).error


def _made(xp: ModuleType, model: Model, flat: Any) -> Any:
    """Return the windows as the network makes them again."""
    parts = vae_inputs.components(xp, model.inputs, flat)
    latent = encode(xp, model.weights, parts).mean
    return vae_inputs.restored(
        xp, model.inputs, decode(xp, model.weights, latent) * model.inputs.kept
    )


def score(config: Config, model: Model, values: Any) -> Judged:
    """Score a whole recording `[time, column]` of one entity at once, by NumPy.

    Returns:
        As from `judge`, a row a tick: NaN for a tick without a full window of finite values. Ticks
        far outside what was learnt are scored all the same, by their clipped values.
    """
    raw = np.asarray(values, dtype=np.float64)
    known = np.isfinite(raw)
    wide = vae_inputs.scaled(np, config, model.inputs, np.where(known, raw, model.inputs.low))
    if len(raw) < config.window:
        rows = _judged(model, np.zeros((1, config.window * raw.shape[1])))
        return Judged(*(np.full((len(raw), *part.shape[1:]), np.nan) for part in rows))
    flat = vae_inputs.windows(wide.values, config.window)
    whole = vae_inputs.windows(known, config.window).all(axis=1)
    before = config.window - 1

    def placed(part: Any) -> Any:
        out = np.full((len(raw), *part.shape[1:]), np.nan)
        out[before:][whole] = part[whole]
        return out

    return Judged(*(placed(part) for part in _judged(model, flat)))


def fit(config: Config, values: Any, believed: Any, progress: Progress | None = None) -> Fitted:
    """Fit and train a model on a past that is believed normal.

    Args:
        config: Settings.
        values: Float `[time, column]`, equally spaced; NaN where unknown.
        believed: Bool `[time]`: false for ticks that must teach nothing (flagged, or touched by
            our own actions). A window with one such tick or one unknown value teaches nothing.
        progress: Told after every round.

    Raises:
        ValueError: The shapes do not fit, a window is too wide, or too little is believed.
    """
    values, believed = np.asarray(values, dtype=np.float64), np.asarray(believed, dtype=bool)
    if values.ndim != 2 or believed.shape != values.shape[:1]:  # noqa: PLR2004 - time and column
        raise ValueError(
            f"vae: values must be [time, column] and believed [time], "
            f"got {values.shape} and {believed.shape}"
        )
    width = config.window * values.shape[1]
    if not 1 <= width <= _WIDTH_MAX:
        raise ValueError(
            f"vae: {config.window} ticks x {values.shape[1]} columns is a window of {width} "
            f"values, must be 1..{_WIDTH_MAX}; shorten the window or leave columns out"
        )
    usable = believed & np.isfinite(values).all(axis=1)
    taught, held_out = split(config, usable)
    inputs = vae_inputs.fit(config, values, taught, usable)
    wide = vae_inputs.scaled(np, config, inputs, np.where(usable[:, None], values, inputs.low))
    flat = vae_inputs.windows(wide.values, config.window)
    parts = vae_inputs.components(np, inputs, flat)
    trained = train(config, parts[taught], parts[held_out], inputs.kept, progress)
    reference = vae_reference.fit(encode(np, trained.weights, parts[held_out]))
    blank = _levels(wide.values[usable])
    model = _calibrated(Model(inputs, trained.weights, reference, blank), flat[held_out])
    model = _spaced(config, model, np.where(usable[:, None], values, np.nan))
    return Fitted(
        model=model, elbo=trained.elbo, best=trained.best, taught=len(taught),
        held_out=len(held_out), active=int(reference.active.sum()),
    )  # fmt: skip


def split(config: Config, usable: Any) -> tuple[Any, Any]:
    """Return which windows teach and which are held out, by their first ticks.

    Args:
        config: Settings.
        usable: Bool `[time]`.

    Returns:
        Two arrays of indices; no tick is in windows of both.

    Raises:
        ValueError: Too few windows are usable.
    """
    seen = np.concatenate([[0], np.cumsum(usable)])
    first = np.flatnonzero(seen[config.window :] - seen[: -config.window] == config.window)
    length = max(1, -(-len(usable) // _STRETCHES))
    begins = length - round(length * config.held_out)
    late_start = first % length >= begins
    late_end = (first + config.window - 1) % length >= begins
    within = first // length == (first + config.window - 1) // length
    taught, held_out = first[within & ~late_start & ~late_end], first[within & late_start]
    if min(len(taught), len(held_out)) < _LEAST:
        raise ValueError(
            f"vae: {len(taught)} windows to learn from and {len(held_out)} to hold out, each needs "
            f"{_LEAST}; believe more of the {len(usable)} ticks or shorten the window of "
            f"{config.window}"
        )
    return taught, held_out


def _levels(scaled: Any) -> Normal:
    """Return what is known before any error is."""
    columns, none = scaled.shape[1], np.full(CALIBRATION, -np.inf, dtype=np.float32)
    return Normal(
        spread=np.ones((1, columns)), usual=np.zeros((1, columns)),
        level=scaled.mean(axis=0)[None, :],
        deviation=np.maximum(scaled.std(axis=0), _SPREAD_LEAST)[None, :],
        errors=none, divergences=none, spacing=np.ones(2, dtype=np.int32),
    )  # fmt: skip


def _calibrated(model: Model, flat: Any) -> Model:
    """Return the model with the errors of held-out windows `[row, window * column]`."""
    squares = np.square(_judged(model, flat).errors)
    # One wild held-out window in a hundred does not make a column's errors usual.
    squares = np.minimum(squares, np.quantile(squares, 0.99, axis=0))
    spread = np.maximum(np.sqrt(squares.mean(axis=0)), _SPREAD_LEAST)[None, :]
    model = model._replace(normal=model.normal._replace(spread=spread))
    judged = _judged(model, flat)
    return model._replace(
        normal=model.normal._replace(
            usual=judged.errors.mean(axis=0)[None, :],
            errors=_sample(judged.error),
            divergences=_sample(judged.divergence),
        )
    )


def _spaced(config: Config, model: Model, values: Any) -> Model:
    """Return the model with how far apart its scores are independent, from its whole past."""
    said = score(config, model, values)
    far = [_apart(config.spacing, one) for one in (said.error, said.divergence)]
    spacing = np.array(far, dtype=np.int32)
    return model._replace(normal=model.normal._replace(spacing=spacing))


def _apart(least: int, scores: Any) -> int:
    """Return the first doubling of `least` at which the ranks of scores are hardly correlated."""
    known = np.isfinite(scores)
    ranks = np.zeros(len(scores))
    ranks[known] = np.argsort(np.argsort(scores[known])) / max(known.sum() - 1, 1) - 0.5
    lag = least
    while lag < min(_SPACING_MAX, len(scores) // 2):
        both = known[lag:] & known[:-lag]
        together = ranks[lag:] @ ranks[:-lag] / max(both.sum(), 1)
        if together <= _CORRELATED * np.square(ranks[known]).mean():
            break
        lag *= 2
    return lag


def _judged(model: Model, flat: Any) -> Judged:
    """Judge many windows, some at a time."""
    some = [judge(np, model, flat[at : at + _CHUNK]) for at in range(0, len(flat), _CHUNK)]
    return Judged(*(np.concatenate(parts) for parts in zip(*some, strict=True)))


def _sample(scores: Any) -> Any:
    """Return evenly spaced ones in time, ascending; -inf in the places there are too few for."""
    chosen = np.unique(np.linspace(0, len(scores) - 1, CALIBRATION).round().astype(int))
    out = np.full(CALIBRATION, -np.inf, dtype=np.float32)
    out[CALIBRATION - len(chosen) :] = np.sort(scores[chosen].astype(np.float32))
    return out
