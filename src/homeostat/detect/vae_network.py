"""The network: encoder, decoder, and the two parts of the evidence lower bound.

One code for NumPy (judging) and JAX (training): all functions take `xp`. Weights may carry a
leading `entity` axis, rows are `[..., row, feature]`.

The bound to be maximised is log p(x) >= E_q[log p(x|z)] - KL(q(z|x) || p(z)) (Kingma & Welling,
"Auto-Encoding Variational Bayes", 2014, eq. 3); its negative is the loss. HASH (section 3.1) writes
L = E[KL] + E[log p(x|z)], whose likelihood has the wrong sign for a loss (and whose KL has it for
a gain). `sign=-1` is that loss as written.

Encoder and decoder have a linear path beside two tanh layers, and start as probabilistic PCA, which
is the linear autoencoder's optimum (Lucas et al., "Don't Blame the ELBO!", 2019): what training
adds is what is not linear. The decoder's noise is learnt per component (Rybkin et al., "Simple and
Effective VAE Training with Calibrated Decoders", 2021), so there is no weight between both parts.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.detect.vae_config import Config

_LOG_2PI: Final = math.log(2.0 * math.pi)
# Standard deviations of a posterior stay within e^-6 .. e^2 of the prior's: beyond, exp() of a
# half-trained network overflows; a healthy one is far from both.
_LOG_VARIANCE: Final = (-12.0, 4.0)
# Noise below a thousandth of a typical component's deviation is rounding, and would rule the bound.
_LOG_NOISE: Final = math.log(1e-6)
# Share of a component's variance that the decoder leaves to noise at the start.
_NOISE_START: Final = 0.05


class Weights(NamedTuple):
    """All weights; a pytree for JAX, arrays for a file.

    Attributes:
        encoder: Two hidden layers, weight and bias in turn: `[in, out]`, `[1, out]`.
        straight: Linear path to the latent means, `[component, latent]`.
        middle: Hidden to latent means, weight and bias.
        width: Hidden to latent log-variances, weight and bias.
        decoder: Two hidden layers, weight and bias in turn.
        back: Linear path from the latent values, `[latent, component]`.
        out: Hidden to components, weight and bias.
        log_noise: Log-variance of each component given the latent values, `[1, component]`.
    """

    encoder: tuple[Any, Any, Any, Any]
    straight: Any
    middle: tuple[Any, Any]
    width: tuple[Any, Any]
    decoder: tuple[Any, Any, Any, Any]
    back: Any
    out: tuple[Any, Any]
    log_noise: Any


class Posterior(NamedTuple):
    """q(z|x), independent normals: mean and log-variance `[..., row, latent]`."""

    mean: Any
    log_variance: Any


class Loss(NamedTuple):
    """The parts of the negative bound, nats per row: `[..., row]`."""

    divergence: Any
    surprise: Any


def start(config: Config, variance: Any) -> Weights:
    """Return the weights that are probabilistic PCA of components with these variances.

    Args:
        config: Settings; the seed draws the hidden layers.
        variance: Of each component, largest first, 0 for padding: `[component]`.
    """
    rng = np.random.default_rng(config.seed)
    many, few = config.components, config.latent
    outer, inner = config.hidden
    spread = np.sqrt(variance)
    inverse = np.where(variance > 0.0, 1.0 / np.where(variance > 0.0, spread, 1.0), 0.0)

    def layers(*widths: int) -> tuple[Any, Any, Any, Any]:
        """Draw as Glorot & Bengio (2010, eq. 12) for tanh, normal instead of uniform."""
        first, second = (
            rng.standard_normal((a, b)) * math.sqrt(2.0 / (a + b)) for a, b in pairwise(widths)
        )
        return first, np.zeros((1, widths[1])), second, np.zeros((1, widths[2]))

    log_variance = math.log(_NOISE_START)
    shrink = math.sqrt(1.0 - _NOISE_START)
    noise = np.maximum(np.log(np.maximum(variance, 1e-12)), _LOG_NOISE)
    noise[:few] += log_variance
    return Weights(
        encoder=layers(many, outer, inner),
        straight=np.eye(many, few) * shrink * inverse[:, None],
        middle=(np.zeros((inner, few)), np.zeros((1, few))),
        width=(np.zeros((inner, few)), np.full((1, few), log_variance)),
        decoder=layers(few, inner, outer),
        back=np.eye(few, many) * shrink * spread[None, :],
        out=(np.zeros((outer, many)), np.zeros((1, many))),
        log_noise=noise[None, :],
    )


def encode(xp: ModuleType, weights: Weights, parts: Any) -> Posterior:
    """Return q(z|x) of components `[..., row, component]`."""
    hidden = _hidden(xp, weights.encoder, parts)
    mean = xp.matmul(parts, weights.straight) + _affine(xp, weights.middle, hidden)
    log_variance = xp.clip(_affine(xp, weights.width, hidden), *_LOG_VARIANCE)
    return Posterior(mean, log_variance)


def decode(xp: ModuleType, weights: Weights, latent: Any) -> Any:
    """Return the mean of p(x|z) for latent values `[..., row, latent]`."""
    hidden = _hidden(xp, weights.decoder, latent)
    return xp.matmul(latent, weights.back) + _affine(xp, weights.out, hidden)


def loss(
    xp: ModuleType, weights: Weights, parts: Any, *, kept: Any, noise: Any, sign: float = 1.0
) -> Loss:
    """Return the parts of the negative bound for one draw of the latent values.

    Args:
        xp: numpy or jax.numpy.
        weights: The network.
        parts: Components `[..., row, component]`.
        kept: 1 for components that count, `[..., 1, component]`.
        noise: Standard normal `[..., row, latent]`: z = mean + sd * noise.
        sign: -1 turns the likelihood round, as HASH writes the loss.
    """
    posterior = encode(xp, weights, parts)
    latent = posterior.mean + xp.exp(0.5 * posterior.log_variance) * noise
    gap = parts - decode(xp, weights, latent)
    log_noise = xp.maximum(weights.log_noise, _LOG_NOISE)
    density = gap * gap * xp.exp(-log_noise) + log_noise + _LOG_2PI
    return Loss(
        divergence=divergence_from_prior(xp, posterior),
        surprise=sign * 0.5 * xp.sum(kept * density, axis=-1),
    )


def divergence_from_prior(xp: ModuleType, posterior: Posterior) -> Any:
    """Return KL(q(z|x) || N(0, 1)), nats, `[..., row]` (Kingma & Welling, appendix B)."""
    mean, log_variance = posterior
    inner = mean * mean + xp.exp(log_variance) - 1.0 - log_variance
    return 0.5 * xp.sum(inner, axis=-1)


def mapped(function: Callable[[Any], Any], tree: Any) -> Any:
    """Return a tree of tuples with a function of each of its arrays."""
    if not isinstance(tree, tuple):
        return function(tree)
    parts = [mapped(function, one) for one in tree]
    return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)


def _affine(xp: ModuleType, layer: tuple[Any, Any], rows: Any) -> Any:
    return xp.matmul(rows, layer[0]) + layer[1]


def _hidden(xp: ModuleType, layers: tuple[Any, Any, Any, Any], rows: Any) -> Any:
    first = xp.tanh(_affine(xp, (layers[0], layers[1]), rows))
    return xp.tanh(_affine(xp, (layers[2], layers[3]), first))
