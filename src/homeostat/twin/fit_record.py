"""From what a controller saw to the rows that a twin is fitted to: the recording it made anyway.

One row for each look-back window, so that no request counts in two rows. What was not known stays
empty, and a window in which something other than load was suspected is left out: the twin is fitted
to the deployment as it is when it is well, and plays faults on its own.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from homeostat.base import names
from homeostat.base.evidence import LOOKBACK_SCRAPES, Evidence, Family
from homeostat.base.units import SECOND
from homeostat.base.world import ReplicaState
from homeostat.twin.fit_frame import TIME

COLUMNS: Final = (
    TIME, "request_rate", "throughput", "batch_size", "service_s", "batch_limit", "latency_p50_s",
    "latency_p95_s", "replicas", "replicas_starting", "replicas_wanted", "memory_gib",
)  # fmt: skip
# More load or another batch is what a fit needs to see; anything else is another deployment.
_STILL_ITSELF: Final = frozenset({Family.LOAD, Family.BATCHING})
_GIB: Final = 2.0**30


def header() -> str:
    """Return the first line of the CSV."""
    return ",".join(COLUMNS)


def lines(seen: Iterable[Evidence], pool: str) -> Iterator[str]:
    """Yield the CSV's rows.

    Args:
        seen: One deployment's evidence, tick by tick.
        pool: The stable pool: one service law holds for it.
    """
    for window in _windows(seen):
        row = _row(window, pool)
        if row is not None:
            cells = ("" if math.isnan(value) else f"{value:.7g}" for value in row[1:])
            yield ",".join([f"{row[0]:.3f}", *cells])


def _windows(seen: Iterable[Evidence]) -> Iterator[Sequence[Evidence]]:
    """Yield windows of consecutive ticks; what a gap cuts off is no window."""
    window: list[Evidence] = []
    for one in seen:
        if window and one.tick != window[-1].tick + 1:
            window = []
        window.append(one)
        if len(window) == LOOKBACK_SCRAPES:
            yield tuple(window)
            window = []


def _row(window: Sequence[Evidence], pool: str) -> tuple[float, ...] | None:
    """Return the row of a window, None if the deployment was not itself or could not be read."""
    last = window[-1]
    world = last.world
    limits = {None if e.world is None else e.world.lever(names.BATCH_MAX) for e in window}
    suspected = {one.family for e in window for one in e.suspicions}
    if world is None or not all(e.ready for e in window) or len(limits) != 1:
        return None
    if not suspected <= _STILL_ITSELF:
        return None
    here = names.pool(pool)
    mine = [one for one in world.replicas if one.pool == pool]
    wanted, limit = world.lever(names.lever_replicas(pool)), world.lever(names.BATCH_MAX)
    batch, service_s, throughput = _batches(window, pool)
    memory = [one.memory_bytes for one in mine if one.memory_bytes is not None]
    return (
        last.at / SECOND,
        _mean([_value(e, here, names.ARRIVAL_RATE) for e in window]),
        throughput,
        batch,
        service_s,
        float(limit) if isinstance(limit, int | float) else math.nan,
        _value(last, here, names.LATENCY_P50) / 1000.0,
        _value(last, here, names.LATENCY_P95) / 1000.0,
        float(sum(one.state is ReplicaState.READY for one in mine)),
        float(sum(one.state is ReplicaState.STARTING for one in mine)),
        float(wanted) if isinstance(wanted, int | float) else math.nan,
        max(memory) / _GIB if memory else math.nan,
    )


def _batches(window: Sequence[Evidence], pool: str) -> tuple[float, float, float]:
    """Return mean batch, mean seconds of one, and served per second; NaN where not known.

    Per tick a replica tells how many batches it ran, their mean size and their mean time.
    """
    number = served = busy_s = 0.0
    whole = True
    for one in window:
        known = {(r.subject, r.signal): r for r in one.readings if r.value is not None}
        replicas = () if one.world is None else one.world.replicas
        for replica in replicas:
            if replica.pool != pool or replica.state is not ReplicaState.READY:
                continue
            subject = names.replica(replica.name)
            size = known.get((subject, names.BATCH_SIZE))
            took = known.get((subject, names.DEVICE_TIME))
            if size is None or took is None or size.value is None or took.value is None:
                whole = False
                continue
            number += size.samples
            served += size.samples * size.value
            busy_s += size.samples * took.value / 1000.0
    if not number:
        return math.nan, math.nan, math.nan
    tick_s = (window[-1].at - window[0].at) / SECOND / (len(window) - 1)
    per_second = served / (len(window) * tick_s) if whole else math.nan
    return served / number, busy_s / number, per_second


def _value(evidence: Evidence, subject: str, signal: str) -> float:
    for reading in evidence.readings:
        if reading.subject == subject and reading.signal == signal:
            return math.nan if reading.value is None else reading.value
    return math.nan


def _mean(values: Sequence[float]) -> float:
    """Return the mean; NaN as soon as one of them is not known."""
    return sum(values) / len(values)
