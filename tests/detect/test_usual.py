import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.detect.usual import Device, Pairs, Usual, device, learn, learn_pairs


def fed(rng: np.random.Generator, ticks: int, noise: float, spread: float = 0.15) -> Pairs:
    pairs = Pairs()
    for _ in range(ticks):
        sizes = 1.4 + spread * rng.standard_normal(3)
        times = 30.0 + 3.5 * sizes + noise * rng.standard_normal(3)
        pairs = learn_pairs(pairs, sizes, times)
    return pairs


def test_full_batches_are_explained_by_what_small_ones_taught() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        known = device(fed(rng, 30, noise=0.3))
        assert known is not None
        assert known.expected(8.0) >= 0.9 * 58.0
        # ... and a model eight times as slow is not explained by any batch.
        assert 1.6 * known.expected(8.0) < 8 * 58.0


def test_the_less_is_known_of_the_slope_the_more_load_may_explain() -> None:
    rng = np.random.default_rng(2)
    noisy = [device(fed(rng, 30, noise=5.0)) for _ in range(20)]
    exact = [device(fed(rng, 300, noise=0.1)) for _ in range(20)]
    low = np.mean([one.expected(8.0) for one in exact if one is not None])
    high = np.mean([one.expected(8.0) for one in noisy if one is not None])
    assert low == pytest.approx(58.0, rel=0.05)
    assert high > low


def test_batches_that_never_differ_teach_no_slope() -> None:
    known = device(fed(np.random.default_rng(3), 300, noise=0.1, spread=0.0))
    assert known is not None
    assert known.slope is None
    assert known.expected(2.8) == pytest.approx(2 * 34.9, rel=0.01)


@given(st.floats(0.5, 8.0), st.floats(1.0, 500.0), st.none() | st.floats(0.0, 500.0))
def test_twice_the_batch_never_explains_more_than_twice_the_time(
    size: float, time: float, slope: float | None
) -> None:
    known = Device(size=size, time=time, slope=slope)
    assert 0.0 <= known.expected(2 * size) <= 2 * time * (1 + 1e-12)
    assert known.expected(size) == pytest.approx(time)


def test_nothing_is_known_before_the_first_pair() -> None:
    assert device(Pairs()) is None
    unknown = learn_pairs(Pairs(), np.array([np.nan, 1.0]), np.array([30.0, np.nan]))
    assert device(unknown) is None


@given(st.lists(st.floats(0.0, 1e6) | st.just(math.nan), min_size=1, max_size=60))
def test_the_mean_of_few_values_is_their_mean_and_gaps_do_not_count(values: list[float]) -> None:
    state = Usual(mean=np.full(1, np.nan), count=np.zeros(1))
    for value in values:
        state = learn(state, np.array([value]), np.ones(1, dtype=bool))
    known = [value for value in values if not math.isnan(value)]
    assert state.count[0] == len(known)
    if known:
        assert state.mean[0] == pytest.approx(float(np.mean(known)), rel=1e-9, abs=1e-9)
    else:
        assert math.isnan(state.mean[0])


def test_what_may_not_be_learnt_is_not() -> None:
    state = Usual(mean=np.array([5.0, np.nan]), count=np.array([3.0, 0.0]))
    after = learn(state, np.array([100.0, 100.0]), np.zeros(2, dtype=bool))
    assert after.mean[0] == 5.0
    assert math.isnan(after.mean[1])
