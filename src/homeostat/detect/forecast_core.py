"""When will the front ends have no more of their one core? Said before requests wait.

A front end that runs in one thread (a tokenizer, an event loop) serves nobody faster than one core
does, whatever the device has left. On its way there its processor share climbs, on all replicas
alike; queues stay empty until it has arrived, and promises are missed seconds later. So the share
itself is looked at: the median of the pool's ready replicas, a value each quarter of a minute (or
tick, where that is longer). A climb is claimed where the last five values only rise, or where the
last twelve do by Mann-Kendall's statistic, and by more than a jitter; the time left is that of
their median slope (Theil-Sen; Sen, Journal of the American Statistical Association 63 (1968)).

What climbs because demand does is told apart by the rule that reads this (`causes_core`).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from homeostat.base import names
from homeostat.base.evidence import Forecast, Quality, Reading
from homeostat.base.policy import Managed
from homeostat.base.units import SECOND
from homeostat.base.world import ReplicaState, Snapshot
from homeostat.stats.robust import theil_sen

Readings = Mapping[tuple[str, str], Reading]

STEP_NS: Final = 15 * SECOND
_SHORT: Final = 5
_LONG: Final = 12
# Ten values that only rise have 4.0 sigmas; chance does that once in 20,000 windows (`forecast`).
_SIGNIFICANT: Final = 3.9
# Of a core: less is what a scrape, a log file that turns over or a collector makes.
_LEAST_RISE: Final = 0.08
LIMIT: Final = 1.0


class Core(NamedTuple):
    """What is remembered of one deployment.

    Attributes:
        sum: Of the shares of the step under way.
        ticks: How many they are.
        due: Ticks until the step ends.
        recent: Of the last steps, oldest first; NaN where unknown.
    """

    sum: float
    ticks: int
    due: int
    recent: tuple[float, ...]


Cores = dict[str, Core]


def step(
    before: Mapping[str, Core],
    managed: Sequence[Managed],
    readings: Mapping[str, Readings],
    world: Mapping[str, Snapshot],
) -> tuple[Cores, dict[str, tuple[Forecast, ...]]]:
    """Take in one tick; deployments that are no longer there are forgotten.

    Args:
        before: By deployment.
        managed: The deployments.
        readings: By deployment, then by (subject, signal).
        world: By deployment, as last read back.

    Returns:
        What is remembered, and a forecast for each deployment where a climb is claimed.
    """
    after: Cores = {}
    out: dict[str, tuple[Forecast, ...]] = {}
    for entry in managed:
        steps = max(STEP_NS // entry.scrape_ns, 1)
        known = before.get(entry.name) or Core(0.0, 0, steps, ())
        share = pool_share(readings[entry.name], world.get(entry.name), entry.stable_pool)
        core = after[entry.name] = _moved(known, share, steps)
        left = steps_left(core.recent)
        if left is not None:
            out[entry.name] = (
                Forecast(
                    subject=names.pool(entry.stable_pool),
                    signal=names.CPU_SHARE,
                    limit=LIMIT,
                    time_to_limit_ns=round(left * steps * entry.scrape_ns),
                ),
            )
    return after, out


def pool_share(readings: Readings, world: Snapshot | None, pool: str) -> float:
    """Return the median processor share of a pool's ready replicas; NaN if most are unknown."""
    if world is None:
        return math.nan
    ready = [one for one in world.replicas if one.pool == pool and one.state is ReplicaState.READY]
    found = [readings.get((names.replica(one.name), names.CPU_SHARE)) for one in ready]
    known = [
        one.value
        for one in found
        if one is not None
        and one.quality is Quality.GOOD
        and one.value is not None
        and one.value >= 0.0
    ]
    return float(np.median(known)) if known and 2 * len(known) > len(ready) else math.nan


def _moved(core: Core, share: float, steps: int) -> Core:
    """Return what is remembered after one tick."""
    known = math.isfinite(share)
    total, ticks, due = core.sum + (share if known else 0.0), core.ticks + known, core.due - 1
    if due > 0:
        return Core(total, ticks, due, core.recent)
    mean = total / ticks if ticks else math.nan
    return Core(0.0, 0, steps, (*core.recent, mean)[-_LONG:])


def steps_left(recent: Sequence[float]) -> float | None:
    """Return steps until the limit at the rate of a climb, None where none is claimed.

    >>> round(steps_left([0.2, 0.3, 0.4, 0.5, 0.6]), 6)
    4.0
    >>> steps_left([0.2, 0.3, 0.25, 0.5, 0.6]) is None
    True
    """
    for size in (_SHORT, _LONG):
        window = np.array(recent[-size:], dtype=np.float64)
        if len(window) < size or not np.isfinite(window).all():
            return None
        if window[-1] - window[0] < _LEAST_RISE or window[0] >= LIMIT:
            continue  # who began beyond one core is not held to one
        trend = theil_sen(window) if size == _LONG else None
        if size == _SHORT and (np.diff(window) > 0.0).all():
            return max(float((LIMIT - window[-1]) / np.median(np.diff(window))), 0.0)
        if trend is not None and trend.kendall_z >= _SIGNIFICANT and trend.slope > 0.0:
            return max(float((LIMIT - window[-1]) / trend.slope), 0.0)
    return None
