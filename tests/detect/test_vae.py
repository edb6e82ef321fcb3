"""What the autoencoder finds, what it cannot know, and that NumPy and JAX say the same."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vae_by_hand import SMALL, STRAIGHT, TICKS, curve, straight, trained

from homeostat.detect.vae import Output, State, Vae
from homeostat.detect.vae_config import Config
from homeostat.detect.vae_model import CALIBRATION, Fitted, fit, score
from homeostat.stats.arrays import from_bytes, to_bytes
from homeostat.stats.conformal import Table
from homeostat.stats.edetector import Evidence


def played(vae: Vae, values: Any, *, learn: Any = True) -> tuple[State, Output]:
    """Step through `[time, entity, column]`; return the last state and outputs over time."""
    state, outputs = vae.init(np), []
    for row in values:
        state, output = vae.step(np, state, row, learn)
        outputs.append(output)
    return state, Output(*(np.stack(parts) for parts in zip(*outputs, strict=True)))


def alone(fitted: Fitted, config: Config, values: Any) -> Output:
    """Play one entity's `[time, column]`."""
    return played(Vae(config, [fitted.model]), values[:, None])[1]


def off_the_curve(seed: int, begin: int, ticks: int) -> Any:
    """Return a curve on which, for a while, sine and cosine belong to different angles.

    Each column stays in its range, and all of them within the span of the same components.
    """
    values, other = curve(seed, 600), curve(seed + 50, 600)
    values[begin : begin + ticks, [0, 3, 5]] = other[begin : begin + ticks, [0, 3, 5]]
    return values


@pytest.mark.long
def test_a_break_of_the_curve_that_principal_components_miss_is_found() -> None:
    found, missed = 0.0, 0.0
    for seed in (11, 12, 13):
        values = off_the_curve(seed, 300, 60)
        for fitted, config in ((trained(), SMALL), (straight(), STRAIGHT)):
            error = alone(fitted, config, values).error[:, 0]
            apart = np.nanmean(error[300:360] > np.nanquantile(error[:300], 0.98))
            if config is SMALL:
                found += apart / 3.0
            else:
                missed += apart / 3.0
    assert found > 0.5
    assert missed < 0.5 * found


@pytest.mark.slow
def test_a_place_on_the_curve_that_was_never_visited_shows_in_the_divergence() -> None:
    """All columns grow together, as under a load never seen: relations hold, the place is new."""
    rng = np.random.default_rng(5)
    load = np.abs(1.0 + 0.15 * rng.standard_normal(TICKS))
    weights = np.linspace(0.5, 2.0, 6)
    past = load[:, None] * weights + 0.02 * rng.standard_normal((TICKS, 6))
    fitted = fit(SMALL, past, np.ones(TICKS, dtype=bool))
    later = past[:200].copy()
    later[100:160] = 1.9 * weights + 0.02 * rng.standard_normal((60, 6))
    said = alone(fitted, SMALL, later)
    assert np.nanmax(said.divergence[:100, 0]) < 3.0
    assert np.all(said.divergence[101:160, 0] > 3.0)
    assert said.alarm[101:, 0].any()


@pytest.mark.long
def test_normal_data_it_has_never_seen_rarely_alarm_and_p_values_hold() -> None:
    rates = []
    for seed in range(20, 24):
        said = alone(trained(), SMALL, curve(seed, 1500))
        assert not said.alarm.any()
        rates.append([np.mean(said.error[1:] > 1.0), np.mean(said.divergence[1:] > 1.0)])
    # One in ten of p-values is below 0.1; neighbours depend, so the count is loose.
    assert np.mean(rates, axis=0) == pytest.approx([0.1, 0.1], abs=0.05)


@pytest.mark.long
def test_numpy_and_jax_say_the_same() -> None:
    import jax  # noqa: PLC0415 - collection must not start it

    vae = Vae(SMALL, [trained().model, None])
    values = np.stack([off_the_curve(11, 10, 10)[:40], curve(3, 40)], axis=1)
    values[30, 0, 2] = np.nan
    step = jax.jit(lambda state, row: vae.step(jax.numpy, state, row, learn=True))
    ours, theirs = vae.init(np), vae.init(jax.numpy)
    for row in values:
        ours, said = vae.step(np, ours, row, learn=True)
        theirs, other = step(theirs, row)
        for name, one, two in zip(Output._fields, said, other, strict=True):
            np.testing.assert_allclose(two, one, rtol=2e-3, atol=2e-3, err_msg=name)
    for one, two in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(two, one, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("columns", [(2,), (4, 1), (1, 4), (5,)])
def test_the_suspect_column_contributes_most_and_contributions_are_shares(
    columns: tuple[int, ...],
) -> None:
    """Of columns 1 and 4, a cosine and its cube, either explains the other: both are suspects."""
    values = curve(11, 300)
    values[200:, columns[0]] += 2.0 * np.ptp(values[:, columns[0]])
    share = alone(straight(), STRAIGHT, values).contributions[1:, 0]
    assert np.all(share >= 0.0)
    assert share.sum(axis=-1) == pytest.approx(np.ones(299))
    assert np.mean(np.isin(share[201:].argmax(axis=-1), columns)) > 0.95
    assert np.mean(share[201:].argmax(axis=-1) == columns[0]) > 0.6
    assert np.mean(np.isin(share[:199].argmax(axis=-1), columns)) < 0.8


def test_a_prefix_has_the_scores_of_the_whole() -> None:
    vae, values = Vae(STRAIGHT, [straight().model]), off_the_curve(11, 100, 20)[:, None]
    whole, part = played(vae, values)[1], played(vae, values[:150])[1]
    for one, other in zip(whole, part, strict=True):
        assert np.array_equal(one[:150], other, equal_nan=True)


def test_a_recording_at_once_has_the_scores_of_its_ticks() -> None:
    """The calibration is an empirical distribution: where a score lies in it is its p-value."""
    values = curve(11, 60)
    values[20, 3] = np.nan
    at_once = score(STRAIGHT, straight().model, values)
    said = alone(straight(), STRAIGHT, values)
    normal = straight().model.normal
    for scores, past, found in (
        (at_once.error, normal.errors, said.error[:, 0]),
        (at_once.divergence, normal.divergences, said.divergence[:, 0]),
    ):
        assert np.array_equal(np.isnan(scores), np.isnan(found))
        higher = (past[None, :] >= scores.astype(np.float32)[:, None]).sum(axis=1)
        expected = -np.log10((1.0 + higher) / (1.0 + CALIBRATION))
        within = (higher > 0) & np.isfinite(scores)
        assert within.sum() > 50
        assert found[within] == pytest.approx(expected[within], abs=1e-6)
    assert np.isnan(score(STRAIGHT, straight().model, values[:1]).errors).all()


def test_a_missing_value_is_unknown_until_the_window_has_passed_it() -> None:
    values = np.stack([curve(11, 40), curve(12, 40)], axis=1)
    values[20, 0, 3] = np.nan
    values[25, 0, 3] = np.inf
    _, said = played(Vae(STRAIGHT, [straight().model] * 2), values)
    unknown = [0, 20, 21, 25, 26]  # the first tick has no window of two yet
    assert list(np.flatnonzero(np.isnan(said.neg_log10_p[:, 0]))) == unknown
    assert list(np.flatnonzero(np.isnan(said.contributions[:, 0]).any(axis=-1))) == unknown
    assert list(np.flatnonzero(np.isnan(said.neg_log10_p[:, 1]))) == [0]
    assert not said.alarm[unknown, 0].any()


def test_an_entity_without_a_model_is_unknown_and_its_neighbour_is_judged() -> None:
    values = np.stack([curve(11, 40), curve(11, 40)], axis=1)
    _, said = played(Vae(STRAIGHT, [None, straight().model]), values)
    assert np.isnan(said.neg_log10_p[:, 0]).all()
    assert not said.alarm[:, 0].any()
    assert np.isfinite(said.neg_log10_p[1:, 1]).all()
    _, single = played(Vae(STRAIGHT, [straight().model]), values[:, 1:])
    assert said.error[:, 1] == pytest.approx(single.error[:, 0], nan_ok=True, abs=1e-6)


def test_far_outside_what_was_learnt_the_latent_says_nothing_and_the_column_is_named() -> None:
    values = curve(11, 60)
    values[40:, 1] += 1e4
    said = alone(straight(), STRAIGHT, values)
    assert np.isnan(said.divergence[40:, 0]).all()
    assert np.isfinite(said.divergence[1:40, 0]).all()
    assert said.far[40:, 0].argmax(axis=-1).tolist() == [1] * 20
    assert np.all(said.error[40:, 0] > 2.4)
    assert np.all(said.contributions[41:, 0].argmax(axis=-1) == 1)


def test_another_deployments_values_are_unknown_and_not_anomalous() -> None:
    values = curve(11, 60)
    values[30:] = values[30:] * 1e3 + 1e6
    said = alone(straight(), STRAIGHT, values)
    assert np.isnan(said.neg_log10_p[30:, 0]).all()
    assert not said.alarm[30:].any()
    assert said.far[30:].all()


@pytest.mark.slow
def test_a_fault_that_lasts_alarms_and_never_enters_the_calibration() -> None:
    vae = Vae(STRAIGHT, [straight().model])
    calm, wild = curve(11, 300), curve(12, 300)
    wild[:, 4] += 5.0
    begun, _ = played(vae, calm[:, None])
    state, said = played(vae, np.concatenate([calm, wild])[:, None])
    assert not said.alarm[:300].any()
    assert said.alarm[380:].mean() > 0.9
    # What waited when it began may enter until doubt comes; of 300 ticks nothing else does.
    largest = begun.table.scores[-1].max()
    assert np.sum(state.table.scores[:, 0] > largest) <= 1
    masked, _ = played(vae, calm[:, None], learn=np.array([False]))
    assert np.array_equal(masked.table.scores, vae.init(np).table.scores)
    assert not np.array_equal(begun.table.scores, vae.init(np).table.scores)


def test_the_slower_the_load_the_further_apart_are_the_tests() -> None:
    """Turning by 1 is forgotten in two ticks, by 0.1 in two hundred."""
    spacings = []
    for turn in (1.0, 0.1):
        past = curve(1, turn=turn)
        spacings.append(fit(STRAIGHT, past, np.ones(TICKS, dtype=bool)).model.normal.spacing)
    assert spacings[0].tolist() == [STRAIGHT.spacing] * 2
    assert spacings[1].max() == 64  # and no further: faults shall be found


@pytest.mark.long
def test_evidence_counts_tests_at_each_models_own_distance() -> None:
    """The same fault with the same scores: eight times the distance, about eight times as late."""
    model = straight().model
    first = []
    for factor in (1, 8):
        spacing = np.full(2, STRAIGHT.spacing * factor, dtype=np.int32)
        apart = model._replace(normal=model.normal._replace(spacing=spacing))
        wild = curve(12, 1200)
        wild[:, 4] += 5.0
        vae = Vae(STRAIGHT, [apart, model])
        said = played(vae, np.stack([wild, wild], axis=1))[1]
        first.append(int(np.argmax(said.alarm[:, 0])))
        assert np.argmax(said.alarm[:, 1]) == first[0]
    assert first[0] > STRAIGHT.spacing
    assert 5 * first[0] < first[1] < 12 * first[0]


def test_a_collapsed_posterior_says_nothing_of_divergence() -> None:
    reference = straight().model.reference
    silent = straight().model._replace(reference=reference._replace(active=reference.active * 0.0))
    said = alone(straight()._replace(model=silent), STRAIGHT, curve(11, 40))
    assert np.isnan(said.divergence).all()
    assert np.isfinite(said.error[1:]).all()
    assert np.isfinite(said.neg_log10_p[1:]).all()


def test_the_state_comes_back_from_bytes_and_restarts_by_entity() -> None:
    vae = Vae(STRAIGHT, [straight().model] * 2)
    values = np.stack([curve(11, 80), curve(12, 80)], axis=1)
    state, _ = played(vae, values)
    back = from_bytes(to_bytes(state), (State, Table, Evidence))
    for one, other in zip(
        vae.step(np, state, values[3], True), vae.step(np, back, values[3], True), strict=True
    ):
        assert to_bytes(one) == to_bytes(other)
    restarted, fresh = vae.restart(np, state, np.array([True, False])), vae.init(np)
    assert np.isnan(restarted.recent[:, 0]).all()
    assert np.array_equal(restarted.recent[:, 1], state.recent[:, 1])
    assert np.array_equal(restarted.table.scores[:, 0], fresh.table.scores[:, 0])
    assert np.array_equal(restarted.table.scores[:, [1, 3]], state.table.scores[:, [1, 3]])


ANY = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, 1e300, -1e300, 1.0])


@settings(max_examples=30)
@given(rows=st.lists(st.lists(ANY, min_size=6, max_size=6), min_size=1, max_size=12))
def test_whatever_comes_in_the_answer_is_unknown_or_in_its_range(rows: list[list[float]]) -> None:
    values = np.concatenate([curve(11, 5), np.array(rows), curve(12, 5)])
    said = alone(straight(), STRAIGHT, values)
    for found in (said.neg_log10_p, said.error, said.divergence):
        known = found[~np.isnan(found)]
        assert np.isfinite(known).all()
        assert np.all(known >= 0.0)
    shares = said.contributions[~np.isnan(said.error[:, 0])]
    assert np.all(shares >= 0.0)
    assert shares.sum(axis=-1) == pytest.approx(np.ones(shares.shape[:-1]))
    assert np.isfinite(said.error[-4:]).all()  # and it leaves nothing behind


@settings(max_examples=10)
@given(exponents=st.lists(st.integers(-8, 8), min_size=6, max_size=6))
def test_units_and_offsets_do_not_matter(exponents: list[int]) -> None:
    scale = 10.0 ** np.array(exponents)
    offset = 3.0 * scale
    past, later = curve(1), off_the_curve(11, 20, 10)[:60]
    other = fit(STRAIGHT, past * scale + offset, np.ones(TICKS, dtype=bool))
    ours = alone(straight(), STRAIGHT, later)
    theirs = alone(other, STRAIGHT, later * scale + offset)
    for one, two in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(two, one, rtol=0.02, atol=0.02)


def test_memory_is_known_before_the_start() -> None:
    """The default at 38 columns, without training: the shapes are the settings' alone."""
    rng = np.random.default_rng(1)
    values = rng.standard_normal((600, 4)) @ rng.standard_normal((4, 38))
    config = Config(rounds=0)
    model = fit(config, values, np.ones(600, dtype=bool)).model
    one, many = Vae(config, [model]), Vae(config, [model] * 5)
    assert many.bytes_per_series == pytest.approx(one.bytes_per_series, abs=2)
    assert 3_000 < one.bytes_per_series <= 8_192


def test_models_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="none of 2 entities has a model"):
        Vae(STRAIGHT, [None, None])
    with pytest.raises(ValueError, match="fit them with these settings"):
        Vae(Config(), [straight().model])
    narrow = fit(STRAIGHT, curve(1)[:, :4], np.ones(TICKS, dtype=bool)).model
    with pytest.raises(ValueError, match="all have 6 columns"):
        Vae(STRAIGHT, [straight().model, narrow])


@pytest.mark.slow
def test_the_controllers_process_never_loads_jax_to_judge_or_to_look_for_detectors() -> None:
    code = (
        "import sys; from homeostat.plugins import parts; parts('detector'); "
        "import homeostat.detect.vae, homeostat.detect.vae_file; "
        "print(sorted({'jax', 'optax', 'equinox'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert ran.stdout.strip() == "[]"
