"""What people are not told of, where a budget of false incidents was asked for.

An incident that rules opened from charts alone, while every objective is met and the tests of the
whole fleet (`detect.fleetwide`), which know the series that it rests on, tell of none: it opens, it
is confirmed, guards and runbook do with it what they do, and nobody is told. The message that it is
suspected, the message that it is over and the page that asks for a person wait until an objective
is missed or not known, the fleet tells, a rule speaks for another reason, or something is done
about it. Then people are told at once, and an incident that was told of stays so.

It takes no part in any decision: but for these messages all that happens is what happens without
it. A question is never withheld, and nothing is that is urgent.
"""

from dataclasses import replace

from homeostat.base.evidence import Evidence, Incident
from homeostat.base.state import LoopState, Telling
from homeostat.base.units import TimeNs

Changes = tuple[tuple[Incident, bool], ...]


def followed(
    state: LoopState, found: Evidence, evidence: Evidence, incident: Incident | None
) -> Telling | None:
    """Return what people know of the open incident after a tick.

    Args:
        state: Before the tick.
        found: The evidence as the senses found it.
        evidence: The same with what was suspected since.
        incident: The open incident after the tick.
    """
    before, last = state.telling, state.incident
    if incident is None or (found.fleetwide is None and before is None):
        return None
    if before is None or before.incident_id != incident.id:
        known = last is not None and last.id == incident.id and last.confirmed_at is not None
        before = Telling(incident_id=incident.id, told=known)
    if before.told or incident.confirmed_at is None:
        return replace(before, held=False)
    still = before.held and _is_calm(state, found, evidence, incident)
    held = still or _is_alone(state, found, evidence, incident)
    return replace(before, told=not held, held=held)


def _is_calm(state: LoopState, found: Evidence, evidence: Evidence, incident: Incident) -> bool:
    """Return whether nothing speaks for a withheld incident any more: that is no news of it."""
    return (
        not found.suspicions
        and not evidence.suspicions
        and found.slo_met is True
        and found.fleetwide is not None
        and found.fleetwide.told is False
        and state.record is None
        and not incident.escalated
    )


def _is_alone(state: LoopState, found: Evidence, evidence: Evidence, incident: Incident) -> bool:
    """Return whether nothing speaks for an incident but charts of which the fleet does not tell."""
    fleet = found.fleetwide
    return (
        fleet is not None
        and fleet.alone
        and fleet.told is False
        and found.slo_met is True
        and evidence.suspicions == found.suspicions
        and state.record is None
        and not incident.escalated
    )


def is_held(telling: Telling | None, incident: Incident | None) -> bool:
    """Return whether people are not told of an incident.

    Args:
        telling: What is known of the open incident.
        incident: The one that is asked about.
    """
    return (
        telling is not None
        and incident is not None
        and telling.held
        and telling.incident_id == incident.id
    )


def heard_of(before: LoopState, after: LoopState, changes: Changes, now: TimeNs) -> Changes:
    """Return the incidents of a tick that people hear of, and whether each is open.

    Args:
        before: Before the tick.
        after: After it.
        changes: Incidents that it opened, changed or closed.
        now: Its time.
    """
    heard = [
        (one, is_open)
        for one, is_open in changes
        if not is_held((after if is_open else before).telling, one)
    ]
    incident = after.incident
    if incident is None or after.telling is None or after.telling.held:
        return tuple(heard)
    if not is_held(before.telling, incident):
        return tuple(heard)
    # It was withheld until now: told as if it were confirmed on this tick.
    rest = [one for one in heard if one[0].id != incident.id]
    late = incident if incident.confirmed_at is None else replace(incident, confirmed_at=now)
    return (*rest, (late, True))
