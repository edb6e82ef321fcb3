"""The host's HTTP API: read the state, write levers, read the log. Loopback only.

Writes are compare-and-set: `If-Match` carries the revision they were decided on. A controller also
sends its epoch and the intent's id; a write without them is a foreign one. A plain ASGI
application: three paths need no framework, whose import would double the host's start.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

from homeostat.base import names
from homeostat.demo.host_document import (
    Accepted,
    LeverRules,
    Patch,
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
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost"})
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class BadRequestError(Exception):
    """A request that cannot be understood; carries the HTTP status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class _Answer:
    body: Any
    status: int = 200


class HostApi:
    """The ASGI application over a running host."""

    def __init__(
        self, settings: HostSettings, store: DocumentStore, reconciler: Reconciler, log: HostLog
    ) -> None:
        self._settings, self._store = settings, store
        self._reconciler, self._log = reconciler, log
        self._rules = LeverRules(
            replicas_max=settings.replicas_max,
            version_problem=lambda version: version_problem(settings.artefacts, version),
        )

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            answer = await self._answer(scope, receive)
        except BadRequestError as error:
            answer = _Answer({"error": str(error)}, error.status)
        body = json.dumps(answer.body).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        start = {"type": "http.response.start", "status": answer.status, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Message, receive: Receive) -> _Answer:
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        if headers.get("host", "").partition(":")[0] not in _LOOPBACK:
            # A web page whose name was pointed at this machine sends that name.
            raise BadRequestError(400, "the host answers to 127.0.0.1 and localhost only")
        match (scope["method"], scope["path"]):
            case ("GET", "/v1/state"):
                return _Answer(state_of(self._settings, self._store, self._reconciler))
            case ("GET", "/v1/log"):
                query = parse_qs(scope["query_string"].decode("latin-1"))
                after = _whole("after", query.get("after", ["0"])[-1])
                return _Answer(list(self._log.after(after)))
            case ("PATCH", "/v1/state"):
                return self._write(_read_patch(headers, await _read_body(receive)))
            case (_, "/v1/state" | "/v1/log"):
                raise BadRequestError(405, f"{scope['method']} is not possible here")
            case _:
                raise BadRequestError(404, "the host has /v1/state and /v1/log")

    def _write(self, wanted: Patch) -> _Answer:
        answer = patch(self._store.document, wanted, self._rules)
        if isinstance(answer, Repeated):
            return _Answer({"revision": answer.revision, "repeated": True})
        if isinstance(answer, Accepted):
            return self._land(answer, wanted)
        body: dict[str, Any] = {"error": answer.reason}
        if answer.status == 409:  # noqa: PLR2004 - HTTP 409 Conflict
            body["state"] = state_of(self._settings, self._store, self._reconciler)
        return _Answer(body, answer.status)

    def _land(self, answer: Accepted, wanted: Patch) -> _Answer:
        before = dict(self._store.document.levers)
        document = answer.document
        try:
            self._store.save(document)
        except OSError as error:
            return _Answer({"error": f"the state cannot be stored: {error}"}, 507)
        for name, value in document.levers:
            if before.get(name) != value:
                self._log.add(
                    "lever_changed",
                    lever=name,
                    old=before.get(name),
                    new=value,
                    writer=document.writer,
                    intent=wanted.intent,
                )
        self._reconciler.poke()
        return _Answer({"revision": document.revision})


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


def _read_patch(headers: dict[str, str], body: dict[str, Any]) -> Patch:
    levers = body.get("levers")
    if not isinstance(levers, dict) or set(body) != {"levers"}:
        raise BadRequestError(400, 'the body must be {"levers": {NAME: VALUE, ...}}')
    expected = headers.get("if-match")
    if expected is None:
        raise BadRequestError(428, "If-Match must carry the revision that the write rests on")
    epoch, intent = headers.get(EPOCH_HEADER), headers.get(INTENT_HEADER)
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


async def _read_body(receive: Receive) -> dict[str, Any]:
    data, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequestError(400, "the request was cut off")  # nobody will read this
        data += message.get("body", b"")
        more = message.get("more_body", False)
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
