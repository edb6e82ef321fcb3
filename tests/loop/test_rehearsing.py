"""The loop asks the twin before what is not exempt, and goes on without it if it must."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from homeostat.base import codec
from homeostat.base.actions import HOLD, Action, ActionKind
from homeostat.base.decisions import DecisionRecord
from homeostat.base.events import (
    Command,
    Event,
    FleetView,
    Record,
    Rehearse,
    Rehearsed,
    Started,
    Ticked,
    Write,
)
from homeostat.base.evidence import Family
from homeostat.base.policy import KillLevel, TwinPolicy
from homeostat.base.rehearsal import Prospect, Rehearsal, Trust
from homeostat.base.state import LoopState
from homeostat.base.units import SECOND
from homeostat.loop.rehearsing import NO_ANSWER
from homeostat.loop.step import initial, step
from homeostat.server.wiring import loop_parts
from homeostat.testing import build
from homeostat.testing.guard_rehearsals import foreseen

PARTS = loop_parts()
TWIN = TwinPolicy(deadline_ns=3 * SECOND, good_ns=10 * SECOND)
SLOW_BATCHES = build.suspicion(Family.BATCHING, "pool:a")
CROWD = build.suspicion(Family.LOAD, "gateway")
CALM: Mapping[tuple[str, str], float] = {}
DEAD = build.suspicion(Family.REPLICA, "replica:a-2", urgent=True)


class Story:
    """One deployment under one suspicion, tick by tick."""

    def __init__(self, twin: TwinPolicy | None) -> None:
        self.state: LoopState = initial(build.managed(twin=twin))
        self.now = 0.0
        self.events: list[Event] = []
        self.commands: list[Command] = []
        self.take(Started(at=build.at(0), epoch=1, managed=self.state.managed))

    def take(self, event: Event) -> tuple[Command, ...]:
        self.events.append(event)
        self.state, commands = step(PARTS, self.state, event)
        self.commands += commands
        return commands

    def tick(
        self, suspected: object = SLOW_BATCHES, values: Mapping[tuple[str, str], float] = CALM
    ) -> tuple[Command, ...]:
        self.now += 1.0
        now = build.at(self.now)
        bad = {("replica:a-2", "probe_failures"): 3.0} if suspected is DEAD else dict(values)
        evidence = build.evidence(now, int(self.now), suspicions=(suspected,), values=bad)
        fleet = FleetView(targets=1, replicas=4)
        return self.take(Ticked(at=now, evidence=evidence, fleet=fleet, kill=KillLevel.OFF))

    def until_asked(self) -> Rehearse:
        for _ in range(10):
            for command in self.tick():
                if isinstance(command, Rehearse):
                    return command
        raise AssertionError("nothing was asked")

    def answer(self, question: Rehearse, *, breach: float = 0.0, why: str = "") -> Rehearsed:
        return Rehearsed(
            at=build.at(self.now + 0.5),
            kill=KillLevel.OFF,
            rehearsal=Rehearsal(
                id=question.id,
                at=question.at,
                horizon_ns=question.horizon_ns,
                draws=question.draws,
                prospects=tuple(
                    Prospect(
                        action=one,
                        foreseen=foreseen(),
                        against_hold=foreseen(breach if one.kind is ActionKind.BATCH_UP else 0.0),
                        holds=1.0,
                    )
                    for one in (HOLD, *question.candidates)
                ),
                trust=Trust(reasons=(why,) if why else ()),
            ),
        )

    def decided(self) -> list[DecisionRecord]:
        facts = [c.fact for c in self.commands if isinstance(c, Record)]
        return [fact for fact in facts if isinstance(fact, DecisionRecord)]

    def written(self) -> list[Action]:
        ids = {c.intent.action_id for c in self.commands if isinstance(c, Write)}
        return [d.decision.action for d in self.decided() if d.id in ids]  # type: ignore[union-attr]


def test_without_a_twin_nothing_is_asked_and_nothing_waits() -> None:
    story = Story(None)
    for _ in range(6):
        story.tick()
    assert not [c for c in story.commands if isinstance(c, Rehearse)]
    assert [a.kind for a in story.written()] == [ActionKind.BATCH_UP]
    assert (story.state.questions, story.state.question) == (0, None)


def test_what_is_not_exempt_waits_for_the_twin_and_then_goes_on_at_once() -> None:
    story = Story(TWIN)
    question = story.until_asked()
    assert {a.kind for a in question.candidates} == {ActionKind.BATCH_UP, ActionKind.SCALE_UP}
    assert question.deadline == question.at + TWIN.deadline_ns
    assert (question.horizon_ns, question.draws) == (TWIN.horizon_ns, TWIN.draws)
    assert not story.decided()
    assert story.tick() == ()  # one question at a time
    commands = story.take(story.answer(question))
    assert any(isinstance(command, Write) for command in commands)
    assert [a.kind for a in story.written()] == [ActionKind.BATCH_UP]


def test_an_answer_that_does_not_come_is_unknown_and_keeps_nobody_waiting() -> None:
    story = Story(TWIN)
    question = story.until_asked()
    for _ in range(3):
        story.tick()
    # A larger batch is not among what an untrusted twin forbids: it goes on without.
    assert [a.kind for a in story.written()] == [ActionKind.BATCH_UP]
    assert story.state.rehearsal is not None
    assert story.state.rehearsal.trust.reasons == (NO_ANSWER,)
    before = story.state
    assert story.take(story.answer(question)) == ()
    assert story.state == before


def test_what_is_foreseen_to_be_worse_is_refused_and_the_next_is_tried() -> None:
    story = Story(TWIN)
    story.take(story.answer(story.until_asked(), breach=0.5))
    assert [a.kind for a in story.written()] == [ActionKind.SCALE_UP]
    refused = dict(story.decided()[0].refused)
    reasons = next(why for label, why in refused.items() if label.startswith("batch_up"))
    assert reasons[0].startswith("G15 foreseen harm")


def test_a_distrusted_twin_cannot_refuse() -> None:
    story = Story(TWIN)
    story.take(story.answer(story.until_asked(), breach=0.5, why="it was never checked"))
    assert [a.kind for a in story.written()] == [ActionKind.BATCH_UP]


def test_what_is_exempt_is_never_kept_waiting() -> None:
    story = Story(TWIN)
    story.tick(DEAD)
    assert not [c for c in story.commands if isinstance(c, Rehearse)]
    assert [a.kind for a in story.written()] == [ActionKind.RESTART_REPLICA]


def test_one_replica_goes_at_once_where_several_would_have_to_wait() -> None:
    """The share that is refused moves, and with it the step: its answer would always be late."""
    story = Story(TWIN)
    for refused in (0.24, 0.36, 0.24, 0.36, 0.24, 0.36, 0.24, 0.36):
        story.tick(CROWD, {("gateway", "refused_ratio"): refused})
    assert not [c for c in story.commands if isinstance(c, Rehearse)]
    (added,) = story.written()
    assert (added.kind, added.replicas_touched, added.exempt) == (ActionKind.SCALE_UP, 1, True)


def test_several_replicas_are_added_at_once_where_there_is_no_twin() -> None:
    story = Story(None)
    for _ in range(6):
        story.tick(CROWD, {("gateway", "refused_ratio"): 0.36})
    (added,) = story.written()
    assert (added.kind, added.replicas_touched) == (ActionKind.SCALE_UP, 3)


def test_an_answer_to_another_question_changes_nothing() -> None:
    story = Story(TWIN)
    question = story.until_asked()
    alien = replace(question, id="r-0099")
    before = story.state
    assert story.take(story.answer(alien)) == ()
    assert story.state == before
    late = replace(story.answer(question), at=build.at(story.now + 60.0))
    story.take(late)
    assert story.state.rehearsal is not None
    assert not story.state.rehearsal.trust.is_given


def test_an_old_answer_is_asked_for_anew() -> None:
    story = Story(TWIN)
    question = story.until_asked()
    story.take(story.answer(question))
    quiet = replace(story.state, record=None)
    story.state = replace(quiet, past=())
    story.now += 20.0
    again = story.until_asked()
    assert again.id == "r-0002"
    assert again.seed != question.seed


@pytest.mark.parametrize("breach", [0.0, 0.5])
def test_a_replay_needs_no_twin_and_gives_the_same_commands(breach: float) -> None:
    story = Story(TWIN)
    story.take(story.answer(story.until_asked(), breach=breach))
    story.tick()
    state = initial(build.managed(twin=TWIN))
    again: list[Command] = []
    for event in story.events:
        state, commands = step(PARTS, state, codec.decode(codec.encode(event)))
        again += commands
    assert [codec.encode(c) for c in again] == [codec.encode(c) for c in story.commands]
    assert codec.decode(codec.encode(state)) == state
