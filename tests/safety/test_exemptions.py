"""Exemptions are checked, few, and lift nothing that must stand."""

from dataclasses import replace

from homeostat.base import names
from homeostat.base.actions import ActionKind
from homeostat.base.guard import Deny
from homeostat.safety.guard import guard
from homeostat.safety.rule import EXEMPT, STEP
from homeostat.safety.rules import RULES
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_cases import label, past, verdict

BATCH = g.act(ActionKind.BATCH_UP, names.pool("a"), batch_max=16)
SETTING = "back to the setting that served"
FIRST = "its first rollback within the hour"
SHED = g.act(ActionKind.SHED_LOAD, names.GATEWAY, gateway_limit=100)


def test_exemptions_lift_cooldown_rate_and_step_and_nothing_that_must_stand() -> None:
    four = {label(rule) for rule in RULES if rule.exempt == EXEMPT}
    assert four == {"G0 foreseen", "G3 cooldown", "G4 fleet rate", "G15 foreseen harm"}
    assert [label(rule) for rule in RULES if rule.exempt == STEP] == ["G2 step"]
    # A setting that served lifts the step and what is only estimated of a larger batch.
    served = {"G2 step", "G0 full batches", "G7 room for the batch"}
    # It was proven once, so that it needs not go to some replicas first.
    lifts = {label(rule) for rule in RULES if SETTING in rule.exempt}
    assert lifts == served | {"G2 one first"}
    assert [label(rule) for rule in RULES if FIRST in rule.exempt] == ["G4 rate"]
    stand = {"G5 single flight", "G2 floor", "G2 never empty", "G10 ownership", "G11 kill switch"}
    lifted = {label(rule): set(rule.exempt) for rule in RULES}
    assert all(not lifted[name] for name in stand)
    general = {"G0 sight", "G0 baselines", "G0 foreseen"}
    about_the_subject = {name for name in lifted if name[:3] == "G0 "} - general - served
    assert all(lifted[name] <= {"undo"} for name in about_the_subject)


def test_what_an_action_claims_about_itself_lifts_nothing() -> None:
    hot = replace(g.scene(), past=past(0.1))
    for action in (BATCH, SHED, g.scale(5), g.restart("a-1")):
        claimed = replace(action, exempt=True)
        assert verdict(guard(claimed, hot, g.NOW)) == verdict(guard(action, hot, g.NOW))
        assert isinstance(guard(claimed, hot, g.NOW), Deny)


def test_a_restart_that_disturbs_two_is_no_restart_of_one_failing_replica() -> None:
    state = replace(g.hung(g.scene(5)), past=past(0.1))
    for touched, cooled in ((1, True), (2, False)):
        restart = replace(g.restart("a-1"), replicas_touched=touched)
        answer = guard(restart, state, g.NOW)
        reasons = answer.reasons if isinstance(answer, Deny) else ()
        assert any(one.startswith("G3 cooldown") for one in reasons) is not cooled, touched
