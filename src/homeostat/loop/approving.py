"""What a person's answer is worth: bound to what was asked, by somebody else, twice where need be.

A yes counts for one action and the evidence it was asked with. It is refused from whoever wanted
the action, for what is no longer asked, and for another action or evidence than that of the
question; where what can be seen has changed since, the question is withdrawn and asked again. So
it is with a ramp's second question, whether it may go on unproven: bound to what its comparison
says, and asked anew in its place, for no longer than there was.
What cannot be taken back needs two people (four eyes), whom the guards count once more (G14). The
same answer given again is no news.
Sources: research on comparable controllers, G13 and G14; pending actions that nobody re-validated
were the cause of an outage (Google, STPA, 2021).
"""

import hashlib
import json
import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from homeostat.base import codec
from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.events import Approval, Event
from homeostat.base.intent import ActionRecord, ActionState, Proof
from homeostat.base.state import Asked, LoopState
from homeostat.base.world import Snapshot
from homeostat.loop.protocol_values import SAID_NO

TWO: Final = 2
_AND: Final = " and "
_OBJECTIVES: Final = {True: "met", False: "missed", None: "unknown"}


class Said(StrEnum):
    """What becomes of an answer."""

    SETTLED = "settled"  # it is an answer: the guards are asked once more
    COUNTED = "counted"  # one of two
    REPEATED = "repeated"  # this person said so before
    REFUSED = "refused"  # it is no answer to what is asked
    CHANGED = "changed"  # the evidence is not what it was: to be asked again


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one answer is worth.

    Attributes:
        said: What becomes of it.
        words: Why, for whoever answered.
        by: Who has agreed, all of them, where that settles it.
        people: The same, each of them once and by what the controller knows them by.
    """

    said: Said
    words: str
    by: str = ""
    people: tuple[str, ...] = ()


def needed(action: Action) -> int:
    """Return how many people must agree to an action."""
    final = action.undo is UndoKind.NONE or action.kind is ActionKind.RETRAIN
    return TWO if final else 1


def action_hash(action: Action) -> str:
    """Return SHA-256 of an action's canonical form, hex."""
    return hashlib.sha256(codec.encode(action)).hexdigest()


def seen(state: LoopState) -> tuple[tuple[str, str], ...]:
    """Return what a question rests on: findings, not readings, which differ on every tick."""
    evidence, incident, world = state.evidence, state.incident, state.world
    first = evidence.suspicions[0] if evidence is not None and evidence.suspicions else None
    suspected = "nothing" if first is None else f"{first.family} at {first.subject}"
    asked = "none" if incident is None else f"{incident.family} at {incident.subject}"
    same = "still suspected" if suspected == asked else "no longer the foremost suspicion"
    return (
        ("incident", "none" if incident is None else f"{incident.id}, {asked}, {same}"),
        ("objectives", _OBJECTIVES[None if evidence is None else evidence.slo_met]),
        ("replicas", "unknown" if world is None else _replicas(world)),
        ("levers", "unknown" if world is None else _levers(world)),
        ("policy", state.managed.policy_digest),
        ("mode", state.managed.mode.value),
        *_compared(state),
    )


def _compared(state: LoopState) -> tuple[tuple[str, str], ...]:
    """Return what the second question of a ramp rests on besides; nothing where it is not asked."""
    known, judgement = state.comparison, None
    if _is_second(state.record) and known is not None and state.record is not None:
        judgement = known.judgement if known.action_id == state.record.id else None
    if known is None or judgement is None:
        return ()
    near = judgement.harm_e >= math.sqrt(judgement.threshold)
    safe = judgement.safe_e is not None and judgement.safe_e >= judgement.threshold
    harm = "half way to harm" if near else "not half way to harm"
    return (
        ("comparison", f"{harm}, {'a certificate' if safe else 'no certificate'}"),
        ("share", str(known.share)),
        ("pods", "unknown" if known.config.pods is None else str(known.config.pods)),
    )


def _is_second(record: ActionRecord | None) -> bool:
    """Return whether a person is asked if a ramp may go on unproven."""
    return record is not None and record.proof is Proof.ASKED


def evidence_hash(found: tuple[tuple[str, str], ...]) -> str:
    """Return SHA-256 of what a question rests on, hex."""
    return hashlib.sha256(json.dumps(found, separators=(",", ":")).encode()).hexdigest()


def changed(asked: Asked, state: LoopState) -> tuple[str, ...]:
    """Return what is not as it was when the question was asked, one sentence each."""
    now = dict(seen(state))
    return tuple(
        f"{name} was {before}, is {now.get(name, 'unknown')}"
        for name, before in asked.seen
        if now.get(name) != before
    )


def noted(before: LoopState, after: LoopState, event: Event) -> LoopState:
    """Return the state with a new question bound to its action, its evidence and who wanted it."""
    record, known = after.record, after.asked
    if record is None:
        return after
    if known is not None and known.decision_id == record.id:
        again = _is_second(record) and not _is_second(before.record)
        return renewed(after) if again else after
    fresh = before.record is None or before.record.id != record.id
    wanted_by = _person(event) if fresh and not isinstance(event, Approval) else ""
    if fresh and before.wish is not None and record.action.beside:
        wanted_by = _person(before.wish)  # asked for before the twin was asked about it
    waits = record.state is ActionState.AWAITING_APPROVAL or _is_second(record)
    return _bound(after, record, wanted_by) if waits or wanted_by else after


def renewed(state: LoopState) -> LoopState:
    """Return the state with its question bound to what is known now; nobody has agreed to it."""
    record, asked = state.record, state.asked
    if record is None or asked is None:
        return state
    return _bound(state, record, asked.requested_by)


def _bound(state: LoopState, record: ActionRecord, wanted_by: str) -> LoopState:
    found = seen(state)
    asked = Asked(
        decision_id=record.id,
        action_hash=action_hash(record.action),
        evidence_hash=evidence_hash(found),
        seen=found,
        requested_by=wanted_by,
    )
    return replace(state, asked=asked)


def answer(state: LoopState, event: Approval) -> Answer:
    """Return what a person's answer is worth now; changes nothing.

    Args:
        state: The deployment's state.
        event: The answer.
    """
    record = state.record
    if record is None or record.id != event.decision_id:
        return _to_another(state, event)
    asked = (
        state.asked if state.asked is not None and state.asked.decision_id == record.id else None
    )
    again = _is_second(record)
    if event.approved and event.by in record.approved_by.split(_AND) and not again:
        return Answer(said=Said.REPEATED, words=f"{event.by} has approved {record.id} already")
    if not event.approved or asked is None:
        return Answer(said=Said.SETTLED, words="", by=event.by, people=(_by(event),))
    return _yes(record, asked, state, event)


def counted(state: LoopState, event: Approval) -> LoopState:
    """Return the state with one more person who agreed."""
    if state.asked is None:
        return state
    return replace(state, asked=replace(state.asked, agreed=(*state.asked.agreed, _by(event))))


def _yes(record: ActionRecord, asked: Asked, state: LoopState, event: Approval) -> Answer:
    who = _by(event)
    if who in asked.agreed:
        return Answer(said=Said.REPEATED, words=f"{event.by} has agreed to {record.id} already")
    if asked.requested_by and who == asked.requested_by:
        words = f"{event.by} asked for {record.id}: somebody else must approve it"
        return Answer(said=Said.REFUSED, words=words)
    open_ = record.state is ActionState.AWAITING_APPROVAL or _is_second(record)
    bound = open_ and event.evidence_hash != ""
    if bound and (event.action_hash, event.evidence_hash) != (
        asked.action_hash,
        asked.evidence_hash,
    ):
        words = f"what was approved is not what {record.id} asks: read it again, then decide"
        return Answer(said=Said.REFUSED, words=words)
    if bound and (differs := changed(asked, state)):
        words = f"the evidence changed since {record.id} was asked ({'; '.join(differs)})"
        return Answer(said=Said.CHANGED, words=f"{words}; it is asked again if it is still wanted")
    agreed = (*asked.agreed, who)
    if len(agreed) < needed(record.action):
        words = f"{event.by} agreed to {record.id}; it cannot be taken back, so one more must"
        return Answer(said=Said.COUNTED, words=words)
    said = _AND.join((*asked.agreed, event.by))
    return Answer(said=Said.SETTLED, words="", by=said, people=agreed)


def _to_another(state: LoopState, event: Approval) -> Answer:
    """Answer for a decision that is not in flight: said before, or not asked (any more)."""
    for done in reversed(state.finished):
        if done.id != event.decision_id:
            continue
        yes = event.approved and event.by in done.approved_by.split(_AND)
        no = not event.approved and done.reason.startswith(f"{event.by} {SAID_NO}")
        if yes or no:
            return Answer(said=Said.REPEATED, words=f"{event.by} has said so already")
    words = f"{event.decision_id} is not waiting for an answer"
    waiting = state.record
    if waiting is not None and waiting.state is ActionState.AWAITING_APPROVAL:
        words = f"{words}: {waiting.id} is asked in its place, with what is known now"
    return Answer(said=Said.REFUSED, words=words)


def _person(event: Event) -> str:
    """Return who a wish is from, empty for what no person said."""
    who = getattr(event, "principal", "") or getattr(event, "by", "")
    return who if isinstance(who, str) else ""


def _by(event: Approval) -> str:
    return event.principal or event.by


def _replicas(world: Snapshot) -> str:
    return ", ".join(
        f"{one.name} {one.version} {one.state} {one.incarnation}"
        for one in sorted(world.replicas, key=lambda one: one.name)
    )


def _levers(world: Snapshot) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(world.levers))
