"""The autonomy ladder over HTTP: how each kind stands, and a named person's word about it."""

from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field

from homeostat.base.actions import ActionKind
from homeostat.base.autonomy import Grant
from homeostat.base.events import Granted
from homeostat.govern import autonomy
from homeostat.server.api import schemas
from homeostat.server.api.caller import Caller, caller, may
from homeostat.server.api.changes import hand_over
from homeostat.server.api.deps import Deps
from homeostat.server.api.problems import ProblemError
from homeostat.server.api.reads import NamePath, find
from homeostat.server.api.stream import Streams
from homeostat.server.people import Role


class StandingOut(schemas.Body):
    """One kind of action on one deployment."""

    deployment: str
    kind: str
    mode: Literal["shadow", "approve", "auto"]
    unasked: bool = Field(description="Whether it runs without asking now.")
    because: str
    harmless: int = Field(description="Verified to help since the last harm, over the fleet.")
    needed: int
    harm_bound: float = Field(description="Upper bound of the probability of harm, 95 %.")
    harm_at: float | None


class AutonomyOut(schemas.Body):
    """Every kind that may run unasked, or did anything."""

    autonomy: list[StandingOut]


class GrantBody(schemas.Body):
    """A word about one kind of action."""

    kind: ActionKind
    given: bool = True
    by: schemas.Person | None = Field(None, description=schemas.WHO_SAYS)
    why: Annotated[schemas.Why, Field(min_length=1)]


def router(deps: Deps, streams: Streams) -> APIRouter:
    """Return the routes of the ladder."""
    routes = APIRouter()

    @routes.get("/v1/autonomy", response_model=AutonomyOut)
    async def standing() -> dict[str, Any]:
        """How every kind of action stands: what runs unasked, by whose word or what evidence."""
        return {"autonomy": deps.autonomy()}

    @routes.post("/v1/deployments/{name}/autonomy", status_code=202)
    async def grant(name: NamePath, body: GrantBody, request: Request) -> schemas.Accepted:
        """Let a kind that the policy names run unasked again, or take that back at once."""
        event = _granted(deps, name, body, caller(request, body.by))
        return await hand_over(deps, streams, event)

    return routes


def _granted(deps: Deps, name: str, body: GrantBody, who: Caller) -> Granted:
    managed = find(deps, name).managed
    most = () if managed is None else autonomy.nameable(managed.guard)
    if body.given:
        may(who, Role.ADMIN, f"to let {body.kind.value} run unasked")
    if body.kind not in most:
        named = ", ".join(kind.value for kind in most) or "none"
        raise ProblemError(
            HTTPStatus.CONFLICT,
            f"{body.kind.value} may not run unasked on {name!r}: its policy names {named}",
            "put it under autonomy.auto or autonomy.earn of the GuardrailPolicy, and prove that",
        )
    grant = Grant(
        at=deps.clock(),
        deployment=name,
        kind=body.kind,
        given=body.given,
        by=who.by,
        why=body.why,
        origin=who.origin,
    )
    return Granted(at=grant.at, grant=grant)
