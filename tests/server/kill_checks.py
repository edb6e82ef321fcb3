"""What must be true of a journal and of the world after controllers were killed at any moment.

The world's own word is the relay's log (every write, in the host's order) and the host's log
(every lever that changed). The journal is what the controllers said. Each check fails with a
sentence that names the intent.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kill_harness import Seen, Stage

from homeostat.base import codec
from homeostat.base.decisions import Urgency
from homeostat.base.events import Received, Record, Started, Tell, Write
from homeostat.base.intent import ActionRecord, ActionState, Intent, ReceiptStatus
from homeostat.server.replaying import Kept, open_read_only, replay_file, verify_file

MAX_UNDO = 3  # `loop.protocol_values.Timing`


@dataclass(slots=True)
class Account:
    """What the journal says.

    Attributes:
        written: Intents by id, in order.
        answered: Receipts by intent id.
        records: The versions of each action, in order.
        lives: Per life: its epoch, the intents it wrote, and those whose receipt it got.
        paged: Actions that a person was woken for.
    """

    written: dict[str, Intent] = field(default_factory=dict)
    answered: dict[str, list[ReceiptStatus]] = field(default_factory=dict)
    records: dict[str, list[ActionRecord]] = field(default_factory=dict)
    lives: list[tuple[int, list[str], set[str]]] = field(default_factory=list)
    paged: set[str] = field(default_factory=set)

    def cut_between_intent_and_receipt(self) -> int:
        """Count lives that ended with a write out and no receipt for it."""
        return sum(bool(wrote) and wrote[-1] not in got for _, wrote, got in self.lives)


def account(journal: Kept) -> Account:
    """Read what a journal says, and check what can be checked in passing: single flight."""
    found = Account()
    for fact in _facts(journal):
        match fact:
            case Started(epoch=epoch):
                found.lives.append((epoch, [], set()))
            case Write(intent=intent):
                assert intent.id not in found.written, f"{intent.id} was written twice"
                found.written[intent.id] = intent
                found.lives[-1][1].append(intent.id)
            case Received(receipt=receipt):
                found.answered.setdefault(receipt.intent_id, []).append(receipt.status)
                found.lives[-1][2].add(receipt.intent_id)
            case Record(fact=ActionRecord() as record):
                _check_single_flight(found, record)
                found.records.setdefault(record.id, []).append(record)
            case Tell(notice=notice) if notice.urgency is Urgency.PAGE:
                found.paged.add(notice.key)
            case _:
                pass
    return found


def _facts(journal: Kept) -> Iterator[Any]:
    opened = open_read_only(journal)
    try:
        for entry in opened.read(kinds=("event", "command")):
            yield codec.decode(entry.body)
    finally:
        opened.close()


def _check_single_flight(found: Account, record: ActionRecord) -> None:
    others = [
        name
        for name, versions in found.records.items()
        if name != record.id and not versions[-1].state.is_terminal
    ]
    assert not others, f"{record.id} began while {others} were in flight"


def check_all(stage: Stage) -> Account:
    """Check the journal against the world; everything has settled."""
    said = account(stage.journal)
    seen, log = stage.relay.seen, stage.host_log()
    landed = {one.intent for one in seen if one.landed and one.levers}
    _check_write_ahead(said, seen)
    _check_once(seen, log)
    _check_no_change_without_record(said, log)
    _check_receipts_are_true(said, seen, landed)
    _check_ends_are_true(said, landed, stage.levers())
    _check_epochs(said, seen)
    verify_file(stage.journal)
    rows = replay_file(stage.journal)
    assert [row["mismatches"] for row in rows] == [0], rows
    return said


def _check_write_ahead(said: Account, seen: list[Seen]) -> None:
    for one in seen:
        if one.levers:
            assert one.recorded, f"{one.intent} reached the host before it was in the journal"
            intent = said.written[one.intent]
            assert (one.levers, one.token) == (dict(intent.post), intent.token), one
            assert one.epoch == intent.epoch, one


def _check_once(seen: list[Seen], log: list[dict[str, Any]]) -> None:
    landings = Counter(one.intent for one in seen if one.landed)
    assert max(landings.values(), default=1) == 1, f"landed twice: {landings.most_common(3)}"
    changes = Counter(
        (line["detail"]["intent"], line["detail"]["lever"])
        for line in log
        if line["what"] == "lever_changed" and line["detail"]["writer"] == "controller"
    )
    assert max(changes.values(), default=1) == 1, f"took effect twice: {changes.most_common(3)}"
    tokens = [one.token for one in seen if one.landed and one.levers]
    assert len(tokens) == len(set(tokens)), "two writes landed on one token"


def _check_no_change_without_record(said: Account, log: list[dict[str, Any]]) -> None:
    for line in log:
        if line["what"] != "lever_changed" or line["detail"]["writer"] != "controller":
            continue
        intent = said.written.get(line["detail"]["intent"])
        assert intent is not None, f"changed without a record: {line}"
        assert (line["detail"]["lever"], line["detail"]["new"]) in intent.post, (line, intent)


def _check_receipts_are_true(said: Account, seen: list[Seen], landed: set[str]) -> None:
    arrived = {one.intent for one in seen}
    for intent, statuses in said.answered.items():
        for status in statuses:
            if status is ReceiptStatus.DONE:
                assert intent in landed, f"{intent} is said to be done and never landed"
            if status is ReceiptStatus.NOT_APPLIED:
                assert intent not in landed, f"{intent} is said to be refused and landed"
    for intent in landed:
        assert intent in said.written, f"{intent} landed and is not in the journal"
    assert set(said.answered) <= arrived | set(said.written)


def _check_ends_are_true(said: Account, landed: set[str], levers: dict[str, Any]) -> None:
    for name, versions in said.records.items():
        last = versions[-1]
        assert last.state.is_terminal, f"{name} is in flight for ever: {last.state} {last.reason}"
        forward = {i.id for i in said.written.values() if i.action_id == name and not i.undo}
        back = {i.id for i in said.written.values() if i.action_id == name and i.undo}
        match last.state:
            case ActionState.SUCCEEDED | ActionState.SUCCEEDED_UNPROVEN:
                assert forward & landed, f"{name} {last.state}, and nothing landed"
                assert not back & landed, f"{name} {last.state}, and its undo landed"
            case ActionState.ROLLED_BACK:
                live = bool(forward & landed) and not back & landed
                assert not live, f"{name} is rolled back and still live: {last.reason}"
            case ActionState.STUCK:  # each attempt to go back was cut off by a kill
                assert len(back) >= MAX_UNDO, f"{name} gave up after {len(back)}: {last.reason}"
                assert not back & landed, f"{name} is stuck, and its undo landed"
                assert name in said.paged, f"{name} is stuck and nobody was told"
            case ActionState.ABANDONED | ActionState.DENIED | ActionState.EXPIRED:
                assert not (forward | back) & landed, f"{name} {last.state}, and it landed"
            case _:
                raise AssertionError(f"{name} ended {last.state}: {last.reason}")
    final = [intent for intent in said.written.values() if intent.id in landed]
    for lever, value in {pair[0]: pair[1] for intent in final for pair in intent.post}.items():
        assert levers[lever] == value, f"{lever} is {levers[lever]}, the last to land set {value}"


def _check_epochs(said: Account, seen: list[Seen]) -> None:
    epochs = [epoch for epoch, _, _ in said.lives]
    assert epochs == sorted(set(epochs)), f"epochs do not rise: {epochs}"
    highest = 0
    for one in seen:
        if one.landed:
            assert one.epoch >= highest, f"{one} landed after epoch {highest}"
            highest = one.epoch
