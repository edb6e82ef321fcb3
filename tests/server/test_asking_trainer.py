"""The shell asks a trainer: never past the kill switch, durable first, and silence is unknown."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from runtime_harness import stage

from homeostat.base.errors import TrainerError
from homeostat.base.events import AskTraining, LookAtTraining, MarkVersion, Received, TrainingSeen
from homeostat.base.intent import Receipt, ReceiptStatus
from homeostat.base.policy import KillLevel
from homeostat.base.training import (
    LineageState,
    TrainingOrder,
    TrainingPhase,
    TrainingSight,
    VersionMark,
)
from homeostat.base.units import HOUR, SECOND, TimeNs
from homeostat.server.training import asked

NOW = TimeNs(1_800_000_000 * SECOND)
ORDER = TrainingOrder(
    key="m-d-0007-1800000000",
    intent_id="d-0007.0.0",
    deployment="m",
    action_id="d-0007",
    incident_id="i-0001",
    at=NOW,
    reason=("inputs moved",),
    approvers=("ada", "grace"),
    data_from=TimeNs(NOW - HOUR),
    data_to=NOW,
    parent="v1",
    epoch=1,
    deadline=TimeNs(NOW + SECOND // 10),
    due=TimeNs(NOW + HOUR),
)
MARK = VersionMark(
    id=f"{ORDER.key}.mark.promoted-1",
    key=ORDER.key,
    deployment="m",
    version="v2",
    verdict=LineageState.PROMOTED,
    reason="certified",
    deadline=ORDER.deadline,
)
ASK, TELL = AskTraining(order=ORDER), MarkVersion(mark=MARK)
LOOK = LookAtTraining(deployment="m", key=ORDER.key, deadline=ORDER.deadline)


class Fake:
    """A trainer that answers what it is given, or hangs, or raises."""

    name = "fake"

    def __init__(self, said: Any = None) -> None:
        self.said = said
        self.calls: list[str] = []
        self.closed = 0

    async def ask(self, order: TrainingOrder, now: TimeNs) -> Receipt:
        return await self._answer("ask", order.intent_id, now)

    async def mark(self, mark: VersionMark, now: TimeNs) -> Receipt:
        return await self._answer("mark", mark.id, now)

    async def look(self, deployment: str, key: str, now: TimeNs) -> TrainingSight:
        self.calls.append("look")
        if isinstance(self.said, BaseException):
            raise self.said
        if self.said == "hang":
            await asyncio.sleep(60)
        sight = TrainingSight(key=key, phase=TrainingPhase.TAKEN, at=now)
        return replace(sight, key="another") if self.said == "another" else sight

    async def _answer(self, call: str, about: str, now: TimeNs) -> Receipt:
        self.calls.append(call)
        if isinstance(self.said, BaseException):
            raise self.said
        if self.said == "hang":
            await asyncio.sleep(60)
        about = "another" if self.said == "another" else about
        return Receipt(intent_id=about, status=ReceiptStatus.DONE, at=now)

    async def close(self) -> None:
        self.closed += 1


def at(now: TimeNs) -> Callable[[], TimeNs]:
    return lambda: now


def off() -> KillLevel:
    return KillLevel.OFF


@pytest.mark.parametrize("command", [ASK, TELL], ids=["an order", "a mark"])
@pytest.mark.parametrize(
    ("said", "want"),
    [
        (None, ReceiptStatus.DONE),
        ("hang", ReceiptStatus.UNKNOWN),
        ("another", ReceiptStatus.UNKNOWN),
        (RuntimeError("boom"), ReceiptStatus.UNKNOWN),
    ],
    ids=["yes", "silence", "somebody else's receipt", "an exception"],
)
async def test_every_outcome_is_a_receipt(
    command: AskTraining | MarkVersion, said: Any, want: ReceiptStatus
) -> None:
    event = await asked(Fake(said), command, at(NOW), off)
    assert isinstance(event, Received)
    about = ORDER.intent_id if command is ASK else MARK.id
    assert (event.receipt.status, event.receipt.intent_id) == (want, about)


@pytest.mark.parametrize("level", [KillLevel.NO_NEW, KillLevel.NOTHING])
@pytest.mark.parametrize("command", [ASK, TELL])
async def test_nothing_is_written_past_the_kill_switch(
    command: AskTraining | MarkVersion, level: KillLevel
) -> None:
    fake = Fake()
    event = await asked(fake, command, at(NOW), lambda: level)
    assert isinstance(event, Received)
    assert (event.receipt.status, event.kill) == (ReceiptStatus.NOT_APPLIED, level)
    assert fake.calls == []


async def test_nothing_is_sent_after_its_deadline_or_without_a_trainer() -> None:
    fake = Fake()
    for trainer, now in ((fake, ORDER.deadline), (None, NOW)):
        event = await asked(trainer, ASK, at(now), off)
        assert isinstance(event, Received)
        assert event.receipt.status is ReceiptStatus.NOT_APPLIED
    assert fake.calls == []


@pytest.mark.parametrize("said", ["hang", "another", TrainerError("gone"), RuntimeError("boom")])
async def test_silence_is_no_sight(said: Any) -> None:
    event = await asked(Fake(said), LOOK, at(NOW), off)
    assert isinstance(event, TrainingSeen)
    assert (event.key, event.sight) == (ORDER.key, None)
    nobody = await asked(None, LOOK, at(NOW), off)
    assert isinstance(nobody, TrainingSeen)
    assert nobody.sight is None


async def test_the_runtime_journals_the_answer_and_closes_the_trainer() -> None:
    ready, fake = stage(), Fake()
    runtime = ready.runtime
    runtime.shell.deployments["m"].trainer = fake
    await runtime.start()
    now = runtime.clock.now()
    order = replace(ORDER, deadline=TimeNs(now + SECOND))
    look = replace(LOOK, deadline=TimeNs(now + SECOND))
    await runtime._carry_out("m", (AskTraining(order=order), look))
    await runtime.settle()
    assert sorted(fake.calls) == ["ask", "look"]
    assert [one.receipt.intent_id for one in ready.journal.decoded(Received)] == ["d-0007.0.0"]
    (seen,) = ready.journal.decoded(TrainingSeen)
    assert seen.sight is not None
    assert seen.sight.phase is TrainingPhase.TAKEN
    await runtime.close()
    assert fake.closed == 1
