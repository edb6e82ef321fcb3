"""Which replicas' own values of a setting are ended where that setting is written for all.

One that the write does not name is somebody's word: no undo of ours restores it.
"""

from homeostat.base import names
from homeostat.base.world import Levers, ReplicaState, Snapshot


def apart(setting: str, world: Snapshot) -> bool:
    """Return whether some replica is known to have another value of a setting than all have."""
    return any(
        value != 0 and (of := names.own(lever)) is not None and of[0] == setting
        for lever, value in world.levers
    )


def ended(change: Levers, world: Snapshot) -> Levers | None:
    """Return the own values that a change ends without naming them; None where that is not known.

    It is not known where own values are told of some replicas that serve and not of others. Where
    none is told, none can be had: of a target that can, the setting itself then counts as not read.

    Args:
        change: Levers and the values that would be written.
        world: The deployment as read back.

    >>> from homeostat.base.units import TimeNs
    >>> seen = Snapshot(
    ...     deployment="m", observed_at=TimeNs(0), replicas=(), releases=(), stamps=(),
    ...     levers=(("batch_max", 8), ("batch_max.a-1", 0), ("batch_max.a-2", 4)),
    ... )
    >>> ended((("batch_max", 16),), seen), ended((("batch_max", 16), ("batch_max.a-2", 0)), seen)
    ((('batch_max.a-2', 4),), ())
    """
    written = {lever for lever, _ in change}
    told = {lever: value for lever, value in world.levers if names.own(lever) is not None}
    divided = {of[0] for lever in (*told, *written) if (of := names.own(lever)) is not None}
    settings = [lever for lever in names.OF_EACH if lever in written & divided]
    lost = tuple(
        (lever, value)
        for lever, value in told.items()
        if value != 0 and lever not in written and lever.partition(".")[0] in settings
    )
    if lost:
        return lost
    serve = [one.name for one in world.replicas if one.state is ReplicaState.READY]
    known = (names.lever_own(setting, slot) in told for setting in settings for slot in serve)
    return () if all(known) else None
