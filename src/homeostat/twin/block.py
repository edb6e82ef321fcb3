"""A block of ticks: the platform acts once, then traffic flows tick by tick.

Platforms act every few seconds (probe periods, reconciliation loops), traffic all the time; the
split also keeps the ticks small. In a block, in this order: writes that are due, what happened to
processes, other controllers, the number of replicas, the service law, routes, ticks, wear.
"""

from typing import Final

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from homeostat.twin import (
    chance,
    conditions,
    cures,
    flow,
    latency,
    levers,
    memory,
    money,
    params,
    quality,
    replicas,
    routing,
    tokens,
    wear,
    windows,
)  # fmt: skip
from homeostat.twin.apart import apart
from homeostat.twin.effects import Effects, effects
from homeostat.twin.faults import Faults
from homeostat.twin.service import Kinds, batches, service
from homeostat.twin.shapes import VARIANTS, Phase, Variant
from homeostat.twin.state import Live, Platform, Slots, over_slots, put

_TINY: Final = 1e-9
_BROKEN: Final = 2.0  # luck of a process that runs an artefact that cannot work


class Fixed(eqx.Module):
    """What is the same in every block of a scrape.

    Attributes:
        deployment: Its parameters.
        faults: One episode's.
        sorts: What the replicas are.
        draws: Of the next process of each slot.
        luck: Uniform draw of each slot, for the balancer's list [S].
    """

    deployment: params.Params
    faults: Faults
    sorts: Kinds
    draws: chance.Draws
    luck: Array


class Step(eqx.Module):
    """What differs from block to block.

    Attributes:
        now_s: Beginning.
        strength: Of faults [F].
        within: Whether their time has come and not gone [F], bool.
        offered: Unique requests of each tick, 1/s [ticks].
        at: Position of each tick in the unrolled ring [ticks].
    """

    now_s: Array
    strength: Array
    within: Array
    offered: Array
    at: Array


class Outcome(eqx.Module):
    """What the judge is told of a block.

    Attributes:
        told: Of every tick [ticks].
        ready: Replicas ready [V].
        held: Replicas that cost money [V].
        usd_per_hour: Spend rate.
        capacity: C_slo.
        weights: Traffic shares in force [V].
        variant_errors: Error ratio [V].
        variant_p99_s: [V].
        users: p50, p95, p99 of latency [3].
        undrained: Requests lost with processes that were ended on purpose, 1/s.
        faulty: Bool.
        acted: Bool.
        destroyed: Bool.
    """

    told: flow.Told
    ready: Array
    held: Array
    usd_per_hour: Array
    capacity: Array
    weights: Array
    variant_errors: Array
    variant_p99_s: Array
    users: Array
    undrained: Array
    faulty: Array
    acted: Array
    destroyed: Array


class Tail(eqx.Module):
    """What the last block of a scrape leaves for the scrape itself.

    Attributes:
        inputs: What faults do to answers.
        signals: Strength of each fault on each class of signals [F, CLASSES].
        batch_max: Largest batch in force [V].
        lies: Probability that failures are reported as well.
        waiting: Requests waiting [S].
        memory_share: Of the limit [S].
        latency_s: Mean time of a request that comes now [S].
        error: Probability that an answer is an error [S].
        nan: Probability that it is no number [S].
        frontend_rps: What one replica's front end can pass on.
        kv_usage: Device memory for sequences in use [S].
    """

    inputs: quality.Inputs
    signals: Array
    batch_max: Array
    lies: Array
    waiting: Array
    memory_share: Array
    latency_s: Array
    error: Array
    nan: Array
    frontend_rps: Array
    kv_usage: Array


class Acted(eqx.Module):
    """What the platform did at the beginning of a block.

    Attributes:
        live: After it.
        fx: Faults in force.
        signals: Strength of each fault on each class of signals [F, CLASSES].
        lost: Requests that ended with their process.
        undrained: Those of them ended on purpose.
        acted: Bool: an own action took effect.
        destroyed: Bool: the last healthy replica or rollback target went by an own action.
    """

    live: Live
    fx: Effects
    signals: Array
    lost: Array
    undrained: Array
    acted: Array
    destroyed: Array


def block(
    fixed: Fixed, live: Live, failed: Array, step: Step, dt: float
) -> tuple[Live, Array, Outcome, Tail]:
    """Return what a block leaves behind.

    Args:
        fixed: What is the same in every block.
        live: As of the last block; its ring of failed attempts is not used.
        failed: Unrolled ring of failed attempts.
        step: What this block brings.
        dt: Length of a tick, seconds.

    Returns:
        What changed, the ring, what the judge is told, and what a scrape would read.
    """
    seconds = step.offered.shape[0] * dt
    done = _act(fixed, live, step, seconds)
    live, fx, deployment = done.live, done.fx, fixed.deployment
    slots, force = live.slots, live.platform.levers
    law = apart(lambda: service(deployment, fx, fixed.sorts, slots, step.now_s))
    ways = apart(lambda: routing.routes(deployment, fx, live.platform, slots, law, fixed.luck))
    ground = flow.ground(deployment, fx, force, slots, law, ways, dt)
    traffic = flow.Traffic(
        jobs=slots.jobs,
        front=slots.front,
        waiting=live.clients.waiting,
        failed=failed,
        latency_s=live.clients.latency_s,
        held_s=live.clients.held_s,
        spare=live.clients.spare,
        sums=flow.no_sums(slots.jobs.shape[0], VARIANTS),
    )

    def tick(state: flow.Traffic, news: tuple[Array, Array]) -> tuple[flow.Traffic, flow.Told]:
        return flow.tick(ground, state, news[0], news[1], dt)

    traffic, told = jax.lax.scan(tick, traffic, (step.offered, step.at))
    told = _with_lost(told, done.lost / seconds)
    worn = apart(lambda: wear.worn(deployment, fx, live, ground, traffic, seconds))
    late = latency.latencies(ground, worn.slots, traffic.sums, _dependency_s(ground, traffic))
    variant = slots.variant
    reached = over_slots(traffic.sums.tried, variant) + traffic.sums.adrift
    failed_there = over_slots(traffic.sums.wrong, variant)
    wrong = failed_there + traffic.sums.adrift
    usd = money.usd_per_hour(deployment.money, fx, money.held(slots))
    seen = wear.seen(ground, traffic, late, reached, wrong, usd, seconds)
    live = eqx.tree_at(
        lambda v: (v.slots, v.window, v.answered, v.usd),
        worn,
        (
            put(
                worn.slots,
                mean_s=late.mean_s,
                p50=late.spread[0],
                p95=late.spread[1],
                p99=late.spread[2],
            ),
            windows.add(worn.window, seen, seconds),
            worn.answered + reached - wrong,
            worn.usd + usd * seconds / 3600.0,
        ),
    )
    promised_s = deployment.promise.p99_s - deployment.limits.network_s
    unit = law.row.capacity_within(promised_s, law.speed)
    counted = (slots.phase == Phase.READY) & ~law.sick
    outcome = Outcome(
        told=told,
        ready=over_slots((slots.phase == Phase.READY).astype(jnp.float32), variant),
        held=money.held(slots),
        usd_per_hour=usd,
        capacity=(unit * counted).sum(),
        weights=ways.weights,
        variant_errors=jnp.where(reached > 0.0, wrong / jnp.maximum(reached, _TINY), 0.0),
        variant_p99_s=late.variant[2],
        users=late.users,
        undrained=done.undrained / seconds,
        faulty=fx.faulty,
        acted=done.acted,
        destroyed=done.destroyed,
    )
    tail = _tail(fixed, done, ground, live.slots)
    return live, traffic.failed, outcome, tail


def _tail(fixed: Fixed, done: Acted, ground: flow.Ground, slots: Slots) -> Tail:
    fx, law = done.fx, ground.service
    took_s = jnp.where(law.fast > 0.5, law.fast_s, slots.mean_s)  # noqa: PLR2004 - most requests
    return Tail(
        inputs=conditions.of_quality(fx, slots.variant, slots.share),
        signals=done.signals,
        batch_max=batches(fixed.deployment, fx, done.live.platform.levers),
        lies=fx.share("status_lies"),
        waiting=jnp.maximum(slots.jobs - law.kinds.batch_max, 0.0) + slots.front,
        memory_share=memory.share(fixed.deployment.memory, fx, slots),
        latency_s=jnp.minimum(took_s + ground.delay_s, flow.LONGEST_S),
        error=jnp.maximum(law.fast, law.error),
        nan=law.nan,
        frontend_rps=ground.frontend_rps,
        kv_usage=tokens.usage(law.tokens, slots, law.kinds.batch_max),
    )


def _act(fixed: Fixed, live: Live, step: Step, seconds: float) -> Acted:
    """Return what the platform does at the beginning of a block."""
    deployment, faults = fixed.deployment, fixed.faults
    due = live.platform.pending.due_s <= step.now_s
    pending = live.platform.pending
    platform, written = apart(lambda: levers.apply(live.platform, due))
    cured = cures.by_write(faults, live.cured, written, step.within)
    hits = apart(lambda: cures.hits(faults, cured, live.slots, step.strength, step.within))
    fx = effects(faults, hits)
    platform = apart(
        lambda: levers.interfere(
            deployment, fx, platform, _load_of_a(live.slots), step.now_s, seconds
        )
    )
    wanted = replicas.Wanted(
        replicas=jnp.maximum(platform.levers.replicas, fx.replaced("config_floor", 0.0)),
        restart=pending.restart & due,
        drain=platform.levers.drain,
        rollback=pending.rollback & due,
    )
    lived = replicas.step(deployment, fx, live.slots, fixed.draws, wanted, platform.spares, seconds)
    mine = due & pending.by_us
    slots, platform, reverted = _swapped(fx, lived, platform)
    refill = seconds / jnp.maximum(deployment.provision.delay_s + deployment.provision.load_s, 1.0)
    spares = jnp.minimum(platform.spares - lived.spares + refill, deployment.provision.spares)
    platform = eqx.tree_at(lambda p: p.spares, platform, jnp.maximum(spares, 0.0))
    cured = cures.by_process(faults, cured, lived.started, lived.swapped, step.now_s)
    live = eqx.tree_at(
        lambda v: (v.slots, v.platform, v.cured, v.reverted),
        live,
        (slots, platform, cured, live.reverted | reverted),
    )
    return Acted(
        live=live,
        fx=fx,
        signals=hits.signals,
        lost=lived.lost,
        undrained=lived.undrained,
        acted=mine,
        destroyed=mine & lived.destroyed,
    )


def _load_of_a(slots: Slots) -> Array:
    serves = (slots.phase == Phase.READY) & (slots.variant == Variant.A)
    return (slots.busy * serves).sum() / jnp.maximum(serves.sum(), 1)


def _swapped(
    fx: Effects, lived: replicas.Change, platform: Platform
) -> tuple[Slots, Platform, Array]:
    """Return slots, versions, and whose model is the previous one now [V]."""
    slots = lived.slots
    health = fx.of("modelB_health").min()
    broken = lived.swapped & (slots.luck > health)
    slots = put(slots, luck=jnp.where(broken, _BROKEN, slots.luck))
    reverted = over_slots(lived.swapped.astype(jnp.float32), slots.variant) > 0.0
    version = jnp.where(reverted, 0.0, platform.version)
    platform = eqx.tree_at(lambda p: p.version, platform, version)
    return slots, platform, reverted


def _with_lost(told: flow.Told, rate: Array) -> flow.Told:
    """Count requests that ended with their process as errors; they had been counted as answered."""
    lost = jnp.minimum(rate, told.good)
    fields = (told.good - lost, told.errors + lost)
    counted: flow.Told = eqx.tree_at(lambda t: (t.good, t.errors), told, fields)
    return counted


def _dependency_s(ground: flow.Ground, traffic: flow.Traffic) -> Array:
    return jnp.minimum(ground.dep_s + traffic.waiting / ground.dep_rps, flow.LONGEST_S)
