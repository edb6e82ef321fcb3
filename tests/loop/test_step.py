"""`loop.step` with the real kernel, runbook and protocol: from a suspicion to a verified action."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import pytest

from homeostat.base import codec
from homeostat.base.actions import ActionKind
from homeostat.base.decisions import Apply, Ask, DecisionRecord, Hold, Outcome, Urgency
from homeostat.base.events import (
    Approval,
    Claim,
    ClockJumped,
    Command,
    Event,
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
from homeostat.base.evidence import Evidence, Family, Incident
from homeostat.base.intent import ActionRecord, ActionState, Receipt, ReceiptStatus
from homeostat.base.policy import KillLevel, Managed, Mode
from homeostat.base.state import LoopState
from homeostat.base.world import Snapshot, Stamp
from homeostat.loop.step import initial, step
from homeostat.server.wiring import loop_parts
from homeostat.testing import build

T = TypeVar("T")
PARTS = loop_parts()
BAD = {
    ("replica:a-2", "probe_failures"): 3.0,
    ("replica:a-2", "device_time_ms"): None,
    ("gateway", "error_ratio"): 0.2,
}


class Driver:
    """Feeds events one second apart and plays a target that does what it is told."""

    def __init__(self, managed: Managed | None = None, *, obey: bool = True) -> None:
        self.state: LoopState = initial(managed or build.managed())
        self.world: Snapshot = build.world()
        self.now = 0.0
        self.tick = 0
        self.obey = obey
        self.commands: list[Command] = []
        self.events: list[Event] = []
        self.kill = KillLevel.OFF
        self.feed(Started(at=build.at(0), epoch=1, managed=self.state.managed))

    def feed(self, event: Event) -> None:
        self.events.append(event)
        self.state, commands = step(PARTS, self.state, event)
        self.commands += commands
        for command in commands:
            if isinstance(command, Write) and self.obey:
                self._carry_out(command)

    def _carry_out(self, write: Write) -> None:
        intent = write.intent
        levers = dict(self.world.levers) | dict(intent.post)
        stamps = tuple(
            Stamp(
                actuator=s.actuator,
                token=s.token and str(int(s.token) + 1),
                intent=intent.id,
                epoch=1,
            )
            if s.actuator == intent.actuator
            else s
            for s in self.world.stamps
        )
        self.world = replace(self.world, levers=tuple(sorted(levers.items())), stamps=stamps)
        self.now += 0.01
        receipt = Receipt(intent_id=intent.id, status=ReceiptStatus.DONE, at=build.at(self.now))
        self.feed(Received(at=build.at(self.now), receipt=receipt, kill=self.kill))

    def ticks(self, count: int, make: Callable[[], dict[str, object]] = dict) -> None:
        for _ in range(count):
            self.now += 1.0
            self.tick += 1
            now = build.at(self.now)
            self.world = replace(self.world, observed_at=now)
            evidence: Evidence = build.evidence(now, self.tick, **{"world": self.world, **make()})
            fleet = FleetView(targets=1, replicas=4)
            self.feed(Ticked(at=now, evidence=evidence, fleet=fleet, kill=self.kill))

    def facts(self, kind: type[T]) -> list[T]:
        return [c.fact for c in self.commands if isinstance(c, Record) and isinstance(c.fact, kind)]

    def writes(self) -> list[Write]:
        return [command for command in self.commands if isinstance(command, Write)]

    def notices(self, urgency: Urgency) -> list[str]:
        return [
            c.notice.title
            for c in self.commands
            if isinstance(c, Tell) and c.notice.urgency is urgency
        ]


def failing_replica() -> dict[str, object]:
    return {
        "suspicions": (build.suspicion(Family.REPLICA, "replica:a-2"),),
        "values": BAD,
        "slo_met": False,
    }


def test_a_failing_replica_is_restarted_once_verified_and_its_incident_closed() -> None:
    driver = Driver()
    driver.ticks(10)
    driver.ticks(6, failing_replica)
    assert [w.intent.post for w in driver.writes()] == [(("incarnation.a-2", 2),)]
    driver.ticks(15)
    states = [record.state for record in driver.facts(ActionRecord)]
    assert states[-1] is ActionState.SUCCEEDED
    assert len(driver.writes()) == 1
    assert driver.state.incident is None
    assert driver.facts(Outcome)[0].effect == "helped"


def test_a_disturbance_shorter_than_the_persistence_asks_for_nothing() -> None:
    driver = Driver()
    driver.ticks(10)
    driver.ticks(3, failing_replica)
    driver.ticks(30)
    assert driver.writes() == []
    assert driver.facts(DecisionRecord) == []
    incidents = driver.facts(Incident)
    assert {incident.id for incident in incidents} == {"i-0001"}  # seen, and let go


def blind() -> dict[str, object]:
    return {"suspicions": (build.suspicion(Family.SENSOR, "model"),)}


def test_an_outage_of_metrics_that_loses_every_other_scrape_is_an_incident() -> None:
    driver = Driver()
    driver.ticks(10)
    confirmed = []
    for _ in range(2):  # two scrapes lost, three there, two lost
        driver.ticks(2, blind)
        assert driver.state.incident is not None
        confirmed.append(driver.state.incident.confirmed_at)
        driver.ticks(3)
    assert confirmed[0] is None
    assert confirmed[1] is not None
    assert {incident.id for incident in driver.facts(Incident)} == {"i-0001"}


def test_scrapes_lost_once_in_a_while_are_no_incident() -> None:
    driver = Driver()
    driver.ticks(10)
    for _ in range(8):
        driver.ticks(1, blind)
        driver.ticks(4)  # as long a gap as is asked of an incident
        assert driver.state.incident is None
    assert all(incident.confirmed_at is None for incident in driver.facts(Incident))


def test_a_dead_process_needs_no_persistence() -> None:
    driver = Driver()
    driver.ticks(10)
    gone = build.suspicion(Family.REPLICA, "replica:a-2", urgent=True)
    values = {("replica:a-2", "process_up"): 0.0, ("replica:a-2", "probe_failures"): 1.0}
    driver.ticks(1, lambda: {"suspicions": (gone,), "values": values, "slo_met": None})
    assert len(driver.writes()) == 1


def test_nothing_is_done_before_the_baselines_are_learnt() -> None:
    driver = Driver()
    driver.ticks(10, lambda: {**failing_replica(), "ready": False})
    assert driver.writes() == []


def test_shadow_says_what_it_would_do_and_writes_nothing() -> None:
    driver = Driver(build.managed(mode=Mode.SHADOW))
    driver.ticks(10)
    driver.ticks(10, failing_replica)
    assert driver.writes() == []
    said = [d for d in driver.facts(DecisionRecord) if isinstance(d.decision, Hold)]
    assert any("restart_replica" in line for d in said for line in d.decision.because)
    assert len(driver.notices(Urgency.PAGE)) == 1


def test_approve_asks_and_acts_only_after_a_yes() -> None:
    driver = Driver(build.managed(mode=Mode.APPROVE))
    driver.ticks(10)
    driver.ticks(6, failing_replica)
    assert driver.writes() == []
    asked = [d for d in driver.facts(DecisionRecord) if isinstance(d.decision, Ask)]
    assert len(asked) == 1
    yes = Approval(
        at=build.at(driver.now), deployment="m", decision_id=asked[0].id, approved=True, by="ann",
        why="", kill=KillLevel.OFF,
    )  # fmt: skip
    driver.feed(yes)
    assert len(driver.writes()) == 1
    assert driver.facts(ActionRecord)[-1].approved_by == "ann"


def test_a_thrown_kill_switch_stops_the_next_action() -> None:
    driver = Driver()
    driver.ticks(10)
    driver.kill = KillLevel.NO_NEW
    driver.ticks(10, failing_replica)
    assert driver.writes() == []


def test_a_clock_jump_is_followed_by_observing_only() -> None:
    driver = Driver()
    driver.ticks(10)
    driver.ticks(3, failing_replica)
    driver.feed(ClockJumped(at=build.at(driver.now), by_ns=3_600_000_000_000))
    driver.ticks(4, failing_replica)
    assert driver.writes() == []
    driver.ticks(4, failing_replica)
    assert len(driver.writes()) == 1


def test_an_unanswered_write_is_unknown_and_blocks_every_other_action() -> None:
    driver = Driver(obey=False)
    driver.ticks(10)
    driver.ticks(8, failing_replica)
    assert len(driver.writes()) == 1
    assert driver.state.record is not None
    assert driver.state.record.state in {ActionState.INTENT, ActionState.READBACK}


def test_a_bad_release_is_rolled_back_to_what_was_seen_to_serve_well() -> None:
    driver = Driver()
    driver.ticks(12)
    assert ("a", "v2") in driver.state.verified
    release = replace(build.world().releases[0], version="v3")
    levers = tuple(sorted({**dict(driver.world.levers), "version.a": "v3"}.items()))
    replicas = tuple(
        replace(r, version="v3") if r.pool == "a" else r for r in driver.world.replicas
    )
    driver.world = replace(
        driver.world, levers=levers, replicas=replicas, releases=(*driver.world.releases, release)
    )
    values = {("pool:a", "error_ratio"): 0.3, ("gateway", "error_ratio"): 0.28}
    bad = build.suspicion(Family.RELEASE, "pool:a")
    driver.ticks(6, lambda: {"suspicions": (bad,), "values": values, "slo_met": False})
    assert [w.intent.post for w in driver.writes()] == [(("version.a", "v2"),)]


def test_drift_is_told_to_a_person_once_and_changes_nothing() -> None:
    driver = Driver()
    driver.ticks(10)
    drift = build.suspicion(Family.DRIFT, "model")
    driver.ticks(20, lambda: {"suspicions": (drift,), "slo_met": False})
    assert driver.writes() == []
    assert len(driver.notices(Urgency.PAGE)) == 1


def test_a_finished_action_can_be_taken_back_by_a_person() -> None:
    driver = Driver()
    driver.ticks(10)
    load = build.suspicion(Family.LOAD, "gateway")
    driver.ticks(5, lambda: {"suspicions": (load,), "slo_met": False})
    driver.ticks(15)
    done = driver.facts(ActionRecord)[-1]
    assert done.action.kind is ActionKind.SCALE_UP
    undo = UndoRequested(
        at=build.at(driver.now), deployment="m", decision_id=done.id, by="ann", kill=KillLevel.OFF
    )
    driver.feed(undo)
    assert driver.writes()[-1].intent.post == (("replicas.a", 3),)


def test_an_undo_of_what_was_changed_since_is_refused() -> None:
    driver = Driver()
    driver.ticks(10)
    load = build.suspicion(Family.LOAD, "gateway")
    driver.ticks(5, lambda: {"suspicions": (load,), "slo_met": False})
    driver.ticks(15)
    done = driver.facts(ActionRecord)[-1]
    levers = tuple(sorted({**dict(driver.world.levers), "replicas.a": 6}.items()))
    driver.world = replace(driver.world, levers=levers)
    driver.ticks(1)
    count = len(driver.writes())
    driver.feed(
        UndoRequested(
            at=build.at(driver.now),
            deployment="m",
            decision_id=done.id,
            by="ann",
            kill=KillLevel.OFF,
        )
    )
    assert len(driver.writes()) == count


def test_an_undo_never_writes_over_a_change_that_it_met_on_its_way() -> None:
    driver = Driver()
    driver.ticks(10)
    load = build.suspicion(Family.LOAD, "gateway")
    driver.ticks(5, lambda: {"suspicions": (load,), "slo_met": False})
    driver.ticks(15)
    done = driver.facts(ActionRecord)[-1]
    driver.obey = False
    driver.feed(
        UndoRequested(
            at=build.at(driver.now),
            deployment="m",
            decision_id=done.id,
            by="ann",
            kill=KillLevel.OFF,
        )
    )
    first = driver.writes()[-1].intent
    somebody = tuple(sorted({**dict(driver.world.levers), "replicas.a": 2}.items()))
    stamps = tuple(
        replace(stamp, token=stamp.token and str(int(stamp.token) + 1), intent=None)
        for stamp in driver.world.stamps
    )
    driver.world = replace(driver.world, levers=somebody, stamps=stamps)
    conflict = Receipt(
        intent_id=first.id,
        status=ReceiptStatus.NOT_APPLIED,
        at=build.at(driver.now),
        conflict=True,
    )
    driver.feed(Received(at=build.at(driver.now), receipt=conflict, kill=KillLevel.OFF))
    driver.ticks(5)
    assert driver.writes()[-1].intent.id == first.id
    ended = driver.facts(ActionRecord)[-1]
    assert ended.state is ActionState.ABANDONED
    assert "no longer what we set" in ended.reason


@pytest.mark.parametrize("cut", [5, 13, 16, 18, 25])
def test_a_state_that_went_through_the_journal_decides_the_same(cut: int) -> None:
    whole = Driver()
    whole.ticks(10)
    whole.ticks(6, failing_replica)
    whole.ticks(12)
    state = initial(build.managed())
    again: list[Command] = []
    for number, event in enumerate(whole.events):
        if number == cut:
            state = codec.decode(codec.encode(state))
        state, commands = step(PARTS, state, codec.decode(codec.encode(event)))
        again += commands
    assert [codec.encode(c) for c in again] == [codec.encode(c) for c in whole.commands]
    applied = [d for d in whole.facts(DecisionRecord) if isinstance(d.decision, Apply)]
    assert len(applied) == 1


def test_another_trouble_after_a_short_calm_is_another_incident() -> None:
    driver = Driver()
    driver.ticks(10)
    driver.ticks(6, failing_replica)
    driver.ticks(6)  # verified, and calm for a moment, not long enough to close by itself
    drift = build.suspicion(Family.DRIFT, "model")
    driver.ticks(6, lambda: {"suspicions": (drift,), "slo_met": False})
    assert driver.state.incident is not None
    assert driver.state.incident.id == "i-0002"
    closed = [c for c in driver.commands if isinstance(c, Record) and not c.open]
    assert [c.fact.id for c in closed if isinstance(c.fact, Incident)] == ["i-0001"]


def test_after_three_tries_that_did_not_help_a_person_is_told_and_nothing_more_is_done() -> None:
    driver = Driver()
    driver.ticks(10)
    load = build.suspicion(Family.LOAD, "gateway")
    values = {("gateway", "latency_p95_ms"): 900.0}
    driver.ticks(120, lambda: {"suspicions": (load,), "values": values, "slo_met": False})
    outcomes = driver.facts(Outcome)
    assert [outcome.effect for outcome in outcomes] == ["no_change"] * 3
    assert len(driver.writes()) == 3
    assert len(driver.notices(Urgency.PAGE)) == 1


def test_a_mode_that_a_person_set_outlives_a_restart_but_not_a_change_of_the_file() -> None:
    driver = Driver()
    shadow = build.managed(mode=Mode.SHADOW)
    driver.feed(Reconfigured(at=build.at(1), managed=shadow, by="ann"))
    driver.feed(Started(at=build.at(2), epoch=2, managed=build.managed()))
    assert driver.state.managed.mode is Mode.SHADOW  # the file still says auto, as before
    approve = build.managed(mode=Mode.APPROVE)
    driver.feed(Started(at=build.at(3), epoch=3, managed=approve))
    assert driver.state.managed.mode.value == "approve"


def test_a_shadow_does_not_even_claim_its_target() -> None:
    driver = Driver(build.managed(mode=Mode.SHADOW))
    assert [command for command in driver.commands if isinstance(command, Claim)] == []


def test_under_a_policy_not_proved_nothing_is_claimed_before_the_proof() -> None:
    waiting = build.managed(guard=build.guard(unproved="its proof is on its way"))
    driver = Driver(waiting)
    driver.ticks(3)
    assert [command for command in driver.commands if isinstance(command, Claim)] == []
    driver.feed(Reconfigured(at=build.at(4), managed=build.managed(), by="the configuration file"))
    driver.feed(Reconfigured(at=build.at(5), managed=build.managed(), by="the configuration file"))
    (claim,) = [command for command in driver.commands if isinstance(command, Claim)]
    assert claim.epoch == driver.state.epoch


def test_a_controller_whose_journal_is_gone_holds_once_and_tells_a_person() -> None:
    driver = Driver()
    # What it forgot: that six controllers before it wrote here.
    stamps = tuple(replace(stamp, epoch=7) for stamp in driver.world.stamps)
    driver.world = replace(driver.world, stamps=stamps)
    driver.ticks(10)
    driver.ticks(60, failing_replica)
    assert driver.writes() == []
    assert driver.facts(ActionRecord) == []
    (said,) = driver.facts(DecisionRecord)
    assert isinstance(said.decision, Hold)
    assert any("G10 ownership" in line for line in said.decision.because)
    assert len(driver.notices(Urgency.PAGE)) == 1
