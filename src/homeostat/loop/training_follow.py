"""What an order in the hands of a trainer needs on each tick: a look, an end, a canary, a mark."""

from dataclasses import replace
from typing import Final

from homeostat.base.actions import ActionKind
from homeostat.base.changed import changed
from homeostat.base.decisions import Notice, Urgency
from homeostat.base.events import (
    CanaryRequested,
    Command,
    MarkVersion,
    Received,
    Tell,
    TrainingSeen,
)
from homeostat.base.evidence import Family
from homeostat.base.intent import ActionState, ReceiptStatus
from homeostat.base.state import LoopState
from homeostat.base.training import PROMOTED, Lineage, LineageState, VersionMark
from homeostat.base.units import TimeNs
from homeostat.loop import acting, asking, training
from homeostat.loop.parts import LoopParts
from homeostat.loop.protocol_values import Abort, KillThrown, TrainingFound

Stepped = tuple[LoopState, tuple[Command, ...]]

_S = LineageState
_LOOKED_AT: Final = frozenset({_S.ASKING, _S.ASKED})
_TOLD: Final = frozenset({
    _S.PROMOTED, _S.UNPROVEN, _S.REFUSED, _S.WITHDRAWN,
})  # fmt: skip
MARKS: Final = 3
"""Times that an outcome is written back before a person must."""


def follow(parts: LoopParts, state: LoopState, now: TimeNs) -> Stepped:
    """Do what is due of every order that is remembered.

    Args:
        parts: The stages.
        state: After this tick's decision.
        now: The tick's time.
    """
    commands: tuple[Command, ...] = ()
    for known in state.lineages:
        state, more = _one(state, known, now)
        commands += more
    state, more = _asked(parts, state, now)
    return state, commands + more


def told(parts: LoopParts, state: LoopState, event: TrainingSeen) -> Stepped:
    """Take what the trainer says; silence (no sight) changes nothing: it is asked again."""
    thrown = event.kill is not state.kill
    state = replace(state, kill=event.kill)
    commands: tuple[Command, ...] = ()
    if thrown and state.record is not None:
        state, commands = acting.drive(parts, state, KillThrown(level=event.kill), event.at)
    sight = event.sight
    if sight is None or sight.key != event.key:
        return state, commands
    before = _with_key(state, event.key)
    record = state.record
    if record is not None and before is not None and record.id == before.order.action_id:
        state, more = acting.drive(parts, state, TrainingFound(sight=sight), event.at)
        commands += more
    state, more = training.seen(state, sight, event.at)
    commands += more
    after = _with_key(state, event.key)
    return state, commands + _news(state, before, after, event.at)


def marked(state: LoopState, event: Received) -> Stepped:
    """Take the receipt of what was written back; another one changes nothing."""
    name, _, number = event.receipt.intent_id.rpartition(".mark.")
    known = _with_key(state, name) if number else None
    if known is None:
        return state, ()
    if event.receipt.status is ReceiptStatus.DONE:
        return _changed(state, known, replace(known, marked=known.state.value)), ()
    if event.receipt.conflict:
        # Somebody else moved the alias: never fight, and say so once.
        state = _changed(state, known, replace(known, marks=MARKS, marked=known.state.value))
        why = f"what became of {known.version} is not written back: {event.receipt.detail}"
        return state, (_tell(state, known, why, event.at, Urgency.PAGE),)
    if known.marks < MARKS:
        return state, ()
    why = f"what became of {known.version} could not be written back: {event.receipt.detail}"
    return state, (_tell(state, known, why, event.at, Urgency.PAGE),)


def _one(state: LoopState, known: Lineage, now: TimeNs) -> Stepped:
    policy = state.managed.training
    if known.state in {*_LOOKED_AT, _S.MADE} and now >= known.order.due:
        why = "nothing came of it in time" if not known.version else "nobody tried it in time"
        state, commands = training.put(state, known, _S.LOST, now, why)
        return state, (*commands, _tell(state, known, why, now, Urgency.PAGE))
    if policy is None:
        return state, ()
    since = known.looked_at or known.since
    due = now - since >= policy.every_ns
    own = state.record is not None and state.record.id == known.order.action_id
    if known.state in _LOOKED_AT and due and not own:  # its own action looks by itself
        state, command = training.look(state, known, now)
        return state, (command,)
    if known.state is _S.MADE:
        return _on_its_ramp(state, known, now)
    return _mark(state, known, now) if policy.marks and due else (state, ())


def outranked(state: LoopState) -> Abort | None:
    """Return the news that a question about a retrain must wait, because somebody suffers now."""
    record, evidence = state.record, state.evidence
    if record is None or record.action.kind is not ActionKind.RETRAIN or evidence is None:
        return None
    if record.state is not ActionState.AWAITING_APPROVAL or not evidence.suspicions:
        return None
    top = evidence.suspicions[0]
    hurts = top.urgent or evidence.slo_met is False
    if top.family is Family.DRIFT or not hurts:
        return None
    return Abort(reason=f"{top.family} at {top.subject} needs healing first", blameless=True)


def _on_its_ramp(state: LoopState, known: Lineage, now: TimeNs) -> Stepped:
    record = state.record
    if record is None or not record.action.beside or record.state.is_terminal:
        return state, ()
    if record.action.first:
        return state, ()  # a setting that is tried, whatever version serves
    begun = record.state not in {ActionState.PROPOSED, ActionState.AWAITING_APPROVAL}
    if not begun or not training.serves(state, known.version):
        return state, ()
    tried = replace(known, canary_id=record.id)
    return training.put(state, tried, _S.TRYING, now, f"{record.id} tries it")


def _asked(parts: LoopParts, state: LoopState, now: TimeNs) -> Stepped:
    """Ask for the canary of a version that stands in its pool; guards and people decide.

    What the guards refuse as things stand, for a cooldown or another action, is asked again while
    there is time. What was begun is not: how it ended, or who said no, is an answer.
    """
    known, policy = training.underway(state), state.managed.training
    if known is None or policy is None or known.state is not _S.MADE or state.wish is not None:
        return state, ()
    waited = now - (known.looked_at or known.since) >= policy.every_ns
    if known.wished and not (known.held_back and waited):
        return state, ()
    free = state.record is None and state.managed.acts
    if not free or not training.serves(state, known.version):
        return state, ()
    wish = CanaryRequested(
        at=now,
        by="homeostat",
        kill=state.kill,
        why=f"version {known.version} came of {known.order.action_id}",
        deployment=state.managed.name,
    )
    asked = replace(known, wished=True, held_back="", looked_at=now)
    state, commands = asking.canary(parts, _changed(state, known, asked), wish)
    if state.record is not None or state.wish is not None:
        return state, commands
    said = "; ".join(one.notice.title for one in commands if isinstance(one, Tell))
    state = _changed(state, asked, replace(asked, held_back=said))
    return state, () if known.held_back else commands  # people are told once


def _mark(state: LoopState, known: Lineage, now: TimeNs) -> Stepped:
    """Write back what became of a version, at most so often, and never from a shadow."""
    fresh = known.marked == known.state.value
    if known.state not in _TOLD or fresh or known.marks >= MARKS or not state.managed.acts:
        return state, ()
    number = known.marks + 1
    after = replace(known, marks=number, looked_at=now)
    start, end = _alias(known)
    mark = VersionMark(
        id=f"{known.order.key}.mark.{known.state.value}-{number}",
        key=known.order.key,
        deployment=state.managed.name,
        version=known.version,
        verdict=known.state,
        reason=known.reason,
        deadline=TimeNs(now + state.managed.guard.receipt_deadline_ns),
        alias_from=start,
        alias_to=end,
    )
    return _changed(state, known, after), (MarkVersion(mark=mark),)


def _alias(known: Lineage) -> tuple[str | None, str | None]:
    """Return where the serving alias goes: to what was promoted, and back when it is withdrawn."""
    if known.alias_was is None or known.state is _S.REFUSED:
        return None, None
    if known.state in PROMOTED:
        return known.alias_was, known.version
    moved = known.marked in {one.value for one in PROMOTED}
    return (known.version, known.alias_was) if moved else (None, None)


def _news(
    state: LoopState, before: Lineage | None, after: Lineage | None, now: TimeNs
) -> tuple[Command, ...]:
    """Return what people are told of an order: a version, or that there will be none."""
    if before is None or after is None or before.state is after.state:
        return ()
    if after.state is _S.MADE:
        pool = "" if state.managed.canary is None else f" {state.managed.canary.pool}"
        line = f"bring it to the canary's pool{pool}, without traffic: it is tried from there"
        return (_tell(state, after, after.reason, now, Urgency.INFO, line),)
    if after.state in {_S.FAILED, _S.LOST}:
        return (_tell(state, after, f"retraining: {after.reason}", now, Urgency.PAGE),)
    return ()


def _tell(
    state: LoopState, known: Lineage, title: str, now: TimeNs, urgency: Urgency, *lines: str
) -> Tell:
    notice = Notice(
        key=f"{known.order.action_id}.lineage",
        deployment=state.managed.name,
        at=now,
        urgency=urgency,
        title=f"{known.order.action_id}: {title}",
        lines=lines,
    )
    return Tell(notice=notice)


def _with_key(state: LoopState, key: str) -> Lineage | None:
    return next((one for one in state.lineages if one.order.key == key), None)


def _changed(state: LoopState, old: Lineage, new: Lineage) -> LoopState:
    key = old.order.key
    after = tuple(new if one.order.key == key else one for one in state.lineages)
    return changed(state, lineages=after)
