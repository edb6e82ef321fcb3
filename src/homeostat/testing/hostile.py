"""A server that answers whatever bytes a test wants: real sockets on loopback, no mocks.

For testing sources, actuators and notifiers against HTML, bombs, trickles, resets and silence.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Respond = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
"""Gets a whole request (head and body) and writes whatever it likes."""


@dataclass
class HostileServer:
    """What the server saw.

    Attributes:
        port: Where it listens.
        requests: Whole requests, oldest first.
        connections: How many were opened.
    """

    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    def url(self, path: str = "") -> str:
        """Return its address with a path."""
        return f"http://127.0.0.1:{self.port}{path}"


@asynccontextmanager
async def hostile_server(respond: Respond) -> AsyncIterator[HostileServer]:
    """Serve `respond` on a free loopback port until the block ends."""
    server = HostileServer()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        try:
            while True:
                request = await _request(reader)
                server.requests.append(request)
                await respond(request, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            pass  # the client went away, or the block ended
        finally:
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        await listener.wait_closed()
        await asyncio.sleep(0)  # who was accepted at the last moment begins to be served now
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _request(reader: asyncio.StreamReader) -> bytes:
    request = await reader.readuntil(b"\r\n\r\n")
    for line in request.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            request += await reader.readexactly(int(line.split(b":")[1]))
    return request


def response(
    body: bytes, *, status: int = 200, content_type: str = "text/plain", extra: str = ""
) -> bytes:
    """Return a whole HTTP/1.1 response; `extra` is further head lines, each ending in CRLF."""
    head = (
        f"HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\n"
        f"content-length: {len(body)}\r\n{extra}\r\n"
    )
    return head.encode() + body


def always(answer: bytes) -> Respond:
    """Return a `Respond` that always answers these bytes."""

    async def respond(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    return respond


async def never(_request: bytes, _writer: asyncio.StreamWriter) -> None:
    """Take the request and say nothing, for longer than any test waits."""
    await asyncio.sleep(3600.0)
