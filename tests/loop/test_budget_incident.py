"""A budget that burns for hours is an incident, also where no objective of a tick is missed."""

from dataclasses import replace

from homeostat.base.budgets import SloSpec
from homeostat.base.decisions import DecisionRecord, Urgency
from homeostat.base.events import Command, FleetView, Record, Tell, Ticked, Write
from homeostat.base.evidence import Family, Incident, Suspicion
from homeostat.base.policy import KillLevel
from homeostat.base.state import LoopState
from homeostat.base.units import HOUR, MINUTE, TimeNs
from homeostat.loop import step as loop_step
from homeostat.loop.accounting import CONFIDENCE, suspected
from homeostat.server.wiring import loop_parts
from homeostat.testing import build

PARTS = loop_parts()
SLO = SloSpec(
    name="errors", signal="errors", subject="gateway", target_ppm=990_000,
    window_ns=30 * 24 * HOUR,
)  # fmt: skip


class Minutes:
    """One deployment, a minute at a time; every objective of each tick is met."""

    def __init__(self) -> None:
        managed = replace(build.managed(), slos=(SLO,), scrape_ns=MINUTE)
        self.state: LoopState = loop_step.initial(managed)
        self.commands: list[Command] = []
        self.minute = 0

    def run(self, minutes: int, ratio: float, *suspicions: Suspicion) -> None:
        for _ in range(minutes):
            self.minute += 1
            now = TimeNs(build.START + self.minute * MINUTE)
            values: dict[tuple[str, str], float | None] = {("gateway", "error_ratio"): ratio}
            seen = build.evidence(
                now, self.minute, values=values, slo_met=True, suspicions=suspicions
            )
            event = Ticked(at=now, evidence=seen, fleet=FleetView(), kill=KillLevel.OFF)
            self.state, commands = loop_step.step(PARTS, self.state, event)
            self.commands += commands

    def facts(self, kind: type) -> list[object]:
        return [c.fact for c in self.commands if isinstance(c, Record) and type(c.fact) is kind]

    def pages(self) -> list[str]:
        told = [c.notice for c in self.commands if isinstance(c, Tell)]
        return [one.title for one in told if one.urgency is Urgency.PAGE]


def burnt() -> Minutes:
    one = Minutes()
    one.run(90, 0.2)
    return one


def test_it_is_confirmed_explained_and_answered_like_any_other() -> None:
    one = burnt()
    incident = one.state.incident
    assert incident is not None
    assert (incident.family, incident.subject) == (Family.BUDGET, "gateway")
    assert incident.confirmed_at is not None
    assert incident.because[-1].startswith("no objective of the tick is missed")
    assert any("the error budget of errors burns 14.4x" in why for why in incident.because)
    assert one.state.evidence is not None
    assert one.state.evidence.suspicions[0].family is Family.BUDGET
    decisions = [d for d in one.facts(DecisionRecord) if isinstance(d, DecisionRecord)]
    assert [d.incident_id for d in decisions] == [incident.id]
    assert not any(isinstance(command, Write) for command in one.commands)


def test_nobody_is_paged_twice_for_the_same() -> None:
    assert burnt().pages() == ["the error budget of errors burns 14.4x as fast as it may"]


def test_it_is_over_when_the_alerts_are() -> None:
    one = burnt()
    one.run(180, 0.0)
    assert one.state.accounts is not None
    assert one.state.accounts.paging == ()
    assert one.state.incident is None
    incidents = [i for i in one.facts(Incident) if isinstance(i, Incident)]
    assert {i.id for i in incidents} == {"i-0001"}


def test_what_a_rule_knows_comes_first_and_still_wakes_somebody() -> None:
    one = burnt()
    one.run(30, 0.2, build.suspicion(Family.DRIFT, "model"))
    incident = one.state.incident
    assert incident is not None
    assert incident.family is Family.DRIFT
    assert any("drift at model: a person is needed" in title for title in one.pages())


def test_a_budget_that_does_not_burn_changes_nothing() -> None:
    one = Minutes()
    one.run(60, 0.001)
    assert one.state.incident is None
    assert one.state.evidence is not None
    assert suspected(one.state, one.state.evidence) is one.state.evidence


def test_it_is_the_last_to_be_believed_of_all_that_is_suspected_by_name() -> None:
    one = burnt()
    unclear = build.suspicion(Family.UNCLEAR, "model", confidence=0.2)
    alone = build.suspicion(Family.UNCLEAR, "model", confidence=0.1)
    seen = suspected(one.state, build.evidence(suspicions=(unclear, alone)))
    assert [s.confidence for s in seen.suspicions] == [0.2, CONFIDENCE, 0.1]
