"""Quantiles of latency over a mixture of replicas, for users, for variants and for the gateway.

Each replica's latency is known by its quantiles. The mixture's survival is worked out on a fixed
number of times between the quickest median and the slowest tail, evenly spaced in the logarithm,
and read backwards by interpolation of its logarithm. Nobody waits longer than the timeout.
"""

from typing import Final

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from homeostat.twin import tables
from homeostat.twin.flow import LONGEST_S, Ground, Sums
from homeostat.twin.state import Slots

_TIMES: Final = 24
_TINY: Final = 1e-9
_LEAST_S: Final = 1e-5


class Latencies(eqx.Module):
    """Latency at the end of a block, in seconds; NaN without a request.

    Attributes:
        users: p50, p95, p99 of unique requests, failed ones at the deadline [3].
        gateway: p50, p95, p99 of answers, quick errors included, given-up ones at the timeout [3].
        variant: The same by variant [3, V].
        slot_p95: Of each slot's answers [S].
        slot_mean: Mean of a request that comes now [S].
    """

    users: Array
    gateway: Array
    variant: Array
    slot_p95: Array
    slot_mean: Array


def latencies(ground: Ground, slots: Slots, sums: Sums, dep_s: Array) -> Latencies:
    """Return the latencies of a block.

    Args:
        ground: What held during the block.
        slots: At its end.
        sums: Over its ticks.
        dep_s: Time the dependency adds [V].
    """
    service, timeout_s = ground.service, ground.habits.timeout_s
    mean, p50, p95, p99 = service.row.quantiles(slots.jobs, service.speed)
    front_s = slots.front / ground.frontend_rps
    extra = ground.delay_s + front_s + dep_s @ ground.member + 0.5 * _fill(ground, sums)
    stands = (ground.hung + ground.dead) > 0.0
    mean, p50, p95, p99 = (
        jnp.where(stands, LONGEST_S, jnp.minimum(each, LONGEST_S)) for each in (mean, p50, p95, p99)
    )
    weight = sums.tried
    times = _times(extra + p50, extra + p99, weight, timeout_s)
    waits = tables.survival(times[:, None] - extra, p50, p95, p99)
    waits = jnp.where(times[:, None] < extra, 1.0, waits)
    wrong = jnp.clip(service.error + service.nan, 0.0, 1.0)
    bad = jnp.maximum(service.fast, 1.0 - (1.0 - service.fast) * (1.0 - wrong))
    for_users = waits * (1.0 - bad) + bad
    quick = jnp.where(times[:, None] < service.fast_s, 1.0, 0.0)
    for_gateway = waits * (1.0 - service.fast) + service.fast * quick
    lost = sums.adrift.sum()
    users = _mixed(for_users, weight, lost)
    shares = weight * ground.member
    by_variant = (for_gateway @ shares.T) / jnp.maximum(shares.sum(axis=1), _TINY)
    gateway = _mixed(for_gateway, weight, jnp.float32(0.0))
    none = weight.sum() + lost <= 0.0
    return Latencies(
        users=jnp.where(none, jnp.nan, _read(times, users[:, None], timeout_s)[:, 0]),
        gateway=jnp.where(none, jnp.nan, _read(times, gateway[:, None], timeout_s)[:, 0]),
        variant=jnp.where(shares.sum(axis=1) > 0.0, _read(times, by_variant, timeout_s), jnp.nan),
        slot_p95=jnp.minimum(p95 + extra, timeout_s),
        slot_mean=jnp.minimum(mean + extra, LONGEST_S),
    )


def _fill(ground: Ground, sums: Sums) -> Array:
    busy = sums.tried > 0.0
    return jnp.where(busy & (ground.service.batch_max > 1.0), ground.service.fill_s, 0.0)


def _times(low: Array, high: Array, weight: Array, timeout_s: Array) -> Array:
    """Return the times at which survival is worked out [_TIMES]."""
    used = weight > 0.0
    first = jnp.min(jnp.where(used, low, jnp.inf))
    last = jnp.max(jnp.where(used, high, 0.0))
    first = jnp.clip(0.5 * first, _LEAST_S, 0.5 * timeout_s)
    last = jnp.clip(1.2 * last, 2.0 * first, jnp.maximum(timeout_s, 2.0 * first))
    steps = jnp.linspace(0.0, 1.0, _TIMES)
    return first * jnp.exp(steps * jnp.log(last / first))


def _mixed(survival: Array, weight: Array, lost: Array) -> Array:
    total = jnp.maximum(weight.sum() + lost, _TINY)
    return (survival @ weight + lost) / total


def _read(times: Array, survival: Array, timeout_s: Array) -> Array:
    """Return p50, p95 and p99 of columns of survival [_TIMES, C] as [3, C]."""
    logs = jnp.log(jnp.maximum(survival, 1e-6))
    left, right = logs[:-1], logs[1:]
    width = jnp.diff(times)[:, None]
    found = []
    for chance in (0.5, 0.05, 0.01):
        goal = jnp.log(chance)
        # Time spent above the goal: whole steps, and a part of the one that crosses it.
        drop = jnp.maximum(left - right, 1e-9)
        part = jnp.clip((left - goal) / drop, 0.0, 1.0)
        above = jnp.where(right > goal, 1.0, jnp.where(left > goal, part, 0.0))
        value = times[0] + (above * width).sum(axis=0)
        found.append(jnp.where(logs[-1] > goal, timeout_s, value))
    return jnp.minimum(jnp.stack(found), timeout_s)
