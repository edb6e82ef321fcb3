"""What a person calls the new normal: of the open incident, while all that was promised is kept."""

from dataclasses import replace
from typing import Any

import pytest

from homeostat.base import codec
from homeostat.base.budgets import Accounts
from homeostat.base.events import FleetView, Started, Tell, Ticked
from homeostat.base.evidence import Family
from homeostat.base.policy import KillLevel
from homeostat.base.state import LoopState
from homeostat.base.words import CalledNormal
from homeostat.loop import normal
from homeostat.loop.step import initial, step
from homeostat.server.wiring import loop_parts
from homeostat.testing import build

PARTS = loop_parts()
OFF = {"suspicions": (build.suspicion(Family.UNCLEAR, "model"),), "slo_met": True}
SAID = CalledNormal(at=build.at(21), by="ann", incident_id="i-0001", why="v3", deployment="m")


def ticked(state: LoopState, tick: int, **seen: Any) -> LoopState:
    now = build.at(tick)
    evidence = build.evidence(now, tick, **{"world": build.world(), **seen})
    fleet = FleetView(targets=1, replicas=4)
    event = Ticked(at=now, evidence=evidence, fleet=fleet, kill=KillLevel.OFF)
    return step(PARTS, state, event)[0]


def played(**last: Any) -> LoopState:
    """Return a deployment with an incident that no rule explains, and a last tick."""
    state = initial(build.managed())
    for tick in range(1, 20):
        state = ticked(state, tick, **OFF)
    state = ticked(state, 20, **{**OFF, **last})
    assert state.incident is not None
    assert state.incident.id == "i-0001"
    return state


def said(state: LoopState, event: CalledNormal = SAID) -> tuple[LoopState, str]:
    state, commands = step(PARTS, state, event)
    (told,) = commands
    assert isinstance(told, Tell)
    return state, told.notice.title


def test_a_word_holds_for_the_next_tick_and_no_longer() -> None:
    state, title = said(played())
    assert state.anew == SAID.at
    assert title == "ann says that i-0001 is the new normal: what is off begins anew"
    assert ticked(state, 22, **OFF).anew is None


def test_it_changes_nothing_that_a_guard_reads() -> None:
    before = played()
    after, _ = said(before)
    assert replace(after, anew=None) == before


@pytest.mark.parametrize(
    ("slo_met", "why"), [(False, "objectives are missed"), (None, "not known whether")]
)
def test_what_hurts_or_is_not_seen_is_not_normal(slo_met: Any, why: str) -> None:
    state, title = said(played(slo_met=slo_met))
    assert state.anew is None
    assert why in title


def test_it_is_about_the_incident_that_is_open_now() -> None:
    other = replace(SAID, incident_id="i-0002")
    assert normal.refused(played(), "i-0002", SAID.at) == (
        "i-0002 is not open: only what is off now can be called normal"
    )
    assert said(played(), other)[0].anew is None
    assert normal.refused(initial(build.managed()), "i-0001", SAID.at) is not None


def test_an_old_tick_says_nothing_of_now() -> None:
    state = played()
    late = replace(SAID, at=build.at(20 + normal.FRESH_SCRAPES + 1))
    assert "not known" in said(state, late)[1]
    assert said(state, replace(SAID, at=build.at(20 + normal.FRESH_SCRAPES)))[0].anew is not None


def test_not_while_an_action_is_in_flight() -> None:
    load = {"suspicions": (build.suspicion(Family.LOAD, "gateway"),), "slo_met": False}
    managed = build.managed()
    started = Started(at=build.at(0), epoch=1, managed=managed)
    state, _ = step(PARTS, initial(managed), started)
    for tick in range(1, 20):
        world = replace(build.world(), observed_at=build.at(tick))
        state = ticked(state, tick, world=world, **({} if tick < 11 else load))
    assert state.record is not None
    assert state.incident is not None
    assert "in flight" in (normal.refused(state, state.incident.id, build.at(19)) or "")


def test_the_word_is_journaled_and_comes_back_as_it_was() -> None:
    assert codec.decode(codec.encode(SAID)) == SAID
    state, _ = said(played())
    assert codec.decode(codec.encode(state)) == state


def test_a_level_that_burns_a_budget_is_not_normal_though_the_tick_meets_its_objectives() -> None:
    before = played()
    burning = replace(before, accounts=Accounts(paging=("answers 1h/5m",)))
    state, title = said(burning)
    assert state.anew is None
    assert "a budget burns (answers 1h/5m)" in title
