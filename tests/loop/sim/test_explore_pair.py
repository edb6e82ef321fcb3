"""Two controllers, two deployments that share something: every interleaving, as far as time allows.

A rule whose absence nobody notices would be one that the search cannot judge.
"""

from typing import Any

import pytest
from explore.pair import Pairs, reached, search
from explore.rules import Rules
from explore.search import Found

COMPARES: dict[str, Any] = {"cas": True, "told_cas": True, "takeovers": 1, "crashes": 0}
TAKES_ALL: dict[str, Any] = {"cas": False, "told_cas": False, "takeovers": 1, "crashes": 0}
ALL = 200_000  # states, more than there are with one controller
TOGETHER = "while the other deployment, that shares, is"


def told(name: str, found: Found) -> str:
    steps = "".join(f"\n    {step}" for step in found.trace)
    whole = "all" if found.whole else "the first"
    return f"{name}: {whole} {found.states} states, {found.steps} steps: {found.violation}{steps}"


@pytest.mark.parametrize("target", [COMPARES, TAKES_ALL], ids=["compares", "takes all"])
def test_without_the_guard_of_sharing_both_change_at_once(target: dict[str, Any]) -> None:
    found = search(Rules(**target), at_most=20_000, shares=False)
    print(told("nobody asks", found))
    assert TOGETHER in found.violation
    assert "begins d2" in "".join(found.trace)


def test_where_no_journal_fences_who_was_deposed_the_guard_alone_is_not_enough() -> None:
    found = search(Rules(**TAKES_ALL | {"fenced": False}), at_most=20_000)
    print(told("unfenced", found))
    assert found.violation


@pytest.mark.slow
@pytest.mark.parametrize("target", [COMPARES, TAKES_ALL], ids=["compares", "takes all"])
def test_with_both_nothing_is_wrong_as_far_as_time_allows(target: dict[str, Any]) -> None:
    found = search(Rules(**target), at_most=6_000)
    print(told("both", found))
    assert found.violation == ""


@pytest.mark.slow
@pytest.mark.parametrize("target", [COMPARES, TAKES_ALL], ids=["compares", "takes all"])
def test_what_is_left_out_hides_no_state(target: dict[str, Any]) -> None:
    """Every state of a walk that leaves nothing out is, in its shortest form, in the other one."""
    pairs = Pairs(Rules(**target | {"takeovers": 0}))
    short = set(reached(pairs, at_most=ALL))
    assert len(short) < ALL, "the walk came to its end"
    pairs.leaves_out = False
    full = reached(pairs, at_most=10_000)
    pairs.leaves_out = True
    shortest = [pairs.shortest(pair) for pair in full]
    assert [pair for pair in shortest if pair not in short] == []
    assert shortest != full, "something was left out"


@pytest.mark.long
@pytest.mark.parametrize("target", [COMPARES, TAKES_ALL], ids=["compares", "takes all"])
def test_with_both_nothing_is_wrong(target: dict[str, Any]) -> None:
    found = search(Rules(**target), at_most=1_500_000)
    print(told("both, long", found))
    assert found.violation == ""
