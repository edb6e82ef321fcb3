"""Policy `runbook`: the shipped runbook behind the shipped guards, and nothing else.

It acts on the first suspicion of every scrape. It differs from `homeostat` by what that adds:
incidents with persistence and tries, verification of every action, undo of what harmed, read-back
of writes whose fate is unknown, and holding while an action is in flight (here only the cooldown
and the platform's own change hold it back). A ramp is climbed a rung at a time, unverified.
"""

from homeostat.base.actions import HOLD, Action, SafeSet
from homeostat.base.evidence import Incident, Suspicion
from homeostat.base.policy import Managed
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs
from homeostat.lab.controller import Controller, Mind
from homeostat.lab.controller_direct import Direct
from homeostat.lab.controller_platform import Platform
from homeostat.lab.types import Episode
from homeostat.loop import memory
from homeostat.policy import runbook
from homeostat.safety.permit import permit


def runbook_policy(*, person: bool = True, scale: float = 1.0) -> Controller:
    """Return the runbook as a policy.

    Args:
        person: Whether who is paged comes and repairs, as the human model has it.
        scale: Multiplies every delay of the human model.
    """
    return Controller("runbook", think=_think, person=person, scale=scale, health=False)


def choose(state: LoopState, now: TimeNs) -> tuple[Action, SafeSet]:
    """Return the runbook's first permitted action against what is suspected now."""
    seen, incident = memory.guard_state(state), suspected(state, now)
    wanted, because = runbook.candidates(incident, seen, ())
    if incident is None and state.calm_ticks < state.managed.guard.scale_in_scrapes:
        wanted = ()  # as in the loop: nothing is taken away before a long calm
    safe_set = permit(wanted, seen, now)
    return (runbook.choose(wanted, safe_set, because).action if wanted else HOLD), safe_set


def _think(_: Episode, managed: Managed, platform: Platform) -> Mind:
    return Direct(managed, platform, choose)


def suspected(state: LoopState, now: TimeNs) -> Incident | None:
    """Return the first suspicion of this tick as the incident that the runbook is keyed by."""
    evidence = state.evidence
    if evidence is None or not evidence.suspicions:
        return None
    return _incident(evidence.suspicions[0], evidence.deployment, now)


def _incident(suspicion: Suspicion, deployment: str, now: TimeNs) -> Incident:
    """Return the suspicion as the incident that the runbook is keyed by."""
    return Incident(
        id="i-0001",
        deployment=deployment,
        family=suspicion.family,
        subject=suspicion.subject,
        opened_at=now,
        confirmed_at=now,
        tries=0,
        escalated=False,
        because=suspicion.because,
    )
