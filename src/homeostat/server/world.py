"""Puts the snapshots of one deployment's actuators together into one."""

from homeostat.base.policy import Managed
from homeostat.base.world import Snapshot


def compose(managed: Managed, found: tuple[Snapshot, ...]) -> Snapshot | None:
    """Return one snapshot, None if the actuator that knows the replicas could not be read.

    A traffic actuator that could not be read leaves its levers out: what is absent has no value,
    so no action on it can be named.
    """
    base = next((seen for seen in found if seen.stamp(managed.scale_actuator) is not None), None)
    if base is None:
        return None
    levers = sorted({lever: value for seen in found for lever, value in seen.levers}.items())
    stamps = sorted((stamp for seen in found for stamp in seen.stamps), key=lambda s: s.actuator)
    return Snapshot(
        deployment=managed.name,
        observed_at=min(seen.observed_at for seen in found),
        replicas=base.replicas,
        releases=base.releases,
        levers=tuple(levers),
        stamps=tuple(stamps),
        spares=base.spares,
        changing=any(seen.changing for seen in found),
    )
