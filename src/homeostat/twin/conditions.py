"""Hands the faults in force to the parts of the twin that speak of answers and of telemetry."""

from collections.abc import Mapping

import jax.numpy as jnp
from jax import Array

from homeostat.twin import quality, telemetry
from homeostat.twin.effects import Effects
from homeostat.twin.state import over_slots


def of_quality(fx: Effects, variant: Array, share: Array) -> quality.Inputs:
    """Return what faults do to answers.

    Args:
        fx: Faults in force.
        variant: Which each slot serves [S].
        share: Of its variant's traffic [S].
    """

    def mean(name: str) -> Array:
        return over_slots(fx.of(name) * share, variant)

    delta = fx.of("variant_accuracy_delta") + fx.of("modelB_accuracy_delta")
    return quality.Inputs(
        feature_shift_sd=fx.of("feature_shift_sd"),
        affected_features_frac=jnp.clip(fx.replaced("affected_features_frac", 1.0), 0.0, 1.0),
        feature_shift_periodic=fx.of("feature_shift_periodic"),
        concept_rotation=fx.of("concept_rotation"),
        label_prior_shift=fx.of("label_prior_shift"),
        feature_scale=jnp.maximum(fx.of("feature_scale"), 1e-6),
        feature_null_rate=fx.share("feature_null_rate"),
        feature_age_growth=fx.share("feature_age_growth"),
        staleness_halflife_s=jnp.maximum(fx.replaced("staleness_halflife_s", 3600.0), 1.0),
        pred_shift=fx.of("pred_shift"),
        score_temperature=fx.of("score_temperature"),
        score_bias=fx.of("score_bias"),
        accuracy_delta=delta + mean("pool_accuracy_delta"),
        slice_accuracy_delta=fx.of("slice_accuracy_delta"),
        slice_share=jnp.where(
            fx.replacing("slice_share") > 0.0, fx.replaced("slice_share", 0.0), jnp.nan
        ),
        amplify_on_lb_change=fx.of("amplify_on_lb_change"),
        feedback_gain=jnp.maximum(fx.of("feedback_gain"), 0.0),
        label_delay_s=jnp.maximum(fx.of("label_delay_s"), 0.0),
        nan_share=jnp.clip(mean("nan_prob"), 0.0, 1.0),
        malformed_share=fx.share("schema_err_prob"),
    )


def of_telemetry(found: Mapping[str, Array]) -> telemetry.Inputs:
    """Return what faults do to telemetry.

    Args:
        found: Telemetry primitives by name, each [CLASSES].
    """
    shares = ("metric_drop", "missing_as_zero", "metric_freeze", "metric_cumulative")
    cut = {name: jnp.clip(found[name], 0.0, 1.0) for name in shares}
    return telemetry.Inputs(**{**found, **cut})
