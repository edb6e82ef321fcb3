"""The error that a reading has because it is of so many requests and no more.

Factors have mean one and counts the right mean: nothing here is a bias.
"""

from typing import Final

import jax.numpy as jnp
from jax import Array
from jax.scipy.special import ndtri

from homeostat.base import names
from homeostat.twin import sampling
from homeostat.twin.signals import LATENCY_P99

# Sampling error of a quantile of n lognormal values in units of sigma / sqrt(n):
# sqrt(q (1 - q)) / phi(z_q), for q = 0.5, 0.95, 0.99.
QUANTILE_SD: Final = {names.LATENCY_P50: 1.253, names.LATENCY_P95: 2.113, LATENCY_P99: 3.733}
_Z95: Final = 1.645
_LARGEST_SIGMA: Final = 1.0  # fewer requests than this allows tell nothing more


def per(part: Array, whole: Array) -> Array:
    """Return a ratio; NaN of nothing."""
    return jnp.where(whole > 0.0, part / jnp.maximum(whole, 1e-9), jnp.nan)


def normal(uniform: Array) -> Array:
    """Return standard normal draws."""
    return ndtri(jnp.clip(uniform, 1e-6, 1.0 - 1e-6))


def factor(uniform: Array, sigma: Array) -> Array:
    """Return a lognormal factor with mean one."""
    return jnp.exp(sigma * normal(uniform) - 0.5 * sigma**2)


def arrivals(uniform: Array, expected: Array, ca2: Array) -> Array:
    """Return a whole number of arrivals with about ca2 times a Poisson's variance.

    The standard deviation stays below a third of the mean where it would else cut into zero and
    move the mean; extreme bursts belong to the load's own course.
    """
    counted = sampling.poisson(uniform, expected)
    wider = jnp.maximum(jnp.minimum(ca2, expected / 9.0), jnp.minimum(ca2, 1.0))
    return jnp.maximum(jnp.round(expected + (counted - expected) * jnp.sqrt(wider)), 0.0)


def spread(p50: Array, p95: Array) -> Array:
    """Return sigma of the lognormal that has these quantiles."""
    ratio = jnp.maximum(p95, 1e-9) / jnp.maximum(p50, 1e-9)
    return jnp.clip(jnp.log(jnp.maximum(ratio, 1.0)) / _Z95, 0.0, 2.0)


def quantile(
    name: str, value_s: Array, spread: Array, number: Array, draw: dict[str, Array]
) -> Array:
    """Return a latency quantile of so many requests in ms, with the error such a sample has."""
    sigma = jnp.minimum(
        QUANTILE_SD[name] * spread / jnp.sqrt(jnp.maximum(number, 1.0)), _LARGEST_SIGMA
    )
    seen = value_s * 1000.0 * factor(draw[name], sigma)
    return jnp.where(number > 0.0, seen, jnp.nan)
