"""Errors that teach: RFC 9457 problem details that name the thing, the value and the fix."""

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from homeostat.server.api.headers import SECURITY_HEADERS

MEDIA_TYPE = "application/problem+json"
_SHOWN = 120
"""Characters of a bad value that an error repeats."""


class Problem(BaseModel):
    """One error, as the body of every answer of 400 and above."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(description="`about:blank`: the status says what kind of problem it is.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong, with the value.")
    fix: str = Field(description="What to do about it.")


class ProblemError(HTTPException):
    """A request that cannot be served; the handler turns it into a `Problem`.

    Attributes:
        fix: What the caller can do about it.
    """

    def __init__(
        self, status: int, detail: str, fix: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Keep what the handler needs."""
        super().__init__(status, detail, headers=dict(headers or {}))
        self.fix = fix


def respond(
    status: int, detail: str, fix: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a problem as a response; hostile text is escaped to ASCII."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "fix": fix,
    }
    return Response(
        json.dumps(body).encode("ascii"), status, headers=headers, media_type=MEDIA_TYPE
    )


class MissingError(ProblemError):
    """404 for a name that is not there; the fix names the closest one that is."""

    def __init__(self, kind: str, name: str, known: Sequence[str]) -> None:
        """Build the message from at most ten known names."""
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        shown = ", ".join(known[:10]) + (", ..." if len(known) > 10 else "")  # noqa: PLR2004 - one line
        super().__init__(404, f"there is no {kind} {name!r}", f"{hint}known: {shown or 'none yet'}")


def install(app: FastAPI) -> None:
    """Make every error of the app a problem."""

    def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
        fix = error.fix if isinstance(error, ProblemError) else _fix(app, request, error)
        return respond(error.status_code, str(error.detail), fix, error.headers)

    def on_invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
        faults = [_fault(fault) for fault in error.errors()[:5]]
        return respond(422, "; ".join(faults), "see /openapi.json for what each field may hold")

    def on_broken(_: Request, error: Exception) -> Response:
        return respond(
            500,
            f"the server failed with {type(error).__name__}",
            "this is a bug: the log of `homeostat run` has the traceback",
            SECURITY_HEADERS | {"cache-control": "no-store"},  # sent outside all middleware
        )

    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(Exception, on_broken)


def _fault(fault: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in fault.get("loc", ()))
    return f"{where}: {fault.get('msg', 'is wrong')}, got {ascii(fault.get('input'))[:_SHOWN]}"


def _fix(app: FastAPI, request: Request, error: HTTPException) -> str:
    if error.status_code == HTTPStatus.NOT_FOUND:
        close = get_close_matches(request.url.path, sorted(app.openapi()["paths"]), n=1, cutoff=0.5)
        return f"did you mean {close[0]}?" if close else "see /openapi.json for the paths there are"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "")
        return f"this path takes {allowed}" if allowed else "see /openapi.json for the methods"
    return "see /openapi.json for what this path takes"
