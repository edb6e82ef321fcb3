"""The view as JSON-ready dicts: one shape for the API, the event stream and the console.

Times are seconds since the epoch (a JavaScript number holds no nanoseconds), durations seconds,
everything else in the unit its name carries. NaN and infinities become null.
"""

from typing import Any

from homeostat.base import names
from homeostat.base.types import (
    Action,
    Anomaly,
    Apply,
    Ask,
    DecisionRecord,
    Evidence,
    Intent,
    Levers,
    Notice,
    Outcome,
    Reading,
    Receipt,
    Snapshot,
    Suspicion,
    TimeNs,
    Verdict,
)
from homeostat.base.units import SECOND
from homeostat.server import view_budgets
from homeostat.server.view_deployment import ActionEntry, DeploymentState, IncidentEntry
from homeostat.server.view_drift import drift
from homeostat.server.view_health import fleetwide, forecast, health, part, promise
from homeostat.server.view_learning import learning
from homeostat.server.view_rehearsal import rehearsal
from homeostat.server.view_series import plain_number

Plain = dict[str, Any]

HEADLINE = (
    (names.GATEWAY, names.LATENCY_P95),
    (names.GATEWAY, names.ERROR_RATIO),
    (names.GATEWAY, names.ARRIVAL_RATE),
    (names.MODEL, names.ACCURACY),
    (names.MODEL, names.PREDICTION_SHIFT),
)
"""The numbers of the health tile, in order."""


def when(at: TimeNs | None) -> float | None:
    """Return a time in seconds since the epoch, to the microsecond."""
    return None if at is None else round(at / SECOND, 6)


def reading(value: Reading) -> Plain:
    """Return one judged series."""
    return {
        "subject": value.subject,
        "signal": value.signal,
        "value": plain_number(value.value),
        "verdict": value.verdict.value,
        "quality": value.quality.value,
        "low": plain_number(value.low),
        "high": plain_number(value.high),
        "age_s": round(value.age_ns / SECOND, 3),
        "samples": plain_number(value.samples),
    }


def anomaly(value: Anomaly) -> Plain:
    """Return one detector's claim."""
    return {
        "detector": value.detector,
        "subject": value.subject,
        "signal": value.signal,
        "verdict": value.verdict.value,
        "neg_log10_p": plain_number(value.neg_log10_p),
    }


def suspicion(value: Suspicion) -> Plain:
    """Return one suspected fault."""
    return {
        "family": value.family.value,
        "subject": value.subject,
        "confidence": plain_number(value.confidence),
        "because": list(value.because),
        "urgent": value.urgent,
    }


def levers(value: Levers) -> Plain:
    """Return levers as an object."""
    return {
        name: plain_number(setting) if isinstance(setting, float) else setting
        for name, setting in value
    }


def world(value: Snapshot) -> Plain:
    """Return the deployment as last read back."""
    return {
        "observed_at": when(value.observed_at),
        "replicas": [
            {
                "name": replica.name,
                "pool": replica.pool,
                "version": replica.version,
                "state": replica.state.value,
                "incarnation": replica.incarnation,
                "started_at": when(replica.started_at),
                "memory_bytes": replica.memory_bytes,
                "memory_limit_bytes": replica.memory_limit_bytes,
            }
            for replica in value.replicas
        ],
        "releases": [
            {"pool": release.pool, "version": release.version, "since": when(release.since)}
            for release in value.releases
        ],
        "levers": levers(value.levers),
        "spares": value.spares,
        "changing": value.changing,
    }


def action(value: Action) -> Plain:
    """Return one action."""
    return {
        "kind": value.kind.value,
        "subject": value.subject,
        "actuator": value.actuator,
        "change": levers(value.change),
        "undo": value.undo.value,
        "ramp": [plain_number(stage) for stage in value.ramp],
        "replicas_touched": value.replicas_touched,
        "cost_usd_per_hour": plain_number(value.cost_usd_per_hour),
        "settle_s": round(value.settle_ns / SECOND, 3),
        "exempt": value.exempt,
        "beside": value.beside,
    }


def outcome(value: Outcome) -> Plain:
    """Return an action's measured effect."""
    return {
        "action_id": value.action_id,
        "deployment": value.deployment,
        "at": when(value.at),
        "effect": value.effect.value,
        "before": {name: plain_number(number) for name, number in value.before},
        "after": {name: plain_number(number) for name, number in value.after},
    }


def notice(value: Notice) -> Plain:
    """Return one message to people."""
    return {
        "key": value.key,
        "deployment": value.deployment,
        "at": when(value.at),
        "urgency": value.urgency.value,
        "title": value.title,
        "lines": list(value.lines),
    }


def incident(value: IncidentEntry) -> Plain:
    """Return one incident."""
    fact = value.incident
    return {
        "id": fact.id,
        "deployment": fact.deployment,
        "family": fact.family.value,
        "subject": fact.subject,
        "opened_at": when(fact.opened_at),
        "confirmed_at": when(fact.confirmed_at),
        "closed_at": when(value.closed_at),
        "open": value.closed_at is None,
        "tries": fact.tries,
        "escalated": fact.escalated,
        "because": list(fact.because),
    }


def decision(state: DeploymentState, record: DecisionRecord, now: TimeNs) -> Plain:
    """Return one decision with what became of it."""
    chosen, choice = record.decision, "hold"
    if isinstance(chosen, Apply | Ask):
        choice = "apply" if isinstance(chosen, Apply) else "ask"
    entry, result = state.actions.get(record.id), state.outcomes.get(record.id)
    answer, foreseen = state.answers.get(record.id), state.rehearsals.get(record.id)
    return {
        "id": record.id,
        "deployment": record.deployment,
        "incident_id": record.incident_id,
        "at": when(record.at),
        "choice": choice,
        "action": action(chosen.action) if isinstance(chosen, Apply | Ask) else None,
        "because": list(chosen.because),
        "expires_at": when(chosen.expires_at) if isinstance(chosen, Ask) else None,
        "considered": [
            {"action": name, "score": plain_number(score)} for name, score in record.considered
        ],
        "allowed": list(record.allowed),
        "refused": [{"action": name, "reasons": list(why)} for name, why in record.refused],
        "policy_digest": record.policy_digest,
        "mode": record.mode,
        "state": entry.record.state.value if entry else None,
        "pending": state.is_pending(record, now),
        "undoable": state.is_undoable(record.id),
        "answer": None
        if answer is None
        else {
            "approved": answer.approved,
            "by": answer.by,
            "why": answer.why,
            "at": when(answer.at),
        },
        "outcome": outcome(result) if result else None,
        "rehearsal": rehearsal(foreseen, record.allowed) if foreseen else None,
        "ramp": _ramp(entry) if entry and _has_rungs(entry.record.action) else None,
        "learning": learning(state.seatings.get(record.id), state.lessons.get(record.id)),
        "then": None,  # with one decision alone: see view_then
        "question": None,  # the loop knows: see view_question
    }


def _has_rungs(value: Action) -> bool:
    """Return whether it is carried out rung by rung."""
    return value.beside != "" or len(value.ramp) > 1


def _ramp(entry: ActionEntry) -> Plain:
    """Return how a ramp went: what each rung went on from, in words; no `beside` is no canary's."""
    return {
        "beside": entry.record.action.beside,
        "proof": entry.record.proof.value,
        "blameless": entry.record.blameless,
        "rungs": [
            {"state": state.value, "at": when(at), "reason": why}
            for state, at, why in entry.steps
            if why
        ],
    }


def action_entry(state: DeploymentState, entry: ActionEntry) -> Plain:
    """Return one action record with its history and measured effect."""
    record, result = entry.record, state.outcomes.get(entry.record.id)
    return {
        "id": record.id,
        "deployment": record.deployment,
        "incident_id": record.incident_id,
        "action": action(record.action),
        "state": record.state.value,
        "terminal": record.state.is_terminal,
        "epoch": record.epoch,
        "stage": record.stage,
        "attempt": record.attempt,
        "undo_attempts": record.undo_attempts,
        "undoable": state.is_undoable(record.id),
        "first_pre": levers(record.first_pre),
        "intent": _intent(record.intent) if record.intent else None,
        "receipt": _receipt(entry.receipt) if entry.receipt else None,
        "proposed_at": when(record.proposed_at),
        "state_since": when(record.state_since),
        "deadline": when(record.deadline),
        "blind_since": when(record.blind_since),
        "reason": record.reason,
        "approved_by": record.approved_by,
        "steps": [
            {"state": step.value, "at": when(at), "reason": why} for step, at, why in entry.steps
        ],
        "outcome": outcome(result) if result else None,
    }


def summary(state: DeploymentState, now: TimeNs) -> Plain:
    """Return one deployment in one row: the fleet page and every tick of the stream."""
    evidence, managed, snapshot = state.evidence, state.managed, state.world
    replicas = snapshot.replicas if snapshot else ()
    last, flight = next(iter(state.decisions.newest(1)), None), state.in_flight()
    return {
        "deployment": state.name,
        "mode": managed.mode.value if managed else None,
        "frozen": managed.guard.frozen if managed else None,
        "health": state.health(now),
        "health_score": health(evidence.health) if evidence else None,
        "at": when(evidence.at) if evidence else None,
        "tick": evidence.tick if evidence else None,
        "ready": evidence.ready if evidence else None,
        "slo_met": evidence.slo_met if evidence else None,
        "objective": None
        if managed is None
        else {
            "latency_p95_ms": plain_number(managed.objective.latency_p95_ms),
            "error_ratio": plain_number(managed.objective.error_ratio),
            "accuracy": plain_number(managed.objective.accuracy),
        },
        "numbers": headline(evidence),
        "replicas_ready": sum(r.state.value == "ready" for r in replicas) if snapshot else None,
        "replicas_total": len(replicas) if snapshot else None,
        "believed_at": when(state.believed_at),
        "anomalies": _anomalous(evidence),
        "incidents_open": len(state.open_incidents()),
        "pending": len(state.pending(now)),
        "in_flight": flight.record.id if flight else None,
        "last_decision": None if last is None else _short(state, last, now),
    }


def detail(state: DeploymentState, now: TimeNs, *, recent: int) -> Plain:
    """Return everything that is shown of one deployment, with `recent` of each history."""
    evidence = state.evidence
    return {
        **summary(state, now),
        "epoch": state.epoch,
        "policy_digest": state.managed.policy_digest if state.managed else None,
        "scrape_s": round(state.managed.scrape_ns / SECOND, 3) if state.managed else None,
        "readings": [reading(r) for r in evidence.readings] if evidence else [],
        "anomalous": [anomaly(a) for a in evidence.anomalies] if evidence else [],
        "suspicions": [suspicion(s) for s in evidence.suspicions] if evidence else [],
        "health_parts": [part(one) for one in evidence.health.parts]
        if evidence and evidence.health
        else [],
        "forecasts": [forecast(f) for f in evidence.forecasts] if evidence else [],
        "promises": [promise(one) for one in evidence.promises] if evidence else [],
        "fleetwide": fleetwide(evidence.fleetwide) if evidence else None,
        "drifts": [drift(one) for one in evidence.drifts] if evidence else [],
        "world": world(state.world) if state.world else None,
        "world_failed_at": when(state.world_failed_at),
        "incidents": [incident(entry) for entry in state.incidents.newest(recent)],
        "decisions": [decision(state, d, now) for d in state.decisions.newest(recent)],
        "actions": [action_entry(state, entry) for entry in state.actions.newest(recent)],
        "notices": [notice(n) for n in state.notices.newest(recent)],
        "questions": [decision(state, d, now) for d in state.pending(now)],
        "budgets": view_budgets.budgets(state.accounts, state.managed, now),
        "freeze": view_budgets.freeze(state.freeze),
    }


def headline(evidence: Evidence | None) -> list[Plain]:
    """Return the numbers of the health tile."""
    if evidence is None:
        return []
    found = {(r.subject, r.signal): r for r in evidence.readings}
    return [reading(found[key]) for key in HEADLINE if key in found]


def _anomalous(evidence: Evidence | None) -> int:
    if evidence is None:
        return 0
    return sum(r.verdict is Verdict.ANOMALOUS for r in evidence.readings)


def _short(state: DeploymentState, record: DecisionRecord, now: TimeNs) -> Plain:
    whole = decision(state, record, now)
    chosen = whole["action"]
    return {
        "id": whole["id"],
        "at": whole["at"],
        "choice": whole["choice"],
        "kind": chosen["kind"] if chosen else "hold",
        "subject": chosen["subject"] if chosen else "model",
        "state": whole["state"],
    }


def _intent(value: Intent) -> Plain:
    return {
        "id": value.id,
        "actuator": value.actuator,
        "stage": value.stage,
        "undo": value.undo,
        "pre": levers(value.pre),
        "post": levers(value.post),
        "deadline": when(value.deadline),
    }


def _receipt(value: Receipt) -> Plain:
    return {
        "intent_id": value.intent_id,
        "status": value.status.value,
        "at": when(value.at),
        "detail": value.detail,
        "conflict": value.conflict,
    }
