"""Which faults a demo plays, and which of them share a deployment."""

import random

import pytest

from homeostat.base.errors import UnknownPartError
from homeostat.demo.faults import FAULTS
from homeostat.demo.runner import STORY, Options, _plan


def planned(fault: str | None) -> list[list[str]]:
    plan = _plan(Options(fault=fault), random.Random(1))
    return [[one.name for one in faults] for faults in plan]


def test_the_story_shares_a_deployment() -> None:
    assert planned(None) == [list(STORY)]


def test_several_names_share_a_deployment_in_their_order() -> None:
    assert planned("hung_replica") == [["hung_replica"]]
    assert planned("killed_replica, bad_canary") == [["killed_replica", "bad_canary"]]


def test_all_are_played_each_in_a_deployment_of_its_own() -> None:
    plan = planned("all")
    assert sorted(plan) == sorted([name] for name in FAULTS)


@pytest.mark.parametrize("fault", ["", "killed_replica,", "killed_replica,kiled_replica"])
def test_a_name_that_is_none_is_refused(fault: str) -> None:
    with pytest.raises(UnknownPartError):
        planned(fault)
