"""Where versions came from, over HTTP: who asked for them, why, and what became of them."""

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from homeostat.base.canary import CanaryVerdict
from homeostat.base.training import LineageState, TrainingPhase
from homeostat.server.api import schemas
from homeostat.server.api.deps import Deps
from homeostat.server.api.reads import NamePath, find
from homeostat.server.view_lineage import lineages


class LineageOut(schemas.Body):
    """One order for a training, and what became of it."""

    key: str = Field(description="By which the trainer knows it.")
    action_id: str
    incident_id: str
    deployment: str
    asked_at: float
    reason: list[str]
    approvers: list[str]
    data_from: float
    data_to: float
    due: float = Field(description="When a version must have come of it.")
    parent: str | None = Field(description="What served when it was asked for; null is unknown.")
    state: LineageState
    since: float
    why: str
    trainer_says: TrainingPhase
    trainer_seen_at: float | None
    version: str | None
    canary_id: str | None = Field(description="The action that tried it.")
    verdict: CanaryVerdict | None = Field(description="What the comparison said last.")
    because: list[str]
    marked: LineageState | None = Field(description="What the trainer is known to have been told.")


class ServingOut(schemas.Body):
    """What a pool serves, and which order it came of; null is unknown."""

    pool: str
    version: str | None
    action_id: str | None
    state: LineageState | None


class LineagesOut(schemas.Body):
    """The orders that are kept, newest first."""

    deployment: str
    lineage: list[LineageOut]
    serving: list[ServingOut]


def router(deps: Deps) -> APIRouter:
    """Return the route of lineage."""
    routes = APIRouter()

    @routes.get("/v1/deployments/{name}/lineage", response_model=LineagesOut)
    async def lineage(name: NamePath) -> dict[str, Any]:
        """Where the deployment's versions came from; null is unknown."""
        return lineages(find(deps, name), deps.states(name))

    return routes
