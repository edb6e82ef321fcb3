"""From what is true to what is scraped: sampling noise, and a channel that loses and bends it.

Every tick `add` sums what the deployment does into a `Window` (see `windows`); every scrape
`scrape` turns the window into rates and quantiles with the noise that so many requests have (see
`observe`) and passes them through the telemetry channel, which is what this file is about. Noise
belongs to observations only, never to the state of the deployment.

Order of the channel: scrape failure, counter artefacts, delay, scale and bias, loss, zero-filling,
freeze. Ages are honest about delay and loss (also where the loss is reported as zero: the series
`up` is there); a frozen series has fresh time stamps and no variance. How old what it shows truly
is goes to the truth alone (`scraping.stalest_s`).
NaN = not reported: a dead replica's signals, a latency without a request, a lost sample.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from homeostat.base import names
from homeostat.twin import observe, params, windows
from homeostat.twin.apart import apart
from homeostat.twin.chance import fold, uniform, words
from homeostat.twin.shapes import SCRAPE_S, SCRAPES_KEPT, VARIANTS, Phase
from homeostat.twin.signals import (
    CLASSES,
    GATEWAY_SIGNALS,
    GPU_SHARE,
    IN_FLIGHT,
    LATENCY_P99,
    SLOT_SIGNALS,
    TOKEN_SIGNALS,
    USD_PER_HOUR,
    VARIANT_SIGNALS,
)
from homeostat.twin.together import if_any, put_row
from homeostat.twin.windows import Gauges, Observed, Tick, Window, add, open_window

__all__ = [
    "CLASS_OF",
    "Channel",
    "Gauges",
    "Inputs",
    "Seen",
    "Tick",
    "Window",
    "add",
    "class_of",
    "init",
    "neutral",
    "open_window",
    "scrape",
]

# Which class of `signals.CLASSES` each signal belongs to: signals of a class share an exporter, a
# unit or a pipeline, and break together.
CLASS_OF: Final[Mapping[str, str]] = {
    names.LATENCY_P50: "latency",
    names.LATENCY_P95: "latency",
    LATENCY_P99: "latency",
    names.ERROR_RATIO: "errors",
    names.REFUSED_RATIO: "errors",
    names.ARRIVAL_RATE: "throughput",
    names.BATCH_SIZE: "queue",
    names.BATCH_FULL_SHARE: "queue",
    names.QUEUE_LENGTH: "queue",
    IN_FLIGHT: "queue",
    names.KV_USAGE: "queue",
    names.PREEMPTION_RATIO: "queue",
    names.PROMPT_TOKENS: "queue",
    names.GENERATED_TOKENS: "queue",
    names.CPU_SHARE: "cpu",
    names.MEMORY_SHARE: "memory",
    GPU_SHARE: "gpu",
    names.DEVICE_TIME: "gpu",
    names.PROCESS_UP: "probes",
    names.PROBE_HEALTH: "probes",
    names.PROBE_INFERENCE: "probes",
    names.PROBE_LATENCY: "probes",
    names.PREDICTION_SHIFT: "predictions",
    names.FEATURE_SHIFT: "predictions",
    names.INVALID_SHARE: "predictions",
    names.ACCURACY: "labels",
    names.LABEL_COVERAGE: "labels",
    USD_PER_HOUR: "cost",
}
_MOST: Final = 1e9  # stands for no limit, where infinity times zero would be no number
_SPIKE: Final = 10.0  # what a wrapped difference shows, against the truth


class Inputs(eqx.Module):
    """Telemetry faults in force by class of signals, named like the primitives; all [CLASSES].

    Attributes:
        metric_drop: Probability that a scrape of all series of the class is lost.
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
    """What the telemetry channel remembers of N signals: gateway, variants, slots, their tokens.

    Attributes:
        ring: Observations of the last scrapes [SCRAPES_KEPT, N].
        held: What was reported last [N].
        total: Sums of counters read as gauges [N].
        luck: Uniform draw of each series for the whole episode: which of them freeze [N].
        shown: Scrape whose values are shown by class [CLASSES], int32.
        newest: Scrape of the newest sample of each gateway signal by its time stamp, int32.
        taken: Scrape in which what is shown of it was truly taken, -1 = none yet, int32.
        index: Scrapes so far, int32.
    """

    ring: Array
    held: Array
    total: Array
    luck: Array
    shown: Array
    newest: Array
    taken: Array
    index: Array


class Seen(eqx.Module):
    """The parts of `outputs.Scrape` that pass through the channel."""

    gateway: Array
    variant: Array
    slot: Array
    tokens: Array
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


def init(key: Array, slots: int) -> Channel:
    """Return the channel before the first scrape.

    Args:
        key: The episode's telemetry key.
        slots: S.
    """
    number = len(class_of(slots))
    return Channel(
        ring=jnp.full((SCRAPES_KEPT, number), jnp.nan),
        held=jnp.full(number, jnp.nan),
        total=jnp.zeros(number),
        luck=uniform(key, (number,)),
        shown=jnp.zeros(len(CLASSES), jnp.int32),
        newest=jnp.zeros(len(GATEWAY_SIGNALS), jnp.int32),
        taken=jnp.full(len(GATEWAY_SIGNALS), -1, jnp.int32),
        index=jnp.int32(0),
    )


def class_of(slots: int) -> npt.NDArray[np.int32]:
    """Return the class of each of the N signals: gateway, variants, slots, their tokens [N]."""
    order = (
        *GATEWAY_SIGNALS, *VARIANT_SIGNALS * VARIANTS, *SLOT_SIGNALS * slots,
        *TOKEN_SIGNALS * slots,
    )  # fmt: skip
    return np.array([CLASSES.index(CLASS_OF[name]) for name in order], np.int32)


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
        key: The episode's telemetry key; folded with the scrape's index here, so that a replay
            with other actions sees the same draws.
    """
    slots = gauges.phase.shape[0]
    here = apart(lambda: fold(key, channel.index))
    bits = apart(lambda: words(here, channel.held.shape))
    draws = ((bits >> 9).astype(jnp.float32) + 0.5) * 2.0**-23
    true = apart(lambda: observe.observe(deployment, window, gauges, _parts(draws, slots)))
    observed = jnp.concatenate([
        true.gateway,
        true.variant.ravel(),
        true.slot.ravel(),
        true.tokens.ravel(),
    ])
    channel, lost, frozen = _through(inputs, channel, observed, here, window, gauges)
    seen = channel.held
    gateway = slice(0, len(GATEWAY_SIGNALS))
    ages = class_of(slots)[gateway]
    told = ~jnp.isnan(seen[gateway]) & ~lost[gateway]
    sampled = jnp.where(frozen[gateway], channel.index, channel.shown[ages])
    newest = jnp.where(told, jnp.maximum(sampled, channel.newest), channel.newest)
    fresh = jnp.maximum(channel.shown[ages], channel.taken)
    taken = jnp.where(told & ~frozen[gateway], fresh, channel.taken)
    parts = _parts(seen, slots)
    result = Seen(
        gateway=parts.gateway,
        variant=parts.variant,
        slot=parts.slot,
        tokens=parts.tokens,
        age_s=(channel.index - newest).astype(jnp.float32) * SCRAPE_S,
    )
    channel = eqx.tree_at(
        lambda c: (c.newest, c.taken, c.index), channel, (newest, taken, channel.index + 1)
    )
    return channel, result


def _by_signal(inputs: Inputs, slots: int) -> Inputs:
    """Return the faults of each signal [N] from those of its class.

    A product with zeros and ones: looked up one by one, the compiler would work out a class's
    faults anew for each of its hundreds of signals.
    """
    kind = class_of(slots)
    chosen = (np.arange(len(CLASSES))[:, None] == kind[None, :]).astype(np.float32)
    fault_names = [field.name for field in fields(inputs)]
    values = jnp.stack([jnp.clip(getattr(inputs, name), -_MOST, _MOST) for name in fault_names])
    return Inputs(**dict(zip(fault_names, values @ chosen, strict=True)))


def _parts(flat: Array, slots: int) -> Observed:
    """Return N values as gateway, variants, slots and their tokens."""
    first = len(GATEWAY_SIGNALS)
    second = first + VARIANTS * len(VARIANT_SIGNALS)
    third = second + slots * len(SLOT_SIGNALS)
    return Observed(
        gateway=flat[:first],
        variant=flat[first:second].reshape(VARIANTS, len(VARIANT_SIGNALS)),
        slot=flat[second:third].reshape(slots, len(SLOT_SIGNALS)),
        tokens=flat[third:].reshape(slots, len(TOKEN_SIGNALS)),
    )


def _fails(each: Inputs, window: Window, gauges: Gauges) -> Array:
    """Return which signals nobody answers for because what exports them is too busy [N]."""
    busy = windows.busy(window)
    there = gauges.phase == Phase.READY
    mine = there & (gauges.slot_variant == jnp.arange(VARIANTS)[:, None])
    by_variant = (mine * busy).sum(axis=1) / jnp.maximum(mine.sum(axis=1), 1)
    fleet = (there * busy).sum() / jnp.maximum(there.sum(), 1)
    rho = jnp.concatenate([
        jnp.broadcast_to(fleet, len(GATEWAY_SIGNALS)),
        jnp.repeat(by_variant, len(VARIANT_SIGNALS)),
        jnp.repeat(busy, len(SLOT_SIGNALS)),
        jnp.repeat(busy, len(TOKEN_SIGNALS)),
    ])
    return rho > each.scrape_fail_when_rho_gt


def _touched(inputs: Inputs) -> Array:
    """Return whether anything is wrong with the telemetry."""
    usual = neutral()
    return jnp.stack([
        (getattr(inputs, field.name) != getattr(usual, field.name)).any()
        for field in fields(inputs)
    ]).any()


def _through(
    inputs: Inputs,
    channel: Channel,
    observed: Array,
    key: Array,
    window: Window,
    gauges: Gauges,
) -> tuple[Channel, Array, Array]:
    """Return the channel with what it shows, and which signals are lost and which frozen, [N]."""
    no = jnp.zeros(observed.shape, bool)
    # Nearly always nothing is wrong with it, and what is observed is what is shown.
    counted, total, value, shown, lost, frozen = if_any(
        _touched(inputs),
        lambda: _bent(inputs, channel, observed, key, window, gauges),
        lambda: (
            observed, jnp.zeros_like(channel.total), observed,
            jnp.full_like(channel.shown, channel.index), no, no,
        ),
    )  # fmt: skip
    ring = put_row(channel.ring, channel.index % SCRAPES_KEPT, counted)
    channel = eqx.tree_at(
        lambda c: (c.ring, c.held, c.total, c.shown), channel, (ring, value, total, shown)
    )
    return channel, lost, frozen


def _bent(
    inputs: Inputs,
    channel: Channel,
    observed: Array,
    key: Array,
    window: Window,
    gauges: Gauges,
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Return what counters say, their sums, what is shown, of which scrape, what is lost, frozen.

    All [N] but the scrape, which is by class.
    """
    slots = gauges.phase.shape[0]
    kind = class_of(slots)
    each = apart(lambda: _by_signal(inputs, slots))
    # One draw for all: what collects series, or reads them, loses whole scrapes of them.
    loss = uniform(fold(key, jnp.uint32(2)), ())
    observed = jnp.where(_fails(each, window, gauges), jnp.nan, observed)
    counted, total = apart(
        lambda: _counters(inputs, each, channel.total, observed, key, window.seconds)
    )
    late = jnp.round(inputs.metric_delay_s / SCRAPE_S).astype(jnp.int32)
    late = jnp.clip(late, 0, SCRAPES_KEPT - 1)
    # What has been shown is not taken back: a delay that begins first looks like a freeze.
    shown = jnp.maximum(channel.shown, channel.index - late)
    before = channel.ring[(shown % SCRAPES_KEPT)[kind], jnp.arange(observed.shape[0])]
    value = jnp.where((shown == channel.index)[kind], counted, before)
    value = value * each.metric_scale + each.metric_bias
    chance = each.metric_drop
    lost = loss < chance
    zero = lost & (loss < chance * each.missing_as_zero) & ~jnp.isnan(value)
    value = jnp.where(lost, jnp.where(zero, 0.0, jnp.nan), value)
    frozen = (channel.luck < each.metric_freeze) & ~jnp.isnan(channel.held)
    value = jnp.where(frozen, channel.held, value)
    return counted, total, value, shown, lost & ~frozen, frozen


def _counters(
    inputs: Inputs,
    each: Inputs,
    total: Array,
    observed: Array,
    key: Array,
    seconds: Array,
) -> tuple[Array, Array]:
    """Return what is read off counters that reset, or that are taken for gauges; and their sums.

    A reset shows as a rate of nothing or as a spike (a wrapped difference), with equal chance, for
    one scrape and for a whole class: its counters live in one exporter.
    """
    rest = len(GATEWAY_SIGNALS) + VARIANTS * len(VARIANT_SIGNALS)
    kind = class_of((observed.shape[0] - rest) // (len(SLOT_SIGNALS) + len(TOKEN_SIGNALS)))
    draws = uniform(fold(key, jnp.uint32(1)), (len(CLASSES),))
    chance = -jnp.expm1(-inputs.metric_reset * seconds / 3600.0)
    reset = (draws < chance)[kind]
    spike = (draws < 0.5 * chance)[kind]
    cumulative = each.metric_cumulative > 0.5  # noqa: PLR2004 - it is or it is not
    grown = total + jnp.nan_to_num(observed) * seconds
    grown = jnp.where(cumulative & ~reset, grown, 0.0)
    odd = jnp.where(reset, jnp.where(spike, observed * _SPIKE, observed * 0.0), observed)
    return jnp.where(cumulative & ~jnp.isnan(observed), grown, odd), grown
