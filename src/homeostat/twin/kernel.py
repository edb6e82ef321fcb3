"""The twin's step function: orders in, one scrape out, and the truth of every second between.

`init` begins an episode; `advance` applies orders, lets one scrape's worth of ticks pass and takes
the scrape. Both are pure functions of one deployment; `program` makes them a compiled fleet. The
same key gives the same chance whatever is ordered (see `chance`), so a replay that holds differs
by the actions alone, and a replay of the same orders not by a bit.
"""

import math
from typing import Final

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from homeostat.twin import (
    arrivals,
    block,
    chance,
    clients,
    conditions,
    cures,
    flow,
    labels,
    levers,
    params,
    quality,
    replicas,
    retraining,
    scores,
    tables,
    telemetry,
    windows,
)  # fmt: skip
from homeostat.twin.effects import Effects, effects, signal_effects
from homeostat.twin.faults import Faults
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Scrape, Truth
from homeostat.twin.shapes import SCRAPE_S, TICK_S, VARIANTS, Phase, Variant
from homeostat.twin.state import (
    RETRY_CLASSES,
    RING,
    Clients,
    Live,
    Platform,
    State,
    by_variant,
    over_slots,
)  # fmt: skip
from homeostat.twin.timed import strengths

BLOCK_S: Final = 5  # platforms act so often: see `block`
_SETTLE_S: Final = 3600.0  # an episode begins where the queues of its load have settled
_TINY: Final = 1e-9

tick = flow.tick


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
    force = levers.values(ordered)
    draws = chance.of_processes(key, jnp.zeros(slots_number, jnp.int32))
    platform = Platform(
        levers=force,
        pending=levers.nothing_pending(force),
        version=jnp.ones(VARIANTS),
        newest=jnp.float32(1.0),
        spares=deployment.provision.spares * jnp.float32(1.0),
        differs_s=jnp.float32(0.0),
        seen_load=jnp.float32(0.0),
        lagged_weights=force.weights,
    )
    users = Clients(
        failed=jnp.zeros((2 * RETRY_CLASSES, RING)),
        latency_s=jnp.float32(0.0),
        waiting=jnp.zeros(VARIANTS),
        ou=jnp.float32(0.0),
    )
    live = Live(
        slots=replicas.begin(deployment, draws, slots_number),
        platform=platform,
        clients=users,
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
        live=_settled(deployment, faults, curves, live, draws),
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


def advance(
    deployment: params.Params,
    faults: Faults,
    state: State,
    orders: Orders,
    curves: tables.Tables,
    *,
    ticks: int = SCRAPE_S,
    tick_s: float = TICK_S,
) -> tuple[State, Truth, Scrape]:
    """Apply orders, let one scrape's worth of time pass, and take the scrape.

    Args:
        deployment: Its parameters.
        faults: One episode's.
        state: As of the last scrape.
        orders: Stand until the next scrape.
        curves: Queue tables.
        ticks: Seconds that pass.
        tick_s: Length of the model's own tick: 1, or 0.25 where clients give up in under 2 s.

    Returns:
        The state, the truth of every second [ticks, ...], and what a controller sees.
    """
    fixed = block.Fixed(
        deployment=deployment,
        faults=faults,
        curves=curves,
        draws=chance.of_processes(state.key, state.live.slots.starts),
        luck=chance.of_listing(state.key, faults.slots.shape[1]),
    )
    seconds = math.gcd(ticks, BLOCK_S)
    blocks, parts = ticks // seconds, round(1.0 / tick_s)
    state, ungated = _ordered(fixed, state, orders)
    live, outcomes, load = _blocks(fixed, state, blocks, seconds, parts)
    state = eqx.tree_at(lambda s: (s.now_s, s.live), state, (state.now_s + float(ticks), live))
    hits, fx = _now(fixed, state)
    state, inputs, answers, window = _answers(fixed, fx, state, float(ticks))
    state, scrape = _scrape(fixed, state, orders, hits, fx, inputs, window)
    truth = _truth(outcomes, load, answers, (state.evidence_low, ungated), (blocks, seconds, parts))
    return state, truth, scrape


def _settled(
    deployment: params.Params,
    faults: Faults,
    curves: tables.Tables,
    live: Live,
    draws: chance.Draws,
) -> Live:
    """Return the deployment with the queues that its first load leaves in the long run."""
    fixed = block.Fixed(
        deployment=deployment,
        faults=faults,
        curves=curves,
        draws=draws,
        luck=jnp.zeros(faults.slots.shape[1]),
    )
    none = jnp.zeros(faults.primitive.shape)
    fx = effects(faults, cures.hits(faults, live.cured, live.slots, none, none > 0.0))
    law = block.law_of(fixed, fx, live, jnp.float32(0.0))
    ready = (live.slots.phase == Phase.READY).astype(jnp.float32)
    variant = live.slots.variant
    count = jnp.maximum(over_slots(ready, variant), 1.0)
    per_slot = by_variant(live.platform.levers.weights / count, variant)
    rate = deployment.demand.knots_rps[0] * per_slot * ready
    # A load beyond capacity has no stationary queue; begin with what a minute at 99 % leaves.
    rate = jnp.minimum(rate, 0.99 * law.row.capacity * law.speed)
    jobs = law.row.next_jobs(jnp.zeros_like(rate), rate, _SETTLE_S, law.speed)
    served = jnp.maximum(rate.sum(), _TINY)
    changed: Live = eqx.tree_at(
        lambda v: (
            v.slots.jobs,
            v.slots.busy,
            v.slots.mean_s,
            v.clients.latency_s,
            v.platform.seen_load,
        ),
        live,
        (
            jnp.maximum(jobs, 0.0) * ready,
            rate / jnp.maximum(law.row.capacity * law.speed, _TINY) * ready,
            jnp.where(rate > 0.0, jobs / jnp.maximum(rate, _TINY), law.row.first_s),
            jobs.sum() / served,
            (rate / jnp.maximum(law.row.capacity, _TINY)).max(),
        ),
    )
    return changed


def _now(fixed: block.Fixed, state: State) -> tuple[cures.Hits, Effects]:
    found = strengths(fixed.faults, state.now_s, 1, 1)
    hits = cures.hits(
        fixed.faults, state.live.cured, state.live.slots, found.strength[0], found.within[0]
    )
    return hits, effects(fixed.faults, hits)


def _inputs(fx: Effects, live: Live) -> quality.Inputs:
    return conditions.of_quality(fx, live.slots.variant, live.slots.share)


def _ordered(fixed: block.Fixed, state: State, orders: Orders) -> tuple[State, Array]:
    """Return the state with the orders taken in, and whether an ungated model was promoted."""
    live, faults, deployment = state.live, fixed.faults, fixed.deployment
    cured = cures.by_person(faults, live.cured, state.now_s, orders.person_fixes)
    live = eqx.tree_at(lambda v: v.cured, live, cured)
    state = eqx.tree_at(lambda s: s.live, state, live)
    hits, fx = _now(fixed, state)
    pending = levers.accept(
        deployment,
        faults,
        hits,
        live.platform,
        state.ordered,
        orders,
        block.batch_in_force(deployment, fx, live.platform),
        chance.of_write(state.key, state.now_s),
        state.now_s,
    )
    training, known, result = retraining.step(
        deployment.quality,
        _inputs(fx, live),
        state.training,
        state.quality,
        state.labels.learnable,
        live.platform.levers.weights,
        orders,
        chance.key_for(state.key, chance.Purpose.TRAINING),
    )
    newest = live.platform.newest + result.promoted.any()
    # A retrained model needs a process to run in: the platform starts the canary's first.
    canary = result.promoted & (jnp.arange(VARIANTS) == Variant.CANARY)
    wanted = jnp.where(
        canary, jnp.maximum(live.platform.levers.replicas, 1.0), live.platform.levers.replicas
    )
    state = eqx.tree_at(
        lambda s: (
            s.ordered, s.training, s.quality, s.live.platform.pending,
            s.live.platform.newest, s.live.platform.version, s.live.platform.levers.replicas,
        ),
        state,
        (
            levers.quiet(orders), training, known, pending,
            newest, jnp.where(result.promoted, newest, live.platform.version), wanted,
        ),
    )  # fmt: skip
    return state, result.ungated


def _blocks(
    fixed: block.Fixed, state: State, blocks: int, seconds: int, parts: int
) -> tuple[Live, block.Outcome, arrivals.Load]:
    """Return what all blocks of a scrape leave behind."""
    dt, count = 1.0 / parts, blocks * seconds * parts
    live, faults = state.live, fixed.faults
    first = jnp.round(state.now_s * parts).astype(jnp.int32)
    times = state.now_s + jnp.arange(count) * dt
    noise = chance.normals(state.key, first, count)
    ou, load = arrivals.load(
        fixed.deployment.demand, faults, live.cured.cleared, live.clients.ou, noise, times, dt
    )
    found = strengths(faults, state.now_s, blocks, seconds)
    steps = block.Step(
        now_s=state.now_s + jnp.arange(blocks) * float(seconds),
        strength=found.strength,
        within=found.within,
        offered=load.offered.reshape(blocks, -1),
        at=(RING + jnp.arange(count)).reshape(blocks, -1),
    )
    failed = clients.unroll(live.clients.failed, count)

    def one(
        carry: tuple[Live, Array], step: block.Step
    ) -> tuple[tuple[Live, Array], block.Outcome]:
        after, ring, outcome = block.block(fixed, carry[0], carry[1], step, dt)
        return (after, ring), outcome

    small = eqx.tree_at(lambda v: v.clients.failed, live, jnp.zeros((0, 0)))
    (live, failed), outcomes = jax.lax.scan(one, (small, failed), steps)
    live = eqx.tree_at(lambda v: (v.clients.failed, v.clients.ou), live, (clients.roll(failed), ou))
    return live, outcomes, load


def _answers(
    fixed: block.Fixed, fx: Effects, state: State, seconds: float
) -> tuple[State, quality.Inputs, quality.Answers, labels.Window]:
    """Return how good the answers of a scrape were, and what labels may come of them."""
    deployment, live = fixed.deployment, state.live
    known = retraining.revert(deployment.quality, state.quality, live.reverted)
    inputs = _inputs(fx, live)
    known, answers = quality.step(deployment, inputs, known, live.platform.levers.weights, seconds)
    rate = jnp.maximum(live.answered, 0.0) / seconds
    window = labels.add(labels.open_window(), answers, rate, seconds)
    state = eqx.tree_at(
        lambda s: (s.quality, s.live.answered, s.live.reverted),
        state,
        (known, jnp.zeros(VARIANTS), jnp.zeros(VARIANTS, bool)),
    )
    return state, inputs, answers, window


def _scrape(
    fixed: block.Fixed,
    state: State,
    orders: Orders,
    hits: cures.Hits,
    fx: Effects,
    inputs: quality.Inputs,
    window: labels.Window,
) -> tuple[State, Scrape]:
    """Return the state after a scrape, and what a controller sees of it."""
    deployment, live = fixed.deployment, state.live
    key = chance.key_for(state.key, chance.Purpose.LABELS)
    here = chance.fold(key, state.now_s.astype(jnp.int32))
    known, shift = scores.at_scrape(
        deployment.quality, inputs, state.quality,
        window.made.sum(axis=1) * (1.0 - inputs.nan_share), chance.fold(here, jnp.uint32(0)),
    )  # fmt: skip
    marks, delivered = labels.at_scrape(
        deployment.quality,
        inputs,
        state.labels,
        window,
        state.now_s,
        chance.fold(here, jnp.uint32(1)),
    )
    gauges = _gauges(fixed, fx, state, inputs, shift, delivered)
    channel, seen = telemetry.scrape(
        deployment,
        # Worked out once, not again for each of a few hundred signals.
        jax.lax.optimization_barrier(conditions.of_telemetry(signal_effects(fixed.faults, hits))),
        state.channel,
        live.window,
        gauges,
        chance.key_for(state.key, chance.Purpose.TELEMETRY),
    )
    scrape = _read_back(fixed, fx, state, orders, seen)
    slots_number = live.slots.phase.shape[0]
    state = eqx.tree_at(
        lambda s: (s.labels, s.channel, s.evidence_low, s.quality, s.live.window),
        state,
        (marks, channel, delivered.evidence_low, known, windows.open_window(slots_number)),
    )
    return state, scrape


def _gauges(
    fixed: block.Fixed,
    fx: Effects,
    state: State,
    inputs: quality.Inputs,
    shift: Array,
    delivered: labels.Delivered,
) -> windows.Gauges:
    slots = state.live.slots
    law = block.law_of(fixed, fx, state.live, state.now_s)
    limit = block.memory.limit_gib(fixed.deployment.memory, fx)
    delay_s = fixed.deployment.limits.network_s + fx.of("net_delay_s")
    took_s = jnp.where(law.fast > 0.5, law.fast_s, slots.mean_s)  # noqa: PLR2004 - most requests
    return windows.Gauges(
        phase=slots.phase,
        slot_variant=slots.variant,
        queue=jnp.maximum(slots.jobs - law.batch_max, 0.0) + slots.front,
        in_flight=slots.jobs + slots.front,
        memory_share=slots.memory_gib / jnp.maximum(limit, _TINY),
        latency_s=jnp.minimum(took_s + delay_s, flow.LONGEST_S),
        slot_error_ratio=jnp.maximum(law.fast, law.error),
        nan_share=law.nan,
        frontend_rps=fx.limit("frontend_capacity_rps", fixed.deployment.limits.frontend_rps),
        prediction_shift=shift,
        feature_shift=scores.feature_distance(inputs, state.quality),
        invalid_share=inputs.nan_share,
        accuracy=delivered.accuracy,
        label_coverage=delivered.coverage,
    )


def _read_back(
    fixed: block.Fixed, fx: Effects, state: State, orders: Orders, seen: telemetry.Seen
) -> Scrape:
    """Return a scrape: signals from the channel, the platform's own word for the rest.

    A platform does not know that a process hangs or is broken, and it may lie about failures.
    """
    live = state.live
    slots, platform, force = live.slots, live.platform, live.platform.levers
    batch_max = block.batch_in_force(fixed.deployment, fx, platform)
    truly = levers.in_force(platform, orders, batch_max)
    lies = chance.of_write(state.key, state.now_s)[2] < fx.share("status_lies")
    asked = levers.values(orders)
    hides = (slots.phase == Phase.HUNG) | (lies & (slots.phase == Phase.DEAD))
    busy = (slots.phase == Phase.PENDING) | (slots.phase == Phase.LOADING)
    busy = busy | (slots.phase == Phase.DRAINING) & slots.leaving | jnp.isfinite(slots.swap_s)
    return Scrape(
        gateway=seen.gateway,
        variant=seen.variant,
        slot=seen.slot,
        age_s=seen.age_s,
        phase=jnp.where(hides, Phase.READY, slots.phase).astype(jnp.int32),
        slot_variant=slots.variant,
        version=platform.version,
        levers_ok=truly | lies,
        changing=(busy.any() | jnp.isfinite(platform.pending.due_s)) & ~lies,
        batch_max=jnp.where(lies, asked.batch_max, batch_max),
        weights=jnp.where(lies, asked.weights, force.weights),
        replicas=jnp.where(lies, asked.replicas, force.replicas),
        admit_rps=jnp.where(lies, asked.admit_rps, force.admit_rps),
    )


def _truth(
    outcomes: block.Outcome,
    load: arrivals.Load,
    answers: quality.Answers,
    marks: tuple[Array, Array],
    shape: tuple[int, int, int],
) -> Truth:
    """Return the truth second by second; what holds for a block is repeated."""
    blocks, seconds, parts = shape
    total = blocks * seconds

    def mean(leaf: Array) -> Array:
        return leaf.reshape(total, parts, *leaf.shape[2:]).mean(axis=1)

    def rest(leaf: Array) -> Array:
        return jnp.repeat(leaf, seconds, axis=0)

    first = jnp.arange(total) % seconds == 0
    told, (evidence_low, ungated) = outcomes.told, marks

    def whole(value: Array) -> Array:
        return jnp.broadcast_to(value, (total, *value.shape))

    latency_s = mean(told.latency_s)
    # Quantiles are those of the block's end; within it they move with the mean.
    last = latency_s.reshape(blocks, seconds)[:, -1]
    follow = latency_s / jnp.maximum(rest(last), _TINY)
    quantile = [rest(outcomes.users[:, k]) * follow for k in range(3)]
    offered = load.offered.reshape(total, parts).mean(axis=1)
    return Truth(
        offered=offered,
        good=mean(told.good),
        refused=mean(told.refused),
        attempts=mean(told.attempts),
        errors=mean(told.errors),
        latency_s=latency_s,
        p50_s=quantile[0],
        p95_s=quantile[1],
        p99_s=quantile[2],
        capacity=rest(outcomes.capacity),
        demand=load.organic.reshape(total, parts).mean(axis=1),
        ready=rest(outcomes.ready),
        held=rest(outcomes.held),
        usd_per_hour=rest(outcomes.usd_per_hour),
        weights=rest(outcomes.weights),
        variant_errors=rest(outcomes.variant_errors),
        variant_p99_s=rest(outcomes.variant_p99_s),
        variant_quality=whole(answers.variant_quality),
        quality=whole(answers.quality),
        slice_quality=whole(answers.slice_quality),
        queue=mean(told.queue),
        undrained=rest(outcomes.undrained),
        faulty=rest(outcomes.faulty),
        acted=rest(outcomes.acted) & first,
        destroyed=rest(outcomes.destroyed) & first,
        ungated=ungated & (jnp.arange(total) == 0),
        evidence_low=whole(evidence_low),
    )
