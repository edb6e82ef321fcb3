"""Which replica is slower than each of its peers, and since when.

A replica whose device has lost some of its speed is well by its probes and hardly odd beside its
own past; beside its peers, which do the same work at the same time, it is. Compared is the device
time of a batch over what its size explains. Whatever is not known this tick ends the comparison:
nothing is concluded over a gap.
"""

import math
from collections.abc import Mapping
from typing import Final

from homeostat.base import names
from homeostat.base.evidence import Evidence, Quality
from homeostat.base.guard import Slower
from homeostat.base.state import LoopState, Pace
from homeostat.base.units import TimeNs
from homeostat.base.world import Replica, ReplicaState, Snapshot
from homeostat.loop.pace import learn, line

# Beside one peer only nobody knows which of the two is odd.
PEERS: Final = 2
# Slower than the median of its peers by so much, and than each of them. Device times of equal
# replicas differ by 5 % from scrape to scrape (standard deviation, recorded episodes of the lab):
# five of them, and it has to last besides.
RATIO: Final = 1.25
_COMPARED: Final = frozenset({names.DEVICE_TIME, names.BATCH_SIZE})


def compared(
    state: LoopState, world: Snapshot, now: TimeNs
) -> tuple[Pace | None, tuple[Slower, ...]]:
    """Return how device time follows batch size, and who is slower than each of its peers.

    Speaks of the stable pool's replicas that run its version: all but a few of what serves. The
    first is learnt while the objectives are met and nothing is suspected.

    Args:
        state: Before; its evidence and calm ticks are already this tick's.
        world: The deployment as read back.
        now: The tick's time.
    """
    pool = state.managed.stable_pool
    version = world.lever(names.lever_version(pool))
    asked = (pool, version, ReplicaState.READY)
    group = [slot for slot in world.replicas if (slot.pool, slot.version, slot.state) == asked]
    if state.evidence is None or not isinstance(version, str) or len(group) <= PEERS:
        return state.pace, ()
    known = _known(state.evidence)
    timed = {slot.name: pair for slot in group if (pair := _pair(slot, known)) is not None}
    slowest = None if len(timed) < len(group) else _slowest(state.pace, version, timed)
    pace = state.pace
    if state.calm_ticks > 0 and slowest is None:
        pace = learn(pace, version, timed.values())
    since = {(one.replica, one.incarnation): one.since for one in state.slower}
    return pace, tuple(
        Slower(
            replica=slot.name,
            incarnation=slot.incarnation,
            since=since.get((slot.name, slot.incarnation), now),
            until=now,
        )
        for slot in group
        if slot.name == slowest
    )


def paces(
    state: LoopState, evidence: Evidence, world: Snapshot
) -> dict[tuple[str, int], float] | None:
    """Return device times over what batch size explains, of the replicas that `compared` compares.

    Args:
        state: Before the tick; how device time follows batch size is learnt there.
        evidence: This tick's.
        world: The deployment as read back.

    Returns:
        By slot and incarnation, for all of the group; None where one of it is not known, or the
        group is too small to tell who is odd.
    """
    pool, pace = state.managed.stable_pool, state.pace
    explains = None if pace is None else line(pace)
    if pace is None or explains is None or world.lever(names.lever_version(pool)) != pace.version:
        return None
    asked = (pool, pace.version, ReplicaState.READY)
    group = [slot for slot in world.replicas if (slot.pool, slot.version, slot.state) == asked]
    known = _known(evidence)
    found = {}
    for slot in group:
        pair = _pair(slot, known)
        if pair is None or explains.at(pair[0]) <= 0.0:
            return None
        found[slot.name, slot.incarnation] = pair[1] / explains.at(pair[0])
    return found if len(group) > PEERS else None


def _known(evidence: Evidence) -> dict[tuple[str, str], float]:
    """Return believed device times and batch sizes, by subject and signal; positive ones only."""
    return {
        (reading.subject, reading.signal): reading.value
        for reading in evidence.readings
        if reading.signal in _COMPARED
        and reading.quality is Quality.GOOD
        and reading.value is not None
        and math.isfinite(reading.value)
        and reading.value > 0.0
    }


def _pair(slot: Replica, known: Mapping[tuple[str, str], float]) -> tuple[float, float] | None:
    """Return a replica's batch size and device time, None where one is not known."""
    subject = names.replica(slot.name)
    size, time = known.get((subject, names.BATCH_SIZE)), known.get((subject, names.DEVICE_TIME))
    return None if size is None or time is None else (size, time)


def _slowest(
    pace: Pace | None, version: str, timed: Mapping[str, tuple[float, float]]
) -> str | None:
    """Return the replica that is slower than each of the others, None if there is none."""
    if pace is None or pace.version != version:
        return None
    explains = line(pace)
    if explains is None:
        return None
    ratios: list[tuple[float, str]] = []
    for name, (size, time) in timed.items():
        expected = explains.at(size)
        if expected <= 0.0:
            return None
        ratios.append((time / expected, name))
    *others, (most, name) = sorted(ratios)
    median = others[(len(others) - 1) // 2][0]
    return name if most >= RATIO * median and most > others[-1][0] else None
