"""Starts a real Ray head whose dashboard serves two applications, and ends all that it started.

`ray` is no dependency of ours: 400 MB. It is taken from HOMEOSTAT_RAY, from `.venv-ray` (`make ray`
makes that) or from the PATH. `ray stop` would end every Ray of the machine, and is never used.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "demo"))
import host_harness as harness

ROOT = Path(__file__).parents[3]
PATH = "/api/serve/applications/"
START_S = 240.0  # a head needs 11 s of an idle machine, and more than 40 of a busy one
ANSWER_S = 240.0  # the first application starts Serve itself before it is answered
TOKEN = "0123456789abcdef0123456789abcdef"
APP = '''
"""A model that answers with the batch that it was told to make."""

from ray import serve


@serve.deployment(ray_actor_options={"num_cpus": 0.1})
class Model:
    def __init__(self) -> None:
        self.batch = 0

    def reconfigure(self, config: dict) -> None:
        self.batch = config["batching"]["max_batch_size"]

    async def __call__(self, request: object) -> dict:
        return {"batch": self.batch}


app = Model.bind()
'''


def ray_command() -> str | None:
    """Return the path of a real `ray`, None if none is installed."""
    own = ROOT / ".venv-ray" / "bin" / "ray"
    found = os.environ.get("HOMEOSTAT_RAY") or (str(own) if own.exists() else None)
    return found or shutil.which("ray")


def asked(url: str, config: Mapping[str, Any] | None = None, *, token: str = "") -> tuple[int, Any]:
    """Ask a dashboard as its operator would; return status, and JSON or text.

    Args:
        url: Its address.
        config: What to deploy; None to look.
        token: Who asks.
    """
    body = None if config is None else json.dumps(config).encode()
    headers = {"authorization": f"Bearer {token}"} if token else {}
    headers |= {"content-type": "application/json"} if body is not None else {}
    method = "GET" if body is None else "PUT"
    request = urllib.request.Request(f"{url}{PATH}", body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    return status, json.loads(text) if status == 200 and body is None else text


@dataclass(frozen=True, slots=True)
class Ray:
    """A head that runs, and where it is reached."""

    port: int
    serve_port: int
    metrics_port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def running_ray(folder: Path) -> Iterator[Ray]:
    """Run a head with token authentication; nothing is deployed on it yet.

    Its logs lie in the folder afterwards.
    """
    command = ray_command()
    if command is None:
        pytest.skip("no ray here: `make ray`, or HOMEOSTAT_RAY=its path")
    first = harness.free_block(210)
    running = Ray(first, first + 1, first + 5)
    (folder / "ray_app.py").write_text(APP, encoding="utf-8")
    # Its sockets lie below, and their paths may have 107 characters at most.
    session = Path(tempfile.mkdtemp(prefix="ray-"))
    options = {
        "--node-ip-address": "127.0.0.1",
        "--port": first + 2,
        "--num-cpus": 2,
        "--dashboard-host": "127.0.0.1",
        "--dashboard-port": running.port,
        "--dashboard-agent-listen-port": first + 3,
        "--ray-client-server-port": first + 4,
        "--metrics-export-port": running.metrics_port,
        "--min-worker-port": first + 10,
        "--max-worker-port": first + 209,
        "--object-store-memory": 200_000_000,
        "--temp-dir": session,
    }
    quiet = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_metrics_report_interval_ms": "1000",
        "PYTHONPATH": str(folder),
    }
    words = [f"{option}={value}" for option, value in options.items()]
    with (folder / "ray.log").open("wb") as log:
        head = subprocess.Popen(
            [command, "start", "--head", "--block", "--disable-usage-stats", *words],
            cwd=folder,
            env=os.environ | quiet,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _await(head, running, folder)
        yield running
    finally:
        _end(head, session)
        logs = session / "session_latest" / "logs"
        if logs.exists():
            shutil.copytree(logs, folder / "logs", symlinks=True)
        shutil.rmtree(session, ignore_errors=True)


def _await(head: "subprocess.Popen[bytes]", running: Ray, folder: Path) -> None:
    give_up = time.monotonic() + START_S
    while time.monotonic() < give_up and head.poll() is None:
        with suppress(OSError):
            if asked(running.url, token=TOKEN)[0] == 200:
                return
        time.sleep(0.5)
    raise AssertionError((folder / "ray.log").read_text(errors="replace")[-3000:])


def _end(head: "subprocess.Popen[bytes]", session: Path) -> None:
    """End the head and whatever it started: children, and what was told the session's folder."""
    ours = psutil.Process(head.pid).children(recursive=True) if head.poll() is None else []
    ours += [one for one in psutil.process_iter() if _is_of(one, str(session))]
    with suppress(ProcessLookupError):
        os.killpg(head.pid, signal.SIGKILL)
    for one in ours:
        with suppress(psutil.NoSuchProcess):
            one.kill()
    head.wait(timeout=30.0)
    psutil.wait_procs(ours, timeout=30.0)


def _is_of(process: psutil.Process, session: str) -> bool:
    with suppress(psutil.Error):
        return any(session in word for word in process.cmdline())
    return False
