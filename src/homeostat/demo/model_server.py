"""A model server process: one replica behind uvicorn, from its start to its graceful end.

`serve` blocks until SIGTERM or SIGINT. Then the server says that it is not ready, answers what it
holds and what still arrives (with `Connection: close`), and ends with exit code 0 when it has been
quiet for a moment. Importing this module starts nothing, so that a fork server may preload it.
"""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Iterator
from typing import Final

import sklearn
import uvicorn
import uvloop
from typing_extensions import override

from homeostat.base.errors import ConfigError
from homeostat.demo.replica import Replica
from homeostat.demo.server_app import UNCOUNTED, ServerApp
from homeostat.demo.server_settings import ServerSettings
from homeostat_instrument import Middleware

_log = logging.getLogger(__name__)
_BACKLOG: Final = 1_024
# Long enough for a proxy that was told a moment ago to have sent what it had decided to send.
_QUIET_S: Final = 0.3
_KEEP_ALIVE_S: Final = 75  # longer than a proxy's reuse of an idle connection in practice


def serve(settings: ServerSettings) -> None:
    """Serve one replica until SIGTERM or SIGINT; returns after a graceful end.

    Raises:
        ConfigError: The port is taken.
        ArtefactError: The version that was asked for is refused.
    """
    _forget_parent()
    sklearn.set_config(assume_finite=True)  # the app has checked; half the time of a small batch
    listener = _listen(settings.port)
    with contextlib.closing(listener), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, listener))


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: this process drains before it stops."""

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


async def _serve(settings: ServerSettings, listener: socket.socket) -> None:
    replica = Replica(settings)
    app = ServerApp(replica)
    config = uvicorn.Config(
        Middleware(app, replica.monitor, uncounted=UNCOUNTED),
        loop="none",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(settings.drain_timeout_s)),
    )
    server = _Server(config)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, stop.set)
    async with asyncio.TaskGroup() as tasks:
        helpers = [
            tasks.create_task(replica.batcher.serve(), name="batcher"),
            tasks.create_task(replica.chaos.leak(), name="chaos"),
        ]
        serving = tasks.create_task(server.serve(sockets=[listener]), name="http")
        await stop.wait()
        replica.draining = app.closing = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(settings.drain_timeout_s):
                await app.idle_for(_QUIET_S)
        server.should_exit = True
        await serving
        for helper in helpers:
            helper.cancel()


def _forget_parent() -> None:
    """Undo what a forked process inherits of its parent's signal handling."""
    signal.set_wakeup_fd(-1)
    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(sig, signal.SIG_DFL)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"model server: cannot listen on 127.0.0.1:{port} ({error.strerror}); "
            "end what listens there or choose another port"
        ) from error
    listener.setblocking(False)
    return listener
