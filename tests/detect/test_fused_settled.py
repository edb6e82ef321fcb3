"""Who is known to be well, and whose change was all in such a time."""

from dataclasses import replace
from typing import Any

import pytest
from fused_play import Play

from homeostat.base import names
from homeostat.base.evidence import Evidence, SeriesKey
from homeostat.detect.fused_settled import FELT, News, is_sure, throughout

NONE: frozenset[str] = frozenset()
ONE = frozenset({"one"})


def said(*, suspected: bool = False, slo_met: bool | None = True) -> Evidence:
    play = Play("one")
    play.suspected = {"one"} if suspected else set()
    return replace(play.said("one"), slo_met=slo_met)


def test_who_meets_its_objectives_and_is_seen_and_suspected_of_nothing_is_well() -> None:
    assert is_sure(said(), NONE, NONE)


@pytest.mark.parametrize("slo_met", [False, None])
def test_objectives_that_are_missed_or_unknown_are_not_met(slo_met: Any) -> None:
    assert not is_sure(said(slo_met=slo_met), NONE, NONE)


def test_who_is_suspected_worked_on_or_hardly_seen_is_not_surely_well() -> None:
    assert not is_sure(said(suspected=True), NONE, NONE)
    assert not is_sure(said(), ONE, NONE)
    assert not is_sure(said(), NONE, ONE)
    assert is_sure(said(), frozenset({"two"}), frozenset({"two"}))


def test_a_change_counts_where_all_was_well_from_before_it_began_until_now() -> None:
    key = SeriesKey(deployment="one", subject="replica:a-1", signal=names.CPU_SHARE)
    other = replace(key, deployment="two")
    news = (News(key, 260), News(other, 200))
    assert throughout(news, {"one": 290, "two": 290}, 30) == (key, other)
    assert throughout(news, {"one": 289, "two": 290}, 30) == (other,)
    assert throughout(news, {}, 30) == ()


@pytest.mark.parametrize("signal", sorted(FELT))
def test_what_users_feel_becomes_usual_by_no_more_than_a_persons_word(signal: str) -> None:
    """Within the objective of a tick it may burn a budget for days, and the loop alone adds up."""
    key = SeriesKey(deployment="one", subject="pool:a", signal=signal)
    assert throughout((News(key, 260),), {"one": 10_000}, 30) == ()
