"""What may be done about what is only foreseen: one more replica, and nothing else.

A forecast is no observation. Acting on it is only ever adding capacity, one replica at a time and
where a person has granted that kind; it never sheds, shifts, rolls back or enlarges a batch, and it
wakes nobody: when what was foreseen comes, it is felt and answered as what it is. A process on its
way to its memory limit, or to a device's, is restarted as the replica's trouble that it is
(`Family.MEMORY`, `Family.DEVICE_MEMORY`).
"""

from homeostat.base.actions import ActionKind
from homeostat.base.evidence import Family, Incident
from homeostat.base.policy import GuardPolicy, Mode


def is_foreseen(incident: Incident) -> bool:
    """Return whether an incident is a load that is not there yet: one of a pool, not the gateway.

    See `detect.forecast_load`, which names it.
    """
    return incident.family is Family.LOAD and incident.subject.startswith("pool:")


def may_add(mode: Mode, guard: GuardPolicy) -> bool:
    """Return whether capacity may be added on a forecast: nobody is asked because of one."""
    return mode is Mode.AUTO and ActionKind.SCALE_UP in guard.auto_kinds
