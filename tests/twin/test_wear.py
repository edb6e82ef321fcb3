"""The mean batch of a server, held to the same server played request by request."""

import jax.numpy as jnp
import numpy as np
import pytest

from homeostat.twin.wear import _mean_batch

TAU0_S, ALPHA_S, FILL_S, MOST = 0.03, 0.0035, 0.005, 8
CAPACITY = MOST / (TAU0_S + ALPHA_S * MOST)


def played(rate: float, requests: int = 30_000) -> float:
    """Return the mean batch of a server that is sent Poisson arrivals."""
    arrivals = np.cumsum(np.random.default_rng(3).exponential(1.0 / rate, requests)).tolist()
    first, free, batches = 0, 0.0, 0
    while first < requests - MOST:
        start = max(free, arrivals[first])
        ripe = max(start, arrivals[first] + FILL_S)
        last = first
        while last < first + MOST and arrivals[last] <= ripe:
            last += 1
        full = last == first + MOST
        start = max(start, arrivals[last - 1]) if full else ripe
        free = start + TAU0_S + ALPHA_S * (last - first)
        first, batches = last, batches + 1
    return first / batches


def batch(rate: float, fill_s: float = FILL_S, most: int = MOST) -> float:
    """Return the twin's mean batch at that rate."""
    values = (jnp.float32(value) for value in (rate, TAU0_S, ALPHA_S, fill_s, most))
    return float(_mean_batch(*values))


@pytest.mark.parametrize("load", [0.02, 0.1, 0.25, 0.5, 0.75, 0.95])
def test_a_batch_holds_who_came_meanwhile_and_at_least_one(load: float) -> None:
    rate = load * CAPACITY
    found = batch(rate)
    assert found == pytest.approx(played(rate), rel=0.03)
    assert 1.0 <= found <= MOST


def test_a_device_is_not_said_to_be_busy_while_it_waits_for_requests() -> None:
    rate = 30.0  # as the local deployment: one request comes in each device time
    held = batch(rate)
    busy = rate / held * (TAU0_S + ALPHA_S * held)
    assert busy == pytest.approx(0.73, abs=0.02)


def test_batches_of_one_are_of_one() -> None:
    assert batch(25.0, fill_s=0.0, most=1) == 1.0
