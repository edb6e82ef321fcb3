"""How many requests at once the stable pool had room for, lately, for the guard that keeps half.

Replicas in rotation times what each may have in flight. Room on trial (more requests in flight
that are still being verified) is no room that was there.
"""

import math

from homeostat.base import names
from homeostat.base.actions import ActionKind
from homeostat.base.guard import CAPACITY_NS
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs
from homeostat.base.world import Scalar, Snapshot

Rooms = tuple[tuple[TimeNs, int], ...]


def rooms(state: LoopState, world: Snapshot, count: int, now: TimeNs) -> Rooms:
    """Return decreasing maxima of the room within half an hour, in thousandths of a request.

    Args:
        state: What is remembered so far.
        world: The deployment as last read.
        count: The stable pool's replicas in rotation.
        now: The time.
    """
    kept = tuple(one for one in state.rooms if now - one[0] <= CAPACITY_NS)
    each = _each(state, world)
    if each is None:
        return kept  # what cannot be read makes nothing of what was there forgotten
    room = count * each
    return (*(one for one in kept if one[1] > room), (now, room))


def _each(state: LoopState, world: Snapshot) -> int | None:
    """Return what one replica may have in flight, in thousandths; one request without a lever."""
    live = world.lever(names.CONCURRENCY)
    record = state.record
    if live is None or record is None or record.action.kind is not ActionKind.RESIZE_UP:
        return 1000 if live is None else _milli(live)
    known = [_milli(live), _milli(dict(record.first_pre).get(names.CONCURRENCY, live))]
    return min((one for one in known if one is not None), default=None)


def _milli(value: Scalar) -> int | None:
    if isinstance(value, str) or not math.isfinite(value):
        return None
    return round(value * 1000)
