"""The real `advance`, memoised over records renamed to "now": the same question is asked once.

Records are numbered. Times are renamed relative to now after each step, so that what only differs
in when is one record; a step of time renames all of them by one.
"""

from dataclasses import replace
from functools import cache
from typing import Final, NamedTuple
from unittest import mock

from explore.rules import SETTLE, TIMING, Rules
from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.decisions import Effect
from homeostat.base.intent import ActionRecord, Intent, Receipt, ReceiptStatus
from homeostat.base.units import TimeNs
from homeostat.base.world import Snapshot, Stamp
from homeostat.loop import protocol
from homeostat.loop.protocol import (
    AskGuard,
    ClaimTarget,
    EffectSeen,
    GuardAllowed,
    News,
    ReadWorldAgain,
    SendWrite,
    Tick,
    Timing,
    TookOver,
    WorldSeen,
    WroteReceipt,
    advance,
    propose,
)

BASE: Final = 1_000
OLD: Final = 12  # times further back are all alike: longer than any wait and any reading's age
PRE, POST = 1, 2  # the lever's value before and after

Reading = tuple[int, int | None, str | None, int | None, int]  # value, token, stamp, epoch, age
Command = tuple[object, ...]  # ("read",) or ("claim", epoch) or ("write", Write)
Task = tuple[Command, ...]


class Write(NamedTuple):
    """A write as it leaves: all of the intent that the target and the network care about."""

    id: str
    epoch: int
    token: int | None
    value: int
    left: int  # until its sender's deadline


class Parts:
    """The protocol under one set of rules."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.records: list[ActionRecord] = []
        self._numbers: dict[ActionRecord, int] = {}
        self.timing: Timing = TIMING if rules.quiesces else replace(TIMING, quiesce_ns=0)
        # A method's cache would keep every search's records alive.
        self.step = cache(self._step)
        self.later = cache(self._later)

    def first(self, epoch: int = 1) -> tuple[int, tuple[Task, ...]]:
        """Return the record of an allowed action that has read nothing yet, and its demands."""
        action = Action(
            kind=ActionKind.BATCH_UP, subject="pool:a", actuator="host", change=(("x", POST),),
            undo=UndoKind.EXACT, settle_ns=SETTLE,
        )  # fmt: skip
        record = propose(action, id="d", deployment="m", incident_id="", epoch=epoch,
                         now=TimeNs(BASE))  # fmt: skip
        return self._driven(record, Tick(), None, TimeNs(BASE))

    def _step(
        self, number: int, kind: str, what: object, skew: int
    ) -> tuple[int, tuple[Task, ...]]:
        """Feed news to a record on a clock that is `skew` ahead; see `news`."""
        record, now = self.records[number], TimeNs(BASE + skew)
        news, world = _news(kind, what, now)
        if isinstance(news, TookOver) and not self._rules.reads_back:
            record = replace(record, in_flight=False)
        if isinstance(news, TookOver) and not self._rules.recounts:
            with mock.patch.object(protocol, "_recounted", lambda record, _: record):
                return self._driven(record, news, world, now)
        return self._driven(record, news, world, now)

    def _later(self, number: int) -> int:
        """Return the same record one step of time later."""
        return self.number(_renamed(self.records[number], 1))

    def number(self, record: ActionRecord) -> int:
        """Return a record's number."""
        found = self._numbers.get(record)
        if found is None:
            found = self._numbers[record] = len(self.records)
            self.records.append(record)
        return found

    def _driven(
        self, record: ActionRecord, news: News, world: Snapshot | None, now: TimeNs
    ) -> tuple[int, tuple[Task, ...]]:
        queue: list[News] = [news]
        commands: list[Command] = []
        while queue:
            record, demands = advance(record, queue.pop(0), now, world=world, timing=self.timing)
            for demand in demands:
                match demand:
                    case AskGuard():
                        queue.append(GuardAllowed())
                    case SendWrite(intent=intent):
                        commands.append(("write", _write(intent, now)))
                    case ReadWorldAgain():
                        commands.append(("read",))
                    case ClaimTarget(epoch=epoch):
                        commands.append(("claim", epoch))
                    case _:
                        pass
        return self.number(_renamed(record, 0)), (tuple(commands),) if commands else ()


def _news(kind: str, what: object, now: TimeNs) -> tuple[News, Snapshot | None]:
    match kind, what:
        case "tick", _:
            return Tick(), None
        case "effect", Effect() as effect:
            return EffectSeen(effect=effect), None
        case "lead", int() as epoch:
            return TookOver(epoch=epoch), None
        case "receipt", (str() as of, ReceiptStatus() as status):
            conflict = status is ReceiptStatus.NOT_APPLIED
            receipt = Receipt(intent_id=of, status=status, at=now, conflict=conflict)
            return WroteReceipt(receipt=receipt), None
        case "reading", (
            int() as value,
            (int() | None) as token,
            (str() | None) as stamp,
            (int() | None) as epoch,
            int() as age,
        ):
            world = Snapshot(
                deployment="m", observed_at=TimeNs(now - age), replicas=(), releases=(),
                levers=(("x", value),),
                stamps=(Stamp(actuator="host", token=None if token is None else str(token),
                              intent=stamp, epoch=epoch),),
            )  # fmt: skip
            return WorldSeen(world=world), world
        case _:
            raise AssertionError((kind, what))


def _write(intent: Intent, now: TimeNs) -> Write:
    value = intent.post[0][1]
    assert isinstance(value, int)
    return Write(
        id=intent.id,
        epoch=intent.epoch,
        token=None if intent.token is None else int(intent.token),
        value=value,
        left=intent.deadline - now,
    )


def _renamed(record: ActionRecord, by: int) -> ActionRecord:
    def shift(time: TimeNs) -> TimeNs:
        return TimeNs(max(time - by, BASE - OLD))

    intent = record.intent
    if intent is not None:
        intent = replace(intent, deadline=shift(intent.deadline), evidence_at=TimeNs(0))
    return replace(
        record,
        intent=intent,
        proposed_at=TimeNs(0),
        state_since=shift(record.state_since),
        deadline=shift(record.deadline),
        blind_since=None if record.blind_since is None else shift(record.blind_since),
        reason="",  # for people: nothing is decided by it
    )
