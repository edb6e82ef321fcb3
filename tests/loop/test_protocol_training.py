"""Every news against every reachable record of a retrain: what may be sent, and when it rests."""

from collections import deque
from dataclasses import replace

import pytest

from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.errors import ProtocolError
from homeostat.base.intent import ActionRecord, ActionState, Receipt, ReceiptStatus
from homeostat.base.policy import KillLevel
from homeostat.base.training import TrainingPhase, TrainingSight
from homeostat.base.units import SECOND, TimeNs
from homeostat.loop.protocol import (
    Abort,
    Approved,
    AskTrainer,
    ClaimTarget,
    GuardAllowed,
    GuardDenied,
    GuardNeedsApproval,
    KillThrown,
    News,
    Rejected,
    SendWrite,
    Tick,
    Timing,
    TookOver,
    TrainingFound,
    WroteReceipt,
    advance,
    propose,
)
from homeostat.loop.transitions import TABLE

START = TimeNs(1_800_000_000 * SECOND)
TIMING = Timing()
ACTION = Action(kind=ActionKind.RETRAIN, subject="model", actuator="host", undo=UndoKind.NONE)
STEPS_S = (1, 6, 60, 1000)


def proposal() -> ActionRecord:
    return propose(ACTION, id="d-1", deployment="m", incident_id="i-1", epoch=1, now=START)


def news(record: ActionRecord, now: TimeNs) -> list[News]:
    write = record.intent.id if record.intent is not None else "d-1.0.0"
    receipts: list[News] = [
        WroteReceipt(receipt=Receipt(intent_id=one, status=status, at=now))
        for one in (write, "d-0.0.0")
        for status in ReceiptStatus
    ]
    sights: list[News] = [
        TrainingFound(sight=TrainingSight(key="k", phase=phase, at=now)) for phase in TrainingPhase
    ]
    people: list[News] = [
        Approved(by="ada and grace", people=("ada", "grace")),
        Rejected(by="ada"),
        Abort(reason="stop"),
    ]
    guard: list[News] = [
        GuardAllowed(evidence_at=now),
        GuardNeedsApproval(ttl_ns=SECOND * 900),
        GuardDenied(reasons=("no",)),
    ]
    ours: list[News] = [Tick(), TookOver(epoch=record.epoch + 1)]
    kills: list[News] = [KillThrown(level=level) for level in KillLevel]
    return [*receipts, *sights, *people, *guard, *ours, *kills]


def key(record: ActionRecord, now: TimeNs) -> tuple[object, ...]:
    """Return what the future of a record depends on."""
    due = record.intent.deadline - now if record.intent is not None else 0
    left = record.deadline - now
    return (record.state, record.approved_by, record.in_flight, left > 0, due > -20 * SECOND)


Place = tuple[ActionRecord, TimeNs, int]


def judged(place: Place, one: News, later: TimeNs) -> Place:
    """Return where a piece of news leads, and check the step."""
    record, _, sent_before = place
    after, demands = advance(record, one, later, world=None, timing=TIMING)
    asks = [demand for demand in demands if isinstance(demand, AskTrainer)]
    assert not any(isinstance(demand, SendWrite | ClaimTarget) for demand in demands)
    assert after.state is record.state or _in_table(record.state, after.state)
    assert sent_before + len(asks) <= 1, "an order left twice"
    for ask in asks:
        assert after.approved_by
        assert after.in_flight
        assert ask.intent == after.intent
        assert ask.intent.post == ()
    assert after.state is not ActionState.SUCCEEDED_UNPROVEN or not after.in_flight
    return after, later, sent_before + len(asks)


def test_nothing_is_sent_unasked_or_twice_and_everything_ends() -> None:
    queue: deque[Place] = deque([(proposal(), START, 0)])
    seen: set[tuple[object, ...]] = set()
    reached: set[ActionState] = set()
    while queue:
        place = queue.popleft()
        record, now, _ = place
        assert _rests(record, now)
        moments = [TimeNs(now + step_s * SECOND) for step_s in STEPS_S]
        for later, one in ((at, said) for at in moments for said in news(record, at)):
            after = judged(place, one, later)
            reached.add(after[0].state)
            mark = (*key(after[0], later), after[2])
            if mark not in seen and not after[0].state.is_terminal and after[0].epoch < 4:
                seen.add(mark)
                queue.append(after)
    assert {state for state in reached if state.is_terminal} == {
        ActionState.DENIED,
        ActionState.EXPIRED,
        ActionState.ABANDONED,
        ActionState.SUCCEEDED_UNPROVEN,
    }


def _in_table(old: ActionState, new: ActionState) -> bool:
    """Return whether the table has a way; a receipt takes three steps of it at once."""
    if new is ActionState.SUCCEEDED_UNPROVEN:
        return ActionState.APPLIED in TABLE[old].exits
    return new in TABLE[old].exits


def _rests(record: ActionRecord, now: TimeNs) -> bool:
    """Return whether time alone ends a record: nothing waits for ever."""
    for _ in range(20):
        now = TimeNs(now + 1000 * SECOND)
        record, _ = advance(record, Tick(), now, world=None, timing=TIMING)
        if record.state.is_terminal:
            return True
    return False


def sent() -> ActionRecord:
    record, _ = advance(
        proposal(), GuardAllowed(evidence_at=START), START, world=None, timing=TIMING
    )
    assert record.state is ActionState.AWAITING_APPROVAL  # allowed, and asked all the same
    yes = Approved(by="ada and grace", people=("ada", "grace"))
    record, _ = advance(record, yes, START, world=None, timing=TIMING)
    record, demands = advance(
        record, GuardAllowed(evidence_at=START), START, world=None, timing=TIMING
    )
    assert any(isinstance(one, AskTrainer) for one in demands)
    return record


def test_absence_counts_only_after_all_that_may_delay_a_request() -> None:
    record = sent()
    assert record.intent is not None
    late = TimeNs(record.intent.deadline + SECOND)
    record, _ = advance(record, Tick(), late, world=None, timing=TIMING)
    assert record.state is ActionState.READBACK
    for at, want in ((late, ActionState.READBACK), (late + 20 * SECOND, ActionState.ABANDONED)):
        sight = TrainingSight(key="k", phase=TrainingPhase.ABSENT, at=TimeNs(at))
        found = TrainingFound(sight=sight)
        after, _ = advance(record, found, TimeNs(at), world=None, timing=TIMING)
        assert after.state is want
        assert after.in_flight is (want is ActionState.READBACK)


def test_an_older_epoch_never_takes_over() -> None:
    with pytest.raises(ProtocolError, match="epoch 0 is older"):
        advance(sent(), TookOver(epoch=0), START, world=None, timing=TIMING)


def test_a_lever_action_without_levers_is_still_refused() -> None:
    shift = replace(ACTION, kind=ActionKind.SCALE_UP)
    with pytest.raises(ProtocolError, match="writes nothing"):
        propose(shift, id="d-1", deployment="m", incident_id="", epoch=1, now=START)
