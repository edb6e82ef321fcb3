"""Where a policy's own rule wants a yes to an undo as well, somebody is asked for it."""

from dataclasses import replace

from homeostat.base import names
from homeostat.base.actions import ActionKind
from homeostat.base.decisions import Ask, DecisionRecord, Urgency
from homeostat.base.events import (
    Approval,
    Command,
    FleetView,
    Record,
    Started,
    Tell,
    UndoRequested,
    Write,
)
from homeostat.base.intent import ActionRecord, ActionState
from homeostat.base.policy import KillLevel, PolicyRule
from homeostat.base.state import LoopState
from homeostat.loop.step import initial, step
from homeostat.proof.parse import parse
from homeostat.safety.fields import TYPES
from homeostat.safety.wire import to_wire
from homeostat.server.view import View
from homeostat.server.wiring import loop_parts
from homeostat.testing import build
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_cases import record

PARTS = loop_parts()
RULE = PolicyRule(
    name="asks for undos", require="!undo", tree=to_wire(parse("!undo", TYPES)), exempt=(),
    otherwise="ask",
)  # fmt: skip


def scaled(*rules: PolicyRule) -> LoopState:
    """Return a deployment that was given a fourth replica, a while ago."""
    more = g.act(ActionKind.SCALE_UP, names.pool("a"), replicas__a=4.0)
    done = replace(
        record(more, ActionState.SUCCEEDED),
        id="d-0001", deployment="m", first_pre=(("replicas.a", 3.0),),
    )  # fmt: skip
    state = initial(build.managed(guard=build.guard(limits=build.LIMITS, rules=rules)))
    world = build.world(levers={"replicas.a": 4.0})
    return replace(
        state, epoch=1, decisions=1, finished=(done,), world=world,
        evidence=build.evidence(world=world), fleet=FleetView(targets=1, replicas=4),
    )  # fmt: skip


def undo(state: LoopState) -> tuple[LoopState, tuple[Command, ...]]:
    wish = UndoRequested(
        at=build.at(1.0), decision_id="d-0001", by="ann", kill=KillLevel.OFF, why="too dear"
    )
    return step(PARTS, state, wish)


def yes(who: str) -> Approval:
    return Approval(
        at=build.at(2.0), decision_id="d-0002", approved=True, by=who, why="", kill=KillLevel.OFF
    )


def writes(commands: tuple[Command, ...]) -> list[object]:
    return [one.intent.post for one in commands if isinstance(one, Write)]


def test_without_such_a_rule_nobody_is_asked() -> None:
    state, commands = undo(scaled())
    assert writes(commands) == [(("replicas.a", 3.0),)]
    assert not any(isinstance(c, Tell) and c.notice.urgency is Urgency.ASK for c in commands)
    assert state.record is not None


def test_the_question_says_who_wants_what_taken_back_and_which_rule_asks() -> None:
    state, commands = undo(scaled(RULE))
    assert state.record is not None
    assert state.record.state is ActionState.AWAITING_APPROVAL
    assert writes(commands) == []
    facts = [c.fact for c in commands if isinstance(c, Record)]
    (decision,) = [fact for fact in facts if isinstance(fact, DecisionRecord)]
    assert isinstance(decision.decision, Ask)
    assert decision.id == state.record.id == "d-0002"
    assert decision.decision.action == state.record.action
    assert decision.decision.expires_at == state.record.deadline
    assert decision.decision.because[0] == "ann wants d-0001 taken back: too dear"
    assert any("asks for undos" in reason for reason in decision.decision.because[1:])
    assert facts.index(decision) < next(
        place for place, fact in enumerate(facts) if isinstance(fact, ActionRecord)
    )
    (told,) = [c.notice for c in commands if isinstance(c, Tell)]
    assert (told.urgency, told.title) == (
        Urgency.ASK, "d-0002: may I take back d-0001 (replicas.a=3.0)?",
    )  # fmt: skip


def test_people_are_shown_it_while_it_is_open() -> None:
    before = scaled(RULE)
    state, commands = undo(before)
    view = View()
    view.observe("m", Started(at=build.START, epoch=1, managed=before.managed))
    for command in commands:
        view.observe("m", command)
    seen = view.deployment("m")
    assert seen is not None
    assert [one.id for one in seen.pending(build.at(1.5))] == ["d-0002"]
    assert state.asked is not None
    assert state.asked.requested_by == "ann"


def test_somebody_elses_yes_takes_it_back_and_a_no_leaves_it() -> None:
    state, _ = undo(scaled(RULE))
    mine, commands = step(PARTS, state, yes("ann"))
    assert (mine, writes(commands)) == (state, [])
    _, commands = step(PARTS, state, yes("bob"))
    assert writes(commands) == [(("replicas.a", 3.0),)]
    after, commands = step(PARTS, state, replace(yes("bob"), approved=False))
    assert (after.record, writes(commands)) == (None, [])


def test_a_floor_that_denies_it_is_no_question() -> None:
    never = replace(RULE, otherwise="deny")
    state, commands = undo(scaled(never))
    assert state.record is None
    assert not any(isinstance(c, Record) and isinstance(c.fact, DecisionRecord) for c in commands)
