"""From an action and a guard state to the flat record of facts that the rules read.

Every field of `fields.FIELDS` gets a value or None for unknown; nothing is guessed and nothing an
action claims about itself is believed where the world can be asked.
"""

from dataclasses import replace

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.evidence import Family
from homeostat.base.family import only_foreseen
from homeostat.base.intent import ActionRecord, ActionState
from homeostat.base.policy import KillLevel
from homeostat.base.units import MILLISECOND
from homeostat.base.world import Levers, Replica, ReplicaState
from homeostat.safety import capacity
from homeostat.safety.bill import bill
from homeostat.safety.canaried import on_its_ramp
from homeostat.safety.change import (
    Change,
    bounds,
    change_of,
    directed,
    leaving,
    replicas_delta,
    shaped,
)
from homeostat.safety.counted import counted
from homeostat.safety.fleet_facts import NOT_YET_WRITING, of_fleet
from homeostat.safety.lately import lately
from homeostat.safety.odd import device_fills, odd_ones
from homeostat.safety.one_first import one_first
from homeostat.safety.rehearsed import rehearsed
from homeostat.safety.room import room
from homeostat.safety.room_kept import room_kept
from homeostat.safety.sight import Sight, milli, scrapes_ms
from homeostat.safety.stamped import foreign
from homeostat.safety.standby import standby
from homeostat.safety.taken_back import downward, is_late
from homeostat.safety.tree import Value

Record = dict[str, Value]

_ONE_REPLICA = frozenset({ActionKind.RESTART_REPLICA, ActionKind.DRAIN_REPLICA})
_BY_ITSELF = frozenset({Family.REPLICA, Family.HUNG, Family.MEMORY})
_TAKES_OUT = _ONE_REPLICA | {ActionKind.SCALE_DOWN}
_ABOUT_TO_WRITE = NOT_YET_WRITING | {ActionState.INTENT, ActionState.READBACK}


_NO_REPLICA: Record = dict.fromkeys((
    "process_gone",
    "probe_failures",
    "suspected",
    "drained",
    "others_seen",
    "others_remain",
))


def facts(action: Action, sight: Sight, *, undo: bool = False) -> Record:
    """Return the facts about one action in one state."""
    change = change_of(action, sight, undo=undo)
    own = _own_record(action, sight, undo=undo)
    late = is_late(action, own, undo=undo)
    record: Record = {
        "kind": action.kind.value,
        "subject": action.subject,
        "undo": undo,
        "late": late,
        "undo_kind": _undo_kind(action).value,
    }
    record.update(_scope(action, change, sight, undo=undo))
    record.update(_evidence(action, change, sight))
    record.update(_levers(action, change, sight, undo=undo, late=late))
    record.update(room(action, change, sight))
    record.update(lately(action, change, sight))
    record.update(counted(action, sight, own))
    record.update(of_fleet(action, sight, own))
    record.update(_rest(action, sight, own))
    record.update(rehearsed(own.action if own is not None else action, sight, own))
    record["to_new"] = _to_new(change, sight)
    record["one_first"] = one_first(action, sight, own)
    record["foreseen"] = _foreseen(action, sight, own)
    return record


def _own_record(action: Action, sight: Sight, *, undo: bool) -> ActionRecord | None:
    """Return the record in flight if it is this very action, about to be written."""
    flying = sight.state.in_flight
    if flying is None or flying.state.is_terminal:
        return None
    if undo:
        same = (flying.action.kind, flying.action.subject) == (action.kind, action.subject)
        return flying if same else None
    same = flying.state in _ABOUT_TO_WRITE and _is_stage_of(action, flying.action)
    return flying if same else None


def _is_stage_of(action: Action, whole: Action) -> bool:
    """Return whether an action is another one, or one stage of its ramp."""
    if action == whole:
        return True
    levers = [lever for lever, _ in whole.change]
    stages: list[Levers] = [whole.first] if whole.first else []
    if len(levers) == 1:
        stages += [((levers[0], rung),) for rung in whole.ramp]
    return action.change in stages and replace(action, change=whole.change) == whole


def _foreseen(action: Action, sight: Sight, own: ActionRecord | None) -> bool:
    """Return whether nothing but a forecast speaks for an action.

    What a person asked for has that person's word, and what has begun was begun on what was seen.
    """
    asked = action.beside and not (action if own is None else own.action).first
    if asked or (own is not None and (own.stage > 0 or own.attempt > 0)):
        return False
    evidence = sight.state.evidence
    if evidence is None or evidence.slo_met is False or not sight.suspects:
        return False
    return all(only_foreseen(family, subject) for subject, family in sight.suspects)


def _undo_kind(action: Action) -> UndoKind:
    """Return how the action can really be taken back: what restarts cannot be exact."""
    if action.kind is ActionKind.RETRAIN:
        return UndoKind.NONE
    if action.kind is ActionKind.RESTART_REPLICA and action.undo is UndoKind.EXACT:
        return UndoKind.COMPENSATING
    return action.undo


def _scope(action: Action, change: Change, sight: Sight, *, undo: bool) -> Record:
    managed, world, evidence = sight.state.managed, sight.world, sight.state.evidence
    told = [value.deployment for value in (world, evidence) if value is not None]
    traffic = action.kind in {ActionKind.SHIFT_TRAFFIC, ActionKind.SHED_LOAD}
    actuator = managed.traffic_actuator if traffic else managed.scale_actuator
    return {
        "named": all(name == managed.name for name in told),
        "ours": bool(action.actuator) and action.actuator == actuator,
        # What is written back is what was live before; only its floors are judged.
        "shaped": undo or shaped(action, change),
        "directed": True if undo else directed(change),
        "present": None if world is None else _present(action, sight),
    }


def _present(action: Action, sight: Sight) -> bool:
    subject = action.subject
    if subject in {names.GATEWAY, names.MODEL}:
        return True
    return subject in sight.once(_subjects) or subject in sight.once(_by_subject)


def _subjects(sight: Sight) -> frozenset[str]:
    return frozenset(names.pool(slot.pool) for slot in sight.replicas())


def _by_subject(sight: Sight) -> dict[str, Replica]:
    # The first of two slots with one name counts, as wherever slots are searched.
    return {names.replica(slot.name): slot for slot in reversed(sight.replicas())}


def _evidence(action: Action, change: Change, sight: Sight) -> Record:
    return {
        **sight.once(_of_evidence),
        **_about_replica(action, sight),
        **_about_versions(action, change, sight),
    }


def _of_evidence(sight: Sight) -> Record:
    """Return what the evidence is worth, whatever is asked about."""
    state, guard = sight.state, sight.state.managed.guard
    # A slot that is starting, draining or gone has nothing to say, and that is known.
    rotating = [slot for slot in sight.replicas() if slot.state is ReplicaState.READY]
    evidence = state.evidence
    return {
        "evidence_rules": guard.evidence_rules is not False,
        "evidence_age_ms": sight.evidence_age_ms,
        "fresh_ms": sight.fresh_ms,
        "ready": None if evidence is None else evidence.ready,
        "slo_met": None if evidence is None else evidence.slo_met,
        "gateway_fresh": sight.gateway_fresh,
        "replicas": None if sight.world is None else len(rotating),
        "silent": (
            None if sight.world is None else sum(slot.name not in sight.heard for slot in rotating)
        ),
        "failed_probes": guard.failed_probes,
    }


def _about_replica(action: Action, sight: Sight) -> Record:
    target = sight.once(_by_subject).get(action.subject)
    if target is None:
        return _NO_REPLICA
    slots, name = sight.replicas(), target.name
    failures = sight.value(action.subject, names.PROBE_FAILURES)
    odd = action.subject in sight.once(odd_ones)
    families = {family for subject, family in sight.suspects if subject == action.subject}
    # A device that fills is evidence of what is said of the device, and of nothing else.
    full = Family.DEVICE_MEMORY in families and (odd or action.subject in sight.once(device_fills))
    others = [slot for slot in slots if slot.name != name]
    rotating = [slot for slot in others if slot.state is ReplicaState.READY]
    pool = [slot for slot in others if slot.pool == target.pool]
    return {
        "process_gone": target.name in sight.gone,
        "probe_failures": None if failures is None or failures < 0 else int(failures),
        "suspected": full or (odd and bool(families & _BY_ITSELF)),
        "drained": target.state is ReplicaState.DRAINING,
        "others_seen": all(slot.name in sight.probed for slot in rotating),
        "others_remain": all(slot.name in sight.healthy for slot in pool),
    }


def _about_versions(action: Action, change: Change, sight: Sight) -> Record:
    fallback = sight.state.managed.fallback_pool
    pool = names.bare(action.subject)
    known = [
        sight.value(names.pool(pool), signal) for signal in (names.ERROR_RATIO, names.LATENCY_P95)
    ]
    older = True if fallback is None or fallback == pool else sight.clean(fallback)
    growing = capacity.growing(change, sight)
    tried = _tried(change, sight)
    clean = None if growing is None else [_clean(name, tried, sight) for name in growing]
    seen = None
    if growing is not None and clean is not None:
        pairs = zip(growing, clean, strict=True)
        seen = [True if well else standby(name, sight) for name, well in pairs]
    record: Record = {
        "current_known": True if any(value is not None for value in known) else None,
        "older_clean": older,
        "growing_clean": _all(clean),
        "growing_seen": _all(seen),
        "to_verified": None,
        "to_last_verified": None,
    }
    moves = change.moves("version.")
    if sight.world is not None and len(moves) == 1 and moves[0][2] is not None:
        pool, wanted, live = moves[0]
        ran = [entry.version for entry in sight.world.releases if entry.pool == pool]
        good = [v for v in ran if v != live and (pool, v) in sight.state.verified]
        record["to_verified"] = wanted in good
        record["to_last_verified"] = bool(good) and good[-1] == wanted
    return record


def _tried(change: Change, sight: Sight) -> str | None:
    """Return the pool that gets traffic by its own ramp to be compared, None if none does."""
    managed = sight.state.managed
    if managed.canary is None:
        return None
    ours = [on_its_ramp(lever, change.ramp, change.beside, managed) for lever, _ in change.writes]
    return managed.canary.pool if ours and all(ours) else None


def _clean(pool: str, tried: str | None, sight: Sight) -> bool | None:
    """Return whether a pool is well; of the one that is tried only harm is known before."""
    known = sight.clean(pool)
    return True if known is None and pool == tried else known


def _to_new(change: Change, sight: Sight) -> bool | None:
    """Return whether traffic goes to a pool other than the fallback; None when it is not known."""
    growing = capacity.growing(change, sight)
    fallback = sight.state.managed.fallback_pool
    old = fallback if _tried(change, sight) is None else None  # what is tried is new anywhere
    return None if growing is None else any(pool != old for pool in growing)


def _all(answers: list[bool | None] | None) -> bool | None:
    if answers is None:
        return None
    if False in answers:
        return False
    return None if None in answers else True


def _levers(action: Action, change: Change, sight: Sight, *, undo: bool, late: bool) -> Record:
    state, guard = sight.state, sight.state.managed.guard
    limits = bounds(change, sight)
    out = leaving(change, sight)
    accounts = state.accounts
    return {
        "limited": limits.limited,
        "excess_milli": limits.excess_milli,
        "step_excess_milli": limits.step_milli,
        "limit_text": limits.excess_text,
        "step_text": limits.step_text,
        "added": replicas_delta(change),
        "min_replicas": guard.min_replicas,
        "burning": False if accounts is None else accounts.burning,
        **bill(action, change, sight),
        "util_after_milli": capacity.utilisation_after(downward(change, late=late), sight, out),
        "util_spare_milli": capacity.utilisation_with_one_lost(sight, out),
        "util_max_milli": milli(guard.utilisation_max),
        "room_kept_milli": room_kept(change, sight, out),
        **_rotation(action, change, sight, out, undo=undo),
    }


def _rotation(
    action: Action,
    change: Change,
    sight: Sight,
    out: tuple[frozenset[str], int, str | None] | None,
    *,
    undo: bool,
) -> Record:
    """Return what leaves rotation, and what stays."""
    if out is None or sight.world is None:
        return dict.fromkeys(("taken", "left", "left_in_pool", "disturbed"))
    named, unnamed, pool = out
    managed = sight.state.managed
    inside = sight.healthy if pool is None else sight.once(capacity.healthy_in, pool)
    restarts = bool(change.moves("incarnation."))
    spare = 1 if restarts and sight.world.spares > 0 else 0
    left_in_pool = len(inside - named) - unnamed + spare
    everywhere = len(sight.healthy - named) - unnamed + spare
    # Whichever replicas the target picks, it can take no more from users than serve them: what an
    # undo takes back may never have come up. Shrinking on purpose is judged by its full number.
    lost = min(unnamed, _may_serve(pool, change, sight)) if undo else unnamed
    # A version change is rolled: one replica at a time, replacement first.
    disturbed = len(named) + unnamed + bool(change.moves("version."))
    if action.kind in _TAKES_OUT:
        disturbed = max(disturbed, action.replicas_touched, int(restarts))
    return {
        # A spare that takes over first leaves nothing to lose.
        "taken": max(0, len(named - sight.failing) + lost - spare),
        "left": left_in_pool if pool == managed.stable_pool else everywhere,
        "left_in_pool": left_in_pool,
        "disturbed": disturbed,
    }


def _may_serve(pool: str | None, change: Change, sight: Sight) -> int:
    """Return how many replicas of a pool may be serving: all but those known not to."""
    slots = sight.replicas(pool)
    states = {ReplicaState.STARTING, ReplicaState.GONE}
    idle = sum(slot.state in states or slot.name in sight.failing for slot in slots)
    counts = [milli(live) or 0 for name, _, live in change.moves("replicas.") if name == pool]
    # A replica that is counted and not shown is not known to be idle.
    return max([len(slots), *(-(-count // 1000) for count in counts)]) - idle


def _rest(action: Action, sight: Sight, own: ActionRecord | None) -> Record:
    guard, common = sight.state.managed.guard, sight.once(_of_policy)
    age = 0 if own is None or own.stage > 0 else (sight.now - own.proposed_at) // MILLISECOND
    ttl = common["ttl_ms"]
    approved = own is not None and own.approved_by != ""
    return {
        **common,
        "foreign": foreign(action, sight, own),
        "granted": action.kind in guard.auto_kinds and guard.granted_by.strip() != "",
        "approved": approved and isinstance(ttl, int) and 0 <= age <= ttl,
        "agreed": 0 if own is None else len(set(own.approvers)),
        "proposal_age_ms": age,
    }


def _of_policy(sight: Sight) -> Record:
    """Return what the policy and the switches say, whatever is asked about."""
    state, guard, now = sight.state, sight.state.managed.guard, sight.now
    until = state.observe_until
    return {
        "frozen": guard.frozen,
        "unproved": guard.unproved != "",
        "unproved_text": guard.unproved,
        "kill": str(KillLevel(state.kill)),
        "mode": state.managed.mode.value,
        "world_age_ms": sight.world_age_ms,
        "observing": until is not None and now < until,
        "ttl_ms": scrapes_ms(state.managed, guard.approval_ttl_scrapes),
        "spares": None if sight.world is None else sight.world.spares,
    }
