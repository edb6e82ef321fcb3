"""Replicas that a person adds where a repair leaves users waiting, because they are too many."""

from dataclasses import replace

import numpy as np
from traces_by_hand import episode, group

from homeostat.lab.baselines.paging import threshold
from homeostat.lab.baselines.reinforcing import Reinforcing
from homeostat.twin import params as p
from homeostat.twin import signals
from homeostat.twin.outputs import Scrape

NAN = float("nan")
ORDERED = np.array([[2.0, 1.0, 0.0]], np.float32)  # of a hard cap of 8


def scrape(p99_ms: float) -> Scrape:
    row = [[p99_ms if name == signals.LATENCY_P99 else 0.0 for name in signals.GATEWAY_SIGNALS]]
    known = {"variant": np.ones((1, 3, len(signals.VARIANT_SIGNALS))), "weights": ORDERED}
    return group(Scrape, gateway=np.array(row), **known)  # type: ignore[no-any-return]


def added(p99s: list[float], *, fixes: tuple[int, ...] = (0,)) -> list[float]:
    person = Reinforcing([episode()])
    seen = [
        person.step(scrape(p99), np.array([at in fixes]), ORDERED) for at, p99 in enumerate(p99s)
    ]
    assert all(one[0, 1:].tolist() == [1.0, 0.0] for one in seen), "the stable pool alone"
    return [float(one[0, 0]) for one in seen]


def test_two_minutes_after_a_repair_that_does_not_help_the_pool_is_doubled_once() -> None:
    assert added([900.0] * 80) == [2.0] * 8 + [4.0] * 72


def test_each_repair_doubles_again_and_never_beyond_the_hard_cap() -> None:
    found = added([900.0] * 60, fixes=(0, 20, 40))
    assert [found[10], found[30], found[50]] == [4.0, 7.0, 7.0]


def test_nobody_adds_where_answers_come_in_time_or_nobody_can_tell_or_nobody_came() -> None:
    assert added([400.0] * 60) == [2.0] * 60
    assert added([NAN] * 60) == [2.0] * 60
    assert added(([900.0] * 7 + [400.0]) * 6) == [2.0] * 48
    assert added([900.0] * 60, fixes=()) == [2.0] * 60


def test_whoever_looked_on_for_ten_minutes_has_gone() -> None:
    assert added([400.0] * 41 + [900.0] * 40) == [2.0] * 81


def test_what_people_add_is_theirs_and_no_action_of_the_policy() -> None:
    one = episode()
    service = group(p.Service, batch_max=np.ones(3), concurrency=np.float32(8))
    client = group(p.Client, timeout_s=np.float32(2))
    split = np.array([1.0, 0.0, 0.0], np.float32)
    sized = {"replicas": ORDERED[0], "weights": split, "service": service, "client": client}
    params = replace(one.params, **sized)
    policy = threshold(scale=0.2)
    policy.start([replace(one, params=params)])
    moves = [policy.act(15.0 * (k + 1), scrape(900.0)) for k in range(240)]
    assert np.asarray(moves[-1].orders.replicas)[0].tolist() == [7.0, 1.0, 0.0]
    assert not any(move.intervened[0] or move.orders.by_us[0] for move in moves)
