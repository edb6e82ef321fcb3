"""How many requests a second a pool can serve and still answer in time.

A request that arrives just after a batch began waits for that batch and is then part of the next:
with full queues it is answered after two batches. So the largest batch that keeps the promise is
the largest whose device time is half of it, and capacity is what batches of that size can do:
b / S(b) for each replica, S(b) as it was learnt from this deployment (`detect.usual`). Above it
the queue grows without bound or the promise is missed; below it, both depend on chance.

Unknown while the slope of S is: without it capacity at a larger batch is a guess.
"""

import math
from collections.abc import Mapping

from homeostat.base import names
from homeostat.base.evidence import Reading
from homeostat.base.world import ReplicaState, Snapshot
from homeostat.detect.usual import Device


def capacity_rps(
    readings: Mapping[tuple[str, str], Reading],
    world: Snapshot | None,
    device: Device | None,
    pool: str,
    promised_ms: float,
) -> float | None:
    """Return requests per second that a pool's ready replicas serve within the promise.

    Args:
        readings: By (subject, signal).
        world: As last read back.
        device: How device time follows batch size.
        pool: The pool's name.
        promised_ms: The latency promised, milliseconds.

    Returns:
        None where a ready replica's largest batch or the slope of its device time is unknown, or
        where no replica is ready.
    """
    if world is None or device is None or device.slope is None:
        return None
    total, slope = 0.0, device.slope
    rates: dict[float, float] = {}  # replicas with the same largest batch serve as much
    for replica in world.replicas:
        if replica.pool != pool or replica.state is not ReplicaState.READY:
            continue
        cap = readings.get((names.replica(replica.name), names.BATCH_MAX))
        if cap is None or cap.value is None or cap.value < 1.0:
            return None
        if cap.value not in rates:
            batch = largest_in_time(device, slope, cap.value, promised_ms)
            rates[cap.value] = 1000.0 * batch / device.expected(batch)
        total += rates[cap.value]
    return total or None


def largest_in_time(device: Device, slope: float, cap: float, promised_ms: float) -> float:
    """Return the largest batch, 1 to `cap`, two of which are served within the promise.

    >>> largest_in_time(Device(size=2.0, time=20.0, slope=2.0), 2.0, 64.0, 100.0)
    17.0
    """
    if slope <= 0.0:
        return cap
    batch = device.size + (promised_ms / 2.0 - device.time) / slope
    return float(max(min(math.floor(batch), cap), 1.0))
