"""Next steps of the levers: one more replica, a doubled batch, traffic away, a limit.

Pure arithmetic over a snapshot and the policy's bounds; None means that there is no step left.
"""

import math
from collections.abc import Sequence

from homeostat.base import names
from homeostat.base.evidence import Evidence
from homeostat.base.guard import Setting
from homeostat.base.policy import GuardPolicy, LeverLimit
from homeostat.base.world import Levers, Snapshot

# Ramp of a traffic shift, in percent: each stage is verified before the next.
# Source: the canary ramp of Argo Rollouts' and Flagger's documented examples.
RAMP = (25.0, 50.0, 100.0)


def limit_of(guard: GuardPolicy, lever: str) -> LeverLimit | None:
    """Return the bounds of a lever: its own, else those of its prefix (`replicas.`)."""
    prefix = lever.partition(".")[0] + "."
    for limit in guard.limits:
        if limit.lever == lever:
            return limit
    return next((limit for limit in guard.limits if limit.lever == prefix), None)


def scale_step(world: Snapshot, pool: str, by: int, limit: LeverLimit | None) -> Levers | None:
    """Return the change of a pool's replicas by `by`, None if unknown or out of bounds."""
    lever = names.lever_replicas(pool)
    live = world.lever(lever)
    if not isinstance(live, int) or limit is None:
        return None
    wanted = live + by
    return ((lever, wanted),) if limit.low <= wanted <= limit.high else None


def batch_step(world: Snapshot, limit: LeverLimit | None) -> Levers | None:
    """Return the next larger batch (doubled, at most the policy's step), None at the top."""
    live = world.lever(names.BATCH_MAX)
    if not isinstance(live, int | float) or limit is None:
        return None
    wanted = min(math.floor(live * (1.0 + limit.step_up)), math.floor(limit.high))
    return ((names.BATCH_MAX, int(wanted)),) if wanted > live else None


def batch_back(
    world: Snapshot, settings: Sequence[Setting], limit: LeverLimit | None
) -> Levers | None:
    """Return the batch that served before the live one, None if none is known or it serves, too.

    One step, however far: what served is not guessed at by halves and doubles. Whether it is a way
    back (lately, with as much to do) is the guards' to say.
    """
    live = world.lever(names.BATCH_MAX)
    known = [one for one in settings if one.lever == names.BATCH_MAX]
    if not isinstance(live, int | float) or limit is None or len(known) < 2:  # noqa: PLR2004 - it and the live one
        return None
    before, present = known[-2:]
    if present.value != live or present.served or not before.served:
        return None
    if not isinstance(before.value, int | float) or not limit.low <= before.value <= limit.high:
        return None
    return ((names.BATCH_MAX, before.value),)


def smaller_batch_step(world: Snapshot, limit: LeverLimit | None) -> Levers | None:
    """Return the next smaller batch (halved, at most the policy's step), None at the bottom."""
    live = world.lever(names.BATCH_MAX)
    if not isinstance(live, int | float) or limit is None:
        return None
    wanted = max(math.ceil(live * (1.0 - limit.step_down)), math.ceil(limit.low))
    return ((names.BATCH_MAX, int(wanted)),) if wanted < live else None


def fallback_step(world: Snapshot, pool: str) -> tuple[tuple[float, ...], Levers] | None:
    """Return ramp and end of a full shift to `pool`, None if unknown or already there."""
    lever = names.lever_weight(pool)
    live = world.lever(lever)
    if not isinstance(live, int | float) or live >= RAMP[-1]:
        return None
    ramp = tuple(stage for stage in RAMP if stage > live)
    return ramp, ((lever, ramp[-1]),)


def shed_step(
    world: Snapshot, evidence: Evidence | None, limit: LeverLimit | None
) -> Levers | None:
    """Return a limit on requests in flight, a tenth below what is in flight now.

    Little's law: requests in flight = arrival rate x latency; the p50 stands for the mean.
    """
    live = world.lever(names.GATEWAY_LIMIT)
    if evidence is None or limit is None or not isinstance(live, int | float):
        return None
    found = {r.signal: r.value for r in evidence.readings if r.subject == names.GATEWAY}
    rate, latency_ms = found.get(names.ARRIVAL_RATE), found.get(names.LATENCY_P50)
    if rate is None or latency_ms is None:
        return None
    in_flight = rate * latency_ms / 1000.0
    wanted = max(math.floor(limit.low), min(math.floor(limit.high), math.floor(0.9 * in_flight)))
    if wanted <= 0 or (live > 0 and wanted >= live):
        return None
    return ((names.GATEWAY_LIMIT, wanted),)
