"""Starts model servers quickly: one fork server with everything imported, one fork for each.

Forking from a process that has scikit-learn loaded takes milliseconds and shares its memory;
importing it anew takes seconds on a small machine.
"""

import multiprocessing
import os
import socket
from multiprocessing import forkserver
from typing import Final

import httpx2

from homeostat.base.errors import ConfigError
from homeostat.demo.host_child import serve_in_child
from homeostat.demo.host_plan import Knobs
from homeostat.demo.host_process import ModelProcess
from homeostat.demo.host_settings import HostSettings
from homeostat.demo.server_settings import ServerSettings

# What uvicorn would import by name in every child; the server's own module brings the rest.
_PRELOAD: Final = ("uvloop", "uvicorn.protocols.http.httptools_impl")


class Launcher:
    """Forks model servers, each on a port of its own."""

    def __init__(self, settings: HostSettings, client: httpx2.AsyncClient) -> None:
        self._settings = settings
        self._client = client
        self._context = multiprocessing.get_context("forkserver")
        self._started = 0
        self._port = 0

    def warm(self) -> None:
        """Start the fork server; returns before its imports are done. Main thread only."""
        module = self._settings.server.partition(":")[0]
        self._context.set_forkserver_preload([*_PRELOAD, module, "homeostat.demo.host_zygote"])
        os.environ["HOMEOSTAT_ZYGOTE_OF"] = str(os.getpid())
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ.setdefault(name, "1")  # one small matrix product a batch; threads only cost
        forkserver.ensure_running()

    def launch(self, knobs: Knobs, ports_taken: frozenset[int]) -> ModelProcess:
        """Fork a nameless server without a version: a spare that is not live yet.

        Raises:
            ConfigError: No port is free.
        """
        port = self._free_port(ports_taken)
        self._started += 1
        name = f"spare-{self._started}"
        settings = self._settings
        server = ServerSettings(
            name=name,
            pool="",
            port=port,
            artefacts=settings.artefacts,
            version=None,
            batch_max=knobs.batch_max,
            batch_wait_ms=knobs.batch_wait_ms,
            concurrency_max=knobs.concurrency_max,
            queue_max=settings.queue_max,
            tau0_ms=settings.tau0_ms,
            alpha_ms=settings.alpha_ms,
            seed=settings.seed + self._started,
            chaos_token=settings.chaos_token,
        )
        process = self._context.Process(
            target=serve_in_child, args=(settings.server, server), name=name, daemon=True
        )
        return ModelProcess(process, name, port, self._client)

    def _free_port(self, taken: frozenset[int]) -> int:
        first, count = self._settings.first_port, self._settings.port_count
        for _ in range(count):
            port = first + self._port
            self._port = (self._port + 1) % count  # in turn, so that a port rests before reuse
            if port not in taken and _is_free(port):
                return port
        raise ConfigError(f"no free port from {first} to {first + count - 1} for a model server")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
