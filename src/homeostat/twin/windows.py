"""What a scrape is made from: sums over the ticks since the last one, and gauges read now.

The kernel calls `add` every tick and reads `Gauges` at the scrape; `observe` turns both into
signals. Everything here is true; noise and faults of the telemetry come later.
"""

from typing import Final

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from homeostat.twin.shapes import VARIANTS

_LONGEST_S: Final = 3600.0  # nothing in the twin is slower; keeps sums finite


class Tick(eqx.Module):
    """What one tick of the deployment does; everything true.

    Attributes:
        refused: Refused at the gateway, 1/s.
        p50_s: At the gateway; like p95_s and p99_s.
        p95_s: See p50_s.
        p99_s: See p50_s.
        usd_per_hour: Spend rate.
        variant_attempts: Attempts that reach a variant, retries included, 1/s [V].
        variant_errors: Of them failed, 1/s [V].
        variant_p50_s: [V].
        variant_p95_s: [V].
        slot_attempts: Sent to the slot, 1/s [S].
        slot_answered: Of them answered by its process, also too late or with an error, 1/s [S].
        slot_errors: Of those its own errors, 1/s [S].
        slot_served: Completed by its device, 1/s [S].
        slot_p95_s: [S].
        busy: Share of the time the device works [S], 0..1 (0 on a hung slot).
        batch: Mean batch [S].
        batch_full: Share of batches that are full [S].
        device_s: Device time of a batch [S].
        contention: Of the service law [S], 1 = none.
        preempted: Sequences put back for want of device memory, 1/s [S].
        prompts: Tokens asked by the requests that are completed, 1/s [S].
        generated: Tokens answered, 1/s [S].
    """

    refused: Array
    p50_s: Array
    p95_s: Array
    p99_s: Array
    usd_per_hour: Array
    variant_attempts: Array
    variant_errors: Array
    variant_p50_s: Array
    variant_p95_s: Array
    slot_attempts: Array
    slot_answered: Array
    slot_errors: Array
    slot_served: Array
    slot_p95_s: Array
    busy: Array
    batch: Array
    batch_full: Array
    device_s: Array
    contention: Array
    preempted: Array
    prompts: Array
    generated: Array


class Window(eqx.Module):
    """Sums over the ticks since the last scrape.

    Attributes:
        sums: Rates x dt; latencies x requests; batches x requests served; the rest x dt.
        seconds: How long.
    """

    sums: Tick
    seconds: Array


class Gauges(eqx.Module):
    """What is read at the moment of the scrape.

    Attributes:
        phase: `shapes.Phase` [S].
        slot_variant: Variant of each slot [S].
        queue: Requests waiting [S].
        in_flight: Requests in the system [S].
        memory_share: Of the limit [S].
        latency_s: Mean time of a request that comes now [S].
        slot_error_ratio: Probability that an answer is an error [S].
        nan_share: Probability that it is no number [S].
        frontend_rps: What one replica's front end can pass on; inf = no limit.
        prediction_shift: From `scores.at_scrape` [V]; NaN = none.
        feature_shift: True distance of the inputs (`scores.feature_distance`) [V].
        invalid_share: Share of predictions that are no numbers [V].
        accuracy: `labels.Delivered.accuracy` [V]; NaN = none.
        label_coverage: `labels.Delivered.coverage` [V].
        kv_usage: Device memory for sequences in use [S]; NaN where it limits nothing.
    """

    phase: Array
    slot_variant: Array
    queue: Array
    in_flight: Array
    memory_share: Array
    latency_s: Array
    slot_error_ratio: Array
    nan_share: Array
    frontend_rps: Array
    prediction_shift: Array
    feature_shift: Array
    invalid_share: Array
    accuracy: Array
    label_coverage: Array
    kv_usage: Array


class Observed(eqx.Module):
    """Signals as an honest exporter reports them; NaN = cannot be told.

    Attributes:
        gateway: One value for each of `signals.GATEWAY_SIGNALS`.
        variant: [V, `signals.VARIANT_SIGNALS`].
        slot: [S, `signals.SLOT_SIGNALS`].
        tokens: [S, `signals.TOKEN_SIGNALS`].
    """

    gateway: Array
    variant: Array
    slot: Array
    tokens: Array


def open_window(slots: int) -> Window:
    """Return a window without a tick in it."""
    nought, by_variant, by_slot = jnp.float32(0.0), jnp.zeros(VARIANTS), jnp.zeros(slots)
    sums = Tick(
        refused=nought,
        p50_s=nought,
        p95_s=nought,
        p99_s=nought,
        usd_per_hour=nought,
        variant_attempts=by_variant,
        variant_errors=by_variant,
        variant_p50_s=by_variant,
        variant_p95_s=by_variant,
        slot_attempts=by_slot,
        slot_answered=by_slot,
        slot_errors=by_slot,
        slot_served=by_slot,
        slot_p95_s=by_slot,
        busy=by_slot,
        batch=by_slot,
        batch_full=by_slot,
        device_s=by_slot,
        contention=by_slot,
        preempted=by_slot,
        prompts=by_slot,
        generated=by_slot,
    )
    return Window(sums=sums, seconds=nought)


def add(window: Window, tick: Tick, dt: float) -> Window:
    """Return the window with one more tick.

    Args:
        window: So far.
        tick: What happened in it; a latency without a request may be anything, also NaN.
        dt: Its length, seconds.
    """
    fleet = tick.variant_attempts.sum()
    weighted = Tick(
        refused=tick.refused,
        p50_s=_weighted(tick.p50_s, fleet),
        p95_s=_weighted(tick.p95_s, fleet),
        p99_s=_weighted(tick.p99_s, fleet),
        usd_per_hour=tick.usd_per_hour,
        variant_attempts=tick.variant_attempts,
        variant_errors=tick.variant_errors,
        variant_p50_s=_weighted(tick.variant_p50_s, tick.variant_attempts),
        variant_p95_s=_weighted(tick.variant_p95_s, tick.variant_attempts),
        slot_attempts=tick.slot_attempts,
        slot_answered=tick.slot_answered,
        slot_errors=tick.slot_errors,
        slot_served=tick.slot_served,
        slot_p95_s=_weighted(tick.slot_p95_s, tick.slot_attempts),
        busy=tick.busy,
        batch=_weighted(tick.batch, tick.slot_served),
        batch_full=_weighted(tick.batch_full, tick.slot_served),
        device_s=_weighted(tick.device_s, tick.slot_served),
        contention=tick.contention,
        preempted=tick.preempted,
        prompts=tick.prompts,
        generated=tick.generated,
    )
    sums = jax.tree.map(lambda total, value: total + value * dt, window.sums, weighted)
    return Window(sums=sums, seconds=window.seconds + dt)


def _weighted(value: Array, weight: Array) -> Array:
    """Return value x weight; nothing where there is no weight."""
    return jnp.where(weight > 0.0, jnp.minimum(value, _LONGEST_S) * weight, 0.0)


def busy(window: Window) -> Array:
    """Return the share of the window in which each slot's device worked [S]."""
    return window.sums.busy / jnp.maximum(window.seconds, 1e-9)
