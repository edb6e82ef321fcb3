"""Keeps the books at each tick, and tells people when an error budget begins to burn or stops."""

from dataclasses import replace

from homeostat.base.decisions import Notice, Urgency
from homeostat.base.events import Command, Tell
from homeostat.base.evidence import Evidence
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs
from homeostat.loop.parts import LoopParts


def kept(
    parts: LoopParts, state: LoopState, evidence: Evidence, now: TimeNs
) -> tuple[LoopState, tuple[Command, ...]]:
    """Return the state with its books brought up to date, and what people are told of it."""
    if parts.account is None:
        return state, ()
    before = () if state.accounts is None else state.accounts.firing
    accounts = parts.account(state.accounts, state.managed, evidence, now)
    after = () if accounts is None else accounts.firing
    paging = () if accounts is None else accounts.paging
    on = [label for label in after if label not in before]
    off = [label for label in before if label not in after]
    commands = [
        _notice(state, label, now, "burns", Urgency.PAGE if label in paging else Urgency.INFO)
        for label in on
    ]
    commands += [_notice(state, label, now, "no longer burns", Urgency.INFO) for label in off]
    return replace(state, accounts=accounts), tuple(commands)


def _notice(state: LoopState, label: str, now: TimeNs, verb: str, urgency: Urgency) -> Tell:
    name = state.managed.name
    promise, _, factor = label.rpartition(" ")
    title = f"the error budget of {promise} {verb} {factor} as fast as it may"
    notice = Notice(key=f"{name} {label}", deployment=name, at=now, urgency=urgency, title=title)
    return Tell(notice=notice)
