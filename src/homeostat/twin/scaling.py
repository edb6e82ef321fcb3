"""How many replicas there are: who goes when fewer are wanted, and where new ones come from.

Who serves nobody goes first, then the youngest, as Kubernetes does it; a replica that serves drains
before it goes. New ones ask for a machine (a warm spare needs none) while the quota has room, on
slots whose machine is not gone.
"""

from typing import Final

import jax.numpy as jnp
from jax import Array

from homeostat.twin import params
from homeostat.twin.apart import apart
from homeostat.twin.chance import Draws
from homeostat.twin.effects import Effects
from homeostat.twin.shapes import VARIANTS, Phase
from homeostat.twin.state import Slots, by_variant, over_slots, put, running_sum

_OLDEST_S: Final = 4e5  # ages beyond it are equal; times 32 slots it still is a whole float
_HALF: Final = 0.5
_WHOLE: Final = 1e-3  # what sums of a few hundred blocks may lack


def gone(fx: Effects) -> Array:
    """Return which slots have lost their machine [S], bool."""
    return fx.of("replica_kill") + fx.of("pool_loss") > _HALF


def number(
    deployment: params.Params,
    fx: Effects,
    slots: Slots,
    draws: Draws,
    target: Array,
    spares: Array,
) -> tuple[Slots, Array]:
    """Return the slots with their number brought towards `target` [V], and the warm new ones."""
    there = slots.phase != Phase.EMPTY
    staying = there & ~slots.leaving
    count = over_slots(staying.astype(jnp.float32), slots.variant)
    target = jnp.clip(jnp.round(target), 0.0, float(there.shape[0]))
    slots = apart(lambda: _fewer(deployment, slots, staying, count - target))
    cap = fx.limit("cap_replicas", deployment.provision.cap)
    room = jnp.maximum(jnp.floor(cap) - there.sum(), 0.0)
    return _more(deployment, fx, slots, draws, jnp.maximum(target - count, 0.0), room, spares)


def _fewer(deployment: params.Params, slots: Slots, staying: Array, surplus: Array) -> Slots:
    """Return the slots with the surplus [V] on its way out: who serves nobody first, then youth."""
    ready = (slots.phase == Phase.READY) | (slots.phase == Phase.DRAINING)
    # A later start is younger; among equals the higher slot goes first.
    number = slots.phase.shape[0]
    serves = ready | (slots.phase == Phase.HUNG)
    age = jnp.clip(slots.age_s, 0.0, _OLDEST_S).astype(jnp.int32)
    key = jnp.where(serves, age + 1, 0) * number + (number - 1 - jnp.arange(number))
    beyond = number * (int(_OLDEST_S) + 2)
    key = apart(lambda: jnp.where(staying, key, beyond - 1).astype(jnp.float32))
    same = slots.variant[:, None] == slots.variant[None, :]
    rank = apart(lambda: (same & (key[None, :] < key[:, None])).sum(axis=1))
    goes = staying & (rank < by_variant(surplus, slots.variant))
    drains = goes & ready
    ends = goes & ~ready
    phase = jnp.where(drains, Phase.DRAINING, jnp.where(ends, Phase.EMPTY, slots.phase))
    return put(
        slots,
        phase=phase.astype(jnp.int32),
        leaving=(slots.leaving | drains) & (phase != Phase.EMPTY),
        timer_s=jnp.where(drains, deployment.provision.drain_s, slots.timer_s),
        jobs=jnp.where(ends, 0.0, slots.jobs),
        front=jnp.where(ends, 0.0, slots.front),
    )


def _more(
    deployment: params.Params,
    fx: Effects,
    slots: Slots,
    draws: Draws,
    missing: Array,
    room: Array,
    spares: Array,
) -> tuple[Slots, Array]:
    """Return the slots with new replicas asked for, and which of them are warm spares."""
    granted = jnp.minimum(running_sum(missing), room)
    empty = slots.phase == Phase.EMPTY
    # Slots whose machine is gone come last.
    number = empty.shape[0]
    lost = gone(fx)
    key = apart(
        lambda: jnp.arange(number) + jnp.where(lost, number, 0) + jnp.where(empty, 0, 2 * number)
    )
    order = apart(lambda: (key[None, :] < key[:, None]).sum(axis=1))
    new = empty & (order < granted[VARIANTS - 1])
    variant = jnp.zeros_like(slots.variant)
    for at in range(VARIANTS - 1):
        variant = variant + (order >= granted[at])
    warm = new & (order < jnp.floor(spares + _WHOLE))  # one that is half there is none
    provision = deployment.provision
    machine_s = fx.replaced("provision_delay_s", provision.delay_s)
    machine_s = machine_s * jnp.exp(provision.sigma * draws.delay)
    slots = put(
        slots,
        phase=jnp.where(new, Phase.PENDING, slots.phase).astype(jnp.int32),
        variant=jnp.where(new, variant, slots.variant).astype(jnp.int32),
        timer_s=jnp.where(new, machine_s, slots.timer_s),
        leaving=slots.leaving & ~new,
        crashes=jnp.where(new, 0.0, slots.crashes),
        disk=jnp.where(new, 0.0, slots.disk),
        stale_s=jnp.where(new, 0.0, slots.stale_s),
        age_s=jnp.where(new, 0.0, slots.age_s),
        swap_s=jnp.where(new, jnp.inf, slots.swap_s),
    )
    return slots, warm
