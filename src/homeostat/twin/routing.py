"""Which replica gets which share of a variant's traffic.

At random, or by least work: a balancer that keeps outstanding requests level sends each replica
what it works off at that level. One that fails at once is then the fastest of all (a black hole),
one that hangs gets what its clients give up on. Endpoints that are gone, but still listed, get
their share and answer nothing.
"""

from typing import Final

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from homeostat.twin import params
from homeostat.twin.effects import Effects
from homeostat.twin.service import Service, throughput
from homeostat.twin.shapes import Phase
from homeostat.twin.state import Platform, Slots, by_variant, over_slots

_TINY: Final = 1e-6
# A balancer that looks may find every endpoint's backlog huge: their shares are still shares.
_NOTHING: Final = 1e-30
# A replica with more than so many times the usual backlog is left alone by a balancer that looks.
_BACKLOG: Final = 2.0
_LEAST_JOBS: Final = 0.1


class Routes(eqx.Module):
    """Where traffic goes during a block.

    Attributes:
        weights: Of each variant, sum 1 [V].
        reachable: 1 where a variant has an endpoint [V].
        share: Of its variant's traffic [S].
    """

    weights: Array
    reachable: Array
    share: Array


def routes(
    deployment: params.Params,
    fx: Effects,
    platform: Platform,
    slots: Slots,
    service: Service,
    luck: Array,
) -> Routes:
    """Return where traffic goes.

    Args:
        deployment: Its parameters.
        fx: Faults in force.
        platform: For weights, and who is out of rotation.
        slots: As of now.
        service: How they serve.
        luck: Uniform draw of each slot: in which order endpoints fall out of the list [S].
    """
    listed = _listed(slots, luck, platform.levers.drain)
    variant = slots.variant
    mean = _level(slots, listed)
    served_s = jnp.minimum(
        mean / jnp.maximum(throughput(service, mean), _TINY),
        deployment.client.timeout_s,
    )
    residence = (1.0 - service.fast) * served_s + service.fast * service.fast_s
    crowded = jnp.minimum(_BACKLOG * (mean + 1.0) / (slots.jobs + 1.0), 1.0) ** 2
    drawn = listed * crowded * mean / jnp.maximum(residence, _TINY)
    choice = jnp.clip(deployment.client.least_loaded, 0.0, 1.0)
    share = (1.0 - choice) * _normal(variant, listed) + choice * _normal(variant, drawn)
    sticky = jnp.clip(fx.replaced("lb_sticky", deployment.client.sticky), 0.0, 1.0)
    weights = (1.0 - sticky) * platform.levers.weights + sticky * platform.lagged_weights
    return Routes(
        weights=weights / jnp.maximum(weights.sum(), _TINY),
        reachable=(over_slots(listed, variant) > 0.0).astype(jnp.float32),
        share=share,
    )


def listing(fx: Effects, slots: Slots, seconds: float) -> Array:
    """Return how much of its time the balancer still knows each living endpoint [S]."""
    fades = fx.limit("discovery_decay_s")
    return jnp.where(jnp.isfinite(fades), slots.listed * jnp.exp(-seconds / fades), 1.0)


def _listed(slots: Slots, luck: Array, drain: Array) -> Array:
    # A process that hangs finishes nothing, but is out of rotation like any that drains.
    alive = (slots.phase == Phase.READY) | ((slots.phase == Phase.HUNG) & ~drain)
    known = alive & (slots.listed >= luck)
    return (known | (slots.stale_s > 0.0)).astype(jnp.float32)


def _level(slots: Slots, listed: Array) -> Array:
    """Return the usual number of outstanding requests of a replica of the same variant [S]."""
    counted = listed * (slots.phase == Phase.READY)
    total = over_slots(slots.jobs * counted, slots.variant)
    mean = total / jnp.maximum(over_slots(counted, slots.variant), 1.0)
    return by_variant(jnp.maximum(mean, _LEAST_JOBS), slots.variant)


def _normal(variant: Array, drawn: Array) -> Array:
    return drawn / jnp.maximum(by_variant(over_slots(drawn, variant), variant), _NOTHING)
