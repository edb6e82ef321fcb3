import numpy as np
import pytest

from homeostat.stats.arrays import from_bytes, to_bytes
from homeostat.stats.edetector_blocks import Block, BlockTests


def peeks(tests: BlockTests, ticks: np.ndarray) -> list[np.ndarray]:
    """Return what is said after each tick, `[tick][series]`."""
    state, out = tests.init(np, ticks.shape[1]), []
    for row in ticks:
        state, peeked = tests.step(np, state, row)
        out.append(peeked.neg_log10_p)
    return out


def test_a_p_value_that_is_looked_at_every_tick_is_still_a_p_value() -> None:
    rng, series = np.random.default_rng(1), 20_000
    said = peeks(BlockTests(16), -np.log10(rng.random((16, series))))
    best = np.max(said, axis=0)
    assert np.array_equal(best, said[-1])
    for level in (0.5, 0.1, 0.01, 0.001):
        share = (best >= -np.log10(level)).mean()
        assert share <= level + 3.0 * np.sqrt(level / series)
    assert (best >= 1.0).mean() > 0.01  # and it does say something


def test_evidence_at_the_end_of_a_block_has_mean_one_at_most() -> None:
    rng, tests, series = np.random.default_rng(2), BlockTests(4), 200_000
    state = tests.init(np, series)
    for _ in range(3):
        state, _ = tests.step(np, state, -np.log10(rng.random(series)))
    _, peeked = tests.step(np, state, -np.log10(rng.random(series)))
    assert peeked.full
    # Heavy-tailed, so a truncated mean: it is below the true one, which is one at most.
    e = 10.0**peeked.log10_e
    assert np.minimum(e, 1e3).mean() <= 1.0


def test_blocks_begin_anew_and_do_not_know_each_other() -> None:
    scores = np.array([[5.0], [5.0], [0.1], [0.1]])
    said = peeks(BlockTests(2), scores)
    assert said[1][0] > 6.5
    assert said[2][0] == said[3][0] == 0.0


def test_weak_evidence_that_repeats_adds_up() -> None:
    said = peeks(BlockTests(8), np.full((8, 1), 2.5))
    assert (np.diff(np.ravel(said)) > 0.5).all()
    assert said[-1][0] > 9.5


def test_a_block_without_values_is_no_test() -> None:
    scores = np.array([[np.nan, np.nan], [1.0, np.nan], [np.nan, np.nan]])
    said = np.array(peeks(BlockTests(3), scores))
    assert np.isnan(said).tolist() == [[True, True], [False, True], [False, True]]


def test_a_stored_block_goes_on_bit_for_bit() -> None:
    tests = BlockTests(5)
    state = tests.init(np, 3)
    for number in range(8):
        row = np.array([0.3, 2.0, np.nan]) + number
        again = from_bytes(to_bytes(state), [Block])
        state, ours = tests.step(np, state, row)
        _, theirs = tests.step(np, again, row)
        assert np.array_equal(ours.neg_log10_p, theirs.neg_log10_p, equal_nan=True)
        assert ours.full == theirs.full


def test_an_empty_block_test_is_refused() -> None:
    with pytest.raises(ValueError, match="ticks"):
        BlockTests(0)
