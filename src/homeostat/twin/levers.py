"""What becomes of orders: written, lost, late, in force, written over by somebody else.

A lever is written when an order differs from the last order and from what is in force. Writes take
effect after the platform's latency, all of a scrape together; a write that is lost leaves the old
value in force, which shows when levers are read back.
"""

from typing import Final

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from homeostat.twin import params
from homeostat.twin.cures import Hits, Written
from homeostat.twin.effects import Effects
from homeostat.twin.faults import Faults
from homeostat.twin.orders import Orders
from homeostat.twin.primitives import INDEX
from homeostat.twin.shapes import VARIANTS, Variant
from homeostat.twin.state import Levers, Pending, Platform

STICKY_S: Final = 120.0  # time constant with which sticky users follow the weights
# The other autoscaler: Kubernetes' defaults (every 15 s, tolerance 10 %), target 70 %.
_HPA_TARGET: Final = 0.7
_HPA_EVERY_S: Final = 15.0
_HPA_TOLERANCE: Final = 0.1
_SAME: Final = 1e-4


def values(orders: Orders) -> Levers:
    """Return an order's lever values, made sane: no NaN, nothing negative, at least one request."""
    replicas = jnp.maximum(jnp.nan_to_num(orders.replicas), 0.0)
    weights = jnp.maximum(jnp.nan_to_num(orders.weights), 0.0)
    total = weights.sum()
    even = jnp.ones(VARIANTS) / VARIANTS
    admit = jnp.where(jnp.isnan(orders.admit_rps), jnp.inf, jnp.maximum(orders.admit_rps, 0.0))
    return Levers(
        replicas=jnp.round(replicas),
        weights=jnp.where(total > 0.0, weights / jnp.maximum(total, 1e-9), even),
        batch_max=jnp.maximum(jnp.nan_to_num(orders.batch_max, nan=1.0), 1.0),
        concurrency=jnp.maximum(jnp.nan_to_num(orders.concurrency, nan=1.0), 1.0),
        admit_rps=admit,
        drain=orders.drain,
    )


def begin(deployment: params.Params, slots: int) -> Orders:
    """Return the orders that leave everything as the episode begins."""
    none = jnp.asarray(a=False)
    return Orders(
        replicas=jnp.round(deployment.replicas),
        weights=deployment.weights / jnp.maximum(deployment.weights.sum(), 1e-9),
        batch_max=deployment.service.batch_max * jnp.ones(VARIANTS),
        concurrency=deployment.service.concurrency * jnp.float32(1.0),
        admit_rps=jnp.float32(jnp.inf),
        restart=jnp.zeros(slots, bool),
        drain=jnp.zeros(slots, bool),
        rollback=jnp.zeros(VARIANTS, bool),
        retrain=none,
        retrain_ungated=none,
        person_fixes=none,
        by_us=none,
    )


def quiet(orders: Orders) -> Orders:
    """Return the orders without impulses: ordering these again changes nothing."""
    off = jnp.zeros_like(orders.by_us)
    return Orders(
        replicas=orders.replicas,
        weights=orders.weights,
        batch_max=orders.batch_max,
        concurrency=orders.concurrency,
        admit_rps=orders.admit_rps,
        restart=jnp.zeros_like(orders.restart),
        drain=orders.drain,
        rollback=jnp.zeros_like(orders.rollback),
        retrain=off,
        retrain_ungated=off,
        person_fixes=off,
        by_us=off,
    )


def nothing_pending(levers: Levers) -> Pending:
    """Return that no write is on its way."""
    return Pending(
        due_s=jnp.float32(jnp.inf),
        values=levers,
        written=jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, bool), levers),
        restart=jnp.zeros(levers.drain.shape, bool),
        rollback=jnp.zeros(VARIANTS, bool),
        by_us=jnp.asarray(a=False),
    )


def accept(
    deployment: params.Params,
    lost: tuple[Array, Array],
    platform: Platform,
    said: tuple[Orders, Orders],
    batch_max: Array,
    now_s: Array,
) -> Pending:
    """Return what is on its way after orders arrived.

    Args:
        deployment: Its parameters.
        lost: Whether this scrape's writes are lost, and whether its rollbacks are.
        platform: As of now.
        said: The last orders, and the new ones.
        batch_max: In force, what somebody else set included [V].
        now_s: Seconds since the episode began.
    """
    ordered, orders = said
    new, last, force = values(orders), values(ordered), platform.levers
    differs = _differs(new, last, eqx.tree_at(lambda v: v.batch_max, force, batch_max))
    written = jax.tree.map(lambda d: d & ~lost[0], differs)
    restart = orders.restart & ~lost[0]
    rollback = orders.rollback & ~lost[1]
    asked = jnp.stack([leaf.any() for leaf in jax.tree.leaves(differs)]).any()
    asked = asked | orders.restart.any() | orders.rollback.any() | orders.by_us
    old = platform.pending
    waiting = jnp.isfinite(old.due_s)
    due_s = jnp.where(asked & ~waiting, now_s + deployment.actuation.latency_s, old.due_s)
    return Pending(
        due_s=due_s,
        values=jax.tree.map(jnp.where, written, new, old.values),
        written=jax.tree.map(lambda w, o: w | (o & waiting), written, old.written),
        restart=restart | (old.restart & waiting),
        rollback=rollback | (old.rollback & waiting),
        by_us=orders.by_us | (old.by_us & waiting),
    )


def losses(
    deployment: params.Params, faults: Faults, hits: Hits, draws: Array
) -> tuple[Array, Array]:
    """Return whether this scrape's writes are lost, and whether its rollbacks are.

    Args:
        deployment: Its parameters.
        faults: One episode's; a failing actuator without a slot fails rollbacks only.
        hits: Where they hit.
        draws: Uniform draws of this scrape.
    """
    fails = (faults.primitive == INDEX["actuator_fail"]) * hits.deployment * faults.magnitude
    everywhere = faults.slots.any(axis=1)
    usual = deployment.actuation.fail
    lost = draws[0] < jnp.clip(usual + (fails * everywhere).sum(), 0.0, 1.0)
    return lost, lost | (draws[1] < jnp.clip(fails.sum(), 0.0, 1.0))


def apply(platform: Platform, due: Array) -> tuple[Platform, Written]:
    """Return the platform with pending writes in force if they are due, and what was written."""
    pending = platform.pending
    mask = jax.tree.map(lambda leaf: leaf & due, pending.written)
    levers = jax.tree.map(jnp.where, mask, pending.values, platform.levers)
    by_variant = mask.replicas | mask.batch_max | mask.weights
    anything = by_variant | mask.concurrency | mask.admit_rps | mask.drain.any()
    written = Written(batch_max=mask.batch_max, concurrency=mask.concurrency, anything=anything)
    left = jax.tree.map(lambda a, b: jnp.where(due, a, b), nothing_pending(levers), pending)
    changed: Platform = eqx.tree_at(lambda p: (p.levers, p.pending), platform, (levers, left))
    return changed, written


def interfere(
    deployment: params.Params,
    fx: Effects,
    platform: Platform,
    load: Array,
    now_s: Array,
    seconds: float,
) -> Platform:
    """Return the platform after other controllers had their say.

    One writes its own replicas and weights (those of the start) back once they have differed for
    `config_revert` seconds; one scales A by `external_hpa_gain` on a late utilisation, blind to
    replicas that are still on their way.

    Args:
        deployment: Its parameters.
        fx: Faults in force.
        platform: As of now.
        load: Mean utilisation of A's ready replicas.
        now_s: Seconds since the episode began.
        seconds: Length of a block.
    """
    levers, own = platform.levers, values(begin(deployment, platform.levers.drain.shape[0]))
    differs = (jnp.abs(levers.replicas - own.replicas) > _SAME).any()
    differs = differs | (jnp.abs(levers.weights - own.weights) > _SAME).any()
    age_s = jnp.where(differs, platform.differs_s + seconds, 0.0)
    revert = age_s > fx.limit("config_revert")
    replicas = jnp.where(revert, own.replicas, levers.replicas)
    weights = jnp.where(revert, own.weights, levers.weights)
    seen = platform.seen_load
    seen = seen + (load - seen) * jnp.minimum(seconds / (2.0 * _HPA_EVERY_S), 1.0)
    gain = fx.of("external_hpa_gain")
    error = seen / _HPA_TARGET - 1.0
    beat = jnp.floor(now_s / _HPA_EVERY_S) != jnp.floor((now_s - seconds) / _HPA_EVERY_S)
    acts = (gain > 0.0) & beat & (jnp.abs(error) > _HPA_TOLERANCE)
    scaled = jnp.ceil(replicas[Variant.A] * jnp.clip(1.0 + gain * error, 0.5, 2.0))
    scaled = jnp.clip(scaled, 1.0, deployment.money.hard_cap)
    is_a = jnp.arange(VARIANTS) == Variant.A
    replicas = jnp.where(is_a & acts, scaled, replicas)
    lagged = platform.lagged_weights
    lagged = lagged + (weights - lagged) * min(seconds / STICKY_S, 1.0)
    changed: Platform = eqx.tree_at(
        lambda p: (p.levers.replicas, p.levers.weights, p.differs_s, p.seen_load, p.lagged_weights),
        platform,
        (replicas, weights, jnp.where(revert, 0.0, age_s), seen, lagged),
    )
    return changed


def in_force(platform: Platform, orders: Orders, batch_max: Array) -> Array:
    """Return whether what was ordered is in force, as read back; bool."""
    force = eqx.tree_at(lambda v: v.batch_max, platform.levers, batch_max)
    wrong = _unlike(values(orders), force)
    return ~jnp.stack([leaf.any() for leaf in jax.tree.leaves(wrong)]).any()


def _unlike(left: Levers, right: Levers) -> Levers:
    def unlike(a: Array, b: Array) -> Array:
        if a.dtype == bool:
            return a != b
        # Of the smaller one: no limit at all (inf) is unlike every limit.
        near = _SAME * jnp.maximum(jnp.minimum(jnp.abs(a), jnp.abs(b)), 1.0)
        return (a != b) & ~(jnp.abs(a - b) <= near)

    found = jax.tree.map(unlike, left, right)
    marked: Levers = eqx.tree_at(
        lambda v: v.weights, found, found.weights.any() & jnp.ones(VARIANTS, bool)
    )
    return marked


def _differs(new: Levers, last: Levers, force: Levers) -> Levers:
    both: Levers = jax.tree.map(jnp.logical_and, _unlike(new, last), _unlike(new, force))
    return both
