"""The process host: starts, replaces and ends model servers as its state document says.

The kubelet and the endpoints controller of the local deployment, in one process. It carries out
changes of levers and keeps warm spares; it decides nothing and heals nothing: a dead or hung
replica stays as it is, in rotation, until somebody raises its incarnation.

Run it as `python -m homeostat.demo.host --config FILE.json`.
"""

import argparse
import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import httpx2
import uvicorn
from typing_extensions import override

from homeostat.base import names
from homeostat.base.errors import ConfigError
from homeostat.base.world import Scalar
from homeostat.demo.host_api import HostApi, version_problem
from homeostat.demo.host_child import die_with_parent
from homeostat.demo.host_document import first_document
from homeostat.demo.host_launcher import Launcher
from homeostat.demo.host_log import HostLog
from homeostat.demo.host_reconcile import Reconciler
from homeostat.demo.host_rotation import Rotation
from homeostat.demo.host_settings import HostSettings, check_settings, read_settings
from homeostat.demo.host_store import DocumentStore

USAGE_ERROR: Final = 2  # exit code for settings that cannot be used


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handling: the host ends in its own order."""

    @contextlib.contextmanager
    @override
    def capture_signals(self) -> Iterator[None]:
        yield


def run_host(settings: HostSettings) -> None:
    """Run the host until SIGTERM or SIGINT; returns when all its processes have ended.

    Raises:
        ConfigError: The settings cannot be used, the port is taken, or the folder is not writable.
    """
    check_settings(settings)
    if settings.die_with_parent:
        die_with_parent(signal.SIGTERM)
    for pool in settings.pools:
        problem = version_problem(settings.artefacts, pool.version)
        if problem:
            raise ConfigError(f"pool {pool.name}: version {pool.version!r}: {problem}")
    with _listening(settings.port) as listener:
        asyncio.run(_run(settings, listener))


async def _run(settings: HostSettings, listener: socket.socket) -> None:
    log = HostLog()
    store = DocumentStore(settings.folder, first_document(first_levers(settings)))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, stop.set)
    # One connection a call: a kept-alive one to a process that just died would lie about it.
    limits = httpx2.Limits(max_keepalive_connections=0)
    async with httpx2.AsyncClient(limits=limits, trust_env=False) as client:
        rotation = Rotation(
            settings.folder / "rotation", settings.envoy_admin, client, settings.rotation_timeout_s
        )
        rotation.publish(dict.fromkeys(store.document.pools(), ()))
        launcher = Launcher(settings, client)
        launcher.warm()
        reconciler = Reconciler(settings, store, rotation, launcher, log)
        app = HostApi(settings, store, reconciler, log)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, ws="none", lifespan="off"
        )
        server = _Server(config)
        await _serve(server, listener, reconciler, stop)


async def _serve(
    server: uvicorn.Server, listener: socket.socket, reconciler: Reconciler, stop: asyncio.Event
) -> None:
    """Run the API and the loops until told to stop, or until one of them fails."""
    tasks = [
        asyncio.create_task(server.serve(sockets=[listener])),
        asyncio.create_task(reconciler.run()),
        asyncio.create_task(reconciler.spares.watch_memory()),
        asyncio.create_task(stop.wait()),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()  # a loop that failed ends the host, with its error
    finally:
        server.should_exit = True
        for task in tasks[1:]:
            task.cancel()
        await asyncio.gather(*tasks[1:], return_exceptions=True)
        await reconciler.close()
        await asyncio.gather(tasks[0], return_exceptions=True)


def first_levers(settings: HostSettings) -> Mapping[str, Scalar]:
    """Return the levers that a fresh host starts with, without those of its slots."""
    levers: dict[str, Scalar] = {
        names.BATCH_MAX: settings.batch_max,
        names.BATCH_WAIT: settings.batch_wait_ms,
        names.CONCURRENCY: settings.concurrency_max,
    }
    for pool in settings.pools:
        levers[names.lever_replicas(pool.name)] = pool.replicas
        levers[names.lever_version(pool.name)] = pool.version
    return levers


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConfigError(
                f"the host's port {port} cannot be used: {error.strerror}; "
                "stop what listens there, or give another port"
            ) from error
        listener.listen()
        yield listener


def main(arguments: list[str] | None = None) -> int:
    """Run the host from a settings file; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m homeostat.demo.host", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="settings file (JSON)")
    try:
        run_host(read_settings(parser.parse_args(arguments).config))
    except ConfigError as error:
        sys.stderr.write(f"homeostat host: {error}\n")
        return USAGE_ERROR
    return 0


if __name__ == "__main__":
    sys.exit(main())
