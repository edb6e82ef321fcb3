"""Serves the application inside the controller's own event loop, on loopback unless told so.

Not a process manager: signals stay with the caller. The socket is bound before anything starts,
so that a port in use is an error at the start with a fix, not a log line later.
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Generator
from typing import Final

import uvicorn
from fastapi import FastAPI
from typing_extensions import override

from homeostat.base.errors import ConfigError
from homeostat.server.address import listening

GRACE_SECONDS: Final = 2
"""How long a stop waits for requests in flight; event streams are ended at once."""

CONNECTIONS: Final = 256


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers: the controller has its own."""

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@contextlib.asynccontextmanager
async def serve_app(
    app: FastAPI, host: str = "127.0.0.1", port: int = 0, *, allow_remote: bool = False
) -> AsyncIterator[str]:
    """Serve the app while the block runs; yields its address, `http://HOST:PORT`.

    Args:
        app: What `create_app` returned.
        host: An address of this machine (or `localhost`).
        port: 0 for any free one.
        allow_remote: Permit an address that other machines can reach.

    Raises:
        ConfigError: The address is not loopback and that was not permitted, is not of this
            machine, or the port is in use.
    """
    listener = _listen(_address(host, allow_remote=allow_remote), port)
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    try:
        while not server.started:
            if task.done():
                await task
                raise ConfigError("the HTTP server ended before it had started; see its log")
            await asyncio.sleep(0.01)
        yield _url(listener)
    finally:
        if hasattr(app.state, "streams"):
            app.state.streams.close()
        server.should_exit = True
        await asyncio.shield(task)
        listener.close()


def _address(host: str, *, allow_remote: bool) -> str:
    try:
        return listening(host, allow_remote=allow_remote)
    except ValueError as error:
        raise ConfigError(f"spec.api.host: {error}") from error


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
        listener.setblocking(False)
    except (OSError, OverflowError) as error:
        listener.close()
        number = error.errno if isinstance(error, OSError) else None
        if number == errno.EADDRINUSE:
            fix = (
                f"port {port} is in use by another program: set another under spec.api.port "
                "of the Controller document, or 0 for any free one"
            )
        elif number in {errno.EACCES, errno.EPERM}:
            fix = f"port {port} needs privileges: set one above 1023 under spec.api.port"
        elif number == errno.EADDRNOTAVAIL:
            fix = f"{host} is no address of this machine: use 127.0.0.1"
        else:
            fix = f"the port must be 0..65535 and the address one of this machine ({error})"
        raise ConfigError(f"cannot serve on {host}:{port}: {fix}") from error
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
