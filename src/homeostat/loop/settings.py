"""Which values of a setting served well: what a way back may lead to.

A setting is a lever whose value is right or wrong by itself: the largest batch, the longest wait
for it, the requests held at once. It is trusted as a version is: after enough ticks in a row with
the objectives met and nothing suspected, and no replica with a value of its own. What it served
then is kept with it, because a setting that is well with little to do says nothing of much.
"""

import math
from dataclasses import replace
from typing import Final

from homeostat.base import names
from homeostat.base.evidence import Evidence, Quality
from homeostat.base.guard import Setting
from homeostat.base.own_values import apart
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs
from homeostat.base.world import ReplicaState, Snapshot

SETTINGS: Final = (names.BATCH_MAX, names.BATCH_WAIT, names.CONCURRENCY)


def settings(state: LoopState, world: Snapshot, needed: int, now: TimeNs) -> tuple[Setting, ...]:
    """Return what is known of the settings after one tick.

    Args:
        state: Before; its evidence and calm ticks are already this tick's.
        world: The deployment as read back.
        needed: Ticks in a row after which a value is trusted.
        now: The tick's time.

    Returns:
        For each setting that the deployment has: the value that last served well, unless it is
        live, and then the live one.
    """
    pool = state.managed.stable_pool
    rate, version = _rate(state.evidence, world, pool), str(world.lever(names.lever_version(pool)))
    out: list[Setting] = []
    for lever in SETTINGS:
        value = world.lever(lever)
        kept = [one for one in state.settings if (one.lever, one.version) == (lever, version)]
        if value is None:
            out += kept  # not read this time; how long it was not seen is told by its times
            continue
        served = [one for one in kept if one.served]
        before = next((one for one in kept if one.value == value), None)
        if before is None:
            before = Setting(lever=lever, value=value, version=version, since=now, until=now)
        elif before is not kept[-1]:
            # Back where it was: what it served stands, but it has to serve anew from here.
            before = replace(before, since=now, ticks=0)
        well = state.calm_ticks > 0 and not apart(lever, world)
        live = _ticked(before, rate, needed, now, well=well)
        out += [one for one in served[-1:] if one.value != value and not live.served]
        out.append(live)
    return tuple(out)


def _ticked(one: Setting, rate: int | None, needed: int, now: TimeNs, *, well: bool) -> Setting:
    ticks = one.ticks + 1 if well else 0
    most = max(one.rate_milli, rate or 0) if well else one.rate_milli
    return Setting(
        lever=one.lever,
        value=one.value,
        version=one.version,
        since=one.since,
        until=now,
        ticks=ticks,
        served=one.served or ticks >= needed,
        rate_milli=most,
    )


def _rate(evidence: Evidence | None, world: Snapshot, pool: str) -> int | None:
    """Return requests per second and replica in rotation, in thousandths; None for unknown."""
    serves = ReplicaState.READY
    ready = sum(slot.state is serves and slot.pool == pool for slot in world.replicas)
    for reading in evidence.readings if evidence is not None and ready else ():
        if (reading.subject, reading.signal) == (names.GATEWAY, names.ARRIVAL_RATE):
            value = reading.value
            if reading.quality is not Quality.GOOD or value is None or not math.isfinite(value):
                return None
            return math.ceil(1000.0 * value / ready)
    return None
