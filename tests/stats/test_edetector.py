"""Run lengths, delays and what a gap, a run of errors and a restart do."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.stats.arrays import from_bytes, to_bytes
from homeostat.stats.edetector import (
    BOUNDED_BETS,
    P_VALUE_BETS,
    Blocks,
    Config,
    EDetector,
    Evidence,
    Gathered,
    Kind,
    bounded_bets,
    p_value_bets,
)

A, LEVEL = 1000.0, 0.05
DETECTOR = EDetector(Config(run_length=A))


def first_alarms(detector: EDetector, draws: Any, *, runs: int, ticks: int) -> Any:
    """Return the tick of each run's first alarm, inf for none; draws(tick) gives its errors."""
    state = detector.init(np, BOUNDED_BETS, runs)
    first = np.full(runs, np.inf)
    for tick in range(1, ticks + 1):
        state, heard = detector.step(np, state, bounded_bets(np, draws(), LEVEL))
        first = np.where(heard.alarm, np.minimum(first, tick), first)
        if np.isfinite(first).all():
            break
    return first


def run_length(first: Any, ticks: int) -> tuple[float, float]:
    """Return the mean run length and its standard error, runs without an alarm included."""
    alarms = np.isfinite(first).sum()
    mean = float(np.minimum(first, ticks).sum() / alarms)
    return mean, mean / float(np.sqrt(alarms))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("share", "delay"),
    # Measured with bets of 0.5 to 8 against 0.05 and the same threshold (a prototype).
    [(0.10, 139.0), (0.20, 37.0), (0.50, 9.7)],
)
def test_a_rise_of_the_error_ratio_is_found_as_soon_as_by_the_prototype(
    share: float, delay: float
) -> None:
    rng = np.random.default_rng(1)
    first = first_alarms(DETECTOR, lambda: rng.random(1000) < share, runs=1000, ticks=4000)
    assert np.isfinite(first).all()
    assert first.mean() <= 1.03 * delay + 3.0 * first.std() / np.sqrt(1000)


@pytest.mark.slow
def test_false_alarms_are_as_rare_as_promised_and_not_much_rarer() -> None:
    rng, ticks = np.random.default_rng(2), 4000
    first = first_alarms(DETECTOR, lambda: rng.random(600) < LEVEL, runs=600, ticks=ticks)
    mean, error = run_length(first, ticks)
    assert mean + 3.0 * error >= A
    assert mean - 3.0 * error <= 1640.0 * 1.1  # the prototype's


@pytest.mark.long
@pytest.mark.parametrize("kind", list(Kind))
def test_run_lengths_hold_at_every_level_and_shape(kind: Kind) -> None:
    rng, ticks = np.random.default_rng(3), 20_000
    detector = EDetector(Config(run_length=A, kind=kind))
    shapes = {
        "rare": lambda: rng.random(400) < LEVEL,
        "beta": lambda: rng.beta(0.5, 9.5, 400),
        "constant": lambda: np.full(400, LEVEL),
        "few requests": lambda: rng.binomial(7, LEVEL, 400) / 7.0,
    }
    for name, draws in shapes.items():
        first = first_alarms(detector, draws, runs=400, ticks=ticks)
        if np.isfinite(first).any():
            mean, error = run_length(first, ticks)
            assert mean + 3.0 * error >= A, name


@given(st.floats(0.001, 0.999), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_bet_is_fair_at_the_level_and_never_owes(level: float, x: float, share: float) -> None:
    """Linear in x, one at the level, and not negative at either end: so fair for any law."""
    at = bounded_bets(np, np.array([0.0, 1.0, level, x]), level)
    assert (at >= 0.0).all()
    assert at[:, 2] == pytest.approx(1.0)
    middle = bounded_bets(np, np.array([share]), level)[:, 0]
    assert middle == pytest.approx((1.0 - share) * at[:, 0] + share * at[:, 1])


def test_p_value_bets_are_fair_for_uniform_p_values() -> None:
    # The integral of k p^(k-1) in p over (0, 1], by midpoints of a fine grid in -log10 p.
    score = (np.arange(60_000) + 0.5) / 400.0
    density = 10.0**-score * np.log(10.0) / 400.0
    total = (p_value_bets(np, score) * density).sum(axis=1)
    assert ((total <= 1.0) & (total > 0.9)).all(), total


def test_p_values_that_are_uniform_alarm_as_rarely_as_promised() -> None:
    rng, ticks, runs = np.random.default_rng(4), 600, 1000
    state = DETECTOR.init(np, P_VALUE_BETS, runs)
    first = np.full(runs, np.inf)
    for tick in range(ticks):
        state, heard = DETECTOR.step(np, state, p_value_bets(np, -np.log10(rng.random(runs))))
        first = np.where(heard.alarm, np.minimum(first, tick), first)
    mean, error = run_length(first, ticks)
    assert mean + 3.0 * error >= A


def test_many_small_p_values_alarm_and_one_tiny_one_does() -> None:
    state, said = DETECTOR.init(np, P_VALUE_BETS, 2), []
    for tick in range(12):
        row = np.array([1.7, 8.0 if tick == 0 else 0.1])  # 0.02 each time, and 1e-8 once
        state, heard = DETECTOR.step(np, state, p_value_bets(np, row))
        said.append(heard.alarm.tolist())
    assert said[0] == [False, True]
    assert said[-1] == [True, False]


@pytest.mark.parametrize("nothing", [np.nan, np.inf, -0.1, 1.1])
def test_what_is_no_ratio_is_no_test(nothing: float) -> None:
    state = DETECTOR.init(np, BOUNDED_BETS, 2)
    state, _ = DETECTOR.step(np, state, bounded_bets(np, np.array([1.0, 1.0]), LEVEL))
    after, heard = DETECTOR.step(np, state, bounded_bets(np, np.array([nothing, 1.0]), LEVEL))
    assert np.array_equal(after.won[:, 0], state.won[:, 0])
    assert np.isnan(heard.log10_evidence).tolist() == [True, False]
    assert not heard.alarm[0]


def test_evidence_stays_finite_and_a_restart_forgets_one_row() -> None:
    state = DETECTOR.init(np, BOUNDED_BETS, 2)
    for _ in range(400):
        state, _ = DETECTOR.step(np, state, bounded_bets(np, np.ones(2), LEVEL))
    _, heard = DETECTOR.step(np, state, bounded_bets(np, np.ones(2), LEVEL))
    assert np.isfinite(heard.log10_evidence).all()
    assert heard.alarm.all()
    state = DETECTOR.restart(np, state, np.array([True, False]))
    state, heard = DETECTOR.step(np, state, bounded_bets(np, np.zeros(2), LEVEL))
    assert heard.alarm.tolist() == [False, True]


def sticky(rng: Any, runs: int, stay: float) -> Any:
    """Return draws of errors with the right mean that come in runs of 1 / (1 - stay) ticks."""
    bad = rng.random(runs) < LEVEL

    def draw() -> Any:
        nonlocal bad
        fresh = rng.random(runs) < LEVEL
        bad = np.where(rng.random(runs) < stay, bad, fresh)
        return bad

    return draw


@pytest.mark.slow
def test_errors_in_runs_break_the_promise_and_blocks_mend_it() -> None:
    stay, runs, ticks, length = 0.9, 300, 3000, 100
    rng = np.random.default_rng(5)
    alone, _ = run_length(
        first_alarms(DETECTOR, sticky(rng, runs, stay), runs=runs, ticks=ticks), ticks
    )
    assert alone < 0.4 * A
    blocks, draw = Blocks(length), sticky(np.random.default_rng(6), runs, stay)
    gathered, alarms, tests = blocks.init(np, runs), 0, 0
    detector = EDetector(Config(run_length=A / length))  # the same A, in ticks
    state = detector.init(np, BOUNDED_BETS, runs)
    for _ in range(ticks):
        gathered, mean = blocks.step(np, gathered, draw())
        state, heard = detector.step(np, state, bounded_bets(np, mean, LEVEL))
        state = detector.restart(np, state, heard.alarm)
        alarms, tests = alarms + heard.alarm.sum(), tests + np.isfinite(mean).sum()
    assert tests == runs * ticks // length
    assert runs * ticks / alarms >= A


@settings(max_examples=30)
@given(st.lists(st.one_of(st.floats(0.0, 1.0), st.just(np.nan)), min_size=7, max_size=7))
def test_a_block_is_the_mean_of_what_was_reported(values: list[float]) -> None:
    blocks = Blocks(7)
    state, out = blocks.init(np, 1), []
    for value in values:
        state, mean = blocks.step(np, state, np.array([value]))
        out.append(mean[0])
    assert np.isnan(out[:-1]).all()
    known = [value for value in values if np.isfinite(value)]
    assert out[-1] == pytest.approx(np.mean(known) if known else np.nan, nan_ok=True)
    assert float(state.age) == float(state.total[0]) == 0.0


def test_a_stored_state_goes_on_bit_for_bit() -> None:
    rng, blocks = np.random.default_rng(7), Blocks(3)
    both = (blocks.init(np, 2), DETECTOR.init(np, BOUNDED_BETS, 2))
    for tick in range(20):
        gathered, mean = blocks.step(np, both[0], rng.random(2))
        state, heard = DETECTOR.step(np, both[1], bounded_bets(np, mean, LEVEL))
        again = from_bytes(to_bytes(both), [Gathered, Evidence])
        assert to_bytes(again) == to_bytes(both), tick
        _, said = DETECTOR.step(np, again[1], bounded_bets(np, mean, LEVEL))
        assert np.array_equal(said.log10_evidence, heard.log10_evidence, equal_nan=True)
        both = (gathered, state)


@pytest.mark.slow
def test_jax_says_the_same() -> None:
    jnp: ModuleType = pytest.importorskip("jax.numpy")
    rng = np.random.default_rng(8)
    ours, theirs = DETECTOR.init(np, BOUNDED_BETS, 8), DETECTOR.init(jnp, BOUNDED_BETS, 8)
    for _ in range(5):
        x = (rng.random(8) < 0.5).astype(float)
        ours, a = DETECTOR.step(np, ours, bounded_bets(np, x, LEVEL))
        theirs, b = DETECTOR.step(jnp, theirs, bounded_bets(jnp, jnp.asarray(x), LEVEL))
        assert np.allclose(a.log10_evidence, np.asarray(b.log10_evidence), atol=1e-4)
    p = rng.random(8) * 30.0
    bets = np.asarray(p_value_bets(jnp, jnp.asarray(p)))
    assert np.allclose(np.log(p_value_bets(np, p)), np.log(bets), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("wrong", [1.0, np.inf, np.nan])
def test_a_run_length_that_cannot_be_promised_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="run_length"):
        Config(run_length=wrong)


def test_an_empty_block_is_refused() -> None:
    with pytest.raises(ValueError, match="ticks"):
        Blocks(0)
