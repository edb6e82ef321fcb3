"""What a reading of the target says about one write: is it live, and can it still land?

Judges levers, stamps and tokens only; decides nothing about the action's state.
"""

from enum import StrEnum

from homeostat.base.intent import ActionRecord, Intent
from homeostat.base.units import TimeNs
from homeostat.base.world import Levers, Snapshot, Stamp
from homeostat.loop.protocol_values import Timing


class Where(StrEnum):
    """Where the live levers stand, seen from one intent."""

    UNREADABLE = "unreadable"  # not read, incomplete, or provably older than the intent
    POST = "post"  # every lever at the intent's post-image
    PRE = "pre"  # every lever at the intent's pre-image
    PARTIAL = "partial"  # each lever at one of the two, not all at the same
    OTHER = "other"  # at least one lever where neither image has it


def where(intent: Intent, world: Snapshot | None) -> Where:
    """Return where the intent's levers stand in a reading.

    A reading whose token is older than the one the intent was made against is stale, whatever
    its time says.
    """
    stamp = world.stamp(intent.actuator) if world is not None else None
    if world is None or stamp is None or _older(stamp.token, intent.token):
        return Where.UNREADABLE
    live = values(world, intent.post)
    if live is None:
        return Where.UNREADABLE
    if live == intent.post:
        return Where.POST
    if live == intent.pre:
        return Where.PRE
    images = zip(live, intent.pre, intent.post, strict=True)
    both = all(now in {before, after} for now, before, after in images)
    return Where.PARTIAL if both else Where.OTHER


def values(world: Snapshot, levers: Levers) -> Levers | None:
    """Return the live values of the named levers, None if one of them is not reported."""
    live = []
    for name, _ in levers:
        value = world.lever(name)
        if value is None:
            return None
        live.append((name, value))
    return tuple(live)


def cannot_land(intent: Intent, world: Snapshot, timing: Timing) -> bool:
    """Return whether the reading proves that the intent can no longer land.

    With compare-and-set the target has moved past the token; without, the request has had longer
    than it can live in the network.
    """
    if intent.token is None:
        return world.observed_at >= intent.deadline + timing.quiesce_ns
    stamp = world.stamp(intent.actuator)
    if stamp is None or stamp.token is None:
        return False
    return stamp.token != intent.token and not _older(stamp.token, intent.token)


def landed_as_ours(intent: Intent, world: Snapshot) -> bool:
    """Return whether the stamp says that exactly this intent was the last to land.

    A target that keeps no stamps cannot tell; there the levers' values have to do.
    """
    stamp = world.stamp(intent.actuator)
    if stamp is None:
        return False
    if intent.token is None:
        return _unsaid_or_ours(stamp, intent.action_id)
    return stamp.intent == intent.id


def untouched(intent: Intent, world: Snapshot) -> bool:
    """Return whether the target's stamp is the one the intent was made on: it never landed.

    Levers at the pre-image alone do not say so: the write may have landed and been reverted by
    somebody else. A target that had no stamp of ours to begin with cannot tell the two apart.
    """
    stamp = world.stamp(intent.actuator)
    return stamp is not None and (intent.token is None or stamp.intent == intent.stamp)


def still_ours(intent: Intent, world: Snapshot) -> bool:
    """Return whether nobody else has written since this action's last write landed."""
    stamp = world.stamp(intent.actuator)
    if stamp is None:
        return False
    if intent.token is None:
        return _unsaid_or_ours(stamp, intent.action_id)
    return stamp.intent is not None and stamp.intent.startswith(f"{intent.action_id}.")


def seen_since(record: ActionRecord, world: Snapshot | None) -> bool:
    """Return whether the reading was taken in the record's present state."""
    return world is not None and world.observed_at >= record.state_since


def is_fresh(world: Snapshot | None, now: TimeNs, timing: Timing) -> bool:
    """Return whether a write may rest on this reading."""
    return world is not None and 0 <= now - world.observed_at <= timing.fresh_ns


def is_deposed(record: ActionRecord, world: Snapshot) -> bool:
    """Return whether the target has seen a later controller than the record's."""
    stamp = world.stamp(record.action.actuator)
    return stamp is not None and stamp.epoch is not None and stamp.epoch > record.epoch


def _unsaid_or_ours(stamp: Stamp, action_id: str) -> bool:
    return stamp.intent is None or stamp.intent.startswith(f"{action_id}.")


def _older(seen: str | None, made: str | None) -> bool:
    """Return whether both tokens are counters and the seen one is lower.

    Counters are what the local host uses and what Kubernetes promises for resource versions;
    opaque tokens are never called older.
    """
    if seen is None or made is None or not (seen.isdecimal() and made.isdecimal()):
        return False
    return int(seen) < int(made)
