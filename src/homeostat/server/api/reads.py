"""What can be read: `GET /v1/...` and `/metrics`. Nothing here changes anything.

Every route is a coroutine, so that it runs in the thread that owns the view.
"""

import asyncio
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Annotated, Final, TypeVar

from fastapi import APIRouter, Header, Path, Query, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

import homeostat
from homeostat.base.types import DecisionRecord, TimeNs
from homeostat.base.units import SECOND, ns
from homeostat.server import view_plain as plain
from homeostat.server.api import answers, metrics, schemas
from homeostat.server.api.deps import Deps
from homeostat.server.api.gate import WHO
from homeostat.server.api.problems import MissingError, ProblemError
from homeostat.server.api.stream import STREAMS, EventStream, Streams
from homeostat.server.people import Principal
from homeostat.server.view_deployment import DeploymentState
from homeostat.server.view_feedback import moved_before
from homeostat.server.view_question import question

RECENT: Final = 50
RIBBON: Final = 60
RIBBON_NS: Final = 15 * SECOND  # 60 of them are the 15 minutes that the ring holds

T = TypeVar("T")
NamePath = Annotated[str, Path(pattern=schemas.DEPLOYMENT_PATTERN, max_length=63)]
NameQuery = Annotated[
    str | None, Query(pattern=schemas.DEPLOYMENT_PATTERN, max_length=63, alias="deployment")
]
IdPath = Annotated[str, Path(pattern=schemas.DECISION_PATTERN)]
Limit = Annotated[int, Query(ge=1, le=500)]


def find(deps: Deps, name: str) -> DeploymentState:
    """Return a deployment.

    Raises:
        MissingError: With the closest name there is.
    """
    state = deps.view.deployment(name)
    if state is None:
        raise MissingError("deployment", name, [s.name for s in deps.view.deployments()])
    return state


def find_decision(
    deps: Deps, decision_id: str, name: str | None
) -> tuple[DeploymentState, DecisionRecord]:
    """Return a decision and its deployment.

    Raises:
        MissingError: There is none.
        ProblemError: 409, several deployments have one of this id.
    """
    states = [find(deps, name)] if name else deps.view.deployments()
    found = [(s, d) for s in states if (d := s.decisions.get(decision_id)) is not None]
    if not found:
        known = [d.id for s in states for d in s.decisions.newest(10)]
        raise MissingError("decision", decision_id, known)
    if len(found) > 1:
        names = ", ".join(state.name for state, _ in found)
        raise ProblemError(
            HTTPStatus.CONFLICT,
            f"{decision_id!r} is an id in several deployments: {names}",
            f"say which one with `deployment`, for example {found[0][0].name!r}",
        )
    return found[0]


def asking(request: Request) -> Principal:
    """Return whose token the gate found.

    Raises:
        ProblemError: 401, there was none.
    """
    who = getattr(request.state, WHO, None)
    if not isinstance(who, Principal):
        raise ProblemError(
            HTTPStatus.UNAUTHORIZED, "this needs a token", "send `Authorization: Bearer TOKEN`"
        )
    return who


def router(deps: Deps, streams: Streams) -> APIRouter:
    """Return the routes that read."""
    routes = APIRouter()
    _fleet(routes, deps, streams)
    _histories(routes, deps)
    _controller(routes, deps, streams)
    return routes


def _fleet(routes: APIRouter, deps: Deps, streams: Streams) -> None:
    @routes.get("/v1/deployments", response_model=answers.FleetOut)
    async def deployments() -> plain.Plain:
        """Every deployment in one row."""
        now = deps.clock()
        rows = [
            {**plain.summary(s, now), "ribbon": s.series.anomalies(RIBBON, RIBBON_NS, now)}
            for s in deps.view.deployments()
        ]
        return {**_frame(deps, streams, now), "deployments": rows}

    @routes.get("/v1/deployments/{name}", response_model=answers.DetailOut)
    async def deployment(name: NamePath, recent: Limit = RECENT) -> plain.Plain:
        """Everything about one deployment, with `recent` entries of each history."""
        now = deps.clock()
        row = plain.detail(find(deps, name), now, recent=recent)
        for part in ("decisions", "questions"):
            row[part] = [_asked(deps, one) for one in row[part]]
        return {**row, **_frame(deps, streams, now)}

    @routes.get("/v1/deployments/{name}/series", response_model=answers.SeriesListOut)
    async def series(
        name: NamePath,
        since_s: Annotated[int, Query(ge=1, le=86_400, description="How far back.")] = 300,
        signal: Annotated[list[str] | None, Query(max_length=32)] = None,
    ) -> plain.Plain:
        """The charted series of the last seconds, over one time axis."""
        state, since = find(deps, name), TimeNs(deps.clock() - ns(since_s))
        chosen = [k for k in state.series.names() if signal is None or k[1] in signal]
        return {
            "deployment": name,
            "cursor": streams.cursor(),
            "at": state.series.times(since),
            "series": [state.series.read(key, since) for key in chosen],
        }


def _histories(routes: APIRouter, deps: Deps) -> None:
    def states(name: str | None) -> Iterable[DeploymentState]:
        return [find(deps, name)] if name else deps.view.deployments()

    @routes.get("/v1/decisions", response_model=answers.DecisionsOut)
    async def decisions(
        name: NameQuery = None, limit: Limit = RECENT, *, pending: bool = False
    ) -> plain.Plain:
        """Decisions, newest first; with `pending`, only open questions."""
        now = deps.clock()
        rows = [
            _asked(deps, plain.decision(s, d, now))
            for s in states(name)
            for d in (s.pending(now) if pending else s.decisions.newest(limit))
        ]
        return {"decisions": _newest(rows, "at", limit)}

    @routes.get(
        "/v1/decisions/{decision_id}",
        response_model=answers.DecisionOut,
    )
    async def decision(decision_id: IdPath, name: NameQuery = None) -> plain.Plain:
        """One decision: why, what else was permitted, what was refused, what came of it."""
        state, record = find_decision(deps, decision_id, name)
        row = plain.decision(state, record, deps.clock())
        moved = moved_before(deps.states(state.name), record.at)
        return _asked(deps, row | {"then": state.then.get(decision_id), "moved": moved})

    @routes.get("/v1/incidents", response_model=answers.IncidentsOut)
    async def incidents(name: NameQuery = None, limit: Limit = RECENT) -> plain.Plain:
        """Incidents, newest first."""
        rows = [plain.incident(e) for s in states(name) for e in s.incidents.newest(limit)]
        return {"incidents": _newest(rows, "opened_at", limit)}

    @routes.get("/v1/actions", response_model=answers.ActionsOut)
    async def actions(name: NameQuery = None, limit: Limit = RECENT) -> plain.Plain:
        """Actions, newest first."""
        rows = [plain.action_entry(s, e) for s in states(name) for e in s.actions.newest(limit)]
        return {"actions": _newest(rows, "proposed_at", limit)}


def _asked(deps: Deps, row: plain.Plain) -> plain.Plain:
    """Return a decision with what a yes would be bound to, while it is asked."""
    if not row["pending"]:
        return row
    return row | {"question": question(deps.states(row["deployment"]), row["id"])}


def _controller(routes: APIRouter, deps: Deps, streams: Streams) -> None:
    @routes.get("/v1/me")
    async def me(request: Request) -> schemas.MeOut:
        """Whose token this is, and what it lets them do."""
        who = asking(request)
        return schemas.MeOut.model_validate({
            "name": who.name,
            "role": who.role.word,
            "named": who.named,
        })

    collected = metrics.registry(deps, lambda: streams.count, deps.own)

    @routes.get("/v1/health", response_model=answers.HealthOut)
    async def health() -> plain.Plain:
        """The controller's own state, in numbers; it does not judge itself."""
        now, states = deps.clock(), deps.view.deployments()
        ticks = [s.evidence.at for s in states if s.evidence]
        believed = [s.believed_at for s in states if s.believed_at is not None]
        return {
            **_frame(deps, streams, now),
            "version": homeostat.__version__,
            "read_only": deps.read_only,
            "deployments": len(states),
            "newest_tick_at": plain.when(max(ticks, default=None)),
            "believed_at": plain.when(min(believed, default=None)),
            "streams": streams.count,
        }

    @routes.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def prometheus() -> Response:
        """Everything countable, in the Prometheus text format."""
        families = tuple(collected.collect())  # here: the view belongs to this thread
        page = await asyncio.to_thread(metrics.text, families)
        return Response(page, media_type=CONTENT_TYPE_LATEST)

    @routes.get(
        "/v1/events",
        response_class=Response,
        responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
    )
    async def events(
        request: Request,
        name: NameQuery = None,
        after: Annotated[str, Query(max_length=32)] = "",
        kinds: Annotated[str, Query(pattern=r"^[a-z,]*$", max_length=128)] = "",
        last_event_id: Annotated[str | None, Header(max_length=64)] = None,
    ) -> Response:
        """Changes as Server-Sent Events, resumable by `Last-Event-ID` (or `after`)."""
        _room_for(streams)
        return EventStream(
            streams,
            after=streams.position(last_event_id or after),
            deployment=name or "",
            kinds=frozenset(kind for kind in kinds.split(",") if kind),
            may=_still(deps, request),
        )


def _still(deps: Deps, request: Request) -> Callable[[], bool]:
    """Return what says whether whoever opened a stream may still read: it outlives a request."""
    token = request.headers.get("authorization", "").partition(" ")[2].strip()
    who = getattr(request.state, WHO, None)

    def may() -> bool:
        if who is None:
            return not deps.people.configured
        return not who.named or deps.people.whose(token, deps.clock()) is not None

    return may


def _room_for(streams: Streams) -> None:
    if streams.count >= STREAMS or streams.closing:
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"{streams.count} event streams are open, the most there may be",
            "close a tab, or read /v1/deployments now and then",
        )


def _frame(deps: Deps, streams: Streams, now: TimeNs) -> plain.Plain:
    return {"cursor": streams.cursor(), "now": plain.when(now), "kill": deps.kill.level().value}


def _newest(rows: list[plain.Plain], key: str, limit: int) -> list[plain.Plain]:
    return sorted(rows, key=lambda row: -float(row[key]))[:limit]
