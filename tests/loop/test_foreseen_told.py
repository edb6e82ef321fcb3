"""Nobody is woken because of a forecast, however long nothing can be done about it."""

import pytest

from homeostat.base import names
from homeostat.base.actions import ActionKind
from homeostat.base.decisions import Urgency
from homeostat.base.events import FleetView, Started, Tell, Ticked
from homeostat.base.evidence import Family
from homeostat.base.policy import KillLevel, Mode
from homeostat.base.state import LoopState
from homeostat.loop.step import initial, step
from homeostat.server.wiring import loop_parts
from homeostat.testing import build

PARTS = loop_parts()


def pages(family: Family, subject: str) -> tuple[int, LoopState]:
    """Return how many people were woken while a stop forbids what is granted, and the end."""
    entry = build.managed(mode=Mode.AUTO, guard=build.guard(auto_kinds=(ActionKind.SCALE_UP,)))
    state = step(PARTS, initial(entry), Started(at=build.START, epoch=1, managed=entry))[0]
    woken = 0
    for tick in range(1, 6 * round(entry.guard.blind_scrapes)):
        now = build.at(tick)
        one = build.suspicion(family, subject, confidence=0.6)
        seen = build.evidence(now, tick, suspicions=(one,), slo_met=True, world=build.world())
        event = Ticked(at=now, evidence=seen, fleet=FleetView(), kill=KillLevel.NO_NEW)
        state, commands = step(PARTS, state, event)
        woken += sum(
            isinstance(one, Tell) and one.notice.urgency is Urgency.PAGE for one in commands
        )
    return woken, state


@pytest.mark.parametrize(
    ("family", "subject"), [(Family.FRONTEND, names.MODEL), (Family.LOAD, names.pool("a"))]
)
def test_a_forecast_about_which_nothing_may_be_done_wakes_nobody(
    family: Family, subject: str
) -> None:
    woken, state = pages(family, subject)
    assert state.incident is not None
    assert state.incident.confirmed_at is not None
    assert woken == 0


@pytest.mark.parametrize(
    ("family", "subject"), [(Family.FRONTEND, names.pool("a")), (Family.LOAD, names.GATEWAY)]
)
def test_what_is_felt_does(family: Family, subject: str) -> None:
    assert pages(family, subject)[0] >= 1
