"""What scores and inputs look like from outside: what a drift detector may see of `quality`.

Every scrape calls `at_scrape` for the predictions and `feature_distance` for the inputs. Scores can
be far from usual while every answer is right, and the other way round: that is what they are for.
"""

from typing import Final

import equinox as eqx
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import erf

from homeostat.twin import histograms, params, quality
from homeostat.twin.shapes import VARIANTS

# How far scores move, in logits, per standard deviation of shift of all inputs, and per unit of
# log10 of a wrong unit of an important one: a model reads about as much as its inputs move.
LOGIT_PER_SD: Final = 1.0
LOGIT_PER_DECADE: Final = 3.0
# A release that is worse by so much also predicts otherwise (S29 of the catalogue).
LOGIT_PER_ACCURACY: Final = 3.0
# Share of a scrape's scores that still counts in the next one: a window of about a minute.
SCORES_KEPT: Final = 0.75
_FEWEST_SCORES: Final = 50.0


def scores(
    settings: params.Quality, inputs: quality.Inputs, state: quality.State
) -> tuple[Array, Array, Array, Array]:
    """Return the prior, sharpness, temperature and bias of each variant's scores, each [V].

    An input that says nothing pulls scores to the base rate (their spread falls); a covariate
    shift, a wrong unit, `pred_shift` and a worse release move them; a turned concept does not.
    """
    learnt, ones = state.learnt, jnp.ones(VARIANTS)
    prior = jnp.clip(settings.prior + inputs.label_prior_shift, 0.01, 0.99) * ones
    read = settings.importance * learnt.feature
    fresh = jnp.exp2(-state.age_s / inputs.staleness_halflife_s)
    silent = 1.0 - (1.0 - jnp.clip(inputs.feature_null_rate, 0.0, 1.0)) * fresh
    # Variance of a Beta falls as 1 / (1 + sharpness): a share of the logit's spread is gone.
    sharpness = settings.sharpness / jnp.maximum(1.0 - read * silent, 0.05) ** 2
    moved = LOGIT_PER_SD * (
        quality.covariate_shift(inputs) + inputs.feature_shift_periodic - learnt.shift
    ) + LOGIT_PER_DECADE * read * jnp.log10(inputs.feature_scale)
    bias = (
        inputs.score_bias - learnt.bias + inputs.pred_shift + moved
        - LOGIT_PER_ACCURACY * inputs.accuracy_delta
    )  # fmt: skip
    return prior, sharpness, inputs.score_temperature / learnt.temperature, bias


def calibration_error(
    settings: params.Quality, inputs: quality.Inputs, learnt: quality.Learnt
) -> Array:
    """Return the expected calibration error of scores, 0..1 [V].

    Only of `score_temperature` and `score_bias`, against what a model is calibrated to.

    Args:
        settings: The deployment's.
        inputs: Faults in force.
        learnt: What the models know.
    """
    ones = jnp.ones(VARIANTS)
    temperature = inputs.score_temperature / learnt.temperature
    bias = inputs.score_bias - learnt.bias
    return histograms.calibration_error(
        settings.prior * ones, settings.sharpness * ones, temperature, bias
    )


def predictions(settings: params.Quality, inputs: quality.Inputs, state: quality.State) -> Array:
    """Return the expected shares of valid scores by bin [V, BINS]."""
    return histograms.beta(*scores(settings, inputs, state))


def at_scrape(
    settings: params.Quality,
    inputs: quality.Inputs,
    state: quality.State,
    answered: Array,
    key: Array,
) -> tuple[quality.State, Array]:
    """Sample a scrape window's scores and return the distance of the last minute's [V].

    The distance is total variation over `histograms.GROUPS` groups of bins; NaN while fewer than
    `_FEWEST_SCORES` scores are in the window.

    Args:
        settings: The deployment's.
        inputs: Faults in force.
        state: As of now.
        answered: Answers since the last scrape that are numbers [V].
        key: Of this scrape.
    """
    counts = histograms.sample(
        key, histograms.grouped(predictions(settings, inputs, state)), answered
    )
    window = state.window * SCORES_KEPT + counts
    enough = window.sum(axis=-1) >= _FEWEST_SCORES
    shift = jnp.where(enough, histograms.distance(window, state.usual), jnp.nan)
    return eqx.tree_at(lambda s: s.window, state, window), shift


def feature_distance(inputs: quality.Inputs, state: quality.State) -> Array:
    """Return the largest distance of a feature's histogram from its usual one, 0..1 [V].

    Total variation: of a Gaussian moved by d standard deviations it is erf(d / sqrt 8); empty or
    malformed values are disjoint from real ones; the world has moved on without half of the values
    that are as old as their half-life.

    Args:
        inputs: Faults in force.
        state: For the age of the features.
    """
    shift_sd = jnp.abs(inputs.feature_shift_sd + inputs.feature_shift_periodic)
    # A feature of mean two and unit spread, multiplied.
    unit_sd = 2.0 * jnp.abs(jnp.log(inputs.feature_scale))
    apart = erf(jnp.maximum(shift_sd, unit_sd) / jnp.sqrt(8.0))
    gone = jnp.maximum(inputs.feature_null_rate, inputs.malformed_share)
    stale = 0.5 * (1.0 - jnp.exp2(-state.age_s / inputs.staleness_halflife_s))
    return jnp.clip(jnp.maximum(jnp.maximum(apart, gone), stale), 0.0, 1.0)
