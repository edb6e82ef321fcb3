"""Puts the snapshots of one deployment's actuators together into one."""

from dataclasses import replace

from homeostat.base import names
from homeostat.base.policy import Managed
from homeostat.base.ports import Capabilities
from homeostat.base.world import ReplicaState, Snapshot


def told_apart(world: Snapshot, can: Capabilities) -> Snapshot:
    """Return a snapshot without the settings of which no replica's own value was told, and should.

    Nothing told would read as nothing there, and all replicas would get at once what some could try
    first. Of a setting that is absent no action can be named; the rest of the reading stays.

    Args:
        world: As an actuator read it.
        can: What that actuator declares.
    """
    serve = {one.name for one in world.replicas if one.state is ReplicaState.READY}
    if not serve:
        return world
    own = [of for lever, _ in world.levers if (of := names.own(lever)) is not None]
    told = {setting for setting, slot in own if slot in serve}
    lost = set(can.one_first) - told
    if not any(lever in lost for lever, _ in world.levers):
        return world
    return replace(world, levers=tuple(pair for pair in world.levers if pair[0] not in lost))


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
