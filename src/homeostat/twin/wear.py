"""What a block of ticks leaves behind: memory, disk, poison, and what whoever measures it saw."""

from typing import Final

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from homeostat.twin import flow, latency, memory, params, routing, windows
from homeostat.twin.effects import Effects
from homeostat.twin.shapes import Phase
from homeostat.twin.state import Live, by_variant, put

_TINY: Final = 1e-9


def worn(
    deployment: params.Params,
    fx: Effects,
    live: Live,
    ground: flow.Ground,
    traffic: flow.Traffic,
    seconds: float,
) -> Live:
    """Return what the block's work left in memory, on disk and in the users' minds."""
    slots, law, sums = live.slots, ground.service, traffic.sums
    host, device, disk = memory.leak(fx, slots, sums.served, seconds)
    serves = (slots.phase == Phase.READY) | (slots.phase == Phase.DRAINING)
    full = law.row.capacity * law.speed * seconds
    variant = slots.variant
    crowd = jnp.maximum(by_variant(ground.replicas, variant), 1.0)
    meets = fx.of("poison_rate") * ground.routes.share * by_variant(ground.routes.weights, variant)
    meets = meets * (1.0 + fx.share("retry_to_next_replica") * (crowd - 1.0))
    hazard = slots.hazard - meets * fx.share("replica_crash_on_poison") * seconds
    there = slots.phase != Phase.EMPTY
    after = put(
        slots,
        jobs=traffic.jobs,
        front=traffic.front,
        busy=jnp.where(serves & (full > 0.0), sums.served / jnp.maximum(full, _TINY), 0.0),
        share=ground.routes.share,
        leaked_gib=host,
        device_gib=device,
        disk=jnp.where(there, disk, 0.0),
        hazard=hazard,
        listed=routing.listing(fx, slots, seconds),
    )
    used = jnp.where(
        serves | (slots.phase == Phase.HUNG),
        memory.used_gib(deployment.memory, fx, after),
        0.0,
    )
    after = put(after, memory_gib=used)
    changed: Live = eqx.tree_at(
        lambda v: (v.slots, v.clients.latency_s, v.clients.held_s, v.clients.waiting),
        live,
        (after, traffic.latency_s, traffic.held_s, traffic.waiting),
    )
    return changed


def seen(
    ground: flow.Ground,
    traffic: flow.Traffic,
    late: latency.Latencies,
    reached: Array,
    wrong: Array,
    usd: Array,
    seconds: float,
) -> windows.Tick:
    """Return what the block shows to whoever measures it."""
    law, sums = ground.service, traffic.sums
    served = sums.served / seconds
    # Mean batch lambda tau0 / (1 - lambda alpha) once batches follow each other.
    tau0_s, alpha_s = law.kinds.tau0_s * law.contention, law.kinds.alpha_s * law.contention
    spare = jnp.maximum(1.0 - served * alpha_s, _TINY)
    batch = jnp.clip(served * tau0_s / spare, 1.0, law.kinds.batch_max)
    device_s = tau0_s + alpha_s * batch
    works = (served > 0.0) & (law.speed > 0.0)
    return windows.Tick(
        refused=sums.refused / seconds,
        p50_s=late.gateway[0],
        p95_s=late.gateway[1],
        p99_s=late.gateway[2],
        usd_per_hour=usd,
        variant_attempts=reached / seconds,
        variant_errors=wrong / seconds,
        variant_p50_s=late.variant[0],
        variant_p95_s=late.variant[1],
        slot_attempts=sums.tried / seconds,
        slot_errors=sums.wrong / seconds,
        slot_p95_s=late.slot_p95,
        busy=jnp.where(works, jnp.minimum(served * device_s / batch, 1.0), 0.0),
        batch=jnp.where(works, batch, 0.0),
        batch_full=jnp.where(works, (batch / law.kinds.batch_max) ** 3, 0.0),
        device_s=jnp.where(works, device_s, 0.0),
        contention=law.contention,
    )
