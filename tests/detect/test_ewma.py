"""The EWMA chart: learning, gaps, hostile values, and what a departure looks like."""

import io
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.base.ports import DetectorOutput
from homeostat.detect.ewma import Config, Ewma, Side, State

GUARDED, ADAPTIVE = 1, 0


def run(
    config: Config, values: Any, *, learn: Any = True, **init: Any
) -> tuple[State, list[DetectorOutput]]:
    """Feed `values` `[tick, series]` to a fresh chart; any NumPy warning is an error."""
    chart, outputs = Ewma(config), []
    values = np.asarray(values, dtype=float)
    state = chart.init(np, values.shape[1], **init)
    with np.errstate(all="raise", under="ignore"):
        for row in values:
            state, output = chart.step(np, state, row, learn)
            outputs.append(output)
    return state, outputs


def noise(ticks: int, series: int = 1, *, seed: int = 7, level: float = 100.0) -> Any:
    return level + np.random.default_rng(seed).standard_normal((ticks, series))


def alarms(outputs: list[DetectorOutput]) -> Any:
    return np.array([output.alarm for output in outputs])


def scores(outputs: list[DetectorOutput]) -> Any:
    return np.array([output.neg_log10_p for output in outputs])


def test_nothing_is_claimed_before_the_warm_up_is_over() -> None:
    config = Config()
    _, outputs = run(config, noise(config.skip + config.warmup + 1))
    assert np.isnan(scores(outputs)[:-1]).all()
    assert np.isfinite(scores(outputs)[-1]).all()
    assert np.isnan([output.low[0] for output in outputs[:-1]]).all()
    assert outputs[-1].low[0] < 100.0 < outputs[-1].high[0]


def test_a_missing_value_is_unknown_and_its_neighbours_are_judged() -> None:
    values = noise(60, 3)
    values[-1, 1] = np.nan
    _, outputs = run(Config(), values)
    assert np.isnan(outputs[-1].neg_log10_p).tolist() == [False, True, False]
    assert np.isnan(outputs[-1].low).tolist() == [False, True, False]
    assert not outputs[-1].alarm.any()


def test_missing_values_teach_nothing() -> None:
    values = noise(80)
    with_gap = np.insert(values, 60, np.nan, axis=0)
    plain, _ = run(Config(whiten=False), values)
    gapped, _ = run(Config(whiten=False), with_gap)
    for name in ("count", "mean", "scale2", "noise", "average", "fade", "last"):
        assert np.array_equal(getattr(plain, name), getattr(gapped, name)), name


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_unknown_from_the_first_tick(odd: float) -> None:
    state, outputs = run(Config(), np.full((50, 1), odd))
    assert np.isnan(scores(outputs)).all()
    assert not alarms(outputs).any()
    assert state.met[0] == 0.0


@given(
    st.lists(
        st.one_of(
            st.floats(allow_nan=True, allow_infinity=True),
            st.sampled_from([0.0, -0.0, 1e308, -1e308, 5e-324, 1e15, -1e-300]),
        ),
        min_size=1,
        max_size=60,
    )
)
@settings(deadline=None)
def test_hostile_values_never_crash_warn_or_poison_the_state(stream: list[float]) -> None:
    state, outputs = run(Config(warmup=8, skip=0), np.array(stream)[:, None])
    assert all(np.isfinite(part).all() for part in state)
    known = np.isfinite(np.array(stream))
    assert not np.isfinite(scores(outputs)[~known]).any()
    assert (scores(outputs)[np.isfinite(scores(outputs))] >= 0.0).all()
    assert not np.isinf(scores(outputs)).any()


@given(st.integers(0, 2), st.lists(st.floats(), min_size=40, max_size=40))
@settings(deadline=None, max_examples=30)
def test_one_row_never_touches_another(row: int, stream: list[float]) -> None:
    values = noise(40, 3)
    _, alone = run(Config(warmup=8), values)
    values[:, row] = stream
    _, mixed = run(Config(warmup=8), values)
    others = [i for i in range(3) if i != row]
    assert np.array_equal(scores(alone)[:, others], scores(mixed)[:, others], equal_nan=True)


@pytest.mark.slow
def test_forty_sigma_has_a_finite_score_far_beyond_any_budget() -> None:
    values = noise(3000)
    values[-1] = 140.0
    _, outputs = run(Config(), values)
    assert 100.0 < float(outputs[-1].neg_log10_p[0]) < 400.0
    assert outputs[-1].alarm[0]


def test_one_spike_is_one_alarm_and_not_a_run_of_them() -> None:
    values = noise(200)
    values[150] += 500.0
    _, outputs = run(Config(), values)
    assert np.flatnonzero(alarms(outputs)[:, 0]).tolist() == [150]


def test_a_small_lasting_shift_is_found_that_no_single_value_shows() -> None:
    values = noise(400, 50)
    values[300:] += 2.5
    _, outputs = run(Config(), values)
    raised = alarms(outputs)
    assert not raised[:300].any()
    assert (raised[300:315].any(axis=0)).mean() >= 0.9


@pytest.mark.parametrize("size", [8.0, -8.0])
def test_eight_sigma_is_found_within_three_ticks_of_the_shortest_history(size: float) -> None:
    config = Config()
    start = config.warmup + config.skip
    values = noise(start + 3, 100)
    values[start:] += size
    _, outputs = run(config, values)
    assert alarms(outputs)[start:].any(axis=0).mean() >= 0.95


@pytest.mark.parametrize(("side", "found"), [(Side.UP, [True, False]), (Side.DOWN, [False, True])])
def test_a_one_sided_chart_sees_its_side_only(side: Side, found: list[bool]) -> None:
    values = noise(120, 2)
    values[100:] += [8.0, -8.0]
    _, outputs = run(Config(side=side), values)
    assert alarms(outputs).any(axis=0).tolist() == found
    last = outputs[-1]
    assert np.isnan(last.low).all() == (side is Side.UP)
    assert np.isnan(last.high).all() == (side is Side.DOWN)


@pytest.mark.slow
def test_the_guarded_baseline_keeps_its_level_while_the_adaptive_one_follows_a_shift() -> None:
    values = noise(900, 20)
    values[300:] += 15.0
    state, outputs = run(Config(), values)
    assert np.abs(state.mean[GUARDED] - 100.0).max() < 0.6
    assert np.abs(state.mean[ADAPTIVE] - 115.0).max() < 1.5
    assert alarms(outputs)[310:].all()  # it never comes to call the shift normal
    assert (outputs[-1].high < 110.0).all()  # and the band shown is the guarded one


@pytest.mark.slow
def test_the_adaptive_baseline_alone_would_have_forgotten_the_shift() -> None:
    values = noise(900, 20)
    values[300:] += 15.0
    # Guarded baselines that never learn are never ready, so the adaptive one judges alone.
    _, outputs = run(Config(), values, learn=False)
    assert alarms(outputs)[300:303].any(axis=0).all()
    assert not alarms(outputs)[-100:].any()


def test_where_learning_is_not_allowed_the_guarded_baseline_stands_still() -> None:
    chart = Ewma(Config())
    state, _ = run(Config(), noise(100, 2))
    after, _ = chart.step(np, state, np.array([101.0, 101.0]), np.array([True, False]))
    changed = after.mean[GUARDED] != state.mean[GUARDED]
    assert changed.tolist() == [True, False]
    assert (after.mean[ADAPTIVE] != state.mean[ADAPTIVE]).all()


def test_an_alarm_is_never_learnt_by_the_guarded_baseline_whatever_the_caller_allows() -> None:
    chart = Ewma(Config())
    state, _ = run(Config(), noise(100))
    after, output = chart.step(np, state, np.array([150.0]), np.array([True]))
    assert output.alarm[0]
    assert after.count[GUARDED, 0] == state.count[GUARDED, 0]
    assert after.mean[GUARDED, 0] == state.mean[GUARDED, 0]


@pytest.mark.parametrize("level", [0.0, 0.1 + 0.2, 1e-9, 123456.789, -7e11])
def test_a_constant_series_does_not_alarm_on_rounding(level: float) -> None:
    values = np.full((300, 1), level)
    values[100:] *= 1.0 + 2e-16
    values[200::2] = np.nextafter(values[200::2], np.inf)
    _, outputs = run(Config(), values)
    assert not alarms(outputs).any()
    assert (scores(outputs)[50:] < 1.0).all()


def test_a_step_in_a_constant_series_is_found() -> None:
    values = np.full((60, 1), 0.2)
    values[50:] = 0.3
    _, outputs = run(Config(), values)
    assert alarms(outputs)[50:53].all()


@pytest.mark.slow
def test_a_change_too_small_to_matter_is_never_an_alarm() -> None:
    values = 100.0 + 0.01 * (noise(300, 2, level=0.0))
    values[200:] += [1.0, 3.0]  # 100 and 300 sigmas, 1 % and 3 %
    _, outputs = run(Config(min_relative_change=0.02), values)
    assert alarms(outputs).any(axis=0).tolist() == [False, True]
    assert scores(outputs)[-1, 0] == 0.0
    assert outputs[-1].low[0] <= values[-1, 0] <= outputs[-1].high[0]  # the band says so too
    _, strict = run(Config(), values)
    assert alarms(strict).any(axis=0).all()  # without the option both are


def test_each_row_may_have_its_own_floor_and_least_change() -> None:
    values = np.zeros((100, 3))
    values[60:] = 0.01
    _, outputs = run(Config(), values, sigma_floor=[0.0, 0.01, 0.0], min_change=[0.0, 0.0, 0.02])
    assert alarms(outputs).any(axis=0).tolist() == [True, False, False]


def test_outliers_in_the_warm_up_do_not_blind_the_chart() -> None:
    config = Config()
    values = noise(140, 100)
    rng = np.random.default_rng(3)
    values[rng.integers(8, config.warmup, size=100), np.arange(100)] += 30.0
    values[0] += 1000.0  # a cold start, skipped
    values[120:] += 8.0
    _, outputs = run(config, values)
    assert alarms(outputs)[120:125].any(axis=0).mean() >= 0.95


@pytest.mark.slow
def test_a_series_whose_spread_was_underestimated_at_the_start_recovers() -> None:
    values = noise(600, 20)
    values[:12] = 100.0  # flat at first, then alive
    _, outputs = run(Config(), values)
    assert alarms(outputs)[-100:].mean() < 0.001


@pytest.mark.slow
def test_a_long_gap_in_correlated_noise_is_no_departure() -> None:
    rng, series, phi = np.random.default_rng(5), 2000, 0.9
    y = rng.standard_normal(series)
    rows = []
    for _ in range(500):
        y = phi * y + np.sqrt(1 - phi**2) * rng.standard_normal(series)
        rows.append(y)
    values = np.array(rows)
    values[440:480] = np.nan
    _, outputs = run(Config(spike_sigmas=4.0), values)
    # Were the gap ignored, the value after it would look 3.2 times too far from the last one.
    assert alarms(outputs)[480].mean() < 0.002


def test_restart_forgets_the_chosen_rows_and_no_others() -> None:
    state, _ = run(Config(), noise(100, 3), min_change=[0.1, 0.2, 0.3])
    chart = Ewma(Config())
    fresh = chart.restart(np, state, np.array([False, True, False]))
    _, output = chart.step(np, fresh, np.full(3, 100.0), True)
    assert np.isnan(output.neg_log10_p).tolist() == [False, True, False]
    assert np.array_equal(fresh.mean[:, [0, 2]], state.mean[:, [0, 2]])
    assert fresh.min_change.tolist() == [0.1, 0.2, 0.3]


def test_a_restored_checkpoint_goes_on_bit_for_bit() -> None:
    values = noise(300, 5)
    values[100] = np.nan
    chart = Ewma(Config())
    whole, outputs = run(Config(), values)
    half, _ = run(Config(), values[:150])
    file = io.BytesIO()
    np.savez(file, **half._asdict())
    file.seek(0)
    with np.load(file) as stored:
        state = State(**{name: stored[name] for name in State._fields})
    for row, expected in zip(values[150:], outputs[150:], strict=True):
        state, output = chart.step(np, state, row, True)
        assert output.neg_log10_p.tobytes() == expected.neg_log10_p.tobytes()
        assert output.low.tobytes() == expected.low.tobytes()
    assert all(a.tobytes() == b.tobytes() for a, b in zip(state, whole, strict=True))


@pytest.mark.slow
@given(st.integers(1, 119), st.floats(-1e6, 1e6))
@settings(deadline=None, max_examples=25)
def test_the_future_does_not_change_the_past(cut: int, future: float) -> None:
    values = noise(120, 2)
    _, before = run(Config(), values)
    values[cut:] = future
    _, after = run(Config(), values)
    assert scores(before)[:cut].tobytes() == scores(after)[:cut].tobytes()


@pytest.mark.slow
@given(st.floats(1e-6, 1e6), st.sampled_from([1.0, -1.0]), st.floats(-1e3, 1e3), st.integers(0, 99))
@settings(deadline=None, max_examples=25)
def test_units_do_not_matter(scale: float, sign: float, offset: float, seed: int) -> None:
    values = noise(100, 3, seed=seed, level=0.0)
    values[80:] += 5.0
    _, plain = run(Config(), values)
    _, other = run(Config(), sign * scale * (values + offset))
    assert np.array_equal(alarms(plain), alarms(other))
    assert np.allclose(scores(plain), scores(other), rtol=1e-4, atol=1e-4, equal_nan=True)


@pytest.mark.slow
def test_numpy_and_compiled_jax_agree() -> None:
    jax: Any = pytest.importorskip("jax")
    jnp: ModuleType = pytest.importorskip("jax.numpy")
    chart = Ewma(Config())
    values = noise(200, 64, level=10.0)
    values[50:55] = np.nan
    values[150:, ::2] += 6.0
    learn = np.random.default_rng(1).random((200, 64)) < 0.8

    def traced(state: State, row: Any, may: Any) -> tuple[State, Any]:
        state, out = chart.step(jnp, state, row, may)
        return state, (out.neg_log10_p, out.high, out.alarm)

    step = jax.jit(traced)
    ours, theirs = chart.init(np, 64), chart.init(jnp, 64)
    differ = 0
    for row, may in zip(values, learn, strict=True):
        ours, left = chart.step(np, ours, row, may)
        theirs, (score, high, alarm) = step(theirs, row, may)
        differ += int((alarm != left.alarm).sum())
        assert np.allclose(score, left.neg_log10_p, rtol=2e-2, atol=1e-2, equal_nan=True)
        assert np.allclose(high, left.high, rtol=1e-3, equal_nan=True)
    assert differ <= 2  # float32 may decide a value on the very limit otherwise


@pytest.mark.parametrize(
    ("settings_", "named"),
    [
        ({"smoothing": 0.0}, "smoothing"),
        ({"smoothing": 1.1}, "smoothing"),
        ({"limit_sigmas": 0.0}, "limit_sigmas"),
        ({"spike_sigmas": float("nan")}, "spike_sigmas"),
        ({"guarded_weight": -1.0}, "guarded_weight"),
        ({"warmup": 7}, "warmup"),
        ({"min_change": float("inf")}, "min_change"),
        ({"sigma": 0.0}, "sigma"),
        ({"as_written": True, "side": Side.UP}, "two-sided"),
    ],
)
def test_impossible_settings_are_refused_by_name(settings_: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Config(**settings_)
