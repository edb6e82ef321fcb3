"""Guard states to test with: a deployment that is well, and the ways in which it can be unwell.

For tests of guards, policies and plug-ins: `scene()` is a healthy deployment of which everything
is known; the functions below take away or spoil one thing at a time. Not a simulation: nothing
here moves.
"""

from collections.abc import Iterable
from dataclasses import replace

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.events import FleetView
from homeostat.base.evidence import (
    Evidence,
    Family,
    Forecast,
    Quality,
    Reading,
    Suspicion,
    Verdict,
)
from homeostat.base.guard import GuardState, Load
from homeostat.base.policy import GuardPolicy, KillLevel, LeverLimit, Managed, Mode, Objective
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Release, Replica, ReplicaState, Scalar, Snapshot, Stamp

# How long a solver may take where what it finds is asserted, not how soon: thousands of times what
# it takes. On a shared machine what computes may stand still for minutes, and its clock goes on.
PATIENT_MS = 3_000_000
NOW = TimeNs(1_000_000 * SECOND)
NAME = "model"
OLD, NEW = "v1", "v2"
STABLE, FALLBACK = "a", "b"
HOST, GATE = "host", "gate"

POLICY = GuardPolicy(
    limits=(
        LeverLimit(lever="replicas.", low=1.0, high=200.0),
        LeverLimit(lever=names.BATCH_MAX, low=1.0, high=64.0, step_down=0.5),
        LeverLimit(lever=names.BATCH_WAIT, low=0.0, high=100.0),
        LeverLimit(lever=names.CONCURRENCY, low=1.0, high=64.0),
        LeverLimit(lever="weight.", low=0.0, high=100.0),
        LeverLimit(lever=names.GATEWAY_LIMIT, low=8.0, high=1000.0),
    ),
    auto_kinds=tuple(ActionKind),
    granted_by="R. Ashby",
)


def managed(*, policy: GuardPolicy = POLICY, mode: Mode = Mode.AUTO) -> Managed:
    """Return the configuration of the deployment."""
    return Managed(
        name=NAME,
        mode=mode,
        scrape_ns=SECOND,
        objective=Objective(latency_p95_ms=250.0, error_ratio=0.01),
        stable_pool=STABLE,
        fallback_pool=FALLBACK,
        scale_actuator=HOST,
        traffic_actuator=GATE,
        replica_usd_per_hour=1.0,
        guard=policy,
        policy_digest="0" * 64,
    )


def reading(
    subject: str, signal: str, value: float | None, verdict: Verdict = Verdict.HEALTHY
) -> Reading:
    """Return a fresh, believable reading."""
    return Reading(
        subject=subject,
        signal=signal,
        value=value,
        verdict=verdict,
        quality=Quality.GOOD,
        low=None,
        high=None,
        age_ns=SECOND // 2,
        samples=100.0,
    )


def world(size: int = 3, *, fallback: int = 1, spares: int = 1) -> Snapshot:
    """Return a deployment of `size` replicas of the newest version and some of the older one."""
    slots = [(STABLE, number, NEW) for number in range(1, size + 1)]
    slots += [(FALLBACK, number, OLD) for number in range(1, fallback + 1)]
    replicas = tuple(
        Replica(
            name=f"{pool}-{number}",
            pool=pool,
            version=version,
            state=ReplicaState.READY,
            incarnation=1,
        )
        for pool, number, version in slots
    )
    levers: dict[str, Scalar] = {
        names.lever_replicas(STABLE): size,
        names.lever_replicas(FALLBACK): fallback,
        names.lever_version(STABLE): NEW,
        names.lever_version(FALLBACK): OLD,
        names.lever_weight(FALLBACK): 5.0,
        names.BATCH_MAX: 8,
        names.BATCH_WAIT: 5.0,
        names.CONCURRENCY: 16,
        names.GATEWAY_LIMIT: 0,
        **{names.lever_incarnation(slot.name): slot.incarnation for slot in replicas},
        **{names.lever_drained(slot.name): 0 for slot in replicas},
    }
    return Snapshot(
        deployment=NAME,
        observed_at=NOW,
        replicas=replicas,
        releases=(
            Release(pool=STABLE, version=OLD, since=TimeNs(1)),
            Release(pool=STABLE, version=NEW, since=TimeNs(2)),
            Release(pool=FALLBACK, version=OLD, since=TimeNs(1)),
        ),
        levers=tuple(sorted(levers.items())),
        stamps=(
            Stamp(actuator=GATE, token=None, intent=None, epoch=None),
            Stamp(actuator=HOST, token="7", intent=None, epoch=1),  # noqa: S106 - a version, no secret
        ),
        spares=spares,
    )


def evidence(snapshot: Snapshot) -> Evidence:
    """Return a tick on which everything about the deployment is known and well."""
    told = [
        reading(names.GATEWAY, names.ARRIVAL_RATE, 100.0),
        reading(names.GATEWAY, names.ERROR_RATIO, 0.0),
        reading(names.GATEWAY, names.LATENCY_P95, 60.0),
    ]
    for pool in (STABLE, FALLBACK):
        told += [
            reading(names.pool(pool), names.ERROR_RATIO, 0.0),
            reading(names.pool(pool), names.LATENCY_P95, 60.0),
            reading(names.pool(pool), names.UTILISATION, 0.2),
        ]
    for slot in snapshot.replicas:
        told += [
            reading(names.replica(slot.name), names.PROBE_FAILURES, 0.0),
            reading(names.replica(slot.name), names.LATENCY_P95, 60.0),
            reading(names.replica(slot.name), names.DEVICE_TIME, 40.0),
            reading(names.replica(slot.name), names.BATCH_FULL_SHARE, 0.6),
            reading(names.replica(slot.name), names.MEMORY_SHARE, 0.4),
        ]
    return Evidence(
        deployment=snapshot.deployment,
        at=NOW,
        tick=1,
        readings=tuple(told),
        anomalies=(),
        forecasts=(),
        suspicions=(),
        slo_met=True,
        ready=True,
        world=snapshot,
    )


def scene(
    size: int = 3, *, fallback: int = 1, spares: int = 1, policy: GuardPolicy = POLICY
) -> GuardState:
    """Return the state of a healthy deployment of which everything is known."""
    snapshot = world(size, fallback=fallback, spares=spares)
    return GuardState(
        managed=managed(policy=policy),
        evidence=evidence(snapshot),
        world=snapshot,
        fleet=FleetView(replicas=len(snapshot.replicas)),
        kill=KillLevel.OFF,
        in_flight=None,
        past=(),
        tries=0,
        peak_replicas=size,
        observe_until=None,
        verified=((STABLE, OLD), (FALLBACK, OLD)),
        loads=watched(policy.watch_scrapes),
    )


def watched(seconds: float, milli: int = 0) -> tuple[Load, ...]:
    """Return that both pools were watched so long, with so much work in thousandths of a replica.

    Args:
        seconds: How long, until now.
        milli: The most work there was; 0 leaves the word to what is measured now.
    """
    since = TimeNs(NOW - round(seconds * SECOND))
    return tuple(
        Load(pool=pool, since=since, until=NOW, milli=milli) for pool in (STABLE, FALLBACK)
    )


def told(state: GuardState, *readings: Reading) -> GuardState:
    """Return the state with readings replaced (same subject and signal) or added."""
    if state.evidence is None:
        return state
    new = {(one.subject, one.signal): one for one in (*state.evidence.readings, *readings)}
    return replace(state, evidence=replace(state.evidence, readings=tuple(new.values())))


def without(state: GuardState, gone: Iterable[tuple[str, str]]) -> GuardState:
    """Return the state without some readings (subject and signal)."""
    if state.evidence is None:
        return state
    out = set(gone)
    kept = tuple(one for one in state.evidence.readings if (one.subject, one.signal) not in out)
    return replace(state, evidence=replace(state.evidence, readings=kept))


def suspect(state: GuardState, family: Family, subject: str) -> GuardState:
    """Return the state with one suspicion more."""
    if state.evidence is None:
        return state
    one = Suspicion(family=family, subject=subject, confidence=0.9, because=())
    return replace(
        state,
        evidence=replace(state.evidence, suspicions=(*state.evidence.suspicions, one)),
    )


def filling(state: GuardState, name: str = "a-1", seconds: float = 3600.0) -> GuardState:
    """Return the state with one replica that will reach its memory limit in so long."""
    if state.evidence is None:
        return state
    one = Forecast(
        subject=names.replica(name),
        signal=names.MEMORY_SHARE,
        limit=1.0,
        time_to_limit_ns=round(seconds * SECOND),
    )
    return replace(
        state, evidence=replace(state.evidence, forecasts=(*state.evidence.forecasts, one))
    )


def with_slot(state: GuardState, name: str, slot_state: ReplicaState) -> GuardState:
    """Return the state with one replica in another life-cycle state."""
    if state.world is None:
        return state
    slots = tuple(
        replace(slot, state=slot_state) if slot.name == name else slot
        for slot in state.world.replicas
    )
    return replace(state, world=replace(state.world, replicas=slots))


def with_levers(state: GuardState, **values: float | str) -> GuardState:
    """Return the state with live levers replaced; a dot in a name is written as two underscores."""
    if state.world is None:
        return state
    levers = dict(state.world.levers)
    levers.update({name.replace("__", "."): value for name, value in values.items()})
    return replace(state, world=replace(state.world, levers=tuple(sorted(levers.items()))))


def act(kind: ActionKind, subject: str, **levers: float | str) -> Action:
    """Return an action as a policy would propose it; lever names as in `with_levers`."""
    traffic = kind in {ActionKind.SHIFT_TRAFFIC, ActionKind.SHED_LOAD}
    one = kind in {ActionKind.RESTART_REPLICA, ActionKind.DRAIN_REPLICA}
    change = {name.replace("__", "."): value for name, value in levers.items()}
    return Action(
        kind=kind,
        subject=subject,
        actuator=GATE if traffic else HOST,
        change=tuple(sorted(change.items())),
        undo=UndoKind.COMPENSATING if kind is ActionKind.RESTART_REPLICA else UndoKind.EXACT,
        replicas_touched=int(one),
    )


def restart(name: str, incarnation: int = 2) -> Action:
    """Return the restart of one replica."""
    action = act(ActionKind.RESTART_REPLICA, names.replica(name))
    return replace(action, change=((names.lever_incarnation(name), incarnation),))


def drain(name: str) -> Action:
    """Return taking one replica out of rotation."""
    action = act(ActionKind.DRAIN_REPLICA, names.replica(name))
    return replace(action, change=((names.lever_drained(name), 1),))


def scale(wanted: int, kind: ActionKind = ActionKind.SCALE_UP) -> Action:
    """Return setting the stable pool's number of replicas."""
    return act(kind, names.pool(STABLE), replicas__a=wanted)


def rollback(version: str = OLD) -> Action:
    """Return setting the stable pool's version."""
    return act(ActionKind.ROLLBACK, names.pool(STABLE), version__a=version)


def hung(state: GuardState, name: str = "a-1", rounds: float = 3.0) -> GuardState:
    """Return the state with one replica whose probes fail; its own page is silent."""
    subject = names.replica(name)
    page = (names.LATENCY_P95, names.DEVICE_TIME, names.BATCH_FULL_SHARE)
    silent = without(state, [(subject, signal) for signal in page])
    return told(silent, reading(subject, names.PROBE_FAILURES, rounds, Verdict.ANOMALOUS))


def slow(state: GuardState, name: str = "a-1", family: Family = Family.REPLICA) -> GuardState:
    """Return the state with one replica that answers slowly (or leaks) and is suspected."""
    subject = names.replica(name)
    odd = reading(subject, names.LATENCY_P95, 900.0, Verdict.ANOMALOUS)
    return suspect(told(state, odd), family, subject)


def bad_release(state: GuardState) -> GuardState:
    """Return the state with errors at every replica of the newest version, the older one well."""
    subject = names.pool(STABLE)
    odd = reading(subject, names.ERROR_RATIO, 0.2, Verdict.ANOMALOUS)
    gate = reading(names.GATEWAY, names.ERROR_RATIO, 0.2, Verdict.ANOMALOUS)
    return missed(suspect(told(state, odd, gate), Family.RELEASE, subject))


def overload(state: GuardState) -> GuardState:
    """Return the state under more load than it was made for."""
    rate = reading(names.GATEWAY, names.ARRIVAL_RATE, 900.0, Verdict.ANOMALOUS)
    full = reading(names.pool(STABLE), names.UTILISATION, 1.4, Verdict.ANOMALOUS)
    return missed(suspect(told(state, rate, full), Family.LOAD, names.GATEWAY))


def missed(state: GuardState) -> GuardState:
    """Return the state with the objectives missed."""
    if state.evidence is None:
        return state
    return replace(state, evidence=replace(state.evidence, slo_met=False))
