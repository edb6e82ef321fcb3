"""What the deployment costs: every replica that is held, from the moment it is asked for."""

import jax.numpy as jnp
from jax import Array

from homeostat.twin import params
from homeostat.twin.effects import Effects
from homeostat.twin.shapes import Phase
from homeostat.twin.state import Slots, over_slots


def held(slots: Slots) -> Array:
    """Return the replicas that cost money: all that are not empty, dead ones included [V]."""
    return over_slots((slots.phase != Phase.EMPTY).astype(jnp.float32), slots.variant)


def usd_per_hour(money: params.Money, fx: Effects, holding: Array) -> Array:
    """Return the spend rate.

    Args:
        money: Prices.
        fx: Faults in force, for a price that rises.
        holding: Replicas held [V].
    """
    return (money.usd_per_hour * fx.of("cost_mult") * holding).sum()
