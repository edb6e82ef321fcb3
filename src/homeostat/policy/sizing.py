"""How many replicas more an overload asks for, where what is refused tells what one can serve."""

import math
from typing import Final

from homeostat.base import names
from homeostat.base.evidence import Quality
from homeostat.base.guard import GuardState
from homeostat.base.policy import LeverLimit
from homeostat.base.world import ReplicaState, Snapshot

# Where almost everything is refused, what is served says little; the policy's step is the bound.
_MOST: Final = 0.95


def replicas_more(state: GuardState, world: Snapshot, limit: LeverLimit | None) -> int:
    """Return how many replicas more would serve what arrives, at least one.

    Replicas that refuse requests are full: n of them serve the share 1 - f of what arrives. As
    many as n / (1 - f) would serve all of it, and that over the utilisation allowed (G7) serves it
    without queues (the utilisation law, Denning and Buzen 1978). At most what the policy's step
    and bounds allow at once. One where nothing is refused, or nobody knows: then what one replica
    can serve was not seen.

    Args:
        state: What the guards see; read from it are the evidence and the policy.
        world: The deployment as last read back.
        limit: The policy's bounds of the replicas of the stable pool.
    """
    pool = state.managed.stable_pool
    live = world.lever(names.lever_replicas(pool))
    ready = sum(one.pool == pool and one.state is ReplicaState.READY for one in world.replicas)
    refused = _refused(state, world)
    if not isinstance(live, int) or limit is None or refused is None or ready == 0:
        return 1
    if not 0 < live < limit.high:
        return 1  # nothing to work out, whatever a target claims to have
    served = 1.0 - min(refused, _MOST)
    wanted = math.ceil(ready / served / state.managed.guard.utilisation_max) - live
    step = min(math.floor(live * limit.step_up), math.floor(limit.high) - live)
    return max(1, min(wanted, step))


def _refused(state: GuardState, world: Snapshot) -> float | None:
    """Return the share of requests that is refused, None where none is or nobody knows.

    At the gateway or, on average, by the replicas: the larger, because one may be in the other.
    """
    if state.evidence is None:
        return None
    pool = state.managed.stable_pool
    mine = {names.replica(one.name) for one in world.replicas if one.pool == pool}
    known = [
        (entry.subject, entry.value)
        for entry in state.evidence.readings
        if entry.signal == names.REFUSED_RATIO
        and entry.quality is Quality.GOOD
        and entry.value is not None
    ]
    own = [value for subject, value in known if subject in mine]
    shares = [value for subject, value in known if subject == names.GATEWAY]
    shares += [sum(own) / len(own)] if own else []
    most = max(shares, default=0.0)
    return most if most > 0.0 else None
