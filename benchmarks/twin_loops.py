"""The heart of the twin's tick, once in NumPy over a fleet and once in plain Python.

What a tick does to traffic where nothing is broken: load, retries that come back, admission, the
share of each replica, its queue by the greatest of its lines, who gives up, the mean latency; and
every five seconds the quantiles. One pool, an even balancer, no front end, no dependency. Left out,
and in the compiled twin on every tick, block and scrape all the same: faults, variants, the life of
processes, memory, quality, labels, telemetry and the truth for the judge. So a rate of these loops
is an upper bound of what a whole twin written like this could do.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
RETRIES: Final = 4  # attempts that may be followed by another one
RING: Final = 160
BLOCK_S: Final = 5
_LOG10, _LOG5 = np.float32(math.log(10.0)), np.float32(math.log(5.0))
_TINY = np.float32(1e-9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Deployments of equal replicas; [N] unless said otherwise, K lines, Q knots of quantiles.

    Attributes:
        offered: Unique requests of every second [N, T].
        ready: 1 where a replica is [N, S].
        jobs: At the beginning [N, S].
        capacity: Of a replica, 1/s.
        first_s: Latency in an empty replica.
        intercept: Of its lines [N, K].
        slope: The same, per job [N, K].
        place: Jobs at the knots of its quantiles [N, Q].
        seconds: p50, p95 and p99 there [N, Q, 3].
        timeout_s: Of users.
        retries: After the first attempt.
        backoff_s: Before the next.
        network_s: Round trip.
    """

    offered: Floats
    ready: Floats
    jobs: Floats
    capacity: Floats
    first_s: Floats
    intercept: Floats
    slope: Floats
    place: Floats
    seconds: Floats
    timeout_s: Floats
    retries: Floats
    backoff_s: Floats
    network_s: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What came of it, each [N, T]: as the truth of the compiled twin."""

    good: Floats
    attempts: Floats
    errors: Floats
    latency_s: Floats
    queue: Floats


def in_numpy(fleet: Fleet) -> Seen:
    """Play a fleet, all deployments side by side."""
    one, n = np.float32(1.0), len(fleet.offered)
    ticks = fleet.offered.shape[1]
    most = fleet.capacity[:, None]
    steep = one / (one + most * fleet.slope)
    less = most * fleet.intercept * steep
    again = np.clip(fleet.retries[:, None] - np.arange(RETRIES, dtype=np.float32), 0.0, 1.0)
    delay = np.clip(fleet.timeout_s + fleet.backoff_s, 1.0, RING - 2.0)
    share = fleet.ready / np.maximum(fleet.ready.sum(axis=1, keepdims=True), one)
    gave_up = np.zeros((n, RETRIES, RING + ticks), np.float32)
    jobs, spread = fleet.jobs, np.tile(np.array([1.0, 1.5, 2.0], np.float32), (n, 1))
    spread = np.repeat(spread[:, None], fleet.jobs.shape[1], axis=1)
    found = []
    for at in range(ticks):
        back = _ago(gave_up, RING + at, delay)
        tries = np.concatenate([fleet.offered[:, at, None], back], axis=1)
        total = tries.sum(axis=1)
        rate = share * total[:, None]
        target = jobs + rate
        lines = (target[..., None] * steep[:, None] - less[:, None]).max(axis=-1)
        after = np.maximum(np.maximum(lines, target - most), 0.0)
        served = np.maximum(target - after, 0.0)
        alone = np.broadcast_to(fleet.first_s[:, None], after.shape)
        mean_s = np.where(served > _TINY, after / np.maximum(served, _TINY), alone)
        mean_s = np.minimum(mean_s, 3600.0)
        late = _late((fleet.timeout_s - fleet.network_s)[:, None], spread * mean_s[..., None])
        lost = rate * late
        right = rate - lost
        took = np.minimum(mean_s + fleet.network_s[:, None], fleet.timeout_s[:, None])
        took = (right * (took - fleet.timeout_s[:, None])).sum(axis=1) + total * fleet.timeout_s
        split = tries[:, :RETRIES] / np.maximum(total, _TINY)[:, None]
        gave_up[:, :, RING + at] = split * lost.sum(axis=1)[:, None] * again
        jobs = after
        if (at + 1) % BLOCK_S == 0:
            spread = _spread(fleet, jobs)
        latency_s = took / np.maximum(total, _TINY)
        found.append((right.sum(axis=1), total, lost.sum(axis=1), latency_s, jobs.sum(axis=1)))
    good, attempts, errors, latency_s, queue = (
        np.stack(each, axis=1) for each in zip(*found, strict=True)
    )
    return Seen(good=good, attempts=attempts, errors=errors, latency_s=latency_s, queue=queue)


def _ago(ring: Floats, at: int, ticks: Floats) -> Any:
    whole = np.floor(ticks)
    part = (ticks - whole)[:, None]
    rows, first = np.arange(len(ring)), (at - whole - 1).astype(np.int64)
    return ring[rows, :, first + 1] * (1.0 - part) + ring[rows, :, first] * part


def _late(deadline_s: Floats, quantiles: Floats) -> Any:
    p50, p95, p99 = np.moveaxis(quantiles, -1, 0)
    distance = np.abs(deadline_s - p50)
    near = np.maximum(p95 - p50, 1e-9 * p50 + 1e-12)
    far = np.maximum(p99 - p95, 1e-3 * near)
    steep = _LOG10 * np.minimum(distance / near, 1.0)
    steep = steep + _LOG5 * np.maximum(distance - near, 0.0) / far
    tail = 0.5 * np.exp(-steep)
    return np.where(deadline_s >= p50, tail, 1.0 - tail)


def _spread(fleet: Fleet, jobs: Floats) -> Any:
    """Return p50, p95 and p99 over the mean, as of these queues [N, S, 3]."""
    low, high = fleet.place[:, None, :-1], fleet.place[:, None, 1:]
    part = np.clip((jobs[..., None] - low) / (high - low), 0.0, 1.0)
    value = fleet.seconds[:, None, 0] + np.einsum(
        "nsq,nqk->nsk", part, np.diff(fleet.seconds, axis=1)
    )
    backlog = (jobs / fleet.capacity[:, None])[..., None] * np.array([0.0, 1.07, 1.1], np.float32)
    value = np.maximum(value, backlog)
    beyond = np.maximum(jobs - fleet.place[:, None, -1], 0.0) / fleet.capacity[:, None]
    value[..., 0] += beyond
    held = np.maximum(jobs, np.float32(1e-6))
    load = (fleet.intercept[:, None] + fleet.slope[:, None] * held[..., None]).min(axis=-1)
    mean = held / (fleet.capacity[:, None] * np.minimum(load, 1.0))
    mean = np.where(jobs > 1e-6, mean, fleet.first_s[:, None])
    return (value / np.maximum(mean, _TINY)[..., None]).astype(np.float32)


def in_python(fleet: Fleet) -> Seen:
    """Play a fleet, one deployment after the other, with lists and floats."""
    told = [_one(fleet, row) for row in range(len(fleet.offered))]
    columns = [
        np.asarray([[tick[k] for tick in one] for one in told], np.float32) for k in range(5)
    ]
    return Seen(
        good=columns[0],
        attempts=columns[1],
        errors=columns[2],
        latency_s=columns[3],
        queue=columns[4],
    )


def _one(fleet: Fleet, row: int) -> list[tuple[float, ...]]:
    capacity, first_s = float(fleet.capacity[row]), float(fleet.first_s[row])
    timeout_s, network_s = float(fleet.timeout_s[row]), float(fleet.network_s[row])
    slopes, cuts = fleet.slope[row].tolist(), fleet.intercept[row].tolist()
    steep = [1.0 / (1.0 + capacity * slope) for slope in slopes]
    lines = list(
        zip(steep, [capacity * c * s for c, s in zip(cuts, steep, strict=True)], strict=True)
    )
    loads = list(zip(cuts, slopes, strict=True))
    place, seconds = fleet.place[row].tolist(), fleet.seconds[row].tolist()
    again = [min(max(float(fleet.retries[row]) - k, 0.0), 1.0) for k in range(RETRIES)]
    delay = min(max(timeout_s + float(fleet.backoff_s[row]), 1.0), RING - 2.0)
    whole, part = int(delay), delay - int(delay)
    jobs = [float(x) for x, ready in zip(fleet.jobs[row], fleet.ready[row], strict=True) if ready]
    spread = [(1.0, 1.5, 2.0)] * len(jobs)
    ring: list[Sequence[float]] = [(0.0,) * RETRIES] * RING
    found: list[tuple[float, ...]] = []
    for at, offered in enumerate(fleet.offered[row].tolist()):
        near, far = ring[RING + at - whole], ring[RING + at - whole - 1]
        tries = [offered, *(a * (1.0 - part) + b * part for a, b in zip(near, far, strict=True))]
        total = sum(tries)
        rate, good, lost, took = total / len(jobs), 0.0, 0.0, total * timeout_s
        for k, held in enumerate(jobs):
            target = held + rate
            line = max(target * a - b for a, b in lines)
            after = max(line, target - capacity, 0.0)
            served = max(target - after, 0.0)
            mean_s = min(after / served if served > 1e-9 else first_s, 3600.0)
            late = rate * _tail(timeout_s - network_s, mean_s, spread[k])
            lost, good = lost + late, good + rate - late
            took += (rate - late) * (min(mean_s + network_s, timeout_s) - timeout_s)
            jobs[k] = after
        ring.append([x / max(total, 1e-9) * lost * y for x, y in zip(tries, again, strict=False)])
        if (at + 1) % BLOCK_S == 0:
            spread = [_quantiles(x, capacity, first_s, place, seconds, loads) for x in jobs]
        found.append((good, total, lost, took / max(total, 1e-9), sum(jobs)))
    return found


def _tail(deadline_s: float, mean_s: float, spread: tuple[float, float, float]) -> float:
    p50, p95, p99 = (each * mean_s for each in spread)
    distance = abs(deadline_s - p50)
    near = max(p95 - p50, 1e-9 * p50 + 1e-12)
    far = max(p99 - p95, 1e-3 * near)
    steep = 2.302585093 * min(distance / near, 1.0) + 1.609437912 * max(distance - near, 0.0) / far
    tail = 0.5 * math.exp(-steep)
    return tail if deadline_s >= p50 else 1.0 - tail


def _quantiles(
    jobs: float,
    capacity: float,
    first_s: float,
    place: list[float],
    seconds: list[list[float]],
    loads: list[tuple[float, float]],
) -> tuple[float, float, float]:
    value = list(seconds[0])
    for k in range(len(place) - 1):
        share = min(max((jobs - place[k]) / (place[k + 1] - place[k]), 0.0), 1.0)
        if share == 0.0:
            break
        value = [v + share * (b - a) for v, a, b in zip(value, *seconds[k : k + 2], strict=True)]
    backlog_s = jobs / capacity
    beyond = max(jobs - place[-1], 0.0) / capacity
    load = min(cut + slope * jobs for cut, slope in loads)
    mean = jobs / (capacity * min(load, 1.0)) if jobs > 1e-6 else first_s
    p50, p95, p99 = (
        value[0] + beyond,
        max(value[1], 1.07 * backlog_s),
        max(value[2], 1.1 * backlog_s),
    )
    return p50 / mean, p95 / mean, p99 / mean
