"""The pages: `/` (fleet) and `/d/NAME` (one deployment), and the files they need.

A page is readable without JavaScript (a summary is rendered here); the modules in `static/` then
make it live from the API. Where reading needs a token the page is rendered empty: a browser sends
none when it opens one. Nothing is inline and nothing comes from another host.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path as FilePath
from typing import Annotated, Any, Final

from fastapi import FastAPI, Path
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope
from typing_extensions import override

import homeostat
from homeostat.base.types import TimeNs
from homeostat.server import view_plain
from homeostat.server.view import View

HERE: Final = FilePath(str(files("homeostat.server.console")))
HEALTH_WORDS: Final[Mapping[str, str]] = {
    "ok": "Within limits",
    "learning": "Learning what is normal",
    "unknown": "Not enough data",
    "breach": "Objective missed",
    "incident": "Incident open",
    "asking": "Waiting for you",
    "healing": "Healing",
}
PLACES: Final = (
    ("/", "Fleet"),
    ("/approvals", "Approvals"),
    ("/policy", "Policy"),
    ("/audit", "Audit"),
)
EMPTY: Final[Mapping[str, Any]] = {"health": "unknown", "numbers": ()}
"""What is rendered of a deployment where reading needs a token."""


class RevalidatedFiles(StaticFiles):
    """Static files that browsers keep but ask about each time (ETag), so none is ever stale."""

    @override
    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "no-cache"
        return response

    @override
    async def get_response(self, path: str, scope: Scope) -> Response:
        if scope["method"] not in {"GET", "HEAD"}:
            raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "GET, HEAD"})
        return await super().get_response(path, scope)


def environment() -> Environment:
    """Return the template environment: everything escaped, unknown names are errors."""
    return Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def mount(
    app: FastAPI,
    *,
    view: View,
    clock: Callable[[], TimeNs],
    read_only: bool,
    closed: Callable[[], bool],
) -> None:
    """Add the console to an app; while `closed` holds its pages are rendered without data."""
    templates = environment()
    fixed = {
        "version": homeostat.__version__,
        "read_only": read_only,
        "health_words": HEALTH_WORDS,
        "places": PLACES,
    }

    def common(place: str) -> dict[str, Any]:
        return {**fixed, "closed": closed(), "place": place}

    _shells(app, templates, common)

    @app.get("/", include_in_schema=False)
    async def fleet() -> HTMLResponse:
        now = clock()
        seen = () if closed() else view.deployments()
        rows = [(state.name, state.health(now)) for state in seen]
        page = templates.get_template("fleet.html").render(**common("/"), rows=rows, name="")
        return HTMLResponse(page)

    @app.get("/d/{name}", include_in_schema=False)
    async def deployment(name: Annotated[str, Path(max_length=200)]) -> HTMLResponse:
        state, now = view.deployment(name), clock()
        if closed():
            page = templates.get_template("deployment.html").render(
                **common(""), row=EMPTY, name=name
            )
            return HTMLResponse(page)
        if state is None:
            known = [known.name for known in view.deployments()]
            page = templates.get_template("missing.html").render(
                **common(""), name=name, known=known
            )
            return HTMLResponse(page, HTTPStatus.NOT_FOUND)
        row = view_plain.detail(state, now, recent=10)
        page = templates.get_template("deployment.html").render(**common(""), row=row, name=name)
        return HTMLResponse(page)

    @app.get("/favicon.ico", include_in_schema=False)
    async def favicon() -> RedirectResponse:
        return RedirectResponse("/static/icon.svg", HTTPStatus.MOVED_PERMANENTLY)

    app.mount("/static", RevalidatedFiles(directory=HERE / "static"), name="static")


def _shells(app: FastAPI, templates: Environment, common: Callable[[str], dict[str, Any]]) -> None:
    """Add the pages that hold nothing until their script has read it."""

    def plain(name: str, place: str) -> HTMLResponse:
        return HTMLResponse(templates.get_template(name).render(**common(place), name=""))

    @app.get("/approvals", include_in_schema=False)
    async def approvals() -> HTMLResponse:
        return plain("approvals.html", "/approvals")

    @app.get("/policy", include_in_schema=False)
    async def policy() -> HTMLResponse:
        return plain("policy.html", "/policy")

    @app.get("/audit", include_in_schema=False)
    async def audit() -> HTMLResponse:
        return plain("audit.html", "/audit")

    @app.get("/d/{name}/{decision_id}", include_in_schema=False)
    async def explanation(
        name: Annotated[str, Path(max_length=200)],
        decision_id: Annotated[str, Path(pattern=r"^d-[0-9]{1,12}$")],
    ) -> HTMLResponse:
        page = templates.get_template("decision.html")
        return HTMLResponse(page.render(**common(""), name=name, decision=decision_id))
