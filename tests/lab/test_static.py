"""A fleet for the peak: what it orders, against the law that it is worked out by."""

import math

import numpy as np
import pytest

from homeostat.lab.baselines.static import fleet, static
from homeostat.lab.deployment_build import capacity_within_rps, room_for_swings
from homeostat.lab.draw import draw
from homeostat.lab.types import Episode
from homeostat.testing.catalogue import catalogue
from homeostat.twin.shapes import Variant

A = int(Variant.A)


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    return [draw(case, seed) for case in catalogue() for seed in range(3)]


def peak_rps(episode: Episode) -> float:
    knots = np.asarray(episode.params.demand.knots_rps)
    return float(knots.max()) / room_for_swings(float(episode.params.demand.ou_sd))


def each_rps(episode: Episode) -> float:
    params = episode.params
    service = params.service
    return capacity_within_rps(
        float(service.tau0_s[A]),
        float(service.alpha_s[A]),
        float(service.batch_max[A]),
        cv2=float(service.cv2[A]),
        ca2=1 + (float(params.demand.ca2) - 1) / float(params.replicas[A]),
        within_s=float(params.promise.p99_s)
        - float(service.queue_delay_s)
        - float(params.limits.network_s),
    )


def test_one_fewer_serves_the_peak_and_two_fewer_do_not(episodes: list[Episode]) -> None:
    free = 0
    for episode in episodes:
        most = min(float(episode.params.money.hard_cap), float(episode.params.provision.cap))
        count, peak, each = fleet(episode.params), peak_rps(episode), each_rps(episode)
        assert 1 <= count <= most
        assert (count - 2) * each < peak
        if count < most - float(np.sum(np.asarray(episode.params.replicas)[1:])):
            assert (count - 1) * each >= peak * (1 - 1e-5)
            free += 1
    assert free > len(episodes) / 2


def test_more_load_takes_more_replicas_and_a_cap_ends_it(episodes: list[Episode]) -> None:
    params = episodes[0].params
    by_load = []
    for times in (0.1, 1.0, 2.0, 100.0):
        knots = np.asarray(params.demand.knots_rps) * np.float32(times)
        demand = type(params.demand)(**{**vars(params.demand), "knots_rps": knots})
        by_load.append(fleet(type(params)(**{**vars(params), "demand": demand})))
    assert by_load == sorted(by_load)
    assert by_load[0] < by_load[2]
    cap = min(float(params.money.hard_cap), float(params.provision.cap))
    assert by_load[-1] == math.floor(cap) - int(np.sum(np.asarray(params.replicas)[1:]))


def test_the_fleet_stands_from_the_first_moment_and_is_no_intervention(
    episodes: list[Episode],
) -> None:
    policy = static()
    few = [one for one in episodes if one.slots == episodes[0].slots][:3]
    policy.start(few)
    ordered = np.asarray(policy._orders.replicas)
    assert ordered[:, A].tolist() == [fleet(one.params) for one in few]
    rest = np.stack([np.asarray(one.params.replicas)[1:] for one in few])
    assert np.array_equal(ordered[:, 1:], rest)
    assert policy.name == "static"
