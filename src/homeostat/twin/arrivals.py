"""Organic load, second by second: knots, noise, and what faults make of it.

lambda(t) = interpolated knots x arrival faults x exp(Ornstein-Uhlenbeck noise). There is no Poisson
noise here: the stationary curves of the queue contain it already (adding it per tick was measured
to bias mean latency by +29 to +74 % at rho 0.8 to 0.95). Retries come on top, in `clients`. Nobody
can end a fault of the load before its time: users come as they like (`people`).
"""

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from homeostat.twin import params
from homeostat.twin.faults import Faults
from homeostat.twin.primitives import INDEX


class Load(eqx.Module):
    """Unique requests per second, tick by tick [T].

    Attributes:
        organic: What users want now.
        offered: The same and what was held back before and is let go now.
    """

    organic: Array
    offered: Array


def load(
    demand: params.Demand,
    faults: Faults,
    ou: Array,
    noise: Array,
    times: Array,
    strength: Array,
    dt: float,
) -> tuple[Array, Load]:
    """Return the noise's state after these ticks, and their load.

    Args:
        demand: The deployment's.
        faults: One episode's.
        ou: Standard normal state of the noise.
        noise: Standard normal draws [T].
        times: Beginning of each tick, seconds [T].
        strength: Of the faults at each tick, and one tick before the first [T + 1, F].
        dt: Length of a tick, seconds.
    """
    keep = jnp.exp(-dt / jnp.maximum(demand.ou_tau_s, 1e-3))
    spread = jnp.sqrt(jnp.maximum(1.0 - keep**2, 0.0))

    # The whole path at once: z_k = keep^(k + 1) z + spread sum_j keep^(k - j) draw_j.
    step = jnp.arange(noise.shape[0])
    ago = step[:, None] - step[None, :]
    decay = jnp.where(ago >= 0, keep ** jnp.maximum(ago, 0), 0.0)
    path = keep ** (step + 1) * ou + spread * (decay * noise).sum(axis=1)
    now, before = strength[1:], strength[:-1]
    swing = _is(faults, "arrival_mult") + _is(faults, "arrival_trace")
    logs = jnp.log(jnp.maximum(faults.magnitude, 1e-9)) * swing
    organic = _knots(demand, times) * jnp.exp(now @ logs + demand.ou_sd * path)
    minutes = faults.magnitude * _is(faults, "backlog_release")
    released = 60.0 * (jnp.maximum(now - before, 0.0) @ minutes) / dt
    return path[-1], Load(organic=organic, offered=organic * (1.0 + released))


def _is(faults: Faults, name: str) -> Array:
    return (faults.primitive == INDEX[name]).astype(jnp.float32)


def _knots(demand: params.Demand, times: Array) -> Array:
    last = demand.knots_rps.shape[0] - 1
    at = jnp.clip(times / jnp.maximum(demand.spacing_s, 1e-3), 0.0, float(last))
    left = jnp.minimum(at.astype(jnp.int32), last - 1)
    part = at - left
    low, high = demand.knots_rps[left], demand.knots_rps[left + 1]
    return jnp.maximum(low + (high - low) * part, 0.0)
