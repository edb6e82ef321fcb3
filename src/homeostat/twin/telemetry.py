"""From what is true to what is scraped: sampling noise, and a channel that loses and bends it.

Every tick `add` sums what the deployment does into a `Window`; every scrape `scrape` turns the
window into rates and quantiles, adds the noise that so many requests have, and passes it through
the telemetry channel. Noise belongs to observations only, never to the state of the deployment.

Order of the channel: scrape failure, counter artefacts, delay, scale and bias, loss, zero-filling,
freeze. Ages are honest about delay and loss (also where the loss is reported as zero: the series
`up` is there); a frozen series has fresh time stamps and no variance.
NaN = not reported: a dead replica's signals, a latency without a request, a lost sample.
"""

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from homeostat.twin import params
from homeostat.twin.shapes import SCRAPES_KEPT, VARIANTS
from homeostat.twin.signals import CLASSES, GATEWAY_SIGNALS, SLOT_SIGNALS, VARIANT_SIGNALS


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
        slot_attempts: 1/s [S].
        slot_errors: 1/s [S].
        slot_p95_s: [S].
        busy: Share of the time the device works [S], 0..1 (0 on a hung slot).
        batch: Mean batch [S].
        batch_full: Share of batches that are full [S].
        device_s: Device time of a batch [S].
        contention: Of the service law [S], 1 = none.
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
    slot_errors: Array
    slot_p95_s: Array
    busy: Array
    batch: Array
    batch_full: Array
    device_s: Array
    contention: Array


class Window(eqx.Module):
    """Sums over the ticks since the last scrape.

    Attributes:
        sums: Rates x dt; latencies x requests; the rest x dt.
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
        prediction_shift: Distance of the sampled window's scores [V]; NaN = none.
        feature_shift: Distance of the inputs [V].
        invalid_share: Share of predictions that are no numbers [V].
        accuracy: Over delivered labels; NaN = none [V].
        label_coverage: [V].
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


class Inputs(eqx.Module):
    """Telemetry faults in force by class of signals, named like the primitives; all [CLASSES].

    Attributes:
        metric_drop: Probability that a sample is lost.
        missing_as_zero: Probability that a lost one reads zero.
        metric_delay_s: Age of what is reported.
        metric_freeze: Share of the series that repeat their value of the onset.
        metric_scale: Factor.
        metric_bias: Added, in the signal's unit.
        metric_reset: Counter resets, 1/h.
        metric_cumulative: 1 = the sum since the onset in place of the rate.
        scrape_fail_when_rho_gt: Utilisation above which nothing is reported.
    """

    metric_drop: Array
    missing_as_zero: Array
    metric_delay_s: Array
    metric_freeze: Array
    metric_scale: Array
    metric_bias: Array
    metric_reset: Array
    metric_cumulative: Array
    scrape_fail_when_rho_gt: Array


class Channel(eqx.Module):
    """What the telemetry channel remembers; N signals in all, gateway first, then variants, slots.

    Attributes:
        ring: Observations of the last scrapes [SCRAPES_KEPT, N].
        held: What was reported last [N].
        total: Sums of counters read as gauges [N].
        luck: Uniform draw of each series, for the whole episode [N].
        shown: Scrape whose values are shown by class [CLASSES], int32.
        newest: Scrape of the newest sample of each gateway signal, int32.
        index: Scrapes so far, int32.
    """

    ring: Array
    held: Array
    total: Array
    luck: Array
    shown: Array
    newest: Array
    index: Array


class Seen(eqx.Module):
    """The parts of `outputs.Scrape` that pass through the channel."""

    gateway: Array
    variant: Array
    slot: Array
    age_s: Array


def neutral() -> Inputs:
    """Return inputs that change nothing."""
    zeros, ones = jnp.zeros(len(CLASSES)), jnp.ones(len(CLASSES))
    return Inputs(
        metric_drop=zeros,
        missing_as_zero=zeros,
        metric_delay_s=zeros,
        metric_freeze=zeros,
        metric_scale=ones,
        metric_bias=zeros,
        metric_reset=zeros,
        metric_cumulative=zeros,
        scrape_fail_when_rho_gt=jnp.full(len(CLASSES), jnp.inf),
    )


def open_window(slots: int) -> Window:
    """Return a window without a tick in it."""
    raise NotImplementedError


def add(window: Window, tick: Tick, dt: float) -> Window:
    """Return the window with one more tick of length `dt` seconds."""
    raise NotImplementedError


def init(key: Array, slots: int) -> Channel:
    """Return the channel before the first scrape.

    Args:
        key: The episode's telemetry key.
        slots: S.
    """
    raise NotImplementedError


def scrape(
    deployment: params.Params,
    inputs: Inputs,
    channel: Channel,
    window: Window,
    gauges: Gauges,
    key: Array,
) -> tuple[Channel, Seen]:
    """Return the channel after one scrape, and what a controller sees of it.

    Args:
        deployment: Its parameters.
        inputs: Telemetry faults in force.
        channel: As of the last scrape.
        window: Since the last scrape.
        gauges: Read now.
        key: The episode's telemetry key; folded with the scrape's index here.
    """
    raise NotImplementedError
