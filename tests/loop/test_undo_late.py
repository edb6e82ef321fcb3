"""A scale-up of Monday that is taken back on Wednesday is held to what scaling in is held to."""

from dataclasses import replace

import pytest

from homeostat.base import names
from homeostat.base.actions import ActionKind
from homeostat.base.events import Command, FleetView, Tell, UndoRequested, Write
from homeostat.base.intent import ActionState
from homeostat.base.policy import KillLevel
from homeostat.base.state import LoopState
from homeostat.loop.step import initial, step
from homeostat.server.wiring import loop_parts
from homeostat.testing import build
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_cases import known, record

PARTS = loop_parts()


def grown(before: int, after: int, *, busy: float) -> LoopState:
    """Return a deployment that was scaled up long ago, with all of it serving today."""
    more = g.act(ActionKind.SCALE_UP, names.pool("a"), replicas__a=after)
    done = replace(
        record(more, ActionState.SUCCEEDED),
        id="d-0001", deployment="m", first_pre=(("replicas.a", before),),
    )  # fmt: skip
    scene = g.told(g.scene(after), g.reading(names.pool("a"), names.UTILISATION, busy))
    found, told = known(scene)
    world = replace(found, deployment="m", observed_at=build.at(1.0))
    seen = replace(told, deployment="m", at=build.at(1.0), world=world)
    state = initial(build.managed(guard=build.guard(limits=g.POLICY.limits)))
    return replace(
        state, epoch=1, decisions=1, finished=(done,), world=world, evidence=seen,
        fleet=FleetView(targets=1, replicas=after), peaks=((build.at(0.0), after),),
    )  # fmt: skip


def undo(state: LoopState, *, harm: bool = False) -> tuple[LoopState, tuple[Command, ...]]:
    wish = UndoRequested(
        at=build.at(1.0), decision_id="d-0001", by="ann", kill=KillLevel.OFF, why="", harm=harm
    )
    return step(PARTS, state, wish)


def outcome(commands: tuple[Command, ...]) -> tuple[list[object], str]:
    """Return what is written, and all that people are told."""
    told = [
        f"{one.notice.title} {' '.join(one.notice.lines)}"
        for one in commands if isinstance(one, Tell)
    ]  # fmt: skip
    return [one.intent.post for one in commands if isinstance(one, Write)], " ".join(told)


@pytest.mark.parametrize(
    ("before", "busy", "rule"), [(4, 0.2, "G3 late undo"), (8, 0.6, "G7 late undo")]
)
def test_capacity_that_is_needed_today_is_not_taken_back(
    before: int, busy: float, rule: str
) -> None:
    state, commands = undo(grown(before, 12, busy=busy))
    written, told = outcome(commands)
    assert (written, state.record) == ([], None)
    assert rule in told
    assert "came to nothing" in told


def test_capacity_that_is_to_spare_is_taken_back() -> None:
    written, _ = outcome(undo(grown(8, 12, busy=0.3))[1])
    assert written == [(("replicas.a", 8),)]


def test_what_did_harm_goes_back_however_late() -> None:
    written, _ = outcome(undo(grown(4, 12, busy=0.6), harm=True)[1])
    assert written == [(("replicas.a", 4),)]
