"""Made-up demand beside latencies that follow it: how early a load is foreseen, and how wrongly.

Each deployment has a demand of its own: steady, with bumps, swinging below or beyond what it can
serve in time, or a ramp; and a latency of a server that works in batches, t / (1 - a x), with a
promise that ends at 65 % to all of what full queues can serve. What is said is `forecast_load`'s
word, after a minute of persistence. An alarm is false where the promise (without noise) is kept for
twenty minutes after it; the lead is from the first alarm of the half hour before it ends.

`PYTHONPATH=benchmarks python -m detection.swings` prints a table: by how late the line's end is
taken (standard errors), beside capacity alone; four minutes of one core.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple
from unittest import mock

import numpy as np

from homeostat.base import names
from homeostat.base.evidence import Forecast, Quality, Reading, Verdict
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Replica, ReplicaState, Snapshot
from homeostat.detect import demand_promise
from homeostat.detect.forecast_fleet import Foresight
from homeostat.detect.forecast_load import LIKELY, chance_within
from homeostat.detect.usual import Device
from homeostat.testing.build import managed as configured

TICKS: Final = 960  # four hours at 15 s
EACH: Final = 40
KINDS: Final = ("steady", "bumps", "swings below", "swings beyond", "ramps")
_SEED: Final = 72
_REACH_NS: Final = 300 * SECOND
_PERSIST: Final = 4
_FALSE_TICKS: Final = 80
_LEAD_TICKS: Final = 120
_PROMISED_MS: Final = 200.0
# Two replicas, batches up to 10 in 50 ms: 400 requests a second.
_DEVICE: Final = Device(size=2.0, time=10.0, slope=5.0)
_CAPACITY: Final = 400.0


class Made(NamedTuple):
    """`[tick, deployment]`: demand, latency as it is seen, and whether the promise is kept."""

    demand: Any
    latency: Any
    kept: Any


class Judged(NamedTuple):
    """What came of one kind.

    Attributes:
        false: Alarms a week after which nothing came.
        lead_s: Median lead, seconds; NaN where the promise never ended.
        met: Share of the ends that were foreseen at least two minutes ahead.
        ends: How many there were.
    """

    false: float
    lead_s: float
    met: float
    ends: int


def made(kind: str, chance: np.random.Generator) -> Made:
    """Return deployments of one kind."""
    tick = np.arange(TICKS)[:, None]
    ends = _CAPACITY * chance.uniform(0.65, 1.0, EACH)
    base = ends * chance.uniform(0.3, 0.6, EACH)
    period = chance.uniform(1.0, 4.0, EACH) * 240.0
    phase = chance.uniform(0.0, 2.0 * np.pi, EACH)
    wave = 0.5 - 0.5 * np.cos(2.0 * np.pi * tick / period + phase)
    clean = base + 0.0 * wave
    if kind == "bumps":
        for _ in range(6):
            at, wide = chance.uniform(0, TICKS, EACH), chance.uniform(4.0, 40.0, EACH)
            high = np.minimum(chance.uniform(0.1, 0.5, EACH) * base, 0.9 * ends - base)
            clean = np.maximum(clean, base + high * np.exp(-0.5 * ((tick - at) / wide) ** 2))
    if kind.startswith("swings"):
        top = (
            chance.uniform(0.6, 0.85, EACH)
            if kind == "swings below"
            else chance.uniform(1.05, 1.4, EACH)
        )
        clean = base + (top * ends - base) * wave
    if kind == "ramps":
        start = chance.uniform(240.0, 720.0, EACH)
        lasts = chance.uniform(8.0, 160.0, EACH)  # 2 to 40 minutes
        clean = base + (1.2 * ends - base) * np.clip((tick - start) / lasts, 0.0, 1.0)
    noise = chance.uniform(0.02, 0.06, EACH)
    demand = np.maximum(clean * (1.0 + noise * chance.standard_normal(clean.shape)), 1.0)
    # The line: nought at `a`, the promise at `ends`; empty latency 40 % to 70 % of the promise.
    empty = _PROMISED_MS * chance.uniform(0.4, 0.7, EACH)
    a = ends / (1.0 - empty / _PROMISED_MS)
    over = np.minimum(demand, 0.97 * a)
    latency = empty / (1.0 - over / a) * (1.0 + 0.03 * chance.standard_normal(clean.shape))
    return Made(demand, latency, clean <= ends)


def judged(said: Any, kept: Any) -> Judged:
    """Return what alarms `[tick, deployment]` were worth."""
    runs = np.zeros(said.shape[1])
    alarms = np.zeros(said.shape, dtype=bool)
    for tick, row in enumerate(said):
        runs = np.where(row, runs + 1, 0)
        alarms[tick] = runs == _PERSIST
    false, leads = 0, []
    for one in range(kept.shape[1]):
        stops = np.flatnonzero(kept[:-1, one] & ~kept[1:, one]) + 1
        for at in np.flatnonzero(alarms[:, one] & kept[:, one]):
            false += bool(kept[at : at + _FALSE_TICKS, one].all())
        for stop in stops:
            if stop < _LEAD_TICKS:
                continue
            before = np.flatnonzero(alarms[stop - _LEAD_TICKS : stop, one])
            leads.append((_LEAD_TICKS - before[0]) * 15.0 if len(before) else -60.0)
    weeks = kept.sum() * 15.0 / (7.0 * 86_400.0)
    lead = np.array(leads) if leads else np.array([math.nan])
    return Judged(false / weeks, float(np.median(lead)), float((lead >= 120.0).mean()), len(leads))


def said_of(made: Made) -> Any:
    """Return where a load is foreseen, bool `[tick, deployment]`."""
    part, state = Foresight(), Foresight().init()
    who = [f"m{number}" for number in range(EACH)]
    managed = [_entry(name) for name in who]
    world = {name: _world(name) for name in who}
    devices = dict.fromkeys(who, _DEVICE)
    out = np.zeros(made.demand.shape, dtype=bool)
    for tick in range(TICKS):
        seen = {name: dict(_readings(made, tick, number)) for number, name in enumerate(who)}
        state, told = part.step(state, managed, seen, world, devices, frozenset(who), tick + 1)
        out[tick] = [_foreseen(told[name]) for name in who]
    return out


def _foreseen(told: tuple[Forecast, ...]) -> bool:
    (one,) = [one for one in told if one.signal == names.ARRIVAL_RATE]
    if not one.horizons_ns or one.likely_ns is None or one.likely_ns > _REACH_NS:
        return False
    chance = chance_within(one, _REACH_NS)
    return chance is not None and chance >= LIKELY


def _entry(name: str) -> Any:
    entry = configured(name=name, scrape_ns=15 * SECOND)
    promise = replace(entry.objective, latency_p95_ms=_PROMISED_MS, error_ratio=0.01, accuracy=None)
    return replace(entry, objective=promise, stable_pool="a")


def _world(name: str) -> Snapshot:
    slots = tuple(
        Replica(
            name=f"a-{slot}", pool="a", version="v1", state=ReplicaState.READY, incarnation=1,
            address=None,
        )
        for slot in (1, 2)
    )  # fmt: skip
    return Snapshot(
        deployment=name, observed_at=TimeNs(0), replicas=slots, releases=(), levers=(), stamps=()
    )


def _readings(made: Made, tick: int, number: int) -> Iterator[tuple[tuple[str, str], Reading]]:
    values = {
        ("pool:a", names.ARRIVAL_RATE): float(made.demand[tick, number]),
        (names.GATEWAY, names.LATENCY_P95): float(made.latency[tick, number]),
        (names.GATEWAY, names.ERROR_RATIO): 0.0,
        ("replica:a-1", names.BATCH_MAX): 32.0,
        ("replica:a-2", names.BATCH_MAX): 32.0,
    }
    for (subject, signal), value in values.items():
        yield (subject, signal), Reading(
            subject=subject, signal=signal, value=value, verdict=Verdict.HEALTHY,
            quality=Quality.GOOD, low=None, high=None, age_ns=0, samples=100.0,
        )  # fmt: skip


def main() -> None:
    """Print the table."""
    print("| the line's end | " + " | ".join(f"{kind}: false a week; lead" for kind in KINDS))
    ends = demand_promise.limit
    for sure in (None, 0.0, demand_promise.SURE, 1.645):
        label = "capacity alone" if sure is None else f"{sure} s.e. later"
        line = _nowhere if sure is None else partial(ends, sure=sure)
        with mock.patch.object(demand_promise, "limit", line):
            print(f"| {label} | {' | '.join(_cells())} |", flush=True)


def _nowhere(_xp: Any, state: demand_promise.Curve, _promised: Any) -> Any:
    return np.full(len(state.count), np.nan)


def _cells() -> Iterator[str]:
    chance = np.random.default_rng(_SEED)
    for kind in KINDS:
        one = made(kind, chance)
        what = judged(said_of(one), one.kept)
        lead = f"; {what.lead_s:.0f} s, {what.met:.0%} of {what.ends}" if what.ends else ""
        yield f"{what.false:.1f}{lead}"


if __name__ == "__main__":
    main()
