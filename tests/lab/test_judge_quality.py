"""K7 on traces written by hand: by a change, and by standing by."""

import math
from typing import Any

import numpy as np
import pytest
from traces_by_hand import at, during, episode, orders, trace, truth

from homeostat.lab.human import respond
from homeostat.lab.judge import CODES, Judgement, judge
from homeostat.lab.types import FAMILIES

LENGTH = 4 * 3600
ACTION = 1200
K7 = CODES.index("K7")
DATA = FAMILIES.index("data")


def series(begin: int, end: int, inside: float, outside: float = 0.90) -> np.ndarray:
    return during(begin, end, inside, outside, LENGTH)


def judged(ours: dict[str, Any], hold: dict[str, Any] | None = None) -> tuple[bool, bool]:
    acted = {"acted": at(ACTION, length_s=LENGTH)}
    told = trace(truth(LENGTH, **(acted | ours)))
    judgement = judge(told, trace(truth(LENGTH, **(hold or {}))))
    return bool(judgement.any[0, K7]), bool(judgement.caused[0, K7])


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("quality", 0.799, True),  # baseline 0.90 - 0.10
        ("quality", 0.801, False),  # under the promised floor of 0.85, not a catastrophe
        ("slice_quality", 0.649, True),  # baseline - 0.25
        ("slice_quality", 0.651, False),
    ],
)
def test_k7_is_quality_below_the_catastrophe_floor_after_an_own_change(
    name: str, value: float, *, expected: bool
) -> None:
    assert judged({name: series(2000, 2000 + 1800, value)}) == (expected, expected)


@pytest.mark.parametrize(("seconds", "expected"), [(1800, True), (1799, False)])
def test_k7_lasts_half_an_hour(seconds: int, *, expected: bool) -> None:
    assert judged({"quality": series(2000, 2000 + seconds, 0.7)}) == (expected, expected)


def test_k7_by_a_change_is_counted_from_the_first_own_action() -> None:
    early = {"quality": series(600, ACTION + 1799, 0.7)}
    assert judged(early) == (True, False)
    assert judged({"quality": series(600, ACTION + 1800, 0.7)}) == (True, True)


def test_k7_is_excused_where_hold_is_as_low_for_as_long() -> None:
    low = {"quality": series(2000, 6000, 0.7)}
    assert judged(low, low) == (True, False)
    brief = {"quality": series(2000, 2000 + 1799, 0.7)}
    assert judged(low, brief) == (True, True)
    healed = {"quality": series(2000, 4000, 0.7)}  # HOLD heals; we stay low for 2000 s more
    assert judged(low, healed) == (True, True)


def test_k7_is_not_proven_by_quality_that_nobody_knows() -> None:
    assert judged({"quality": series(2000, 6000, np.nan)}) == (False, False)


def stood(
    begin: int = 2000,
    end: int = 2000 + 3600,
    *,
    ordered: dict[str, Any] | None = None,
    gap: int | None = None,
    **moves: Any,
) -> Judgement:
    evidence = series(begin, end, 1.0, 0.0).astype(bool)
    if gap is not None:
        evidence[0, gap] = False
    told = truth(LENGTH, evidence_low=evidence)
    one = (episode(LENGTH, family="data"),)
    ours = trace(told, one, **moves)
    given = None if ordered is None else orders(LENGTH, **ordered)
    return judge(ours, trace(told, one, policy="hold"), orders=given)


def decision(second: int, value: int = 1, other: int = 0) -> np.ndarray:
    """A move made at the end of the scrape that ends then."""
    out = np.full((1, LENGTH // 15), other)
    out[0, second // 15 - 1] = value
    return out


def test_holding_for_an_hour_on_proven_evidence_is_caused_although_hold_is_no_better() -> None:
    judgement = stood()
    assert judgement.codes(0) == ("K7",)
    assert judgement.by_holding.tolist() == [True]
    assert judgement.caused_tick[0, K7] == 2000 + 3599
    assert judgement.first_action_tick[0, K7] == -1  # nobody acted: that is the point


def test_holding_for_less_than_an_hour_or_with_a_gap_is_not() -> None:
    assert not stood(end=2000 + 3599).catastrophic.any()
    assert not stood(end=2000 + 5000, gap=4000).catastrophic.any()
    assert stood(end=2000 + 5601, gap=4000).catastrophic.all()  # an hour after the gap


def test_a_page_answers_for_good_when_it_comes_in_time() -> None:
    assert not stood(end=LENGTH, paged=decision(3000)).catastrophic.any()
    assert stood(end=LENGTH, paged=decision(5610)).catastrophic.all()  # 10 s too late


def test_a_page_before_the_evidence_answers_only_with_the_right_family() -> None:
    page = decision(1500)
    named = stood(paged=page, family=decision(1500, DATA, -1))
    wrong = stood(paged=page, family=decision(1500, DATA - 1, -1))
    early = stood(paged=decision(300), family=decision(300, DATA, -1))  # before the onset
    assert not named.catastrophic.any()
    assert not wrong.catastrophic.any()  # somebody is at it for most of that hour
    assert early.catastrophic.all()


def test_a_blind_page_before_the_evidence_answers_while_the_person_is_at_it() -> None:
    done = respond(episode(LENGTH, family="data"), 1500.0).fixed_s
    assert 2000 < done < LENGTH - 3700
    hour = math.ceil(done) + 3600
    assert not stood(end=hour - 1, paged=decision(1500)).catastrophic.any()
    late = stood(end=hour, paged=decision(1500))
    assert late.caused_tick[0, K7] == hour - 1


@pytest.mark.parametrize("name", ["retrain", "retrain_ungated", "rollback", "weights"])
def test_an_answering_action_starts_the_hour_anew(name: str) -> None:
    def ordered(second: int) -> dict[str, Any]:
        where = second // 15
        impulse = np.zeros((1, LENGTH // 15), bool)
        impulse[0, where] = True
        weights = np.tile([1.0, 0.0, 0.0], (1, LENGTH // 15, 1))
        weights[0, where:] = [0.5, 0.5, 0.0]
        rollback = np.zeros((1, LENGTH // 15, 3), bool)
        rollback[0, where, 0] = True
        return {name: {"weights": weights, "rollback": rollback}.get(name, impulse)}

    assert not stood(end=2000 + 4500, ordered=ordered(3000)).catastrophic.any()
    again = stood(end=3000 + 3600, ordered=ordered(3000))
    assert again.catastrophic.all()
    assert again.caused_tick[0, K7] == 3000 + 3599
    assert stood(ordered=ordered(1500)).catastrophic.all()  # before there was evidence


def _weights(*steps: tuple[int, float]) -> dict[str, Any]:
    """A's share from some seconds on, B the rest."""
    share = np.ones(LENGTH // 15)
    for second, value in steps:
        share[second // 15 :] = value
    return {"weights": np.stack([share, 1.0 - share, np.zeros_like(share)], axis=1)[None]}


def _pressed(name: str, *seconds: int, variant: int | None = None) -> dict[str, Any]:
    out = np.zeros((1, LENGTH // 15) + (() if variant is None else (3,)), bool)
    for second in seconds:
        out[(0, second // 15) if variant is None else (0, second // 15, variant)] = True
    return {name: out}


EVERY_59_MIN = (2000 + 3540, 2000 + 7080)
UNTIL = 2000 + 10600


@pytest.mark.parametrize(
    "ordered",
    [
        _weights((EVERY_59_MIN[0], 0.99), (EVERY_59_MIN[0] + 60, 1.0), (EVERY_59_MIN[1], 0.99)),
        _weights((EVERY_59_MIN[0], 0.6), (EVERY_59_MIN[1], 0.4)),
        _weights((3000, 0.5), (3600, 1.0), (6540, 0.5)),
        _pressed("retrain", 3000, 6540),
        _pressed("rollback", 3000, 6540, variant=0),
        _pressed("rollback", *EVERY_59_MIN, variant=1),
    ],
    ids=["a point to and fro", "a bit at a time", "half and back", "again", "undone", "idle"],
)
def test_nothing_that_leaves_the_bad_as_it_was_silences_an_hour_of_standing_by(
    ordered: dict[str, Any],
) -> None:
    assert stood(end=UNTIL, ordered=ordered).catastrophic.all()


def test_a_shift_answers_as_often_as_it_halves_what_the_bad_variant_serves() -> None:
    halved = _weights((4995, 0.5), (8010, 0.25))
    assert not stood(end=8010 + 3599, ordered=halved).catastrophic.any()
    assert stood(end=8010 + 3601, ordered=halved).catastrophic.all()


def test_the_bad_variant_is_the_one_whose_quality_is_poor() -> None:
    evidence = series(2000, 2000 + 7000, 1.0, 0.0).astype(bool)
    one = (episode(LENGTH, family="data"),)
    for weights, expected in (([0.7, 0.3, 0.0], True), ([0.9, 0.1, 0.0], False)):
        # A is well and has most of the traffic; B is poor, and what is proven is B.
        told = truth(
            LENGTH,
            evidence_low=evidence,
            weights=[0.6, 0.4, 0.0],
            variant_quality=[0.90, 0.5, np.nan],
        )
        field = np.tile([0.6, 0.4, 0.0], (1, LENGTH // 15, 1))
        field[0, 5500 // 15 :] = weights
        ours = trace(told, one)
        found = judge(ours, trace(told, one, policy="hold"), orders=orders(LENGTH, weights=field))
        assert found.by_holding.tolist() == [expected]


def test_other_actions_answer_nothing() -> None:
    replicas = np.tile([4.0, 1.0, 0.0], (1, LENGTH // 15, 1))
    replicas[0, 200:, 0] = 6.0
    restart = np.zeros((1, LENGTH // 15, 8), bool)
    restart[0, 200:210] = True
    ordered = {"replicas": replicas, "restart": restart}
    assert stood(ordered=ordered, intervened=decision(3000)).catastrophic.all()


def test_without_orders_a_shift_of_ours_can_still_be_seen() -> None:
    evidence = series(2000, 2000 + 4500, 1.0, 0.0).astype(bool)
    weights = np.tile([1.0, 0.0, 0.0], (1, LENGTH, 1))
    weights[0, 3000:] = [0.5, 0.5, 0.0]
    one = (episode(LENGTH, family="data"),)
    hold = trace(truth(LENGTH), one)
    for acted, expected in ((3000, False), (2999, True)):
        told = truth(
            LENGTH, evidence_low=evidence, weights=weights, acted=at(acted, length_s=LENGTH)
        )
        assert judge(trace(told, one), hold).catastrophic.tolist() == [expected]
