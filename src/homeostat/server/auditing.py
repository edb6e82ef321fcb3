"""The record as people read it: who did what, when, from where and why; and whether it is whole.

Walks the journal once, checking its hash chain, and from then on only what is new; keeps the
newest entries that people ask about. The walk is done in a thread, one at a time.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from homeostat.base.autonomy import Grant
from homeostat.base.decisions import Apply, Ask, DecisionRecord
from homeostat.base.errors import CorruptStoreError, StoreError
from homeostat.base.events import (
    Approval,
    CanaryRequested,
    ClockJumped,
    Confirmed,
    FeedbackReset,
    Reconfigured,
    Record,
    Started,
    UndoRequested,
)
from homeostat.base.intent import ActionRecord
from homeostat.base.ports import Entry, Journal
from homeostat.base.words import CalledNormal
from homeostat.govern.decide import label
from homeostat.loop.heeding import verdict_of
from homeostat.server.heard import NOTED
from homeostat.server.kill_noted import THROWN
from homeostat.server.restore import decoded
from homeostat.server.view_plain import when

KEPT: Final = 5000
"""Entries that people can page through; `homeostat audit` and the journal have them all."""
_WANTED: Final = tuple(
    f'{{"$":"{name}"'.encode()
    for name in ("Approval", "UndoRequested", "CanaryRequested", "Reconfigured", "Started",
                 "ClockJumped", "Confirmed", "CalledNormal", "FeedbackReset")
)  # fmt: skip
_FACTS: Final = tuple(
    f'{{"$":"Record","fact":{{"$":"{name}"'.encode()
    for name in ("ActionRecord", "DecisionRecord", "Grant")
)
_CONTROLLER: Final = "the controller"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One entry in words.

    Attributes:
        kind: `person`, `decision`, `action` or `controller`.
        who: Who did it.
        what: What was done.
        why: Why, empty where nobody said.
        origin: Where it came from, empty for the controller's own.
    """

    kind: str
    who: str
    what: str
    why: str = ""
    origin: str = ""


class Audit:
    """The record of one journal, as far as it was walked.

    Args:
        journal: Whose record it is.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lines: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._walking = asyncio.Lock()
        self._seq, self._digest, self._problem = 0, "", ""

    async def read(
        self, *, wanted: Callable[[dict[str, Any]], bool], before: int, limit: int
    ) -> dict[str, Any]:
        """Return the newest entries that are wanted, and the state of the chain.

        Args:
            wanted: Whether an entry is asked for.
            before: Only entries with a smaller number; 0 for all.
            limit: At most so many.
        """
        async with self._walking:  # held while they are looked through: a walk adds to them
            await asyncio.to_thread(self._walk)
            found = (one for one in reversed(self._lines) if not before or one["seq"] < before)
            chosen = list(islice(filter(wanted, found), limit))
        state = "broken" if self._problem else "whole"
        chain = {"state": state, "entries": self._seq, "head": self._digest}
        return {"chain": chain | {"problem": self._problem}, "entries": chosen}

    def _walk(self) -> None:
        """Walk what is new; a chain that broke once stays broken."""
        if self._problem:
            return
        try:
            for entry in self._journal.read(after=self._seq):
                self._seq, self._digest = entry.seq, entry.digest
                line = said(entry)
                if line is not None:
                    self._lines.append(_plain(entry, line))
        except CorruptStoreError as error:
            self._problem = str(error)
        except StoreError:
            return  # not to be read now: what was walked stands


def said(entry: Entry) -> Line | None:
    """Return an entry in words, None for what is no news to people."""
    if entry.kind == "note" and entry.body.startswith(THROWN):
        thrown = json.loads(entry.body)["kill.thrown"]
        what = f"set the kill switch to {thrown['level']}"
        return Line(kind="person", who=thrown["by"], what=what, why=thrown["why"])
    if entry.kind == "note" and entry.body.startswith(NOTED):
        heard = json.loads(entry.body)["alert.heard"]
        return Line(kind="controller", who=_CONTROLLER, what=f"heard {heard['words']}",
                    origin=heard["by"])  # fmt: skip
    if entry.kind not in {"event", "command"} or not entry.body.startswith((*_WANTED, *_FACTS)):
        return None
    item = decoded(entry)
    match item:
        case Record(fact=fact):
            return _fact(fact)
        case Started():
            what = f"started with epoch {item.epoch}, mode {item.managed.mode}"
        case ClockJumped():
            what = f"saw the clock jump by {item.by_ns / 1e9:.1f} s"
        case _:
            return _person(item)
    return Line(kind="controller", who=_CONTROLLER, what=what)


_Words = Confirmed | CalledNormal | FeedbackReset
_Person = Approval | UndoRequested | CanaryRequested | Reconfigured | _Words


def _person(event: _Person) -> Line:
    kind = "person"
    match event:
        case Approval():
            what = f"{'approved' if event.approved else 'rejected'} {event.decision_id}"
        case UndoRequested():
            what = f"wants {event.decision_id} taken back"
        case CanaryRequested():
            what = "wants traffic for the canary"
        case Confirmed():
            what = f"says {verdict_of(event)}"
        case CalledNormal():
            what = f"calls what is off in {event.incident_id} the new normal"
        case FeedbackReset():
            what = "forgets all feedback" if event.everything else "lets learning go on"
        case Reconfigured() if event.principal:
            what = f"set the mode to {event.managed.mode}"
        case _:
            kind, what = "controller", f"new settings, mode {event.managed.mode}"
    return Line(kind=kind, who=event.by, what=what, why=event.why, origin=event.origin)


def _fact(fact: object) -> Line | None:
    match fact:
        case Grant() as grant:
            verb = "let run unasked" if grant.given else "made ask"
            what = f"{verb}: {grant.kind}"
            return Line(kind="person", who=grant.by, what=what, why=grant.why, origin=grant.origin)
        case DecisionRecord(decision=Apply() | Ask() as decision) as record:
            verb = "asked" if isinstance(decision, Ask) else "decided"
            what = f"{verb} {record.id}: {label(decision.action)}"
            return Line(
                kind="decision", who=_CONTROLLER, what=what, why="; ".join(decision.because)
            )
        case DecisionRecord() as record:
            why = "; ".join(record.decision.because)
            return Line(kind="decision", who=_CONTROLLER, what=f"{record.id}: hold", why=why)
        case ActionRecord() as record if record.state.is_terminal:
            by = f", approved by {record.approved_by}" if record.approved_by else ""
            what = f"{record.id} ended {record.state}{by}"
            return Line(kind="action", who=_CONTROLLER, what=what, why=record.reason)
    return None


def _plain(entry: Entry, line: Line) -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "at": when(entry.at),
        "deployment": entry.deployment,
        "kind": line.kind,
        "who": line.who,
        "what": line.what,
        "why": line.why,
        "origin": line.origin,
        "digest": entry.digest,
    }
