import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.signals.counters import bins, quantile, ratio, shortest
from homeostat.signals.window import columns, in_order, opened, sums

BOUNDS = np.array([[10.0, 20.0, 40.0, math.inf]])


def test_a_ratio_over_nothing_is_unknown_and_never_zero() -> None:
    got = ratio(np.array([0.0, 3.0, np.nan]), np.array([0.0, 6.0, 4.0]))
    assert math.isnan(got[0])
    assert got[1] == 0.5
    assert math.isnan(got[2])


def test_a_quantile_is_interpolated_inside_its_bucket_and_tells_its_resolution() -> None:
    # 10 below 10 ms, 10 in 10..20: the 75th percentile is the middle of the second bucket.
    found = quantile(np.array([[10.0, 20.0, 20.0, 20.0]]), BOUNDS, 0.75)
    assert found.value[0] == 15.0
    assert found.resolution[0] == 10.0


def test_a_quantile_in_the_open_bucket_is_its_lower_bound_with_infinite_resolution() -> None:
    found = quantile(np.array([[0.0, 0.0, 0.0, 8.0]]), BOUNDS, 0.5)
    assert found.value[0] == 40.0
    assert math.isinf(found.resolution[0])


def test_an_empty_or_partly_unknown_histogram_has_no_quantile() -> None:
    counts = np.array([[0.0, 0.0, 0.0, 0.0], [1.0, np.nan, 2.0, 2.0]])
    assert np.isnan(quantile(counts, np.repeat(BOUNDS, 2, axis=0), 0.95).value).all()


@given(
    st.lists(st.floats(0.0, 2_000.0), min_size=30, max_size=300),
    st.sampled_from([0.5, 0.9, 0.95]),
)
def test_the_true_quantile_lies_within_the_reported_resolution(
    latencies: list[float], q: float
) -> None:
    bounds = np.array([[5.0, 25.0, 50.0, 100.0, 500.0, 2_500.0, math.inf]])
    counts = np.array([[sum(value <= le for value in latencies) for le in bounds[0]]], dtype=float)
    found = quantile(counts, bounds, q)
    true = sorted(latencies)[math.ceil(q * len(latencies)) - 1]
    assert abs(found.value[0] - true) <= found.resolution[0] + 1e-9


def test_counts_per_bucket_add_up_and_are_never_negative_on_a_torn_page() -> None:
    torn = np.array([[5.0, 4.0, 9.0, 9.0]])  # the second bucket was written before the first
    assert bins(torn).tolist() == [[5.0, 0.0, 4.0, 0.0]]


def test_the_shortest_window_with_enough_events_is_used_and_else_the_longest() -> None:
    samples = np.array([[5.0, 30.0, 1.0], [20.0, 60.0, 2.0], [50.0, 90.0, 3.0]])
    assert shortest(samples, np.full(3, 20.0)).tolist() == [1, 0, 2]


def test_a_window_sums_what_is_known_and_knows_nothing_of_an_empty_one() -> None:
    ring = np.array([[1.0, np.nan, 4.0, 8.0], [np.nan, np.nan, 3.0, np.nan]])
    got = sums(ring, 3, (1, 2))
    assert got[:, 0].tolist() == [8.0, 12.0]
    assert math.isnan(got[0, 1])
    assert got[1, 1] == 3.0


@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 40))
def test_ticks_that_never_came_are_gaps_in_the_ring(tick: int, skipped: int, width: int) -> None:
    ring = np.ones((1, width))
    after = opened(ring, tick + skipped, tick)
    gone = {int(column) for column in columns(tick + skipped, skipped, width)}
    assert {int(c) for c in np.flatnonzero(np.isnan(after[0]))} == gone
    assert (ring == 1.0).all()


@pytest.mark.parametrize("tick", [0, 3, 4, 11])
def test_a_ring_in_order_ends_with_the_current_tick(tick: int) -> None:
    ring = np.array([[(t if t <= tick else -1) for t in range(4)]], dtype=float)
    for t in range(max(0, tick - 3), tick + 1):
        ring[0, t % 4] = t
    assert in_order(ring, tick)[0, -1] == tick
