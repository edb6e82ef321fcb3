"""Orders for trainings and what came of them: one at a time, from the order to a trusted version.

Nothing here asks anybody or decides anything: the guards and two people have, before there is an
order (`protocol_training`). A version is tried by the same canary as any other, and what that says
is written down here.
"""

from dataclasses import replace
from typing import Final

from homeostat.base.actions import ActionKind
from homeostat.base.canary import CanaryVerdict
from homeostat.base.changed import changed
from homeostat.base.events import AskTraining, Command, LookAtTraining, Record
from homeostat.base.evidence import Family, Incident
from homeostat.base.intent import ActionRecord, ActionState, Intent, Proof
from homeostat.base.state import LoopState
from homeostat.base.training import (
    PROMOTED,
    Lineage,
    LineageState,
    TrainingOrder,
    TrainingPhase,
    TrainingPolicy,
    TrainingSight,
)
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import ReplicaState, Snapshot
from homeostat.loop.protocol_values import AskTrainer, LookAtTrainer, timing_for

KEPT: Final = 20
"""Orders that are remembered of one deployment; the journal has them all."""
_S = LineageState


def underway(state: LoopState) -> Lineage | None:
    """Return the order of which something is still to come, None if there is none."""
    return next((one for one in reversed(state.lineages) if one.state.is_open), None)


def key_of(record: ActionRecord) -> str:
    """Return the key of an action's order: the same in every replay, and in no other journal."""
    return f"{record.deployment}-{record.id}-{record.proposed_at // SECOND}"


def demanded(
    state: LoopState, record: ActionRecord, demand: AskTrainer | LookAtTrainer, now: TimeNs
) -> AskTraining | LookAtTraining:
    """Return the command that meets a demand of `protocol_training`."""
    if isinstance(demand, AskTrainer):
        return ordered(state, record, demand.intent, now)
    return LookAtTraining(
        deployment=record.deployment, key=key_of(record), deadline=demand.deadline
    )


def ordered(state: LoopState, record: ActionRecord, intent: Intent, now: TimeNs) -> AskTraining:
    """Return the command that sends an action's order.

    Args:
        state: The deployment's state.
        record: The approved action.
        intent: Its write, durable with this command.
        now: The time.
    """
    policy = state.managed.training or TrainingPolicy()
    incident = state.incident
    evidence = state.evidence
    top = evidence.suspicions[0] if evidence is not None and evidence.suspicions else None
    reason = incident.because if incident is not None else ()
    return AskTraining(
        order=TrainingOrder(
            key=key_of(record),
            intent_id=intent.id,
            deployment=record.deployment,
            action_id=record.id,
            incident_id=record.incident_id,
            at=now,
            reason=reason or (() if top is None else top.because),
            approvers=record.approvers or (record.approved_by,),
            data_from=TimeNs(now - policy.window_ns),
            data_to=now,
            parent=_serving(state.world, state.managed.stable_pool),
            epoch=record.epoch,
            deadline=intent.deadline,
            due=TimeNs(now + policy.within_ns),
        )
    )


def opened(state: LoopState, order: TrainingOrder, now: TimeNs) -> tuple[LoopState, Command]:
    """Return the state with an order that is about to be sent, and the fact for the journal."""
    lineage = Lineage(order=order, state=_S.ASKING, since=now, reason="it is being asked for")
    kept = (*state.lineages, lineage)[-KEPT:]
    return changed(state, lineages=kept), Record(fact=lineage)


def ended(
    state: LoopState, record: ActionRecord, now: TimeNs
) -> tuple[LoopState, tuple[Command, ...]]:
    """Return what an action's end means for an order: its own, its version's ramp, or its undo."""
    if record.action.kind is ActionKind.RETRAIN:
        own = next((one for one in state.lineages if one.order.action_id == record.id), None)
        return _sent(state, own, record, now)
    if record.undoes == "":
        tried = next((one for one in state.lineages if one.canary_id == record.id), None)
        return _tried(state, tried, record, now)
    done = next((one for one in state.lineages if one.canary_id == record.undoes), None)
    back = record.state in {ActionState.SUCCEEDED, ActionState.SUCCEEDED_UNPROVEN}
    if done is None or done.state not in PROMOTED or not back:
        return state, ()
    return put(state, done, _S.WITHDRAWN, now, f"{record.id} took it back: {record.reason}")


def seen(
    state: LoopState, sight: TrainingSight, now: TimeNs
) -> tuple[LoopState, tuple[Command, ...]]:
    """Return the state with what the trainer says of an order."""
    known = next((one for one in state.lineages if one.order.key == sight.key), None)
    if known is None:
        return state, ()
    fresh = replace(known, seen_at=now, phase=sight.phase)
    if sight.alias is not None and known.state.is_open:
        fresh = replace(fresh, alias_was=sight.alias)
    state = _replaced(state, known, fresh)
    if known.state not in {_S.ASKING, _S.ASKED}:
        return state, ()
    why = sight.detail
    match sight.phase:
        case TrainingPhase.MADE if _is_known(state, sight.version, known):
            return put(state, fresh, _S.LOST, now, f"{sight.version} came of another order before")
        case TrainingPhase.MADE:
            made = replace(fresh, version=sight.version)
            state = _replaced(state, fresh, made)
            return put(state, made, _S.MADE, now, f"version {sight.version} came of it")
        case TrainingPhase.FAILED:
            return put(state, fresh, _S.FAILED, now, why or "the training ended without a version")
        case TrainingPhase.TAKEN | TrainingPhase.RUNNING if known.state is _S.ASKING:
            return put(state, fresh, _S.ASKED, now, why or "the trainer has it")
        case TrainingPhase.ABSENT if known.state is _S.ASKING and _is_dead(state, fresh, sight):
            return put(state, fresh, _S.NOT_TAKEN, now, "the trainer never had it")
        case _:
            return state, ()


def look(state: LoopState, lineage: Lineage, now: TimeNs) -> tuple[LoopState, Command]:
    """Return the command that asks the trainer how an order stands, and the state that knows it."""
    state = _replaced(state, lineage, replace(lineage, looked_at=now))
    limit_ns = state.managed.guard.receipt_deadline_ns
    command = LookAtTraining(
        deployment=state.managed.name, key=lineage.order.key, deadline=TimeNs(now + limit_ns)
    )
    return state, command


def put(
    state: LoopState, lineage: Lineage, to: LineageState, now: TimeNs, why: str
) -> tuple[LoopState, tuple[Command, ...]]:
    """Return the state with an order moved on, and the fact for the journal."""
    marks = lineage.marks if to is lineage.state else 0
    after = replace(lineage, state=to, since=now, reason=why, marks=marks)
    return _replaced(state, lineage, after), (Record(fact=after),)


def answers(state: LoopState, incident: Incident) -> bool:
    """Return whether a drift is what a version was made for that now waits for its ramp, or has it.

    Such an incident must not keep away its own cure. Every other one does: so does this one where
    the canary's pool serves anything else.
    """
    known = underway(state)
    if known is None or known.state not in {_S.MADE, _S.TRYING} or incident.family != Family.DRIFT:
        return False
    return serves(state, known.version)


def serves(state: LoopState, version: str) -> bool:
    """Return whether the canary's pool serves a version, and nothing else."""
    policy, world = state.managed.canary, state.world
    if policy is None or world is None or version == "":
        return False
    ready = [one for one in world.replicas if one.pool == policy.pool and _serves(one.state)]
    return bool(ready) and all(one.version == version for one in ready)


def _sent(
    state: LoopState, lineage: Lineage | None, record: ActionRecord, now: TimeNs
) -> tuple[LoopState, tuple[Command, ...]]:
    if lineage is None or lineage.state is not _S.ASKING:
        return state, ()
    if record.state is ActionState.SUCCEEDED_UNPROVEN:
        return put(state, lineage, _S.ASKED, now, "the trainer has it")
    if record.in_flight:
        return put(state, lineage, _S.ASKING, now, record.reason)  # nobody can tell: still unknown
    return put(state, lineage, _S.NOT_TAKEN, now, record.reason)


def _tried(
    state: LoopState, lineage: Lineage | None, record: ActionRecord, now: TimeNs
) -> tuple[LoopState, tuple[Command, ...]]:
    if lineage is None or lineage.state is not _S.TRYING:
        return state, ()
    compared = state.comparison
    told = compared.judgement if compared and compared.action_id == record.id else None
    judged = replace(
        lineage,
        verdict=None if told is None else told.verdict,
        because=() if told is None else told.because,
    )
    state = _replaced(state, lineage, judged)
    match record.state:
        case ActionState.SUCCEEDED | ActionState.SUCCEEDED_UNPROVEN:
            # Whether the drift is over by now is another question than what the comparison proved.
            proven = record.proof is Proof.CERTIFIED
            to = _S.PROMOTED if proven else _S.UNPROVEN
            return put(state, judged, to, now, record.reason)
        case ActionState.ROLLED_BACK | ActionState.STUCK if not record.blameless:
            return put(state, judged, _S.REFUSED, now, record.reason)
        case _ if judged.verdict is CanaryVerdict.HARM:
            return put(state, judged, _S.REFUSED, now, record.reason)
        case _:  # it was not the version's fault: it may be tried again, when somebody asks
            why = f"{record.id} came to nothing: {record.reason}"
            return put(state, replace(judged, canary_id=""), _S.MADE, now, why)


def _is_dead(state: LoopState, lineage: Lineage, sight: TrainingSight) -> bool:
    """Return whether an order can no longer come: absent after all that may delay a request."""
    own = state.record is not None and state.record.id == lineage.order.action_id
    quiet_ns = timing_for(state.managed).quiesce_ns
    return not own and sight.at >= lineage.order.deadline + 2 * quiet_ns


def _is_known(state: LoopState, version: str, own: Lineage) -> bool:
    return any(one.version == version for one in state.lineages if one.order != own.order)


def _replaced(state: LoopState, old: Lineage, new: Lineage) -> LoopState:
    key = old.order.key
    after = tuple(new if one.order.key == key else one for one in state.lineages)
    return changed(state, lineages=after)


def _serving(world: Snapshot | None, pool: str) -> str:
    """Return the one version that a pool serves; empty where there are several, or none is told."""
    found = {one.version for one in world.replicas if one.pool == pool} if world else set()
    only = found.pop() if len(found) == 1 else None
    return only or ""


def _serves(state: ReplicaState) -> bool:
    return state in {ReplicaState.READY, ReplicaState.STARTING}
