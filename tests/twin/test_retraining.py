"""A retraining takes its time, learns the window it is given, and passes a gate or does not."""

from operator import attrgetter
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from homeostat.twin import params, quality, retraining
from homeostat.twin.orders import Orders
from homeostat.twin.shapes import SCRAPE_S, VARIANTS, Variant

SERVED = np.array([1.0, 0.0, 0.0], np.float32)
SCRAPES = 60
DONE = 600 // SCRAPE_S


class Run(NamedTuple):
    """Per scrape: which variant was promoted [T, V], and what retraining said; then the end."""

    promoted: np.ndarray
    ungated: np.ndarray
    refused: np.ndarray
    busy: np.ndarray
    accuracy: np.ndarray
    known: quality.State


def orders(*, gated: Array, ungated: Array) -> Orders:
    nought = jnp.zeros(())
    flags = jnp.zeros(VARIANTS, bool)
    return Orders(
        replicas=nought, weights=nought, batch_max=nought, concurrency=nought, admit_rps=nought,
        restart=flags, drain=flags, rollback=flags, retrain=gated, retrain_ungated=ungated,
        person_fixes=jnp.asarray(a=False), by_us=jnp.asarray(a=True),
    )  # fmt: skip


@jax.jit
def _play(
    settings: params.Quality,
    inputs: quality.Inputs,
    learnable: Array,
    known: quality.State,
    asked: tuple[Array, Array],
    key: Array,
) -> tuple[quality.State, tuple[Array, ...]]:
    def scrape(
        carry: tuple[retraining.State, quality.State], asked: tuple[Array, Array]
    ) -> tuple[tuple[retraining.State, quality.State], tuple[Array, ...]]:
        state, known = carry
        ordered = orders(gated=asked[0], ungated=asked[1])
        state, known, result = retraining.step(
            settings, inputs, state, known, learnable, jnp.asarray(SERVED), ordered, key
        )
        now = quality.accuracy(settings, inputs, known.learnt, known.age_s, known.feedback)[:, 0]
        return (state, known), (
            result.promoted, result.ungated, result.refused, result.busy, now,
        )  # fmt: skip

    (_, known), found = jax.lax.scan(scrape, (retraining.init(), known), asked)
    return known, found


def given(**changed: Any) -> quality.Inputs:
    found = quality.neutral()
    for name, value in changed.items():
        new = jnp.broadcast_to(jnp.asarray(value, jnp.float32), getattr(found, name).shape)
        found = eqx.tree_at(attrgetter(name), found, new)
    return found


def play(
    deployment: params.Params,
    inputs: quality.Inputs,
    *,
    gated: tuple[int, ...] = (),
    ungated: tuple[int, ...] = (),
    learnable: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0),
    age_s: float = 0.0,
    seed: int = 0,
) -> Run:
    asked = np.zeros((2, SCRAPES), bool)
    asked[0, list(gated)] = True
    asked[1, list(ungated)] = True
    known = quality.init(deployment.quality)
    known = eqx.tree_at(attrgetter("age_s"), known, jnp.full(VARIANTS, age_s))
    known, found = _play(
        deployment.quality,
        inputs,
        jnp.asarray(learnable, jnp.float32),
        known,
        (jnp.asarray(asked[0]), jnp.asarray(asked[1])),
        jax.random.key(seed),
    )
    promoted, unseen, refused, busy, accuracy = (np.asarray(each) for each in found)
    return Run(promoted, unseen, refused, busy, accuracy, known)


def later(deployment: params.Params, run: Run, inputs: quality.Inputs) -> np.ndarray:
    """Accuracy of every variant with what it knows now, in another world and with fresh inputs."""
    zeros = jnp.zeros(VARIANTS)
    found = quality.accuracy(deployment.quality, inputs, run.known.learnt, zeros, zeros)
    return np.asarray(found[:, 0])


def test_without_an_order_nothing_is_trained(deployment: params.Params) -> None:
    run = play(deployment, given(concept_rotation=1.0))
    assert not run.promoted.any()
    assert not run.busy.any()


def test_a_gated_model_that_is_better_becomes_the_canary_after_its_time_and_a_stays(
    deployment: params.Params,
) -> None:
    run = play(deployment, given(concept_rotation=1.0), gated=(3,), learnable=(0.0, 1.0, 0.0, 0.0))
    assert np.flatnonzero(run.promoted[:, Variant.CANARY]).tolist() == [3 + DONE]
    assert not run.promoted[:, [Variant.A, Variant.B]].any()
    assert not run.ungated.any()
    assert run.busy[3 : 3 + DONE].all()
    assert not run.busy[3 + DONE :].any()
    # It recovers retrain_gain of the 0.4 lost, up to what one window teaches too closely.
    assert run.accuracy[-1, Variant.CANARY] == pytest.approx(0.52 + 0.8 * 0.4, abs=0.05)
    assert run.accuracy[-1, Variant.A] == pytest.approx(0.52, abs=1e-5)


def test_a_gated_model_that_is_no_better_is_refused(deployment: params.Params) -> None:
    for seed in range(20):
        run = play(deployment, given(), gated=(0,), seed=seed)
        assert run.refused[DONE]
        assert not run.promoted.any()


def test_a_drift_whose_labels_have_not_come_cannot_be_learnt(deployment: params.Params) -> None:
    run = play(deployment, given(concept_rotation=1.0), gated=(0,))
    assert run.refused.any()
    assert not run.promoted.any()


def test_orders_while_one_is_under_way_are_ignored(deployment: params.Params) -> None:
    run = play(
        deployment, given(concept_rotation=1.0), gated=(0, 1, 2, 20), ungated=(10,),
        learnable=(0.0, 1.0, 0.0, 0.0),
    )  # fmt: skip
    assert run.promoted.sum() == 1
    assert not run.ungated.any()


def test_without_the_gate_the_production_model_is_replaced_whatever_was_learnt(
    deployment: params.Params,
) -> None:
    run = play(deployment, given(), ungated=(0,))
    assert np.flatnonzero(run.promoted[:, Variant.A]).tolist() == [DONE]
    assert np.flatnonzero(run.ungated).tolist() == [DONE]
    assert not run.promoted[:, Variant.CANARY].any()


@pytest.mark.parametrize(
    ("window", "learnable", "age_s"),
    [
        ({"feature_null_rate": 1.0}, (0, 0, 0, 0), 0.0),
        ({"feature_scale": 1000.0}, (0, 0, 0, 0), 0.0),
        ({"malformed_share": 0.8}, (0, 0, 0, 0), 0.0),
        ({"feature_age_growth": 1.0, "staleness_halflife_s": 600.0}, (0, 0, 0, 0), 7200.0),
        ({"feature_shift_periodic": 1.5}, (0, 0, 1.5, 0), 0.0),
        ({"label_prior_shift": 0.6}, (0, 0, 0, 0.6), 0.0),
    ],
    ids=["nulls", "unit", "malformed", "stale", "season", "prior"],
)
def test_what_a_bad_window_teaches_stays_when_the_window_has_passed(
    deployment: params.Params,
    window: dict[str, float],
    learnable: tuple[float, float, float, float],
    age_s: float,
) -> None:
    run = play(deployment, given(**window), ungated=(0,), learnable=learnable, age_s=age_s)
    after = later(deployment, run, given())
    assert after[Variant.A] < 0.92 - 0.08
    assert after[Variant.B] == pytest.approx(0.90, abs=1e-5)
    # And the gate keeps it out.
    gated = play(deployment, given(**window), gated=(0,), learnable=learnable, age_s=age_s)
    assert not gated.promoted.any()


def test_labels_that_come_from_a_bad_release_teach_half_of_its_mistakes(
    deployment: params.Params,
) -> None:
    run = play(deployment, given(accuracy_delta=[-0.3, 0.0, 0.0]), ungated=(0,))
    assert later(deployment, run, given())[Variant.A] == pytest.approx(0.92 - 0.15, abs=0.04)


def test_a_model_trained_on_a_drift_is_worse_when_the_drift_has_gone(
    deployment: params.Params,
) -> None:
    drifted = given(feature_shift_sd=2.0)
    run = play(deployment, drifted, ungated=(0,), learnable=(2.0, 0.0, 0.0, 0.0))
    assert run.accuracy[-1, Variant.A] > run.accuracy[0, Variant.A] + 0.05
    assert later(deployment, run, given())[Variant.A] < 0.90


def test_lost_calibration_is_a_reason_to_promote_and_is_mended_by_it(
    deployment: params.Params,
) -> None:
    flat = given(score_temperature=3.0)
    run = play(deployment, flat, gated=(0,))
    assert run.promoted[DONE, Variant.CANARY]
    learnt = run.known.learnt
    assert float(learnt.temperature[Variant.CANARY]) == pytest.approx(3.0)
    # On a variant that the fault does not touch there is nothing to calibrate to.
    only_a = play(deployment, given(score_temperature=[3.0, 1.0, 1.0]), gated=(0,))
    assert float(only_a.known.learnt.temperature[Variant.CANARY]) == pytest.approx(1.0)


def test_a_rollback_brings_the_first_model_back_and_touches_no_other(
    deployment: params.Params,
) -> None:
    run = play(deployment, given(feature_null_rate=1.0), ungated=(0,))
    back = retraining.revert(deployment.quality, run.known, jnp.array([True, False, False]))
    same = retraining.revert(deployment.quality, run.known, jnp.array([False, True, True]))
    first = quality.learnt_at_start(deployment.quality)
    for found, expected in zip(jax.tree.leaves(back.learnt), jax.tree.leaves(first), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert float(same.learnt.base[Variant.A]) < 0.8
