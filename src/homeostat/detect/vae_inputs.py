"""What the autoencoder sees: windows of min-max scaled columns, reduced by principal components.

HASH 4.3 scales to [0, 1], makes time-windowed features and reduces by PCA. The range is guarded:
a column's quantiles, not its wildest value, and never from ticks that are not believed. The part of
a window outside the kept components is not seen by the network, but it is part of the error.
"""

from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.detect.vae_config import Config

# A column that moves by less than this part of its own level only rounds.
_ROUNDING: Final = 1e-9
# Keeps squares finite in float32, the type that JAX uses.
_LARGEST: Final = 1e15
# Windows from which the covariance is taken at a time: bounds memory, not the result.
_CHUNK: Final = 4096


class Inputs(NamedTuple):
    """How values become inputs; `[..., x]` has a leading `entity` where models are stacked.

    Attributes:
        low: Lower end of each column's range, `[..., column]`.
        span: Length of the range, 0 for a constant column, `[..., column]`.
        mean: Mean scaled window, `[..., 1, window * column]`, tick by tick.
        basis: Principal components over one common unit, `[..., window * column, component]`.
        unit: That unit, the root of the components' mean variance, `[..., 1, 1]`.
        kept: 1 for a component that is kept, 0 for padding, `[..., 1, component]`.
    """

    low: Any
    span: Any
    mean: Any
    basis: Any
    unit: Any
    kept: Any


class Scaled(NamedTuple):
    """Scaled values.

    Attributes:
        values: In [-margin, 1 + margin]; 0.5 for a constant column at its value.
        far: True where the value is too far outside for anything to be known there.
    """

    values: Any
    far: Any


def scaled(xp: ModuleType, config: Config, inputs: Inputs, values: Any) -> Scaled:
    """Scale finite values `[..., column]` to the range learnt, clipped by the margin beyond it."""
    level = xp.clip(values, -_LARGEST, _LARGEST) - inputs.low
    moves = inputs.span > 0.0
    still = xp.abs(level) <= _ROUNDING * xp.maximum(xp.abs(inputs.low), 1e-30)
    # A column that never moved has no unit: any step of it is as far as the margin shows.
    step = xp.where(still, 0.5, xp.where(level > 0.0, 1.0 + config.margin, -config.margin))
    share = xp.where(moves, level / xp.where(moves, inputs.span, 1.0), step)
    out = xp.clip(share, -config.margin, 1.0 + config.margin)
    return Scaled(out, (share < -config.far) | (share > 1.0 + config.far))


def windows(values: Any, length: int) -> Any:
    """Return all windows of `[time, column]` as `[time - length + 1, length * column]`."""
    view = np.lib.stride_tricks.sliding_window_view(values, length, axis=0)
    return np.ascontiguousarray(view.transpose(0, 2, 1)).reshape(len(view), -1)


def components(xp: ModuleType, inputs: Inputs, flat: Any) -> Any:
    """Return scaled windows `[..., row, window * column]` as `[..., row, component]`."""
    return xp.matmul(flat - inputs.mean, inputs.basis) / inputs.unit


def restored(xp: ModuleType, inputs: Inputs, parts: Any) -> Any:
    """Return the scaled windows whose components these are, `[..., row, window * column]`."""
    return inputs.mean + xp.matmul(parts * inputs.unit, xp.swapaxes(inputs.basis, -1, -2))


def fit(config: Config, values: Any, taught: Any, believed: Any) -> Inputs:
    """Learn ranges and components.

    Args:
        config: Settings.
        values: Float `[time, column]`.
        taught: Indices of windows to learn from, by their first tick; all their values are finite.
        believed: Bool `[time]`: ticks whose values set the ranges.

    Returns:
        Float64 arrays of fixed shape: components that are not kept are zero.
    """
    known = np.clip(values[believed], -_LARGEST, _LARGEST)
    low = np.quantile(known, config.range_quantile, axis=0)
    span = np.quantile(known, 1.0 - config.range_quantile, axis=0) - low
    least, most = known.min(axis=0), known.max(axis=0)
    narrow = span <= _ROUNDING * np.maximum(np.abs(low), 1e-30)
    low, span = np.where(narrow, least, low), np.where(narrow, most - least, span)
    span = np.where(span <= _ROUNDING * np.maximum(np.abs(low), 1e-30), 0.0, span)
    width = config.window * values.shape[1]
    blank = Inputs(
        low, span, np.zeros((1, width)), np.zeros((width, config.components)),
        np.ones((1, 1)), np.zeros((1, config.components)),
    )  # fmt: skip
    wide = scaled(np, config, blank, np.where(np.isfinite(values), values, low)).values
    mean, covariance = _moments(windows(wide, config.window), taught)
    return _principal(config, blank._replace(mean=mean[None, :]), covariance)


def _moments(flat: Any, taught: Any) -> tuple[Any, Any]:
    """Return mean and covariance of the windows taught, without copying them all."""
    mean = flat[taught[:: max(1, len(taught) // _CHUNK)]].mean(axis=0)
    square, offset = np.zeros((flat.shape[1], flat.shape[1])), np.zeros(flat.shape[1])
    for first in range(0, len(taught), _CHUNK):
        part = flat[taught[first : first + _CHUNK]] - mean
        square += part.T @ part
        offset += part.sum(axis=0)
    offset /= len(taught)
    return mean + offset, square / len(taught) - np.outer(offset, offset)


def _principal(config: Config, inputs: Inputs, covariance: Any) -> Inputs:
    """Keep as many components as explain enough, with signs that do not depend on the library."""
    variance, vectors = np.linalg.eigh(covariance)
    variance, vectors = np.maximum(variance[::-1], 0.0), vectors[:, ::-1]
    total = variance.sum()
    if total <= 0.0:
        return inputs
    enough = int(np.searchsorted(np.cumsum(variance), config.explained * total)) + 1
    count = min(enough, config.components, len(variance))
    chosen = vectors[:, :count]
    top = np.argmax(np.abs(chosen), axis=0)
    chosen = chosen * np.where(chosen[top, np.arange(count)] < 0.0, -1.0, 1.0)
    inputs.basis[:, :count] = chosen
    inputs.kept[:, :count] = 1.0
    return inputs._replace(unit=np.sqrt(variance[:count].mean())[None, None])
