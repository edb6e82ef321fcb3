"""The ladder in a controller: rebuilt from the journal, and in force before the next tick."""

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from homeostat.base import codec
from homeostat.base.actions import Action, ActionKind
from homeostat.base.autonomy import Grant
from homeostat.base.errors import StoreError
from homeostat.base.events import AutonomySet, Command, Event, Granted, Record
from homeostat.base.intent import ActionRecord, ActionState
from homeostat.base.ports import Entry
from homeostat.base.state import LoopState
from homeostat.base.types import TimeNs
from homeostat.govern.autonomy import NEEDED
from homeostat.loop import memory
from homeostat.loop.step import initial, step
from homeostat.server.ladder import Ladder, news, rows, with_ladder
from homeostat.server.wiring import loop_parts
from homeostat.testing import build

UP, DOWN = ActionKind.SCALE_UP, ActionKind.SCALE_DOWN


class Pages:
    """A journal that holds facts."""

    def __init__(self, *facts: Any) -> None:
        self.facts = facts

    def read(self, **_: Any) -> Iterator[Entry]:
        for seq, fact in enumerate(self.facts, 1):
            body = codec.encode(Record(fact=fact))
            yield Entry(
                seq=seq, at=TimeNs(seq), deployment="m", kind="command", body=body, digest=""
            )


class Loops:
    """What the ladder needs of a runtime: real loops, and a journal that may refuse."""

    def __init__(self, ladder: Ladder, **managed: Any) -> None:
        self.states: dict[str, LoopState] = {
            name: initial(build.managed(name=name, **managed)) for name in ("m", "n")
        }
        self.clock = SimpleNamespace(now=lambda: build.at(1))
        self.told: list[tuple[str, Event | Command]] = []
        self.refuses = False
        self.observe = with_ladder(ladder, lambda name, item: self.told.append((name, item)))

    def take(self, name: str, event: Event) -> None:
        if self.refuses:
            raise StoreError("the disk is full")
        self.states[name], commands = step(loop_parts(), self.states[name], event)
        for item in (event, *commands):
            self.observe(name, item)

    def unasked(self, name: str) -> set[ActionKind]:
        return set(memory.guard_state(self.states[name]).managed.guard.auto_kinds)


def ended(at: int, state: ActionState, where: str = "m", kind: ActionKind = UP) -> ActionRecord:
    return ActionRecord(
        id=f"d-{at:04d}", deployment=where, incident_id="",
        action=Action(kind=kind, subject="pool:a"), state=state, epoch=1, stage=0, attempt=0,
        undo_attempts=0, intent=None, first_pre=(), proposed_at=TimeNs(0),
        state_since=TimeNs(at), deadline=TimeNs(at),
    )  # fmt: skip


def grant(at: int, *, given: bool = True) -> Grant:
    return Grant(at=TimeNs(at), deployment="m", kind=UP, given=given, by="ada", why="seen")


@pytest.fixture
def ladder() -> Ladder:
    return Ladder()


def test_a_harm_is_in_force_on_every_deployment_and_survives_a_restart(
    ladder: Ladder,
) -> None:
    loops: Any = Loops(ladder)
    assert ladder.bring_into_force(loops)
    assert loops.told == []  # as the policy says: nothing to tell
    ladder.observe(Record(fact=ended(5, ActionState.ROLLED_BACK)))
    assert ladder.bring_into_force(loops)
    assert [UP in loops.unasked(name) for name in ("m", "n")] == [False, False]
    assert DOWN in loops.unasked("m")
    said = [item for _, item in loops.told if isinstance(item, AutonomySet)]
    assert "scale_up asks: lost: d-0005 of m did harm" in said[0].because[0]
    again: Any = Loops(fresh := Ladder())
    fresh.load(Pages(ended(4, ActionState.SUCCEEDED), ended(5, ActionState.ROLLED_BACK)))  # type: ignore[arg-type]
    assert fresh.bring_into_force(again)
    assert UP not in again.unasked("n")


def test_harm_of_what_ended_unproven_survives_a_restart_too(ladder: Ladder) -> None:
    harmed = replace(ended(5, ActionState.SUCCEEDED_UNPROVEN), harmed=True)
    ladder.observe(Record(fact=harmed))
    fresh = Ladder()
    fresh.load(Pages(ended(4, ActionState.SUCCEEDED), harmed))  # type: ignore[arg-type]
    assert fresh.ledger == ladder.ledger
    assert fresh.ledger.of(UP).harm is not None


def test_a_word_of_a_person_is_a_fact_of_the_journal_and_enough(ladder: Ladder) -> None:
    loops: Any = Loops(ladder)
    ladder.observe(Record(fact=ended(5, ActionState.ROLLED_BACK)))
    ladder.bring_into_force(loops)
    loops.take("m", Granted(at=build.at(2), grant=grant(6)))
    ladder.bring_into_force(loops)
    assert [UP in loops.unasked(name) for name in ("m", "n")] == [True, False]
    kept = Ladder()
    kept.load(Pages(ended(5, ActionState.ROLLED_BACK), grant(6)))  # type: ignore[arg-type]
    assert kept.ledger == ladder.ledger


def test_what_was_earned_runs_unasked_only_while_the_policy_lets_it_be_earned(
    ladder: Ladder,
) -> None:
    loops: Any = Loops(ladder, guard=build.guard(auto_kinds=(), earn_kinds=(UP,)))
    for at in range(1, NEEDED + 1):
        assert UP not in loops.unasked("m")
        ladder.observe(Record(fact=ended(at, ActionState.SUCCEEDED, where="n")))
        ladder.bring_into_force(loops)
    assert loops.unasked("m") == {UP}
    (row,) = [row for row in rows(ladder.ledger, loops.states) if row["deployment"] == "m"]
    assert row["unasked"]
    assert row["harm_bound"] < 0.05
    state = loops.states["m"]
    stricter = build.managed(guard=build.guard(auto_kinds=(DOWN,)))
    changed = type(state)(**{
        **{name: getattr(state, name) for name in state.__dataclass_fields__},
        "managed": stricter,
    })
    assert memory.guard_state(changed).managed.guard.auto_kinds == ()  # before any news of it
    told = news(ladder.ledger, "m", changed)
    assert told is not None
    assert told[0] == (DOWN,)


def test_what_the_journal_refused_is_not_in_force_and_is_tried_again(ladder: Ladder) -> None:
    loops: Any = Loops(ladder)
    ladder.observe(Record(fact=ended(5, ActionState.STUCK)))
    loops.refuses = True
    assert not ladder.bring_into_force(loops)
    loops.refuses = False
    assert ladder.bring_into_force(loops)
    assert UP not in loops.unasked("m")
