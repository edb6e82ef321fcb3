"""The whole numbers of one scrape, drawn together: arrivals, failures, queues, full batches.

Drawn in two goes (what arrives, then what becomes of it), because one long vector costs a compiler
and a processor less than eight short ones.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from homeostat.base import names
from homeostat.twin import noise, params, sampling
from homeostat.twin.shapes import VARIANTS
from homeostat.twin.signals import IN_FLIGHT
from homeostat.twin.windows import Gauges, Window


class Counts(eqx.Module):
    """What was counted since the last scrape, and the queues found at it.

    Attributes:
        arrived: Attempts at each variant [V].
        refused: At the gateway.
        failed: Of those that arrived [V].
        answered: Of those that arrived, with any answer [V].
        invalid: Answers that are no numbers [V].
        waiting: Requests waiting [S].
        served: Requests being worked on [S].
        tried: Attempts that each slot answered [S].
        slot_failed: Of them failed [S].
        batches: Formed by each slot [S], at least 1.
        full: Of them full ones [S].
    """

    arrived: Array
    refused: Array
    failed: Array
    answered: Array
    invalid: Array
    waiting: Array
    served: Array
    tried: Array
    slot_failed: Array
    batches: Array
    full: Array


def count(deployment: params.Params, window: Window, gauges: Gauges, draws: noise.Draws) -> Counts:
    """Draw the counts of one scrape.

    Args:
        deployment: Its parameters.
        window: Since the last scrape.
        gauges: Read now.
        draws: This scrape's.
    """
    sums, slots = window.sums, gauges.queue.shape[0]
    expected = jnp.concatenate([sums.variant_attempts, sums.refused[None]])
    working = jnp.maximum(gauges.in_flight - gauges.queue, 0.0)
    means = jnp.concatenate([expected, gauges.queue, working])
    uniform = jnp.concatenate(
        [
            draws.variant[names.ARRIVAL_RATE], draws.gateway[names.REFUSED_RATIO][None],
            draws.slot[names.QUEUE_LENGTH], draws.slot[IN_FLIGHT],
        ]
    )  # fmt: skip
    drawn = sampling.poisson(uniform, means)
    burst = noise.bursts(drawn[: VARIANTS + 1], expected, deployment.demand.ca2)
    waiting, served = jnp.split(drawn[VARIANTS + 1 :], 2)
    arrived = burst[:VARIANTS]
    failing = _share(sums.variant_errors, sums.variant_attempts)
    answered = jnp.round(arrived * (1.0 - failing))
    tried = jnp.round(sums.slot_answered)
    batch = jnp.maximum(jnp.nan_to_num(noise.per(sums.batch, sums.slot_served)), 1.0)
    batches = jnp.maximum(jnp.round(sums.slot_served / batch), 1.0)
    found = sampling.binomial(
        jnp.concatenate(
            [
                draws.variant[names.ERROR_RATIO], draws.variant[names.INVALID_SHARE],
                draws.slot[names.ERROR_RATIO], draws.slot[names.BATCH_FULL_SHARE],
            ]
        ),
        jnp.concatenate([arrived, answered, tried, batches]),
        jnp.concatenate(
            [
                failing, jnp.clip(gauges.invalid_share, 0.0, 1.0),
                _share(sums.slot_errors, sums.slot_answered),
                _share(sums.batch_full, sums.slot_served),
            ]
        ),
    )  # fmt: skip
    failed, invalid, slot_failed, full = jnp.split(
        found, np.cumsum([VARIANTS, VARIANTS, slots]).tolist()
    )
    return Counts(
        arrived=arrived, refused=burst[VARIANTS], failed=failed, answered=answered,
        invalid=invalid, waiting=waiting, served=served, tried=tried, slot_failed=slot_failed,
        batches=batches, full=full,
    )  # fmt: skip


def _share(part: Array, whole: Array) -> Array:
    return jnp.clip(jnp.nan_to_num(noise.per(part, whole)), 0.0, 1.0)
