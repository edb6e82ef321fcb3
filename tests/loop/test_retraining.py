"""A drift, a retrain that two people allow, a version, its canary: the real loop and guards."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from ramp_world import PARTS, Ramp, managed
from typing_extensions import override

from homeostat.base import codec
from homeostat.base.actions import ActionKind
from homeostat.base.canary import CanaryVerdict
from homeostat.base.events import (
    Approval,
    AskTraining,
    Command,
    Event,
    LookAtTraining,
    MarkVersion,
    Received,
    Record,
    TrainingSeen,
    UndoRequested,
)
from homeostat.base.evidence import Family
from homeostat.base.intent import ActionRecord, ActionState, Receipt, ReceiptStatus
from homeostat.base.policy import KillLevel, Managed, Mode
from homeostat.base.training import (
    Lineage,
    LineageState,
    TrainingPhase,
    TrainingPolicy,
    TrainingSight,
    lineage_of,
)
from homeostat.base.units import SECOND
from homeostat.loop import training
from homeostat.loop.step import initial, step
from homeostat.testing import build

POLICY = TrainingPolicy(
    window_ns=3600 * SECOND, within_ns=2000 * SECOND, every_ns=5 * SECOND, marks=True
)
DRIFT = {"suspicions": (build.suspicion(Family.DRIFT, "model"),), "slo_met": True}


def configured(**changes: object) -> Managed:
    return replace(managed(), **{"training": POLICY, **changes})  # type: ignore[arg-type]


class Retrain(Ramp):
    """A drifting deployment and a trainer that answers as it is told."""

    def __init__(self, config: Managed | None = None) -> None:
        self.phase, self.version, self.alias = TrainingPhase.ABSENT, "", "v2"
        self.receipt = ReceiptStatus.DONE
        self.silent = False
        super().__init__(config or configured())

    @override
    def feed(self, event: Event) -> None:
        before = len(self.commands)
        super().feed(event)
        for command in self.commands[before:]:
            self._train(command)

    def _train(self, command: Command) -> None:
        if isinstance(command, AskTraining):
            if self.receipt is not ReceiptStatus.NOT_APPLIED and not self.silent:
                self.phase = TrainingPhase.TAKEN
            self._answer(command.order.intent_id, self.receipt)
        elif isinstance(command, MarkVersion):
            self.alias = self.alias if command.mark.alias_to is None else command.mark.alias_to
            self._answer(command.mark.id, ReceiptStatus.DONE)
        elif isinstance(command, LookAtTraining):
            now = build.at(self.now)
            sight = TrainingSight(
                key=command.key, phase=self.phase, at=now, version=self.version, alias=self.alias
            )
            seen = None if self.silent else sight
            self.feed(TrainingSeen(at=now, key=command.key, sight=seen, kill=self.kill))

    def _answer(self, about: str, status: ReceiptStatus) -> None:
        now = build.at(self.now)
        receipt = Receipt(intent_id=about, status=status, at=now)
        self.feed(Received(at=now, receipt=receipt, kill=self.kill))

    def drift(self) -> "Retrain":
        self.run(3)
        self.trouble = dict(DRIFT)
        self.run(20, lambda: self.state.record is not None)
        return self

    def say(self, *people: str) -> None:
        record = self.state.record
        assert record is not None
        for by in people:
            self.feed(
                Approval(
                    at=build.at(self.now),
                    deployment="m",
                    decision_id=record.id,
                    approved=True,
                    by=by,
                    why="",
                    kill=self.kill,
                )
            )

    def made(self, version: str = "v3") -> "Retrain":
        """Let the training end, and the version stand in the canary's pool."""
        self.phase, self.version = TrainingPhase.MADE, version
        self.run(10, lambda: self.lineage.state is LineageState.MADE)
        replicas = (
            replace(one, version=version) if one.pool == "c" else one for one in self.world.replicas
        )
        self.world = replace(self.world, replicas=tuple(replicas))
        return self

    @property
    def lineage(self) -> Lineage:
        return self.state.lineages[-1]

    def asked(self) -> list[AskTraining]:
        return [one for one in self.commands if isinstance(one, AskTraining)]

    def marks(self) -> list[MarkVersion]:
        return [one for one in self.commands if isinstance(one, MarkVersion)]

    def went(self) -> list[LineageState]:
        facts = [one.fact for one in self.commands if isinstance(one, Record)]
        seen = [one.state for one in facts if isinstance(one, Lineage)]
        return [one for at, one in enumerate(seen) if at == 0 or seen[at - 1] is not one]


def allowed() -> Retrain:
    """Return a deployment whose retrain two people have allowed."""
    world = Retrain().drift()
    world.say("ada", "grace")
    return world


def test_a_drift_asks_two_people_whatever_is_granted_and_then_the_trainer_once() -> None:
    world = Retrain().drift()
    record = world.state.record
    assert record is not None
    assert ActionKind.RETRAIN in world.state.managed.guard.auto_kinds  # granted, and asked anyway
    assert (record.action.kind, record.state) == (
        ActionKind.RETRAIN,
        ActionState.AWAITING_APPROVAL,
    )
    world.run(3)
    world.say("ada")
    world.say("ada")
    assert world.asked() == []
    world.say("grace")
    (asked,) = world.asked()
    order = asked.order
    assert (order.approvers, order.incident_id) == (("ada", "grace"), "i-0001")
    assert order.data_to - order.data_from == POLICY.window_ns
    assert order.parent == "v2"
    assert world.state.record is None
    assert world.lineage.state is LineageState.ASKED
    world.run(60)
    assert len(world.asked()) == 1  # one at a time, however long the drift lasts
    assert not any("a person is needed" in title for title in world.told())


def test_the_record_is_before_the_order_in_one_step() -> None:
    world = allowed()
    at = next(n for n, one in enumerate(world.commands) if isinstance(one, AskTraining))
    facts = [one.fact for one in world.commands[:at] if isinstance(one, Record)]
    assert isinstance(facts[-1], Lineage)
    assert facts[-1].state is LineageState.ASKING
    held = [one for one in facts if isinstance(one, ActionRecord)][-1]
    assert held.intent is not None
    assert held.in_flight


@pytest.mark.parametrize(
    "config",
    [configured(mode=Mode.SHADOW), configured(training=None)],
    ids=["in shadow", "without a trainer"],
)
def test_nothing_is_asked(config: Managed) -> None:
    world = Retrain(config).drift()
    world.run(60)
    assert world.asked() == []
    assert world.state.lineages == ()
    assert any("a person is needed" in title for title in world.told())


def test_what_hurts_somebody_ends_the_question() -> None:
    world = Retrain().drift()
    gone = build.suspicion(Family.REPLICA, "replica:a-2", urgent=True)
    world.trouble = {"suspicions": (gone,), "slo_met": False}
    world.second()
    assert world.state.finished[-1].state is ActionState.ABANDONED
    assert "needs healing first" in world.state.finished[-1].reason
    assert world.asked() == []


def test_a_version_is_tried_by_the_canary_and_promoted_with_a_certificate() -> None:
    world = allowed()
    world.made()
    world.run(900, lambda: world.lineage.state is LineageState.PROMOTED)
    assert world.went() == [
        LineageState.ASKING,
        LineageState.ASKED,
        LineageState.MADE,
        LineageState.TRYING,
        LineageState.PROMOTED,
    ]
    known = world.lineage
    assert (known.version, known.verdict) == ("v3", CanaryVerdict.CERTIFIED)
    assert known.because
    assert lineage_of(world.state.lineages, "v3") == known
    assert lineage_of(world.state.lineages, "v9") is None  # nobody asked for it: unknown
    world.run(10)
    assert world.alias == "v3"
    assert [one.mark.verdict for one in world.marks()] == [LineageState.PROMOTED]
    undo = UndoRequested(
        at=build.at(world.now), decision_id=known.canary_id, by="ada", kill=KillLevel.OFF
    )
    world.feed(undo)
    world.run(120, lambda: world.lineage.state is LineageState.WITHDRAWN)
    world.run(10)
    assert world.lineage.state is LineageState.WITHDRAWN
    assert world.alias == "v2"
    assert [one.mark.verdict for one in world.marks()][-1] is LineageState.WITHDRAWN


def test_a_bad_version_is_refused_and_its_lineage_says_why() -> None:
    world = allowed()
    world.errors["c"] = 0.3
    world.made()
    world.run(900, lambda: world.lineage.state is LineageState.REFUSED)
    known = world.lineage
    assert (known.state, known.verdict) == (LineageState.REFUSED, CanaryVerdict.HARM)
    assert "harm" in known.reason
    assert world.weight == 0.0
    world.run(10)
    assert world.alias == "v2"  # told, and no alias moved
    assert [one.mark.verdict for one in world.marks()] == [LineageState.REFUSED]
    assert [one.mark.alias_to for one in world.marks()] == [None]


def test_no_other_version_gets_past_the_drift_in_its_place() -> None:
    world = allowed()
    world.made("v3")
    replicas = (replace(one, version="v7") if one.pool == "c" else one for one in
                world.world.replicas)  # fmt: skip
    world.world = replace(world.world, replicas=tuple(replicas))
    world.run(30)
    world.ask()
    assert any("is not over (i-0001)" in title for title in world.told())
    assert world.weight == 0.0
    assert world.lineage.state is LineageState.MADE


def test_what_nobody_makes_in_time_is_lost_and_told() -> None:
    world = allowed()
    world.run(2100, lambda: world.lineage.state is LineageState.LOST)
    assert world.lineage.state is LineageState.LOST
    assert any("nothing came of it in time" in title for title in world.told())


@pytest.mark.parametrize(
    ("phase", "want"),
    [
        (TrainingPhase.FAILED, LineageState.FAILED),
        (TrainingPhase.UNKNOWN, LineageState.ASKED),
        (TrainingPhase.ABSENT, LineageState.ASKED),
    ],
)
def test_only_what_the_trainer_says_plainly_counts(
    phase: TrainingPhase, want: LineageState
) -> None:
    world = allowed()
    world.phase = phase
    world.run(30)
    assert world.lineage.state is want


def test_an_order_without_an_answer_is_looked_for_and_never_sent_twice() -> None:
    world = Retrain().drift()
    world.receipt = ReceiptStatus.UNKNOWN
    world.say("ada", "grace")
    world.run(10)
    assert world.lineage.state is LineageState.ASKED  # it had come; the look says so
    assert len(world.asked()) == 1
    assert world.state.finished[-1].state is ActionState.SUCCEEDED_UNPROVEN


def test_an_order_that_nobody_can_tell_of_stays_unknown_and_is_the_only_one() -> None:
    world = Retrain().drift()
    world.receipt, world.silent = ReceiptStatus.UNKNOWN, True
    world.say("ada", "grace")
    world.run(120)
    assert world.state.record is None
    assert world.state.finished[-1].in_flight
    assert world.went() == [LineageState.ASKING]
    assert len(world.asked()) == 1
    world.silent, world.phase = False, TrainingPhase.RUNNING
    world.run(10)
    assert world.went() == [LineageState.ASKING, LineageState.ASKED]


def test_an_order_that_was_lost_is_known_to_be() -> None:
    world = Retrain().drift()
    world.receipt, world.silent = ReceiptStatus.UNKNOWN, True
    world.say("ada", "grace")
    world.silent = False
    world.run(60)
    assert world.lineage.state is LineageState.NOT_TAKEN
    assert world.state.finished[-1].state is ActionState.ABANDONED
    assert not world.state.finished[-1].in_flight


def test_the_kill_switch_stops_the_question() -> None:
    world = Retrain().drift()
    world.kill = KillLevel.NO_NEW
    world.second()
    assert world.state.finished[-1].state is ActionState.ABANDONED
    world.run(30)
    assert world.asked() == []


def promoted() -> Retrain:
    world = allowed()
    world.made()
    world.run(900, lambda: world.lineage.state is LineageState.PROMOTED)
    return world


def refused() -> Retrain:
    world = allowed()
    world.errors["c"] = 0.3
    world.made()
    world.run(300)
    return world


@pytest.mark.slow
@pytest.mark.parametrize("make", [promoted, refused])
def test_a_replay_gives_the_same_bit_for_bit(make: Callable[[], Retrain]) -> None:
    world = make()
    state = initial(configured())
    commands: list[Command] = []
    for event in world.events:
        again = codec.decode(codec.encode(event))
        assert again == event
        state, more = step(PARTS, state, again)
        commands += more
    assert [codec.encode(one) for one in commands] == [codec.encode(one) for one in world.commands]
    assert state == world.state
    assert codec.decode(codec.encode(state)) == state
    assert training.underway(state) is None


def test_a_canary_that_is_refused_as_things_stand_is_asked_for_again_and_told_once() -> None:
    guard = replace(managed().guard, cooldown_scrapes=40.0)
    world = Retrain(configured(guard=guard)).drift()
    world.say("ada", "grace")
    world.made()
    world.run(15)
    assert "G3 cooldown" in world.lineage.held_back
    world.run(900, lambda: world.lineage.state is LineageState.PROMOTED)
    assert world.lineage.state is LineageState.PROMOTED
    assert sum("no canary for homeostat" in title for title in world.told()) == 1


def test_another_suspicion_of_a_moment_does_not_end_the_ramp_that_answers_a_drift() -> None:
    world = on_its_ramp()
    world.trouble = {"suspicions": (build.suspicion(Family.SENSOR, "model"),), "slo_met": True}
    world.second()
    world.trouble = dict(DRIFT)
    world.run(900, lambda: world.lineage.state is LineageState.PROMOTED)
    assert world.lineage.state is LineageState.PROMOTED


@pytest.mark.parametrize("urgent", [True, False])
def test_another_suspicion_that_is_urgent_or_lasts_ends_it_without_blame(*, urgent: bool) -> None:
    world = on_its_ramp()
    other = build.suspicion(Family.LOAD, "gateway", urgent=urgent)
    world.trouble = {"suspicions": (other,), "slo_met": False}
    ticks = 3 if urgent else round(world.state.managed.guard.persist_scrapes) + 3
    world.run(ticks)
    world.run(20, lambda: any(one.action.beside for one in world.state.finished))
    done = next(one for one in world.state.finished if one.action.beside)
    assert done.blameless
    assert "load at gateway needs healing first" in done.reason
    assert world.weight == 0.0


def on_its_ramp() -> Retrain:
    """Return a version that came of a retrain, some way up its ramp."""
    world = allowed()
    world.made()
    world.run(200, lambda: world.weight >= 10.0)
    assert world.lineage.state is LineageState.TRYING
    return world
