"""What a scrape is made of: answers judged, labels delivered, signals sent, levers read back."""

from typing import Final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from homeostat.base import names
from homeostat.twin import (
    block,
    chance,
    conditions,
    labels,
    levers,
    params,
    quality,
    retraining,
    scores,
    telemetry,
    windows,
)
from homeostat.twin.apart import apart
from homeostat.twin.effects import signal_effects
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import SCRAPE_S, VARIANTS, Phase
from homeostat.twin.signals import GATEWAY_SIGNALS, LATENCY_P99
from homeostat.twin.state import State

# What an action that takes something away is decided on: safety-critical, of the gateway's.
CRITICAL: Final = tuple(
    GATEWAY_SIGNALS.index(name) for name in (names.ARRIVAL_RATE, names.ERROR_RATIO, LATENCY_P99)
)


def judged(
    deployment: params.Params, inputs: quality.Inputs, state: State, seconds: float
) -> tuple[State, quality.Answers, labels.Window]:
    """Return how good the answers of a scrape were, and what labels may come of them.

    Args:
        deployment: Its parameters.
        inputs: What faults do to answers.
        state: At the end of the scrape.
        seconds: Its length.
    """
    live = state.live
    reverted = retraining.revert(deployment.quality, state.quality, live.reverted)
    known, answers = apart(
        lambda: quality.step(deployment, inputs, reverted, live.platform.levers.weights, seconds)
    )
    rate = jnp.maximum(live.answered, 0.0) / seconds
    window = labels.add(labels.open_window(), answers, rate, seconds)
    state = eqx.tree_at(
        lambda s: (s.quality, s.live.answered, s.live.reverted),
        state,
        (known, jnp.zeros(VARIANTS), jnp.zeros(VARIANTS, bool)),
    )
    return state, answers, window


def scraped(
    fixed: block.Fixed, state: State, orders: Orders, tail: block.Tail, window: labels.Window
) -> tuple[State, Scrape]:
    """Return the state after a scrape, and what a controller sees of it.

    Args:
        fixed: For the deployment and its faults.
        state: At the end of the scrape.
        orders: The last ones.
        tail: What the last block left to be read.
        window: Answers that may get a label.
    """
    deployment, live, inputs = fixed.deployment, state.live, tail.inputs
    key = chance.key_for(state.key, chance.Purpose.LABELS)
    here = chance.fold(key, state.now_s.astype(jnp.int32))
    known, shift = apart(lambda: scores.at_scrape(
        deployment.quality, inputs, state.quality,
        window.made.sum(axis=1) * (1.0 - inputs.nan_share), chance.fold(here, jnp.uint32(0)),
    ))  # fmt: skip
    marks, delivered = apart(
        lambda: labels.at_scrape(
            deployment.quality,
            inputs,
            state.labels,
            window,
            state.now_s,
            chance.fold(here, jnp.uint32(1)),
        )
    )
    gauges = _gauges(state, tail, shift, delivered)
    channel, seen = telemetry.scrape(
        deployment,
        conditions.of_telemetry(signal_effects(fixed.faults, tail.signals)),
        state.channel,
        live.window,
        gauges,
        chance.key_for(state.key, chance.Purpose.TELEMETRY),
    )
    scrape = _read_back(state, orders, tail, seen)
    slots_number = live.slots.phase.shape[0]
    state = eqx.tree_at(
        lambda s: (s.labels, s.channel, s.evidence_low, s.quality, s.live.window),
        state,
        (marks, channel, delivered.evidence_low, known, windows.open_window(slots_number)),
    )
    return state, scrape


def _gauges(
    state: State, tail: block.Tail, shift: Array, delivered: labels.Delivered
) -> windows.Gauges:
    slots = state.live.slots
    return windows.Gauges(
        phase=slots.phase,
        slot_variant=slots.variant,
        queue=tail.waiting,
        in_flight=slots.jobs + slots.front,
        memory_share=tail.memory_share,
        latency_s=tail.latency_s,
        slot_error_ratio=tail.error,
        nan_share=tail.nan,
        frontend_rps=tail.frontend_rps,
        prediction_shift=shift,
        feature_shift=scores.feature_distance(tail.inputs, state.quality),
        invalid_share=tail.inputs.nan_share,
        accuracy=delivered.accuracy,
        label_coverage=delivered.coverage,
        kv_usage=tail.kv_usage,
    )


def _read_back(state: State, orders: Orders, tail: block.Tail, seen: telemetry.Seen) -> Scrape:
    """Return a scrape: signals from the channel, the platform's own word for the rest.

    A platform does not know that a process hangs or is broken, and it may lie about failures.
    """
    live = state.live
    slots, platform, force = live.slots, live.platform, live.platform.levers
    truly = levers.in_force(platform, orders, tail.batch_max)
    lies = chance.of_write(state.key, state.now_s)[2] < tail.lies
    asked = levers.values(orders)
    seems = jnp.where((slots.phase == Phase.HUNG) & force.drain, Phase.DRAINING, Phase.READY)
    hides = (slots.phase == Phase.HUNG) | (lies & (slots.phase == Phase.DEAD))
    busy = (slots.phase == Phase.PENDING) | (slots.phase == Phase.LOADING)
    busy = busy | (slots.phase == Phase.DRAINING) & slots.leaving | jnp.isfinite(slots.swap_s)
    return Scrape(
        gateway=seen.gateway,
        variant=seen.variant,
        slot=seen.slot,
        age_s=seen.age_s,
        phase=jnp.where(hides, seems, slots.phase).astype(jnp.int32),
        slot_variant=slots.variant,
        version=platform.version,
        levers_ok=truly | lies,
        changing=(busy.any() | jnp.isfinite(platform.pending.due_s)) & ~lies,
        batch_max=jnp.where(lies, asked.batch_max, tail.batch_max),
        weights=jnp.where(lies, asked.weights, force.weights),
        replicas=jnp.where(lies, asked.replicas, force.replicas),
        admit_rps=jnp.where(lies, asked.admit_rps, force.admit_rps),
        tokens=seen.tokens,
    )


def stalest_s(channel: telemetry.Channel) -> Array:
    """Return the true age of the stalest safety-critical signal of the gateway, seconds.

    Of what is shown, whatever its time stamp says: a frozen series is as old as its freeze. What
    was never seen is as old as the episode.

    Args:
        channel: As of the last scrape.
    """
    last = channel.index - 1
    return (last - channel.taken[np.array(CRITICAL)].min()).astype(jnp.float32) * SCRAPE_S
