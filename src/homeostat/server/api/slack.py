"""`POST /v1/slack`: answers that people give by a button in Slack.

The gate has checked Slack's signature over the raw body. That says which app speaks, and nothing
of who may answer: the person's id must be one that the configuration maps to a name, and that name
one whose role here may answer. The answer then goes the way of every answer, bound to the action
and the evidence that the button was made for; a message shows what is asked, and grants nothing.
Source: docs.slack.dev/reference/interaction-payloads/block_actions-payload.
"""

import asyncio
import json
from http import HTTPStatus
from typing import Annotated, Final, Literal
from urllib.parse import parse_qsl

import structlog
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.responses import Response

from homeostat.adapters.notify._slack_message import APPROVE, REJECT
from homeostat.base.errors import NotifierError
from homeostat.server.api import changes, roles, schemas
from homeostat.server.api.caller import Caller
from homeostat.server.api.deps import Deps
from homeostat.server.api.doors import SLACK, SLACK_PATH, Clicks
from homeostat.server.api.problems import ProblemError
from homeostat.server.api.reads import asking
from homeostat.server.api.stream import Streams
from homeostat.server.people import Principal

log = structlog.get_logger()

ANSWER_S: Final = 2.5
"""Slack shows an error after three seconds."""
_FIELDS: Final = 4
_NEEDS: Final = roles.ROUTES["POST /v1/decisions/{decision_id}/approve"]
_ID = Annotated[str, Field(pattern=r"^[A-Z0-9]{1,40}$")]


class _Said(BaseModel):
    """What Slack sends: much more than is used."""

    model_config = ConfigDict(extra="ignore")


class _Named(_Said):
    id: _ID


class _Press(_Said):
    action_id: Literal["homeostat_approve", "homeostat_reject"]
    value: Annotated[str, Field(max_length=2000)]


class Click(_Said):
    """One press of a button."""

    type: Literal["block_actions"]
    team: _Named
    channel: _Named
    user: _Named
    actions: Annotated[list[_Press], Field(min_length=1, max_length=1)]


class Bound(BaseModel):
    """What a button was made for."""

    model_config = ConfigDict(extra="forbid")

    deployment: schemas.Name
    decision: Annotated[str, Field(pattern=schemas.DECISION_PATTERN)]
    action: schemas.Digest
    evidence: schemas.Digest


def router(deps: Deps, streams: Streams, clicks: Clicks) -> APIRouter:
    """Return the route.

    Args:
        deps: What every route may use.
        streams: The event streams.
        clicks: Who is who, and how to speak to them.
    """
    routes = APIRouter()

    @routes.post(SLACK_PATH, include_in_schema=False)
    async def clicked(request: Request) -> Response:
        """Take one press of a button."""
        _signed(request)
        click, bound = _read(await request.body())
        _expected(click, clicks)
        words = await _take(deps, streams, clicks, click, bound)
        whisper = BackgroundTask(_whisper, clicks, click.user.id, words) if words else None
        return Response(status_code=HTTPStatus.OK, background=whisper)

    return routes


def _signed(request: Request) -> None:
    """Go on if the gate found Slack's signature, and nothing less: no token opens this.

    Raises:
        ProblemError: 403, it did not.
    """
    if asking(request) is not SLACK:
        raise ProblemError(HTTPStatus.FORBIDDEN, "this is for Slack", "use /v1/decisions")


def _read(body: bytes) -> tuple[Click, Bound]:
    """Return what was pressed.

    Raises:
        ProblemError: 400, it is no press of a button of ours.
    """
    try:
        pairs = parse_qsl(
            body.decode("utf-8"), strict_parsing=True, max_num_fields=_FIELDS, errors="strict"
        )
        (payload,) = [value for name, value in pairs if name == "payload"]
        click = Click.model_validate(json.loads(payload))
        return click, Bound.model_validate(json.loads(click.actions[0].value))
    except (ValidationError, ValueError, RecursionError) as error:
        log.warning("slack", problem=f"{type(error).__name__}", effect="not taken")
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            "this is no press of one of our buttons",
            "set the app's request URL for interactivity to this path, and for nothing else",
        ) from error


def _expected(click: Click, clicks: Clicks) -> None:
    """Go on if it comes from where our messages are.

    Raises:
        ProblemError: 403, it does not.
    """
    if (click.team.id, click.channel.id) != (clicks.team, clicks.channel):
        log.warning("slack", team=click.team.id, channel=click.channel.id, effect="refused")
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            f"this comes from workspace {click.team.id}, channel {click.channel.id}",
            "answers are taken from the configured workspace and channel alone",
        )


async def _take(deps: Deps, streams: Streams, clicks: Clicks, click: Click, bound: Bound) -> str:
    """Hand an answer on; return what to tell whoever gave it, empty if the message will say it."""
    who = _person(deps, clicks, click.user.id)
    if isinstance(who, str):
        log.warning("slack", user=click.user.id, decision=bound.decision, effect="no answer")
        return who
    approved = click.actions[0].action_id == APPROVE
    by = Caller(principal=who, by=who.name, origin=f"slack {click.team.id} {click.user.id}")
    body = schemas.ApproveBody(
        deployment=bound.deployment,
        by=None,
        why="",
        action_hash=bound.action,
        evidence_hash=bound.evidence,
    )
    try:
        async with asyncio.timeout(ANSWER_S):
            event = changes.answer(deps, bound.decision, body, by, approved=approved)
            accepted = await changes.answered(deps, streams, event)
    except TimeoutError:
        return f"{bound.decision}: whether that was taken is unknown; look before you repeat it"
    except HTTPException as error:
        return f"{bound.decision}: {error.detail}"
    return accepted.note


def _person(deps: Deps, clicks: Clicks, user: str) -> Principal | str:
    """Return who answers, or why they may not."""
    name = clicks.people.get(user)
    if name is None:
        return f"{user} is nobody here: notify.slack.people maps who may answer. Nothing was done."
    found = deps.people.named(name, deps.clock())
    if found is None:
        return f"{name} has no token that is good (`homeostat people`). Nothing was done."
    if _NEEDS is None or found.role < _NEEDS:
        return f"{name} is {found.role.word}; to answer needs approver. Nothing was done."
    return found


async def _whisper(clicks: Clicks, user: str, words: str) -> None:
    try:
        await clicks.whisper(user, words)
    except NotifierError as error:
        log.warning("slack", effect="not told", problem=str(error))


__all__ = ["APPROVE", "REJECT", "Bound", "Click", "router"]
