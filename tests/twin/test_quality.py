"""Each quality primitive does what its meaning says, and nothing else."""

from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from operator import attrgetter
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import Array

from homeostat.twin import histograms, params, quality, scores
from homeostat.twin.shapes import BINS, SLICES, VARIANTS, Variant

STEP = jax.jit(partial(quality.step, dt=15.0))
SHARES = jax.jit(scores.predictions)
FEATURES = jax.jit(scores.feature_distance)
CALIBRATION = jax.jit(scores.calibration_error)
BETA = jax.jit(histograms.beta)
SAMPLE = jax.jit(histograms.sample)
PSI = jax.jit(histograms.psi)
OBSERVED = jax.jit(scores.at_scrape)
ONLY_A = np.array([1.0, 0.0, 0.0], np.float32)


@jax.jit
def DISTANCE(shares: Array, usual: Array) -> Array:  # noqa: N802 - compiled once, like its neighbours
    return histograms.distance(histograms.grouped(shares), usual)


def inputs(**changed: Any) -> quality.Inputs:
    """Neutral inputs but for the named ones; a number hits every variant."""
    found = quality.neutral()
    for name, value in changed.items():
        old = getattr(found, name)
        new = jnp.broadcast_to(jnp.asarray(value, jnp.float32), old.shape)
        found = eqx.tree_at(attrgetter(name), found, new)
    return found


def after(
    deployment: params.Params, given: quality.Inputs, *, steps: int = 1, weights: Any = ONLY_A
) -> tuple[quality.State, quality.Answers]:
    """The state and the answers after so many steps of 15 s."""
    state = quality.init(deployment.quality)
    answers = None
    for _ in range(steps):
        state, answers = STEP(deployment, given, state, jnp.asarray(weights))
    assert answers is not None
    return state, answers


def moved(deployment: params.Params, given: quality.Inputs, steps: int = 1) -> float:
    """The expected distance of A's scores from the usual ones."""
    state, _ = after(deployment, given, steps=steps)
    return float(DISTANCE(SHARES(deployment.quality, given, state), state.usual)[Variant.A])


def test_without_a_fault_quality_is_the_accuracy_of_what_serves(deployment: params.Params) -> None:
    weights = np.array([0.25, 0.75, 0.0], np.float32)
    state, answers = after(deployment, inputs(), steps=50, weights=weights)
    assert float(answers.quality) == pytest.approx(0.25 * 0.92 + 0.75 * 0.90, abs=1e-6)
    np.testing.assert_allclose(answers.variant_quality, [0.92, 0.90, 0.92], atol=1e-6)
    assert moved(deployment, inputs()) < 1e-5
    assert float(FEATURES(inputs(), state).max()) == 0.0


def test_a_covariate_shift_costs_the_square_of_its_size_over_all_inputs(
    deployment: params.Params,
) -> None:
    _, answers = after(deployment, inputs(feature_shift_sd=2.0, affected_features_frac=0.25))
    # k1 x 2^2 x 0.25
    assert float(answers.quality) == pytest.approx(0.92 - 0.04 * 1.0, abs=1e-5)


def test_a_concept_turned_by_a_quarter_costs_all_of_k2_and_moves_no_score(
    deployment: params.Params,
) -> None:
    given = inputs(concept_rotation=1.0)
    state, answers = after(deployment, given)
    assert float(answers.quality) == pytest.approx(0.92 - 0.4, abs=1e-5)
    assert moved(deployment, given) < 1e-5
    assert float(FEATURES(given, state).max()) == 0.0


def test_a_seasonal_shift_moves_inputs_and_scores_but_not_accuracy_and_returns(
    deployment: params.Params,
) -> None:
    high, low = inputs(feature_shift_periodic=1.0), inputs(feature_shift_periodic=0.0)
    state, answers = after(deployment, high)
    assert float(answers.quality) == pytest.approx(0.92, abs=1e-6)
    assert moved(deployment, high) > 0.2
    assert float(FEATURES(high, state)[Variant.A]) == pytest.approx(0.3829, abs=1e-3)
    state, answers = STEP(deployment, low, state, jnp.asarray(ONLY_A))
    assert float(answers.quality) == pytest.approx(0.92, abs=1e-6)
    assert float(FEATURES(low, state).max()) == 0.0


@pytest.mark.parametrize(
    ("given", "broken"),
    [
        ({"feature_null_rate": 1.0}, 1.0),
        ({"feature_null_rate": 0.4}, 0.4),
        ({"feature_scale": 10.0}, 0.9),
        ({"feature_scale": 0.1}, 0.9),
    ],
)
def test_a_broken_input_costs_what_hangs_on_it(
    deployment: params.Params, given: Mapping[str, float], broken: float
) -> None:
    _, answers = after(deployment, inputs(**given))
    lost = 0.92 - float(answers.quality)
    assert lost == pytest.approx(0.5 * (0.92 - 0.5) * broken, abs=1e-4)
    useless = eqx.tree_at(lambda p: p.quality.importance, deployment, jnp.zeros(VARIANTS))
    _, spared = after(useless, inputs(**given))
    assert float(spared.quality) == pytest.approx(0.92, abs=1e-6)


def test_empty_look_ups_pull_scores_together_round_the_base_rate(deployment: params.Params) -> None:
    state, _ = after(deployment, inputs())
    centres = np.asarray(jax.nn.sigmoid(jnp.linspace(-8, 8, 2 * BINS + 1)[1::2]))

    def spread(given: quality.Inputs) -> tuple[float, float]:
        shares = np.asarray(SHARES(deployment.quality, given, state)[Variant.A])
        mean = float(shares @ centres)
        return mean, float(shares @ (centres - mean) ** 2)

    usual, empty = spread(inputs()), spread(inputs(feature_null_rate=1.0))
    assert empty[0] == pytest.approx(usual[0], abs=0.01)
    assert empty[1] < 0.5 * usual[1]


def test_stale_inputs_lose_half_per_half_life_and_all_comes_back_with_fresh_ones(
    deployment: params.Params,
) -> None:
    stale = inputs(feature_age_growth=1.0, staleness_halflife_s=600.0)
    state, answers = after(deployment, stale, steps=40)
    assert 0.92 - float(answers.quality) == pytest.approx(0.5 * 0.42 * 0.5, abs=1e-4)
    _, answers = STEP(deployment, inputs(), state, jnp.asarray(ONLY_A))
    assert float(answers.quality) == pytest.approx(0.92, abs=1e-6)


def test_lost_calibration_leaves_accuracy_flat_and_raises_the_calibration_error(
    deployment: params.Params,
) -> None:
    learnt = quality.learnt_at_start(deployment.quality)
    for fault in ({"score_temperature": 3.0}, {"score_bias": 1.0}):
        _, answers = after(deployment, inputs(**fault))
        assert float(answers.quality) == pytest.approx(0.92, abs=1e-6)
        error = CALIBRATION(deployment.quality, inputs(**fault), learnt)
        assert float(error[Variant.A]) > 0.05
        assert moved(deployment, inputs(**fault)) > 0.1
    sound = CALIBRATION(deployment.quality, inputs(), learnt)
    assert float(jnp.abs(sound).max()) < 1e-5


def test_a_change_of_the_base_rate_moves_scores_and_not_accuracy(deployment: params.Params) -> None:
    given = inputs(label_prior_shift=0.4)
    _, answers = after(deployment, given)
    assert float(answers.quality) == pytest.approx(0.92, abs=1e-6)
    assert moved(deployment, given) > 0.3


def test_useless_shifts_of_predictions_move_scores_only(deployment: params.Params) -> None:
    given = inputs(pred_shift=1.0)
    state, answers = after(deployment, given)
    assert float(answers.quality) == pytest.approx(0.92, abs=1e-6)
    assert float(FEATURES(given, state).max()) == 0.0
    assert moved(deployment, given) > 0.2


def test_a_worse_release_hurts_the_variant_it_is_on_and_shows_in_its_scores(
    deployment: params.Params,
) -> None:
    given = inputs(accuracy_delta=[-0.3, 0.0, 0.0])
    state, answers = after(deployment, given)
    np.testing.assert_allclose(answers.variant_quality, [0.62, 0.90, 0.92], atol=1e-5)
    distance = np.asarray(DISTANCE(SHARES(deployment.quality, given, state), state.usual))
    assert distance[Variant.A] > 0.15
    assert distance[Variant.B] < 1e-5


def test_a_bad_slice_hardly_moves_the_aggregate_until_the_balancer_amplifies_it(
    deployment: params.Params,
) -> None:
    given = inputs(slice_accuracy_delta=[-0.5, 0.0, 0.0], amplify_on_lb_change=10.0)
    start = np.asarray(deployment.weights)
    _, before = after(deployment, given, weights=start)
    assert float(before.slice_quality) == pytest.approx(0.9 * 0.42 + 0.1 * 0.90, abs=1e-5)
    assert 0.918 - float(before.quality) == pytest.approx(0.9 * 0.5 * 0.05, abs=1e-5)
    shifted = np.array([0.8, 0.2, 0.0], np.float32)
    _, behind = after(deployment, given, weights=shifted)
    assert float(behind.slice_share) == pytest.approx(0.5, abs=1e-6)
    assert float(behind.quality) < float(before.quality) - 0.1
    _, moved_only = after(
        deployment, inputs(slice_accuracy_delta=[-0.5, 0.0, 0.0]), weights=shifted
    )
    assert float(moved_only.slice_share) == pytest.approx(0.05, abs=1e-6)


def test_a_slice_share_in_force_replaces_the_deployments(deployment: params.Params) -> None:
    _, answers = after(deployment, inputs(slice_share=0.2, slice_accuracy_delta=-0.5))
    assert float(answers.quality) == pytest.approx(0.92 - 0.2 * 0.5, abs=1e-5)


def test_answers_that_are_no_numbers_are_wrong(deployment: params.Params) -> None:
    _, answers = after(deployment, inputs(nan_share=0.25))
    assert float(answers.quality) == pytest.approx(0.92 * 0.75, abs=1e-5)


def test_a_loss_grows_on_itself_only_where_answers_come_back_as_labels(
    deployment: params.Params,
) -> None:
    hit = {"accuracy_delta": -0.05}
    _, alone = after(deployment, inputs(**hit), steps=240)
    _, fed = after(deployment, inputs(**hit, feedback_gain=1.0), steps=240)
    _, sound = after(deployment, inputs(feedback_gain=1.0), steps=240)
    assert float(alone.quality) == pytest.approx(0.87, abs=1e-5)
    assert 0.92 - float(fed.quality) == pytest.approx(0.05 * np.e, rel=0.02)  # an hour, 1/h
    assert float(sound.quality) == pytest.approx(0.92, abs=1e-5)


numbers = st.floats(-1.0, 1.0)


@settings(max_examples=60, deadline=None)
@given(
    shift=st.floats(-20, 20), rotation=st.floats(0, 2), decades=st.floats(-6, 6),
    null=st.floats(0, 1), delta=numbers, slice_delta=numbers, nan=st.floats(0, 1),
)  # fmt: skip
def test_accuracy_stays_between_nothing_and_all_whatever_is_broken(
    deployment: params.Params, shift: float, rotation: float, decades: float, null: float,
    delta: float, slice_delta: float, nan: float,
) -> None:  # fmt: skip
    given = inputs(
        feature_shift_sd=shift, concept_rotation=rotation, feature_scale=10.0**decades,
        feature_null_rate=null, accuracy_delta=delta, slice_accuracy_delta=slice_delta,
        nan_share=nan,
    )  # fmt: skip
    state, answers = after(deployment, given)
    found = np.asarray(answers.accuracy)
    assert found.shape == (VARIANTS, SLICES)
    assert np.all((found >= 0.0) & (found <= 1.0))
    shares = np.asarray(SHARES(deployment.quality, given, state))
    np.testing.assert_allclose(shares.sum(axis=-1), 1.0, atol=1e-4)
    assert np.all(shares >= 0.0)


def test_the_distance_of_a_sample_is_small_unshifted_and_grows_with_the_shift(
    deployment: params.Params,
) -> None:
    made = jnp.array([1500.0, 150.0, 0.0])
    distances = []
    for size in (0.0, 0.25, 0.5, 1.0, 2.0):
        given = inputs(pred_shift=size)
        state, _ = after(deployment, given)
        found = []
        for draw in range(8):
            _, shift = OBSERVED(deployment.quality, given, state, made, jax.random.key(draw))
            found.append(np.asarray(shift))
        assert np.all(np.isnan([each[Variant.CANARY] for each in found]))  # nothing was asked of it
        distances.append(np.mean([each[Variant.A] for each in found]))
    assert distances[0] < 0.05
    assert all(late > early for early, late in pairwise(distances))


def test_psi_is_small_for_a_sample_of_the_same_and_large_for_another(
    deployment: params.Params,
) -> None:
    state, _ = after(deployment, inputs())
    usual = SHARES(deployment.quality, inputs(), state)[Variant.A]
    other = SHARES(deployment.quality, inputs(pred_shift=1.5), state)[Variant.A]
    events = jnp.asarray(2000.0)
    same = PSI(SAMPLE(jax.random.key(1), usual, events), usual)
    apart = PSI(SAMPLE(jax.random.key(1), other, events), usual)
    assert 0.0 <= float(same) < 0.1
    assert float(apart) > 0.25


def test_shares_of_scores_are_those_of_a_beta() -> None:
    stats = pytest.importorskip("scipy.stats")
    edges = 1.0 / (1.0 + np.exp(-np.linspace(-8, 8, BINS + 1)))
    edges[0], edges[-1] = 0.0, 1.0
    for prior, sharpness in ((0.3, 6.0), (0.05, 4.0), (0.5, 1.0), (0.3, 300.0)):
        found = BETA(*(jnp.full(1, value) for value in (prior, sharpness, 1.0, 0.0)))[0]
        law = stats.beta(prior * sharpness, (1 - prior) * sharpness)
        np.testing.assert_allclose(found, np.diff(law.cdf(edges)), atol=8e-3)


def test_a_temperature_and_a_bias_move_logits_and_nothing_else() -> None:
    """P(score' < c) = P(logit < (logit c - bias) T), from the law itself."""
    stats = pytest.importorskip("scipy.stats")
    found = BETA(*(jnp.full(1, value) for value in (0.3, 6.0, 2.5, 0.7)))[0]
    logits = (np.linspace(-8, 8, BINS + 1) - 0.7) * 2.5
    edges = 1.0 / (1.0 + np.exp(-logits))
    edges[0], edges[-1] = 0.0, 1.0
    np.testing.assert_allclose(found, np.diff(stats.beta(1.8, 4.2).cdf(edges)), atol=6e-3)


def test_a_samples_counts_add_up_to_its_events_with_the_spread_of_a_multinomial() -> None:
    shares = jnp.asarray([0.5, 0.3, 0.15, 0.05])
    keys = jax.random.split(jax.random.key(3), 4000)
    drawn = np.asarray(
        jax.jit(jax.vmap(lambda key: histograms.sample(key, shares, jnp.asarray(1000.0))))(keys)
    )
    np.testing.assert_allclose(drawn.sum(axis=1), 1000.0, rtol=1e-4)
    np.testing.assert_allclose(drawn.mean(axis=0), 1000 * np.asarray(shares), rtol=0.02)
    expected = np.sqrt(1000 * np.asarray(shares) * (1 - np.asarray(shares)))
    np.testing.assert_allclose(drawn.std(axis=0), expected, rtol=0.08)
