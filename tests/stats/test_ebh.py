"""e-BH: its definition, its promise under dependence, and what cannot be rejected."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.stats.ebh import e_bh


@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=30), st.sampled_from([0.05, 0.2]))
def test_what_is_rejected_is_the_largest_set_that_is_consistent(
    e: list[float], level: float
) -> None:
    """A set of k is self-consistent if each of its e-values is at least d / (level k)."""
    values = np.array(e)
    rejected = e_bh(values, level)
    k, d = int(rejected.sum()), len(e)
    if k:
        assert values[rejected].min() >= d / (level * k) - 1e-9
        assert not rejected.all() or k == d
    for larger in range(k + 1, d + 1):
        assert np.sort(values)[::-1][larger - 1] < d / (level * larger)


def test_the_false_discovery_rate_holds_however_the_nulls_depend() -> None:
    """All nulls win or lose together: the worst case for BH on p-values."""
    rng, level = np.random.default_rng(1), 0.1
    shares = []
    for _ in range(4000):
        null = np.full(20, rng.choice([0.0, 60.0], p=[59 / 60, 1 / 60]))
        rejected = e_bh(np.concatenate([null, np.full(5, 500.0)]), level)
        shares.append(rejected[:20].sum() / max(rejected.sum(), 1))
        assert rejected[20:].all()
    assert np.mean(shares) <= level
    assert np.mean(shares) > 0.0


def test_the_unknown_is_never_rejected() -> None:
    assert e_bh(np.array([np.nan, 1e9]), 0.05).tolist() == [False, True]


def test_a_level_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="level"):
        e_bh(np.ones(2), 1.0)
