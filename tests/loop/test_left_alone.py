"""After somebody else wrote nothing new is begun before a write of ours can no longer land."""

import pytest

from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.intent import ActionRecord, ActionState, Intent
from homeostat.base.units import SECOND, TimeNs
from homeostat.loop.acting import UNTIL_A_PERSON_NS, alone_ns
from homeostat.loop.protocol import Timing
from homeostat.testing import build

NOW = build.at(100.0)
TIMING = Timing(quiesce_ns=20 * SECOND, fresh_ns=2 * SECOND)
COOLDOWN_NS = 5 * SECOND  # as `build.guard` has it


def ended(state: ActionState, *, in_flight: bool, deadline: TimeNs = NOW) -> ActionRecord:
    change = (("replicas.a", 3),)
    action = Action(
        kind=ActionKind.SCALE_UP, subject="pool:a", actuator="host", change=change,
        undo=UndoKind.EXACT,
    )  # fmt: skip
    intent = Intent(
        id="d-1.0.0", action_id="d-1", deployment="m", actuator="host", epoch=1, stage=0, pre=(),
        post=change, token=None, evidence_at=NOW, deadline=deadline,
    )  # fmt: skip
    return ActionRecord(
        id="d-1", deployment="m", incident_id="", action=action, state=state, epoch=1, stage=0,
        attempt=0, undo_attempts=0, intent=intent, first_pre=(), proposed_at=NOW, state_since=NOW,
        deadline=NOW, in_flight=in_flight,
    )  # fmt: skip


@pytest.mark.parametrize("late_s", [-3, 0, 4])
def test_with_a_write_in_flight_it_waits_until_that_cannot_land(late_s: int) -> None:
    record = ended(ActionState.FOREIGN, in_flight=True, deadline=TimeNs(NOW + late_s * SECOND))
    pause_ns = alone_ns(record, build.managed(), TIMING, NOW)
    assert pause_ns == (20 + 2 + late_s) * SECOND > 2 * COOLDOWN_NS


def test_with_nothing_in_flight_it_waits_for_twice_the_cooldown() -> None:
    record = ended(ActionState.FOREIGN, in_flight=False)
    assert alone_ns(record, build.managed(), TIMING, NOW) == 2 * COOLDOWN_NS


def test_a_longer_cooldown_stays_what_is_waited_for() -> None:
    slow = build.managed(guard=build.guard(cooldown_scrapes=60.0))
    record = ended(ActionState.FOREIGN, in_flight=True)
    assert alone_ns(record, slow, TIMING, NOW) == 120 * SECOND


@pytest.mark.parametrize("state", list(ActionState))
def test_only_what_is_foreign_or_stuck_is_left_alone(state: ActionState) -> None:
    pause_ns = alone_ns(ended(state, in_flight=False), build.managed(), TIMING, NOW)
    wanted = {ActionState.FOREIGN: 2 * COOLDOWN_NS, ActionState.STUCK: UNTIL_A_PERSON_NS}
    assert pause_ns == wanted.get(state, 0)
