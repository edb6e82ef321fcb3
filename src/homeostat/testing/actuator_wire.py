"""A wire between an actuator and its target that loses, mutes, cuts or garbles what passes.

A TCP relay that tells reads from writes by the first word of a request: of HTTP/1.1 (GET, HEAD)
unless another `Speech` says how. It knows nothing of the target, so that every actuator meets the
same failures.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

_CHUNK: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """A protocol, as far as the wire must understand it.

    Attributes:
        head: Bytes that the first chunk of every request holds, and no other.
        reads: How requests begin that change nothing.
        babble: An answer that looks right and says nothing.
    """

    head: bytes
    reads: tuple[bytes, ...]
    babble: bytes


HTTP: Final = Speech(
    head=b" HTTP/1.1\r\n",
    reads=(b"GET ", b"HEAD "),
    babble=b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello",
)


class Fault(StrEnum):
    """What the wire does. The last word of a name says to which requests."""

    NONE = "none"
    LOSE_WRITES = "lose_writes"  # the request is swallowed, no answer ever comes
    MUTE_WRITES = "mute_writes"  # the request arrives, its answer does not
    CUT_WRITES = "cut_writes"  # the connection is closed instead of forwarding the request
    CUT_WRITE_ANSWERS = "cut_write_answers"  # the request arrives, then the connection is closed
    BABBLE_WRITES = "babble_writes"  # 200 and five letters, without asking the target
    HALVE_WRITES = "halve_writes"  # half of what is sent arrives, then the connection is closed
    LOSE_READS = "lose_reads"
    BABBLE_READS = "babble_reads"


_ON_WRITES: Final = frozenset({
    Fault.LOSE_WRITES,
    Fault.MUTE_WRITES,
    Fault.CUT_WRITES,
    Fault.CUT_WRITE_ANSWERS,
    Fault.BABBLE_WRITES,
    Fault.HALVE_WRITES,
})
_ARRIVES: Final = frozenset({Fault.NONE, Fault.MUTE_WRITES, Fault.CUT_WRITE_ANSWERS})


class Wire:
    """The relay: `async with Wire(host, port) as wire`; use `wire.url`, set `wire.fault`."""

    def __init__(self, host: str, port: int, speech: Speech = HTTP) -> None:
        self.fault = Fault.NONE
        self._speech = speech
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self.url = ""

    async def __aenter__(self) -> Self:
        """Start listening on a free port of loopback."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._relay(reader, writer)
        writer.close()
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await writer.wait_closed()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target_reader, target_writer = await asyncio.open_connection(*self._target)
        answers: asyncio.Task[None] | None = None
        fault = Fault.NONE
        try:
            while data := await reader.read(_CHUNK):
                fault = self._fault_on(data, fault)
                if fault in _ARRIVES:
                    target_writer.write(data)
                    await target_writer.drain()
                if fault is Fault.HALVE_WRITES:
                    target_writer.write(data[: len(data) // 2])
                    await target_writer.drain()
                    return
                if fault is Fault.NONE and answers is None:
                    answers = asyncio.create_task(_pump(target_reader, writer))
                if fault is Fault.CUT_WRITE_ANSWERS:
                    await target_reader.read(_CHUNK)  # the target has answered: it has landed
                if fault in {Fault.CUT_WRITES, Fault.CUT_WRITE_ANSWERS}:
                    return
                if fault in {Fault.BABBLE_READS, Fault.BABBLE_WRITES}:
                    writer.write(self._speech.babble)
                    await writer.drain()
                    return
        finally:
            target_writer.close()  # first: this task may be cancelled while it waits below
            if answers is not None:
                answers.cancel()
                await asyncio.gather(answers, return_exceptions=True)
            with contextlib.suppress(OSError):
                await target_writer.wait_closed()

    def _fault_on(self, data: bytes, before: Fault) -> Fault:
        """Return the fault that a chunk meets; the rest of a request shares that of its head."""
        if self._speech.head not in data:
            return before
        is_write = not data.startswith(self._speech.reads)
        applies = is_write == (self.fault in _ON_WRITES)
        return self.fault if applies else Fault.NONE


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        writer.close()
