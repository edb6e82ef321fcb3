"""A canary that answers wrongly, or better than what serves: labels of both pools are compared."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from ramp_world import RAMP, Ramp, managed

from homeostat.base.evidence import Increments
from homeostat.base.intent import ActionState, Proof
from homeostat.base.policy import OnUnproven
from homeostat.base.units import SECOND

Seen = tuple[Increments, ...]
TOLD = 0.6  # so many of the answers are ever judged


class Labelled:
    """Labels of what each pool answered, some of them, whenever they come."""

    def __init__(self, ramp: Ramp, wrong: dict[str, float]) -> None:
        self.ramp, self.wrong = ramp, wrong
        self.spoil: Callable[[Increments], Increments] = lambda one: one
        ramp.spoil = self.seen

    def seen(self, seen: Seen) -> Seen:
        return tuple(self.spoil(self._told(one)) for one in seen)

    def _told(self, one: Increments) -> Increments:
        told = float(self.ramp.rng.binomial(int(one.answered or 0), TOLD))
        right = float(self.ramp.rng.binomial(int(told), 1.0 - self.wrong[one.pool]))
        return replace(one, labelled=told, right=right, judged=True)


def labelled(wrong: dict[str, float], **changes: object) -> Labelled:
    """Return a ramp that has begun, in which nothing fails and labels come."""
    ramp = Ramp(managed(max_wait_ns=120 * SECOND, **changes))
    ramp.errors = {"a": 0.0, "c": 0.0}
    ramp.begin()
    return Labelled(ramp, wrong)


def test_answers_that_are_wrong_more_often_are_harm_though_nothing_fails_or_is_slow() -> None:
    one = labelled({"a": 0.05, "c": 0.15})
    done = one.ramp.finish()
    assert (done.state, done.blameless) == (ActionState.ROLLED_BACK, False)
    assert "wrong answers: harm" in done.reason
    assert max(one.ramp.rungs()) < 100.0


def test_better_answers_are_a_certificate_where_one_is_asked_for() -> None:
    one = labelled({"a": 0.40, "c": 0.05}, certify_answers=True, certify_failures=False)
    done = one.ramp.finish()
    assert (done.state, done.proof) == (ActionState.SUCCEEDED, Proof.CERTIFIED)
    assert "ratio of wrong answers below 2 times stable's" in done.reason
    assert one.ramp.rungs() == list(RAMP)


def test_both_certificates_are_needed_where_both_are_asked_for() -> None:
    one = labelled({"a": 0.40, "c": 0.05}, certify_answers=True)
    done = one.ramp.finish()
    assert (done.state, done.blameless) == (ActionState.ROLLED_BACK, True)
    assert "no certificate" in done.reason, "nothing fails: that it fails less is not shown"


def test_answers_are_no_certificate_where_none_is_asked_for() -> None:
    done = labelled({"a": 0.40, "c": 0.05}).ramp.finish()
    assert (done.state, done.blameless) == (ActionState.ROLLED_BACK, True)


@pytest.mark.parametrize("pools", [("c",), ("a",), ("a", "c")])
def test_labels_that_are_not_read_promote_nothing(pools: tuple[str, ...]) -> None:
    one = labelled({"a": 0.40, "c": 0.05}, certify_answers=True, certify_failures=False)
    one.ramp.run(60, lambda: one.ramp.weight >= 5.0)

    def unread(seen: Increments) -> Increments:
        return replace(seen, labelled=None, right=None) if seen.pool in pools else seen

    one.spoil = unread
    done = one.ramp.finish()
    assert (done.state, done.blameless) == (ActionState.ROLLED_BACK, True)
    assert 100.0 not in one.ramp.rungs()


@pytest.mark.parametrize("odd", [(5.0, 6.0), (-5.0, -6.0), (float("nan"), 1.0), (1.0, -1.0)])
def test_labels_that_cannot_be_counts_promote_nothing(odd: tuple[float, float]) -> None:
    one = labelled({"a": 0.40, "c": 0.05}, certify_answers=True, certify_failures=False)
    one.spoil = lambda seen: replace(seen, labelled=odd[0], right=odd[1])
    done = one.ramp.finish()
    assert done.state is ActionState.ROLLED_BACK
    assert 100.0 not in one.ramp.rungs()


def test_labels_that_never_come_are_no_certificate_and_no_harm() -> None:
    one = labelled({"a": 0.40, "c": 0.05}, certify_answers=True, certify_failures=False)
    one.spoil = lambda seen: replace(seen, labelled=0.0, right=0.0)
    done = one.ramp.finish()
    assert (done.state, done.blameless) == (ActionState.ROLLED_BACK, True)


def test_where_nobody_counts_labels_the_ramp_says_that_answers_are_not_compared() -> None:
    ramp = Ramp(managed(certify_answers=True, on_unproven=OnUnproven.ASK))
    ramp.begin()
    ramp.run(30)
    comparison = ramp.state.comparison
    assert comparison is not None
    assert comparison.judgement is not None
    assert any("answers are not compared" in one for one in comparison.judgement.caveats)


def test_what_was_promoted_and_answers_wrongly_later_is_taken_back_with_the_objectives() -> None:
    one = labelled({"a": 0.20, "c": 0.05}, certify_answers=True, certify_failures=False)
    assert one.ramp.finish().state is ActionState.SUCCEEDED
    one.wrong["c"] = 0.80
    one.ramp.trouble = {"slo_met": False}
    one.ramp.run(50, lambda: one.ramp.weight == 0.0)
    assert one.ramp.weight == 0.0
    assert any("worse than what it replaced" in title for title in one.ramp.told())
