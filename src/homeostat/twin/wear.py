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
        lambda v: (
            v.slots,
            v.clients.latency_s,
            v.clients.held_s,
            v.clients.waiting,
            v.clients.spare,
        ),
        live,
        (after, traffic.latency_s, traffic.held_s, traffic.waiting, traffic.spare),
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
    tau0_s, alpha_s = law.kinds.tau0_s * law.contention, law.kinds.alpha_s * law.contention
    batch = _mean_batch(served, tau0_s, alpha_s, law.fill_s, law.kinds.batch_max)
    device_s = tau0_s + alpha_s * batch
    works = (served > 0.0) & (law.speed > 0.0)
    # The page counts what the process answers. Whom it turned away it did not serve, and a request
    # whose user gave up is answered late.
    answered = (sums.tried - sums.turned) * law.answers
    fast = sums.tried * law.fast
    own = fast + jnp.maximum(sums.tried - fast - sums.turned, 0.0) * law.error
    own = jnp.minimum(own, sums.tried - sums.turned) * law.answers
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
        slot_answered=answered / seconds,
        slot_errors=own / seconds,
        slot_served=served,
        slot_p95_s=late.slot_p95,
        busy=jnp.where(works, jnp.minimum(served * device_s / batch, 1.0), 0.0),
        batch=jnp.where(works, batch, 0.0),
        batch_full=jnp.where(works, (batch / law.kinds.batch_max) ** 3, 0.0),
        device_s=jnp.where(works, device_s, 0.0),
        contention=law.contention,
        preempted=served * law.tokens.put_back,
        prompts=served * law.tokens.prompt,
        generated=served * law.tokens.generated,
    )


def _mean_batch(served: Array, tau0_s: Array, alpha_s: Array, fill_s: Array, most: Array) -> Array:
    """Return the mean batch of each slot [S].

    A batch holds who came during the last one, S(b) long; where nobody did (Poisson arrivals), the
    next to come and whoever follows in the time for filling. Without the second part it is
    lambda tau0 / (1 - lambda alpha), the mean where batches follow each other.
    """
    batch = jnp.clip(served * tau0_s / jnp.maximum(1.0 - served * alpha_s, _TINY), 1.0, most)
    for _ in range(2):  # one request more makes S(b) longer by alpha only: it settles at once
        came = served * (tau0_s + alpha_s * batch)
        nobody = jnp.exp(-came)
        batch = jnp.clip(came + nobody * (1.0 + served * fill_s), 1.0, most)
    return batch
