"""The safety pack: proved of the built-in guards, and no promise is empty.

A promise that holds whatever is taken away from the guards promises nothing, so for each one the
guard that keeps it is removed: then it must be refuted, by a state that the same guards confirm.
"""

from dataclasses import replace

import pytest

from homeostat.base.actions import Action
from homeostat.base.guard import GuardAnswer, GuardState
from homeostat.base.policy import GuardPolicy
from homeostat.base.units import SECOND, TimeNs
from homeostat.proof.claim import Claim
from homeostat.proof.claims import PACK
from homeostat.proof.moment import Setting
from homeostat.proof.verify import Prover, Result
from homeostat.proof.windows import TURNS
from homeostat.safety.guard import Kernel, answer, compile_rules, guard
from homeostat.safety.rule import Rule
from homeostat.safety.rules import RULES
from homeostat.safety.sight import look
from homeostat.safety.tree import Const
from homeostat.testing.guard_cases import label
from homeostat.testing.guard_scene import PATIENT_MS, POLICY

POLICED = replace(POLICY, budget_usd_per_hour=50.0)
NAMED = {claim.name: claim for claim in PACK}
# The promise, and the guards that keep it (all of them must go).
KEPT_BY = {
    "bounds": ("G2 bounds",),
    "floor": ("G2 floor",),
    "budget": ("G8 budget", "G8 budget in trouble"),
    "blind": ("G0 sight",),
    "foreseen": ("G0 foreseen",),
    "shrinks-seeing": ("G0 no shrinking blind",),
    "killed": ("G11 kill switch",),
    "single-flight": ("G5 single flight",),
    "no-fight": ("G10 ownership",),
    "freeze": ("G9 freeze",),
    "autonomy": ("G12 autonomy",),
    "four-eyes": ("G14 four eyes",),
    "shadow": ("G12 shadow",),
    "correlated": ("G6 correlated failure",),
    "rate": ("G4 rate",),
    "cooldown": ("G3 cooldown",),
}
# Promises that something stays possible, and a guard that forbids it.
FORBIDS = {
    "undo-possible": "G3 tries",
    "rollback-possible": "G9 freeze",
    "healing-possible": "G3 cooldown",
    "capacity-possible": "G0 sight",
}


def setting(rules: tuple[Rule, ...] = RULES, policy: GuardPolicy = POLICED) -> Setting:
    return Setting(policy=policy, scrape_ns=15 * SECOND, price_milli=1000, rules=rules)


def judged_by(rules: tuple[Rule, ...]) -> Prover:
    kernel: Kernel = compile_rules(rules)

    def real(
        action: Action,
        state: GuardState,
        now: TimeNs,
        *,
        undo: bool = False,
    ) -> GuardAnswer:
        return answer(action, look(state, now), undo=undo, kernel=kernel)

    return Prover(timeout_ms=PATIENT_MS, guard=real)


@pytest.mark.slow
@pytest.mark.parametrize("claim", PACK, ids=lambda claim: claim.name)
def test_a_promise_is_proved_of_the_built_in_guards(claim: Claim) -> None:
    assert Prover(timeout_ms=PATIENT_MS, guard=guard).claim(setting(), claim).verdict == "proved"


@pytest.mark.slow
@pytest.mark.parametrize("name", KEPT_BY)
def test_a_promise_is_refuted_without_the_guard_that_keeps_it(name: str) -> None:
    rules = tuple(rule for rule in RULES if label(rule) not in KEPT_BY[name])
    assert len(rules) == len(RULES) - len(KEPT_BY[name])
    result = judged_by(rules).claim(setting(rules), NAMED[name])
    assert (result.verdict, result.replayed) == ("refuted", True)
    assert {step.answer for step in result.counterexample} <= {"allow", "ask"}


@pytest.mark.slow
@pytest.mark.parametrize("name", FORBIDS)
def test_what_must_stay_possible_is_refuted_by_a_guard_that_nothing_lifts(name: str) -> None:
    rules = tuple(
        replace(rule, exempt=()) if label(rule) == FORBIDS[name] else rule for rule in RULES
    )
    result = judged_by(rules).claim(setting(rules), NAMED[name])
    assert (result.verdict, result.replayed) == ("refuted", True)
    assert any(FORBIDS[name] in reason for reason in result.counterexample[0].reasons)


# Promises about a stretch of time, and the guards that keep them.
WINDOWS = {"capacity": ("G3 peak", "G3 drained"), "turns": ("G3 turning",)}


@pytest.mark.slow
@pytest.mark.parametrize("name", WINDOWS)
def test_a_promise_about_time_is_proved_and_is_refuted_without_its_guards(name: str) -> None:
    rules = tuple(rule for rule in RULES if label(rule) not in WINDOWS[name])
    assert len(rules) == len(RULES) - len(WINDOWS[name])
    assert _of_time(Prover(timeout_ms=PATIENT_MS, guard=guard), setting(), name).verdict == "proved"
    result = _of_time(judged_by(rules), setting(rules), name)
    assert (result.verdict, result.replayed) == ("refuted", True)
    assert {step.answer for step in result.counterexample} <= {"allow", "ask"}


@pytest.mark.slow
@pytest.mark.parametrize("gone", WINDOWS["capacity"])
def test_scaling_in_and_draining_each_need_their_own_guard(gone: str) -> None:
    """Without the one a chain of the one kind breaks the promise; the other does not cover it."""
    rules = tuple(rule for rule in RULES if label(rule) != gone)
    wide = replace(POLICED, replicas_share=1.0)
    result = judged_by(rules).capacity(setting(rules, wide))
    assert (result.verdict, result.replayed) == ("refuted", True)


def _of_time(prover: Prover, made: Setting, name: str) -> Result:
    return prover.capacity(made) if name == "capacity" else prover.claim(made, TURNS)


@pytest.mark.slow
def test_a_state_that_the_real_guards_do_not_confirm_refutes_nothing() -> None:
    rules = tuple(rule for rule in RULES if label(rule) != "G2 bounds")
    result = Prover(timeout_ms=PATIENT_MS, guard=guard).claim(setting(rules), NAMED["bounds"])
    assert (result.verdict, result.replayed, result.counterexample) == ("unknown", False, ())


@pytest.mark.slow
def test_a_solver_that_runs_out_of_time_proves_nothing() -> None:
    hopeless = Prover(guard=guard, timeout_ms=0)
    result = hopeless.claim(setting(), NAMED["cooldown"])
    assert (result.verdict, result.why) == ("unknown", "the solver did not answer in time")


@pytest.mark.slow
def test_restarting_everything_is_refuted_where_its_guard_is_gone() -> None:
    rules = tuple(
        replace(rule, require=Const(value=True)) if label(rule) == "G5 restart all" else rule
        for rule in RULES
    )
    result = judged_by(rules).claim(setting(rules), NAMED["not-everything"])
    assert result.verdict != "proved"


def test_every_promise_is_shown_to_be_no_empty_one() -> None:
    assert {*KEPT_BY, *FORBIDS, "not-everything"} == set(NAMED)
