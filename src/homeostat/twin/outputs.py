"""What the twin tells: the truth of every tick (for the judge) and a scrape (for a controller).

The truth never reaches a controller. A scrape has passed through the telemetry channel, which may
delay, drop, freeze, scale or reset any of it. NaN in a scrape means "not reported"; zero is a
value.
"""

import equinox as eqx
from jax import Array


class Truth(eqx.Module):
    """One tick of one episode; in a trace every field has a leading time axis [T, ...].

    Attributes:
        offered: Unique requests offered, 1/s; retries never count.
        good: Of them those that get a right answer within the deadline at any attempt, 1/s.
        refused: Refused at the gateway on purpose, 1/s.
        attempts: Requests that reach the replicas, retries included, 1/s.
        errors: Attempts that fail, 1/s.
        latency_s: Mean over unique requests, those given up counted at the deadline.
        p50_s: Of latency, like p95_s and p99_s.
        p95_s: See p50_s.
        p99_s: See p50_s.
        capacity: C_slo: requests per second that ready replicas can serve within the p99 promised.
        demand: Organic demand, 1/s (as offered; kept apart for the reader).
        ready: Replicas ready [V].
        held: Replicas that cost money [V] (pending and loading ones too).
        usd_per_hour: Spend rate.
        weights: Traffic shares in force [V].
        variant_errors: Error ratio [V].
        variant_p99_s: p99 [V].
        variant_quality: True accuracy on today's data [V].
        quality: True accuracy over today's traffic.
        slice_quality: The same, in the singled-out slice.
        queue: Requests in the system.
        undrained: Requests lost by the end of a process that was not drained, 1/s.
        faulty: Bool: a fault is active.
        acted: Bool: an own action took effect in this tick.
        destroyed: Bool: the last healthy replica or rollback target was destroyed in this tick.
        ungated: Bool: a model that passed no gate was promoted in this tick.
        evidence_low: Bool: delivered labels prove quality below the catastrophe floor (95 %
            confidence sequence).
        signal_age_s: True age of what the scrape at the end of these ticks shows of the stalest
            signal that is critical to safety, whatever its time stamp says.
    """

    offered: Array
    good: Array
    refused: Array
    attempts: Array
    errors: Array
    latency_s: Array
    p50_s: Array
    p95_s: Array
    p99_s: Array
    capacity: Array
    demand: Array
    ready: Array
    held: Array
    usd_per_hour: Array
    weights: Array
    variant_errors: Array
    variant_p99_s: Array
    variant_quality: Array
    quality: Array
    slice_quality: Array
    queue: Array
    undrained: Array
    faulty: Array
    acted: Array
    destroyed: Array
    ungated: Array
    evidence_low: Array
    signal_age_s: Array


class Scrape(eqx.Module):
    """What a controller sees at a scrape; NaN = not reported. Rates are means since the last one.

    Attributes:
        gateway: One value for each of `signals.GATEWAY_SIGNALS`.
        variant: [V, `signals.VARIANT_SIGNALS`].
        slot: [S, `signals.SLOT_SIGNALS`].
        age_s: Age of the newest sample of each gateway signal.
        phase: `shapes.Phase` of each slot [S], as the platform reports it (never delayed).
        slot_variant: Variant of each slot [S].
        version: Version number of each variant [V].
        levers_ok: Bool: the last orders are in force, as read back.
        changing: Bool: the platform is still carrying something out.
        batch_max: As read back [V].
        weights: As read back [V].
        replicas: Wanted replicas as read back [V].
        admit_rps: As read back.
        tokens: [S, `signals.TOKEN_SIGNALS`]; None = servers that know of none.
    """

    gateway: Array
    variant: Array
    slot: Array
    age_s: Array
    phase: Array
    slot_variant: Array
    version: Array
    levers_ok: Array
    changing: Array
    batch_max: Array
    weights: Array
    replicas: Array
    admit_rps: Array
    tokens: Array | None = None
