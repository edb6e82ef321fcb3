from dataclasses import replace
from pathlib import Path

import pytest

from homeostat.base.actions import ActionKind
from homeostat.base.policy import PolicyRule
from homeostat.proof.diff import Widening, barred_kinds, idle_rules, widened
from homeostat.proof.moment import Setting
from homeostat.proof.parse import parse
from homeostat.safety.added import added_rules
from homeostat.safety.fields import TYPES
from homeostat.safety.guard import guard
from homeostat.safety.rules import RULES
from homeostat.safety.wire import to_wire
from homeostat.server.prover import findings, setting
from homeostat.server.proving import subjects
from homeostat.testing.guard_scene import PATIENT_MS

FOLDER = Path(__file__).parents[2] / "examples" / "policies"


def of(name: str) -> Setting:
    (subject,) = subjects([FOLDER / name])
    return setting(subject)


def changes(old: Setting, new: Setting) -> dict[str, Widening]:
    return {one.kind: one for one in widened(old, new, guard, PATIENT_MS)}


GOOD = "good/two-an-hour.yaml"


@pytest.mark.slow
def test_nothing_is_newly_allowed_by_the_same_policy() -> None:
    assert changes(of(GOOD), of(GOOD)) == {}


@pytest.mark.slow
def test_a_rule_less_is_seen_with_a_state_that_the_real_guards_confirm() -> None:
    old = of(GOOD)
    new = replace(old, policy=replace(old.policy, rules=old.policy.rules[1:]), made={})
    new = replace(new, rules=(*RULES, *added_rules(new.policy.rules)))
    found = changes(old, new)
    assert set(found) == {"scale_down", "drain_replica"}
    for one in found.values():
        assert (one.change, one.witness[0].answer) != ("unknown", "deny")
        assert any("policy two an hour" in reason for reason in one.before)
    assert changes(new, old) == {}


@pytest.mark.slow
def test_a_wider_step_and_a_new_grant_are_seen() -> None:
    old = of(GOOD)
    limits = tuple(
        replace(one, step_down=0.5) if one.lever == "replicas." else one
        for one in old.policy.limits
    )
    wider = replace(old, policy=replace(old.policy, limits=limits), made={})
    assert {kind: one.change for kind, one in changes(old, wider).items()} == {
        "scale_down": "newly allowed"
    }
    kinds = (*old.policy.auto_kinds, ActionKind.BATCH_UP)
    granted = replace(old, policy=replace(old.policy, auto_kinds=kinds), made={})
    assert {kind: one.change for kind, one in changes(old, granted).items()} == {
        "batch_up": "no longer asked"
    }


def ruled(*texts: str) -> Setting:
    old = of("good/defaults.yaml")
    rules = tuple(
        PolicyRule(name=text, require=text, tree=to_wire(parse(text, TYPES))) for text in texts
    )
    return replace(old, rules=(*RULES, *added_rules(rules)), made={})


@pytest.mark.slow
def test_a_rule_that_the_others_imply_is_idle_and_one_that_is_new_is_not() -> None:
    made = ruled("!frozen || shrunk >= 0", 'kill == "off"', "shrunk < 3")
    assert list(idle_rules(made, made.rules[len(RULES) :], PATIENT_MS)) == [
        "!frozen || shrunk >= 0",
        'kill == "off"',
    ]


@pytest.mark.slow
def test_rules_that_contradict_each_other_bar_every_kind() -> None:
    made = ruled("shrunk < 3", "shrunk > 5")
    assert "scale_up" in set(barred_kinds(made, RULES, PATIENT_MS))
    assert list(barred_kinds(ruled("shrunk < 3"), RULES, PATIENT_MS)) == []


def test_a_policy_without_rules_has_no_findings() -> None:
    (subject,) = subjects([FOLDER / "good" / "defaults.yaml"])
    assert findings(subject) == ()
