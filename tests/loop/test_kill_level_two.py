"""While the kill switch stops everything, nothing that is due to go back is given up."""

from dataclasses import replace

import pytest

from homeostat.base import names
from homeostat.base.actions import ActionKind
from homeostat.base.events import Command, Tell
from homeostat.base.intent import ActionState
from homeostat.base.policy import KillLevel
from homeostat.base.state import LoopState
from homeostat.base.units import HOUR, TimeNs
from homeostat.loop import acting
from homeostat.loop.protocol import Tick
from homeostat.loop.step import initial
from homeostat.server.wiring import loop_parts
from homeostat.testing import build
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_cases import record

PARTS = loop_parts()
MORE = g.act(ActionKind.SCALE_UP, names.pool("a"), replicas__a=4.0)


def hours(level: KillLevel, count: int) -> tuple[LoopState, list[Command]]:
    """Return where an action is that is to go back, after hours at one level of the switch."""
    own = record(MORE, ActionState.ROLLING_BACK, intent=True, pre=(("replicas.a", 3.0),))
    own = replace(own, deployment="m", in_flight=True, reason="no effect")
    state = replace(initial(build.managed()), record=own, kill=level, epoch=1)
    told: list[Command] = []
    for hour in range(1, count + 1):
        at = TimeNs(own.deadline + hour * HOUR)
        state, commands = acting.drive(PARTS, state, Tick(), at)
        told += commands
    return state, told


def test_at_level_two_it_waits_and_says_so_once() -> None:
    state, told = hours(KillLevel.NOTHING, 9)
    assert state.record is not None
    assert (state.record.state, state.record.undo_attempts) == (ActionState.ROLLING_BACK, 0)
    titles = [one.notice.title for one in told if isinstance(one, Tell)]
    assert sum("waits until the kill switch" in title for title in titles) == len(titles) == 1
    assert state.foreign_until is None, "the deployment is not left alone for good"


@pytest.mark.parametrize("level", [KillLevel.OFF, KillLevel.NO_NEW])
def test_below_it_three_deadlines_are_a_persons(level: KillLevel) -> None:
    state, _ = hours(level, 3)
    assert state.record is None
    assert state.finished[-1].state is ActionState.STUCK
    assert state.foreign_until is not None
