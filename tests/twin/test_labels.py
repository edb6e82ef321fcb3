"""Labels arrive once, after their delay, and prove no more than they can."""

from operator import attrgetter
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from homeostat.twin import labels, params, quality
from homeostat.twin.shapes import SCRAPE_S, SLICES, VARIANTS, Variant

# Fractions of 1,500 predictions of A and 150 of B per scrape, 5 % of them in the slice.
MADE = np.array([[1425.0, 75.0], [142.5, 7.5], [0.0, 0.0]], np.float32)


class Told(NamedTuple):
    """What every scrape of a run says; arrays over scrapes."""

    made: np.ndarray
    right: np.ndarray
    accuracy: np.ndarray
    coverage: np.ndarray
    age_s: np.ndarray
    low: np.ndarray
    learnable: np.ndarray
    waiting: np.ndarray
    drawn: np.ndarray


@jax.jit
def run(
    settings: params.Quality, made: Array, chance: Array, shift: Array, delay_s: Array, key: Array
) -> tuple[Array, ...]:
    """Play scrapes: predictions [T, V, SLICES], their accuracy [T, V, SLICES], shift and delay."""

    def scrape(
        state: labels.State, given: tuple[Array, Array, Array, Array, Array]
    ) -> tuple[labels.State, tuple[Array, ...]]:
        at, made, chance, shift, extra_s = given
        inputs = eqx.tree_at(
            lambda i: (i.feature_shift_sd, i.label_delay_s), quality.neutral(), (shift, extra_s)
        )
        window = labels.Window(made=made, right=made * chance)
        now_s = (at + 1) * float(SCRAPE_S)
        before = state.made.sum()
        state, told = labels.at_scrape(
            settings, inputs, state, window, now_s, jax.random.fold_in(key, at)
        )
        drawn = state.made.sum() - before + told.made.sum()
        return state, (
            told.made, told.right, told.accuracy, told.coverage, told.age_s, told.evidence_low,
            state.learnable, state.made.sum(), drawn,
        )  # fmt: skip

    steps = jnp.arange(made.shape[0])
    return jax.lax.scan(scrape, labels.init(), (steps, made, chance, shift, delay_s))[1]


def play(
    settings: params.Quality, *, scrapes: int = 400, made: Any = MADE, chance: Any = 0.9,
    shift: Any = 0.0, extra_s: Any = 0.0, seed: int = 0,
) -> Told:  # fmt: skip
    def over_time(value: Any, *shape: int) -> Array:
        found = np.asarray(value, np.float32)
        if found.ndim == 1 and shape:
            found = found[:, None, None]
        return jnp.asarray(np.broadcast_to(found, (scrapes, *shape)))

    found = run(
        settings,
        over_time(made, VARIANTS, SLICES),
        over_time(chance, VARIANTS, SLICES),
        over_time(shift),
        over_time(extra_s),
        jax.random.key(seed),
    )
    return Told(*(np.asarray(each) for each in found))


def having(settings: params.Quality, **changed: float) -> params.Quality:
    for name, value in changed.items():
        new = jnp.asarray(value, jnp.float32)
        settings = eqx.tree_at(attrgetter(name), settings, new)
    return settings


@pytest.mark.parametrize("delay_s", [0.0, 60.0, 600.0, 900.0, 3600.0])
def test_every_label_arrives_once_and_none_before_its_delay(
    deployment: params.Params, delay_s: float
) -> None:
    settings = having(deployment.quality, label_delay_s=delay_s)
    # One prediction a second of A, and a burst in one scrape that must stay recognisable.
    told = play(settings)
    delivered = told.made.sum(axis=(1, 2))
    assert np.isclose(told.drawn.sum(), delivered.sum() + told.waiting[-1])
    assert np.all(told.right <= told.made)
    # Nothing that was made less than the delay ago has arrived.
    late = round(delay_s / SCRAPE_S)
    made_before = np.concatenate([np.zeros(late), np.cumsum(told.drawn)[: 400 - late]])
    assert np.all(np.cumsum(delivered) <= made_before + 1e-3)
    # And everything has arrived once it is older than the delay and its bucket's width.
    width = max(1, int(np.ceil(delay_s / (60 * SCRAPE_S))))
    due = np.concatenate([np.zeros(late + width), np.cumsum(told.drawn)[: 400 - late - width]])
    assert np.all(np.cumsum(delivered) >= due - 1e-3)


def test_a_delay_that_grows_or_shrinks_loses_no_label_and_repeats_none(
    deployment: params.Params,
) -> None:
    extra_s = np.zeros(400)
    extra_s[50:150], extra_s[200:300] = 5000.0, 1200.0
    told = play(deployment.quality, extra_s=extra_s)
    delivered = told.made.sum(axis=(1, 2))
    assert np.isclose(told.drawn.sum(), delivered.sum() + told.waiting[-1])
    assert delivered[60:80].sum() == 0.0  # older than 600 s, younger than 5,600 s
    # Back at 600 s all that is older comes at once.
    assert delivered[150:152].sum() > told.drawn[50:100].sum()


def test_accuracy_and_coverage_are_those_of_the_labels_and_nothing_before_the_first(
    deployment: params.Params,
) -> None:
    chance = np.broadcast_to(np.array([0.9, 0.7, 0.5])[:, None], (VARIANTS, SLICES))
    told = play(deployment.quality, chance=chance)
    first = 600 // SCRAPE_S
    assert np.all(np.isnan(told.accuracy[:first]))
    assert np.all(np.isinf(told.age_s[:first]))
    assert not np.isnan(told.accuracy[first + 1 :, Variant.A]).any()
    np.testing.assert_allclose(np.mean(told.accuracy[-100:, :2], axis=0), [0.9, 0.7], atol=0.03)
    np.testing.assert_allclose(told.coverage[-100:, :2], 0.2, rtol=0.15)
    # Of the canary nothing is asked: nothing is known.
    assert np.all(np.isnan(told.accuracy[:, Variant.CANARY]))
    assert np.all(np.isnan(told.coverage[:, Variant.CANARY]))
    assert np.all(np.diff(told.age_s[first + 2 :, Variant.A]) <= SCRAPE_S)
    assert told.age_s[-1, Variant.A] == pytest.approx(600.0)


def test_the_age_of_labels_grows_when_no_more_predictions_are_made(
    deployment: params.Params,
) -> None:
    made = np.broadcast_to(MADE, (400, VARIANTS, SLICES)).copy()
    made[100:] = 0.0
    told = play(deployment.quality, made=made)
    assert told.age_s[-1, Variant.A] == pytest.approx(300 * SCRAPE_S)
    assert np.isnan(told.coverage[-1, Variant.CANARY])
    assert np.isnan(told.accuracy[-1, Variant.A])  # what is known has faded


def test_what_can_be_learnt_is_the_world_of_the_newest_labels(deployment: params.Params) -> None:
    shift = np.zeros(400)
    shift[100:] = 2.0
    told = play(deployment.quality, shift=shift)
    late = 600 // SCRAPE_S
    np.testing.assert_allclose(told.learnable[: 100 + late, 0], 0.0)
    np.testing.assert_allclose(told.learnable[100 + late + 1 :, 0], 2.0, rtol=1e-5)


def test_a_fall_below_the_catastrophe_floor_is_proved_after_the_delay_and_not_before(
    deployment: params.Params,
) -> None:
    chance = np.full(400, 0.92)
    chance[100:250] = 0.75  # the floor of catastrophe is 0.82
    told = play(deployment.quality, chance=chance)
    late = 600 // SCRAPE_S
    assert not told.low[: 100 + late].any()
    assert told.low[100 + late + 6 : 250 + late].all()
    # The labels of the recovery take it back within minutes.
    assert not told.low[250 + late + 20 :].any()


def test_a_slice_that_falls_is_proved_although_the_aggregate_stands(
    deployment: params.Params,
) -> None:
    chance = np.full((400, VARIANTS, SLICES), 0.92)
    chance[100:, :, 1] = 0.45  # the slice's floor is 0.67; the aggregate stays at 0.90
    told = play(deployment.quality, chance=chance)
    assert not told.low[:140].any()
    assert told.low[200:].all()


def test_quality_above_the_catastrophe_floor_is_not_called_a_catastrophe(
    deployment: params.Params,
) -> None:
    told = play(deployment.quality, chance=0.84)  # below the floor promised, 0.87
    assert not told.low.any()


@jax.jit
def excluded(floor: Array, number: Array, chance: Array, key: Array) -> Array:
    """Whether the floor was ever excluded, in a stream of batches [T] at a true accuracy [T]."""

    def batch(state: labels.State, given: tuple[Array, Array, Array]) -> tuple[labels.State, Array]:
        at, number, chance = given
        here = jax.random.fold_in(key, at)
        right = (jax.random.uniform(here, (60,)) < chance) & (jnp.arange(60) < number)
        made = jnp.zeros((VARIANTS, SLICES)).at[0, 0].set(number)
        good = jnp.zeros((VARIANTS, SLICES)).at[0, 0].set(right.sum())
        log_e, batches = labels._bet(floor, state, made, good)
        state = eqx.tree_at(lambda s: (s.log_e, s.batches), state, (log_e, batches))
        return state, labels.evidence(state)

    steps = (jnp.arange(number.shape[0]), number, chance)
    return jax.lax.scan(batch, labels.init(), steps)[1].any(axis=0)


@pytest.mark.slow
def test_the_confidence_sequence_ever_excludes_the_truth_in_at_most_one_stream_in_twenty() -> None:
    streams, batches = 2000, 240  # an hour of scrapes
    keys = jax.random.split(jax.random.key(17), streams)
    number = jax.random.randint(jax.random.key(5), (streams, batches), 0, 60)
    floor = jnp.asarray(0.87)
    # At the floor of catastrophe itself, and wandering above it: both are the null hypothesis.
    flat = jnp.full((streams, batches), 0.82)
    wave = 0.82 + 0.08 * (1.0 + jnp.sin(jnp.arange(batches) / 9.0)) / 2.0
    for chance in (flat, jnp.broadcast_to(wave, flat.shape)):
        found = jax.vmap(excluded, in_axes=(None, 0, 0, 0))(floor, number, chance, keys)
        share = float(found[:, 0].mean())
        assert share <= 0.05, share
    # It is no proof that never speaks: 4 points below the floor are found in nearly every stream.
    low = jnp.full((streams, batches), 0.78)
    found = jax.vmap(excluded, in_axes=(None, 0, 0, 0))(floor, number, low, keys)
    assert float(found[:, 0].mean()) > 0.95
