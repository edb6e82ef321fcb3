"""How an episode begins: replicas warm for a day, queues settled, nothing pending, nobody cured."""

from typing import Final

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from homeostat.twin import (
    chance,
    cures,
    labels,
    levers,
    params,
    quality,
    replicas,
    retraining,
    tables,
    telemetry,
    windows,
)
from homeostat.twin.effects import effects
from homeostat.twin.faults import Faults
from homeostat.twin.orders import Orders
from homeostat.twin.service import kinds, service
from homeostat.twin.shapes import VARIANTS, Phase
from homeostat.twin.state import (
    RETRY_CLASSES,
    RING,
    Clients,
    Live,
    Platform,
    State,
    by_variant,
    over_slots,
)

_SETTLE_S: Final = 3600.0  # an episode begins where the queues of its load have settled
_FULL: Final = 0.99  # a load beyond capacity has no stationary queue
_TINY: Final = 1e-9


def init(deployment: params.Params, faults: Faults, key: Array, curves: tables.Tables) -> State:
    """Return a deployment at the beginning of an episode, its queues settled.

    Args:
        deployment: Its parameters.
        faults: One episode's.
        key: The episode's PRNG key.
        curves: Queue tables.
    """
    slots_number = faults.slots.shape[1]
    ordered = levers.begin(deployment, slots_number)
    draws = chance.of_processes(key, jnp.zeros(slots_number, jnp.int32))
    live = Live(
        slots=replicas.begin(deployment, draws, slots_number),
        platform=_platform(deployment, ordered),
        clients=_clients(deployment.client),
        cured=cures.begin(faults),
        reverted=jnp.zeros(VARIANTS, bool),
        window=windows.open_window(slots_number),
        answered=jnp.zeros(VARIANTS),
        usd=jnp.float32(0.0),
    )
    state = State(
        now_s=jnp.float32(0.0),
        key=key,
        ordered=ordered,
        live=_settled(deployment, faults, curves, live),
        quality=quality.init(deployment.quality),
        labels=labels.init(),
        training=retraining.init(),
        channel=telemetry.init(chance.key_for(key, chance.Purpose.TELEMETRY), slots_number),
        evidence_low=jnp.asarray(a=False),
    )
    # Without weak types, or the second call of `advance` would be compiled anew.
    return jax.tree.map(  # type: ignore[no-any-return]
        lambda leaf: jax.lax.convert_element_type(leaf, leaf.dtype), state
    )


def _platform(deployment: params.Params, ordered: Orders) -> Platform:
    force = levers.values(ordered)
    return Platform(
        levers=force,
        pending=levers.nothing_pending(force),
        version=jnp.ones(VARIANTS),
        newest=jnp.float32(1.0),
        spares=deployment.provision.spares * jnp.float32(1.0),
        differs_s=jnp.float32(0.0),
        seen_load=jnp.float32(0.0),
        lagged_weights=force.weights,
    )


def _clients(client: params.Client) -> Clients:
    return Clients(
        failed=jnp.zeros((2 * RETRY_CLASSES, RING)),
        latency_s=jnp.float32(0.0),
        held_s=jnp.float32(0.0),
        waiting=jnp.zeros(VARIANTS),
        spare=client.retry_burst * jnp.float32(1.0),  # nobody has failed for a while
        ou=jnp.float32(0.0),
    )


def _settled(deployment: params.Params, faults: Faults, curves: tables.Tables, live: Live) -> Live:
    """Return the deployment with the queues that its first load leaves in the long run."""
    none = jnp.zeros(faults.primitive.shape)
    fx = effects(faults, cures.hits(faults, live.cured, live.slots, none, none > 0.0))
    sorts = kinds(deployment, fx, curves, live.slots, live.platform.levers)
    law = service(deployment, fx, sorts, live.slots, jnp.float32(0.0))
    ready = (live.slots.phase == Phase.READY).astype(jnp.float32)
    variant = live.slots.variant
    count = jnp.maximum(over_slots(ready, variant), 1.0)
    per_slot = by_variant(live.platform.levers.weights / count, variant)
    rate = deployment.demand.knots_rps[0] * per_slot * ready
    rate = jnp.minimum(rate, _FULL * law.row.capacity * law.speed)
    jobs = law.row.next_jobs(jnp.zeros_like(rate), rate, _SETTLE_S, law.speed)
    served = jnp.maximum(rate.sum(), _TINY)
    changed: Live = eqx.tree_at(
        lambda v: (
            v.slots.jobs,
            v.slots.busy,
            v.slots.mean_s,
            v.clients.latency_s,
            v.clients.held_s,
            v.platform.seen_load,
        ),
        live,
        (
            jnp.maximum(jobs, 0.0) * ready,
            rate / jnp.maximum(law.row.capacity * law.speed, _TINY) * ready,
            jnp.where(rate > 0.0, jobs / jnp.maximum(rate, _TINY), law.row.first_s),
            jobs.sum() / served,
            jobs.sum() / served,
            (rate / jnp.maximum(law.row.capacity, _TINY)).max(),
        ),
    )
    return changed
