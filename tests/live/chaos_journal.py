"""What the journal of a chaos run says, with the times at which the database made it durable."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

from homeostat.base import codec
from homeostat.base.decisions import DecisionRecord, Urgency
from homeostat.base.events import Received, Record, Started, Tell, Write
from homeostat.base.intent import ActionRecord, Intent, Receipt
from homeostat.base.ports import Entry
from homeostat.server.replaying import Kept, open_read_only

_WANTED: Final = tuple(f'{{"$":"{kind.__name__}"'.encode() for kind in (Received, Started, Tell))
_ALSO: Final = (b'{"$":"Write"', b'{"$":"Record"')
_COMMITTED: Final = (
    "SELECT seq, (extract(epoch from pg_xact_commit_timestamp(xmin)) * 1000000000)::bigint"
    " FROM homeostat.entry WHERE kind = 'command'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An intent in the journal.

    Attributes:
        intent: The intent.
        durable_at: When the database committed it, nanoseconds of the wall clock; None where it
            does not say.
    """

    intent: Intent
    durable_at: int | None


@dataclass(slots=True)
class Account:
    """What the journal says.

    Attributes:
        written: Intents by id, in order.
        twice: Ids of intents that were written again.
        receipts: By intent.
        records: The versions of each action, in order.
        paged: Keys of the notices that woke or asked a person.
        epochs: Of the controllers that led, in order.
        beside: Sentences on actions that began while another one was in flight.
        refused: How often a decision refused a change, by the guard that said no.
        outdated: Sentences on intents of another epoch than the one that led.
    """

    written: dict[str, Written] = field(default_factory=dict)
    twice: list[str] = field(default_factory=list)
    receipts: dict[str, list[Receipt]] = field(default_factory=dict)
    records: dict[str, list[ActionRecord]] = field(default_factory=dict)
    paged: set[str] = field(default_factory=set)
    epochs: list[int] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    outdated: list[str] = field(default_factory=list)

    def open(self) -> list[ActionRecord]:
        """Return the actions that have not come to an end."""
        last = (versions[-1] for versions in self.records.values())
        return [record for record in last if not record.state.is_terminal]

    def hear(self, fact: Any, durable_at: int | None) -> None:
        """Take one fact of the journal, in its order."""
        match fact:
            case Started(epoch=epoch):
                self.epochs.append(epoch)
            case Write(intent=intent):
                self._wrote(intent, durable_at)
            case Received(receipt=receipt):
                self.receipts.setdefault(receipt.intent_id, []).append(receipt)
            case Record(fact=ActionRecord() as record):
                self._stands(record)
            case Record(fact=DecisionRecord(refused=refused)):
                reasons = (one for _, said in refused for one in said)
                self.refused.update(one.partition(":")[0] for one in reasons)
            case Tell(notice=notice) if notice.urgency in {Urgency.PAGE, Urgency.ASK}:
                self.paged.add(notice.key)
            case _:
                pass

    def _wrote(self, intent: Intent, durable_at: int | None) -> None:
        if intent.id in self.written:
            self.twice.append(intent.id)
        if self.epochs and intent.epoch != self.epochs[-1]:
            said = f"{intent.id} is of epoch {intent.epoch}, and {self.epochs[-1]} led"
            self.outdated.append(said)
        self.written[intent.id] = Written(intent=intent, durable_at=durable_at)

    def _stands(self, record: ActionRecord) -> None:
        if record.id not in self.records:
            open_ = [one.id for one in self.open()]
            if open_:
                self.beside.append(f"{record.id} began while {', '.join(open_)} was in flight")
        self.records.setdefault(record.id, []).append(record)


def account(kept: Kept) -> Account:
    """Return what a journal in PostgreSQL says."""
    with psycopg.connect(kept.place) as known:
        rows = known.execute(_COMMITTED).fetchall()
    durable = {int(row[0]): int(row[1]) for row in rows if row[1] is not None}
    found = Account()
    for entry in _entries(kept):
        found.hear(codec.decode(entry.body), durable.get(entry.seq))
    return found


def settled(kept: Kept) -> bool:
    """Return whether every action of the journal has come to an end."""
    found = Account()
    for entry in _entries(kept, ("command",)):
        if entry.body.startswith(_ALSO):
            found.hear(codec.decode(entry.body), None)
    return not found.open()


def _entries(kept: Kept, kinds: tuple[str, ...] = ("event", "command")) -> Iterator[Entry]:
    opened = open_read_only(kept)
    try:
        wanted = (*_WANTED, *_ALSO)
        yield from (entry for entry in opened.read(kinds=kinds) if entry.body.startswith(wanted))
    finally:
        opened.close()
