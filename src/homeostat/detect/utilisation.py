"""How much of a pool's capacity is used: arrivals over what it can serve at its largest batch."""

from collections.abc import Mapping

from homeostat.base import names
from homeostat.base.evidence import Quality, Reading, Verdict
from homeostat.base.world import ReplicaState, Snapshot
from homeostat.detect.usual import Device


def utilisation(
    readings: Mapping[tuple[str, str], Reading], world: Snapshot | None, device: Device | None
) -> tuple[Reading, ...]:
    """Return one reading per pool.

    Args:
        readings: By (subject, signal).
        world: As last read back; without it the pools are not known.
        device: How device time follows batch size; without it capacity is not known.

    Returns:
        The smaller the batch that was seen, the more the capacity at the largest batch is guessed:
        while the slope is not learnt the guess is low, so utilisation is never too small.
    """
    if world is None:
        return ()
    pools = sorted({replica.pool for replica in world.replicas})
    return tuple(_pool(readings, world, device, pool) for pool in pools)


def _pool(
    readings: Mapping[tuple[str, str], Reading],
    world: Snapshot,
    device: Device | None,
    pool: str,
) -> Reading:
    arrivals = readings.get((names.pool(pool), names.ARRIVAL_RATE))
    capacity = _capacity(readings, world, device, pool)
    known = arrivals is not None and arrivals.quality is Quality.GOOD and capacity is not None
    value = (
        arrivals.value / capacity
        if known and arrivals and capacity and arrivals.value is not None
        else None
    )
    quality = Quality.GOOD if value is not None else Quality.FEW
    if value is None and arrivals is not None and arrivals.quality is not Quality.GOOD:
        quality = arrivals.quality
    return Reading(
        subject=names.pool(pool),
        signal=names.UTILISATION,
        value=value,
        verdict=Verdict.UNKNOWN if value is None else Verdict.HEALTHY,
        quality=quality,
        low=None,
        high=None,
        age_ns=arrivals.age_ns if arrivals is not None else 0,
        samples=arrivals.samples if arrivals is not None else 0.0,
    )


def _capacity(
    readings: Mapping[tuple[str, str], Reading],
    world: Snapshot,
    device: Device | None,
    pool: str,
) -> float | None:
    """Return requests per second that the pool's ready replicas can serve, None for unknown."""
    if device is None:
        return None
    total, each = 0.0, dict[float, float]()
    for replica in world.replicas:
        if replica.pool != pool or replica.state is not ReplicaState.READY:
            continue
        cap = readings.get((names.replica(replica.name), names.BATCH_MAX))
        if cap is None or cap.value is None or cap.value <= 0.0:
            return None
        # With the slope unknown, `expected` grows in proportion: no gain from larger batches.
        if cap.value not in each:  # nearly always the same one
            each[cap.value] = cap.value / device.expected(cap.value) * 1000.0
        total += each[cap.value]
    return total or None
