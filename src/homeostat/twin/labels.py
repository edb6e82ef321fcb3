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

from homeostat.twin import params, quality, sampling
from homeostat.twin.chance import uniform
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
# Accuracy is told over the labels of the last few minutes: a scrape's weight halves in 14 scrapes.
_FADE: Final = 0.95
_FEWEST: Final = 0.5  # labels, faded; below it nothing is known any more


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


class Window(eqx.Module):
    """Predictions since the last scrape; what `at_scrape` takes.

    Attributes:
        made: Answers given [V, SLICES].
        right: Expected right ones among them [V, SLICES].
    """

    made: Array
    right: Array


def open_window() -> Window:
    """Return a window without a prediction in it."""
    return Window(made=jnp.zeros((VARIANTS, SLICES)), right=jnp.zeros((VARIANTS, SLICES)))


def add(window: Window, answers: quality.Answers, answered: Array, dt: float) -> Window:
    """Return the window with the answers of one more tick.

    Args:
        window: So far.
        answers: How good they are.
        answered: Requests that get an answer, right or wrong, 1/s [V].
        dt: Length of the tick, seconds.
    """
    by_slice = jnp.stack([1.0 - answers.slice_share, answers.slice_share])
    made = answered[:, None] * by_slice * dt
    return Window(made=window.made + made, right=window.right + made * answers.accuracy)


def at_scrape(
    settings: params.Quality,
    inputs: quality.Inputs,
    state: State,
    window: Window,
    now_s: Array,
    key: Array,
) -> tuple[State, Delivered]:
    """Take in the predictions of one scrape window and deliver the labels that are due.

    Args:
        settings: The deployment's.
        inputs: Faults in force (the delay's; what the world is like for a later retraining).
        state: As of the last scrape.
        window: Predictions since the last scrape.
        now_s: Time of the scrape.
        key: Of this scrape.
    """
    delay_s = settings.label_delay_s + inputs.label_delay_s
    state = _take_in(settings, inputs, state, window, now_s, key)
    due = jnp.isfinite(state.until_s) & (state.until_s + delay_s <= now_s)
    made = (state.made * due[:, None, None]).sum(axis=0)
    right = (state.right * due[:, None, None]).sum(axis=0)
    newest_s = jnp.max(jnp.where(due, state.until_s, -jnp.inf))
    youngest = due & (state.until_s == newest_s)
    weight = (state.made.sum(axis=(1, 2)) * youngest).sum()
    learnable = (state.world * youngest[:, None]).sum(axis=0) / jnp.maximum(weight, 1e-9)
    state = _move_on(_without(state, due), delay_s, now_s)
    log_e, batches = _bet(settings.floor, state, made, right)
    state = eqx.tree_at(
        lambda s: (
            s.recent_made, s.recent_right, s.newest_s, s.learnable, s.log_e, s.batches,
        ),
        state,
        (
            state.recent_made * _FADE + made.sum(axis=1),
            state.recent_right * _FADE + right.sum(axis=1),
            jnp.where(made.sum(axis=1) > 0.0, newest_s, state.newest_s),
            jnp.where(weight > 0.0, learnable, state.learnable),
            log_e,
            batches,
        ),
    )  # fmt: skip
    return state, _delivered(state, made, right, now_s)


def _take_in(
    settings: params.Quality,
    inputs: quality.Inputs,
    state: State,
    window: Window,
    now_s: Array,
    key: Array,
) -> State:
    """Draw which predictions get a label, and put those into the open bucket."""
    draws = uniform(key, (2, VARIANTS, SLICES))
    made = sampling.whole(draws[0], window.made * settings.label_share)
    chance = jnp.clip(window.right / jnp.maximum(window.made, 1e-9), 0.0, 1.0)
    right = sampling.binomial(draws[1], made, chance)
    total = made.sum()
    world = total * jnp.stack(_world(inputs))
    changed: State = eqx.tree_at(
        lambda s: (s.made, s.right, s.world, s.until_s, s.predicted),
        state,
        (
            state.made.at[state.open].add(made),
            state.right.at[state.open].add(right),
            state.world.at[state.open].add(world),
            state.until_s.at[state.open].max(jnp.where(total > 0.0, now_s, -jnp.inf)),
            state.predicted * _FADE + window.made.sum(axis=1),
        ),
    )
    return changed


def _world(inputs: quality.Inputs) -> tuple[Array, Array, Array, Array]:
    """Return what a model trained on present labels would learn."""
    return (
        quality.covariate_shift(inputs),
        inputs.concept_rotation,
        inputs.feature_shift_periodic,
        inputs.label_prior_shift,
    )


def _without(state: State, due: Array) -> State:
    """Return the state with the delivered buckets emptied."""
    keep = ~due
    changed: State = eqx.tree_at(
        lambda s: (s.made, s.right, s.world, s.until_s),
        state,
        (
            state.made * keep[:, None, None],
            state.right * keep[:, None, None],
            state.world * keep[:, None],
            jnp.where(due, -jnp.inf, state.until_s),
        ),
    )
    return changed


def _move_on(state: State, delay_s: Array, now_s: Array) -> State:
    """Open the next bucket when this one is wide enough and the next is empty."""
    width_s = jnp.maximum(jnp.ceil(delay_s / (_PER_DELAY * SCRAPE_S)), 1.0) * SCRAPE_S
    following = (state.open + 1) % BUCKETS
    empty = (jnp.isneginf(state.until_s) & (jnp.arange(BUCKETS) == following)).any()
    ready = (now_s - state.since_s >= width_s) & empty
    changed: State = eqx.tree_at(
        lambda s: (s.open, s.since_s),
        state,
        (jnp.where(ready, following, state.open), jnp.where(ready, now_s, state.since_s)),
    )
    return changed


def _bet(floor: Array, state: State, made: Array, right: Array) -> tuple[Array, Array]:
    """Return the log e-processes and the number of batches after one delivery."""
    number = jnp.stack([made.sum(), made[:, SLICES - 1].sum()])
    good = jnp.stack([right.sum(), right[:, SLICES - 1].sum()])
    low = jnp.clip(floor - jnp.array(_BELOW_FLOOR), 0.05, 0.99)[:, None]
    alternative = low * jnp.array(_ALTERNATIVES)
    ratio = good[:, None] * jnp.log(alternative / low) + (number - good)[:, None] * jnp.log(
        (1.0 - alternative) / (1.0 - low)
    )
    arrived = number > 0.0
    batches = state.batches + arrived
    # Prior weight 1 / (k (k + 1)) of a fall that begins with batch k; these sum to 1.
    start = -jnp.log(jnp.maximum(batches * (batches + 1.0), 1.0)) - jnp.log(len(_ALTERNATIVES))
    grown = jnp.minimum(jnp.logaddexp(state.log_e, start[:, None]) + ratio, _MOST_LOG_E)
    return jnp.where(arrived[:, None], grown, state.log_e), batches


def evidence(state: State) -> Array:
    """Return for all users, and for the slice, whether labels prove them below the floor [2]."""
    return jax.nn.logsumexp(state.log_e, axis=1) >= jnp.log(_SUBJECTS / ALPHA)


def _delivered(state: State, made: Array, right: Array, now_s: Array) -> Delivered:
    known = state.recent_made >= _FEWEST
    share = state.recent_right / jnp.maximum(state.recent_made, _FEWEST)
    covered = state.recent_made / jnp.maximum(state.predicted, 1e-9)
    return Delivered(
        made=made,
        right=right,
        accuracy=jnp.where(known, share, jnp.nan),
        coverage=jnp.where(state.predicted > 0.0, jnp.minimum(covered, 1.0), jnp.nan),
        age_s=now_s - state.newest_s,
        evidence_low=evidence(state).any(),
    )
