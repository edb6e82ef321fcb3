"""What kind of fault is suspected: one word for each, used by rules, runbook and people."""

from enum import StrEnum

from homeostat.base import names


class Family(StrEnum):
    """What kind of fault is suspected; the runbook is keyed by it."""

    REPLICA = "replica"  # one replica slow, failing or gone while its peers are well
    HUNG = "hung"  # a process is there, takes requests and finishes none
    OUTAGE = "outage"  # most of a pool ended at once: a common cause, and who knows which
    MEMORY = "memory"  # one process on its way to its limit
    RELEASE = "release"  # every replica of the newest version, the older one clean
    OUTPUT = "output"  # predictions break while features are unchanged
    LOAD = "load"  # arrivals up, device time flat
    BATCHING = "batching"  # batches at their cap, arrivals flat
    FILLING = "filling"  # requests are held back until batches fill, devices idle meanwhile
    DRIFT = "drift"  # inputs moved, predictions and labels with them
    SENSOR = "sensor"  # the data cannot be believed
    WORK = "work"  # a request takes more than it did, arrivals flat, all replicas alike
    FRONTEND = "frontend"  # requests wait in the server while its device idles
    NETWORK = "network"  # replicas are well and hard to reach
    DEPENDENCY = "dependency"  # replicas are well and reachable, what they depend on is not
    STARTING = "starting"  # users suffer because most of what serves them is still coming up
    QUALITY = "quality"  # answers changed a little, inputs are what they were
    BUDGET = "budget"  # an error budget burns, though no objective of the tick is missed
    CONTROL = "control"  # users suffer after somebody else moved a lever
    DEVICE_MEMORY = "device_memory"  # an accelerator's memory grows towards its end
    UNCLEAR = "unclear"  # the objective is missed and nothing above explains it


def only_foreseen(family: Family, subject: str) -> bool:
    """Return whether a suspicion is of what is not there yet: a forecast, and no observation.

    Load that is felt is suspected at the gateway; at a pool it is foreseen. Front ends whose
    requests wait are a pool's; those that will run out of their core are the model's.

    Args:
        family: What is suspected.
        subject: Of what.
    """
    if family is Family.FRONTEND:
        return subject == names.MODEL
    return family is Family.LOAD and subject.startswith(names.pool(""))
