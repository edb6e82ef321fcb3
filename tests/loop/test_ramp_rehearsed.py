"""A canary that somebody asks for is rehearsed first where there is a twin; nothing else waits."""

from dataclasses import replace

import pytest
from ramp_world import Ramp, managed

from homeostat.base import codec
from homeostat.base.actions import HOLD, ActionKind
from homeostat.base.decisions import DecisionRecord
from homeostat.base.events import Record, Rehearse, Rehearsed, UndoRequested
from homeostat.base.evidence import Family
from homeostat.base.intent import ActionState
from homeostat.base.policy import KillLevel, TwinPolicy
from homeostat.base.rehearsal import Prospect, Rehearsal, Trust
from homeostat.base.units import SECOND
from homeostat.testing import build
from homeostat.testing.guard_rehearsals import foreseen

TWIN = TwinPolicy(deadline_ns=3 * SECOND, good_ns=10 * SECOND)


def asked() -> tuple[Ramp, Rehearse]:
    ramp = Ramp(replace(managed(), twin=TWIN))
    ramp.begin()
    (question,) = [c for c in ramp.commands if isinstance(c, Rehearse)]
    return ramp, question


def answer(ramp: Ramp, question: Rehearse, *, breach: float = 0.0, why: str = "") -> None:
    prospects = tuple(
        Prospect(
            action=one, foreseen=foreseen(), against_hold=foreseen(0.0 if one == HOLD else breach),
            holds=1.0,
        )
        for one in (HOLD, *question.candidates)
    )  # fmt: skip
    rehearsal = Rehearsal(
        id=question.id, at=question.at, horizon_ns=question.horizon_ns, draws=question.draws,
        prospects=prospects, trust=Trust(reasons=(why,) if why else ()),
    )  # fmt: skip
    ramp.feed(Rehearsed(at=build.at(ramp.now + 0.5), kill=KillLevel.OFF, rehearsal=rehearsal))


def decisions(ramp: Ramp) -> list[DecisionRecord]:
    facts = [c.fact for c in ramp.commands if isinstance(c, Record)]
    return [fact for fact in facts if isinstance(fact, DecisionRecord)]


def test_the_twin_is_asked_about_the_whole_ramp_before_a_percent_is_given() -> None:
    ramp, question = asked()
    (action,) = question.candidates
    assert (action.kind, action.ramp) == (ActionKind.SHIFT_TRAFFIC, managed().canary.ramp)  # type: ignore[union-attr]
    assert (ramp.rungs(), decisions(ramp)) == ([], [])
    ramp.run(1)
    assert ramp.rungs() == []
    assert codec.decode(codec.encode(ramp.state)) == ramp.state
    answer(ramp, question)
    assert ramp.rungs() == [1.0]
    assert ramp.state.wish is None
    assert sum("rehearsed first" in title for title in ramp.told()) == 1


def test_what_the_twin_foresees_to_be_worse_is_refused_and_says_so() -> None:
    ramp, question = asked()
    answer(ramp, question, breach=0.4)
    assert (ramp.rungs(), ramp.state.wish) == ([], None)
    assert any("no canary for ann: G15 foreseen harm" in title for title in ramp.told())


@pytest.mark.parametrize("silent", [True, False])
def test_a_twin_that_is_silent_or_not_believed_leaves_it_to_a_person(
    silent: bool,  # noqa: FBT001 - or it answers, and is not to be believed
) -> None:
    ramp, question = asked()
    if silent:
        ramp.run(4)
    else:
        answer(ramp, question, why="its fit is old")
    record = ramp.state.record
    assert record is not None
    assert record.state is ActionState.AWAITING_APPROVAL
    assert ramp.rungs() == []
    bound = ramp.state.asked
    assert bound is not None
    assert bound.requested_by == "ann", "whoever asked for it may not approve it, twin or no twin"


def test_an_incident_meanwhile_ends_the_wish_and_is_healed_at_once() -> None:
    ramp, question = asked()
    dead = build.suspicion(Family.REPLICA, "replica:a-2", urgent=True)
    ramp.trouble = {"suspicions": (dead,), "slo_met": True}
    ramp.values |= {("replica:a-2", "probe_failures"): 3.0, ("replica:a-2", "device_time_ms"): None}
    ramp.run(1)
    record = ramp.state.record
    assert record is not None
    assert record.action.kind is ActionKind.RESTART_REPLICA
    assert ramp.state.wish is None
    assert any("no canary for ann" in title for title in ramp.told())
    answer(ramp, question)
    assert ramp.rungs() == []


def test_a_way_back_is_not_kept_waiting_by_the_question() -> None:
    ramp = Ramp(replace(managed(), twin=TWIN))
    ramp.begin()
    (question,) = [c for c in ramp.commands if isinstance(c, Rehearse)]
    answer(ramp, question)
    ramp.run(2)
    back = UndoRequested(at=build.at(ramp.now), decision_id="d-0001", by="bob", kill=KillLevel.OFF)
    ramp.feed(back)
    done = ramp.finish(20)
    assert (done.state, ramp.weight) == (ActionState.ROLLED_BACK, 0.0)
    assert sum(isinstance(c, Rehearse) for c in ramp.commands) == 1


def test_without_a_twin_nobody_is_asked() -> None:
    ramp = Ramp()
    ramp.begin()
    assert ramp.rungs() == [1.0]
    assert not any(isinstance(c, Rehearse) for c in ramp.commands)
