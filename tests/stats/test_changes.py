"""Change evidence: its bets are fair, its promise holds, and it says what changed and when."""

import math
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.stats.changes import LOOKS, ChangeEvidence, Config, Heard, Money

GRID = 4096


def looks(z: np.ndarray) -> np.ndarray:
    """Return the four p-values of standard normal deviates."""
    above = 0.5 * np.vectorize(math.erfc)(z / math.sqrt(2.0))
    out = 2.0 * np.minimum(above, 1.0 - above)
    stacked = np.stack([above, 1.0 - above, out, 1.0 - out])
    return np.asarray(np.clip(stacked, 1e-12, 1.0))


def heard(evidence: ChangeEvidence, state: Money, p: Iterable[np.ndarray]) -> tuple[Money, Heard]:
    """Return the state and what is said after p-values of some ticks, at least one."""
    first, *rest = p
    state, said = evidence.step(np, state, first)
    for tick in rest:
        state, said = evidence.step(np, state, tick)
    return state, said


@settings(max_examples=20)
@given(st.floats(50.0, 1e12), st.floats(2.0, 40.0), st.floats(0.01, 0.2))
def test_every_bet_is_fair_and_wins_no_more_than_it_may(
    length: float, lasting: float, fade: float
) -> None:
    config = Config(run_length=length, lasting=lasting, fade=fade)
    evidence = ChangeEvidence(config)
    p = (np.arange(GRID) + 0.5) / GRID
    won = evidence.factors(np, np.stack([p] * len(LOOKS)))
    assert won.mean(axis=-1) == pytest.approx(np.ones(won.shape[:2]), abs=1e-9)
    assert won.max() <= max(fade * length, 100.0) ** (1.0 / lasting) + 1e-9
    assert won.min() >= 0.1
    assert (np.diff(won, axis=-1) <= 1e-12).all()  # larger p wins no more


@pytest.mark.parametrize("size", [1, 19, 200])
def test_p_values_that_are_ranks_never_make_a_bet_better_than_fair(size: int) -> None:
    """Ranks among n errors are uniform on k / (n + 1): rounding must not favour the bet."""
    evidence = ChangeEvidence(Config(run_length=1e6))
    p = np.arange(1, size + 2) / (size + 1.0)
    won = evidence.factors(np, np.stack([p] * len(LOOKS)))
    assert won.mean(axis=-1).max() <= 1.0 + 1e-9


@pytest.mark.slow
def test_the_promise_holds_for_honest_p_values_and_not_by_being_mute() -> None:
    rng, length, series, ticks = np.random.default_rng(1), 200.0, 400, 600
    evidence = ChangeEvidence(Config(run_length=length, lasting=5.0))
    state, first = evidence.init(np, series), np.full(series, float(ticks))
    means = []
    for tick in range(ticks):
        state, said = evidence.step(np, state, looks(rng.standard_normal(series)))
        first = np.where(said.alarm, np.minimum(first, tick + 1.0), first)
        means.append((10.0**said.log10_e).mean())
    alarms = (first < ticks).sum()
    print(f"{alarms} alarms, {first.sum() / alarms:.0f} ticks to one")
    assert first.sum() / alarms >= length
    assert alarms > 10
    # An e-value at every tick: its mean is at most one.
    assert np.mean(means) <= 1.1


@pytest.mark.parametrize(
    ("level", "spread", "look"),
    [(2.0, 1.0, "higher"), (-2.0, 1.0, "lower"), (0.0, 3.0, "wider"), (0.0, 0.2, "narrower")],
)
def test_it_says_what_changed_and_when(level: float, spread: float, look: str) -> None:
    rng, series = np.random.default_rng(2), 50
    evidence = ChangeEvidence(Config(run_length=1e5))
    before = (looks(rng.standard_normal(series)) for _ in range(50))
    state, said = heard(evidence, evidence.init(np, series), before)
    assert not said.alarm.any()
    after = (looks(level + spread * rng.standard_normal(series)) for _ in range(40))
    _, said = heard(evidence, state, after)
    assert said.alarm.mean() >= 0.95
    assert (said.look == LOOKS.index(look)).mean() >= 0.95
    assert abs(np.median(said.age) - 40.0) <= 3.0


def test_an_excursion_that_is_too_short_cannot_win_enough() -> None:
    evidence = ChangeEvidence(Config(run_length=1e6, lasting=8.0))
    certain = np.array([[1e-9], [1.0], [1e-9], [1.0]])
    state, said = heard(evidence, evidence.init(np, 1), [certain] * 8)
    assert not said.alarm.any()
    assert heard(evidence, state, [certain] * 4)[1].alarm.all()


def test_no_test_changes_nothing_and_a_row_restarts_alone() -> None:
    evidence = ChangeEvidence(Config(run_length=1e6))
    state, _ = evidence.step(np, evidence.init(np, 2), np.full((4, 2), 0.05))
    after, said = evidence.step(np, state, np.array([[0.05, np.nan]] * 4))
    assert np.isnan(said.log10_e).tolist() == [False, True]
    assert (after.won[..., 1] == state.won[..., 1]).all()
    fresh = evidence.restart(np, state, np.array([True, False]))
    assert fresh.won[..., 0].max() == 0.0
    assert (fresh.won[..., 1] == state.won[..., 1]).all()
