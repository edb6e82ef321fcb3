"""What a kubelet and a scraper may see from outside: three pages, and no way to anything else.

The API itself speaks no TLS and stays on loopback. These pages hold no secret and take no input:
whether the process answers, whether it knows its place, and the metrics. Who may reach them is the
network's business (`deploy/base/network-policy.yaml`).
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Response
from starlette.types import ASGIApp, Message

from homeostat.server.http import serve_app
from homeostat.server.lease import Lead
from homeostat.server.runtime import Runtime

Ready = Callable[[], tuple[bool, str]]
"""Whether the controller knows its place, and which it is."""
_TEXT = "text/plain; charset=utf-8"


def place(runtime: Runtime, lead: Lead) -> tuple[bool, str]:
    """Return whether this controller leads or knows who does; a standby is ready, too.

    Otherwise no roll-out with two of them would ever end.
    """
    if runtime.epoch:
        return True, f"leads under epoch {runtime.epoch}"
    if lead.leader:
        return True, f"standby; {lead.leader} leads"
    return False, "nobody knows yet who leads"


def create_pages(inner: ASGIApp, token: str, ready: Ready) -> FastAPI:
    """Return the application of the three pages.

    Args:
        inner: The API, which is asked for its metrics.
        token: What it is asked with; a caller's own credentials are not looked at.
        ready: See `place`.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)

    @app.get("/livez")
    async def livez() -> Response:
        """The process's one event loop answers."""
        return Response("ok\n", media_type=_TEXT)

    @app.get("/readyz")
    async def readyz() -> Response:
        holds, text = ready()
        status = HTTPStatus.OK if holds else HTTPStatus.SERVICE_UNAVAILABLE
        return Response(f"{text}\n", status, media_type=_TEXT)

    @app.get("/metrics")
    async def metrics() -> Response:
        return await _page(inner, "/metrics", token)

    return app


@asynccontextmanager
async def served(
    inner: ASGIApp, token: str, ready: Ready, where: tuple[str, int] | None
) -> AsyncIterator[str]:
    """Serve the pages while the block runs, if it is said where; yields their address or nothing.

    Raises:
        ConfigError: The address is none of this machine, or the port is in use.
    """
    if where is None:
        yield ""
        return
    host, port = where
    app = create_pages(inner, token, ready)
    async with serve_app(app, host, port, allow_remote=True) as url:
        yield url


async def _page(inner: ASGIApp, path: str, token: str) -> Response:
    """Ask the API for a page, as if from its own machine."""
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"authorization", f"Bearer {token}".encode())],
        "client": None,
        "server": ("127.0.0.1", 0),
    }
    said: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        said.append(message)

    await inner(scope, receive, send)
    body = b"".join(one.get("body", b"") for one in said if one["type"] == "http.response.body")
    headers = {key.decode(): value.decode() for key, value in said[0]["headers"]}
    return Response(body, said[0]["status"], media_type=headers.get("content-type", _TEXT))
