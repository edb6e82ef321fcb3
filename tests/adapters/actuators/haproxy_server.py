"""Starts a real HAProxy, with servers that need not be there, and speaks to its socket."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "demo"))
import host_harness as harness

from homeostat.testing.actuator_wire import Speech

SPEECH = Speech(head=b"\n", reads=(b"show ",), babble=b"\n\nhello\n")
CONFIG = """
global
    maxconn 400
    stats socket {folder}/admin.sock mode 600 level {level}
    stats socket ipv4@127.0.0.1:{port} level {level}
defaults
    mode http
    timeout connect 2s
    timeout client 10s
    timeout server 10s
frontend users
    bind 127.0.0.1:{front}
    default_backend model
frontend metrics
    bind 127.0.0.1:{metrics}
    http-request use-service prometheus-exporter if {{ path /metrics }}
backend model
    balance {balance}
{servers}
"""


@dataclass(frozen=True, slots=True)
class Haproxy:
    """A HAProxy that runs, and where it is reached."""

    folder: Path
    port: int
    front: int
    metrics: int

    @property
    def socket(self) -> str:
        return str(self.folder / "admin.sock")

    def say(self, line: str) -> str:
        """Run one line of commands as an operator would, over the UNIX socket."""
        with socket.socket(socket.AF_UNIX) as wire:
            wire.settimeout(5.0)
            wire.connect(self.socket)
            wire.sendall(line.encode() + b"\n")
            answer = b""
            while chunk := wire.recv(65_536):
                answer += chunk
        return answer.decode()


@contextmanager
def running_haproxy(
    folder: Path,
    servers: dict[str, tuple[int, int]],
    *,
    balance: str = "roundrobin",
    level: str = "admin",
) -> Iterator[Haproxy]:
    """Run HAProxy; `servers` are names with port and weight."""
    if shutil.which("haproxy") is None:
        pytest.skip("haproxy is not installed: apt-get install haproxy")
    first = harness.free_block(3)
    running = Haproxy(folder, first, first + 1, first + 2)
    lines = [
        f"    server {name} 127.0.0.1:{port} weight {weight}"
        for name, (port, weight) in servers.items()
    ]
    config = CONFIG.format(
        folder=folder,
        port=running.port,
        front=running.front,
        metrics=running.metrics,
        balance=balance,
        level=level,
        servers="\n".join(lines),
    )
    (folder / "haproxy.cfg").write_text(config, encoding="utf-8")
    with (folder / "haproxy.log").open("wb") as log:
        process = subprocess.Popen(
            ["haproxy", "-db", "-f", str(folder / "haproxy.cfg")], stdout=log, stderr=log
        )
    try:
        _wait(process, running)
        yield running
    finally:
        process.terminate()
        process.wait(timeout=10.0)


def _wait(process: subprocess.Popen[bytes], running: Haproxy) -> None:
    give_up = time.monotonic() + 10.0
    while time.monotonic() < give_up:
        assert process.poll() is None, (running.folder / "haproxy.log").read_text()
        if not harness.is_free(running.port) and Path(running.socket).exists():
            return
        time.sleep(0.05)
    pytest.fail("haproxy does not listen after 10 s")
