"""Whether a pool stands by: nothing is known of its answers, because nobody asked it yet.

A fallback without traffic has no errors and no latency to be judged by, however well it is. That is
no proof that it serves, and no sign that it does not: a person may know more.
"""

from homeostat.base import names
from homeostat.base.evidence import Verdict
from homeostat.base.world import ReplicaState
from homeostat.safety import capacity
from homeostat.safety.sight import Sight


def standby(pool: str, sight: Sight) -> bool | None:
    """Return whether a pool is idle and ready; None where its share of traffic is unknown.

    True needs no traffic, a replica in rotation, a good probe of each of them, none on its way out
    of failure, nothing suspected and nothing anomalous in it.
    """
    shares = capacity.shares(sight)
    if shares is None:
        return None
    inside = sight.replicas(pool)
    ready = [slot.name for slot in inside if slot.state is ReplicaState.READY]
    subjects = {names.pool(pool), *(names.replica(slot.name) for slot in inside)}
    odd = any(
        subject in subjects and reading.verdict is Verdict.ANOMALOUS
        for (subject, _), reading in sight.readings.items()
    )
    return (
        shares.get(pool, 0) == 0
        and bool(ready)
        and all(name in sight.healthy and name in sight.probed for name in ready)
        and not any(slot.name in sight.failing for slot in inside)
        and not any(subject in subjects for subject, _ in sight.suspects)
        and not odd
    )
