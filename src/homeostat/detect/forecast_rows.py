"""Which series of a deployment are forecast, and what each of them must not pass.

Demand against the capacity of the pool that serves it, and the signals of the promise against the
promise. Accuracy must not fall, the others must not rise: it is turned round here, as the share
that is wrong.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from homeostat.base import names
from homeostat.base.evidence import Quality, Reading, SeriesKey
from homeostat.base.policy import Managed
from homeostat.base.world import ReplicaState, Snapshot
from homeostat.detect.demand_capacity import capacity_rps
from homeostat.detect.usual import Device

Floats = npt.NDArray[np.float64]
Readings = Mapping[tuple[str, str], Reading]


class Rows(NamedTuple):
    """What is forecast on one tick, one entry per series.

    Attributes:
        keys: Which series; those of a deployment stand together.
        values: NaN where unknown; of accuracy, the share that is wrong.
        limits: What must not be passed; NaN where that is unknown. Of demand what full queues can
            serve; where latency rises before that, `demand_promise` knows of less.
        ready: Of demand: replicas that share it; NaN of other series, and where unknown.
        paired: Of demand: the latency that it came with, ms; NaN of other series.
        promised: Of demand: the latency promised, ms; NaN of other series.
    """

    keys: tuple[SeriesKey, ...]
    values: Floats
    limits: Floats
    ready: Floats
    paired: Floats
    promised: Floats


def rows(
    managed: Sequence[Managed],
    readings: Mapping[str, Readings],
    world: Mapping[str, Snapshot],
    devices: Mapping[str, Device],
) -> Rows:
    """Return the series that are forecast.

    Args:
        managed: The deployments.
        readings: By deployment, then by (subject, signal).
        world: By deployment, as last read back.
        devices: By deployment, how device time follows batch size.
    """
    keys: list[SeriesKey] = []
    values: list[float] = []
    limits: list[float] = []
    beside: list[tuple[float, float, float]] = []
    for entry in managed:
        seen, promised = readings[entry.name], entry.objective
        capacity = capacity_rps(
            seen,
            world.get(entry.name),
            devices.get(entry.name),
            entry.stable_pool,
            promised.latency_p95_ms,
        )
        mine = [
            math.nan if capacity is None else capacity,
            promised.latency_p95_ms,
            promised.error_ratio,
        ]
        if promised.accuracy is not None:
            mine.append(1.0 - promised.accuracy)
        which = _series(entry.name, entry.stable_pool, promised.accuracy is not None)
        keys.extend(which)
        for key, limit in zip(which, mine, strict=True):
            value = _value(seen.get((key.subject, key.signal)))
            values.append(1.0 - value if key.signal == names.ACCURACY else value)
            limits.append(limit if limit > 0.0 else math.nan)
        beside.append((
            _ready(world.get(entry.name), entry.stable_pool),
            _value(seen.get((names.GATEWAY, names.LATENCY_P95))),
            promised.latency_p95_ms if promised.latency_p95_ms > 0.0 else math.nan,
        ))
        beside.extend([(math.nan,) * 3] * (len(which) - 1))  # demand is the first of each
    more = np.array(beside, dtype=np.float64).reshape(-1, 3).T
    return Rows(tuple(keys), np.array(values), np.array(limits), *more)


@lru_cache(maxsize=4096)
def _series(deployment: str, pool: str, accuracy: bool) -> tuple[SeriesKey, ...]:  # noqa: FBT001 - of a cache
    """Return the series of a deployment: the same objects every tick, compared by identity."""
    names_of = [
        (names.pool(pool), names.ARRIVAL_RATE),
        (names.GATEWAY, names.LATENCY_P95),
        (names.GATEWAY, names.ERROR_RATIO),
        (names.MODEL, names.ACCURACY),
    ]
    return tuple([
        SeriesKey(deployment=deployment, subject=subject, signal=signal)
        for subject, signal in names_of[: 4 if accuracy else 3]
    ])


def _ready(world: Snapshot | None, pool: str) -> float:
    if world is None:
        return math.nan
    ready = [one for one in world.replicas if one.pool == pool and one.state is ReplicaState.READY]
    return float(len(ready)) or math.nan


def _value(reading: Reading | None) -> float:
    if reading is None or reading.quality is not Quality.GOOD or reading.value is None:
        return math.nan
    return reading.value
