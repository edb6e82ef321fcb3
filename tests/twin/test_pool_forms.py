"""Pools under two choices: published limits, known bounds, and chains against each other."""

import pytest

from homeostat.twin import bulk_forms, closed_forms, pool_forms


@pytest.mark.parametrize("load", [0.3, 0.6, 0.9])
def test_infinitely_many_are_as_mitzenmacher_says(load: float) -> None:
    exact = sum(load ** (2**k - 1) for k in range(1, 12))
    found = pool_forms.mean_field(load, 1.0, 0.0, 1, bulk_forms.gamma(1.0), 40)
    assert found == pytest.approx(exact, rel=1e-4)
    assert pool_forms.many(load) == pytest.approx(exact, rel=1e-9)


def test_batches_and_variation_lengthen_a_shared_queue() -> None:
    jobs = [
        pool_forms.mean_field(0.7, 0.02, 0.002, batch, bulk_forms.lognormal(cv2), 60)
        for batch, cv2 in ((4, 0.125), (4, 0.25), (4, 1.0))
    ]
    alone = bulk_forms.jobs(0.7, 0.02, 0.002, 4, bulk_forms.lognormal(1.0))
    assert jobs == sorted(jobs)
    assert jobs[-1] < 0.75 * alone


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_a_few_wait_longer_than_one_queue_for_all_and_shorter_than_alone(load: float) -> None:
    before = load / (1 - load)
    for replicas, apart in ((2, 30), (3, 14), (4, 9)):
        most = int(-16 / (load - 1)) + 24
        found = pool_forms.few(load, replicas, most=most, apart=apart)
        pooled = closed_forms.mmc(load * replicas, 1.0, replicas).latency_s * load
        assert pooled < found < before
        before = found
    assert before > pool_forms.many(load)


def test_two_are_the_shorter_queue_of_two() -> None:
    # Event-driven, 4 million requests at a load of 0.85: 3.26 jobs each, +- 0.02.
    assert pool_forms.few(0.85, 2, most=120, apart=30) == pytest.approx(3.24, abs=0.03)


def test_the_way_back_to_one_goes_down_to_the_refined_mean_field() -> None:
    for load in (0.4, 0.75):
        way = pool_forms.way(load)
        assert way[0] == pytest.approx(1.0)
        assert list(way) == sorted(way, reverse=True)


def test_too_few_states_are_refused() -> None:
    with pytest.raises(pool_forms.TooFewStatesError, match="6 states are too few"):
        pool_forms.mean_field(0.9, 1.0, 0.0, 1, bulk_forms.gamma(1.0), 6)
