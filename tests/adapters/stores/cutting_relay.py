"""A relay before PostgreSQL's socket that cuts a connection at its COMMIT, before or after."""

import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Literal

Cut = Literal["before", "after"]
PORT_NAME = ".s.PGSQL.5432"


class Relay:
    """Relays every connection to the server; `cut` is obeyed once.

    Args:
        folder: Where its socket lies; short, as sockets' names are.
        server: The folder of the server's socket.
    """

    def __init__(self, folder: Path, server: Path) -> None:
        self.cut: Cut | None = None
        self.then_down = False
        """Refuse connections once it was cut, until it is set back."""
        self._down = False
        self.folder = folder
        self._path, self._server = folder / PORT_NAME, server / PORT_NAME
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen()
        self._open: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def up(self) -> None:
        """Relay again."""
        self._down = False

    def close(self) -> None:
        """End every connection."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            _end(one)
        self._accepting.join(timeout=10)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._down:
                client.close()
                continue
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self._server))
            self._open += [client, server]
            threading.Thread(target=self._to_server, args=(client, server), daemon=True).start()
            threading.Thread(target=_pump, args=(server, client), daemon=True).start()

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        while data := _received(client):
            cut = self.cut if b"COMMIT" in data else None
            if cut is not None:
                self.cut, self._down = None, self.then_down
                _end(client, close=False)  # first: no answer may get through
            if cut != "before":
                with suppress(OSError):
                    server.sendall(data)
            if cut is not None:
                break
        with suppress(OSError):
            server.shutdown(socket.SHUT_WR)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    while data := _received(source):
        with suppress(OSError):
            sink.sendall(data)
    _end(sink)
    _end(source)


def _received(one: socket.socket) -> bytes:
    try:
        return one.recv(65536)
    except OSError:
        return b""


def _end(one: socket.socket, *, close: bool = True) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    if close:
        one.close()
