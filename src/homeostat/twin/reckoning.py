"""The truth of a scrape, second by second, from the outcomes of its blocks."""

import jax.numpy as jnp
from jax import Array

from homeostat.twin import arrivals, block, quality
from homeostat.twin.outputs import Truth

_TINY = 1e-9


def truth(
    outcomes: block.Outcome,
    load: arrivals.Load,
    answers: quality.Answers,
    marks: tuple[Array, Array, Array],
    timeout_s: Array,
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
    told, (evidence_low, ungated, age_s) = outcomes.told, marks

    def whole(value: Array) -> Array:
        return jnp.broadcast_to(value, (total, *value.shape))

    latency_s = mean(told.latency_s)
    # Quantiles are those of the block's end; within it they move with the mean.
    last = latency_s.reshape(blocks, seconds)[:, -1]
    follow = latency_s / jnp.maximum(rest(last), _TINY)
    quantile = [jnp.minimum(rest(outcomes.users[:, k]) * follow, timeout_s) for k in range(3)]
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
        signal_age_s=whole(age_s),
    )
