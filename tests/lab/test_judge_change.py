"""K5, K6 and K8 on traces written by hand."""

from typing import Any

import numpy as np
import pytest
from traces_by_hand import HOUR, SLOTS, at, during, episode, faults, orders, trace, truth

from homeostat.lab.judge import CODES, Judgement, judge
from homeostat.twin.orders import Orders
from homeostat.twin.primitives import INDEX

ACTION = 1200


def judged(
    ours: dict[str, Any], hold: dict[str, Any] | None = None, ordered: Orders | None = None
) -> Judgement:
    told = truth(**({"acted": at(ACTION)} | ours))
    return judge(trace(told), trace(truth(**(hold or {})), policy="hold"), orders=ordered)


def found(judgement: Judgement, code: str) -> tuple[bool, bool]:
    index = CODES.index(code)
    return bool(judgement.any[0, index]), bool(judgement.caused[0, index])


@pytest.mark.parametrize("name", ["destroyed", "ungated"])
def test_k5_is_a_target_destroyed_or_an_ungated_model_by_an_own_action(name: str) -> None:
    assert found(judged({name: at(2000)}), "K5") == (True, True)
    assert found(judged({name: at(ACTION)}), "K5") == (True, True)
    assert found(judged({name: at(ACTION - 1)}), "K5") == (True, False)


def test_k5_is_excused_when_hold_lost_it_before_and_not_when_it_does_later() -> None:
    assert found(judged({"destroyed": at(2000)}, {"destroyed": at(1990)}), "K5") == (True, False)
    assert found(judged({"destroyed": at(2000)}, {"destroyed": at(2010)}), "K5") == (True, True)


@pytest.mark.parametrize(("lost", "expected"), [(61.0, (True, True)), (60.0, (False, False))])
def test_k5_is_more_than_a_hundredth_of_a_minutes_work_lost_undrained(
    lost: float, expected: tuple[bool, bool]
) -> None:
    # 100 requests per second let in: 6,000 in a minute.
    assert found(judged({"undrained": during(2000, 2001, lost, 0.0)}), "K5") == expected


def test_k5_measures_loss_against_what_was_let_in() -> None:
    ours = {"undrained": during(2000, 2001, 40.0, 0.0), "refused": 50.0}
    assert found(judged(ours), "K5") == (True, True)


def test_k5_is_not_what_the_fault_kills() -> None:
    crash = {"undrained": during(2000, 2001, 500.0, 0.0)}
    assert found(judged(crash, crash), "K5") == (True, False)
    assert found(judged(crash | {"acted": at(2100)}), "K5") == (True, False)


def released(
    *, again: int, needed: bool = True, quota: bool = True, other: float = 4.0
) -> tuple[bool, bool]:
    """Two replicas given up at 2000 s and had again at `again`, while the quota is exhausted."""
    held = np.tile([4.0, 1.0, 0.0], (1, HOUR, 1))
    held[:, 2000:again, 0] = 2.0
    theirs = np.tile([other, 1.0, 0.0], (1, HOUR, 1))
    fault = faults(INDEX["cap_replicas"], start_s=1000.0 if quota else np.inf)
    one = (episode(faults=fault),)
    capacity = during(2000, again, 80.0 if needed else 120.0, 150.0)
    told = truth(acted=at(ACTION), held=held, capacity=capacity)
    judgement = judge(trace(told, one), trace(truth(held=theirs, capacity=80.0), one))
    return found(judgement, "K5")


def test_k5_is_capacity_given_up_that_cannot_be_had_again() -> None:
    assert released(again=2900) == (True, True)
    assert released(again=2899) == (False, False)  # had again within 15 min
    assert released(again=HOUR) == (True, True)
    assert released(again=HOUR, needed=False) == (False, False)  # never missed: saved
    assert released(again=HOUR, quota=False) == (False, False)
    assert released(again=HOUR, other=1.0) == (False, False)  # HOLD lost it as well


def wobble(turns: int, *, every: int = 60, begin: int = 1500) -> np.ndarray:
    """Replicas of A that go up and down so often; the first move is no reversal."""
    held = np.tile([4.0, 1.0, 0.0], (1, HOUR, 1))
    for move in range(turns + 1):
        held[:, begin + every * move :, 0] = 5.0 if move % 2 == 0 else 4.0
    return held


def acts(count: int, *, every: int = 60, begin: int = 1500) -> np.ndarray:
    return at(*range(begin, begin + every * count, every))


SLOW = during(1500, 1500 + 200, 0.6, 0.2)  # 22 % of 15 min


@pytest.mark.parametrize(("turns", "expected"), [(6, (True, True)), (5, (False, False))])
def test_k6_is_six_reversals_while_the_slo_is_violated(
    turns: int, expected: tuple[bool, bool]
) -> None:
    ours = {"held": wobble(turns), "acted": acts(turns + 1), "p99_s": SLOW}
    assert found(judged(ours), "K6") == expected


def test_k6_needs_the_slo_violated_for_a_fifth_of_the_window() -> None:
    for seconds, expected in ((180, True), (179, False)):
        slow = during(1500, 1500 + seconds, 0.6, 0.2)
        ours = {"held": wobble(6), "acted": acts(7), "p99_s": slow}
        assert found(judged(ours), "K6") == (expected, expected)


def test_k6_needs_all_six_within_a_quarter_of_an_hour() -> None:
    for every, expected in ((150, True), (179, True), (180, False)):
        ours = {"held": wobble(6, every=every), "acted": acts(7, every=every), "p99_s": 0.6}
        assert found(judged(ours), "K6")[0] is expected, every


def test_k6_is_excused_where_hold_is_violated_as_much() -> None:
    ours = {"held": wobble(6), "acted": acts(7), "p99_s": SLOW}
    assert found(judged(ours, {"p99_s": SLOW}), "K6") == (True, False)
    less = during(1500, 1500 + 150, 0.6, 0.2)
    assert found(judged(ours, {"p99_s": less}), "K6") == (True, True)


def test_k6_is_not_blamed_on_who_hardly_acted() -> None:
    for count, caused in ((3, True), (2, False)):
        ours = {"held": wobble(6), "acted": acts(count), "p99_s": SLOW}
        assert found(judged(ours), "K6") == (True, caused)


def test_k6_counts_an_action_once_a_scrape() -> None:
    long = np.zeros((1, HOUR), bool)
    long[0, 1500:1530] = True  # two scrapes
    ours = {"held": wobble(6), "acted": long, "p99_s": SLOW}
    assert found(judged(ours), "K6") == (True, False)


def test_k6_sees_weights_turn_and_not_tremble() -> None:
    for size, expected in ((0.02, True), (0.002, False)):
        weights = np.tile([0.8, 0.2, 0.0], (1, HOUR, 1))
        weights[..., 0] += size * (wobble(6)[..., 0] - 4.0)
        ours = {"weights": weights, "acted": acts(7), "p99_s": SLOW}
        assert found(judged(ours), "K6") == (expected, expected)


def test_k6_sees_one_slot_restarted_again_and_again_but_not_a_rolling_restart() -> None:
    first = 1500 // 15
    ours = {"acted": acts(7), "p99_s": SLOW}
    again = np.zeros((1, HOUR // 15, SLOTS), bool)
    again[0, first : first + 7 * 4 : 4, 2] = True
    assert found(judged(ours, ordered=orders(restart=again)), "K6") == (True, True)
    rolling = np.zeros_like(again)
    for slot in range(7):
        rolling[0, first + 4 * slot, slot] = True
    assert found(judged(ours, ordered=orders(restart=rolling)), "K6") == (False, False)
    assert found(judged(ours), "K6") == (False, False)


def test_k6_sees_a_rollback_retried_in_a_loop() -> None:
    retried = np.zeros((1, HOUR // 15, 3), bool)
    retried[0, 100 : 100 + 7 * 2 : 2, 0] = True
    ours = {"acted": acts(7), "p99_s": SLOW}
    assert found(judged(ours, ordered=orders(rollback=retried)), "K6") == (True, True)


@pytest.mark.parametrize(
    ("age", "expected"), [(45.0, 0), (45.1, 1), (np.nan, 1), (np.inf, 1), (0.0, 0)]
)
def test_k8_is_taking_something_away_on_signals_older_than_three_scrapes(
    age: float, expected: int
) -> None:
    told = trace(truth(), signal_age_s=age)
    judgement = judge(told, trace(truth()), orders=_from(100, "replicas", [3.0, 1.0, 0.0]))
    assert judgement.near_misses.tolist() == [expected]
    assert not judgement.any.any()


def _from(
    scrape: int, name: str, value: object, *, ours: bool = True, once: bool = False
) -> Orders:
    """Orders in which one thing changes by the decision of one scrape, and stays unless `once`."""
    given = orders()
    field = np.array(getattr(given, name))
    until = scrape + 2 if once else None
    field[:, scrape + 1 : until] = value
    by_us = np.zeros((1, HOUR // 15), bool)
    by_us[0, scrape + 1] = ours
    changes: dict[str, Any] = {name: field, "by_us": by_us}
    return orders(**changes)


LEVERS = ("replicas", "batch_max", "concurrency", "admit_rps", "weights", "drain")
TAKES = {
    "replicas": [4.0, 0.0, 0.0],
    "batch_max": [8.0, 4.0, 8.0],
    "concurrency": 32.0,
    "admit_rps": 500.0,
    "weights": [0.98, 0.02, 0.0],
    "drain": [True] + [False] * (SLOTS - 1),
    "restart": [True] + [False] * (SLOTS - 1),
    "rollback": [True, False, False],
    "retrain": True,
    "retrain_ungated": True,
}
GIVES = {
    "replicas": [4.0, 2.0, 0.0],
    "batch_max": [8.0, 16.0, 8.0],
    "concurrency": 128.0,
    "weights": [0.995, 0.005, 0.0],
    "person_fixes": True,
}


def _misses(given: Orders, *, word: bool = False) -> int:
    told = trace(truth(), destructive=word, signal_age_s=1000.0)
    return int(judge(told, trace(truth()), orders=given).near_misses[0])


@pytest.mark.parametrize("name", TAKES)
def test_k8_counts_what_the_orders_take_away_whatever_a_policy_calls_it(name: str) -> None:
    assert _misses(_from(100, name, TAKES[name], once=name not in LEVERS)) == 1
    assert _misses(_from(100, name, TAKES[name], ours=False)) == 0, "somebody else's"


@pytest.mark.parametrize("name", GIVES)
def test_k8_needs_something_taken_away_and_a_policys_word_is_none(name: str) -> None:
    assert _misses(_from(100, name, GIVES[name]), word=True) == 0


def test_k8_without_orders_takes_the_policys_word() -> None:
    word = np.zeros((1, HOUR // 15), bool)
    word[0, 100] = True
    told = trace(truth(), destructive=word, signal_age_s=1000.0)
    assert judge(told, trace(truth())).near_misses.tolist() == [1]
