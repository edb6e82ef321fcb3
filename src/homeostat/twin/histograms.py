"""Histograms of predictions: what a Beta-distributed score looks like after a logit shift.

Scores are Beta(prior x sharpness, (1 - prior) x sharpness); a fault moves their logits to
z / temperature + bias. The `BINS` bins are equally wide in the logit, from -8 to 8, the outer two
open to the side: a change of calibration is as visible at 0.001 as at 0.5. No gamma function is
needed: the density is integrated on a grid and divided by its own sum.

Not here: what moves the prior, the sharpness and the bias (see `scores`).
"""

from typing import Final

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from homeostat.twin.apart import untouched
from homeostat.twin.chance import normal
from homeostat.twin.shapes import BINS

# Logits beyond 8 are probabilities beyond 0.99966: no alert and no person tells them apart.
REACH: Final = 8.0
# Distances are taken over groups of four bins: as many as an exporter's histogram has (about 16),
# which keeps the part of the distance that is only chance small (0.05 at 500 predictions).
GROUPS: Final = 16
_SMOOTH: Final = 0.5  # events added to every bin by `psi`
# Half a bin between points (Simpson's rule); outside the bins 16 points, the closer the nearer.
_TAIL: Final = 24.0 * (np.arange(1, 17) / 16.0) ** 2
_POINTS: Final = np.concatenate([
    -REACH - _TAIL[::-1],
    np.linspace(-REACH, REACH, 2 * BINS + 1),
    REACH + _TAIL,
])
_BIN: Final = 2.0 * REACH / BINS
_SOURCE: Final = np.linspace(-14.0, 14.0, 57)  # of `calibration_error`


def beta(prior: Array, sharpness: Array, temperature: Array, bias: Array) -> Array:
    """Return the shares of scores in each bin.

    Args:
        prior: Mean of the undisturbed score [...], 0..1.
        sharpness: Sum of the Beta's parameters [...]; small = sure of itself.
        temperature: What logits are divided by [...].
        bias: What is added to them after that [...].

    Returns:
        [..., BINS], sum 1.
    """
    source = (jnp.asarray(_POINTS) - bias[..., None]) * temperature[..., None]
    density = _density(source, prior, sharpness)
    tail = len(_TAIL)
    inside = density[..., tail:-tail]
    shares = (inside[..., :-1:2] + 4.0 * inside[..., 1::2] + inside[..., 2::2]) * (_BIN / 6.0)
    below = _area(density[..., : tail + 1], _POINTS[: tail + 1])
    above = _area(density[..., -tail - 1 :], _POINTS[-tail - 1 :])
    shares = shares.at[..., 0].add(below).at[..., -1].add(above)
    return shares / shares.sum(axis=-1, keepdims=True)


def _area(density: Array, points: npt.NDArray[np.float64]) -> Array:
    """Return an integral by the trapezoid rule."""
    widths = jnp.asarray(np.diff(points))
    return (0.5 * (density[..., 1:] + density[..., :-1]) * widths).sum(axis=-1)


def _density(logits: Array, prior: Array, sharpness: Array) -> Array:
    """Return the undisturbed score's density over its logits, up to a factor."""
    rising = jax.nn.log_sigmoid(logits)
    left = (prior * sharpness)[..., None]
    right = ((1.0 - prior) * sharpness)[..., None]
    # rising - logits: log of 1 - sigmoid
    power = untouched(lambda: left * rising + right * (rising - logits))
    return jnp.exp(power - power.max(axis=-1, keepdims=True))


def sample(key: Array, shares: Array, events: Array) -> Array:
    """Return counts like those of so many events: right mean and covariance, never negative.

    A multinomial's normal approximation (independent Poisson-like counts, scaled to the number of
    events); bins with few events are clipped at zero.

    Args:
        key: Randomness.
        shares: Expected [..., B], in bins or groups of bins.
        events: How many [...].
    """
    expected = shares * events[..., None]
    noise = normal(key, expected.shape)
    drawn = jnp.maximum(expected + jnp.sqrt(expected) * noise, 0.0)
    return drawn * (events / jnp.maximum(drawn.sum(axis=-1), 1e-9))[..., None]


def grouped(counts: Array) -> Array:
    """Return counts or shares by bin [..., BINS] as those by group of bins [..., GROUPS]."""
    return counts.reshape(*counts.shape[:-1], GROUPS, BINS // GROUPS).sum(axis=-1)


def distance(counts: Array, reference: Array) -> Array:
    """Return the total variation between a window's counts and a reference, 0..1 [...].

    Args:
        counts: Of a window [..., B].
        reference: Shares or counts [..., B].
    """
    window = counts / jnp.maximum(counts.sum(axis=-1, keepdims=True), 1e-9)
    usual = reference / jnp.maximum(reference.sum(axis=-1, keepdims=True), 1e-9)
    return 0.5 * jnp.abs(window - usual).sum(axis=-1)


def psi(counts: Array, reference: Array) -> Array:
    """Return the population stability index of a window against a reference, >= 0 [...].

    Sum of (p - q) ln(p / q); 0.1 is usually called a small shift and 0.25 a large one. Half an
    event is added everywhere, so that it stays finite where a window has nothing.

    Args:
        counts: Of a window [..., B].
        reference: Shares or counts [..., B].
    """
    events = counts.sum(axis=-1, keepdims=True)
    usual = reference / jnp.maximum(reference.sum(axis=-1, keepdims=True), 1e-9) * events
    total = events + _SMOOTH * counts.shape[-1]
    p, q = (counts + _SMOOTH) / total, (usual + _SMOOTH) / total
    return ((p - q) * jnp.log(p / q)).sum(axis=-1)


def calibration_error(prior: Array, sharpness: Array, temperature: Array, bias: Array) -> Array:
    """Return how far scores are from the probabilities they stand for, on average, 0..1 [...].

    The expected calibration error of a score whose undisturbed form is calibrated.

    Args:
        prior: See `beta`.
        sharpness: See `beta`.
        temperature: See `beta`.
        bias: See `beta`.
    """
    grid = jnp.asarray(_SOURCE)
    density = _density(grid, prior, sharpness)
    moved = jax.nn.sigmoid(grid / temperature[..., None] + bias[..., None])
    off = jnp.abs(moved - jax.nn.sigmoid(grid))
    return (density * off).sum(axis=-1) / density.sum(axis=-1)
