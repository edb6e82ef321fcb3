"""Builders: valid nouns with sensible defaults, so that a test says only what matters to it."""

from collections.abc import Mapping
from typing import Any

from homeostat.base import names
from homeostat.base.actions import ActionKind
from homeostat.base.evidence import Evidence, Family, Quality, Reading, Suspicion, Verdict
from homeostat.base.guard import PastAction
from homeostat.base.policy import GuardPolicy, LeverLimit, Managed, Mode, Objective
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Release, Replica, ReplicaState, Scalar, Snapshot, Stamp

START = TimeNs(1_700_000_000 * SECOND)
LIMITS = (
    LeverLimit(lever="replicas.a", low=2, high=6),
    LeverLimit(lever="batch_max", low=1, high=32),
    LeverLimit(lever="weight.", low=0, high=100),
    LeverLimit(lever="gateway_limit", low=8, high=512),
)


def at(seconds: float) -> TimeNs:
    """Return a time this many seconds after `START`."""
    return TimeNs(START + round(seconds * SECOND))


def guard(**changes: Any) -> GuardPolicy:
    """Return a guard policy that grants every kind that may be granted."""
    settings: dict[str, Any] = {
        "limits": LIMITS,
        "auto_kinds": tuple(kind for kind in ActionKind if kind is not ActionKind.RESTART_ALL),
        "granted_by": "a test",
        "cooldown_scrapes": 5.0,
        "replicas_share": 1.0,
        "actions_per_hour": 60,
    }
    return GuardPolicy(**{**settings, **changes})


def managed(**changes: Any) -> Managed:
    """Return a deployment `m` in mode auto with a 1 s tick; guard settings go to `guard`."""
    settings: dict[str, Any] = {
        "name": "m",
        "mode": Mode.AUTO,
        "scrape_ns": SECOND,
        "objective": Objective(latency_p95_ms=250.0, error_ratio=0.01, accuracy=0.8),
        "stable_pool": "a",
        "fallback_pool": "b",
        "scale_actuator": "host",
        "traffic_actuator": "envoy",
        "replica_usd_per_hour": 2.0,
        "guard": guard(),
        "policy_digest": "0" * 64,
    }
    return Managed(**{**settings, **changes})


def replica(name: str, **changes: Any) -> Replica:
    """Return a ready replica; its pool is the part of its name before the dash."""
    settings: dict[str, Any] = {
        "name": name,
        "pool": name.partition("-")[0],
        "version": "v2" if name.startswith("a") else "v1",
        "state": ReplicaState.READY,
        "incarnation": 1,
        "started_at": START,
        "memory_bytes": 100 << 20,
        "memory_limit_bytes": 400 << 20,
        "address": "127.0.0.1:19201",
    }
    return Replica(**{**settings, **changes})


def world(now: TimeNs = START, **changes: Any) -> Snapshot:
    """Return three replicas of pool a on v2, one of pool b on v1, one spare; `levers` adds."""
    levers: dict[str, Scalar] = {
        "replicas.a": 3,
        "replicas.b": 1,
        "version.a": "v2",
        "version.b": "v1",
        "batch_max": 8,
        "weight.b": 5,
        "gateway_limit": 0,
    }
    for slot in ("a-1", "a-2", "a-3", "b-1"):
        levers[names.lever_incarnation(slot)] = 1
        levers[names.lever_drained(slot)] = 0
    levers.update(changes.pop("levers", {}))
    settings: dict[str, Any] = {
        "deployment": "m",
        "observed_at": now,
        "replicas": tuple(replica(name) for name in ("a-1", "a-2", "a-3", "b-1")),
        "releases": (
            Release(pool="a", version="v2", since=START),
            Release(pool="b", version="v1", since=START),
        ),
        "levers": tuple(sorted(levers.items())),
        "stamps": (
            Stamp(actuator="envoy", token=None, intent=None, epoch=None),
            Stamp(actuator="host", token="1", intent=None, epoch=1),  # noqa: S106 - a revision
        ),
        "spares": 1,
    }
    return Snapshot(**{**settings, **changes})


def reading(subject: str, signal: str, value: float | None, **changes: Any) -> Reading:
    """Return a healthy reading; a value of None is unknown and missing."""
    known = value is not None
    settings: dict[str, Any] = {
        "subject": subject,
        "signal": signal,
        "value": value,
        "verdict": Verdict.HEALTHY if known else Verdict.UNKNOWN,
        "quality": Quality.GOOD if known else Quality.MISSING,
        "low": None,
        "high": None,
        "age_ns": 0,
        "samples": 500.0,
    }
    return Reading(**{**settings, **changes})


def suspicion(family: Family, subject: str, **changes: Any) -> Suspicion:
    """Return a suspicion with one reason."""
    settings: dict[str, Any] = {
        "family": family,
        "subject": subject,
        "confidence": 0.9,
        "because": (f"{family} at {subject}",),
    }
    return Suspicion(**{**settings, **changes})


HEALTHY: Mapping[tuple[str, str], float] = {
    (names.GATEWAY, names.ARRIVAL_RATE): 100.0,
    (names.GATEWAY, names.ERROR_RATIO): 0.0,
    (names.GATEWAY, names.LATENCY_P50): 55.0,
    (names.GATEWAY, names.LATENCY_P95): 80.0,
    (names.pool("a"), names.ERROR_RATIO): 0.0,
    (names.pool("a"), names.LATENCY_P95): 80.0,
    (names.pool("a"), names.UTILISATION): 0.25,
    (names.pool("b"), names.ERROR_RATIO): 0.0,
    (names.pool("b"), names.LATENCY_P95): 80.0,
    (names.MODEL, names.ACCURACY): 0.95,
}


def evidence(now: TimeNs = START, tick: int = 1, **changes: Any) -> Evidence:
    """Return a healthy tick; `values` overrides {(subject, signal): value or None}."""
    values: dict[tuple[str, str], float | None] = dict(HEALTHY)
    seen = changes.pop("world", world(now))
    for entry in seen.replicas if seen is not None else ():
        subject = names.replica(entry.name)
        values[subject, names.PROBE_FAILURES] = 0.0
        values[subject, names.PROCESS_UP] = 1.0
        values[subject, names.DEVICE_TIME] = 35.0
        values[subject, names.BATCH_FULL_SHARE] = 0.6
        values[subject, names.MEMORY_SHARE] = 0.4
    values.update(changes.pop("values", {}))
    suspected = changes.get("suspicions", ())
    settings: dict[str, Any] = {
        "deployment": "m",
        "at": now,
        "tick": tick,
        "readings": tuple(
            reading(subject, signal, value) for (subject, signal), value in sorted(values.items())
        ),
        "anomalies": (),
        "forecasts": (),
        "suspicions": (),
        "slo_met": not suspected,
        "ready": True,
        "world": seen,
    }
    return Evidence(**{**settings, **changes})


def past(kind: str, subject: str, *, at: float, **changes: Any) -> PastAction:
    """Return an action that reached the world `at` seconds after `START` (negative: before)."""
    when = TimeNs(START + round(at * SECOND))
    settings: dict[str, Any] = {"id": "d-0001", "kind": ActionKind(kind), "subject": subject}
    return PastAction(**{**settings, "at": when, **changes})
