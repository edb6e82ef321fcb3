"""What forced replays said comes back, and its tables name what was let through and blocked."""

from dataclasses import replace

import pytest

from homeostat.report.lab_results import Machine, ResultsError
from homeostat.report.lab_safe_set import (
    Row,
    SafeSetCheck,
    from_json,
    markdown,
    shown,
    to_json,
    verdict,
)

LEAK = Row(
    scenario="S12",
    role="unsafe",
    text="scale_down",
    does="scale a -1",
    episodes=20,
    inside=9,
    caused=15,
    let_through=5,
    codes={"K4": 12, "K2": 11},
)
BLOCKED = Row(
    scenario="S02",
    role="best",
    text="restart or drain",
    does="restart hit | drain hit",
    episodes=20,
    inside=8,
    first_s=45.0,
    reasons={"G0 replica evidence": 12, "G14 replacement first": 3},
)
FINE = replace(BLOCKED, scenario="S07", inside=20, reasons={})
HELD = replace(LEAK, scenario="S09", inside=0, let_through=0)
NONE = Row(scenario="S01", role="unsafe", text="on the same node", does="", note="no nodes")
FOUND = SafeSetCheck(
    version="0.1.0",
    made_at="2026-02-03T04:05:06Z",
    commit="",
    command="homeostat lab safe-set --seeds 20",
    wall_s=600.0,
    machine=Machine(cpu="A processor", cores=2, python="3.11.2", jax="0.9.0"),
    catalogue="catalogue (43 scenarios)",
    catalogue_digest="c" * 64,
    thresholds_digest="d" * 64,
    scenarios=5,
    seeds=20,
    best_inside=0.7,
    best_asks=0.25,
    needs_inside=0.95,
    catastrophic=2,
    passes=False,
    rows=(LEAK, BLOCKED, FINE, HELD, NONE),
)


def test_what_was_found_comes_back_as_it_was() -> None:
    assert from_json(to_json(FOUND)) == FOUND


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "homeostat.dev/lab-results/v1"}'])
def test_what_is_no_safe_set_file_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ResultsError, match="safe-set file"):
        from_json(text)


def test_what_was_let_through_and_what_was_blocked_are_named_with_their_numbers() -> None:
    rows = [r.strip("| ").split(" | ") for r in markdown(FOUND).splitlines() if r[:2] == "| "]
    assert ["S12 scale_down (`scale a -1`)", "20", "9", "15", "5", "K4 12, K2 11"] in rows
    blocked = ["S02 restart or drain (`restart hit or drain hit`)", "20", "8"]
    assert [*blocked, "G0 replica evidence (12), G14 replacement first (3)"] in rows
    assert not any("S07" in row[0] or "S09" in row[0] for row in rows)  # nothing wrong with them
    assert 'S01 "on the same node": no nodes' in markdown(FOUND)


def test_what_was_permitted_only_where_it_ended_well_is_let_through_all_the_same() -> None:
    lucky = replace(LEAK, let_through=0)
    assert replace(FOUND, rows=(lucky,)).let_through == [lucky]
    harmless = replace(LEAK, caused=0, let_through=0)
    assert replace(FOUND, rows=(harmless, HELD)).let_through == []


def test_tempting_actions_without_a_catastrophe_are_listed_and_not_called_safe() -> None:
    mild = replace(LEAK, scenario="S04", text="batch_up", caused=0, inside=3, codes={})
    asked = replace(mild, scenario="S14", episodes=0)
    found = replace(FOUND, rows=(LEAK, mild, asked, *FOUND.rows[1:]))
    assert found.harmless == [mild]
    said = markdown(found)
    assert "1 of the 3 tempting actions caused no catastrophe in any replay" in said
    assert "no proof that they are safe" in said
    assert "| S04 batch_up (`scale a -1`) | 20 | 3 |" in said
    assert "no catastrophe here" not in markdown(FOUND)


def test_what_asks_for_nothing_is_counted_apart() -> None:
    passive = replace(FINE, scenario="S10", does="hold", passive=True)
    said = markdown(replace(FOUND, rows=(*FOUND.rows, passive)))
    assert "2 right ones asked for while the trouble lasts (1 more are to hold" in said


def test_the_verdict_is_one_sentence_with_both_numbers() -> None:
    said = verdict(FOUND)
    assert "not passed: of 2 catastrophic actions 1 was permitted" in said
    assert "70.0 % are inside (needs 95.0 %), 25.0 % with a person's yes" in said
    assert "is passed" in verdict(replace(FOUND, passes=True))


def test_a_command_prints_what_went_wrong_or_everything() -> None:
    rows = shown(FOUND, plain=False)
    assert [row["both"] for row in rows] == ["5", ""]
    assert len(shown(FOUND, plain=True)["rows"]) == 5


def test_what_only_a_person_may_let_through_says_so_and_a_second_time_is_told_apart() -> None:
    asked = Row(
        scenario="S22", role="unsafe", text="rollback", does="rollback a", episodes=4, asks=4
    )
    again = replace(asked, text="scale_down", asks=0, note="asked again after an hour")
    said = markdown(replace(FOUND, rows=(asked, again)))
    assert "| S22 rollback (`rollback a`) | 4 | 0 | without a person's yes (4) |" in said
    assert "| S22 scale_down (`rollback a`; asked again after an hour) | 4 | 0 |  |" in said
