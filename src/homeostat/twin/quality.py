"""How good answers are: true accuracy by variant and slice, and the scores that go with it.

The logit-shift model of a serving twin: accuracy falls by k1 |M delta|^2 under a covariate shift,
by k2 (1 - cos theta) under a turned concept, by what an input carries when it is empty, stale or
in another unit; scores are Beta-distributed and faults move their logits. Accuracy is balanced
accuracy: `CHANCE` is what is left when an input says nothing, and a change of the base rate alone
costs nothing.

Every tick calls `step`. What a model was trained
on is `Learnt` (see `retraining`), so that a drift that ends hurts the model that had learnt it.
Not here: what scores look like (`scores`), labels (`labels`), what is reported (`telemetry`).
"""

from typing import Final

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from homeostat.twin import histograms, params
from homeostat.twin.shapes import SLICES, VARIANTS

CHANCE: Final = 0.5
LOWEST: Final = 0.02  # accuracy; below it a model would be a good one turned round
HIGHEST: Final = 0.999
# A shift of traffic shares by so much (total variation) brings all of `amplify_on_lb_change`.
LB_CHANGE_FULL: Final = 0.05
# Accuracy that a model trained on one base rate loses per unit of change of it.
PRIOR_K: Final = 0.4


class Inputs(eqx.Module):
    """Faults in force, combined; named like the primitives, neutral unless faulted.

    Attributes:
        feature_shift_sd: Shift of the affected inputs.
        affected_features_frac: Their share.
        feature_shift_periodic: Seasonal shift, standard deviations.
        concept_rotation: Quarter turns.
        label_prior_shift: Change of the base rate.
        feature_scale: Unit of an important input against the one trained on [V].
        feature_null_rate: Share of its look-ups that come back empty [V].
        feature_age_growth: Seconds per second [V].
        staleness_halflife_s: Scalar.
        pred_shift: Logits [V].
        score_temperature: [V].
        score_bias: Logits [V].
        accuracy_delta: Sum of `variant_accuracy_delta`, `modelB_accuracy_delta` (on B) and the
            traffic's mean of `pool_accuracy_delta` [V].
        slice_accuracy_delta: [V].
        slice_share: Scalar; NaN = the deployment's.
        amplify_on_lb_change: Scalar.
        feedback_gain: 1/h [V].
        label_delay_s: Beyond the usual, scalar.
        nan_share: Answers that are no numbers, 0..1 [V] (over the variant's replicas).
        malformed_share: Requests with a broken schema, 0..1 [V].
    """

    feature_shift_sd: Array
    affected_features_frac: Array
    feature_shift_periodic: Array
    concept_rotation: Array
    label_prior_shift: Array
    feature_scale: Array
    feature_null_rate: Array
    feature_age_growth: Array
    staleness_halflife_s: Array
    pred_shift: Array
    score_temperature: Array
    score_bias: Array
    accuracy_delta: Array
    slice_accuracy_delta: Array
    slice_share: Array
    amplify_on_lb_change: Array
    feedback_gain: Array
    label_delay_s: Array
    nan_share: Array
    malformed_share: Array


class Learnt(eqx.Module):
    """What each variant's present model has learnt, against the models of the start.

    Attributes:
        base: Accuracy on its own data [V].
        shift: Covariate shift it takes for normal, standard deviations x sqrt(share) [V].
        rotation: Concept it takes for normal, quarter turns [V].
        narrow: 1 = it has seen one window only and no seasons [V].
        season: Seasonal shift of that window [V].
        prior: Change of the base rate in that window [V].
        feature: Share of the important input that it still uses [V].
        temperature: Of the scores it is calibrated to [V].
        bias: The same, logits [V].
    """

    base: Array
    shift: Array
    rotation: Array
    narrow: Array
    season: Array
    prior: Array
    feature: Array
    temperature: Array
    bias: Array


class State(eqx.Module):
    """What quality remembers.

    Attributes:
        age_s: Age of the features each variant reads [V].
        feedback: Accuracy lost by learning from own answers [V].
        learnt: See `Learnt`.
        usual: Shares of scores while nothing is wrong [GROUPS], in `histograms`' groups of bins.
        window: Valid scores of the last minute or so in those groups, fading [V, GROUPS].
    """

    age_s: Array
    feedback: Array
    learnt: Learnt
    usual: Array
    window: Array


class Answers(eqx.Module):
    """Quality in one tick.

    Attributes:
        accuracy: True accuracy [V, SLICES].
        variant_quality: Over each variant's users [V].
        quality: Over today's traffic.
        slice_quality: The same in the singled-out slice.
        slice_share: Share of users in it.
    """

    accuracy: Array
    variant_quality: Array
    quality: Array
    slice_quality: Array
    slice_share: Array


def neutral() -> Inputs:
    """Return inputs that change nothing."""
    nought, zeros, ones = jnp.float32(0.0), jnp.zeros(VARIANTS), jnp.ones(VARIANTS)
    return Inputs(
        feature_shift_sd=nought,
        affected_features_frac=jnp.float32(1.0),
        feature_shift_periodic=nought,
        concept_rotation=nought,
        label_prior_shift=nought,
        feature_scale=ones,
        feature_null_rate=zeros,
        feature_age_growth=zeros,
        staleness_halflife_s=jnp.float32(3600.0),
        pred_shift=zeros,
        score_temperature=ones,
        score_bias=zeros,
        accuracy_delta=zeros,
        slice_accuracy_delta=zeros,
        slice_share=jnp.float32(jnp.nan),
        amplify_on_lb_change=jnp.float32(1.0),
        feedback_gain=zeros,
        label_delay_s=nought,
        nan_share=zeros,
        malformed_share=zeros,
    )


def learnt_at_start(quality: params.Quality) -> Learnt:
    """Return what the models of the start know: every season, no drift."""
    zeros, ones = jnp.zeros(VARIANTS), jnp.ones(VARIANTS)
    return Learnt(
        base=quality.accuracy * ones,
        shift=zeros,
        rotation=zeros,
        narrow=zeros,
        season=zeros,
        prior=zeros,
        feature=ones,
        temperature=ones,
        bias=zeros,
    )


def init(quality: params.Quality) -> State:
    """Return the state before anything has happened."""
    zeros, one = jnp.zeros(VARIANTS), jnp.ones(1)
    usual = histograms.beta(quality.prior * one, quality.sharpness * one, one, 0.0 * one)
    return State(
        age_s=zeros,
        feedback=zeros,
        learnt=learnt_at_start(quality),
        usual=histograms.grouped(usual[0]),
        window=jnp.zeros((VARIANTS, histograms.GROUPS)),
    )


def covariate_shift(inputs: Inputs) -> Array:
    """Return |M delta|: the shift over all inputs, in standard deviations, with its sign."""
    return inputs.feature_shift_sd * jnp.sqrt(inputs.affected_features_frac)


def broken_share(inputs: Inputs, age_s: Array) -> Array:
    """Return how much of what the important input says is lost, 0..1 [V].

    Empty look-ups lose all of it, staleness half per half-life, another unit 1 - 1/ratio; what is
    left multiplies.

    Args:
        inputs: Faults in force.
        age_s: Age of the features [V].
    """
    fresh = jnp.exp2(-age_s / inputs.staleness_halflife_s)
    same_unit = jnp.exp(-jnp.abs(jnp.log(inputs.feature_scale)))
    return 1.0 - (1.0 - jnp.clip(inputs.feature_null_rate, 0.0, 1.0)) * fresh * same_unit


def drift_loss(quality: params.Quality, inputs: Inputs, learnt: Learnt) -> Array:
    """Return the accuracy lost because the world is not the one trained on [V].

    k1 |M delta|^2 + k2 (1 - cos theta), both against what the model was trained on; a model that
    has seen one window only also loses when the season or the base rate leaves that window.
    """
    moved = covariate_shift(inputs) - learnt.shift
    turned = (inputs.concept_rotation - learnt.rotation) * (jnp.pi / 2)
    season = (inputs.feature_shift_periodic - learnt.season) * learnt.narrow
    prior = jnp.abs(inputs.label_prior_shift - learnt.prior) * learnt.narrow
    return (
        quality.covariate_k * (moved**2 + season**2)
        + quality.concept_k * (1.0 - jnp.cos(turned))
        + PRIOR_K * prior
    )


def accuracy(
    quality: params.Quality, inputs: Inputs, learnt: Learnt, age_s: Array, feedback: Array
) -> Array:
    """Return true accuracy by variant and slice [V, SLICES].

    Args:
        quality: The deployment's.
        inputs: Faults in force.
        learnt: What the models know.
        age_s: Age of the features [V].
        feedback: Accuracy lost by learning from own answers [V].
    """
    usable = jnp.maximum(learnt.base - CHANCE, 0.0)
    lost = quality.importance * learnt.feature * usable * broken_share(inputs, age_s)
    common = learnt.base - lost - drift_loss(quality, inputs, learnt) - feedback
    common = common + inputs.accuracy_delta
    both = jnp.stack([common, common + inputs.slice_accuracy_delta], axis=-1)
    # An answer that is no number is wrong.
    return jnp.clip(both, LOWEST, HIGHEST) * (1.0 - jnp.clip(inputs.nan_share, 0, 1))[:, None]


def step(
    deployment: params.Params,
    inputs: Inputs,
    state: State,
    weights: Array,
    dt: float,
) -> tuple[State, Answers]:
    """Return the next state and how good the answers of this tick are.

    Args:
        deployment: Its parameters.
        inputs: Faults in force.
        state: As of the last tick.
        weights: Traffic shares in force [V], sum 1 (or 0 when nothing is served).
        dt: Length of the tick, seconds.
    """
    quality = deployment.quality
    ageing = inputs.feature_age_growth
    age_s = jnp.where(ageing > 0.0, state.age_s + ageing * dt, 0.0)
    found = accuracy(quality, inputs, state.learnt, age_s, state.feedback)
    share = slice_share(deployment, inputs, weights)
    by_slice = jnp.stack([1.0 - share, share])
    by_variant = found @ by_slice
    served = weights / jnp.maximum(weights.sum(), 1e-9)
    # Answers that come back as labels: the loss grows on itself, e-fold in 1/gain hours.
    short = jnp.maximum(state.learnt.base - by_variant, 0.0)
    grown = state.feedback + inputs.feedback_gain * short * (dt / 3600.0)
    feedback = jnp.where(inputs.feedback_gain > 0.0, jnp.minimum(grown, 1.0), 0.0)
    answers = Answers(
        accuracy=found,
        variant_quality=by_variant,
        quality=served @ by_variant,
        slice_quality=served @ found[:, SLICES - 1],
        slice_share=share,
    )
    state = eqx.tree_at(lambda s: (s.age_s, s.feedback), state, (age_s, feedback))
    return state, answers


def slice_share(deployment: params.Params, inputs: Inputs, weights: Array) -> Array:
    """Return the share of users in the singled-out slice.

    It is multiplied once the balancer's split is not that of the start any more.
    """
    usual = jnp.where(
        jnp.isnan(inputs.slice_share), deployment.quality.slice_share, inputs.slice_share
    )
    changed = 0.5 * jnp.abs(weights - deployment.weights).sum()
    full = jnp.clip(changed / LB_CHANGE_FULL, 0.0, 1.0)
    return jnp.clip(usual * (1.0 + (inputs.amplify_on_lb_change - 1.0) * full), 0.0, 1.0)
