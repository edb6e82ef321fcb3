"""What the latent posterior is while all is well, and how far one is from it.

HASH's commentary (section 5) alarms "when the latent space of the VAE starts to diverge
significantly from the control data": the reference is the posterior of normal data, not the prior,
from which it differs in every trained model (Hoffman & Johnson, "ELBO surgery", 2016). The mixture
of all posteriors of normal windows is summed up by the normal distribution nearest to it in KL: the
one with its mean and covariance.
"""

from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.detect.vae_network import Posterior

# A latent dimension whose mean moves less than this over the data says nothing of it (Burda et al.,
# "Importance Weighted Autoencoders", 2016, section 5.2: active units).
_ACTIVE: Final = 0.01
# Keeps the covariance invertible; a posterior's variance is at least e^-12 of the prior's.
_LEAST: Final = 1e-6


class Reference(NamedTuple):
    """A normal distribution over the latent values; may carry a leading `entity` axis.

    Attributes:
        mean: `[..., 1, latent]`.
        precision: Inverse covariance, `[..., latent, latent]`.
        log_det: Logarithm of the covariance's determinant, `[..., 1]`.
        active: 1 for a latent dimension that says something of the data, `[..., 1, latent]`.
    """

    mean: Any
    precision: Any
    log_det: Any
    active: Any


def fit(posterior: Posterior) -> Reference:
    """Return the reference of posteriors `[row, latent]` of normal data."""
    mean = np.asarray(posterior.mean, dtype=np.float64)
    centre = mean.mean(axis=0)
    moved = mean - centre
    between = moved.T @ moved / len(mean)
    within = np.exp(np.asarray(posterior.log_variance, dtype=np.float64)).mean(axis=0)
    covariance = between + np.diag(within) + _LEAST * np.eye(len(centre))
    return Reference(
        mean=centre[None, :],
        precision=np.linalg.inv(covariance),
        log_det=np.linalg.slogdet(covariance)[1][None],
        active=(np.diag(between) > _ACTIVE).astype(np.float64)[None, :],
    )


def divergence(xp: ModuleType, posterior: Posterior, reference: Reference) -> Any:
    """Return KL(q(z|x) || reference), nats, `[..., row]`.

    Between normals: (tr(P S) + (m - c)' P (m - c) - latent + ln det C - ln det S) / 2, with S
    diagonal and P = C^-1 (Kullback, "Information Theory and Statistics", 1959, ch. 9).
    """
    moved = posterior.mean - reference.mean
    inner = xp.sum(xp.matmul(moved, reference.precision) * moved, axis=-1)
    diagonal = xp.diagonal(reference.precision, axis1=-2, axis2=-1)[..., None, :]
    trace = xp.sum(diagonal * xp.exp(posterior.log_variance), axis=-1)
    log_det = xp.sum(posterior.log_variance, axis=-1)
    return 0.5 * (trace + inner - moved.shape[-1] + reference.log_det - log_det)
