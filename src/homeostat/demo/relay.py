"""The metrics relay: where the controller scrapes, and where a metrics outage is made.

Plays the exporter or federation hop that stands between most model servers and their monitoring.
Passes each page through unchanged, or breaks all of them: an error status, frozen pages, zeros,
or an HTML page. Requests to the model never pass here.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2

MODES = ("ok", "error", "frozen", "zeros", "html")
_VALUE = re.compile(rb"^([^#\s][^\s{]*(?:\{.*\})?\s+)(\S+)", re.MULTILINE)
# Of Envoy's thousand series; unused ones too, for a counter of zero is not an absent one.
_STATS = r"^(cluster\.[ab]\.|http\.|server\.(live|uptime))"
_HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Relay:
    """One relay in front of the host's servers and Envoy's statistics.

    Args:
        host_url: URL of the process host, which knows the servers' ports.
        envoy_admin: URL of Envoy's admin page.
    """

    def __init__(self, host_url: str, envoy_admin: str) -> None:
        self.mode = "ok"
        self._host, self._envoy = host_url, envoy_admin
        self._last: dict[str, bytes] = {}
        self._client = httpx2.AsyncClient(timeout=2.0)

    async def __call__(self, scope: Scope, _receive: Any, send: Send) -> None:
        """Serve one request: `GET /pages/envoy`, `GET /pages/SLOT`, `POST /mode/MODE`."""
        if scope["type"] != "http":
            return
        path = scope["path"]
        if scope["method"] == "POST" and path.startswith("/mode/"):
            self.mode = path.removeprefix("/mode/")
            known = self.mode in MODES
            self.mode = self.mode if known else "ok"
            await _answer(send, 200 if known else 422, self.mode.encode(), b"text/plain")
        elif path.startswith("/pages/"):
            await self._page(path.removeprefix("/pages/"), send)
        else:
            await _answer(send, 404, b"no such page", b"text/plain")

    async def _page(self, name: str, send: Send) -> None:
        if self.mode == "error":
            await _answer(send, 503, b"metrics are unavailable", b"text/plain")
        elif self.mode == "html":
            await _answer(send, 200, _HTML, b"text/html")
        elif self.mode == "frozen" and name in self._last:
            await _answer(send, 200, self._last[name])
        else:
            await self._fresh(name, send)

    async def _fresh(self, name: str, send: Send) -> None:
        try:
            url = await self._url(name)
            if url is None:
                await _answer(send, 404, f"no replica {name!r}".encode(), b"text/plain")
                return
            answer = await self._client.get(url)
        except (httpx2.HTTPError, ValueError, KeyError) as error:
            await _answer(send, 504, repr(error).encode(), b"text/plain")
            return
        body = answer.content
        self._last[name] = body
        if self.mode == "zeros":
            body = _VALUE.sub(rb"\g<1>0", body)
        await _answer(send, answer.status_code, body)

    async def _url(self, name: str) -> str | None:
        if name == "envoy":
            return f"{self._envoy}/stats/prometheus?filter={_STATS}"
        state = (await self._client.get(f"{self._host}/v1/state")).json()
        port = next((slot["port"] for slot in state["slots"] if slot["name"] == name), None)
        return None if port is None else f"http://127.0.0.1:{port}/metrics"


async def _answer(
    send: Send, status: int, body: bytes, kind: bytes = b"text/plain; version=0.0.4"
) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main(port: int, host_url: str, envoy_admin: str) -> None:
    """Serve on loopback until SIGTERM."""
    import uvicorn  # noqa: PLC0415 - only the relay's own process needs it

    config = uvicorn.Config(
        Relay(host_url, envoy_admin),
        port=port,
        log_level="warning",
        access_log=False,
        lifespan="off",
    )
    asyncio.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    import sys

    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
