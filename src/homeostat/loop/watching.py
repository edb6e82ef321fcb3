"""What each pool had to carry lately: how long it was watched, and the most there was.

Capacity that is idle now may be what the next peak needs, so whoever takes it away must know more
than the present load. Kept are maxima over a twelfth of the window each: coarse on the safe side,
because a peak is forgotten only with the whole stretch that it lies in. What is not seen for longer
than such a stretch could have been anything: the watch begins anew.
"""

import math
from typing import Final

from homeostat.base import names
from homeostat.base.evidence import Evidence, Quality
from homeostat.base.guard import Load
from homeostat.base.policy import Managed
from homeostat.base.units import TimeNs
from homeostat.base.world import ReplicaState, Snapshot

# Five minutes of an hour: a restart of the controller or a lost page is no gap, an outage is.
STRETCHES: Final = 12


def watch(
    before: tuple[Load, ...],
    evidence: Evidence | None,
    world: Snapshot,
    managed: Managed,
    now: TimeNs,
) -> tuple[Load, ...]:
    """Return the loads after one tick.

    Args:
        before: As the last tick returned them.
        evidence: The tick's, None if there is none.
        world: The deployment as read back.
        managed: Its configuration.
        now: The tick's time.

    Returns:
        By pool, oldest first within each; a pool that is no more is forgotten.
    """
    window = round(managed.guard.watch_scrapes * managed.scrape_ns)
    stretch = window // STRETCHES
    out: list[Load] = []
    for pool, milli in sorted(_carried(evidence, world).items()):
        kept = [one for one in before if one.pool == pool and now - one.until <= window]
        # A clock that went back tells nothing either.
        if kept and not 0 <= now - kept[-1].until <= stretch:
            kept = []
        if milli is not None:
            last = kept[-1] if kept else None
            if last is None or now - last.since >= stretch:
                kept.append(Load(pool=pool, since=now, until=now, milli=milli))
            else:
                most = max(last.milli, milli)
                kept[-1] = Load(pool=pool, since=last.since, until=now, milli=most)
        out.extend(kept)
    return tuple(out)


def _carried(evidence: Evidence | None, world: Snapshot) -> dict[str, int | None]:
    """Return the work of every pool in thousandths of a replica's capacity, None for unknown."""
    ready: dict[str, int] = {}
    serves = ReplicaState.READY
    for replica in world.replicas:
        up = replica.state is serves
        ready[replica.pool] = ready.get(replica.pool, 0) + up
    used: dict[str, float] = {}
    wanted = names.UTILISATION
    for reading in evidence.readings if evidence is not None else ():
        if reading.signal == wanted and reading.quality is Quality.GOOD:
            value = reading.value
            if value is not None and math.isfinite(value) and value >= 0.0:
                used[reading.subject] = value
    return {
        pool: round(1000 * used[names.pool(pool)]) * count if names.pool(pool) in used else None
        for pool, count in ready.items()
    }
