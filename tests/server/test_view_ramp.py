"""A compared ramp for people: what it rests on, its second question, and that it can be undone."""

from dataclasses import replace
from typing import Any

import pytest

from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.decisions import Apply, DecisionRecord
from homeostat.base.events import Approval, Record
from homeostat.base.intent import ActionRecord, ActionState, Proof
from homeostat.base.policy import KillLevel
from homeostat.cli import tables
from homeostat.loop.protocol import propose
from homeostat.server import view_plain
from homeostat.server.view import View
from homeostat.testing import build

ACTION = Action(
    kind=ActionKind.SHIFT_TRAFFIC, subject="pool:c", actuator="envoy",
    change=(("weight.c", 100.0),), undo=UndoKind.EXACT, ramp=(10.0, 50.0, 100.0), beside="a",
)  # fmt: skip
DECISION = DecisionRecord(
    id="d-0001", deployment="m", incident_id="", at=build.at(1),
    decision=Apply(action=ACTION, because=("ann asked for it",)), considered=(), allowed=(),
    refused=(), policy_digest="0" * 64, mode="auto",
)  # fmt: skip


def shown(*records: ActionRecord) -> tuple[View, dict[str, Any]]:
    view = View()
    view.command(Record(fact=DECISION), deployment="m")
    for fact in records:
        view.command(Record(fact=fact), deployment="m")
    state = view.deployment("m")
    assert state is not None
    return view, view_plain.decision(state, DECISION, build.at(60))


def record(state: ActionState, at: float, **changes: Any) -> ActionRecord:
    first = propose(ACTION, id="d-0001", deployment="m", incident_id="", epoch=1, now=build.at(1))
    return replace(first, state=state, state_since=build.at(at), **changes)


def test_explain_says_rung_by_rung_what_it_went_on_from() -> None:
    _, row = shown(
        record(ActionState.VERIFYING, 5),
        record(ActionState.INTENT, 15, stage=1, reason="errors: harm e-value 0.4"),
        record(ActionState.VERIFYING, 18, stage=1, reason="errors: harm e-value 0.4"),
    )
    assert row["ramp"]["beside"] == "a"
    lines = tables.decision({**row, "pending": False})
    assert lines["compared with"] == "pool:a; promotion rests on: nothing yet"
    assert len(lines["rungs"]) == 1
    assert lines["rungs"][0].endswith(" intent: errors: harm e-value 0.4")


def test_explain_says_the_same_of_a_shift_to_the_fallback_and_calls_it_no_canary() -> None:
    away = replace(ACTION, subject="pool:b", change=(("weight.b", 100.0),), beside="")
    _, row = shown(
        record(ActionState.VERIFYING, 5, action=away),
        record(ActionState.INTENT, 15, stage=1, reason="pool b beside pool a", action=away),
    )
    lines = tables.decision({**row, "pending": False})
    assert "compared with" not in lines
    assert lines["rungs"][0].endswith(" intent: pool b beside pool a")


def test_a_ramp_under_way_can_be_taken_back_and_one_that_goes_back_not_again() -> None:
    assert shown(record(ActionState.VERIFYING, 5))[1]["undoable"]
    assert not shown(record(ActionState.ROLLING_BACK, 5))[1]["undoable"]


def test_whether_it_may_end_unproven_is_an_open_question_until_somebody_answers() -> None:
    asked = record(ActionState.VERIFYING, 5, proof=Proof.ASKED)
    assert not shown(record(ActionState.VERIFYING, 5))[1]["pending"]
    view, row = shown(record(ActionState.VERIFYING, 5), asked)
    assert row["pending"]
    view.event(
        Approval(
            at=build.at(70), decision_id="d-0001", approved=True, by="bob", why="",
            kill=KillLevel.OFF, deployment="m",
        )
    )  # fmt: skip
    state = view.deployment("m")
    assert state is not None
    assert not view_plain.decision(state, DECISION, build.at(71))["pending"]


@pytest.mark.parametrize(
    "state", [ActionState.INTENT, ActionState.READBACK, ActionState.SETTLING, ActionState.VERIFYING]
)
def test_the_question_stays_open_in_every_open_state_until_it_is_settled(
    state: ActionState,
) -> None:
    asked = record(state, 5, proof=Proof.ASKED)
    view, row = shown(asked)
    assert row["pending"]
    known = view.deployment("m")
    assert known is not None

    def answered(*, yes: bool, record: ActionRecord) -> bool:
        said = Approval(
            at=build.at(70), decision_id="d-0001", approved=yes, by="ann", why="",
            kill=KillLevel.OFF, deployment="m",
        )  # fmt: skip
        view.event(said)
        view.command(Record(fact=record), deployment="m")
        return bool(view_plain.decision(known, DECISION, build.at(71))["pending"])

    assert answered(yes=True, record=asked), "a yes that was refused: a no may still come"
    back = record(ActionState.ROLLING_BACK, 70, proof=Proof.ASKED)
    assert not answered(yes=False, record=back)
