"""The pool simulated side by side against the event-driven reference and the exact chain."""

import numpy as np
import pytest

from homeostat.lab.reference import Routing, simulate
from homeostat.lab.reference_cells import Cell, cells, measured
from homeostat.lab.reference_pool import Mean, mean_latency
from homeostat.lab.reference_station import Station, renewal
from homeostat.twin import closed_forms


def station(batch: int, cv2: float) -> Station:
    return Station(tau0_s=0.02, alpha_s=0.002, batch_max=batch, cv2=cv2)


@pytest.mark.sampled(3)
@pytest.mark.slow
@pytest.mark.parametrize(("batch", "cv2"), [(1, 1.0), (8, 0.3), (32, 0.0)])
@pytest.mark.parametrize("replicas", [1, 4])
def test_by_chance_every_replica_is_the_exact_chain(batch: int, cv2: float, replicas: int) -> None:
    one = station(batch, cv2)
    found = mean_latency(
        one, 0.7, replicas=replicas, routing=Routing.RANDOM, ca2=1.0, runs=400,
        arrivals=600 * replicas, seed=3,
    )  # fmt: skip
    exact = closed_forms.batch_queue(0.7 * one.capacity, 0.02, 0.002, batch, cv2=cv2).latency_s
    assert found.error < 0.02 * exact
    assert abs(found.seconds - exact) < 4 * found.error


@pytest.mark.sampled(5)
@pytest.mark.slow
@pytest.mark.parametrize("routing", Routing)
@pytest.mark.parametrize(("batch", "ca2"), [(1, 1.0), (8, 1.5)])
def test_balancers_and_bursts_are_those_of_the_reference(
    routing: Routing, batch: int, ca2: float
) -> None:
    one, load, replicas = station(batch, 0.3), 0.8, 4
    found = mean_latency(
        one, load, replicas=replicas, routing=routing, ca2=ca2, runs=400, arrivals=2000, seed=3
    )
    each = []
    for seed in range(20):
        source = np.random.default_rng(seed)
        times = renewal(source, load * one.capacity * replicas, ca2, (1, 3000))[0]
        outcome = simulate(one, times, source=source, replicas=replicas, routing=routing)
        each.append(float(outcome.latency_s[1000:].mean()))
    error = np.hypot(found.error, np.std(each, ddof=1) / np.sqrt(len(each)))
    assert error < 0.04 * found.seconds
    assert abs(found.seconds - np.mean(each)) < 4 * error


def test_equal_seeds_give_equal_means_and_others_do_not() -> None:
    def mean(seed: int) -> Mean:
        return mean_latency(
            station(8, 0.3), 0.5, replicas=2, routing=Routing.TWO_CHOICES, ca2=1.5, runs=20,
            arrivals=100, seed=seed,
        )  # fmt: skip

    assert mean(1) == mean(1)
    assert mean(1) != mean(2)
    assert 1500 < mean(1).arrivals < 2500


@pytest.mark.parametrize(
    ("load", "ca2", "delay"), [(1.0, 1.0, 0.0), (0.0, 1.0, 0.0), (0.5, 0.5, 0.0), (0.5, 1.0, 0.1)]
)
def test_what_is_not_simulated_is_refused(load: float, ca2: float, delay: float) -> None:
    one = Station(tau0_s=0.02, alpha_s=0.002, batch_max=8, queue_delay_s=delay)
    with pytest.raises(ValueError, match=r"reference\.simulate"):
        mean_latency(
            one, load, replicas=1, routing=Routing.RANDOM, ca2=ca2, runs=2, arrivals=5, seed=1
        )


def test_the_grid_is_the_whole_grid_and_exact_where_it_can_be() -> None:
    every = list(cells())
    assert len(set(every)) == len(every) == 2 * 2 * 3 * 3 * 3
    assert {c.load for c in every} == {0.5, 0.8, 0.95}
    assert {c.gate for c in every if c.load == 0.8} == {0.02}
    assert {c.gate for c in every if c.load == 0.95} == {0.05}
    one = Cell(cv2=0.3, ca2=1.0, routing="random", replicas=4, batch=8, load=0.8)
    exact = closed_forms.batch_queue(0.8 * station(8, 0.3).capacity, 0.02, 0.002, 8, cv2=0.3)
    assert measured(one) == Mean(seconds=exact.latency_s, error=0.0, arrivals=0)
