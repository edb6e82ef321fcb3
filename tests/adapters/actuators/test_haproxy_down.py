"""Why a server that HAProxy calls down is not drained: shown on the real one.

The words for it are in docs/how-to/connect-haproxy.md.
"""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

import pytest
from haproxy_server import Haproxy, running_haproxy
from typing_extensions import override

from homeostat.adapters.actuators.haproxy import HaproxyConfig, build
from homeostat.base.units import TimeNs
from homeostat.base.world import ReplicaState

_ROUNDS: Final = 6
_NOTHING_S: Final = 0.1
pytestmark = pytest.mark.live


class _Well(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def one_hangs(folder: Path) -> Iterator[tuple[Haproxy, socket.socket]]:
    """Yield a HAProxy over `a-1`, whose listener is yielded too, and `a-2`, which answers."""
    with (
        socket.create_server(("127.0.0.1", 0)) as hangs,
        ThreadingHTTPServer(("127.0.0.1", 0), _Well) as well,
    ):
        threading.Thread(target=well.serve_forever, args=(0.02,), daemon=True).start()
        hangs.settimeout(5.0)
        ports = {"a-1": (hangs.getsockname()[1], 9), "a-2": (well.server_port, 9)}
        try:
            with running_haproxy(folder, ports) as proxy:
                yield proxy, hangs
        finally:
            well.shutdown()


def held_by(proxy: Haproxy, hangs: socket.socket, user: socket.socket) -> socket.socket:
    """Send one request to `a-1` and return its end of it."""
    proxy.say("set server model/a-2 state maint")
    user.sendall(b"GET / HTTP/1.1\r\nhost: users\r\n\r\n")
    held, _ = hangs.accept()
    held.settimeout(5.0)
    assert held.recv(100).startswith(b"GET /")
    proxy.say("set server model/a-2 state ready")
    return held


def states(proxy: Haproxy) -> dict[str, ReplicaState]:
    pools = {"a": ("a-*",)}
    place = HaproxyConfig(socket=proxy.socket, backend="model", pools=pools, stable="a")
    world = asyncio.run(build(place).read("m", TimeNs(1)))
    return {one.name: one.state for one in world.replicas}


def test_it_gets_nothing_new_and_a_drain_frees_nothing_that_it_holds(tmp_path: Path) -> None:
    with (
        one_hangs(tmp_path) as (proxy, hangs),
        socket.create_connection(("127.0.0.1", proxy.front)) as user,
        held_by(proxy, hangs, user) as held,
    ):
        proxy.say("set server model/a-1 health down")
        assert states(proxy) == {"a-1": ReplicaState.GONE, "a-2": ReplicaState.READY}
        for _ in range(_ROUNDS):
            urlopen(f"http://127.0.0.1:{proxy.front}/").close()  # raises unless it is well
        hangs.settimeout(_NOTHING_S)
        with pytest.raises(TimeoutError):
            hangs.accept()
        proxy.say("set server model/a-1 state drain")
        held.settimeout(_NOTHING_S)
        with pytest.raises(TimeoutError):  # open still: else it would read the end
            held.recv(1)
