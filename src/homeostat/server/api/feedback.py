"""What people say of incidents over HTTP: it was real, it was nothing, something was missed."""

from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Request
from pydantic import Field, model_validator

from homeostat.base.events import Confirmed, FeedbackReset
from homeostat.base.evidence import Family
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.words import CalledNormal
from homeostat.loop import normal
from homeostat.server.api import schemas
from homeostat.server.api.caller import Caller, caller
from homeostat.server.api.changes import hand_over
from homeostat.server.api.deps import Deps
from homeostat.server.api.moved import MoveOut
from homeostat.server.api.problems import ProblemError
from homeostat.server.api.reads import NamePath, find
from homeostat.server.api.stream import Streams
from homeostat.server.view_feedback import awaits, feedback

_INCIDENT: Final = r"^i-[0-9]{1,12}$"


class NothingOut(schemas.Body):
    """An incident that somebody called nothing."""

    incident_id: str
    family: Family
    confidence: float = Field(description="With which it was suspected, at most.")
    by: str
    at: float


class MistakenOut(schemas.Body):
    """How often people named another kind of fault than was suspected."""

    suspected: Family
    said: Family
    count: int


class CameToNothingOut(schemas.Body):
    """What the score alone told of and nothing came of: the like must outdo it."""

    beyond: float = Field(description="-log10 of a p-value from which on it is told of again.")
    until: float = Field(description="Then it is told of anew.")


class SaidOut(schemas.Body):
    """A person's word."""

    by: str
    real: bool
    at: float


class WaitingOut(schemas.Body):
    """An incident that still waits for a word."""

    incident_id: str
    family: Family | None
    since: float
    until: float
    said: list[SaidOut]


class FeedbackOut(schemas.Body):
    """What detection has learnt from what was said."""

    mode: Literal["off", "watch", "on"]
    stopped: bool = Field(description="The answers changed too much; a person has to say go on.")
    held: list[Family] = Field(description="Held back on the last tick.")
    told: bool = Field(description="On the last tick a learnt line alone spoke.")
    came_to_nothing: CameToNothingOut | None
    overlooked: int = Field(description="Troubles without an incident.")
    nothings: list[NothingOut]
    mistaken: list[MistakenOut]
    moves: list[MoveOut]
    waiting: list[WaitingOut]


class ConfirmBody(schemas.Body):
    """A word on an incident, or on a time at which something was missed."""

    incident: Annotated[str, Field(pattern=_INCIDENT)] | None = None
    at: Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)] | None = Field(
        None, description="Seconds since the epoch: then something was missed."
    )
    real: bool = Field(description="False: it was nothing.", strict=True)
    family: Family | None = Field(None, description="What it was, where somebody knows.")
    by: schemas.Person | None = Field(None, description=schemas.WHO_SAYS)
    why: schemas.Why = ""

    @model_validator(mode="after")
    def _is_about_one_thing(self) -> "ConfirmBody":
        if (self.incident is None) == (self.at is None):
            raise ValueError("says either `incident` or `at`")
        if self.at is not None and not self.real:
            raise ValueError("`at` says that something was missed; then `real` is true")
        if not self.real and self.family is not None:
            raise ValueError("what was nothing has no `family`; leave it out")
        return self


class NormalBody(schemas.Body):
    """What is off in an open incident is the new normal."""

    incident: Annotated[str, Field(pattern=_INCIDENT)]
    by: schemas.Person | None = Field(None, description=schemas.WHO_SAYS)
    why: Annotated[schemas.Why, Field(min_length=1)]


class ResetBody(schemas.Body):
    """Forget what was said, or go on learning where that stopped."""

    everything: bool = Field(default=False, strict=True)
    by: schemas.Person | None = Field(None, description=schemas.WHO_SAYS)
    why: Annotated[schemas.Why, Field(min_length=1)]


def router(deps: Deps, streams: Streams) -> APIRouter:
    """Return the routes of feedback."""
    routes = APIRouter()

    @routes.get("/v1/deployments/{name}/feedback", response_model=FeedbackOut)
    async def learnt(name: NamePath) -> dict[str, Any]:
        """How the lines of detection stand, what moved them, and what waits for a word."""
        return feedback(deps.states(find(deps, name).name))

    @routes.post("/v1/deployments/{name}/confirm", status_code=202)
    async def confirm(name: NamePath, body: ConfirmBody, request: Request) -> schemas.Accepted:
        """Say what an incident was, or that something was missed; detection learns from it."""
        event = _confirmed(deps, name, body, caller(request, body.by))
        return await hand_over(deps, streams, event)

    @routes.post("/v1/deployments/{name}/normal", status_code=202)
    async def called_normal(name: NamePath, body: NormalBody, request: Request) -> schemas.Accepted:
        """Say that what is off in an open incident is the new normal: its levels begin anew."""
        event = _normal(deps, name, body, caller(request, body.by))
        return await hand_over(deps, streams, event)

    @routes.post("/v1/deployments/{name}/feedback/reset", status_code=202)
    async def reset(name: NamePath, body: ResetBody, request: Request) -> schemas.Accepted:
        """Forget what was said, or let learning go on where the answers had changed too much."""
        find(deps, name)
        who = caller(request, body.by)
        event = FeedbackReset(
            at=deps.clock(),
            by=who.by,
            everything=body.everything,
            why=body.why,
            deployment=name,
            principal=who.principal.name,
            origin=who.origin,
        )
        return await hand_over(deps, streams, event)

    return routes


def _confirmed(deps: Deps, name: str, body: ConfirmBody, who: Caller) -> Confirmed:
    state, now = find(deps, name), deps.clock()
    known = body.incident is None or state.incidents.get(body.incident) is not None
    if not known and not awaits(deps.states(name), body.incident or ""):
        raise ProblemError(
            HTTPStatus.NOT_FOUND,
            f"{name!r} had no incident {body.incident} that is still kept",
            f"GET /v1/incidents?deployment={name} lists them",
        )
    about = None if body.at is None else TimeNs(round(body.at * SECOND))
    if about is not None and about > now:
        raise ProblemError(
            HTTPStatus.CONFLICT,
            "that time is still to come: nothing was missed in it yet",
            "give the time at which it was felt",
        )
    return Confirmed(
        at=now,
        by=who.by,
        real=body.real,
        incident_id=body.incident or "",
        about=about,
        family=body.family,
        why=body.why,
        deployment=name,
        principal=who.principal.name,
        origin=who.origin,
    )


def _normal(deps: Deps, name: str, body: NormalBody, who: Caller) -> CalledNormal:
    find(deps, name)
    state, now = deps.states(name), deps.clock()
    # Said here so that whoever asks hears why; the loop asks the same of its own state.
    why_not = None if state is None else normal.refused(state, body.incident, now)
    if why_not is not None:
        raise ProblemError(
            HTTPStatus.CONFLICT, why_not, f"GET /v1/deployments/{name} shows how it is now"
        )
    return CalledNormal(
        at=now,
        by=who.by,
        incident_id=body.incident,
        why=body.why,
        deployment=name,
        principal=who.principal.name,
        origin=who.origin,
    )
