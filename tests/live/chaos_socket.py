"""HAProxy's runtime API as the controllers reach it: every write is taken down on its way.

The controllers know this socket alone. A line that sets something waits a little before it goes on
and its answer waits as well, so that what is killed meanwhile is killed in the middle of a write;
what has arrived goes on to HAProxy also when whoever sent it is gone. Beside it HAProxy itself is
asked, five times a second, how its servers stand: that is the world's own word.
"""

import random
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from chaos_files import BACKEND

from homeostat.adapters.actuators._haproxy_socket import Server, servers, value, variable

PLANTED: Final = "d-999999"
_BEFORE_S: Final = 0.15
_AFTER_S: Final = 0.25
_LOOK_S: Final = 0.2
_WAIT_S: Final = 30.0  # longer than anything is stopped
_SET: Final = re.compile(rf"set server {BACKEND}/(\S+) (state|weight) (\w+)")
_STAMP: Final = re.compile(r"set var \S+ str\(([^|)]*)\|(\d+)\|")


@dataclass(slots=True, kw_only=True)
class Sent:
    """One line that sets something, as it came.

    Attributes:
        at: When it came, nanoseconds of the wall clock.
        intent: Whose it says it is; empty for a person.
        epoch: Of which controller, 0 for a person.
        drained: By server: 1 out of rotation, 0 back.
        weights: By server.
        landed: Whether HAProxy came to its end; None while, or if ever, nobody knows.
        done_at: When HAProxy had answered, 0 if it did not.
    """

    at: int
    intent: str
    epoch: int
    drained: Mapping[str, int]
    weights: Mapping[str, int]
    landed: bool | None = None
    done_at: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """How HAProxy's servers stood at a time; without servers it did not answer."""

    at: int
    servers: Mapping[str, Server]


@dataclass(slots=True)
class Runtime:
    """The socket in between.

    Args:
        admin: HAProxy's own.
        path: The one that controllers are told.
        chance: Draws the delays.
    """

    admin: Path
    path: Path
    chance: random.Random
    sent: list[Sent] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    _ending: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator["Runtime"]:
        """Listen and look until the block ends."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path))
        listener.listen(64)
        for work in (lambda: self._accept(listener), self._watch):
            threading.Thread(target=work, daemon=True).start()
        try:
            yield self
        finally:
            self._ending.set()
            listener.close()

    def person(self, line: str) -> None:
        """Do something by hand, past the controllers."""
        one = _understood(line, time.time_ns())
        self.sent.append(one)
        with suppress(OSError):
            self._pass(line.encode() + b"\n")
            one.landed, one.done_at = True, time.time_ns()

    def plant(self, server: str) -> None:
        """Take a server out as a controller does, with a stamp of an intent that nobody has."""
        name = variable(BACKEND)
        stamp = f"experimental-mode on; set var {name} str({PLANTED}.0.0|1|planted)"
        line = f"set server {BACKEND}/{server} state drain; {stamp}; get var {name}\n"
        with socket.socket(socket.AF_UNIX) as wire:
            wire.settimeout(_WAIT_S)
            wire.connect(str(self.path))
            wire.sendall(line.encode())
            wire.recv(65_536)

    def last(self) -> Look | None:
        """Return the last look that HAProxy answered."""
        return next((look for look in reversed(self.looks) if look.servers), None)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            client.settimeout(_WAIT_S)
            line = b""
            while not line.endswith(b"\n"):
                chunk = client.recv(65_536)
                if not chunk:
                    return  # HAProxy runs nothing of a line without its end
                line += chunk
            if b"set " not in line:
                client.sendall(self._pass(line))
                return
            one = _understood(line.decode(), time.time_ns())
            self.sent.append(one)
            time.sleep(self.chance.uniform(0.0, _BEFORE_S))
            answer = self._pass(line)
            one.done_at = time.time_ns()
            one.landed = (value(answer.decode(errors="replace")) or "").startswith(f"{one.intent}|")
            time.sleep(self.chance.uniform(0.0, _AFTER_S))
            client.sendall(answer)

    def _pass(self, line: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as wire:
            wire.settimeout(_WAIT_S)
            wire.connect(str(self.admin))
            wire.sendall(line)
            answer = b""
            while chunk := wire.recv(65_536):
                answer += chunk
        return answer

    def _watch(self) -> None:
        while not self._ending.wait(_LOOK_S):
            found: Mapping[str, Server] = {}
            with suppress(OSError, ValueError):
                answer = self._pass(f"show servers state {BACKEND}\n".encode()).decode()
                found = {one.name: one for one in servers(answer, BACKEND)}
            self.looks.append(Look(time.time_ns(), found))


def _understood(line: str, at: int) -> Sent:
    said = _SET.findall(line)
    stamp = _STAMP.search(line)
    return Sent(
        at=at,
        intent="" if stamp is None else stamp[1],
        epoch=0 if stamp is None else int(stamp[2]),
        drained={name: int(to == "drain") for name, what, to in said if what == "state"},
        weights={name: int(to) for name, what, to in said if what == "weight"},
    )
