"""A person's yes: bound to what was asked, from somebody else, twice where need be, once each."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base import codec
from homeostat.base.actions import UndoKind
from homeostat.base.events import Approval, Command, FleetView, Record, Started, Tell, Ticked, Write
from homeostat.base.evidence import Family
from homeostat.base.intent import ActionRecord, ActionState
from homeostat.base.policy import KillLevel, Mode
from homeostat.base.state import LoopState
from homeostat.loop import approving
from homeostat.loop.approving import Said
from homeostat.loop.step import initial, step
from homeostat.server.wiring import loop_parts
from homeostat.testing import build

PARTS = loop_parts()
SICK: dict[str, Any] = {
    "suspicions": (build.suspicion(Family.REPLICA, "replica:a-2"),),
    "slo_met": False,
    "values": {
        ("replica:a-2", "probe_failures"): 3.0,
        ("replica:a-2", "device_time_ms"): None,
        ("gateway", "error_ratio"): 0.2,
    },
}


def ticked(state: LoopState, at: int, **found: Any) -> LoopState:
    now = build.at(float(at))
    world = replace(build.world(), observed_at=now)
    evidence = build.evidence(now, at, **{"world": world, **found})
    fleet = FleetView(targets=1, replicas=4)
    event = Ticked(at=now, evidence=evidence, fleet=fleet, kill=KillLevel.OFF)
    return step(PARTS, state, event)[0]


@pytest.fixture(scope="module")
def asked() -> LoopState:
    """Return the state in which a restart is asked about."""
    managed = build.managed(mode=Mode.APPROVE)
    state, _ = step(PARTS, initial(managed), Started(at=build.at(0), epoch=1, managed=managed))
    for at in range(1, 11):
        state = ticked(state, at)
    for at in range(11, 15):
        state = ticked(state, at, **SICK)
    assert state.record is not None
    assert state.record.state is ActionState.AWAITING_APPROVAL
    return state


def irreversible(state: LoopState) -> LoopState:
    """Return the same question about an action that cannot be taken back."""
    assert state.record is not None
    assert state.asked is not None
    action = replace(state.record.action, undo=UndoKind.NONE)
    bound = replace(state.asked, action_hash=approving.action_hash(action))
    return replace(state, record=replace(state.record, action=action), asked=bound)


def yes(state: LoopState, who: str = "ann", **said: Any) -> Approval:
    """Return a yes to what is asked, as the API sends it."""
    assert state.asked is not None
    assert state.evidence is not None
    given_: dict[str, Any] = {
        "at": state.evidence.at, "decision_id": state.asked.decision_id, "approved": True,
        "by": who, "why": "", "kill": KillLevel.OFF, "principal": who,
        "action_hash": state.asked.action_hash, "evidence_hash": state.asked.evidence_hash,
    }  # fmt: skip
    return Approval(**(given_ | said))


def writes(commands: tuple[Command, ...]) -> int:
    return sum(isinstance(one, Write) for one in commands)


def words(commands: tuple[Command, ...]) -> str:
    return "; ".join(one.notice.title for one in commands if isinstance(one, Tell))


def test_a_question_is_bound_to_its_action_and_to_what_is_known(asked: LoopState) -> None:
    bound = asked.asked
    assert bound is not None
    assert asked.record is not None
    assert bound.action_hash == approving.action_hash(asked.record.action)
    assert bound.evidence_hash == approving.evidence_hash(approving.seen(asked))
    assert dict(bound.seen)["incident"].startswith("i-0001, replica at replica:a-2")
    assert approving.changed(bound, ticked(asked, 15, **SICK)) == ()  # a tick alone changes nothing


def test_a_yes_to_what_is_asked_acts_and_a_second_click_does_not(asked: LoopState) -> None:
    state, commands = step(PARTS, asked, yes(asked))
    assert writes(commands) == 1
    again, more = step(PARTS, state, yes(asked))
    assert (again, more) == (state, ())
    late = ticked(state, 16)
    assert approving.answer(late, yes(asked)).said is Said.REPEATED


def test_a_yes_after_the_evidence_changed_is_asked_again(asked: LoopState) -> None:
    well = ticked(asked, 15, **(SICK | {"slo_met": True}))
    state, commands = step(PARTS, well, yes(asked))
    assert writes(commands) == 0
    assert "objectives was missed, is met" in words(commands)
    assert state.record is None
    assert state.finished[-1].state is ActionState.ABANDONED
    state = ticked(state, 16, **SICK)
    assert state.asked is not None
    assert state.asked.decision_id != yes(asked).decision_id
    old, commands = step(PARTS, state, yes(asked))
    assert (old, writes(commands)) == (state, 0)
    assert f"{state.asked.decision_id} is asked in its place" in words(commands)


@pytest.mark.parametrize("part", ["action_hash", "evidence_hash"])
def test_a_yes_to_something_else_is_refused_and_the_question_stays(
    asked: LoopState, part: str
) -> None:
    state, commands = step(PARTS, asked, yes(asked, **{part: "0" * 64}))
    assert (state, writes(commands)) == (asked, 0)
    assert "read it again" in words(commands)
    assert any(isinstance(c, Record) and c.fact == asked.record for c in commands)


def test_who_asked_for_it_may_not_approve_it(asked: LoopState) -> None:
    assert asked.asked is not None
    mine = replace(asked, asked=replace(asked.asked, requested_by="ann"))
    state, commands = step(PARTS, mine, yes(mine, "ann"))
    assert (state, writes(commands)) == (mine, 0)
    assert "somebody else" in words(commands)
    assert writes(step(PARTS, mine, yes(mine, "bob"))[1]) == 1


def test_what_cannot_be_taken_back_needs_two_people(asked: LoopState) -> None:
    two = irreversible(asked)
    first, commands = step(PARTS, two, yes(two, "ann"))
    assert writes(commands) == 0
    assert "one more" in words(commands)
    assert step(PARTS, first, yes(two, "ann")) == (first, ())  # one person is one person
    second, commands = step(PARTS, first, yes(two, "bob"))
    assert writes(commands) == 1
    assert second.record is not None
    assert second.record.approved_by == "ann and bob"


def test_one_shared_token_is_one_person_whatever_it_says(asked: LoopState) -> None:
    two = irreversible(asked)
    first, _ = step(PARTS, two, yes(two, "ann", principal="owner"))
    _, commands = step(PARTS, first, yes(two, "bob", principal="owner"))
    assert writes(commands) == 0


def test_one_no_is_enough_and_outweighs_a_yes(asked: LoopState) -> None:
    two = irreversible(asked)
    first, _ = step(PARTS, two, yes(two, "ann"))
    state, commands = step(PARTS, first, yes(two, "bob", approved=False, why="not on Friday"))
    assert state.record is None
    done = [c.fact for c in commands if isinstance(c, Record) and isinstance(c.fact, ActionRecord)]
    assert done[-1].state is ActionState.DENIED
    assert "not on Friday" in done[-1].reason
    assert approving.answer(state, yes(two, "bob", approved=False)).said is Said.REPEATED


@given(
    who=st.lists(st.sampled_from(["ann", "bob", "cid"]), max_size=6),
    wanted=st.sampled_from(["", "ann"]),
)
def test_no_order_of_answers_makes_one_person_two_or_lets_who_asked_approve(
    asked: LoopState, who: list[str], wanted: str
) -> None:
    two = irreversible(asked)
    assert two.asked is not None
    state = two = replace(two, asked=replace(two.asked, requested_by=wanted))
    wrote = 0
    for name in who:
        state, commands = step(PARTS, state, yes(two, name))
        wrote += writes(commands)
    assert wrote == (len(set(who) - {wanted}) >= approving.TWO)


@pytest.mark.parametrize("late_s", [0.0, 120.0])
def test_a_yes_counts_only_while_the_question_is_open(asked: LoopState, late_s: float) -> None:
    assert asked.record is not None
    at = asked.record.deadline + build.at(late_s)
    _, commands = step(PARTS, asked, yes(asked, at=at))
    assert writes(commands) == 0


def test_a_question_outlives_a_restart_with_all_that_it_is_bound_to(asked: LoopState) -> None:
    kept: LoopState = codec.decode(codec.encode(asked))
    assert kept.asked == asked.asked
    managed = kept.managed
    taken, _ = step(PARTS, kept, Started(at=build.at(15), epoch=2, managed=managed))
    state = ticked(taken, 16, **SICK)
    assert state.asked == asked.asked
    assert writes(step(PARTS, state, yes(state))[1]) == 1
    other = ticked(taken, 16, **(SICK | {"slo_met": True}))
    assert approving.answer(other, yes(other)).said is Said.CHANGED
