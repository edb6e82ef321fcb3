"""What can be changed: answers, undo, mode, the kill switch, labels.

The gate has checked the token, the role, the origin, the size and the rate. A change becomes an
event and goes to the loop, which may still refuse it; nothing here touches a deployment.
"""

import asyncio
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request

from homeostat.base import names
from homeostat.base.errors import HomeostatError
from homeostat.base.events import Approval, CanaryRequested, Event, Reconfigured, UndoRequested
from homeostat.base.state import LoopState
from homeostat.base.types import KillLevel, Mode
from homeostat.loop import approving
from homeostat.loop.approving import Said
from homeostat.server.api import schemas
from homeostat.server.api.caller import Caller, caller, may
from homeostat.server.api.deps import Deps
from homeostat.server.api.problems import ProblemError
from homeostat.server.api.reads import IdPath, NamePath, find, find_decision
from homeostat.server.api.stream import Streams
from homeostat.server.people import Role

SUBMIT_SECONDS: Final = 10.0
"""How long a person waits for the loop; a tick is one second."""
OPEN_ONES: Final = "GET /v1/decisions?pending=true lists what is open"
_MODES: Final = (Mode.SHADOW, Mode.APPROVE, Mode.AUTO)
_LEVELS: Final = (KillLevel.OFF, KillLevel.NO_NEW, KillLevel.NOTHING)


def router(deps: Deps, streams: Streams) -> APIRouter:
    """Return the routes that change something."""
    routes = APIRouter()
    _answers(routes, deps, streams)
    _settings(routes, deps, streams)
    return routes


async def hand_over(deps: Deps, streams: Streams, event: Event) -> schemas.Accepted:
    """Hand one event to the loop.

    Raises:
        ProblemError: 409, the loop refused it; 504, it did not answer: unknown whether it took it.
    """
    cursor = streams.cursor()
    try:
        async with asyncio.timeout(SUBMIT_SECONDS):
            refused = await deps.submit(event)
    except TimeoutError as error:
        raise ProblemError(
            HTTPStatus.GATEWAY_TIMEOUT,
            f"the loop did not answer within {SUBMIT_SECONDS:g} s; whether it took it is unknown",
            "read the decision again before you repeat this",
        ) from error
    if refused is not None:
        raise ProblemError(HTTPStatus.CONFLICT, refused, "read the deployment again, then decide")
    return schemas.Accepted(cursor=cursor)


def _answers(routes: APIRouter, deps: Deps, streams: Streams) -> None:
    @routes.post("/v1/decisions/{decision_id}/approve", status_code=202)
    async def approve(
        decision_id: IdPath, body: schemas.ApproveBody, request: Request
    ) -> schemas.Accepted:
        """Say yes to an open question; the guards are asked again before anything happens.

        It counts for the action and the evidence that were asked about. The same yes again is
        accepted and does nothing.
        """
        event = answer(deps, decision_id, body, caller(request, body.by), approved=True)
        return await answered(deps, streams, event)

    @routes.post("/v1/decisions/{decision_id}/reject", status_code=202)
    async def reject(
        decision_id: IdPath, body: schemas.AnswerBody, request: Request
    ) -> schemas.Accepted:
        """Say no to an open question."""
        event = answer(deps, decision_id, body, caller(request, body.by), approved=False)
        return await answered(deps, streams, event)

    @routes.post("/v1/decisions/{decision_id}/undo", status_code=202)
    async def undo(
        decision_id: IdPath, body: schemas.AnswerBody, request: Request
    ) -> schemas.Accepted:
        """Take a finished action back."""
        who = caller(request, body.by)
        return await hand_over(deps, streams, _undo(deps, decision_id, body, who))


def _settings(routes: APIRouter, deps: Deps, streams: Streams) -> None:
    @routes.post("/v1/deployments/{name}/mode", status_code=202)
    async def mode(name: NamePath, body: schemas.ModeBody, request: Request) -> schemas.Accepted:
        """Set how much a deployment trusts the controller; more of it needs an approver."""
        return await hand_over(deps, streams, _mode(deps, name, body, caller(request, body.by)))

    @routes.post("/v1/deployments/{name}/canary", status_code=202)
    async def canary(name: NamePath, body: schemas.WishBody, request: Request) -> schemas.Accepted:
        """Ask for traffic for the canary's pool, rung by rung; the guards may still refuse it."""
        event = _canary(deps, name, body, caller(request, body.by))
        accepted = await hand_over(deps, streams, event)
        return accepted.model_copy(update={"note": _none(deps, name)})

    @routes.post("/v1/freeze")
    async def freeze(body: schemas.FreezeBody, request: Request) -> schemas.Frozen:
        """Throw the kill switch, or release it; to release it needs an approver."""
        return _freeze(deps, body, caller(request, body.by))

    @routes.post("/v1/labels")
    async def labels(body: schemas.LabelsBody) -> schemas.Joined:
        """Join late labels to predictions; repeated and unknown ones are counted, not errors."""
        return _labels(deps, body)


async def answered(deps: Deps, streams: Streams, event: Approval) -> schemas.Accepted:
    """Hand an answer to the loop, and say what it is worth.

    Raises:
        ProblemError: 409, it is no answer to what is asked; it is journaled all the same.
    """
    state = deps.states(event.deployment)
    worth = None if state is None else approving.answer(state, event)
    if worth is not None and worth.said is Said.REPEATED:
        return schemas.Accepted(cursor=streams.cursor(), note=worth.words)
    accepted = await hand_over(deps, streams, event)
    if worth is not None and worth.said in {Said.REFUSED, Said.CHANGED}:
        raise ProblemError(HTTPStatus.CONFLICT, worth.words, OPEN_ONES)
    return accepted if worth is None else accepted.model_copy(update={"note": worth.words})


def answer(
    deps: Deps, decision_id: str, body: schemas.AnswerBody, who: Caller, *, approved: bool
) -> Approval:
    """Return a person's answer as the loop takes it.

    Args:
        deps: What every route may use.
        decision_id: The question's.
        body: What it says, and what it is bound to.
        who: Whoever answers; that they may was checked before.
        approved: Whether it is a yes.

    Raises:
        ProblemError: 409, there is no such question (any more); 404, no such decision.
    """
    now = deps.clock()
    state, record = find_decision(deps, decision_id, body.deployment)
    loop = deps.states(state.name)
    asked = loop.asked if loop is not None else None
    bound = asked if asked is not None and asked.decision_id == decision_id else None
    event = Approval(
        at=now,
        decision_id=decision_id,
        approved=approved,
        by=who.by,
        why=body.why,
        kill=deps.kill.level(),
        deployment=state.name,
        principal=who.principal.name,
        origin=who.origin,
        action_hash=_said(body, "action_hash") or (bound.action_hash if bound else ""),
        evidence_hash=_said(body, "evidence_hash") or (bound.evidence_hash if bound else ""),
    )
    if not state.is_pending(record, now) and not (loop and _repeated(loop, event)):
        why = approving.answer(loop, event).words if loop is not None else ""
        detail = why or f"{decision_id} is not an open question (any more)"
        raise ProblemError(HTTPStatus.CONFLICT, detail, OPEN_ONES)
    return event


def _said(body: schemas.AnswerBody, name: str) -> str:
    return getattr(body, name, None) or ""


def _repeated(state: LoopState, event: Approval) -> bool:
    return approving.answer(state, event).said is Said.REPEATED


def _undo(deps: Deps, decision_id: str, body: schemas.AnswerBody, who: Caller) -> UndoRequested:
    state, _ = find_decision(deps, decision_id, body.deployment)
    if not state.is_undoable(decision_id):
        entry = state.actions.get(decision_id)
        stands = f"is {entry.record.state.value}" if entry else "changed nothing"
        raise ProblemError(
            HTTPStatus.CONFLICT,
            f"{decision_id} {stands}: there is nothing to take back",
            "only a finished action with an undo can be undone; see its `undoable`",
        )
    return UndoRequested(
        at=deps.clock(),
        decision_id=decision_id,
        by=who.by,
        kill=deps.kill.level(),
        deployment=state.name,
        why=body.why,
        principal=who.principal.name,
        origin=who.origin,
    )


def _mode(deps: Deps, name: str, body: schemas.ModeBody, who: Caller) -> Reconfigured:
    managed = find(deps, name).managed
    if managed is None:
        raise ProblemError(
            HTTPStatus.CONFLICT,
            f"{name!r} has no configuration yet",
            "wait for the controller's start to be journaled, then try again",
        )
    wanted = Mode(body.mode)
    if managed.scale_actuator == names.OBSERVED and wanted is not Mode.SHADOW:
        raise ProblemError(
            HTTPStatus.CONFLICT,
            f"{name!r} is only watched (target.observe): nothing of it can be changed",
            "name a target in its file through which it can be changed, and start again",
        )
    if _MODES.index(wanted) > _MODES.index(managed.mode):
        may(who, Role.APPROVER, f"more autonomy ({managed.mode} to {wanted})")
    return Reconfigured(
        at=deps.clock(),
        managed=replace(managed, mode=wanted),
        by=who.by,
        why=body.why,
        principal=who.principal.name,
        origin=who.origin,
    )


def _none(deps: Deps, name: str) -> str:
    managed = find(deps, name).managed
    if managed is not None and managed.canary is not None:
        return ""
    return f"{name} has no canary: name its pool under spec.canary in the configuration"


def _canary(deps: Deps, name: str, body: schemas.WishBody, who: Caller) -> CanaryRequested:
    return CanaryRequested(
        at=deps.clock(),
        by=who.by,
        kill=deps.kill.level(),
        why=body.why,
        deployment=name,
        principal=who.principal.name,
        origin=who.origin,
    )


def _freeze(deps: Deps, body: schemas.FreezeBody, who: Caller) -> schemas.Frozen:
    by = f"{who.by}: {body.why}" if body.why else who.by
    wanted = KillLevel(body.level)
    if _LEVELS.index(wanted) < _LEVELS.index(deps.kill.level()):
        may(who, Role.APPROVER, "to lift the kill switch")
    try:
        deps.kill.throw(wanted, by)
    except (HomeostatError, OSError) as error:
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"the kill switch could not be set: {error}",
            "use `homeostat freeze`, or stop the controller",
        ) from error
    level = deps.kill.level()
    deps.view.throw(level)
    return schemas.Frozen(level=level.value)


def _labels(deps: Deps, body: schemas.LabelsBody) -> schemas.Joined:
    if deps.labels is None:
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "no deployment of this controller joins labels",
            "configure the labels of a deployment first",
        )
    rows = [row.model_dump(exclude_none=True) for row in body.labels]
    return schemas.Joined(counts=deps.labels(rows))
