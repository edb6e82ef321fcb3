"""What deployments that share something should have, over HTTP: to look at, nothing follows it."""

import asyncio
from collections.abc import Sequence
from typing import Literal

from fastapi import APIRouter
from pydantic import Field

from homeostat.server import sharing
from homeostat.server import view_plain as plain
from homeostat.server.api import schemas
from homeostat.server.api.deps import Deps
from homeostat.server.plan import SharedPlan


class SharedOut(schemas.Body):
    """One thing that is shared."""

    name: str
    most: float | None = Field(description="All there is of it.")
    used: float | None = Field(description="What is held of it, as far as it is seen.")
    price: float | None = Field(description="What one more would be worth an hour; null: unknown.")


class PartOut(schemas.Body):
    """What one deployment should have."""

    deployment: str
    held: int
    proposed: int
    floor: int = Field(description="Fewest that the guards would leave it with.")
    load: float | None = Field(description="In replicas; null is not known, and it keeps what is.")
    price: float | None = Field(description="What a replica of it costs the others an hour.")
    shares: list[str]


class SharingOut(schemas.Body):
    """A division; where there is no answer, everybody keeps what is held."""

    at: float
    answer: Literal["divided", "infeasible", "unknown"]
    because: list[str]
    lost: float | None = Field(description="Worth an hour that whole replicas can lack at most.")
    shared: list[SharedOut]
    deployments: list[PartOut]


def router(deps: Deps, shared: Sequence[SharedPlan]) -> APIRouter:
    """Return the route of what is shared."""
    routes = APIRouter()

    @routes.get("/v1/shared", response_model=SharingOut)
    async def divided() -> plain.Plain:
        """What each deployment should have of what they share, and what that costs the others."""
        now = deps.clock()
        question = sharing.asked(shared, deps.view.deployments(), now)
        return {"at": plain.when(now), **await asyncio.to_thread(sharing.answered, question)}

    return routes
