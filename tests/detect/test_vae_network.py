"""The bound's two parts against independent sums, and the start against probabilistic PCA."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vae_by_hand import STRAIGHT

from homeostat.detect.vae_network import (
    Posterior,
    Weights,
    decode,
    divergence_from_prior,
    encode,
    loss,
    mapped,
    start,
)

KEPT = np.ones((1, STRAIGHT.components))
VARIANCE = np.linspace(2.0, 0.1, STRAIGHT.components)


def shaken(seed: int) -> Weights:
    """Return weights in which no part is zero, so that every part matters."""
    rng = np.random.default_rng(seed)
    weights: Weights = mapped(
        lambda one: one + 0.2 * rng.standard_normal(one.shape), start(STRAIGHT, VARIANCE)
    )
    return weights


def log_normal(x: Any, mean: Any, variance: Any) -> Any:
    return -0.5 * ((x - mean) ** 2 / variance + np.log(2.0 * np.pi * variance)).sum(axis=-1)


@given(mean=st.floats(-3.0, 3.0), log_variance=st.floats(-4.0, 2.0))
def test_the_divergence_from_the_prior_is_the_integral(mean: float, log_variance: float) -> None:
    sd = np.exp(0.5 * log_variance)
    z = np.linspace(mean - 12.0 * sd, mean + 12.0 * sd, 4001)
    q = log_normal(z[:, None], mean, sd * sd)
    integral = np.trapezoid(np.exp(q) * (q - log_normal(z[:, None], 0.0, 1.0)), z)
    posterior = Posterior(np.array([[mean]]), np.array([[log_variance]]))
    assert divergence_from_prior(np, posterior)[0] == pytest.approx(integral, rel=1e-6, abs=1e-9)


@pytest.mark.slow
@settings(max_examples=5)
@given(seed=st.integers(0, 1000))
def test_the_bound_is_the_mean_of_the_log_ratio_over_draws(seed: int) -> None:
    """E_q[log p(x|z) + log p(z) - log q(z|x)] by draws, each density written out anew."""
    weights, rng = shaken(seed), np.random.default_rng(seed)
    x = rng.standard_normal((1, STRAIGHT.components))
    posterior = encode(np, weights, x)
    variance = np.exp(posterior.log_variance)
    noise = rng.standard_normal((100_000, STRAIGHT.latent))
    z = posterior.mean + np.sqrt(variance) * noise
    likelihood = log_normal(x, decode(np, weights, z), np.exp(weights.log_noise))
    ratio = likelihood + log_normal(z, 0.0, 1.0) - log_normal(z, posterior.mean, variance)
    ours = loss(np, weights, np.repeat(x, len(noise), axis=0), kept=KEPT, noise=noise)
    error = ratio.std() / np.sqrt(len(noise))
    assert -np.mean(ours.divergence + ours.surprise) == pytest.approx(
        ratio.mean(), abs=5.0 * error + 1e-9
    )


def test_the_bound_is_below_the_evidence() -> None:
    """For a linear decoder the evidence is a normal density: x ~ N(b, W'W + noise)."""
    weights, rng = start(STRAIGHT, VARIANCE), np.random.default_rng(3)
    x = rng.standard_normal((500, STRAIGHT.components)) * np.sqrt(VARIANCE)
    covariance = weights.back.T @ weights.back + np.diag(np.exp(weights.log_noise[0]))
    inner = np.einsum("ni,ij,nj->n", x, np.linalg.inv(covariance), x)
    log_det = np.linalg.slogdet(covariance)[1]
    evidence = -0.5 * (inner + log_det + STRAIGHT.components * np.log(2.0 * np.pi))
    noise = rng.standard_normal((200, 500, STRAIGHT.latent))
    parts = loss(np, weights, np.broadcast_to(x, (200, *x.shape)), kept=KEPT, noise=noise)
    bound = -(parts.divergence + parts.surprise).mean(axis=0)
    # The start is the exact posterior of probabilistic PCA, so the bound is tight up to the draws.
    assert np.abs(bound.mean() - evidence.mean()) < 0.05
    worse = weights._replace(straight=weights.straight * 0.5)
    parts = loss(np, worse, np.broadcast_to(x, (200, *x.shape)), kept=KEPT, noise=noise)
    assert -(parts.divergence + parts.surprise).mean() < evidence.mean() - 0.3


def test_the_start_makes_again_what_principal_components_make() -> None:
    weights, rng = start(STRAIGHT, VARIANCE), np.random.default_rng(4)
    x = rng.standard_normal((50, STRAIGHT.components))
    made = decode(np, weights, encode(np, weights, x).mean)
    kept = np.where(np.arange(STRAIGHT.components) < STRAIGHT.latent, 0.95, 0.0)
    assert made == pytest.approx(x * kept, abs=1e-12)


def test_components_that_are_padding_count_nothing() -> None:
    weights, rng = shaken(5), np.random.default_rng(5)
    x, noise = rng.standard_normal((9, 8)), rng.standard_normal((9, 3))
    kept = (np.arange(8) < 5)[None, :] * 1.0
    other = weights._replace(log_noise=weights.log_noise + (1.0 - kept) * 7.0)
    first, second = (loss(np, one, x, kept=kept, noise=noise) for one in (weights, other))
    assert np.array_equal(first.surprise, second.surprise)
    assert not np.allclose(
        first.surprise, loss(np, weights, x, kept=np.ones((1, 8)), noise=noise).surprise
    )


def test_the_sign_as_written_turns_the_likelihood_and_nothing_else() -> None:
    weights, rng = shaken(6), np.random.default_rng(6)
    x, noise = rng.standard_normal((9, 8)), rng.standard_normal((9, 3))
    right, written = (
        loss(np, weights, x, kept=KEPT, noise=noise, sign=sign) for sign in (1.0, -1.0)
    )
    assert np.array_equal(right.surprise, -written.surprise)
    assert np.array_equal(right.divergence, written.divergence)


def test_models_side_by_side_answer_as_each_alone() -> None:
    one, two = shaken(7), shaken(8)
    parts: list[Any] = [
        tuple(np.stack(pair) for pair in zip(left, right, strict=True))
        if isinstance(left, tuple)
        else np.stack([left, right])
        for left, right in zip(one, two, strict=True)
    ]
    both = Weights(*parts)
    x = np.random.default_rng(9).standard_normal((2, 3, 8))
    together = decode(np, both, encode(np, both, x).mean)
    for number, weights in enumerate((one, two)):
        alone = decode(np, weights, encode(np, weights, x[number]).mean)
        assert together[number] == pytest.approx(alone, abs=1e-12)
