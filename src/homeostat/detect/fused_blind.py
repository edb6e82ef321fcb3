"""Is enough of a deployment seen to call it healthy?

A score of what is left says nothing of what is gone: with one series of twenty it is that of one
series. So where less than `SEEN` of the series that should be there can be believed, a deployment
is unknown and not healthy. What should be there are the charted series of the gateway, the model
and the pools, and of the replicas that serve now: one that is starting, draining or gone owes
nothing, or every rollout would be unknown; where the world could not be read, all are owed. A
series that is read and summarises too few requests is seen: a quiet night is no blindness.

Not here: what is anomalous. A few series may show that something is wrong.
"""

from typing import Final

import numpy as np

from homeostat.base import names
from homeostat.base.evidence import Evidence, Quality
from homeostat.base.ports import SignalsLike
from homeostat.base.world import ReplicaState
from homeostat.detect.layout import Layout, Part

SEEN: Final = 0.5
"""Share of the series that should be there, below which nothing is called healthy."""
_READ: Final = frozenset({Quality.GOOD, Quality.FEW})


def blind(signals: SignalsLike, layout: Layout, evidence: Evidence) -> bool:
    """Return whether too little of a deployment is seen to call it healthy.

    Args:
        signals: The tick's aligned series.
        layout: Their rows.
        evidence: What is said of the deployment; its world says which replicas serve.
    """
    part = layout.parts.get(evidence.deployment)
    if part is None:
        return True
    first = layout.first[evidence.deployment]
    rows = np.flatnonzero(part.charted)
    if np.isfinite(signals.values[first + rows]).all():
        return not rows.size
    serving = _serving(evidence)
    owed = [row for row in rows.tolist() if _serves(part, row, serving)]
    seen = sum(signals.quality[first + row] in _READ for row in owed)
    return seen < SEEN * len(owed) or not owed


def _serving(evidence: Evidence) -> frozenset[str] | None:
    """Return the subjects of the replicas that serve; None where nobody knows."""
    if evidence.world is None:
        return None
    return frozenset(
        names.replica(one.name)
        for one in evidence.world.replicas
        if one.state is ReplicaState.READY
    )


def _serves(part: Part, row: int, serving: frozenset[str] | None) -> bool:
    """Return whether a series should be there."""
    subject = part.subjects[row]
    return serving is None or not subject.startswith("replica:") or subject in serving
