"""The divergence between normals against an integral, and what the reference learns."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.detect.vae_network import Posterior, divergence_from_prior
from homeostat.detect.vae_reference import Reference, divergence, fit


def reference_of(mean: np.ndarray, covariance: np.ndarray) -> Reference:
    return Reference(
        mean=mean[None, :],
        precision=np.linalg.inv(covariance),
        log_det=np.linalg.slogdet(covariance)[1][None],
        active=np.ones((1, len(mean))),
    )


@settings(max_examples=20)
@given(
    mean=st.tuples(st.floats(-1.0, 1.0), st.floats(-1.0, 1.0)),
    log_variance=st.tuples(st.floats(-2.0, 0.5), st.floats(-2.0, 0.5)),
    correlation=st.floats(-0.9, 0.9),
)
def test_the_divergence_is_the_integral_in_two_dimensions(
    mean: tuple[float, float], log_variance: tuple[float, float], correlation: float
) -> None:
    centre = np.array([0.3, -0.2])
    covariance = np.array([[1.5, correlation], [correlation, 0.9]])
    sd = np.exp(0.5 * np.array(log_variance))
    axes = [np.linspace(m - 9.0 * s, m + 9.0 * s, 401) for m, s in zip(mean, sd, strict=True)]
    z = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    q = -0.5 * (((z - mean) / sd) ** 2 + np.log(2.0 * np.pi * sd * sd)).sum(axis=-1)
    moved = z - centre
    inner = np.einsum("abi,ij,abj->ab", moved, np.linalg.inv(covariance), moved)
    p = -0.5 * (inner + np.log(np.linalg.det(2.0 * np.pi * covariance)))
    integral = np.trapezoid(np.trapezoid(np.exp(q) * (q - p), axes[1], axis=1), axes[0])
    posterior = Posterior(np.array([mean]), np.array([log_variance]))
    found = divergence(np, posterior, reference_of(centre, covariance))
    assert found[0] == pytest.approx(integral, rel=1e-4, abs=1e-6)


def test_with_the_prior_as_reference_it_is_the_divergence_from_the_prior() -> None:
    rng = np.random.default_rng(1)
    posterior = Posterior(rng.standard_normal((20, 3)), rng.standard_normal((20, 3)))
    found = divergence(np, posterior, reference_of(np.zeros(3), np.eye(3)))
    assert found == pytest.approx(divergence_from_prior(np, posterior), abs=1e-12)


def test_the_reference_is_the_moments_of_the_mixture() -> None:
    rng = np.random.default_rng(2)
    mean = rng.standard_normal((4000, 2)) @ np.array([[2.0, 0.0], [0.7, 0.4]]) + [1.0, -3.0]
    log_variance = rng.uniform(-3.0, -1.0, (4000, 2))
    found = fit(Posterior(mean, log_variance))
    drawn = mean + np.exp(0.5 * log_variance) * rng.standard_normal((4000, 2))
    assert found.mean[0] == pytest.approx(drawn.mean(axis=0), abs=0.05)
    assert np.linalg.inv(found.precision) == pytest.approx(np.cov(drawn.T, bias=True), abs=0.15)
    assert found.log_det[0] == pytest.approx(-np.linalg.slogdet(found.precision)[1], abs=1e-9)


def test_the_reference_is_the_nearest_normal_distribution() -> None:
    """Summed over the posteriors it was fitted to, any other one is further away."""
    rng = np.random.default_rng(3)
    posterior = Posterior(rng.standard_normal((500, 2)) * [3.0, 0.2] + 5.0, np.full((500, 2), -2.0))
    found = fit(posterior)
    best = divergence(np, posterior, found).mean()
    covariance = np.linalg.inv(found.precision)
    for mean, spread in ((0.2, 1.0), (0.0, 1.3), (0.0, 0.7)):
        other = reference_of(found.mean[0] + mean, covariance * spread)
        assert divergence(np, posterior, other).mean() > best + 0.01
    assert best < 0.5 * divergence_from_prior(np, posterior).mean()


def test_a_latent_dimension_that_never_moves_is_not_active() -> None:
    rng = np.random.default_rng(4)
    mean = np.stack([rng.standard_normal(300), np.full(300, 0.4)], axis=1)
    assert list(fit(Posterior(mean, np.zeros((300, 2)))).active[0]) == [1.0, 0.0]
    assert fit(Posterior(mean * 0.0, np.zeros((300, 2)))).active.sum() == 0
