"""From suspicions to incidents: one onset, one incident, however many ticks it lasts.

A suspicion must persist before it may act, unless its evidence is direct (a dead process). One
that goes away by itself before that was a blip: its incident closes without a decision. Only what
speaks against the sensors may come and go: each scrape is lost or not by itself, so that half of
the samples lost looks well every other time, and is an outage of the metrics all the same.

Rules judge one tick, and evidence flickers at their thresholds: no explanation for a moment is none
against the one before, while another one is. Objectives that stay missed while explanations take
turns are trouble all the same, of a cause that is unclear: that is said after as long as trouble
without any explanation is given, and whichever explanation lasts becomes the incident's.
"""

from dataclasses import replace

from homeostat.base import names
from homeostat.base.evidence import Evidence, Family, Incident, Suspicion
from homeostat.base.policy import GuardPolicy
from homeostat.base.state import LoopState, Streak
from homeostat.base.units import TimeNs

# An objective missed without an explanation is given this much longer to explain itself, and so is
# one that is explained by exclusion: what has just ended looks like that until windows have moved.
UNCLEAR_PATIENCE = 3
PATIENT = frozenset({
    Family.UNCLEAR, Family.WORK, Family.NETWORK, Family.DEPENDENCY, Family.BUDGET,
    Family.CONTROL,
})  # fmt: skip
# Calm ticks that close an incident, in multiples of the persistence asked of a suspicion.
CALM_FACTOR = 2
# Families whose evidence comes and goes with single scrapes: it adds up over gaps that are shorter
# than what is asked of it.
FLICKERS = frozenset({Family.SENSOR})
# After this many calm ticks another suspicion is another incident, not a change of mind.
OVER_TICKS = 3


def follow(
    state: LoopState, evidence: Evidence, now: TimeNs
) -> tuple[Streak | None, Incident | None, int, tuple[tuple[Incident, bool], ...]]:
    """Return the new streak, the open incident, calm ticks, and incidents to record (open?)."""
    top = evidence.suspicions[0] if evidence.suspicions else None
    calm = state.calm_ticks + 1 if top is None and evidence.slo_met is True else 0
    streak = _streak(state, top, evidence, now)
    incident = state.incident
    if incident is None:
        if top is None or streak is None:
            return streak, None, calm, ()
        incident = _opened(state, top, now)
        incident = _confirmed(incident, top, streak, state.managed.guard, now)
        incident = _disputed(incident, streak, state.managed.guard, now)
        return streak, incident, calm, ((incident, True),)
    if top is not None and _is_another(state, incident, top):
        # It was over; what comes now is another trouble, with its own tries and its own page.
        fresh = _opened(state, top, now)
        if streak is not None:
            fresh = _confirmed(fresh, top, streak, state.managed.guard, now)
        return streak, fresh, calm, ((incident, False), (fresh, True))
    guard = state.managed.guard
    if calm >= CALM_FACTOR * guard.persist_scrapes and state.record is None:
        return streak, None, calm, ((incident, False),)
    over = top is None and streak is None and evidence.slo_met is not False
    if incident.confirmed_at is None and over:
        return streak, None, calm, ((incident, False),)
    changed = _disputed(_changed(incident, top, streak, state, now), streak, guard, now)
    return streak, changed, calm, (((changed, True),) if changed != incident else ())


def _is_another(state: LoopState, incident: Incident, top: Suspicion) -> bool:
    """Return whether a suspicion is a new onset, after a calm that was only not yet long enough."""
    same = (incident.family, incident.subject) == (top.family, top.subject)
    settled = incident.confirmed_at is not None and state.record is None
    return settled and not same and state.calm_ticks >= OVER_TICKS


def _streak(
    state: LoopState, top: Suspicion | None, evidence: Evidence, now: TimeNs
) -> Streak | None:
    """Return the streak after one tick; some outlive a gap, and some a lack of an explanation."""
    streak, most_gap = state.streak, state.managed.guard.persist_scrapes - 1
    if top is None:
        flickers = streak is not None and streak.family in FLICKERS and streak.gap < most_gap
        return replace(streak, gap=streak.gap + 1) if flickers and streak is not None else None
    before = 0 if streak is None else streak.missed
    missed = before + 1 if evidence.slo_met is False else 0
    fresh = Streak(family=top.family, subject=top.subject, ticks=1, since=now, missed=missed)
    if streak is None:
        return fresh
    if (streak.family, streak.subject) == (top.family, top.subject):
        return replace(streak, ticks=streak.ticks + 1, gap=0, unclear=0, missed=missed)
    if {streak.family, top.family} <= PATIENT or streak.family == top.family in FLICKERS:
        # One trouble that is understood better or worse from tick to tick.
        return replace(fresh, ticks=streak.ticks + 1, since=streak.since)
    if top.family is Family.UNCLEAR and streak.unclear < OVER_TICKS:
        return replace(streak, unclear=streak.unclear + 1, missed=missed)
    return fresh


def _opened(state: LoopState, top: Suspicion, now: TimeNs) -> Incident:
    return Incident(
        id=f"i-{state.incidents + 1:04d}",
        deployment=state.managed.name,
        family=top.family,
        subject=top.subject,
        opened_at=now,
        confirmed_at=None,
        tries=0,
        escalated=top.family is Family.BUDGET,  # the alert has paged somebody already
        because=top.because,
    )


def _confirmed(
    incident: Incident, top: Suspicion, streak: Streak, guard: GuardPolicy, now: TimeNs
) -> Incident:
    if incident.confirmed_at is not None:
        return incident
    needed = guard.persist_scrapes if guard.evidence_rules else 1
    if top.family in PATIENT:
        needed *= UNCLEAR_PATIENCE
    if top.urgent or streak.ticks >= needed:
        return replace(incident, confirmed_at=now, because=top.because)
    return incident


def _disputed(
    incident: Incident, streak: Streak | None, guard: GuardPolicy, now: TimeNs
) -> Incident:
    """Return the incident, confirmed as unclear where explanations took turns for too long."""
    needed = UNCLEAR_PATIENCE * (guard.persist_scrapes if guard.evidence_rules else 1)
    if incident.confirmed_at is not None or streak is None or streak.missed < needed:
        return incident
    why = f"the objectives were missed {streak.missed} times in a row, and explanations took turns"
    return replace(
        incident,
        family=Family.UNCLEAR,
        subject=names.MODEL,
        confirmed_at=now,
        because=(why, *incident.because),
    )


def _changed(
    incident: Incident,
    top: Suspicion | None,
    streak: Streak | None,
    state: LoopState,
    now: TimeNs,
) -> Incident:
    """Follow a change of mind: the same trouble may be better understood a few ticks later."""
    if top is None or streak is None or streak.unclear:
        return incident  # what nothing explains for a moment is still what it was
    same = (incident.family, incident.subject) == (top.family, top.subject)
    if not same and state.record is None:
        settled = streak.ticks >= state.managed.guard.persist_scrapes or top.urgent
        if incident.confirmed_at is None or settled:
            incident = replace(
                incident,
                family=top.family,
                subject=top.subject,
                because=top.because,
                confirmed_at=None,
                escalated=incident.escalated and incident.family is not Family.BUDGET,
            )
            same = True
    if not same:
        return incident
    return _confirmed(incident, top, streak, state.managed.guard, now)
