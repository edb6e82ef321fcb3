"""Builds the deployment of a counterexample: real values that the real guards can judge.

One pool without a fallback, its replicas numbered; what the solver drew as odd is made odd, and
everything else is well. What cannot be built so comes out as a mismatch in `replay`, never as a
counterexample.
"""

from dataclasses import dataclass, replace
from typing import Final

from homeostat.base import guard as base_guard
from homeostat.base import names
from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.budgets import (
    DAY_NS,
    HOUR_MS,
    Accounts,
    Ledger,
    MoneyPolicy,
    Price,
    day_of,
)
from homeostat.base.decisions import Effect
from homeostat.base.events import FleetView
from homeostat.base.evidence import Evidence, Family, Quality, Reading, Suspicion, Verdict
from homeostat.base.guard import GuardState, Load, PastAction
from homeostat.base.intent import ActionRecord, ActionState
from homeostat.base.policy import KillLevel, Managed, Mode, Objective
from homeostat.base.units import MILLISECOND, SECOND, TimeNs
from homeostat.base.world import Levers, Release, Replica, ReplicaState, Scalar, Snapshot, Stamp
from homeostat.proof.moment import GROWS, SHRINKS, Setting
from homeostat.proof.question import Drawn
from homeostat.proof.stage_first import margins, own_values
from homeostat.proof.stage_room import CONCURRENCY, room
from homeostat.proof.well import SIZE

POOL: Final = "a"
NAME: Final = "model"
HOST: Final = "host"
GATE: Final = "gate"
START: Final = TimeNs(1_000_000 * SECOND)
_OLD, _NEW = "v1", "v2"
_SLOTS: Final = frozenset({ActionKind.RESTART_REPLICA, ActionKind.DRAIN_REPLICA})
_SCALES: Final = frozenset({ActionKind.SCALE_UP, ActionKind.SCALE_DOWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What a chain did before this moment.

    Attributes:
        past: Its actions that reached the world.
        drained: Slots that it took out of rotation.
        sizes: (time, replicas in rotation until then).
        pool: The pool that the action is done to, the only one there is.
    """

    past: tuple[PastAction, ...] = ()
    drained: tuple[str, ...] = ()
    sizes: tuple[tuple[TimeNs, int], ...] = ()
    pool: str = POOL


def managed(setting: Setting, pool: str, mode: str, *, frozen: bool) -> Managed:
    """Return the deployment's configuration under the policy, in a mode and perhaps a freeze."""
    return Managed(
        name=NAME,
        mode=Mode(mode),
        scrape_ns=setting.scrape_ns,
        objective=Objective(latency_p95_ms=250.0, error_ratio=0.01),
        stable_pool=pool,
        fallback_pool=None,
        scale_actuator=HOST,
        traffic_actuator=GATE,
        replica_usd_per_hour=setting.price_milli / 1000,
        guard=replace(setting.policy, frozen=frozen),
        policy_digest="0" * 64,
    )


def subject_of(drawn: Drawn, before: Before) -> str:
    """Return the name of the slot that is restarted or drained: the first one still serving."""
    taken = len(before.drained) + 1
    return f"{before.pool}-{taken if drawn.kind == ActionKind.DRAIN_REPLICA.value else 1}"


def action(drawn: Drawn, before: Before) -> Action:
    """Return the action of a drawn moment."""
    kind = ActionKind(drawn.kind)
    undo_kind = str(drawn.facts["undo_kind"])
    subject, change = _change(kind, drawn, before)
    traffic = kind in {ActionKind.SHIFT_TRAFFIC, ActionKind.SHED_LOAD}
    known = {one.value for one in UndoKind}
    return Action(
        kind=kind,
        subject=subject,
        actuator=GATE if traffic else HOST,
        change=change,
        undo=UndoKind(undo_kind) if undo_kind in known else UndoKind.EXACT,
        replicas_touched=int(kind in _SLOTS),
        cost_usd_per_hour=_count(drawn.facts["spend_change_milli"]) / 1000,
    )


def _change(kind: ActionKind, drawn: Drawn, before: Before) -> tuple[str, Levers]:
    """Return the part that an action is done to, and what it writes."""
    slot, wanted = subject_of(drawn, before), _scalar(drawn.wanted)
    of_slot = {
        ActionKind.DRAIN_REPLICA: (names.lever_drained(slot), 1),
        ActionKind.RESTART_REPLICA: (names.lever_incarnation(slot), 2),
        ActionKind.RESTART_ALL: (names.lever_incarnation(slot), 2),
    }
    if kind in of_slot:
        return names.replica(slot), (of_slot[kind],)
    if kind is ActionKind.SHED_LOAD:
        return names.GATEWAY, ((names.GATEWAY_LIMIT, wanted),)
    if kind is ActionKind.RETRAIN:
        return names.MODEL, ()
    if kind is ActionKind.ROLLBACK:
        return names.pool(before.pool), ((names.lever_version(before.pool), _OLD),)
    return names.pool(before.pool), ((_lever(kind, drawn, before), wanted),)


def _lever(kind: ActionKind, drawn: Drawn, before: Before) -> str:
    """Return the lever that an action of a kind moves here."""
    if kind in _SCALES:
        return names.lever_replicas(before.pool)
    if kind is ActionKind.SHIFT_TRAFFIC:
        return names.lever_weight(before.pool)
    if kind in {ActionKind.RESIZE_UP, ActionKind.RESIZE_DOWN}:
        return names.CONCURRENCY
    return _batch_lever(drawn)


def _batch_lever(drawn: Drawn) -> str:
    return names.BATCH_WAIT if drawn.lever == names.BATCH_WAIT else names.BATCH_MAX


def _scalar(milli: int) -> Scalar:
    return milli // 1000 if milli % 1000 == 0 else milli / 1000


def state(setting: Setting, drawn: Drawn, before: Before) -> GuardState:
    """Return what the guards would see at a drawn moment."""
    facts, now = drawn.facts, TimeNs(START + drawn.at_ms * MILLISECOND)
    world = snapshot(drawn, before, now)
    rotation = sum(slot.state is ReplicaState.READY for slot in world.replicas)
    window = TimeNs(now - setting.remembered_ms * MILLISECOND)
    seen = [size for until, size in before.sizes if until >= window]
    policy = setting.policy
    watch = TimeNs(now - 2 * setting.ms(policy.watch_scrapes) * MILLISECOND - SECOND)
    return GuardState(
        managed=replace(
            managed(setting, before.pool, str(facts["mode"]), frozen=facts["frozen"] is True),
            money=_money(setting, drawn, now),
            canary=margins(drawn),
        ),
        evidence=evidence(drawn, before, world, now),
        world=world,
        fleet=_fleet(setting, drawn, rotation),
        kill=KillLevel(str(facts["kill"])),
        in_flight=_flying(drawn, before, now),
        past=_past(drawn, before, now),
        tries=_count(facts["tries"]),
        peak_replicas=max([rotation, *seen]),
        observe_until=TimeNs(now + SECOND) if facts["observing"] is True else None,
        verified=((before.pool, _OLD),),
        foreign_until=TimeNs(now + SECOND) if facts["foreign"] is True else None,
        loads=(Load(pool=before.pool, since=watch, until=now, milli=0),),
        accounts=_accounts(drawn, now),
        moves=tuple(
            one for one in before.past if one.kind in base_guard.GROWS | base_guard.SHRINKS
        ),
        peak_room_milli=room(drawn),
    )


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def _fleet(setting: Setting, drawn: Drawn, rotation: int) -> FleetView:
    facts, share = drawn.facts, setting.policy.replicas_share
    wide = _count(facts["replicas_limit"])
    size = rotation if share <= 0 else max(rotation, -(-wide * 1000 // max(1, round(share * 1000))))
    own = _count(facts["hour"])
    return FleetView(
        targets=max(1, _count(facts["targets"])),
        targets_changing=_count(facts["targets_changing"]),
        replicas=size,
        replicas_changing=_count(facts["others_changing"]),
        anomalous=_count(facts["anomalous"]),
        actions_last_hour=max(0, _count(facts["fleet_hour"]) - own),
        sensors_ok=facts["sensors_ok"] is True,
        sharing_changing=_count(facts["sharing"]),
    )


def _accounts(drawn: Drawn, now: TimeNs) -> Accounts:
    """Return what was counted of promises and money: nothing was spent before."""
    burning = drawn.facts["burning"]
    ledger = Ledger(since=now, at=now, rate_milli=None, earlier=())
    return Accounts(ledger=ledger, burning=None if burning is None else burning is True)


def _money(setting: Setting, drawn: Drawn, now: TimeNs) -> MoneyPolicy | None:
    """Return a budget of the day that the bill misses by as much as was drawn."""
    facts = drawn.facts
    if facts["billed"] is not True:
        return None
    ahead_ms = ((day_of(now) + 1) * DAY_NS - now) // MILLISECOND
    total = -(-_count(facts["spend_milli"]) * ahead_ms // HOUR_MS)
    return MoneyPolicy(
        prices=(Price(pool="", milli=setting.price_milli),),
        day_milli=total - _count(facts["bill_over_milli"]),
    )


def _past(drawn: Drawn, before: Before, now: TimeNs) -> tuple[PastAction, ...]:
    """Return the chain's actions, or as many as the moment's facts count."""
    if before.past:
        return before.past
    facts = drawn.facts
    since = TimeNs(now - _count(facts["since_ms"]) * MILLISECOND)
    kinds = [SHRINKS[0]] * _count(facts.get("shrunk"))
    kinds += [GROWS[0]] * _count(facts.get("grown"))
    rest = _count(facts["hour"]) - len(kinds)
    kinds += [ActionKind.SHED_LOAD] * max(0, rest)
    return tuple(
        PastAction(
            id=f"p-{number}", kind=kind, subject=names.GATEWAY, at=since, effect=Effect.HELPED
        )
        for number, kind in enumerate(kinds)
    )


def _flying(drawn: Drawn, before: Before, now: TimeNs) -> ActionRecord | None:
    """Return another action of the deployment, this one with a yes, or nothing."""
    facts, other = drawn.facts, _other(now)
    if facts.get("late") is True:  # a record of its own, begun to take another one back
        return replace(other, action=action(drawn, before), state=ActionState.INTENT, undoes="d-0")
    if facts["flying"] is True or facts["approved"] is not True:
        return other if facts["flying"] is True else None
    who = tuple(f"p-{number}" for number in range(_count(facts.get("agreed"))))
    own = replace(other, action=action(drawn, before), state=ActionState.PROPOSED)
    return replace(own, approved_by="p-0", approvers=who)


def _other(now: TimeNs) -> ActionRecord:
    """Return another action of the deployment, in flight."""
    shed = Action(
        kind=ActionKind.SHED_LOAD,
        subject=names.GATEWAY,
        actuator=GATE,
        change=((names.GATEWAY_LIMIT, 100),),
        undo=UndoKind.EXACT,
    )
    return ActionRecord(
        id="d-0001", deployment=NAME, incident_id="", action=shed, state=ActionState.APPLIED,
        epoch=1, stage=0, attempt=0, undo_attempts=0, intent=None, first_pre=(),
        proposed_at=now, state_since=now, deadline=TimeNs(now + SECOND),
    )  # fmt: skip


def snapshot(drawn: Drawn, before: Before, now: TimeNs) -> Snapshot:
    """Return the deployment as it would be read back."""
    kind, facts = ActionKind(drawn.kind), drawn.facts
    size = drawn.live // 1000 if kind in _SCALES else SIZE
    if kind is ActionKind.DRAIN_REPLICA:
        size = drawn.live // 1000 + len(before.drained)
    slots = [f"{before.pool}-{number}" for number in range(1, size + 1)]
    subject = subject_of(drawn, before)
    replicas = tuple(
        Replica(
            name=slot,
            pool=before.pool,
            version=_NEW,
            state=_slot_state(slot, subject, drawn, before),
            incarnation=1,
        )
        for slot in slots
    )
    levers: dict[str, Scalar] = {
        names.lever_replicas(before.pool): size,
        names.lever_version(before.pool): _NEW,
        names.lever_weight(before.pool): 100.0,
        names.BATCH_MAX: 8,
        names.BATCH_WAIT: 5,
        names.CONCURRENCY: CONCURRENCY,
        names.GATEWAY_LIMIT: 0,
        **own_values(drawn, slots),
    }
    for slot in slots:
        levers[names.lever_incarnation(slot)] = 1
        levers[names.lever_drained(slot)] = int(slot in before.drained)
    if kind not in _SLOTS | _SCALES | {ActionKind.ROLLBACK, ActionKind.RESTART_ALL}:
        for lever, _ in action(drawn, before).change:
            levers[lever] = _scalar(drawn.live)
    return Snapshot(
        deployment=NAME,
        observed_at=TimeNs(now - _count(facts["world_age_ms"]) * MILLISECOND),
        replicas=replicas,
        releases=(
            Release(pool=before.pool, version=_OLD, since=TimeNs(1)),
            Release(pool=before.pool, version=_NEW, since=TimeNs(2)),
        ),
        levers=tuple(sorted(levers.items())),
        stamps=(
            Stamp(actuator=GATE, token="7", intent=None, epoch=None),  # noqa: S106 - no secret
            Stamp(actuator=HOST, token="7", intent=None, epoch=None),  # noqa: S106 - no secret
        ),
        spares=_count(facts["spares"]),
        changing=facts["changing"] is True,
    )


def _slot_state(slot: str, subject: str, drawn: Drawn, before: Before) -> ReplicaState:
    if slot in before.drained:
        return ReplicaState.DRAINING
    gone = slot == subject and drawn.facts["process_gone"] is True
    return ReplicaState.GONE if gone and ActionKind(drawn.kind) in _SLOTS else ReplicaState.READY


def _reading(subject: str, signal: str, value: float, verdict: Verdict) -> Reading:
    return Reading(
        subject=subject, signal=signal, value=value, verdict=verdict, quality=Quality.GOOD,
        low=None, high=None, age_ns=0, samples=100.0,
    )  # fmt: skip


def evidence(drawn: Drawn, before: Before, world: Snapshot, now: TimeNs) -> Evidence | None:
    """Return the latest tick: all is well but for what was drawn as odd; None before the first."""
    facts = drawn.facts
    if facts["evidence_age_ms"] is None:
        return None
    well, subject = Verdict.HEALTHY, subject_of(drawn, before)
    told = [
        _reading(names.GATEWAY, names.ARRIVAL_RATE, 1.0, well),
        _reading(names.GATEWAY, names.ERROR_RATIO, 0.0, well),
        _reading(names.GATEWAY, names.LATENCY_P95, 60.0, well),
        _reading(names.pool(before.pool), names.ERROR_RATIO, 0.0, well),
        _reading(names.pool(before.pool), names.LATENCY_P95, 60.0, well),
        _reading(names.pool(before.pool), names.UTILISATION, 0.0, well),
    ]
    quiet = world.replicas[len(world.replicas) - _count(facts["silent"]) :]
    about = ActionKind(drawn.kind) in _SLOTS
    for slot in world.replicas:
        if slot not in quiet:
            odd = about and slot.name == subject
            told += _of_replica(slot.name, drawn if odd else None)
    slow = about and facts["suspected"] is True
    suspicion = Suspicion(
        family=Family.REPLICA, subject=names.replica(subject), confidence=0.9, because=()
    )
    ahead = Suspicion(
        family=Family.LOAD, subject=names.pool(before.pool), confidence=0.6, because=()
    )
    suspected = (suspicion,) if slow else (ahead,) * (facts["foreseen"] is True)
    return Evidence(
        deployment=NAME,
        at=TimeNs(now - _count(facts["evidence_age_ms"]) * MILLISECOND),
        tick=1,
        readings=tuple(told),
        anomalies=(),
        forecasts=(),
        suspicions=suspected,
        slo_met=facts["slo_met"] is True if facts["slo_met"] is not None else None,
        ready=facts["ready"] is True,
        world=world,
    )


def _of_replica(slot: str, odd: Drawn | None) -> list[Reading]:
    subject, well = names.replica(slot), Verdict.HEALTHY
    failures = 0 if odd is None else _count(odd.facts["probe_failures"])
    slow = odd is not None and odd.facts["suspected"] is True
    return [
        _reading(subject, names.PROBE_FAILURES, float(failures), well),
        _reading(subject, names.LATENCY_P95, 60.0, Verdict.ANOMALOUS if slow else well),
        _reading(subject, names.DEVICE_TIME, 1.0, well),
        _reading(subject, names.BATCH_FULL_SHARE, 1.0, well),
        _reading(subject, names.MEMORY_SHARE, 0.4, well),
    ]


def after(drawn: Drawn, before: Before, done: Action) -> Before:
    """Return what a chain has done once an action was carried out."""
    now = TimeNs(START + drawn.at_ms * MILLISECOND)
    kind = ActionKind(drawn.kind)
    entry = PastAction(
        id=f"c-{len(before.past)}", kind=kind, subject=done.subject, at=now, effect=Effect.HELPED,
        levers=tuple(lever for lever, _ in done.change),
    )  # fmt: skip
    out = (names.bare(done.subject),) if kind is ActionKind.DRAIN_REPLICA else ()
    size = drawn.live // 1000 if kind in _SCALES or out else SIZE
    return Before(
        past=(*before.past, entry),
        drained=(*before.drained, *out),
        sizes=(*before.sizes, (now, size)),
    )
