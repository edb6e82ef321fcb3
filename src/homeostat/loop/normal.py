"""A person says that what a deployment does now is its new normal, and what the loop makes of it.

The word is bound to the open incident, and taken only while the objectives are known to be met and
nothing of ours is in flight: a level that hurts, or whose effect nobody sees, is not normal. Taken
is what is off now: the charts' rows and the score's columns begin anew on the next tick, from its
last values (`sense.begun_anew`). No line of any rule or guard moves, and no word is remembered: the
next departure, from there, is an incident like any other.
"""

from dataclasses import replace
from typing import Final

from homeostat.base.decisions import Notice, Urgency
from homeostat.base.events import Command, Tell
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs
from homeostat.base.words import CalledNormal
from homeostat.loop.parts import LoopParts

FRESH_SCRAPES: Final = 3
"""A tick older than this says nothing of now."""


def refused(state: LoopState, incident_id: str, now: TimeNs) -> str | None:
    """Return why a word is not taken, None where it is.

    Args:
        state: Of the deployment.
        incident_id: What it is about.
        now: When it is said.
    """
    incident, evidence = state.incident, state.evidence
    if incident is None or incident.id != incident_id:
        return f"{incident_id} is not open: only what is off now can be called normal"
    if state.record is not None:
        return f"{state.record.id} is in flight: what it changes is seen once it is over"
    most = FRESH_SCRAPES * state.managed.scrape_ns
    if evidence is None or evidence.slo_met is None or not 0 <= now - evidence.at <= most:
        return "it is not known whether the objectives are met now: what is not seen is not normal"
    if not evidence.slo_met:
        return "the objectives are missed now: a level that hurts is not normal; change the promise"
    if state.accounts is not None and state.accounts.paging:
        burns = ", ".join(state.accounts.paging)
        return f"a budget burns ({burns}): a level that hurts is not normal; change the promise"
    return None


def called(_: LoopParts, state: LoopState, event: CalledNormal) -> tuple[LoopState, tuple[Command]]:
    """Take a person's word, if it can be taken; the next tick carries it out."""
    why_not = refused(state, event.incident_id, event.at)
    said = f"{event.by} says that {event.incident_id} is the new normal"
    if why_not is None:
        state = replace(state, anew=event.at)
    title = f"{said}: {why_not or 'what is off begins anew'}"
    name = state.managed.name
    notice = Notice(
        key=f"{name}.normal", deployment=name, at=event.at, urgency=Urgency.INFO, title=title
    )
    return state, (Tell(notice=notice),)
