"""Turns what is journaled into spans: observe, decide, act and verify, one trace a decision.

A fold over events and commands as they happen; it decides nothing and writes nothing. Ids follow
from the deployment, the decision's id and its time, so that a controller that takes over goes on
with the traces of the one before. Attributes are the few below: names of the configuration, ids,
kinds and states. Free text (a reason, a person's words, a target's answer) never is one, so that
no secret can be in it.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from homeostat.base.events import Command, Event, Received, Record, Write
from homeostat.base.intent import ActionRecord, ActionState, Intent, Receipt, ReceiptStatus
from homeostat.base.policy import Mode
from homeostat.base.spans import Span, Value
from homeostat.base.types import Apply, Ask, DecisionRecord
from homeostat.base.units import TimeNs
from homeostat.server.telemetry.table import OTHER
from homeostat.server.view_counts import rules

KEPT: Final = 1024
"""Actions and writes that are remembered until they end; a fleet has fewer under way."""
_NAME_MAX: Final = 128
_BAD_ENDS: Final = frozenset({ActionState.STUCK, ActionState.FOREIGN})
_MODES: Final = frozenset(mode.value for mode in Mode)

K = TypeVar("K")
V = TypeVar("V")
Key = tuple[str, str]
"""A deployment and the id of a decision of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """A write that is on record and not answered yet."""

    deployment: str
    intent: Intent
    at: TimeNs


class Spans:
    """Everything that is under way, and how far it is.

    Args:
        emit: Takes a span that is over; must not raise and not wait.
    """

    def __init__(self, emit: Callable[[Span], None]) -> None:
        self._emit = emit
        self._read: tuple[TimeNs, TimeNs] | None = None
        self._stepped: dict[str, tuple[TimeNs, TimeNs]] = {}
        self._begun: OrderedDict[Key, TimeNs] = OrderedDict()
        self._actions: OrderedDict[Key, ActionRecord] = OrderedDict()
        self._writes: OrderedDict[str, _Written] = OrderedDict()

    def stage(self, name: str, began: TimeNs, ended: TimeNs) -> None:
        """Take how long a stage took: see `server.shell.Shell.stage`."""
        if name:
            self._stepped[name] = (began, ended)
        else:
            self._read = (began, ended)

    def observe(self, name: str, item: Event | Command) -> None:
        """Take one event or command of a deployment, in the journal's order.

        What is told before the deployment's first stage is history: it is remembered, and no span
        is made of it, for the controller that lived it has sent them.
        """
        match item:
            case Record(fact=DecisionRecord() as record):
                self._decided(name, record)
            case Record(fact=ActionRecord() as record):
                self._moved(name, record)
            case Write(intent=intent) if name in self._stepped:
                _, at = self._stepped[name]
                _put(self._writes, intent.id, _Written(deployment=name, intent=intent, at=at))
            case Received(receipt=receipt):
                self._answered(receipt, item.at)
            case _:
                pass

    def _decided(self, name: str, record: DecisionRecord) -> None:
        if name not in self._stepped:
            return
        began, ended = self._stepped[name]
        read = self._read if self._read is not None and self._read[0] <= record.at else None
        start = min(record.at, began) if read is None else read[0]
        trace = trace_of(name, record.id, record.at)
        root = span_of(trace, "decision")
        said = _decision(name, record)
        if read is not None:
            self._send("observe", trace, "observe", root, read[0], read[1], said[:2])
        self._send("decide", trace, "decide", root, max(start, began), ended, said)
        if isinstance(record.decision, Apply | Ask):
            _put(self._begun, (name, record.id), start)
        else:
            self._send("decision", trace, "decision", None, start, ended, said)

    def _moved(self, name: str, record: ActionRecord) -> None:
        key = (name, record.id)
        before = self._actions.get(key)
        _put(self._actions, key, record)
        if name in self._stepped:
            if before is not None and before.state is ActionState.VERIFYING:
                self._verified(name, before, record)
            if record.state.is_terminal and (before is None or not before.state.is_terminal):
                self._ended(name, record)
        if record.state.is_terminal:
            self._actions.pop(key, None)

    def _verified(self, name: str, before: ActionRecord, record: ActionRecord) -> None:
        if (record.state, record.state_since) == (before.state, before.state_since):
            return
        trace = trace_of(name, record.id, record.proposed_at)
        self._send(
            "verify", trace, f"verify {before.stage} {before.state_since}",
            span_of(trace, "decision"), before.state_since, record.state_since,
            (*_action(name, record), ("homeostat.stage", before.stage)),
            failed=_bad(record),
        )  # fmt: skip

    def _ended(self, name: str, record: ActionRecord) -> None:
        trace = trace_of(name, record.id, record.proposed_at)
        start = self._begun.pop((name, record.id), record.proposed_at)
        self._send(
            "decision", trace, "decision", None, start, record.state_since,
            _action(name, record), failed=_bad(record),
        )  # fmt: skip

    def _answered(self, receipt: Receipt, at: TimeNs) -> None:
        written = self._writes.pop(receipt.intent_id, None)
        if written is None:
            return
        name, intent = written.deployment, written.intent
        record = self._actions.get((name, intent.action_id))
        if record is None:
            return
        trace = trace_of(name, record.id, record.proposed_at)
        said: tuple[tuple[str, Value], ...] = (
            *_action(name, record),
            ("homeostat.actuator", _name(intent.actuator)),
            ("homeostat.status", receipt.status.value),
            ("homeostat.conflict", receipt.conflict),
            ("homeostat.stage", intent.stage),
            ("homeostat.undo", intent.undo),
        )
        self._send(
            "act", trace, f"act {intent.id}", span_of(trace, "decision"), written.at, at, said,
            failed=receipt.status is not ReceiptStatus.DONE, outward=True,
        )  # fmt: skip

    def _send(
        self,
        name: str,
        trace: int,
        what: str,
        parent: int | None,
        start: TimeNs,
        end: TimeNs,
        attributes: tuple[tuple[str, Value], ...],
        **flags: bool,
    ) -> None:
        self._emit(
            Span(
                name=f"homeostat.{name}",
                trace=trace,
                id=span_of(trace, what),
                parent=parent,
                start=start,
                end=max(start, end),
                attributes=attributes,
                **flags,
            )
        )


def trace_of(deployment: str, decision: str, at: TimeNs) -> int:
    """Return a decision's trace id: the same in every controller that reads the same journal.

    Args:
        deployment: The managed model's name.
        decision: The decision's id, unique within the deployment's journal.
        at: When it was taken; other journals have the same ids.
    """
    return _number(f"{deployment}\n{decision}\n{at}", 16)


def span_of(trace: int, what: str) -> int:
    """Return the id of one part of a trace."""
    return _number(f"{trace:032x}\n{what}", 8)


def _number(text: str, size: int) -> int:
    found = int.from_bytes(hashlib.sha256(text.encode()).digest()[:size], "big")
    return found or 1  # 0 means none


def _decision(name: str, record: DecisionRecord) -> tuple[tuple[str, Value], ...]:
    choice, action = "hold", "hold"
    if isinstance(record.decision, Apply | Ask):
        choice = "apply" if isinstance(record.decision, Apply) else "ask"
        action = record.decision.action.kind.value
    guards = {rule for _, reasons in record.refused for rule in rules(reasons)}
    return (
        ("homeostat.deployment", _name(name)),
        ("homeostat.decision", record.id),
        ("homeostat.incident", record.incident_id),
        ("homeostat.choice", choice),
        ("homeostat.action", action),
        ("homeostat.mode", record.mode if record.mode in _MODES else OTHER),
        ("homeostat.considered", len(record.considered)),
        ("homeostat.allowed", len(record.allowed)),
        ("homeostat.refused", len(record.refused)),
        ("homeostat.guards", tuple(sorted(guards))),
    )


def _action(name: str, record: ActionRecord) -> tuple[tuple[str, Value], ...]:
    return (
        ("homeostat.deployment", _name(name)),
        ("homeostat.decision", record.id),
        ("homeostat.incident", record.incident_id),
        ("homeostat.action", record.action.kind.value),
        ("homeostat.state", record.state.value),
        ("homeostat.epoch", record.epoch),
    )


def _bad(record: ActionRecord) -> bool:
    went_back = record.state in {ActionState.ROLLING_BACK, ActionState.ROLLED_BACK}
    return record.state in _BAD_ENDS or (went_back and not record.blameless)


def _name(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text[:_NAME_MAX])


def _put(kept: OrderedDict[K, V], key: K, value: V) -> None:
    """Keep one more, and forget the oldest beyond what is kept."""
    kept[key] = value
    if len(kept) > KEPT:
        kept.popitem(last=False)
