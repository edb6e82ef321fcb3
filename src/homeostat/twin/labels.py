"""Labels that arrive late: a ring of buckets, and what the delivered ones prove.

Every scrape the labelled share of the predictions made since the last one goes into the open
bucket; a bucket is delivered, once, when the youngest label in it is as old as the delay. Buckets
are as wide as the delay needs (a scrape up to a delay of a quarter of an hour, 4 minutes for 4
hours), so that one fixed ring holds any delay; what does not fit waits in the last bucket.

What delivered labels prove is an e-process per subject (all users, the singled-out slice) against
"accuracy was never below the floor": a mixture, over alternatives q below the floor f and over
when the fall began, of likelihood ratios (q/f)^right ((1-q)/(1-f))^wrong. Under that hypothesis it
is a supermartingale, whatever the true accuracy does above f, so by Ville's inequality it ever
passes 1/alpha with probability <= alpha: the floor lies outside the 1 - alpha betting confidence
sequence. State is O(1): sum_j w_j prod_{i>=j} L_i obeys S <- (S + w) L.
Sources: Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting", JRSS-B 86
(2024), sections 4 and 5; Shin, Ramdas & Rinaldo, "E-detectors", NEJSDS 2 (2023), for the sum over
starts.
"""

from typing import Final

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from homeostat.twin import params, quality
from homeostat.twin.shapes import SCRAPE_S, SLICES, VARIANTS

BUCKETS: Final = 64
# Buckets a delay is divided into; the rest of the ring is room for a delay that grows.
_PER_DELAY: Final = 60
ALPHA: Final = 0.05
# Below the quality floor promised (baseline - 0.05): catastrophe is baseline - 0.10, of a slice
# baseline - 0.25.
_BELOW_FLOOR: Final = (0.05, 0.20)
_ALTERNATIVES: Final = (0.98, 0.95, 0.9, 0.8, 0.65, 0.4)
# More evidence than exp(6) is forgotten, so that a recovery shows within the labels of minutes. A
# supermartingale that is cut down stays one.
_MOST_LOG_E: Final = 6.0
_SUBJECTS: Final = 2


class State(eqx.Module):
    """Labels on their way, and those that have arrived.

    Attributes:
        made: Labelled predictions by bucket [BUCKETS, V, SLICES].
        right: Right ones among them [BUCKETS, V, SLICES].
        world: Sums over labelled predictions of shift, rotation, season and prior [BUCKETS, 4].
        until_s: When the youngest label of a bucket was made; -inf = empty [BUCKETS].
        since_s: When the open bucket was opened.
        open: Its index, int32.
        predicted: Predictions made in the last minutes, fading [V].
        recent_made: Labels delivered in the last minutes, fading [V].
        recent_right: Right ones among them [V].
        newest_s: When the youngest delivered label was made; -inf = none [V].
        learnable: Shift, rotation, season and prior of the newest delivered labels [4].
        log_e: Log of the e-process, by subject and alternative [2, A].
        batches: Batches of labels delivered by subject [2].
    """

    made: Array
    right: Array
    world: Array
    until_s: Array
    since_s: Array
    open: Array
    predicted: Array
    recent_made: Array
    recent_right: Array
    newest_s: Array
    learnable: Array
    log_e: Array
    batches: Array


class Delivered(eqx.Module):
    """What a scrape says about labels.

    Attributes:
        made: Labels that arrived in this scrape [V, SLICES].
        right: Right ones among them [V, SLICES].
        accuracy: Over the labels of the last minutes; NaN = none [V].
        coverage: Of the predictions of the last minutes, share labelled by now; NaN = none made.
        age_s: Of the youngest label; inf = none yet [V].
        evidence_low: Bool: the labels prove quality below the catastrophe floor.
    """

    made: Array
    right: Array
    accuracy: Array
    coverage: Array
    age_s: Array
    evidence_low: Array


def init() -> State:
    """Return the state before any prediction."""
    return State(
        made=jnp.zeros((BUCKETS, VARIANTS, SLICES)),
        right=jnp.zeros((BUCKETS, VARIANTS, SLICES)),
        world=jnp.zeros((BUCKETS, 4)),
        until_s=jnp.full(BUCKETS, -jnp.inf),
        since_s=jnp.float32(0.0),
        open=jnp.int32(0),
        predicted=jnp.zeros(VARIANTS),
        recent_made=jnp.zeros(VARIANTS),
        recent_right=jnp.zeros(VARIANTS),
        newest_s=jnp.full(VARIANTS, -jnp.inf),
        learnable=jnp.zeros(4),
        log_e=jnp.full((_SUBJECTS, len(_ALTERNATIVES)), -jnp.inf),
        batches=jnp.zeros(_SUBJECTS),
    )


def at_scrape(
    settings: params.Quality,
    inputs: quality.Inputs,
    state: State,
    predictions: Array,
    right: Array,
    now_s: Array,
    key: Array,
) -> tuple[State, Delivered]:
    """Take in the predictions of one scrape window and deliver the labels that are due.

    Args:
        settings: The deployment's.
        inputs: Faults in force (the delay's; what the world is like for a later retraining).
        state: As of the last scrape.
        predictions: Answers given in the window [V, SLICES] (failed requests get none).
        right: Expected number of right ones among them [V, SLICES].
        now_s: Time of the scrape.
        key: Of this scrape.
    """
    raise NotImplementedError
