"""HAProxy's runtime API: one line of commands there, one text back, over a UNIX or a TCP socket.

A line may hold several commands; HAProxy runs none of them before it has seen the end of the line,
and closes the connection when it has answered all. Known here are the servers of one backend
(`show servers state`, HAProxy 2.6's management guide, 9.3) and one variable of the process.
"""

import asyncio
import contextlib
import hashlib
import re
import socket
from dataclasses import dataclass
from typing import Final

from homeostat.adapters._address import refusal

_ANSWER_MAX: Final = 4 << 20  # bytes; some 30,000 servers
_LINE_MAX: Final = 15_000  # bytes; HAProxy's buffer is 16 KiB less what it keeps to itself
_VALUE: Final = re.compile(r"^proc\.\w+: type=str value=<(.*)>$", re.MULTILINE)
NO_VALUE: Final = "Variable not found."
_COLUMNS: Final = ("srv_name", "srv_addr", "srv_port", "srv_op_state", "srv_admin_state")
_WEIGHTS: Final = ("srv_uweight", "srv_iweight")
NAME: Final = re.compile(r"[A-Za-z0-9_.:\-]{1,200}")  # what HAProxy lets a name be made of
WEIGHT_MAX: Final = 256

# srv_admin_state: 0x01 maintenance by the runtime API, 0x02 by another server that this one
# tracks, 0x04 by the configuration, 0x08 and 0x10 drain likewise, 0x20 no address, 0x40 no name.
_BY_COMMAND: Final = 0x01 | 0x08
_MAINTENANCE: Final = 0x01 | 0x02 | 0x04 | 0x20 | 0x40
_DRAIN: Final = 0x08 | 0x10
_OP_STOPPED, _OP_STARTING, _OP_STOPPING = 0, 1, 3


class SocketError(Exception):
    """The runtime API gave no answer, or one that makes no sense.

    Attributes:
        sent: The line may have reached HAProxy.
    """

    def __init__(self, detail: str, *, sent: bool) -> None:
        super().__init__(detail)
        self.sent = sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server of a backend.

    Attributes:
        name: Its name in the configuration.
        address: `host:port`, None if it has none.
        weight: Its weight now, 0..256.
        first: Its weight in the configuration, 0..256.
        op: What it does: 0 stopped, 1 starting, 2 running, 3 stopping.
        admin: What it was told to do, in bits.
    """

    name: str
    address: str | None
    weight: int
    first: int
    op: int
    admin: int

    @property
    def is_out(self) -> bool:
        """Whether it was told to take no new requests."""
        return bool(self.admin & (_MAINTENANCE | _DRAIN))

    @property
    def in_maintenance(self) -> bool:
        """Whether somebody, or HAProxy itself, took it out altogether."""
        return bool(self.admin & _MAINTENANCE)

    @property
    def by_command(self) -> int:
        """What it was told at run time, in bits: what changes by itself is not in it."""
        return self.admin & _BY_COMMAND

    @property
    def is_starting(self) -> bool:
        """Whether it is warming up."""
        return self.op == _OP_STARTING

    @property
    def is_down(self) -> bool:
        """Whether its health check says that it does not serve."""
        return self.op == _OP_STOPPED

    @property
    def is_stopping(self) -> bool:
        """Whether its health check says that it wants to leave."""
        return self.op == _OP_STOPPING


def variable(backend: str) -> str:
    """Return the name of the variable that holds a backend's stamp.

    >>> variable("chat")
    'proc.homeostat_31e06f7d'
    """
    return f"proc.homeostat_{hashlib.sha256(backend.encode()).hexdigest()[:8]}"


async def ask(place: str, line: str) -> str:
    """Send one line of commands and return all that HAProxy says.

    Args:
        place: A path, or HOST:PORT.
        line: Commands, parted by `; `.

    Raises:
        SocketError: It could not be sent, or no whole answer came.
    """
    if len(line) > _LINE_MAX:
        raise SocketError(f"{len(line)} bytes of commands are more than HAProxy takes", sent=False)
    try:
        reader, writer = await _open(place)
    except OSError as error:
        raise SocketError(str(error) or type(error).__name__, sent=False) from error
    try:
        writer.write(line.encode("ascii") + b"\n")
        await writer.drain()
        answer = await _whole(reader)
    except OSError as error:
        raise SocketError(str(error) or type(error).__name__, sent=True) from error
    finally:
        writer.transport.abort()  # what could not be sent by now must not go later
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return answer


async def _whole(reader: asyncio.StreamReader) -> str:
    answer = bytearray()
    while chunk := await reader.read(65_536):
        answer += chunk
        if len(answer) > _ANSWER_MAX:
            raise SocketError(f"an answer of more than {_ANSWER_MAX} bytes", sent=True)
    if not answer.endswith(b"\n"):
        raise SocketError(f"the answer broke off: {bytes(answer[-80:])!r}", sent=True)
    return answer.decode("utf-8", errors="replace")


async def _open(place: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if place.startswith("/"):
        return await asyncio.open_unix_connection(place)
    host, _, port = place.rpartition(":")
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{host!r} does not resolve: {error}") from error
    address = str(found[0][4][0])
    for *_, sockaddr in found:
        if why := refusal(str(sockaddr[0]), allowed=True):
            raise OSError(f"{host} is refused: {why}")
    return await asyncio.open_connection(address, int(port))


def servers(answer: str, backend: str) -> tuple[Server, ...]:
    """Return a backend's servers from an answer to `show servers state BACKEND`, by name.

    Raises:
        ValueError: It is no such answer; the message quotes what it is.
    """
    lines = iter(answer.splitlines())
    header = next((line for line in lines if line.startswith("# be_id ")), None)
    if header is None:
        raise ValueError(f"no servers of backend {backend!r}: {answer.strip()[:200]!r}")
    columns = header[2:].split()
    missing = {"be_name", *_COLUMNS, *_WEIGHTS} - set(columns)
    if missing:
        raise ValueError(f"`show servers state` lacks {', '.join(sorted(missing))}")
    found = []
    for line in lines:
        if not line.strip():
            break
        cells = line.split()
        if len(cells) != len(columns):
            raise ValueError(f"{len(cells)} cells under {len(columns)} columns: {line[:200]!r}")
        row = dict(zip(columns, cells, strict=True))
        if row["be_name"] != backend:
            raise ValueError(f"asked for backend {backend!r}, told of {row['be_name']!r}")
        found.append(_server(row))
    if not found:
        raise ValueError(f"backend {backend!r} has no servers")
    return tuple(sorted(found, key=lambda one: one.name))


def _server(row: dict[str, str]) -> Server:
    if not NAME.fullmatch(row["srv_name"]):
        raise ValueError(f"a server called {row['srv_name'][:80]!r}")
    now, first = (_number(row, column, WEIGHT_MAX) for column in _WEIGHTS)
    return Server(
        name=row["srv_name"],
        address=_address(row["srv_addr"], _number(row, "srv_port", 65_535)),
        weight=now,
        first=first,
        op=_number(row, "srv_op_state", _OP_STOPPING),
        admin=_number(row, "srv_admin_state", 0xFFFF),
    )


def _address(host: str, port: int) -> str | None:
    if host == "-" or port == 0:
        return None
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _number(row: dict[str, str], column: str, high: int) -> int:
    text = row[column]
    if not (text.isascii() and text.isdecimal() and int(text) <= high):
        raise ValueError(f"server {row['srv_name'][:80]!r}: {column} is {text[:80]!r}")
    return int(text)


def value(answer: str) -> str | None:
    """Return the stamp from an answer that ends with one to `get var`, empty if there is none.

    None means that the answer does not come to that: it broke off, or is something else.
    """
    found = _VALUE.findall(answer)
    if found:
        return str(found[-1])
    return "" if NO_VALUE in answer else None
