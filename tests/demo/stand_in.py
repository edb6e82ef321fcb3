"""A model server with the real one's HTTP paths and no model, for tests of the host alone.

What it can do that the real one does not: fail to start, be slow to answer, refuse to drain.
"""

import asyncio
import json
from typing import Any

import uvicorn

from homeostat.demo.server_settings import ServerSettings


class StandIn:
    """A raw ASGI application."""

    def __init__(self, settings: ServerSettings) -> None:
        self.state: dict[str, Any] = {
            "name": settings.name,
            "pool": settings.pool,
            "version": settings.version,
            "inflight": 0,
            "queue": 0,
            "draining": False,
            "settings": {"batch_max": settings.batch_max},
        }
        self.artefacts = settings.artefacts
        self.lag_s = 0.02
        self.hoard = bytearray()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        status, answer = await self.answer(scope["path"], body)
        headers = [
            (b"content-type", b"application/json"),
            (b"x-replica", self.state["name"].encode()),
            (b"x-version", str(self.state["version"]).encode()),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    async def answer(self, path: str, body: bytes) -> tuple[int, Any]:
        state = self.state
        match path:
            case "/v2/health/live" | "/v2":
                return 200, {}
            case "/v2/health/ready":
                return (200 if state["version"] and not state["draining"] else 503), {}
            case "/admin/state":
                return 200, state
            case "/admin/name":
                state.update(json.loads(body))
            case "/admin/settings":
                state["settings"].update(json.loads(body))
            case "/admin/drain":
                state["draining"] = True
            case "/admin/version":
                return await self.load(json.loads(body)["version"])
            case "/test/lag":
                self.lag_s = json.loads(body)["lag_s"]
            case "/test/hoard":
                self.hoard = bytearray(b"x" * (json.loads(body)["mb"] << 20))
            case _:
                return await self.infer()
        return 200, state

    async def load(self, version: str) -> tuple[int, Any]:
        manifest = json.loads((self.artefacts / version / "manifest.json").read_text())
        if manifest.get("bad"):
            return 422, {"error": "the digest does not match"}
        self.state["version"] = version
        return 200, self.state

    async def infer(self) -> tuple[int, Any]:
        self.state["inflight"] += 1
        try:
            await asyncio.sleep(self.lag_s)
        finally:
            self.state["inflight"] -= 1
        return 200, {"version": self.state["version"]}


def serve(settings: ServerSettings) -> None:
    uvicorn.run(
        StandIn(settings),
        host="127.0.0.1",
        port=settings.port,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=75,
    )
