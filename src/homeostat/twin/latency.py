"""Quantiles of latency over a mixture of replicas, for users, for variants and for the gateway.

Each replica's latency is known by its quantiles. The mixture's survival is worked out on a fixed
number of times between the quickest median and the slowest tail, evenly spaced in the logarithm,
and read backwards by interpolation of its logarithm. Nobody waits longer than the timeout.
"""

from typing import Final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from homeostat.twin import tables
from homeostat.twin.apart import apart
from homeostat.twin.flow import LONGEST_S, RESEND_S, Ground, Sums
from homeostat.twin.service import throughput
from homeostat.twin.state import Slots, by_variant, over_slots

_TIMES: Final = 14
_NORMAL: Final = (0.0, 1.645, 2.326)  # p50, p95 and p99 of the standard normal distribution
_CHANCES: Final = (0.5, 0.05, 0.01)  # of waiting longer than the median, p95, p99
_LEAST_JOBS: Final = 1e-6
_TINY: Final = 1e-9
_LEAST_S: Final = 1e-5


class Latencies(eqx.Module):
    """Latency at the end of a block, in seconds; NaN without a request.

    Attributes:
        users: p50, p95, p99 of attempts let in, those without an answer at the deadline [3].
        gateway: p50, p95, p99 of answers, quick errors included, given-up ones at the timeout [3].
        variant: The same by variant [3, V].
        slot_p95: Of each slot's answers [S].
        mean_s: Mean of a request that comes now, in the queue and in service [S].
        spread: p50, p95 and p99 there, over the mean [3, S].
    """

    users: Array
    gateway: Array
    variant: Array
    slot_p95: Array
    mean_s: Array
    spread: Array


def latencies(ground: Ground, slots: Slots, sums: Sums, dep_s: Array) -> Latencies:
    """Return the latencies of a block.

    Args:
        ground: What held during the block.
        slots: At its end.
        sums: Over its ticks.
        dep_s: Time the dependency adds [V].
    """
    service, timeout_s = ground.service, ground.habits.timeout_s
    mean_s, p50, p95, p99, extra = apart(lambda: _each(ground, slots, sums, dep_s))
    weight = sums.tried
    slowest = extra + p99 + jnp.where(ground.loss > 0.0, RESEND_S, 0.0)
    times = apart(lambda: _times(extra + p50, slowest, weight, timeout_s))
    waits = apart(lambda: _waits(ground, times, extra, (p50, p95, p99)))
    turned = sums.turned / jnp.maximum(sums.tried, _TINY)
    taken = jnp.clip(1.0 - service.fast - turned, 0.0, 1.0)
    # An invalid answer comes as fast as a valid one: that it is worth nothing is for quality.
    said = taken * (1.0 - service.error)
    for_users = 1.0 - said * (1.0 - waits)
    quick = jnp.where(times[:, None] < service.fast_s, 1.0, 0.0)
    refused = jnp.where(times[:, None] < ground.delay_s, 1.0, 0.0)
    for_gateway = waits * taken + service.fast * quick + turned * refused
    lost = sums.adrift.sum()
    users = (for_users * weight).sum(axis=1) + lost
    users = users / jnp.maximum(weight.sum() + lost, _TINY)
    of_variant = over_slots(weight, ground.variant)
    slow = over_slots(for_gateway * weight, ground.variant)
    gateway = slow.sum(axis=1) / jnp.maximum(of_variant.sum(), _TINY)
    none = weight.sum() + lost <= 0.0
    each = slow / jnp.maximum(of_variant, _TINY)
    columns = apart(lambda: jnp.concatenate([users[:, None], gateway[:, None], each], axis=1))
    read = apart(lambda: _read(times, columns, timeout_s))
    return Latencies(
        users=jnp.where(none, jnp.nan, read[:, 0]),
        gateway=jnp.where(none, jnp.nan, read[:, 1]),
        variant=jnp.where(of_variant > 0.0, read[:, 2:], jnp.nan),
        slot_p95=jnp.minimum(p95 + extra, timeout_s),
        mean_s=mean_s,
        spread=jnp.stack([p50, p95, p99]) / jnp.maximum(mean_s, _TINY),
    )


def _each(
    ground: Ground, slots: Slots, sums: Sums, dep_s: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """Return mean, p50, p95 and p99 in queue and service, and the time beside them, each [S]."""
    service = ground.service
    _, *found = service.row.quantiles(slots.jobs, service.speed)
    mean_s = slots.jobs / jnp.maximum(throughput(service, slots.jobs), _TINY)
    alone_s = service.row.first_s / jnp.maximum(service.speed, _TINY)
    mean_s = jnp.where(slots.jobs > _LEAST_JOBS, mean_s, alone_s)
    front_s = slots.front / ground.frontend_rps
    extra = ground.delay_s + front_s + by_variant(dep_s, ground.variant) + 0.5 * _fill(ground, sums)
    stands = (ground.hung + ground.dead) > 0.0
    most = _at_most(ground, slots)
    mean_s, p50, p95, p99 = (
        jnp.where(stands, LONGEST_S, jnp.minimum(each, LONGEST_S))
        for each in (mean_s, *(jnp.minimum(*pair) for pair in zip(found, most, strict=True)))
    )
    return mean_s, p50, p95, p99, extra


def _at_most(ground: Ground, slots: Slots) -> tuple[Array, Array, Array]:
    """Return the most that p50, p95 and p99 can be of what was let in, the queue being bounded [S].

    The last to be let in waits for the batch in service, and then for full ones until its own is
    done: 1 + (N - 1) / b batches, rounded up. Their sum varies by the root of their number.
    """
    kinds, speed = ground.service.kinds, jnp.maximum(ground.service.speed, _TINY)
    held = jnp.maximum(ground.concurrency, slots.jobs)
    batches = 1.0 + jnp.ceil(jnp.maximum(held - 1.0, 0.0) / kinds.batch_max)
    full_s = (kinds.tau0_s + kinds.alpha_s * kinds.batch_max) / speed
    spread = jnp.sqrt(kinds.cv2 / batches)
    p50, p95, p99 = (batches * full_s * (1.0 + z * spread) for z in _NORMAL)
    return p50, p95, p99


def _waits(
    ground: Ground, times: Array, extra: Array, quantiles: tuple[Array, Array, Array]
) -> Array:
    """Return the share of requests that take longer than each time [_TIMES, S]."""
    p50, p95, p99 = quantiles
    waits = tables.survival(times[:, None] - extra, p50, p95, p99)
    waits = jnp.where(times[:, None] < extra, 1.0, waits)
    # What is sent again comes later by the time until it is; its own spread does not matter then.
    again = jnp.where(times[:, None] < extra + RESEND_S + p50, 1.0, 0.0)
    return waits + ground.loss * jnp.maximum(again - waits, 0.0)


def _fill(ground: Ground, sums: Sums) -> Array:
    busy = sums.tried > 0.0
    return jnp.where(busy & (ground.service.kinds.batch_max > 1.0), ground.service.fill_s, 0.0)


def _times(low: Array, high: Array, weight: Array, timeout_s: Array) -> Array:
    """Return the times at which survival is worked out [_TIMES]."""
    used = weight > 0.0
    first = jnp.min(jnp.where(used, low, jnp.inf))
    last = jnp.max(jnp.where(used, high, 0.0))
    first = jnp.clip(0.5 * first, _LEAST_S, 0.5 * timeout_s)
    last = jnp.clip(1.2 * last, 2.0 * first, jnp.maximum(timeout_s, 2.0 * first))
    steps = jnp.linspace(0.0, 1.0, _TIMES)
    return first * jnp.exp(steps * jnp.log(last / first))


def _read(times: Array, survival: Array, timeout_s: Array) -> Array:
    """Return p50, p95 and p99 of columns of survival [_TIMES, C] as [3, C]."""
    columns = survival.shape[1]
    logs = jnp.log(jnp.maximum(survival, 1e-6))
    # Side by side and step by step: rows of a few columns, summed over times, fill no vector.
    every = apart(lambda: jnp.tile(logs, (1, len(_CHANCES))))
    goal = np.log(np.repeat(np.asarray(_CHANCES, np.float32), columns))
    width = jnp.diff(times)
    value = jnp.broadcast_to(times[0], goal.shape)
    for k in range(_TIMES - 1):
        # Time spent above the goal: whole steps, and a part of the one that crosses it.
        left, right = every[k], every[k + 1]
        part = jnp.clip((left - goal) / jnp.maximum(left - right, 1e-9), 0.0, 1.0)
        above = jnp.where(right > goal, 1.0, jnp.where(left > goal, part, 0.0))
        value = value + above * width[k]
    value = jnp.where(every[-1] > goal, timeout_s, value)
    return jnp.minimum(value, timeout_s).reshape(len(_CHANCES), columns)
