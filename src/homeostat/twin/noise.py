"""The error that a reading has because it is of so many requests and no more.

Factors have mean one and counts the right mean: nothing here is a bias.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import jax.numpy as jnp
from jax import Array

from homeostat.base import names
from homeostat.twin.apart import apart, untouched
from homeostat.twin.chance import as_normal
from homeostat.twin.signals import (
    GATEWAY_SIGNALS,
    GPU_SHARE,
    LATENCY_P99,
    SLOT_SIGNALS,
    TOKEN_SIGNALS,
    VARIANT_SIGNALS,
)
from homeostat.twin.windows import Observed

# Sampling error of a quantile of n lognormal values in units of sigma / sqrt(n):
# sqrt(q (1 - q)) / phi(z_q), for q = 0.5, 0.95, 0.99.
QUANTILE_SD: Final = {names.LATENCY_P50: 1.253, names.LATENCY_P95: 2.113, LATENCY_P99: 3.733}
_Z95: Final = 1.645
# Signals whose noise is normal or lognormal, not a count's.
_READINGS: Final = {
    "gateway": (names.LATENCY_P50, names.LATENCY_P95, LATENCY_P99),
    "variant": (names.LATENCY_P50, names.LATENCY_P95, names.FEATURE_SHIFT),
    "slot": (
        names.PROBE_LATENCY, names.MEMORY_SHARE, names.CPU_SHARE, GPU_SHARE, names.DEVICE_TIME,
        names.BATCH_SIZE, names.LATENCY_P95,
    ),
    "tokens": (names.PROMPT_TOKENS, names.GENERATED_TOKENS),
}  # fmt: skip
_LARGEST_SIGMA: Final = 1.0  # fewer requests than this allows tell nothing more


class Draws(NamedTuple):
    """Draws by signal: standard normal where it is a reading, uniform in 0..1 where it is a count.

    Attributes:
        gateway: Scalars.
        variant: [V].
        slot: [S].
        tokens: [S].
    """

    gateway: Mapping[str, Array]
    variant: Mapping[str, Array]
    slot: Mapping[str, Array]
    tokens: Mapping[str, Array]


def per(part: Array, whole: Array) -> Array:
    """Return a ratio; NaN of nothing."""
    return jnp.where(whole > 0.0, part / jnp.maximum(whole, 1e-9), jnp.nan)


def draws(uniform: Observed) -> Draws:
    """Return a draw for each signal, by name: standard normal for readings, uniform for counts.

    Args:
        uniform: In 0..1, one for each signal; the same give the same luck.
    """
    tables = {
        "gateway": (uniform.gateway, GATEWAY_SIGNALS),
        "variant": (uniform.variant, VARIANT_SIGNALS),
        "slot": (uniform.slot, SLOT_SIGNALS),
        "tokens": (uniform.tokens, TOKEN_SIGNALS),
    }
    # All of them at once: the inverse of the normal law is a long polynomial to compile.
    parts = [
        values[..., [order.index(name) for name in _READINGS[table]]]
        for table, (values, order) in tables.items()
    ]
    normal = apart(lambda: as_normal(jnp.clip(_flat(parts), 1e-6, 1.0 - 1e-6)))
    found, start = {}, 0
    for (table, (values, order)), part in zip(tables.items(), parts, strict=True):
        here = normal[start : start + part.size].reshape(part.shape)
        start += part.size
        found[table] = {name: values[..., at] for at, name in enumerate(order)} | {
            name: here[..., at] for at, name in enumerate(_READINGS[table])
        }
    return Draws(**found)


def factor(normal: Array, sigma: Array | float) -> Array:
    """Return a lognormal factor with mean one."""
    return jnp.exp(sigma * normal - 0.5 * sigma**2)


def bursts(counted: Array, expected: Array, ca2: Array) -> Array:
    """Return a Poisson's counts spread out to about ca2 times the variance, as whole numbers.

    The standard deviation stays below a third of the mean where it would else cut into zero and
    move the mean; extreme bursts belong to the load's own course.
    """
    wider = jnp.maximum(jnp.minimum(ca2, expected / 9.0), jnp.minimum(ca2, 1.0))
    return jnp.maximum(jnp.round(expected + (counted - expected) * jnp.sqrt(wider)), 0.0)


def spread(p50: Array, p95: Array) -> Array:
    """Return sigma of the lognormal that has these quantiles."""
    ratio = jnp.maximum(p95, 1e-9) / jnp.maximum(p50, 1e-9)
    return jnp.clip(jnp.log(jnp.maximum(ratio, 1.0)) / _Z95, 0.0, 2.0)


def quantile(
    name: str, value_s: Array, spread: Array, number: Array, draw: Mapping[str, Array]
) -> Array:
    """Return a latency quantile of so many requests in ms, with the error such a sample has."""
    sigma = jnp.minimum(
        QUANTILE_SD[name] * spread / jnp.sqrt(jnp.maximum(number, 1.0)), _LARGEST_SIGMA
    )
    seen = value_s * 1000.0 * factor(draw[name], sigma)
    return jnp.where(number > 0.0, seen, jnp.nan)


def _flat(parts: Sequence[Array]) -> Array:
    return untouched(lambda: jnp.concatenate([part.ravel() for part in parts]))
