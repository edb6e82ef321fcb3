"""Promises about money, error budgets and sharing: proved of the guards, refuted without them."""

import pytest

from homeostat.proof.claim import Claim
from homeostat.proof.claims_accounts import ACCOUNTS
from homeostat.proof.moment import Setting
from homeostat.proof.verify import Prover
from homeostat.safety.guard import answer, compile_rules, guard
from homeostat.safety.rule import Rule
from homeostat.safety.rules import RULES
from homeostat.safety.sight import look
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_cases import label

NAMED = {claim.name: claim for claim in ACCOUNTS}
KEPT_BY = {
    "bill": {"G8 bill", "G8 bill in trouble"},
    "error-budget": {"G7 error budget"},
    "sharing": {"G5 sharing"},
}


def setting(rules: tuple[Rule, ...] = RULES) -> Setting:
    return Setting(policy=g.POLICY, scrape_ns=15 * 10**9, price_milli=1000, rules=rules)


@pytest.mark.slow
@pytest.mark.parametrize("claim", ACCOUNTS, ids=lambda claim: claim.name)
def test_a_promise_of_accounts_is_proved_of_the_built_in_guards(claim: Claim) -> None:
    assert Prover(timeout_ms=g.PATIENT_MS, guard=guard).claim(setting(), claim).verdict == "proved"


@pytest.mark.slow
@pytest.mark.parametrize("name", KEPT_BY)
def test_it_is_refuted_without_the_guard_that_keeps_it(name: str) -> None:
    rules = tuple(rule for rule in RULES if label(rule) not in KEPT_BY[name])
    assert len(rules) == len(RULES) - len(KEPT_BY[name])
    kernel = compile_rules(rules)
    prover = Prover(timeout_ms=g.PATIENT_MS, guard=lambda action, state, now, *, undo=False: answer(
        action, look(state, now), undo=undo, kernel=kernel
    ))  # fmt: skip
    result = prover.claim(setting(rules), NAMED[name])
    assert (result.verdict, result.replayed) == ("refuted", True)


@pytest.mark.slow
def test_a_missing_price_is_not_proved_to_ask_without_its_guard() -> None:
    rules = tuple(rule for rule in RULES if label(rule) != "G8 price")
    assert (
        Prover(timeout_ms=g.PATIENT_MS, guard=guard).claim(setting(rules), NAMED["priced"]).verdict
        != "proved"
    )
