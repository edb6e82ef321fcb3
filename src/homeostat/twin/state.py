"""What one deployment of the twin remembers from tick to tick.

`kernel.init` builds it, `kernel.advance` replaces it. Nothing in it is known to a controller,
except `State.ordered`, which is what the controller said last. Parameters are in `params`, faults
in `faults`; both stay as they are for a whole episode.
"""

from typing import Final

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from homeostat.twin import labels, quality, retraining, telemetry, windows
from homeostat.twin.orders import Orders
from homeostat.twin.shapes import VARIANTS

RETRY_CLASSES: Final = 4  # attempts that may fail and be followed by another one
RING: Final = 160  # ticks that the clients' ring of failed attempts goes back


class Slots(eqx.Module):
    """Replica slots; every field [S].

    Attributes:
        phase: `shapes.Phase`, int32.
        variant: Which variant the slot serves, int32 (of an empty slot: the last one).
        timer_s: Left of what the phase waits for.
        too_slow: Bool: the load under way will miss the probe's deadline.
        leaving: Bool: draining for good, because fewer replicas are wanted.
        starts: Processes started on the slot so far, int32; names its draws of chance.
        crashes: Recent crashes; each doubles the platform's wait before the next start.
        age_s: Since the process became ready.
        jobs: Requests in the batch queue and in service.
        front: Requests waiting for the front end.
        busy: Share of its capacity that the slot used in the last block.
        share: Of the variant's traffic.
        mean_s: Mean latency of a request that comes at the end of the last block.
        p50: Median latency / mean latency there; like p95 and p99.
        p95: See p50.
        p99: See p50.
        leaked_gib: Host memory lost to a leak.
        device_gib: Device memory lost to a leak.
        memory_gib: Host memory in use.
        disk: Share of the disk in use.
        hazard: Poisonous requests that the process will survive yet (a draw, counted down).
        stale_s: Left of the time for which a dead endpoint still gets traffic.
        listed: Share of its time that the balancer knows the endpoint, 0..1.
        swap_s: Left until the previous version is loaded beside the running one; inf = none.
        luck: Uniform draw of the process: whether it comes up broken from a bad artefact.
    """

    phase: Array
    variant: Array
    timer_s: Array
    too_slow: Array
    leaving: Array
    starts: Array
    crashes: Array
    age_s: Array
    jobs: Array
    front: Array
    busy: Array
    share: Array
    mean_s: Array
    p50: Array
    p95: Array
    p99: Array
    leaked_gib: Array
    device_gib: Array
    memory_gib: Array
    disk: Array
    hazard: Array
    stale_s: Array
    listed: Array
    swap_s: Array
    luck: Array


class Levers(eqx.Module):
    """Lever values (or, as a mask, which of them); see `orders.Orders`.

    Attributes:
        replicas: [V].
        weights: [V].
        batch_max: [V].
        concurrency: Scalar.
        admit_rps: Scalar.
        drain: [S].
    """

    replicas: Array
    weights: Array
    batch_max: Array
    concurrency: Array
    admit_rps: Array
    drain: Array


class Pending(eqx.Module):
    """Writes on their way.

    Attributes:
        due_s: When they take effect; inf = none.
        values: Lever values.
        written: Which levers, as a mask.
        restart: Bool [S].
        rollback: Bool [V].
        by_us: Bool.
    """

    due_s: Array
    values: Levers
    written: Levers
    restart: Array
    rollback: Array
    by_us: Array


class Platform(eqx.Module):
    """What carries orders out.

    Attributes:
        levers: In force.
        pending: Writes on their way.
        version: Version number of each variant [V].
        newest: Highest version number given out.
        spares: Warm spare processes left.
        differs_s: For how long replicas or weights have not been what the other controller wants.
        seen_load: Utilisation as the other autoscaler sees it, late.
        lagged_weights: Where sticky users are [V].
    """

    levers: Levers
    pending: Pending
    version: Array
    newest: Array
    spares: Array
    differs_s: Array
    seen_load: Array
    lagged_weights: Array


class Clients(eqx.Module):
    """Users.

    Attributes:
        failed: Attempts that failed in the last ticks, 1/s [2 RETRY_CLASSES, RING], newest last:
            first those given up after the timeout, then those refused or answered with an error.
        latency_s: Mean latency of the last tick, failures at the deadline.
        held_s: Mean time for which it held a connection.
        waiting: Requests waiting for a dependency [V].
        spare: Attempts after the first that the users' budget holds.
        ou: Standard normal state of the load's noise.
    """

    failed: Array
    latency_s: Array
    held_s: Array
    waiting: Array
    spare: Array
    ou: Array


class Cured(eqx.Module):
    """Which faults are over before their time.

    Attributes:
        cleared: By a person [F], bool.
        slots: By a new process or version [F, S], bool.
        variants: By another write of a lever [F, V], bool.
    """

    cleared: Array
    slots: Array
    variants: Array


class Live(eqx.Module):
    """Everything that changes within a scrape.

    Attributes:
        slots: Replicas.
        platform: Levers.
        clients: Users.
        cured: Faults that are over.
        reverted: Variants that went back to their previous model since the last scrape [V], bool.
        window: Sums for the next scrape.
        answered: Requests answered since the last scrape [V].
        usd: Spent so far.
    """

    slots: Slots
    platform: Platform
    clients: Clients
    cured: Cured
    reverted: Array
    window: windows.Window
    answered: Array
    usd: Array


class State(eqx.Module):
    """A deployment between two scrapes.

    Attributes:
        now_s: Seconds since the episode began.
        key: The episode's PRNG key.
        ordered: The last orders, impulses cleared. Ordering this again is HOLD.
        live: What ticks change.
        quality: Sub-state of `quality`.
        labels: Sub-state of `labels`.
        training: Sub-state of `retraining`.
        channel: Sub-state of `telemetry`.
        evidence_low: Bool: as of the last scrape (see `outputs.Truth`).
    """

    now_s: Array
    key: Array
    ordered: Orders
    live: Live
    quality: quality.State
    labels: labels.State
    training: retraining.State
    channel: telemetry.Channel
    evidence_low: Array


def variant_mask(slots: Slots) -> Array:
    """Return which variant each slot serves, as 0 and 1 [V, S]."""
    return (slots.variant[None, :] == jnp.arange(VARIANTS)[:, None]).astype(jnp.float32)


def put(slots: Slots, **values: Array) -> Slots:
    """Return the slots with some fields replaced."""
    return Slots(**(vars(slots) | values))


# Three variants and a few dozen slots: choosing and adding up fuse into one loop, where products
# of matrices so small are a call each.
def by_variant(values: Array, variant: Array) -> Array:
    """Return each slot's value [..., S] of values by variant [..., V]."""
    found = jnp.broadcast_to(values[..., :1], (*values.shape[:-1], variant.shape[0]))
    for at in range(1, VARIANTS):
        found = jnp.where(variant == at, values[..., at : at + 1], found)
    return found


def over_slots(values: Array, variant: Array) -> Array:
    """Return sums over each variant's slots [..., V] of values by slot [..., S]."""
    mine = variant == jnp.arange(VARIANTS)[:, None]
    return jnp.where(mine, values[..., None, :], 0.0).sum(axis=-1)


def running_sum(values: Array) -> Array:
    """Return the sums up to and including each of a few values [V]."""
    sums = [values[..., 0]]
    for at in range(1, values.shape[-1]):
        sums.append(sums[-1] + values[..., at])
    return jnp.stack(sums, axis=-1)
