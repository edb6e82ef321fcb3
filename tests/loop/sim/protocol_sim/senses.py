"""What a controller believes to know when it asks the guard, and how that may be spoilt.

Builds the real `GuardState`: evidence from the target as it is, then at most one fault of the
metrics on top. A `Look` says what was spoilt, so that the checkers need not believe the guard.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random
from typing import Final

from homeostat.base import names
from homeostat.base.evidence import Evidence, Quality, Reading, Verdict
from homeostat.base.guard import Load
from homeostat.base.units import TimeNs
from homeostat.base.world import ReplicaState, Snapshot
from protocol_sim.options import FALLBACK_REPLICAS, TICK

FRESH_TICKS: Final = 10  # as the policy has it
DEMAND: Final = 0.7  # replicas' worth of work at the stable pool
Readings = tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """Evidence as a controller has it.

    Attributes:
        evidence: What the guard gets; None when there is none.
        fault: What is wrong with it, empty if nothing is.
        blind: Nothing may rest on it: the gateway, most replicas or all of it cannot be believed.
        silent: A replica, a pool's load or memory is not known: nothing may be taken away on it.
    """

    evidence: Evidence | None
    fault: str
    blind: bool = False
    silent: bool = False


def _reading(
    subject: str, signal: str, value: float, verdict: Verdict = Verdict.HEALTHY
) -> Reading:
    return Reading(
        subject=subject, signal=signal, value=value, verdict=verdict, quality=Quality.GOOD,
        low=None, high=None, age_ns=TICK // 2, samples=100.0,
    )  # fmt: skip


@lru_cache(maxsize=512)
def well(count: int, weight: int, *, hung: bool, gone: frozenset[str] = frozenset()) -> Readings:
    """Return the readings of a deployment that is well, but for replica a-1 where it hangs.

    Replicas that are not there say nothing.
    """
    told = [
        _reading(names.GATEWAY, names.ARRIVAL_RATE, 100.0),
        _reading(names.GATEWAY, names.ERROR_RATIO, 0.0),
        _reading(names.GATEWAY, names.LATENCY_P95, 60.0),
    ]
    loads = {"a": DEMAND / count, "b": 0.004 * weight}
    for pool, load in loads.items():
        told += [
            _reading(names.pool(pool), names.ERROR_RATIO, 0.0),
            _reading(names.pool(pool), names.LATENCY_P95, 60.0),
            _reading(names.pool(pool), names.UTILISATION, load),
        ]
    slots = [f"a-{number}" for number in range(1, count + 1)]
    slots += [f"b-{number}" for number in range(1, FALLBACK_REPLICAS + 1)]
    for slot in slots:
        if slot in gone:
            continue
        subject = names.replica(slot)
        if hung and slot == "a-1":
            told.append(_reading(subject, names.PROBE_FAILURES, 3.0, Verdict.ANOMALOUS))
            continue
        told += [
            _reading(subject, names.PROBE_FAILURES, 0.0),
            _reading(subject, names.DEVICE_TIME, 40.0),
            _reading(subject, names.BATCH_FULL_SHARE, 0.6),
            _reading(subject, names.MEMORY_SHARE, 0.4),
        ]
    return tuple(told)


def evidence(
    snapshot: Snapshot,
    readings: Readings,
    *,
    met: bool,
    at: TimeNs,
) -> Evidence:
    """Return one tick's evidence of a target as it is, before any fault."""
    return Evidence(
        deployment=snapshot.deployment, at=at, tick=1, readings=readings,
        anomalies=(), forecasts=(), suspicions=(), slo_met=met, ready=True, world=snapshot,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def watched(tick: int) -> tuple[Load, ...]:
    """Return that both pools' load was watched long enough, and never more than it is."""
    until = TimeNs(tick * TICK)
    since = TimeNs(until - 20 * TICK)
    milli = round(1000 * DEMAND)
    return tuple(Load(pool=pool, since=since, until=until, milli=milli) for pool in ("a", "b"))


def spoil(told: Evidence, rng: Random) -> Look:
    """Return the evidence with one fault of the metrics, drawn."""
    name = rng.choice(tuple(METRIC_FAULTS))
    return METRIC_FAULTS[name](told, rng, name)


def _without(told: Evidence, gone: Callable[[Reading], bool]) -> Evidence:
    return replace(told, readings=tuple(one for one in told.readings if not gone(one)))


def _with(
    told: Evidence, which: Callable[[Reading], bool], change: Callable[[Reading], Reading]
) -> Evidence:
    changed = tuple(change(one) if which(one) else one for one in told.readings)
    return replace(told, readings=changed)


def _core(one: Reading) -> bool:
    """Return whether a reading is one that every decision rests on."""
    return one.subject == names.GATEWAY


def _pool(one: Reading) -> bool:
    return one.subject.startswith("pool:")


def _of(subjects: Iterable[str]) -> Callable[[Reading], bool]:
    wanted = frozenset(subjects)
    return lambda one: one.subject in wanted


def _none(_told: Evidence, _rng: Random, name: str) -> Look:
    return Look(None, name, blind=True, silent=True)


def _stale(told: Evidence, rng: Random, name: str) -> Look:
    old = TimeNs(told.at - (FRESH_TICKS + rng.randrange(1, 50)) * TICK)
    return Look(replace(told, at=old), name, blind=True, silent=True)


def _future(told: Evidence, rng: Random, name: str) -> Look:
    ahead = TimeNs(told.at + rng.randrange(1, 50) * TICK)
    return Look(replace(told, at=ahead), name, blind=True, silent=True)


def _gateway_gone(told: Evidence, _rng: Random, name: str) -> Look:
    return Look(_without(told, _core), name, blind=True, silent=True)


def _replica_silent(told: Evidence, rng: Random, name: str) -> Look:
    slot = rng.choice(("a-1", "a-2", "b-1"))
    there = () if told.world is None else told.world.replicas
    # Of one that is gone, starting or draining it is known that it has nothing to say.
    serves = any(one.name == slot and one.state is ReplicaState.READY for one in there)
    return Look(_without(told, _of((names.replica(slot),))), name, silent=serves)


def _most_silent(told: Evidence, _rng: Random, name: str) -> Look:
    quiet = _without(told, lambda one: one.subject.startswith("replica:"))
    return Look(quiet, name, blind=True, silent=True)


def _pool_missing(told: Evidence, _rng: Random, name: str) -> Look:
    return Look(_without(told, _pool), name, silent=True)


def _nan(told: Evidence, _rng: Random, name: str) -> Look:
    spoilt = _with(told, _pool, lambda one: replace(one, value=math.nan))
    return Look(spoilt, name, silent=True)


def _infinite(told: Evidence, rng: Random, name: str) -> Look:
    value = rng.choice((math.inf, -math.inf))
    return Look(_with(told, _pool, lambda one: replace(one, value=value)), name, silent=True)


def _absurd(told: Evidence, _rng: Random, name: str) -> Look:
    spoilt = _with(told, _core, lambda one: replace(one, value=-1e300, quality=Quality.ABSURD))
    return Look(spoilt, name, blind=True, silent=True)


def _reset(told: Evidence, _rng: Random, name: str) -> Look:
    """Counters that went back without a restart are no increments."""
    back = _with(told, _core, lambda one: replace(one, value=None, quality=Quality.ABSURD))
    return Look(back, name, blind=True, silent=True)


def _several(told: Evidence, _rng: Random, name: str) -> Look:
    """Two series where one was asked for: the reader cannot know which is meant, and says so."""
    two = _with(told, _pool, lambda one: replace(one, value=None, quality=Quality.ABSURD))
    return Look(two, name, silent=True)


def _frozen(told: Evidence, _rng: Random, name: str) -> Look:
    """A page that is served and does not change any more."""
    still = _with(told, _core, lambda one: replace(one, quality=Quality.STALE))
    return Look(still, name, blind=True, silent=True)


def _learning(told: Evidence, _rng: Random, name: str) -> Look:
    return Look(replace(told, ready=False), name, silent=True)


def _zeros(told: Evidence, _rng: Random, name: str) -> Look:
    """Absence that an adapter between has turned into zeros, with what it could not know: few."""
    flat = _with(told, _pool, lambda one: replace(one, value=0.0, quality=Quality.FEW, samples=0.0))
    return Look(flat, name, silent=True)


METRIC_FAULTS: Final[dict[str, Callable[[Evidence, Random, str], Look]]] = {
    "metrics: none": _none,
    "metrics: stale": _stale,
    "metrics: from the future": _future,
    "metrics: gateway silent": _gateway_gone,
    "metrics: one replica silent": _replica_silent,
    "metrics: all replicas silent": _most_silent,
    "metrics: a series missing": _pool_missing,
    "metrics: NaN": _nan,
    "metrics: infinite": _infinite,
    "metrics: absurd": _absurd,
    "metrics: counter reset": _reset,
    "metrics: several series": _several,
    "metrics: page frozen": _frozen,
    "metrics: still learning": _learning,
    "metrics: zeros for nothing": _zeros,
}
