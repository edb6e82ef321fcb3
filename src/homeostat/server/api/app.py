"""The HTTP application: gate in front, routes behind, problems for errors; no cookies, no CDN."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fastapi import FastAPI

import homeostat
from homeostat.base.errors import ConfigError
from homeostat.base.types import TimeNs
from homeostat.server.api import (
    alerts,
    changes,
    feedback,
    gate,
    headers,
    judge,
    ladder,
    lineage,
    problems,
    reads,
    records,
    sharing,
    slack,
)
from homeostat.server.api.deps import Deps, KillControl, Labels, States, Submit
from homeostat.server.api.doors import Doors
from homeostat.server.api.stream import Streams
from homeostat.server.auditing import Audit
from homeostat.server.console import pages
from homeostat.server.people import digest
from homeostat.server.people_file import People
from homeostat.server.plan import SharedPlan
from homeostat.server.telemetry.own import Own
from homeostat.server.view import View

TOKEN_MIN = 32
"""Characters; 43 is what `secrets.token_urlsafe(32)` (256 bits) gives."""


def create_app(  # noqa: PLR0913 - one for each part that the wiring hands over
    *,
    view: View,
    submit: Submit,
    kill: KillControl,
    labels: Labels | None,
    token: str,
    allowed_origins: Iterable[str],
    clock: Callable[[], TimeNs],
    read_only: bool = False,
    people: People | None = None,
    states: States = lambda _: None,
    autonomy: Callable[[], list[dict[str, Any]]] = list,
    audit: Audit | None = None,
    proofs: Callable[[str], dict[str, Any] | None] = lambda _: None,
    doors: Doors | None = None,
    standby: Callable[[], bool] = lambda: False,
    own: Own | None = None,
    shared: Sequence[SharedPlan] = (),
) -> FastAPI:
    """Return the application: API, event stream, metrics and console.

    `view` must be fed from the thread whose event loop serves the app. Call
    `app.state.streams.close()` before stopping the server (`server.http` does).

    Args:
        view: The read model.
        submit: Hands one event to the loop; None means accepted, a string why not.
        kill: The kill switch.
        labels: Joins labels to predictions, None when there is nothing to join them to.
        token: The shared bearer token, an admin's; only its SHA-256 is kept.
        allowed_origins: Origins whose pages may send changes, `http://127.0.0.1:7373`.
        clock: The controller's clock.
        read_only: Refuse every change.
        people: Everybody with a token of their own; None for nobody.
        states: Gives the loop's state of a deployment, to say what a question rests on.
        autonomy: Gives how every kind of action stands on every deployment.
        audit: The record, to be shown.
        proofs: Gives how the proof of a deployment's policy stands.
        doors: Ways in for machines; None for an admin's token alone.
        standby: Says whether another controller leads.
        own: How the controller itself is doing, for `/metrics`.
        shared: How much there is of what deployments share.

    Raises:
        ConfigError: The token is short enough to be guessed.
    """
    if len(token) < TOKEN_MIN:
        raise ConfigError(
            f"the API token has {len(token)} characters, fewer than {TOKEN_MIN}: "
            "make one with `python3 -c 'import secrets; print(secrets.token_urlsafe(32))'`"
        )
    origins = frozenset(allowed_origins)
    known, doors = people or People(None), doors or Doors()
    deps = Deps(
        view=view,
        submit=submit,
        kill=kill,
        labels=labels,
        clock=clock,
        read_only=read_only,
        people=known,
        states=states,
        autonomy=autonomy,
        audit=audit,
        proofs=proofs,
        standby=standby,
        own=own or Own(),
    )
    streams = Streams(view, clock)
    app = FastAPI(
        title="Homeostat",
        version=homeostat.__version__,
        summary="Watch, approve, freeze and undo what the controller does.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={
            status: {
                "model": problems.Problem,
                "content": {
                    problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}
                },
            }
            for status in ("4XX", "5XX")
        },
    )
    app.state.streams = streams
    app.include_router(reads.router(deps, streams), tags=["read"])
    app.include_router(changes.router(deps, streams), tags=["change"])
    app.include_router(ladder.router(deps, streams), tags=["autonomy"])
    app.include_router(feedback.router(deps, streams), tags=["feedback"])
    app.include_router(records.router(deps), tags=["read"])
    app.include_router(lineage.router(deps), tags=["read"])
    app.include_router(sharing.router(deps, shared), tags=["read"])
    app.include_router(judge.router(clock), tags=["judge"])
    app.include_router(alerts.router(deps, doors.heard), tags=["alerts"])
    if doors.clicks is not None:
        app.include_router(slack.router(deps, streams, doors.clicks))
    pages.mount(app, view=view, clock=clock, read_only=read_only, closed=lambda: known.configured)
    problems.install(app)
    rules = gate.Rules(
        token_digest=digest(token),
        people=known,
        origins=origins,
        hosts=frozenset(map(gate.host_of, origins)) | {"localhost"},
        read_only=read_only,
        clock=clock,
        by_token=doors.by_token(),
        by_signature=doors.by_signature(),
    )
    app.add_middleware(gate.Gate, rules=rules)
    app.add_middleware(headers.SecurityHeaders)
    return app
