"""Counts from uniform draws have the mean and the variance of their laws, at every size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from homeostat.twin import sampling

# Evenly spread draws: the mean over them is the expectation, up to the grid.
UNIFORM = ((np.arange(1 << 16) + 0.5) / (1 << 16)).astype(np.float32)
BINOMIAL = jax.jit(sampling.binomial)
POISSON = jax.jit(sampling.poisson)


@pytest.mark.parametrize("number", [0, 1, 2, 7, 30, 300, 5000])
@pytest.mark.parametrize("chance", [0.0, 0.003, 0.1, 0.3, 0.7, 0.92, 1.0])
def test_successes_have_a_binomials_mean_and_variance(number: int, chance: float) -> None:
    found = np.asarray(BINOMIAL(UNIFORM, jnp.full(UNIFORM.shape, number), chance))
    assert np.array_equal(found, np.round(found))
    assert np.all((found >= 0) & (found <= number))
    mean, variance = number * chance, number * chance * (1 - chance)
    assert abs(found.mean() - mean) <= 1e-3 * np.sqrt(variance) + 1e-4
    # Rounding a normal adds a twelfth, from a variance of 5 on.
    assert found.var() == pytest.approx(variance, rel=0.02, abs=2e-3)


@pytest.mark.parametrize("mean", [0.0, 0.02, 0.7, 3.0, 9.9, 10.1, 80.0, 4000.0])
def test_counts_have_a_poissons_mean_and_variance(mean: float) -> None:
    found = np.asarray(POISSON(UNIFORM, jnp.full(UNIFORM.shape, mean)))
    assert np.array_equal(found, np.round(found))
    assert np.all(found >= 0)
    assert abs(found.mean() - mean) <= 1e-3 * np.sqrt(mean) + 1e-4
    assert found.var() == pytest.approx(mean, rel=0.02, abs=2e-3)


def test_the_same_draw_gives_more_where_more_is_expected() -> None:
    """Replays with the same draws stay alike: counts grow with their mean, draw by draw."""
    few, more = (np.asarray(POISSON(UNIFORM, jnp.full(UNIFORM.shape, m))) for m in (2.0, 2.5))
    assert np.all(more >= few)


def test_whole_numbers_keep_the_mean() -> None:
    found = np.asarray(sampling.whole(jnp.asarray(UNIFORM), jnp.full(UNIFORM.shape, 2.3)))
    assert set(np.unique(found)) == {2.0, 3.0}
    assert found.mean() == pytest.approx(2.3, abs=0.02)
