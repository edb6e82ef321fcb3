"""The reference page says what the rules are; neither can change without the other."""

import re
from pathlib import Path

import pytest

from homeostat.base.policy import GuardPolicy
from homeostat.safety.rule import EXEMPT, EXEMPTIONS, RATED, SERVED, STEP, Rule
from homeostat.safety.rules import RULES
from homeostat.testing.guard_cases import label

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "guards.md"
TEXT = PAGE.read_text()
ROWS = {
    cells[0]: cells
    for line in TEXT.splitlines()
    if re.match(r"\| G\d", line)
    for cells in [[cell.strip() for cell in line.strip("|").split("|")]]
}
LIFTED = {
    (): "",
    ("undo",): "undo",
    ("undo", "one more replica"): "undo, +1",
    ("undo", "rollback to the last verified version"): "undo, rollback",
    EXEMPT: "all four",
    STEP: "all four, setting",
    SERVED: "undo, setting",
    RATED: "undo, first rollback, failing, +1",
}


def test_the_page_has_a_row_for_each_rule_and_no_other_in_their_order() -> None:
    assert list(ROWS) == [label(rule) for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=label)
def test_a_row_says_what_lifts_the_rule_and_what_follows(rule: Rule) -> None:
    _, _, _, lifted, follows = ROWS[label(rule)]
    same = rule.on_false == rule.on_unknown
    both = f"{rule.on_false} / {rule.on_unknown}"
    assert lifted == LIFTED[rule.exempt]
    assert follows in ({rule.on_false, both} if same else {both})


@pytest.mark.parametrize(
    ("rule", "default"),
    [
        ("G0 sight", f"fresh = {GuardPolicy().fresh_scrapes:g} scrapes"),
        ("G0 replica evidence", f"{GuardPolicy().failed_probes} rounds"),
        ("G2 floor", str(GuardPolicy().min_replicas)),
        ("G3 cooldown", f"{GuardPolicy().cooldown_scrapes:g} scrapes"),
        ("G3 scale-in", f"{GuardPolicy().scale_in_scrapes:g} scrapes"),
        ("G3 tries", str(GuardPolicy().max_tries)),
        ("G4 rate", str(GuardPolicy().actions_per_hour)),
        ("G4 fleet rate", str(GuardPolicy().fleet_actions_per_hour)),
        ("G5 targets", f"{GuardPolicy().targets_share * 100:g} %, at least 1"),
        ("G5 replicas", f"{GuardPolicy().replicas_share * 100:g} %, at least 1"),
        ("G7 watched", f"{GuardPolicy().watch_scrapes:g} scrapes"),
        ("G7 capacity", f"{GuardPolicy().utilisation_max * 100:g} %"),
        ("G13 freshness", "{0.approval_ttl_scrapes:g} scrapes; {0.fresh_scrapes:g} scrapes"),
    ],
)
def test_a_row_states_the_default_in_force(rule: str, default: str) -> None:
    assert ROWS[rule][2] == default.format(GuardPolicy())


def test_the_page_names_every_exemption() -> None:
    assert all(f"| {name} |" in TEXT for name in EXEMPTIONS)
