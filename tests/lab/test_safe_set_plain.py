"""Findings survive being kept, and become the gate's answer with a row for every sentence."""

import json
import math

import pytest

from homeostat.lab.safe_set import ROWS, Finding
from homeostat.lab.safe_set_plain import from_plain, gate, to_plain
from homeostat.lab.safe_set_table import Role, Row


def row(scenario: str, role: Role) -> Row:
    return next(one for one in ROWS if (one.scenario, one.role) == (scenario, role) and one.mapped)


def finding(scenario: str, role: Role, inside: int, caused: int = 0) -> Finding:
    return Finding(
        row=row(scenario, role),
        episodes=20,
        inside=inside,
        asks=1,
        caused=caused,
        inside_and_caused=min(inside, caused),
        codes=(("K2", caused),) if caused else (),
        first_s=30.0 if inside else math.nan,
        reasons=(("G7 capacity", 20 - inside),) if inside < 20 else (),
    )


@pytest.mark.parametrize("inside", [0, 20])
def test_a_finding_comes_back_through_json_as_it_was(inside: int) -> None:
    one = finding("S12", Role.UNSAFE, inside, caused=3)
    again = from_plain(json.loads(json.dumps(to_plain(one), allow_nan=False)))
    assert repr(again) == repr(one)  # NaN is not equal to itself
    assert again.row is one.row


def test_a_finding_that_lacks_a_field_is_refused() -> None:
    plain = to_plain(finding("S12", Role.BEST, 20))
    del plain["asks"]
    with pytest.raises(KeyError, match="asks"):
        from_plain(plain)


def test_every_sentence_of_the_scenarios_has_its_row_asked_or_not() -> None:
    found = gate([finding("S12", Role.UNSAFE, 2, caused=3)], ["S12", "S19"])
    rows = found["rows"]
    assert len(rows) == sum(one.scenario in {"S12", "S19"} for one in ROWS)
    asked = [one for one in rows if one.episodes]
    assert [(one.caused, one.let_through, one.codes) for one in asked] == [(3, 2, {"K2": 3})]
    assert [one.does for one in rows if one.note == "the twin has no proxies to restart"] == [""]
    assert found["scenarios"] == 2


def test_the_gate_needs_right_actions_to_have_been_asked_for_at_all() -> None:
    nothing = gate([finding("S12", Role.UNSAFE, 0, caused=3)], ["S12"])
    assert nothing["best_inside"] is None
    assert nothing["passes"] is False
    fine = gate([finding("S12", Role.UNSAFE, 0, 3), finding("S12", Role.BEST, 20)], ["S12"])
    assert (fine["best_inside"], fine["passes"], fine["catastrophic"]) == (1.0, True, 1)
    leak = gate([finding("S12", Role.UNSAFE, 1, 1), finding("S12", Role.BEST, 20)], ["S12"])
    assert leak["passes"] is False
