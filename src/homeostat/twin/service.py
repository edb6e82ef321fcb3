"""The service law as faults leave it: S(b) = (tau0 + alpha b) x contention / speed, by replica.

Worked out once per block of ticks. Beyond the device memory's capacity part of the work is done
twice; burstiness, variable work and a balancer that looks at load change how long a queue gets
(`tables.Tables.row`).
"""

from typing import Final

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from homeostat.twin import memory, params, tables, tokens
from homeostat.twin.effects import Effects
from homeostat.twin.shapes import Phase
from homeostat.twin.state import Levers, Slots, by_variant, over_slots

# A cache that misses everything makes the work of a request twice the usual.
CACHE_WORTH: Final = 1.0
# Time that a broken process takes to answer with an error.
SICK_S: Final = 0.01
_TINY: Final = 1e-6


class Kinds(eqx.Module):
    """What the replicas are, during a scrape; each [S] unless said otherwise.

    Attributes:
        row: Queue curves at the usual speed [..., S].
        tau0_s: Fixed time of a batch.
        alpha_s: Time per request of a batch.
        batch_max: Largest batch.
        cv2: Squared coefficient of variation of a batch's time.
    """

    row: tables.Row
    tau0_s: Array
    alpha_s: Array
    batch_max: Array
    cv2: Array


class Service(eqx.Module):
    """How each replica serves during a block; each [S] unless said otherwise.

    Attributes:
        kinds: What the replicas are.
        speed: Against their curves; 0 where nothing is worked off.
        contention: Slowness against a fresh, undisturbed process.
        fill_s: Longest wait for a batch to fill.
        error: Probability that a request fails after having been served.
        fast: Share of requests that fail at once.
        fast_s: Time in which they do.
        nan: Probability of an invalid answer.
        sick: Bool: the process is broken.
        answers: 1 where a process takes requests and works them off (ready, or draining).
        tokens: How full the device memory is, and how long requests are.
    """

    kinds: Kinds
    speed: Array
    contention: Array
    fill_s: Array
    error: Array
    fast: Array
    fast_s: Array
    nan: Array
    sick: Array
    answers: Array
    tokens: tokens.Tokens

    @property
    def row(self) -> tables.Row:
        """Queue curves at the usual speed."""
        return self.kinds.row


def kinds(
    deployment: params.Params,
    fx: Effects,
    curves: tables.Tables,
    slots: Slots,
    levers: Levers,
) -> Kinds:
    """Return what the replicas are; worked out once per scrape.

    Args:
        deployment: Its parameters.
        fx: Faults in force.
        curves: Queue tables.
        slots: As of now.
        levers: In force during most of the scrape.
    """
    own, variant = deployment.service, slots.variant
    batch_max = batches(deployment, fx, levers)
    work, mix_cv2 = _work(deployment, fx)
    missing = 1.0 - 1.0 / jnp.maximum(fx.of("adapter_working_set"), 1.0)
    tau0 = jnp.maximum(own.tau0_s + missing * fx.of("swap_time_s"), _TINY)
    alpha = jnp.maximum(own.alpha_s * fx.of("output_len_mult") * work, _TINY)
    ready = (slots.phase == Phase.READY).astype(jnp.float32)
    count = jnp.maximum(over_slots(ready, variant), 1.0)
    spread = over_slots(ready * fx.of("service_cv2_mult"), variant) / count
    cv2 = own.cv2 * jnp.where(spread > 0.0, spread, 1.0)
    cv2 = cv2 + mix_cv2 * alpha * batch_max / (tau0 + alpha * batch_max)
    looks = jnp.clip(deployment.client.least_loaded, 0.0, 1.0)
    ca2 = _split_ca2(deployment, levers, count)
    rows = curves.row(tau0, alpha, batch_max, cv2, ca2, looks, count)
    row: tables.Row = jax.tree.map(lambda leaf: by_variant(leaf, variant), rows)
    return Kinds(
        row=row,
        tau0_s=by_variant(tau0, variant),
        alpha_s=by_variant(alpha, variant),
        batch_max=by_variant(batch_max, variant),
        cv2=by_variant(cv2, variant),
    )


def _split_ca2(deployment: params.Params, levers: Levers, count: Array) -> Array:
    """Return the burstiness of what one replica of each variant is sent [V].

    A random split of a stream is less bursty, 1 + share (ca2 - 1). Dealt in turn, every n-th of its
    requests comes after the sum of n times between them: ca2 / n.
    """
    client = deployment.client
    own = levers.weights / jnp.maximum(levers.weights.sum(), _TINY)
    more = deployment.demand.ca2 - 1.0
    turn = jnp.clip(client.in_turn, 0.0, 1.0)
    return (1.0 - turn) * (1.0 + own / count * more) + turn * (1.0 + own * more) / count


def service(
    deployment: params.Params, fx: Effects, sorts: Kinds, slots: Slots, now_s: Array
) -> Service:
    """Return how each replica serves.

    Args:
        deployment: Its parameters.
        fx: Faults in force.
        sorts: What the replicas are.
        slots: As of now.
        now_s: Seconds since the episode began.
    """
    own, variant = deployment.service, slots.variant
    sick = by_variant(fx.of("modelB_health"), variant) < slots.luck
    room = tokens.room(deployment, fx, slots)
    short = _kv_short(slots, sorts.batch_max, room)
    waste = jnp.clip(own.recompute_waste + fx.of("recompute_waste"), 0.0, 0.95) * short
    slow = _slow(deployment, fx, slots) / (1.0 - waste)
    wait_s = fx.replaced("max_queue_delay_ms", own.queue_delay_s * 1e3) * 1e-3
    answers = (slots.phase == Phase.READY) | (slots.phase == Phase.DRAINING)
    return Service(
        kinds=sorts,
        speed=jnp.where(answers, 1.0 / slow, 0.0),
        contention=slow,
        fill_s=by_variant(jnp.maximum(wait_s, 0.0), variant),
        sick=sick,
        answers=answers.astype(jnp.float32),
        tokens=tokens.of(deployment, fx, slots, room, waste),
        **_errors(fx, slots, sick, short, now_s),
    )


def throughput(law: Service, jobs: Array) -> Array:
    """Return what each replica works off with so many jobs, 1/s [S]; as `tables.Row.throughput`."""
    return law.row.throughput(jobs, law.speed)


def batches(deployment: params.Params, fx: Effects, levers: Levers) -> Array:
    """Return the largest batch in force [V]: what was ordered, unless somebody else set it."""
    limit = jnp.maximum(deployment.service.batch_limit, 1.0)
    return jnp.clip(fx.replaced("bmax_override", levers.batch_max), 1.0, limit)


def _work(deployment: params.Params, fx: Effects) -> tuple[Array, Array]:
    """Return work per request against the law's, and the squared variation of the mix."""
    demand = deployment.demand
    heavy = jnp.clip(fx.replaced("heavy_fraction", demand.heavy_share), 0.0, 1.0)
    cost = demand.heavy_cost * fx.of("heavy_cost_mult")
    mean = 1.0 - heavy + heavy * cost
    mix = (1.0 - heavy + heavy * cost**2) / jnp.maximum(mean, _TINY) ** 2 - 1.0
    missed = 1.0 - fx.share("cache_hit")
    work = mean * tokens.work(fx) * (1.0 + CACHE_WORTH * missed)
    return work, jnp.maximum(mix, 0.0)


def _slow(deployment: params.Params, fx: Effects, slots: Slots) -> Array:
    ready = (slots.phase == Phase.READY).sum()
    crowded = ready > fx.limit("shared_limit_replicas")
    shared = jnp.where(crowded, fx.of("post_limit_service_mult"), 1.0)
    provision = deployment.provision
    cold = jnp.clip(provision.cold_speed * fx.of("cold_speed_mult"), 0.01, 1.0)
    warm = jnp.where(slots.age_s < provision.warm_s, cold, 1.0)
    speed = fx.of("replica_speed_mult") * fx.of("pool_speed_mult")
    speed = speed * by_variant(fx.of("modelB_capacity"), slots.variant) * warm
    share = slots.memory_gib / jnp.maximum(memory.limit_gib(deployment.memory, fx), _TINY)
    times = fx.of("contention") * by_variant(fx.of("variant_service_mult"), slots.variant)
    blip = 1.0 + jnp.maximum(fx.of("benign_blip"), 0.0)
    slow = times * blip * shared * memory.collecting(share) / jnp.maximum(speed, 1e-3)
    return jnp.clip(slow, 1e-3, 1e4)


def _kv_short(slots: Slots, batch_max: Array, room: Array) -> Array:
    """Return how far the running jobs' state exceeds the device memory, 0..1 [S]."""
    running = jnp.minimum(slots.jobs, batch_max)
    return jnp.clip((running - room) / jnp.maximum(running, 1.0), 0.0, 1.0)


def _errors(
    fx: Effects,
    slots: Slots,
    sick: Array,
    short: Array,
    now_s: Array,
) -> dict[str, Array]:
    period = fx.of("alternating_period_s")
    odd = jnp.mod(now_s, jnp.maximum(2.0 * period, 1e-3)) >= period
    bad = jnp.where((period > 0.0) & odd, 0.0, 1.0)
    answered = (1.0 - fx.share("variant_err_prob")) * (1.0 - fx.share("schema_err_prob") * bad)
    answered = answered * (1.0 - fx.share("dep_err_prob"))
    replica, fast_ms = fx.share("replica_err_prob"), fx.of("replica_fail_fast_ms")
    at_once = fast_ms > 0.0
    oom = fx.share("oom_err_when_batch_gt_free") * short
    served = (
        by_variant(answered, slots.variant) * (1.0 - oom) * jnp.where(at_once, 1.0, 1.0 - replica)
    )
    fast = jnp.where(sick, 1.0, jnp.where(at_once, replica, 0.0))
    empty = slots.phase == Phase.EMPTY
    return {
        "error": jnp.where(empty, 0.0, 1.0 - served),
        "fast": jnp.where(empty, 0.0, fast),
        "fast_s": jnp.where(sick, SICK_S, jnp.maximum(fast_ms * 1e-3, 1e-3)),
        "nan": fx.share("nan_prob"),
    }
