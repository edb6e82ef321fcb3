"""Why nothing is made smaller is a decision too: recorded once per reason, and never in a flood."""

from dataclasses import replace

from homeostat.base import names
from homeostat.base.decisions import DecisionRecord, Hold
from homeostat.base.events import FleetView, Record, Started, Ticked, Write
from homeostat.base.policy import KillLevel
from homeostat.base.state import LoopState
from homeostat.base.units import SECOND
from homeostat.loop.deciding import IDLE_NS
from homeostat.loop.step import initial, step
from homeostat.server.wiring import loop_parts
from homeostat.testing import build

PARTS = loop_parts()
IDLE = {(names.pool("a"), names.UTILISATION): 0.05}
GUARD = build.guard(limits=build.LIMITS, scale_in_scrapes=5.0, watch_scrapes=30.0)


class Idle:
    """A deployment with too many replicas, second by second."""

    def __init__(self) -> None:
        self.state: LoopState = initial(build.managed(guard=GUARD))
        self.now = 0
        self.writes = 0
        self.held: list[DecisionRecord] = []
        self.state, _ = step(
            PARTS, self.state, Started(at=build.at(0), epoch=1, managed=self.state.managed)
        )

    def seconds(self, count: int, kill: KillLevel = KillLevel.OFF) -> None:
        for _ in range(count):
            self.now += 1
            now = build.at(float(self.now))
            world = replace(build.world(), observed_at=now)
            evidence = build.evidence(now, self.now, world=world, values=IDLE)
            fleet = FleetView(targets=1, replicas=4)
            seen = Ticked(at=now, evidence=evidence, fleet=fleet, kill=kill)
            self.state, commands = step(PARTS, self.state, seen)
            self.writes += sum(isinstance(one, Write) for one in commands)
            facts = [one.fact for one in commands if isinstance(one, Record)]
            self.held += [one for one in facts if isinstance(one, DecisionRecord)]


def test_why_an_idle_deployment_is_left_as_it_is_is_recorded_once() -> None:
    idle = Idle()
    idle.seconds(25, KillLevel.NO_NEW)
    assert idle.writes == 0
    (record,) = idle.held
    assert isinstance(record.decision, Hold)
    assert record.refused
    assert "G7 watched" in " ".join(record.decision.because)
    assert record.incident_id == ""


def test_reasons_that_come_and_go_fill_no_journal() -> None:
    idle = Idle()
    limit_s = IDLE_NS // SECOND
    idle.seconds(10)
    for number in range(limit_s // 10):
        idle.seconds(10, (KillLevel.NO_NEW, KillLevel.NOTHING)[number % 2])
    holds = [one for one in idle.held if isinstance(one.decision, Hold)]
    assert 1 <= len(holds) <= 2


def test_nothing_is_recorded_where_nothing_was_wanted() -> None:
    idle = Idle()
    idle.seconds(4)
    assert idle.held == []
