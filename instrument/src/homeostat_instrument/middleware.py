"""The ASGI middleware: counts every request, and answers the monitor's own two paths.

Nothing is skipped in silence: paths that are left out of the request metrics are named by the
caller and counted in `ml_uncounted_requests_total`; a request that ends without an answer is
counted as `aborted`; a probe (header `x-homeostat-probe`) is counted like a request, with a label.
"""

import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qs

from prometheus_client import generate_latest

from homeostat_instrument.monitor import Monitor

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PROBE_HEADER: Final = b"x-homeostat-probe"
CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"


class Middleware:
    """Wraps an ASGI application; an ASGI application itself."""

    def __init__(
        self,
        app: App,
        monitor: Monitor,
        *,
        metrics_path: str = "/metrics",
        predictions_path: str = "/predictions",
        uncounted: Iterable[str] = (),
    ) -> None:
        """Wrap `app`.

        Args:
            app: The application that answers requests.
            monitor: Where to count.
            metrics_path: Where the Prometheus page is answered.
            predictions_path: Where recent predictions are answered (`monitor(recent=...)`).
            uncounted: Paths, or prefixes ending in `/`, that the request metrics leave out:
                health checks and administration, which say nothing of what users see.
        """
        self._app = app
        self._monitor = monitor
        self._metrics_path = metrics_path
        self._predictions_path = predictions_path
        paths = (*uncounted, metrics_path, predictions_path)
        self._exact = frozenset(path for path in paths if not path.endswith("/"))
        self._prefixes = tuple(path for path in paths if path.endswith("/"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        kind = scope["type"]
        if kind not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if path in self._exact or (self._prefixes and path.startswith(self._prefixes)):
            await self._serve_uncounted(path, scope, receive, send)
            return
        await self._serve_counted(scope, receive, send)

    async def _serve_counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        watched = self._monitor
        code = "aborted"

        async def watching(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = str(message["status"])
            elif message["type"] == "websocket.accept":
                code = "websocket"
            await send(message)

        probe = any(name == PROBE_HEADER for name, _ in scope["headers"])
        started = time.perf_counter()
        with watched.lock:
            watched.inflight += 1
        try:
            await self._app(scope, receive, watching)
        except Exception:
            if code == "aborted":  # the server will answer 500 for the application
                code = "500"
            raise
        finally:
            with watched.lock:
                watched.inflight -= 1
            watched.observe_request(code, time.perf_counter() - started, probe=probe)

    async def _serve_uncounted(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        watched = self._monitor
        label = path if path in self._exact else next(
            prefix for prefix in self._prefixes if path.startswith(prefix)
        )  # fmt: skip
        with watched.lock:
            watched.uncounted[label] = watched.uncounted.get(label, 0) + 1
        if path == self._metrics_path:
            await metrics_app(watched)(scope, receive, send)
        elif path == self._predictions_path:
            await _answer_predictions(watched, scope, send)
        else:
            await self._app(scope, receive, send)


def metrics_app(monitor: Monitor) -> App:
    """Return an ASGI application that answers the monitor's Prometheus page, to be mounted."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        if scope.get("method", "GET") not in {"GET", "HEAD"}:
            await _send(send, 405, b"text/plain", b"the metrics page is read with GET\n")
            return
        await _send(send, 200, CONTENT_TYPE, generate_latest(monitor.registry))

    return app


async def _answer_predictions(monitor: Monitor, scope: Scope, send: Send) -> None:
    if not monitor.ring.size:
        text = b"no predictions are kept; start the monitor with recent=4096 or more\n"
        await _send(send, 404, b"text/plain", text)
        return
    given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("after", ["0"])[-1]
    if not (given.isascii() and given.isdigit() and len(given) <= 18):  # noqa: PLR2004 - int64
        await _send(send, 400, b"text/plain", b"after must be a row number, 0 or more\n")
        return
    with monitor.lock:
        body = monitor.ring.page(int(given))
    await _send(send, 200, b"application/json", body)


async def _send(send: Send, status: int, content_type: bytes, body: bytes) -> None:
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
