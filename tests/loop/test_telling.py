"""Who is told what where a budget was asked for: messages wait, and nothing else changes."""

from dataclasses import replace
from typing import Any

import pytest

from homeostat.base import codec
from homeostat.base.decisions import Urgency
from homeostat.base.events import Command, FleetView, Started, Tell, Ticked
from homeostat.base.evidence import Family
from homeostat.base.fleetwide import Fleetwide
from homeostat.base.policy import KillLevel, Mode
from homeostat.base.state import LoopState
from homeostat.loop.incidents import CALM_FACTOR, UNCLEAR_PATIENCE
from homeostat.loop.step import initial, step
from homeostat.server.wiring import loop_parts
from homeostat.testing import build

PARTS = loop_parts()
WORK = build.suspicion(Family.WORK, "gateway", confidence=0.74)
LOAD = build.suspicion(Family.LOAD, "gateway", confidence=0.75)
ALONE = Fleetwide(
    told=False, neg_log10_p=0.4, since=None, series=(), tested=9, share=0.05, false_incidents=0.5,
    alone=True,
)  # fmt: skip
LONG = UNCLEAR_PATIENCE * build.managed().guard.persist_scrapes + 2
CALM = CALM_FACTOR * build.managed().guard.persist_scrapes + 1


class Watch:
    """One deployment, second by second."""

    def __init__(self, mode: Mode = Mode.AUTO) -> None:
        started = Started(at=build.START, epoch=1, managed=build.managed(mode=mode))
        self.state: LoopState = step(PARTS, initial(started.managed), started)[0]
        self.ticks = 0
        self.commands: list[Command] = []

    def tick(self, **changes: Any) -> None:
        self.ticks += 1
        now = build.at(self.ticks)
        told = {"suspicions": (WORK,), "slo_met": True, "fleetwide": ALONE}
        seen = build.evidence(now, self.ticks, **{**told, **changes})
        event = Ticked(at=now, evidence=seen, fleet=FleetView(), kill=KillLevel.OFF)
        self.state, commands = step(PARTS, self.state, event)
        self.commands.extend(commands)

    def ticks_of(self, count: int, **changes: Any) -> None:
        for _ in range(count):
            self.tick(**changes)

    @property
    def told(self) -> list[str]:
        return [one.notice.title for one in self.commands if isinstance(one, Tell)]

    @property
    def woken(self) -> int:
        return sum(
            isinstance(one, Tell) and one.notice.urgency is Urgency.PAGE for one in self.commands
        )

    @property
    def confirmed(self) -> bool:
        return self.state.incident is not None and self.state.incident.confirmed_at is not None


def test_what_rests_on_charts_that_the_fleet_does_not_tell_of_is_confirmed_and_nobody_is_told() -> (
    None
):
    watch, free = Watch(), Watch()
    watch.ticks_of(LONG)
    free.ticks_of(LONG, fleetwide=None)
    assert watch.confirmed
    assert free.confirmed
    assert watch.told == []
    assert "work suspected at gateway" in free.told
    # The senses ask of charts alone where something is suspected, and say no where nothing is.
    watch.ticks_of(CALM, suspicions=(), fleetwide=replace(ALONE, alone=False))
    free.ticks_of(CALM, fleetwide=None, suspicions=())
    assert watch.state.incident is None
    assert watch.told == []
    assert any("is over" in one for one in free.told)


@pytest.mark.parametrize(
    "change",
    [
        {"slo_met": False},
        {"slo_met": None},
        {"fleetwide": replace(ALONE, told=True)},
        {"fleetwide": replace(ALONE, told=None, neg_log10_p=None)},
        {"fleetwide": replace(ALONE, alone=False)},
        {"fleetwide": None},
    ],
    ids=["missed", "objectives unknown", "told", "fleet unknown", "another reason", "no tests"],
)
def test_it_is_told_of_on_the_tick_on_which_anything_else_speaks_and_stays_told(
    change: dict[str, Any],
) -> None:
    watch = Watch()
    watch.ticks_of(LONG)
    assert watch.told == []
    watch.tick(**change)
    assert watch.told.count("work suspected at gateway") == 1
    watch.ticks_of(LONG)
    assert watch.told.count("work suspected at gateway") == 1
    watch.ticks_of(CALM, suspicions=())
    assert sum("is over" in one for one in watch.told) == 1


@pytest.mark.parametrize("change", [{"slo_met": False}, {"fleetwide": None}])
def test_what_began_otherwise_was_told_of_and_is_never_withheld(change: dict[str, Any]) -> None:
    watch = Watch()
    watch.ticks_of(LONG, **change)
    before = watch.told.count("work suspected at gateway")
    assert before == 1
    watch.ticks_of(LONG)
    watch.ticks_of(CALM, suspicions=())
    assert any("is over" in one for one in watch.told)


def test_a_rule_that_flickers_is_no_news() -> None:
    watch = Watch()
    for _ in range(LONG):
        watch.tick()
        watch.tick()
        watch.tick(suspicions=(), fleetwide=replace(ALONE, alone=False))
    assert watch.told == []


def test_the_next_incident_is_judged_by_itself() -> None:
    watch = Watch()
    watch.ticks_of(LONG, fleetwide=None)
    watch.ticks_of(CALM, suspicions=())
    count = len(watch.told)
    watch.ticks_of(LONG)
    assert watch.confirmed
    assert len(watch.told) == count


def test_an_urgent_word_and_what_the_loop_itself_suspects_are_never_alone() -> None:
    # The senses call nothing alone that is urgent, and ask about what they suspect themselves.
    watch = Watch()
    watch.ticks_of(LONG)
    watch.ticks_of(LONG, suspicions=(LOAD,), fleetwide=replace(ALONE, alone=False))
    assert any("load suspected" in one for one in watch.told)


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.APPROVE, Mode.SHADOW])
@pytest.mark.parametrize("suspected", [WORK, LOAD], ids=["nobody acts", "somebody acts"])
def test_every_command_but_what_people_are_told_is_the_same_with_and_without(
    mode: Mode, suspected: Any
) -> None:
    def acted(fleetwide: Fleetwide | None) -> list[Any]:
        watch = Watch(mode)
        watch.ticks_of(2 * LONG, suspicions=(suspected,), fleetwide=fleetwide)
        watch.ticks_of(CALM, suspicions=(), fleetwide=fleetwide)
        watch.ticks_of(LONG, suspicions=(suspected,), slo_met=False, fleetwide=fleetwide)
        kept = [one for one in watch.commands if not isinstance(one, Tell)]
        out: list[Any] = []
        last: dict[str, Any] = {}
        for plain in (_unescalated(codec.to_plain(one)) for one in kept):
            incident = plain["fact"]["id"] if "escalated" in plain.get("fact", {}) else ""
            if not incident or last.get(incident) != plain:
                out.append(plain)
            last[incident] = plain
        return out

    assert acted(ALONE) == acted(None)


def _unescalated(plain: dict[str, Any]) -> dict[str, Any]:
    """Return a command; an incident says of itself that a person was woken for it."""
    fact = plain.get("fact", {})
    return plain | {"fact": fact | {"escalated": None}} if "escalated" in fact else plain


def test_nobody_is_woken_for_it_and_somebody_is_once_an_objective_is_missed() -> None:
    watch, free = Watch(), Watch()
    patience = round(build.managed().guard.blind_scrapes) + LONG
    watch.ticks_of(patience + 5)
    free.ticks_of(patience + 5, fleetwide=None)
    assert free.woken == 1
    assert watch.woken == 0
    watch.tick(slo_met=False)
    watch.ticks_of(5, slo_met=False)
    assert watch.woken == 1


def test_what_people_know_survives_the_journal() -> None:
    watch = Watch()
    watch.ticks_of(LONG)
    assert watch.state.telling is not None
    assert watch.state.telling.held
    assert codec.decode(codec.encode(watch.state)) == watch.state
