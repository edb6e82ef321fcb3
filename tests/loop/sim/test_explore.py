"""Every interleaving of two controllers: with all rules nothing is wrong, without any one it is.

A rule whose absence nobody notices would be one that the search cannot judge.
"""

from typing import Any

import pytest
from explore.rules import Rules
from explore.search import Found, search

from homeostat.base.intent import ActionState

COMPARES: dict[str, Any] = {"cas": True, "told_cas": True}
TAKES_ALL: dict[str, Any] = {"cas": False, "told_cas": False}
SKEW = 6  # more than all that a write without compare-and-set may live

# What a search of them all must have seen, so that it has been anywhere.
ENDS = frozenset({
    ActionState.ABANDONED, ActionState.ROLLED_BACK, ActionState.STUCK, ActionState.SUCCEEDED,
    ActionState.SUCCEEDED_UNPROVEN,
})  # fmt: skip


def told(name: str, found: Found) -> str:
    steps = "".join(f"\n    {step}" for step in found.trace)
    whole = "all" if found.whole else "the first"
    return f"{name}: {whole} {found.states} states, {found.steps} steps: {found.violation}{steps}"


def holds(name: str, found: Found, *, whole: bool) -> None:
    print(told(name, found))
    assert found.violation == "", told(name, found)
    assert found.whole or not whole
    assert found.ends == ENDS


MUTANTS: dict[str, dict[str, Any]] = {
    "an unfenced journal": TAKES_ALL | {"fenced": False},
    "an unfenced journal, though the target compares": COMPARES | {"fenced": False},
    "a target that says it compares and does not": {"cas": False, "told_cas": True},
    "no quiet time": TAKES_ALL | {"quiesces": False},
    "no higher epoch at a takeover": TAKES_ALL | {"reclaims": False},
    "no higher epoch, though the target compares": COMPARES | {"reclaims": False},
    "a write in flight taken for lost at a takeover": TAKES_ALL | {"reads_back": False},
    "the same, though the target compares": COMPARES | {"reads_back": False},
    "a quiet time by a clock that is behind": TAKES_ALL | {"skew": SKEW, "recounts": False},
}


@pytest.mark.parametrize("name", MUTANTS)
def test_without_any_one_rule_something_wrong_is_found(name: str) -> None:
    found = search(Rules(**MUTANTS[name], takeovers=1, crashes=0), at_most=20_000)
    print(told(name, found))
    assert found.violation
    assert found.trace


@pytest.mark.slow
def test_with_all_rules_a_target_that_takes_all_sees_nothing_wrong_whatever_the_clocks() -> None:
    rules = Rules(**TAKES_ALL, takeovers=1, crashes=0, skew=SKEW)
    holds("takes all", search(rules), whole=True)


@pytest.mark.slow
def test_with_all_rules_a_target_that_compares_sees_nothing_wrong_as_far_as_time_allows() -> None:
    rules = Rules(**COMPARES, takeovers=1, crashes=1)
    found = search(rules, at_most=25_000)
    print(told("compares", found))
    assert found.violation == ""


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "rules", "at_most"),
    [
        ("compares, one takeover", Rules(**COMPARES, takeovers=1, crashes=0), None),
        ("takes all, a takeover back", Rules(**TAKES_ALL, takeovers=2, crashes=1), None),
        ("compares, a takeover back", Rules(**COMPARES, takeovers=2, crashes=1), 1_500_000),
    ],
)
def test_with_all_rules_nothing_is_wrong(name: str, rules: Rules, at_most: int | None) -> None:
    found = search(rules, at_most=at_most or 4_000_000)
    holds(name, found, whole=at_most is None)
