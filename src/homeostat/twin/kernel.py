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
    levers,
    params,
    quality,
    reckoning,
    retraining,
    scraping,
    start,
    tables,
)
from homeostat.twin.apart import apart
from homeostat.twin.effects import Effects, effects
from homeostat.twin.faults import Faults
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Scrape, Truth
from homeostat.twin.service import Kinds, batches, kinds
from homeostat.twin.shapes import SCRAPE_S, TICK_S, VARIANTS, Variant
from homeostat.twin.state import RING, Levers, Live, State
from homeostat.twin.timed import Strengths, strengths
from homeostat.twin.together import if_any

BLOCK_S: Final = 5  # platforms act so often: see `block`

init = start.init
tick = flow.tick


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
    seconds = math.gcd(ticks, BLOCK_S)
    blocks, parts = ticks // seconds, round(1.0 / tick_s)
    found = apart(lambda: strengths(faults, state.now_s, blocks, seconds * parts, 1.0 / parts))
    state, fx, ungated = _ordered(deployment, faults, state, orders, found)
    fixed = block.Fixed(
        deployment=deployment,
        faults=faults,
        sorts=apart(lambda: _kinds(deployment, fx, curves, state, float(ticks))),
        draws=apart(lambda: chance.of_processes(state.key, state.live.slots.starts)),
        luck=chance.of_listing(state.key, faults.slots.shape[1]),
    )
    live, outcomes, tail, load = _blocks(fixed, state, found, (blocks, seconds, parts))
    state = eqx.tree_at(lambda s: (s.now_s, s.live), state, (state.now_s + float(ticks), live))
    state, answers, window = scraping.judged(deployment, tail.inputs, state, float(ticks))
    state, scrape = scraping.scraped(fixed, state, orders, tail, window)
    marks = (state.evidence_low, ungated, scraping.stalest_s(state.channel))
    timeout_s = deployment.client.timeout_s
    truth = reckoning.truth(outcomes, load, answers, marks, timeout_s, (blocks, seconds, parts))
    return state, truth, scrape


def _kinds(
    deployment: params.Params, fx: Effects, curves: tables.Tables, state: State, seconds: float
) -> Kinds:
    """Return what the replicas are during most of this scrape."""
    platform = state.live.platform
    pending = platform.pending
    soon = pending.due_s <= state.now_s + 0.5 * seconds
    expected: Levers = jax.tree.map(
        lambda written, new, old: jnp.where(written & soon, new, old),
        pending.written, pending.values, platform.levers,
    )  # fmt: skip
    return kinds(deployment, fx, curves, state.live.slots, expected)


def _ordered(
    deployment: params.Params, faults: Faults, state: State, orders: Orders, found: Strengths
) -> tuple[State, Effects, Array]:
    """Return the state with the orders taken in, faults, and whether an ungated model is out."""
    live = state.live
    cured = cures.by_person(faults, live.cured, state.now_s, orders.person_fixes)
    live = eqx.tree_at(lambda v: v.cured, live, cured)
    state = eqx.tree_at(lambda s: s.live, state, live)
    hits = apart(lambda: cures.hits(faults, cured, live.slots, found.strength[0], found.within[0]))
    fx = effects(faults, hits)
    pending = levers.accept(
        deployment,
        levers.losses(deployment, faults, hits, chance.of_write(state.key, state.now_s)),
        live.platform,
        (state.ordered, orders),
        batches(deployment, fx, live.platform.levers),
        state.now_s,
    )
    training, known, result = apart(
        lambda: retraining.step(
            deployment.quality,
            conditions.of_quality(fx, live.slots.variant, live.slots.share),
            state.training,
            state.quality,
            state.labels.learnable,
            live.platform.levers.weights,
            orders,
            chance.key_for(state.key, chance.Purpose.TRAINING),
        )
    )
    now = cures.taught(faults, found.within[0], orders.person_fixes)
    known, taught = _taught(deployment, fx, state, known, now)
    promoted = result.promoted | taught
    newest = live.platform.newest + promoted.any()
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
            newest, jnp.where(promoted, newest, live.platform.version), wanted,
        ),
    )  # fmt: skip
    return state, fx, result.ungated


def _taught(
    deployment: params.Params, fx: Effects, state: State, known: quality.State, now: Array
) -> tuple[quality.State, Array]:
    """Return what the models know, and which are new [V], where a person may train them now."""
    slots, served = state.live.slots, state.live.platform.levers.weights
    after, replaced = if_any(
        now,
        lambda: retraining.by_person(
            deployment.quality,
            conditions.of_quality(fx, slots.variant, slots.share),
            known,
            state.labels.learnable,
            served,
            chance.key_for(state.key, chance.Purpose.TRAINING),
        ),
        lambda: (known, jnp.zeros(VARIANTS, bool)),
    )
    kept: quality.State = jax.tree.map(lambda new, old: jnp.where(now, new, old), after, known)
    return kept, replaced & now


def _blocks(
    fixed: block.Fixed, state: State, found: Strengths, shape: tuple[int, int, int]
) -> tuple[Live, block.Outcome, block.Tail, arrivals.Load]:
    """Return what all blocks of a scrape leave behind."""
    blocks, seconds, parts = shape
    dt, count = 1.0 / parts, blocks * seconds * parts
    live, faults = state.live, fixed.faults
    first = jnp.round(state.now_s * parts).astype(jnp.int32)
    times = state.now_s + jnp.arange(count) * dt
    noise = apart(lambda: chance.normals(state.key, first, count))
    ou, load = apart(lambda: arrivals.load(
        fixed.deployment.demand, faults, live.clients.ou, noise, times,
        found.ticks, dt,
    ))  # fmt: skip
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
    ) -> tuple[tuple[Live, Array], tuple[block.Outcome, block.Tail]]:
        after, ring, outcome, tail = block.block(fixed, carry[0], carry[1], step, dt)
        return (after, ring), (outcome, tail)

    small = eqx.tree_at(lambda v: v.clients.failed, live, jnp.zeros((0, 0)))
    (live, failed), (outcomes, tails) = jax.lax.scan(one, (small, failed), steps)
    live = eqx.tree_at(lambda v: (v.clients.failed, v.clients.ou), live, (clients.roll(failed), ou))
    tail: block.Tail = jax.tree.map(lambda leaf: leaf[-1], tails)
    return live, outcomes, tail, load
