"""The runbook: for each suspected fault, the actions worth trying, best first.

Deterministic and explainable. It only names candidates; `safety.permit` says which of them may
run, and `choose` takes the first one left. What has been tried on the same incident without help
is not named again, except steps of a ladder (one more replica, one larger batch).
"""

from collections.abc import Callable, Sequence

from homeostat.base import names
from homeostat.base.actions import (
    HOLD,
    Action,
    ActionKind,
    Proposal,
    Refusal,
    SafeSet,
    UndoKind,
    barred,
)
from homeostat.base.evidence import LOOKBACK_SCRAPES, Family, Incident
from homeostat.base.guard import GuardState
from homeostat.base.units import ns
from homeostat.base.world import Levers, ReplicaState, Snapshot
from homeostat.policy.foreseen import is_foreseen, may_add
from homeostat.policy.levers import (
    batch_back,
    batch_step,
    fallback_step,
    limit_of,
    scale_step,
    shed_step,
    smaller_batch_step,
)
from homeostat.policy.one_first import said, staged
from homeostat.policy.sequences import put_back, serves_more, would_fit
from homeostat.policy.sizing import replicas_more

ESCALATE = Action(kind=ActionKind.ESCALATE, subject="model", undo=UndoKind.EXACT)
_LADDER = frozenset({
    ActionKind.SCALE_UP,
    ActionKind.BATCH_UP,
    ActionKind.BATCH_DOWN,
    ActionKind.SHED_LOAD,
})
# Guards whose no is a "not yet"; see docs/reference/guards.md.
_PASSING = ("G0", "G3 cooldown", "G3 stabilisation", "G5", "G6", "G13")
# After removing a replica the pool must stay this idle, or the saving is not worth the risk.
# Source: half of the utilisation at which an M/M/c queue of three servers starts to wait.
IDLE_AFTER_SCALE_DOWN = 0.30

UP, DOWN = ActionKind.BATCH_UP, ActionKind.BATCH_DOWN
Tried = Sequence[tuple[str, str]]


def candidates(
    incident: Incident | None, state: GuardState, tried: Tried
) -> tuple[tuple[Action, ...], tuple[str, ...]]:
    """Return the actions worth trying now, best first, and why.

    Args:
        incident: The confirmed incident, None when all is calm.
        state: What the guards see; the runbook reads world, evidence and policy from it.
        tried: Kind and subject of what did not help this incident, and `barred` actions.

    Returns:
        Candidates (ESCALATE last for an incident that is felt) and sentences for people.
    """
    if state.world is None:
        return (), ("the deployment could not be read",)
    if incident is None:
        return _calm(state, state.world)
    if is_foreseen(incident):
        granted = may_add(state.managed.mode, state.managed.guard)
        more = _scale(state, state.world, 1) if granted else ()
        return tuple(one for one in more if barred(one) not in tried), incident.because
    wanted = _PLAYS[incident.family](incident, state, state.world)
    left = tuple(
        action
        for action in wanted
        if barred(action) not in tried
        and (_is_ladder(action) or (action.kind.value, action.subject) not in tried)
    )
    return (*left, ESCALATE), (*incident.because, *said(left, state, state.world))


def _is_ladder(action: Action) -> bool:
    """Return whether an action is one step of several; what was tried on some is tried once."""
    return action.kind in _LADDER and not action.first


def choose(wanted: Sequence[Action], safe_set: SafeSet, because: tuple[str, ...]) -> Proposal:
    """Propose the first wanted action that the safe set holds, else HOLD."""
    scores = tuple(
        (f"{action.kind} {action.subject}", float(len(wanted) - rank))
        for rank, action in enumerate(wanted)
    )
    chosen = next((action for action in wanted if safe_set.holds(action)), HOLD)
    if chosen in safe_set.approvals:
        # A smaller step of the same that nobody has to be asked for comes before the question.
        same = [one for one in wanted if one in safe_set.allowed and barred(one) == barred(chosen)]
        chosen = next(iter(same), chosen)
    if chosen is ESCALATE and any(_will_pass(refusal) for refusal in safe_set.refused):
        chosen = HOLD  # better asked again in a moment than a person woken now
    return Proposal(
        action=chosen, safe_set=safe_set, policy="runbook", scores=scores, because=because
    )


def _will_pass(refusal: Refusal) -> bool:
    """Return whether everything that refused the action passes by itself: time or evidence."""
    return all(reason.startswith(_PASSING) for reason in refusal.reasons)


def _replica(incident: Incident, state: GuardState, world: Snapshot) -> tuple[Action, ...]:
    slot = names.bare(incident.subject)
    return (*_restart(slot, state, world), *_drain(slot, state, world), *_scale(state, world, 1))


def _release(incident: Incident, state: GuardState, world: Snapshot) -> tuple[Action, ...]:
    pool = names.bare(incident.subject) if ":" in incident.subject else state.managed.stable_pool
    return (*_rollback(pool, state, world), *_shift_away(pool, state, world))


def _load(_: Incident, state: GuardState, world: Snapshot) -> tuple[Action, ...]:
    limit = limit_of(state.managed.guard, names.lever_replicas(state.managed.stable_pool))
    asked = replicas_more(state, world, limit)
    # The guards hold several to cooldown and rates, and let one through: it is named as well.
    several = _scale(state, world, asked) if asked > 1 else ()
    bigger = (*several, *_scale(state, world, 1), *_batch(state, world))
    # Shedding refuses people: only when there is no capacity left to add.
    return bigger or _shed(state, world)


def _batching(_: Incident, state: GuardState, world: Snapshot) -> tuple[Action, ...]:
    if put_back(state, world):
        smaller = (*_batch_back(DOWN, state, world), *_smaller_batch(state, world))
        return (*smaller, *_scale(state, world, 1))
    larger = (*_batch_back(UP, state, world), *_batch(state, world))
    return (*larger, *_scale(state, world, 1))


def _filling(_: Incident, state: GuardState, world: Snapshot) -> tuple[Action, ...]:
    """Go back to the batch that served where it is smaller; the wait is a release's."""
    return _batch_back(DOWN, state, world)


def _retrain(_: Incident, state: GuardState, __: Snapshot) -> tuple[Action, ...]:
    """Ask for a version that knows the world as it is now: people allow it, a canary tries it."""
    if state.managed.training is None:
        return ()
    return (
        Action(
            kind=ActionKind.RETRAIN,
            subject=names.MODEL,
            actuator=state.managed.scale_actuator,
            undo=UndoKind.NONE,
        ),
    )


def _nothing(_: Incident, __: GuardState, ___: Snapshot) -> tuple[Action, ...]:
    return ()


_PLAYS: dict[Family, Callable[[Incident, GuardState, Snapshot], tuple[Action, ...]]] = {
    Family.REPLICA: _replica,
    Family.HUNG: _replica,
    Family.OUTAGE: _nothing,  # who comes up again by itself would begin anew
    Family.MEMORY: _replica,
    Family.DEVICE_MEMORY: _replica,
    Family.RELEASE: _release,
    Family.OUTPUT: _release,
    Family.LOAD: _load,
    Family.BATCHING: _batching,
    Family.FILLING: _filling,
    Family.DRIFT: _retrain,
    Family.SENSOR: _nothing,  # acting on data that cannot be believed is the fault itself
    # A larger batch is the wrong answer to both, and a replica added to a node that is short of
    # processor does harm: who looks after the requests decides.
    Family.WORK: _nothing,
    Family.FRONTEND: _nothing,
    Family.NETWORK: _nothing,  # not in our hands
    Family.DEPENDENCY: _nothing,
    Family.STARTING: _nothing,  # what starts again starts later
    Family.QUALITY: _nothing,  # labels may come to say that it is better so
    # What burns slowly has no cause that is known; the canary's traffic is back already.
    Family.BUDGET: _nothing,
    Family.CONTROL: _nothing,  # two that move one lever fight: whoever moved it decides
    Family.UNCLEAR: _nothing,
}


def _restart(slot: str, state: GuardState, world: Snapshot) -> tuple[Action, ...]:
    found = next((replica for replica in world.replicas if replica.name == slot), None)
    if found is None:
        return ()
    change: Levers = ((names.lever_incarnation(slot), found.incarnation + 1),)
    return (
        Action(
            kind=ActionKind.RESTART_REPLICA,
            subject=names.replica(slot),
            actuator=state.managed.scale_actuator,
            change=change,
            undo=UndoKind.COMPENSATING,
            replicas_touched=1,
            settle_ns=_settle(state, LOOKBACK_SCRAPES),
            exempt=True,
        ),
    )


def _drain(slot: str, state: GuardState, world: Snapshot) -> tuple[Action, ...]:
    found = next((replica for replica in world.replicas if replica.name == slot), None)
    # One that is down or leaves gets nothing new already: a drain would free no request that it
    # holds, and would keep it out when it is well again. One that starts is not yet relied on.
    if found is None or found.state is not ReplicaState.READY:
        return ()
    return (
        Action(
            kind=ActionKind.DRAIN_REPLICA,
            subject=names.replica(slot),
            actuator=state.managed.scale_actuator,
            change=((names.lever_drained(slot), 1),),
            undo=UndoKind.EXACT,
            replicas_touched=1,
            settle_ns=_settle(state, LOOKBACK_SCRAPES),
            exempt=True,
        ),
    )


def _rollback(pool: str, state: GuardState, world: Snapshot) -> tuple[Action, ...]:
    target = last_verified(pool, state, world)
    if target is None:
        return ()
    touched = sum(replica.pool == pool for replica in world.replicas)
    return (
        Action(
            kind=ActionKind.ROLLBACK,
            subject=names.pool(pool),
            actuator=state.managed.scale_actuator,
            change=((names.lever_version(pool), target),),
            undo=UndoKind.EXACT,
            replicas_touched=touched,
            settle_ns=_settle(state, LOOKBACK_SCRAPES),
            exempt=True,
        ),
    )


def last_verified(pool: str, state: GuardState, world: Snapshot) -> str | None:
    """Return the newest version of a pool, before its current one, that was seen to serve well."""
    ran = [release.version for release in world.releases if release.pool == pool]
    current = world.lever(names.lever_version(pool))
    for version in reversed(ran):
        if version != current and (pool, version) in state.verified:
            return version
    return None


def _shift_away(pool: str, state: GuardState, world: Snapshot) -> tuple[Action, ...]:
    other = state.managed.fallback_pool
    if other is None or pool == other or state.managed.traffic_actuator is None:
        return ()
    step = fallback_step(world, other)
    if step is None:
        return ()
    ramp, change = step
    return (
        Action(
            kind=ActionKind.SHIFT_TRAFFIC,
            subject=names.pool(other),
            actuator=state.managed.traffic_actuator,
            change=change,
            undo=UndoKind.EXACT,
            ramp=ramp,
            settle_ns=_settle(state, LOOKBACK_SCRAPES),
        ),
    )


def _scale(state: GuardState, world: Snapshot, by: int) -> tuple[Action, ...]:
    pool = state.managed.stable_pool
    change = scale_step(world, pool, by, limit_of(state.managed.guard, names.lever_replicas(pool)))
    if change is None:
        return ()
    up = by > 0
    return (
        Action(
            kind=ActionKind.SCALE_UP if up else ActionKind.SCALE_DOWN,
            subject=names.pool(pool),
            actuator=state.managed.scale_actuator,
            change=change,
            undo=UndoKind.EXACT,
            replicas_touched=abs(by),
            cost_usd_per_hour=by * state.managed.replica_usd_per_hour,
            settle_ns=_settle(state, 2.0),
            exempt=by == 1,
        ),
    )


def _batch_back(kind: ActionKind, state: GuardState, world: Snapshot) -> tuple[Action, ...]:
    """Return the way back to the batch that served, where that is `kind`."""
    change = batch_back(world, state.settings, limit_of(state.managed.guard, names.BATCH_MAX))
    live = world.lever(names.BATCH_MAX)
    if change is None or not isinstance(live, int | float):
        return ()
    wanted = change[0][1]
    larger = isinstance(wanted, int | float) and wanted > live
    return _batch_to(kind, change, state, world) if larger == (kind is UP) else ()


def _batch(state: GuardState, world: Snapshot) -> tuple[Action, ...]:
    change = batch_step(world, limit_of(state.managed.guard, names.BATCH_MAX))
    if change is None or not would_fit(state, world, change):
        return ()
    return _batch_to(ActionKind.BATCH_UP, change, state, world)


def _smaller_batch(state: GuardState, world: Snapshot) -> tuple[Action, ...]:
    change = smaller_batch_step(world, limit_of(state.managed.guard, names.BATCH_MAX))
    if change is None or not serves_more(state, world, change):
        return ()
    return _batch_to(ActionKind.BATCH_DOWN, change, state, world)


def _batch_to(
    kind: ActionKind, change: Levers, state: GuardState, world: Snapshot
) -> tuple[Action, ...]:
    plain = Action(
        kind=kind,
        subject=names.pool(state.managed.stable_pool),
        actuator=state.managed.scale_actuator,
        change=change,
        undo=UndoKind.EXACT,
        settle_ns=_settle(state, 2.0),
    )
    return staged(plain, state, world)


def _shed(state: GuardState, world: Snapshot) -> tuple[Action, ...]:
    change = shed_step(world, state.evidence, limit_of(state.managed.guard, names.GATEWAY_LIMIT))
    if change is None or state.managed.traffic_actuator is None:
        return ()
    return (
        Action(
            kind=ActionKind.SHED_LOAD,
            subject=names.GATEWAY,
            actuator=state.managed.traffic_actuator,
            change=change,
            undo=UndoKind.EXACT,
            settle_ns=_settle(state, 2.0),
        ),
    )


def _calm(state: GuardState, world: Snapshot) -> tuple[tuple[Action, ...], tuple[str, ...]]:
    idle = reading(state, names.pool(state.managed.stable_pool), names.UTILISATION)
    pool = state.managed.stable_pool
    count = sum(1 for replica in world.replicas if replica.pool == pool)
    if idle is None or count < 2:  # noqa: PLR2004 - the last replica is never given away
        return (), ("calm",)
    after = idle * count / (count - 1)
    if after > IDLE_AFTER_SCALE_DOWN:
        return (), ("calm",)
    why = f"utilisation {idle:.0%}; with one replica less {after:.0%}"
    return _scale(state, world, -1), (why,)


def reading(state: GuardState, subject: str, signal: str) -> float | None:
    """Return one reading's value, None when it is unknown or absent."""
    if state.evidence is None:
        return None
    for entry in state.evidence.readings:
        if entry.subject == subject and entry.signal == signal:
            return entry.value
    return None


def _settle(state: GuardState, scrapes: float) -> int:
    """Return how long metrics are not listened to after a change.

    A cure of what is wrong in the service waits until no window holds the time before it any more:
    else what was wrong would be held against the cure. More capacity or a larger batch shows at
    once in what is judged, and the queue that stood is not blamed on it (see `govern.verify`).
    """
    return round(scrapes * state.managed.scrape_ns) or ns(1.0)
