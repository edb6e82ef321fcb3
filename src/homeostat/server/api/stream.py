"""Server-Sent Events: the view's changes, live, resumable, in bounded memory.

A stream holds no queue, only its position in the view's bounded feed. A client too slow for the
feed, or one that does not take a chunk within ten seconds, is cut off; it reconnects with
`Last-Event-ID`. When that position is gone (or from another run) it gets `reset`: read again.
"""

import asyncio
import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from homeostat.base.types import TimeNs
from homeostat.base.units import SECOND
from homeostat.server.view import View
from homeostat.server.view_feed import Change

STREAMS: Final = 64
"""Open streams at once: each is one connection, and browsers open one a tab."""

BEAT_SECONDS: Final = 2.0
"""A page that hears nothing for longer than a few of these knows that it shows old data."""

SEND_SECONDS: Final = 10.0
CHUNK: Final = 256
"""Changes a chunk: bounds what one client can make us hold."""

CURSOR = re.compile(r"([0-9a-f]{8})-([0-9]{1,15})")


class Streams:
    """All open streams of one server."""

    def __init__(self, view: View, clock: Callable[[], TimeNs]) -> None:
        self.view, self.clock = view, clock
        self.instance = secrets.token_hex(4)
        self.closing = False
        self._open: set[asyncio.Event] = set()

    @property
    def count(self) -> int:
        """How many streams are open."""
        return len(self._open)

    def cursor(self, version: int | None = None) -> str:
        """Return the position after a version (the latest by default), as an event id."""
        return f"{self.instance}-{self.view.version if version is None else version}"

    def position(self, cursor: str) -> int | None:
        """Return the version an event id stands for; None when it is not of this run."""
        match = CURSOR.fullmatch(cursor)
        if match is None or match.group(1) != self.instance:
            return None
        return int(match.group(2))

    def join(self, wake: asyncio.Event) -> Callable[[], None]:
        """Wake this stream on every change; returns the function that ends it."""
        stop = self.view.watch(wake.set)
        self._open.add(wake)

        def leave() -> None:
            stop()
            self._open.discard(wake)

        return leave

    def close(self) -> None:
        """End every stream: the server is stopping."""
        self.closing = True
        for wake in self._open:
            wake.set()


class EventStream(Response):
    """One client's stream.

    Args:
        streams: The server's streams.
        after: Where the client stands, None when that is unknown.
        deployment: Only this deployment's changes (and the fleet's); empty for all.
        kinds: Only these kinds; empty for all.
        may: Whether whoever reads it still may; asked before each piece.
    """

    def __init__(
        self,
        streams: Streams,
        *,
        after: int | None,
        deployment: str,
        kinds: frozenset[str],
        may: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__()
        self._may = may
        self._streams, self._after = streams, after
        self._deployment, self._kinds = deployment, kinds

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the client goes, falls behind, or the server stops."""
        wake = asyncio.Event()
        leave = self._streams.join(wake)
        gone = asyncio.create_task(_disconnected(receive, wake))
        with suppress(TimeoutError, OSError):  # a client that does not read is cut off
            try:
                await self._start(send)
                await self._follow(send, wake, gone)
            finally:
                leave()
                gone.cancel()

    async def _start(self, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def _follow(self, send: Send, wake: asyncio.Event, gone: asyncio.Task[None]) -> None:
        view = self._streams.view
        lead = "retry: 1000\n\n"
        position = self._after if self._after is not None else -1
        if view.changes(position) is None:
            position = view.version
            lead += _event("reset", {"cursor": self._streams.cursor()}, self._streams.cursor())
        await self._send(send, lead + self._beat())
        while not (gone.done() or self._streams.closing) and self._may():
            wake.clear()
            changes = view.changes(position)
            if changes is None:
                break  # too slow for the feed: cut off
            batch = changes[:CHUNK]
            text = self._text(batch)
            position += len(batch)
            if text:
                await self._send(send, text)
            if len(batch) == len(changes) and not await _woken(wake):
                await self._send(send, self._beat())
        await self._send(send, "", more=False)

    async def _send(self, send: Send, text: str, *, more: bool = True) -> None:
        async with asyncio.timeout(SEND_SECONDS):
            await send({"type": "http.response.body", "body": text.encode(), "more_body": more})

    def _text(self, changes: Sequence[Change]) -> str:
        return "".join(
            f"id: {self._streams.cursor(c.version)}\nevent: {c.kind}\ndata: {c.data}\n\n"
            for c in changes
            if (not self._deployment or c.deployment in {"", self._deployment})
            and (not self._kinds or c.kind in self._kinds)
        )

    def _beat(self) -> str:
        now = round(self._streams.clock() / SECOND, 3)
        return _event("beat", {"at": now, "version": self._streams.view.version})


async def _woken(wake: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(BEAT_SECONDS):
            return await wake.wait()
    except TimeoutError:
        return False


async def _disconnected(receive: Receive, wake: asyncio.Event) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    wake.set()


def _event(kind: str, data: Mapping[str, object], cursor: str = "") -> str:
    head = f"id: {cursor}\n" if cursor else ""
    return f"{head}event: {kind}\ndata: {json.dumps(data)}\n\n"
