"""Promises about capacity: proved of the guards, refuted without the one that keeps them."""

from dataclasses import replace

import pytest

from homeostat.base.actions import ActionKind
from homeostat.proof.claim import Claim
from homeostat.proof.claims_capacity import ROOM
from homeostat.proof.moment import Setting
from homeostat.proof.verify import Prover, Result
from homeostat.safety.guard import answer, compile_rules, guard
from homeostat.safety.rule import Rule
from homeostat.safety.rules import RULES
from homeostat.safety.sight import look
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_cases import label

NAMED = {claim.name: claim for claim in ROOM}
KEPT_BY = {
    "room": {"G3 room"},
    "late-undo": {"G3 late undo", "G7 late undo"},
    "smaller-batch": {"G7 smaller batch"},
    "larger-batch": {"G0 larger batch", "G7 memory for the batch"},
    "one-first": {"G2 one first"},
    "where-traffic-goes": {"G0 where traffic goes", "G0 standby"},
    "turning-away": {"G0 turning away"},
}


def setting(rules: tuple[Rule, ...] = RULES) -> Setting:
    return Setting(policy=g.POLICY, scrape_ns=15 * 10**9, price_milli=1000, rules=rules)


def asked(rules: tuple[Rule, ...], name: str) -> Result:
    kernel = compile_rules(rules)
    prover = Prover(timeout_ms=g.PATIENT_MS, guard=lambda action, state, now, *, undo=False: answer(
        action, look(state, now), undo=undo, kernel=kernel
    ))  # fmt: skip
    return prover.claim(setting(rules), NAMED[name])


@pytest.mark.slow
@pytest.mark.parametrize("claim", ROOM, ids=lambda claim: claim.name)
def test_a_promise_of_capacity_is_proved_of_the_built_in_guards(claim: Claim) -> None:
    assert Prover(timeout_ms=g.PATIENT_MS, guard=guard).claim(setting(), claim).verdict == "proved"


@pytest.mark.slow
@pytest.mark.parametrize("name", KEPT_BY)
def test_it_is_refuted_without_the_guards_that_keep_it(name: str) -> None:
    rules = tuple(rule for rule in RULES if label(rule) not in KEPT_BY[name])
    assert len(rules) == len(RULES) - len(KEPT_BY[name])
    result = asked(rules, name)
    assert (result.verdict, result.replayed) == ("refuted", True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [ActionKind.RESIZE_DOWN, ActionKind.DRAIN_REPLICA])
def test_each_lever_that_takes_room_is_held_to_it(kind: ActionKind) -> None:
    rules = tuple(
        replace(rule, kinds=rule.kinds - {kind}) if label(rule) == "G3 room" else rule
        for rule in RULES
    )
    result = asked(rules, "room")
    assert (result.verdict, result.replayed) == ("refuted", True)
    assert {step.drawn.kind for step in result.counterexample} == {kind.value}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [ActionKind.BATCH_DOWN, ActionKind.RESIZE_UP])
def test_each_kind_of_setting_goes_to_some_first(kind: ActionKind) -> None:
    rules = tuple(
        replace(rule, kinds=rule.kinds - {kind}) if label(rule) == "G2 one first" else rule
        for rule in RULES
    )
    result = asked(rules, "one-first")
    assert (result.verdict, result.replayed) == ("refuted", True)
    assert {step.drawn.kind for step in result.counterexample} == {kind.value}


@pytest.mark.slow
def test_what_is_not_known_of_own_values_is_no_permission() -> None:
    rules = tuple(
        replace(rule, on_unknown="pass") if label(rule) == "G2 one first" else rule
        for rule in RULES
    )
    assert asked(rules, "one-first").verdict != "proved"


@pytest.mark.slow
@pytest.mark.parametrize("gone", sorted(KEPT_BY["late-undo"]))
def test_half_and_the_load_are_two_guards_of_a_late_undo(gone: str) -> None:
    rules = tuple(rule for rule in RULES if label(rule) != gone)
    assert asked(rules, "late-undo").verdict != "proved"
