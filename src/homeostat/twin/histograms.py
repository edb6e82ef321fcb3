"""Histograms of predictions: what a Beta-distributed score looks like after a logit shift.

Scores are Beta(prior x sharpness, (1 - prior) x sharpness); a fault moves their logits to
z / temperature + bias. The `BINS` bins are equally wide in the logit, from -8 to 8, the outer two
open to the side: a change of calibration is as visible at 0.001 as at 0.5. No gamma function is
needed: the density is integrated on a grid and divided by its own sum.

Not here: what moves the prior, the sharpness and the bias (see `quality.predictions`).
"""

from typing import Final

import jax
import jax.numpy as jnp
from jax import Array

from homeostat.twin.shapes import BINS

# Logits beyond 8 are probabilities beyond 0.99966: no alert and no person tells them apart.
REACH: Final = 8.0
# Distances are taken over groups of four bins: as many as an exporter's histogram has (about 16),
# which keeps the part of the distance that is only chance small (0.05 at 500 predictions).
GROUPS: Final = 16
# Half an event a bin, so that PSI stays finite where a window has no prediction.
_SMOOTH: Final = 0.5
_SOURCE_POINTS: Final = 96
_SOURCE_REACH: Final = 14.0  # of the undisturbed score's logit; Beta(0.5, 0.5) has 0.1 % beyond


def edges() -> Array:
    """Return the inner edges of the bins, in logits [BINS - 1]."""
    return jnp.linspace(-REACH, REACH, BINS + 1)[1:-1]


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
    _, density = _density(prior, sharpness)
    # Mass between grid points by the trapezoid rule; cumulated it is the source's distribution.
    pieces = 0.5 * (density[..., 1:] + density[..., :-1])
    below = jnp.cumsum(pieces, axis=-1)
    below = jnp.concatenate([jnp.zeros_like(below[..., :1]), below], axis=-1)
    below = below / below[..., -1:]
    at = (edges() - bias[..., None]) * temperature[..., None]
    place = (at + _SOURCE_REACH) * (_SOURCE_POINTS / (2.0 * _SOURCE_REACH))
    place = jnp.clip(place, 0.0, _SOURCE_POINTS - 1e-3)
    low = place.astype(jnp.int32)
    under = jnp.take_along_axis(below, low, axis=-1)
    over = jnp.take_along_axis(below, low + 1, axis=-1)
    cumulated = under + (over - under) * (place - low)
    first, last = cumulated[..., :1], 1.0 - cumulated[..., -1:]
    return jnp.concatenate([first, jnp.diff(cumulated, axis=-1), last], axis=-1)


def _density(prior: Array, sharpness: Array) -> tuple[Array, Array]:
    """Return a grid of logits [G] and the undisturbed score's density there, not normed."""
    grid = jnp.linspace(-_SOURCE_REACH, _SOURCE_REACH, _SOURCE_POINTS + 1)
    rising = jax.nn.log_sigmoid(grid)
    falling = rising - grid  # log of 1 - sigmoid
    left = (prior * sharpness)[..., None]
    right = ((1.0 - prior) * sharpness)[..., None]
    power = left * rising + right * falling
    return grid, jnp.exp(power - power.max(axis=-1, keepdims=True))


def sample(key: Array, shares: Array, events: Array) -> Array:
    """Return counts like those of so many events: right mean and covariance, never negative.

    A multinomial's normal approximation (independent Poisson-like counts, scaled to the number of
    events); bins with few events are clipped at zero.

    Args:
        key: Randomness.
        shares: Expected [..., BINS].
        events: How many [...].
    """
    expected = shares * events[..., None]
    noise = jax.random.normal(key, expected.shape)
    drawn = jnp.maximum(expected + jnp.sqrt(expected) * noise, 0.0)
    return drawn * (events / jnp.maximum(drawn.sum(axis=-1), 1e-9))[..., None]


def _grouped(counts: Array) -> Array:
    return counts.reshape(*counts.shape[:-1], GROUPS, BINS // GROUPS).sum(axis=-1)


def distance(counts: Array, reference: Array) -> Array:
    """Return the total variation between a window's counts and reference shares, 0..1 [...].

    Args:
        counts: Of a window [..., BINS].
        reference: Shares or counts [..., BINS].
    """
    window, usual = _grouped(counts), _grouped(reference)
    window = window / jnp.maximum(window.sum(axis=-1, keepdims=True), 1e-9)
    usual = usual / jnp.maximum(usual.sum(axis=-1, keepdims=True), 1e-9)
    return 0.5 * jnp.abs(window - usual).sum(axis=-1)


def psi(counts: Array, reference: Array) -> Array:
    """Return the population stability index of a window against reference shares, >= 0 [...].

    Sum of (p - q) ln(p / q) over `GROUPS` groups of bins; 0.1 is usually called a small shift and
    0.25 a large one. Half an event is added to every group.

    Args:
        counts: Of a window [..., BINS].
        reference: Shares [..., BINS].
    """
    window, usual = _grouped(counts) + _SMOOTH, _grouped(reference)
    events = counts.sum(axis=-1, keepdims=True)
    usual = (usual / jnp.maximum(usual.sum(axis=-1, keepdims=True), 1e-9)) * events + _SMOOTH
    total = events + _SMOOTH * GROUPS
    p, q = window / total, usual / total
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
    grid, density = _density(prior, sharpness)
    moved = jax.nn.sigmoid(grid / temperature[..., None] + bias[..., None])
    off = jnp.abs(moved - jax.nn.sigmoid(grid))
    return (density * off).sum(axis=-1) / density.sum(axis=-1)
