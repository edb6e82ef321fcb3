"""HTTP in front of one replica: Open Inference Protocol v2, and the paths of administration.

A raw ASGI application: at a few hundred requests per second on two shared cores, a framework
would cost more than the model. Everything is JSON; an error is `{"error": "..."}`.
"""

import asyncio
import json
import math
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from homeostat.base.errors import HomeostatError
from homeostat.demo.artefact import MODEL, ArtefactError
from homeostat.demo.batcher import QueueFullError
from homeostat.demo.replica import BadReleaseError, NotReadyError, Prediction, Replica

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

INFER_PATH: Final = f"/v2/models/{MODEL}/infer"
# Left out of the request metrics, and counted apart: they say nothing of what users see.
UNCOUNTED: Final = ("/admin/", "/v2/health/")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/-]{0,63}")
_BODY_MAX: Final = 1 << 20
_JSON: Final = (b"content-type", b"application/json")


class RefusedError(HomeostatError):
    """A request that is answered with an error status.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ServerApp:
    """The ASGI application of one replica."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self.inflight = 0
        self.served = 0
        self.closing = False
        self._posts: dict[str, Callable[[dict[str, Any], Headers], Awaitable[Any]]] = {
            "/admin/settings": self._settings,
            "/admin/version": self._version,
            "/admin/name": self._name,
            "/admin/drain": self._drain,
            "/admin/chaos": self._chaos,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        Raises:
            RefusedError: It is not HTTP; the server is not configured to hand over anything else.
        """
        if scope["type"] != "http":
            raise RefusedError(400, f"{scope['type']} is not served here")
        if scope["path"] != INFER_PATH:
            await self._send(send, *await self._answer(scope, receive))
            return
        self.inflight += 1
        try:
            await self._send(send, *await self._answer(scope, receive))
        finally:
            self.inflight -= 1
            self.served += 1

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, Any, Headers]:
        path: str = scope["path"]
        try:
            if path == INFER_PATH:
                _demand(scope, "POST")
                return await self._infer(scope["headers"], await _read(receive))
            if path in self._posts:
                _demand(scope, "POST")
                body = _parse(await _read(receive) or b"{}")
                return 200, await self._posts[path](body, scope["headers"]), []
            _demand(scope, "GET", "HEAD")
            return self._get(path)
        except RefusedError as error:
            return error.status, {"error": str(error)}, self._who(None)

    def _get(self, path: str) -> tuple[int, Any, Headers]:
        replica = self._replica
        ready = replica.ready
        if path == "/v2":
            return 200, {"name": "homeostat-demo", "version": "2", "extensions": []}, []
        if path == "/v2/health/live":
            return 200, {"live": True}, []
        if path in {"/v2/health/ready", f"/v2/models/{MODEL}/ready"}:
            return (200 if ready else 503), {"ready": ready}, self._who(None)
        if path == f"/v2/models/{MODEL}":
            return 200, self._metadata(), []
        if path == "/admin/state":
            return 200, self.state(), []
        raise RefusedError(404, f"there is no {path} here")

    def _metadata(self) -> dict[str, Any]:
        width = len(self._replica.features)
        version = self._replica.version
        return {
            "name": MODEL,
            "versions": [version] if version else [],
            "platform": "scikit-learn",
            "inputs": [{"name": "features", "datatype": "FP64", "shape": [1, width]}],
            "outputs": [{"name": "probability", "datatype": "FP64", "shape": [1, 1]}],
            "features": list(self._replica.features),
        }

    def state(self) -> dict[str, Any]:
        """Return what `GET /admin/state` says; inflight counts inferences, waiting ones too."""
        replica = self._replica
        return {
            "name": replica.name,
            "pool": replica.pool,
            "version": replica.version,
            "inflight": replica.batcher.held,
            "queue": replica.batcher.waiting,
            "settings": replica.settings(),
            "draining": replica.draining,
        }

    async def _infer(self, headers: Headers, raw: bytes) -> tuple[int, Any, Headers]:
        body = _parse(raw)
        request_id = body.get("id", "")
        if not isinstance(request_id, str):
            raise RefusedError(400, f"id must be a string, got {type(request_id).__name__}")
        inputs = _inputs(body, len(self._replica.features))
        probe = any(name == b"x-homeostat-probe" for name, _ in headers)
        try:
            answer = await self._replica.infer(inputs, probe=probe)
        except (QueueFullError, NotReadyError) as error:
            raise RefusedError(503, str(error)) from error
        except BadReleaseError as error:
            raise RefusedError(500, str(error)) from error
        value = answer.probability if math.isfinite(answer.probability) else None
        output = {"name": "probability", "shape": [1, 1], "datatype": "FP64", "data": [value]}
        plain = {
            "model_name": MODEL,
            "model_version": answer.version,
            "id": request_id,
            "outputs": [output],
        }
        return 200, plain, self._who(answer)

    def _who(self, answer: Prediction | None) -> Headers:
        if answer is None:
            version = self._replica.version or ""
            return [(b"x-replica", self._replica.name.encode()), (b"x-version", version.encode())]
        return [
            (b"x-replica", answer.replica.encode()),
            (b"x-version", answer.version.encode()),
            (b"x-prediction-id", answer.id.encode()),
        ]

    async def _settings(self, body: dict[str, Any], headers: Headers) -> dict[str, float]:
        del headers
        try:
            self._replica.change(body)
        except ValueError as error:
            raise RefusedError(422, str(error)) from error
        return self._replica.settings()

    async def _version(self, body: dict[str, Any], headers: Headers) -> dict[str, Any]:
        del headers
        try:
            await self._replica.use_version(_text(body, "version"))
        except ArtefactError as error:
            raise RefusedError(422, str(error)) from error
        return self.state()

    async def _name(self, body: dict[str, Any], headers: Headers) -> dict[str, Any]:
        del headers
        try:
            self._replica.take_slot(_text(body, "name"), _text(body, "pool"))
        except ValueError as error:
            raise RefusedError(409, str(error)) from error
        return self.state()

    async def _drain(self, body: dict[str, Any], headers: Headers) -> dict[str, Any]:
        del body, headers
        self._replica.draining = True
        return self.state()

    async def _chaos(self, body: dict[str, Any], headers: Headers) -> dict[str, float]:
        shown = next((value for name, value in headers if name == b"x-chaos-token"), b"")
        if not self._replica.chaos.permits(shown):
            raise RefusedError(403, "x-chaos-token is missing or wrong")
        try:
            return self._replica.chaos.order(body)
        except ValueError as error:
            raise RefusedError(422, str(error)) from error

    async def _send(self, send: Send, status: int, body: Any, headers: Headers) -> None:
        raw = json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
        headers = [_JSON, (b"content-length", str(len(raw)).encode()), *headers]
        if self.closing:  # whoever is connected goes elsewhere with the next request
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": raw})

    async def idle_for(self, quiet_s: float) -> None:
        """Return once no inference has been held or answered for this long, in seconds."""
        seen = -1
        while self.inflight or seen != self.served:
            seen = self.served
            await asyncio.sleep(quiet_s)


def _demand(scope: Scope, *methods: str) -> None:
    if scope["method"] not in methods:
        raise RefusedError(405, f"{scope['path']} takes {' or '.join(methods)}")


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedError(400, "the caller went away before the request was complete")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > _BODY_MAX:
            raise RefusedError(413, f"the body is larger than {_BODY_MAX} bytes")
        if not message.get("more_body", False):
            return b"".join(parts)


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise RefusedError(400, f"the body must be an object, got {type(body).__name__}")
    return body


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not _NAME.fullmatch(value):  # it will be a header's value
        raise RefusedError(422, f"{name} must be a short name, got {value!r:.80}")
    return value


def _inputs(body: dict[str, Any], width: int) -> list[float]:
    """Return the one row of features of a v2 request.

    Raises:
        RefusedError: It is not one finite row of the model's width.
    """
    tensors = body.get("inputs")
    if not isinstance(tensors, list) or len(tensors) != 1 or not isinstance(tensors[0], dict):
        raise RefusedError(400, "inputs must be one tensor, `features`")
    tensor = tensors[0]
    data, shape = tensor.get("data"), tensor.get("shape")
    if tensor.get("name") != "features" or tensor.get("datatype") != "FP64":
        raise RefusedError(400, "the tensor must be `features` of datatype FP64")
    if not width:
        raise RefusedError(503, "no version is loaded")
    if shape != [1, width] or not isinstance(data, list):
        raise RefusedError(400, f"shape must be [1, {width}] with data as a list, got {shape}")
    if len(data) == 1 and isinstance(data[0], list):  # v2 allows nested data as well
        data = data[0]
    if len(data) != width:
        raise RefusedError(400, f"expected {width} values, got {len(data)}")
    for value in data:
        if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
            raise RefusedError(400, f"every value must be a finite number, got {value!r:.40}")
    return data


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False
