"""How an action's end counts: refused by its target or a person, stuck, harmful, never lasting."""

from dataclasses import replace
from typing import Any

import pytest

from homeostat.base.actions import ActionKind
from homeostat.base.decisions import Ask, DecisionRecord, Outcome, Urgency
from homeostat.base.events import (
    Approval,
    Command,
    FleetView,
    Received,
    Reconfigured,
    Record,
    Started,
    Tell,
    Ticked,
    UndoRequested,
    Write,
)
from homeostat.base.evidence import Family
from homeostat.base.intent import ActionRecord, ActionState, Intent, Receipt, ReceiptStatus
from homeostat.base.policy import KillLevel, Managed, Mode
from homeostat.base.state import LoopState
from homeostat.base.world import Release, Snapshot
from homeostat.govern import autonomy
from homeostat.govern.autonomy import Ledger
from homeostat.loop.step import initial, step
from homeostat.server.wiring import loop_parts
from homeostat.testing import build

PARTS = loop_parts()
LOAD = {"suspicions": (build.suspicion(Family.LOAD, "gateway"),), "slo_met": False}
BAD = {
    ("replica:a-2", "probe_failures"): 3.0,
    ("replica:a-2", "device_time_ms"): None,
    ("gateway", "error_ratio"): 0.2,
}
GONE = build.suspicion(Family.REPLICA, "replica:a-2")
DEAD = {"suspicions": (GONE,), "slo_met": False, "values": BAD}


class Play:
    """Feeds ticks one second apart to a loop whose target answers as the test says."""

    def __init__(self, managed: Managed | None = None) -> None:
        self.state: LoopState = initial(managed or build.managed())
        self.world: Snapshot = build.world()
        self.now = 0.0
        self.tick = 0
        self.commands: list[Command] = []
        self.refuses = False
        self.reads_back = True
        self.feed(Started(at=build.at(0), epoch=1, managed=self.state.managed))

    def feed(self, event: Any) -> None:
        self.state, commands = step(PARTS, self.state, event)
        self.commands += commands
        for command in commands:
            if isinstance(command, Write):
                self.answer(command.intent)

    def answer(self, intent: Intent) -> None:
        status = ReceiptStatus.NOT_APPLIED if self.refuses else ReceiptStatus.DONE
        if not self.refuses:
            levers = dict(self.world.levers) | dict(intent.post)
            stamps = tuple(
                replace(s, token=s.token and str(int(s.token) + 1), intent=intent.id, epoch=1)
                if s.actuator == intent.actuator
                else s
                for s in self.world.stamps
            )
            replicas = tuple(
                replace(r, incarnation=int(levers.get(f"incarnation.{r.name}", r.incarnation)))
                for r in self.world.replicas
            )
            self.world = replace(
                self.world,
                levers=tuple(sorted(levers.items())),
                stamps=stamps,
                replicas=replicas,
            )
        receipt = Receipt(intent_id=intent.id, status=status, at=build.at(self.now), detail="422")
        self.feed(Received(at=build.at(self.now), receipt=receipt, kill=KillLevel.OFF))

    def ticks(self, count: int, **seen: Any) -> None:
        for _ in range(count):
            self.now += 1.0
            self.tick += 1
            now = build.at(self.now)
            self.world = replace(self.world, observed_at=now)
            evidence = build.evidence(now, self.tick, **{"world": self.world, **seen})
            fleet = FleetView(targets=1, replicas=4)
            self.feed(Ticked(at=now, evidence=evidence, fleet=fleet, kill=KillLevel.OFF))

    def writes(self) -> list[Write]:
        return [command for command in self.commands if isinstance(command, Write)]

    def facts(self, kind: type[Any]) -> list[Any]:
        return [c.fact for c in self.commands if isinstance(c, Record) and isinstance(c.fact, kind)]

    def pages(self) -> list[str]:
        told = [c.notice for c in self.commands if isinstance(c, Tell)]
        return [notice.title for notice in told if notice.urgency is Urgency.PAGE]

    def asked(self) -> list[Ask]:
        made = [one.decision for one in self.facts(DecisionRecord)]
        return [decision for decision in made if isinstance(decision, Ask)]


@pytest.mark.parametrize("seen", [LOAD, DEAD], ids=["a bigger pool", "a restart"])
def test_a_write_that_the_target_refuses_is_a_try_and_a_person_is_told(seen: Any) -> None:
    play = Play()
    play.ticks(10)
    play.refuses = True
    play.ticks(300, **seen)
    assert 1 <= len(play.writes()) <= 12, "not again and again"
    assert play.pages()
    assert play.state.incident is not None
    assert play.state.incident.tries >= 1
    assert all(outcome.effect == "no_change" for outcome in play.facts(Outcome))


def test_a_persons_no_is_not_asked_again_for_the_same_incident() -> None:
    play = Play(build.managed(mode=Mode.APPROVE))
    play.ticks(10)
    for _ in range(40):
        play.ticks(1, **LOAD)
        record = play.state.record
        if record is not None and record.state is ActionState.AWAITING_APPROVAL:
            play.feed(
                Approval(
                    at=build.at(play.now), deployment="m", decision_id=record.id, approved=False,
                    by="ann", why="not now", kill=KillLevel.OFF,
                )
            )  # fmt: skip
    wanted = [(one.action.kind, one.action.subject) for one in play.asked()]
    assert wanted
    assert len(set(wanted)) == len(wanted)
    assert play.writes() == []
    assert play.pages(), "with nothing left to ask for a person is told"


def test_what_a_person_takes_back_is_not_done_again_for_the_same_incident() -> None:
    play = Play()
    play.ticks(10)
    while not play.writes():
        play.ticks(1, **LOAD)
    first = play.writes()[0].intent
    while play.state.record is not None:
        play.ticks(1, **LOAD)
    play.feed(
        UndoRequested(
            at=build.at(play.now), deployment="m", decision_id=first.action_id, by="ann",
            kill=KillLevel.OFF,
        )
    )  # fmt: skip
    assert play.writes()[-1].intent.post == first.pre
    play.ticks(120, **LOAD)
    assert all(write.intent.post != first.post for write in play.writes()[2:])


def test_harm_is_taken_back() -> None:
    play = Play()
    play.ticks(10)
    away = {"suspicions": (build.suspicion(Family.RELEASE, "pool:a"),), "slo_met": False}
    play.state = replace(play.state, verified=(("a", "v2"), ("b", "v1")))
    releases = tuple(Release(pool="a", version=v, since=build.START) for v in ("v2", "v3"))
    levers = dict(play.world.levers) | {"version.a": "v3"}
    play.world = replace(play.world, releases=releases, levers=tuple(sorted(levers.items())))
    while not play.writes():
        play.ticks(1, **away, values={("gateway", "error_ratio"): 0.02})
    first = play.writes()[0].intent
    play.ticks(25, **away, values={("gateway", "error_ratio"): 0.6})
    assert play.writes()[1].intent.post == first.pre, "it went back"
    assert play.facts(Outcome)[0].effect == "harmed"


def test_harm_of_what_cannot_be_taken_back_costs_its_kind_the_ladder_and_is_learned_from() -> None:
    play = Play()
    play.ticks(10)
    while not play.writes():
        play.ticks(1, **DEAD)
    record = play.state.record
    assert record is not None
    assert record.action.kind is ActionKind.RESTART_REPLICA
    while play.state.record is not None:
        worse = BAD | {("gateway", "error_ratio"): 0.6}
        play.ticks(1, **DEAD | {"values": worse})
    done = play.state.finished[-1]
    assert (done.state, done.harmed) == (ActionState.SUCCEEDED_UNPROVEN, True)
    assert [one.effect for one in play.facts(Outcome)] == ["harmed"]
    ledger = Ledger()
    for fact in play.facts(ActionRecord):
        ledger = autonomy.counted(ledger, fact)
    assert ledger.of(ActionKind.RESTART_REPLICA).harm is not None


def test_a_deployment_where_an_undo_failed_for_good_is_left_alone_until_a_person_looked() -> None:
    play = Play()
    play.ticks(10)
    stuck = replace(play.state, foreign_until=None)
    from homeostat.loop import acting  # noqa: PLC0415 - what is tested here

    record = replace(_finished(), state=ActionState.STUCK)
    play.state = acting._left_alone(stuck, record, build.at(play.now))
    play.ticks(400, **LOAD)
    assert play.writes() == []
    play.feed(Reconfigured(at=build.at(play.now), managed=play.state.managed, by="ann"))
    play.ticks(20, **LOAD)
    assert play.writes()


def _finished() -> ActionRecord:
    play = Play()
    play.ticks(10)
    while not play.facts(ActionRecord):
        play.ticks(1, **LOAD)
    record: ActionRecord = play.facts(ActionRecord)[-1]
    return record


def test_a_replica_that_is_restarted_again_and_again_is_told_to_a_person() -> None:
    play = Play()
    play.ticks(10)
    for _ in range(8):
        play.ticks(8, **DEAD)
        play.ticks(40)
    restarts = len(play.writes())
    assert restarts >= 5
    assert len([title for title in play.pages() if "does not last" in title]) == restarts // 5
