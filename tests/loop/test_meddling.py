"""A lever that somebody else moved is named where nothing else explains missed objectives."""

from dataclasses import replace

import pytest

from homeostat.base import codec, names
from homeostat.base.actions import ActionKind
from homeostat.base.decisions import DecisionRecord
from homeostat.base.events import Command, FleetView, Record, Ticked, Write
from homeostat.base.evidence import Family, Suspicion
from homeostat.base.policy import KillLevel
from homeostat.base.state import LoopState
from homeostat.base.world import Scalar, Snapshot
from homeostat.loop import meddling
from homeostat.loop.meddling import KEPT_SCRAPES, MOST
from homeostat.loop.step import initial, step
from homeostat.server.wiring import loop_parts
from homeostat.testing import build

PARTS = loop_parts()
UNCLEAR = build.suspicion(Family.UNCLEAR, "model", confidence=0.2)


class Watch:
    """One deployment whose levers move, second by second."""

    def __init__(self) -> None:
        self.state: LoopState = initial(build.managed())
        self.tick = 0
        self.commands: list[Command] = []

    def run(
        self,
        ticks: int,
        *suspicions: Suspicion,
        slo_met: bool | None = True,
        blind: bool = False,
        **levers: Scalar,
    ) -> None:
        for _ in range(ticks):
            self.tick += 1
            now = build.at(self.tick)
            named = {name.replace("__", "."): value for name, value in levers.items()}
            world: Snapshot | None = None if blind else build.world(now, levers=named)
            seen = build.evidence(
                now, self.tick, world=world, suspicions=suspicions, slo_met=slo_met
            )
            event = Ticked(at=now, evidence=seen, fleet=FleetView(replicas=4), kill=KillLevel.OFF)
            self.state, commands = step(PARTS, self.state, event)
            self.commands += commands

    def top(self) -> Suspicion | None:
        evidence = self.state.evidence
        assert evidence is not None
        return evidence.suspicions[0] if evidence.suspicions else None


def lowered() -> Watch:
    watch = Watch()
    watch.run(10)
    watch.run(5, replicas__a=2)
    return watch


def test_a_lever_that_moved_before_the_pain_is_what_is_told_and_nothing_is_done() -> None:
    watch = lowered()
    watch.run(14, UNCLEAR, slo_met=False, replicas__a=2)
    top, incident = watch.top(), watch.state.incident
    assert top is not None
    assert top.because[0] == "replicas.a went from 3 to 2 18 s ago, and not by us"
    assert incident is not None
    assert (incident.family, incident.escalated) == (Family.CONTROL, True)
    assert incident.confirmed_at is not None
    assert not [c for c in watch.commands if isinstance(c, Write)]
    kinds = [
        c.fact.decision for c in watch.commands
        if isinstance(c, Record) and isinstance(c.fact, DecisionRecord)
    ]  # fmt: skip
    assert len(kinds) == 1


@pytest.mark.parametrize("slo_met", [True, None])
def test_without_pain_it_is_nobodys_business(*, slo_met: bool | None) -> None:
    watch = lowered()
    watch.run(3, slo_met=slo_met, replicas__a=2)
    assert watch.top() is None


def test_what_explains_the_pain_goes_before_it() -> None:
    watch = lowered()
    work = build.suspicion(Family.WORK, "gateway", confidence=0.5)
    watch.run(3, work, slo_met=False, replicas__a=2)
    assert watch.top() == work


def test_a_move_is_forgotten_when_it_can_no_longer_be_the_reason() -> None:
    watch = lowered()
    watch.run(KEPT_SCRAPES, replicas__a=2)
    watch.run(3, UNCLEAR, slo_met=False, replicas__a=2)
    assert watch.top() == UNCLEAR


def test_a_release_is_no_meddling() -> None:
    watch = Watch()
    watch.run(10)
    watch.run(3, UNCLEAR, slo_met=False, version__a="v3", batch_max=8)
    assert watch.top() == UNCLEAR


def test_a_world_that_was_not_read_moved_nothing() -> None:
    watch = Watch()
    watch.run(10)
    watch.run(5, blind=True)
    watch.run(3, UNCLEAR, slo_met=False)
    assert watch.top() == UNCLEAR
    watch.run(5, blind=True)
    watch.run(1, UNCLEAR, slo_met=False, replicas__a=1)
    top = watch.top()
    assert top is not None
    assert top.family is Family.CONTROL


def test_what_an_action_of_ours_moved_is_not_somebody_elses() -> None:
    watch = Watch()
    watch.run(10)
    own = build.past("scale_down", names.pool("a"), at=9.0, levers=("replicas.a",))
    assert own.kind is ActionKind.SCALE_DOWN
    watch.state = replace(watch.state, past=(own,))
    watch.run(3, UNCLEAR, slo_met=False, replicas__a=2)
    assert watch.top() == UNCLEAR


def test_a_lever_that_is_fought_over_keeps_its_last_moves_alone_and_the_journal_can_hold_them() -> (
    None
):
    watch = Watch()
    for turn in range(3 * MOST):
        watch.run(1, replicas__a=2 + turn % 2)
    seen = watch.state.seen_levers
    assert seen is not None
    assert len(seen.moves) == MOST
    assert (seen.moves[-1].was, seen.moves[-1].now) == (2, 3)
    assert codec.decode(codec.encode(seen)) == seen


def test_direct_evidence_of_something_unclear_stays_before_it() -> None:
    watch = lowered()
    sure = replace(UNCLEAR, confidence=0.9)
    seen = build.evidence(build.at(20), 20, suspicions=(sure,), slo_met=False)
    assert [one.family for one in meddling.suspected(watch.state, seen).suspicions] == [
        Family.UNCLEAR,
        Family.CONTROL,
    ]
