"""Keeps the books at each tick, and tells people when an error budget begins to burn or stops.

A budget that burns fast enough to call a person is suspected as such, last of all: an incident
where no rule of the tick knows a cause, also where no objective of the tick is missed.
"""

from dataclasses import replace
from typing import Final

from homeostat.base.changed import changed
from homeostat.base.decisions import Notice, Urgency
from homeostat.base.events import Command, Tell
from homeostat.base.evidence import Evidence, Family, Suspicion
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
    if accounts is state.accounts:
        return state, tuple(commands)
    return changed(state, accounts=accounts), tuple(commands)


# Above UNLIKE_ITSELF, which is only watched: hours of failed requests are felt. Below every rule.
CONFIDENCE: Final = 0.15


def suspected(state: LoopState, evidence: Evidence) -> Evidence:
    """Return the evidence with the budgets that burn among what is suspected.

    Args:
        state: Its books brought up to this tick (`kept`).
        evidence: This tick's.
    """
    accounts = state.accounts
    if accounts is None or not accounts.paging:
        return evidence
    by_name = {spec.name: spec for spec in state.managed.slos}
    burnt = [label.rpartition(" ") for label in accounts.paging]
    subjects = [by_name[name].subject for name, _, _ in burnt if name in by_name]
    if not subjects:
        return evidence
    because = tuple(
        f"the error budget of {name} burns {factor} as fast as it may" for name, _, factor in burnt
    )
    if evidence.slo_met is True:
        because = (*because, "no objective of the tick is missed: it is little, and for long")
    found = Suspicion(
        family=Family.BUDGET, subject=subjects[0], confidence=CONFIDENCE, because=because
    )
    # Stable: what is as confident as it stays before it.
    ranked = sorted((*evidence.suspicions, found), key=lambda one: -one.confidence)
    return replace(evidence, suspicions=tuple(ranked))


def _notice(state: LoopState, label: str, now: TimeNs, verb: str, urgency: Urgency) -> Tell:
    name = state.managed.name
    promise, _, factor = label.rpartition(" ")
    title = f"the error budget of {promise} {verb} {factor} as fast as it may"
    notice = Notice(key=f"{name} {label}", deployment=name, at=now, urgency=urgency, title=title)
    return Tell(notice=notice)
