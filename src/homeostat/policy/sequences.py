"""How many sequences fit: what a server of tokens shows of its device memory, for the batch lever.

None of it is there where no tokens are served, and then nothing is said.
"""

from statistics import median

from homeostat.base import names
from homeostat.base.evidence import Quality
from homeostat.base.guard import GuardState
from homeostat.base.world import Levers, ReplicaState, Snapshot


def put_back(state: GuardState, world: Snapshot) -> bool:
    """Return whether most servers of the stable pool put sequences back and repeat their work."""
    shares = _known(state, world, names.PREEMPTION_RATIO)
    return bool(shares) and median(shares) > 0.0


def serves_more(state: GuardState, world: Snapshot, change: Levers) -> bool:
    """Return whether a smaller batch would serve more, because less is put back.

    What is put back is worked on again: the device does 1 + that share of the work. At worst a
    smaller batch takes as long as the larger one did without it; so it gains where the work saved
    is more than the share of the batch that is given up. Measured in the lab's twin: halving the
    batch where a tenth to a half of the sequences were put back cost more than it saved.
    """
    shares = _known(state, world, names.PREEMPTION_RATIO)
    live = world.lever(names.BATCH_MAX)
    wanted = dict(change).get(names.BATCH_MAX)
    if not shares or not isinstance(live, int | float) or not isinstance(wanted, int | float):
        return False
    return (1.0 + median(shares)) * wanted > live


def would_fit(state: GuardState, world: Snapshot, change: Levers) -> bool:
    """Return whether the sequences of a larger batch would fit; also where nothing says so.

    As many times the memory as the batch becomes larger: a full batch is in work when this is
    asked. What does not fit is not served sooner but put back and worked on twice.
    """
    used = _known(state, world, names.KV_USAGE)
    live = world.lever(names.BATCH_MAX)
    wanted = dict(change).get(names.BATCH_MAX)
    if not used or not isinstance(live, int | float) or not isinstance(wanted, int | float):
        return True
    return median(used) * wanted <= live


def _known(state: GuardState, world: Snapshot, signal: str) -> list[float]:
    if state.evidence is None:
        return []
    mine = {
        names.replica(slot.name)
        for slot in world.replicas
        if slot.pool == state.managed.stable_pool and slot.state is ReplicaState.READY
    }
    return [
        entry.value
        for entry in state.evidence.readings
        if entry.signal == signal
        and entry.subject in mine
        and entry.quality is Quality.GOOD
        and entry.value is not None
    ]
