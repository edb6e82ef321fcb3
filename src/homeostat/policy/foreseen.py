"""What may be done about what is only foreseen: one more replica, and nothing else.

A forecast is no observation. Acting on it is only ever adding capacity, one replica at a time and
where a person has granted that kind; it never sheds, shifts, rolls back or enlarges a batch, and it
wakes nobody: when what was foreseen comes, it is felt and answered as what it is. A process on its
way to its memory limit, or to a device's, is restarted as the replica's trouble that it is
(`Family.MEMORY`, `Family.DEVICE_MEMORY`).
"""

from homeostat.base.actions import ActionKind
from homeostat.base.evidence import Incident
from homeostat.base.family import only_foreseen
from homeostat.base.policy import GuardPolicy, Mode


def is_foreseen(incident: Incident) -> bool:
    """Return whether an incident is of what is not there yet.

    A load of a pool, not the gateway (`detect.forecast_load` names it), or front ends of the model,
    not a pool (`detect.causes_core`).
    """
    return only_foreseen(incident.family, incident.subject)


def may_add(mode: Mode, guard: GuardPolicy) -> bool:
    """Return whether capacity may be added on a forecast: nobody is asked because of one."""
    return mode is Mode.AUTO and ActionKind.SCALE_UP in guard.auto_kinds
