"""Coverage at every look together, width, and what is not reported."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from homeostat.stats.arrays import from_bytes, to_bytes
from homeostat.stats.confseq import MeanSequence, Sequence

LAWS: dict[str, tuple[float, Callable[[Any, int], Any]]] = {
    "rare": (0.02, lambda rng, n: (rng.random(n) < 0.02).astype(float)),
    "even": (0.5, lambda rng, n: (rng.random(n) < 0.5).astype(float)),
    "beta": (0.1, lambda rng, n: rng.beta(0.2, 1.8, n)),
    "constant": (0.3, lambda rng, n: np.full(n, 0.3)),
}


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS)
def test_the_mean_is_inside_at_every_look_together(law: str) -> None:
    mean, draw = LAWS[law]
    rng, series, alpha = np.random.default_rng(1), 1000, 0.1
    sequence = MeanSequence(alpha)
    state = sequence.init(np, series)
    for _ in range(1500):
        state = sequence.step(np, state, draw(rng, series))
    # The running intersection remembers every miss.
    missed = ((state.low > mean) | (state.high < mean)).mean()
    assert missed <= alpha + 3.0 * np.sqrt(alpha * (1.0 - alpha) / series)
    assert (state.high - state.low).mean() < 0.2


def test_a_fixed_interval_that_is_peeked_at_breaks_the_promise_that_this_one_keeps() -> None:
    rng, series, alpha = np.random.default_rng(2), 500, 0.1
    sequence = MeanSequence(alpha)
    state, fixed = sequence.init(np, series), np.zeros(series, dtype=bool)
    for tick in range(1, 500):
        state = sequence.step(np, state, (rng.random(series) < 0.5).astype(float))
        off = np.abs(state.total / tick - 0.5)
        fixed |= off > 1.645 * 0.5 / np.sqrt(tick)
    assert fixed.mean() > 0.4
    assert ((state.low > 0.5) | (state.high < 0.5)).mean() <= alpha


def test_little_variance_makes_it_narrow() -> None:
    rng, sequence = np.random.default_rng(3), MeanSequence(0.05)
    state = sequence.init(np, 2)
    for _ in range(2000):
        state = sequence.step(np, state, (rng.random(2) < [0.005, 0.5]).astype(float))
    width = state.high - state.low
    hoeffding = 2.0 * np.sqrt(np.log(2.0 / 0.05) / (2.0 * 2000))  # for one look, from the range
    assert width[0] < 0.5 * hoeffding
    assert width[0] < 0.4 * width[1]


def test_a_mean_that_moves_far_empties_the_interval_and_a_restart_fills_it() -> None:
    sequence = MeanSequence(0.05)
    state = sequence.init(np, 2)
    for tick in range(600):
        state = sequence.step(np, state, np.array([0.1, 0.1 if tick < 300 else 0.9]))
    assert (state.low > state.high).tolist() == [False, True]
    state = sequence.restart(np, state, np.array([False, True]))
    assert state.low[1] == 0.0
    assert state.high[1] == 1.0
    assert state.count[1] == 0.0
    assert state.count[0] == 600.0


@pytest.mark.parametrize("nothing", [np.nan, np.inf, -0.01, 1.01])
def test_what_is_not_reported_changes_nothing(nothing: float) -> None:
    sequence = MeanSequence()
    state = sequence.step(np, sequence.init(np, 2), np.array([0.2, 0.2]))
    after = sequence.step(np, state, np.array([nothing, 0.4]))
    for old, new in zip(state, after, strict=True):
        assert old[0] == new[0]
    assert after.count[1] == 2.0


def test_a_stored_sequence_goes_on_bit_for_bit() -> None:
    rng, sequence = np.random.default_rng(4), MeanSequence()
    state = sequence.init(np, 3)
    for _ in range(20):
        state = sequence.step(np, state, rng.random(3))
    stored = from_bytes(to_bytes(state), [Sequence])
    row = rng.random(3)
    assert to_bytes(sequence.step(np, state, row)) == to_bytes(sequence.step(np, stored, row))


@pytest.mark.slow
def test_jax_says_the_same() -> None:
    jnp: ModuleType = pytest.importorskip("jax.numpy")
    rng, sequence = np.random.default_rng(5), MeanSequence()
    ours, theirs = sequence.init(np, 8), sequence.init(jnp, 8)
    for _ in range(5):
        row = rng.random(8)
        ours, theirs = sequence.step(np, ours, row), sequence.step(jnp, theirs, jnp.asarray(row))
    assert np.allclose(ours.cost, np.asarray(theirs.cost), atol=1e-5)
    assert np.allclose(ours.high, np.asarray(theirs.high), atol=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 1.0, np.nan])
def test_a_chance_out_of_range_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        MeanSequence(alpha)
