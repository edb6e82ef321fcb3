"""The host's HTTP API: read the state, write levers, read the log. Loopback only.

Writes are compare-and-set: `If-Match` carries the revision they were decided on. A controller also
sends its epoch and the intent's id; a write without them is a foreign one.
"""

import json
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from homeostat.base import names
from homeostat.demo.host_document import (
    Accepted,
    LeverRules,
    Patch,
    Refused,
    Repeated,
    patch,
)
from homeostat.demo.host_log import HostLog
from homeostat.demo.host_reconcile import Reconciler
from homeostat.demo.host_settings import HostSettings
from homeostat.demo.host_store import DocumentStore

BODY_MAX: Final = 65_536  # a write of every lever of every slot is under 2 KiB
EPOCH_HEADER: Final = "x-homeostat-epoch"
INTENT_HEADER: Final = "x-homeostat-intent"


class BadRequestError(Exception):
    """A request that cannot be understood; carries the HTTP status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def build_app(
    settings: HostSettings, store: DocumentStore, reconciler: Reconciler, log: HostLog
) -> FastAPI:
    """Return the API over a running host."""
    app = FastAPI(title="homeostat process host", docs_url=None, redoc_url=None, openapi_url=None)
    rules = LeverRules(
        replicas_max=settings.replicas_max,
        version_problem=lambda version: version_problem(settings.artefacts, version),
    )

    @app.get("/v1/state")
    async def state() -> JSONResponse:
        return JSONResponse(state_of(settings, store, reconciler))

    @app.get("/v1/log")
    async def lines(after: int = 0) -> JSONResponse:
        return JSONResponse(list(log.after(after)))

    @app.patch("/v1/state")
    async def write(request: Request) -> JSONResponse:
        try:
            wanted = await _read_patch(request)
        except BadRequestError as error:
            return JSONResponse({"error": str(error)}, error.status)
        answer = patch(store.document, wanted, rules)
        if isinstance(answer, Repeated):
            return JSONResponse({"revision": answer.revision, "repeated": True})
        if isinstance(answer, Refused):
            return _refuse(answer, settings, store, reconciler)
        return _land(answer, wanted, store, reconciler, log)

    return app


def _land(
    answer: Accepted, wanted: Patch, store: DocumentStore, reconciler: Reconciler, log: HostLog
) -> JSONResponse:
    before = dict(store.document.levers)
    try:
        store.save(answer.document)
    except OSError as error:
        return JSONResponse({"error": f"the state cannot be stored: {error}"}, 507)
    for name, value in answer.document.levers:
        if before.get(name) != value:
            log.add(
                "lever_changed",
                lever=name,
                old=before.get(name),
                new=value,
                writer=answer.document.writer,
                intent=wanted.intent,
            )
    reconciler.poke()
    return JSONResponse({"revision": answer.document.revision})


def _refuse(
    answer: Refused, settings: HostSettings, store: DocumentStore, reconciler: Reconciler
) -> JSONResponse:
    body: dict[str, Any] = {"error": answer.reason}
    if answer.status == 409:  # noqa: PLR2004 - HTTP 409 Conflict
        body["state"] = state_of(settings, store, reconciler)
    return JSONResponse(body, answer.status)


def state_of(
    settings: HostSettings, store: DocumentStore, reconciler: Reconciler
) -> dict[str, Any]:
    """Return the state as the API shows it."""
    document = store.document
    return {
        "revision": document.revision,
        "epoch": document.epoch,
        "intent": document.intent,
        "writer": document.writer,
        "levers": dict(document.levers),
        "slots": [
            _slot(settings, store, reconciler, pool, slot)
            for pool in document.pools()
            for slot in document.slots(pool)
        ],
        "releases": [
            {"pool": r.pool, "version": r.version, "since_ns": r.since} for r in document.releases
        ],
        "spares": reconciler.spares.ready,
        "changing": reconciler.changing,
    }


def _slot(
    settings: HostSettings, store: DocumentStore, reconciler: Reconciler, pool: str, name: str
) -> dict[str, Any]:
    held = reconciler.slots.get(name)
    shown: dict[str, Any] = {
        "name": name,
        "pool": pool,
        "version": None,
        "state": "starting",
        "incarnation": 0,
        "pid": None,
        "port": None,
        "started_at_ns": None,
        "memory_bytes": None,
        "memory_limit_bytes": settings.memory_limit_bytes,
    }
    if held is None:
        return shown
    process = held.process
    drained = store.document.lever(names.lever_drained(name))
    shown["state"] = "gone" if not process.alive else "draining" if drained else "ready"
    shown["incarnation"] = held.incarnation
    shown["version"] = process.version
    shown["pid"], shown["port"] = process.pid, process.port
    shown["started_at_ns"], shown["memory_bytes"] = process.started_at_ns, process.memory_bytes
    return shown


def version_problem(artefacts: Path, version: str) -> str | None:
    """Return why a version cannot be asked for, None if its folder is there."""
    if not version or version.startswith(".") or "/" in version or "\0" in version:
        return "not a version name"
    try:
        known = sorted(path.parent.name for path in artefacts.glob("*/manifest.json"))
    except OSError as error:
        return f"the artefacts cannot be read: {error.strerror}"
    if version not in known:
        return f"there is no such artefact (known: {', '.join(known) or 'none'})"
    return None


async def _read_patch(request: Request) -> Patch:
    body = await _read_body(request)
    levers = body.get("levers")
    if not isinstance(levers, dict) or set(body) != {"levers"}:
        raise BadRequestError(400, 'the body must be {"levers": {NAME: VALUE, ...}}')
    expected = request.headers.get("if-match")
    if expected is None:
        raise BadRequestError(428, "If-Match must carry the revision that the write rests on")
    epoch, intent = request.headers.get(EPOCH_HEADER), request.headers.get(INTENT_HEADER)
    if (epoch is None) != (intent is None):
        raise BadRequestError(400, f"{EPOCH_HEADER} and {INTENT_HEADER} go together")
    if intent is not None and not 0 < len(intent) <= 200:  # noqa: PLR2004 - ids are short
        raise BadRequestError(400, f"{INTENT_HEADER} must have 1 to 200 characters")
    return Patch(
        expected=None if expected == "*" else _whole("If-Match", expected.strip('"')),
        epoch=None if epoch is None else _whole(EPOCH_HEADER, epoch),
        intent=intent,
        levers=levers,
    )


async def _read_body(request: Request) -> dict[str, Any]:
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > BODY_MAX:
            raise BadRequestError(413, f"the body is larger than {BODY_MAX} bytes")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(400, f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequestError(400, "the body must be a JSON object")
    return body


def _whole(name: str, text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 18:  # noqa: PLR2004 - fits int64
        raise BadRequestError(400, f"{name} must be a whole number, got {text!r}")
    return int(text)
