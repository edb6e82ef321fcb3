"""The other side of the MLflow trainer: a pipeline that speaks to a registry, real or stand-in."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

MODEL, EXPERIMENT, ALIAS = "fraud", "retrain", "champion"
PREFIX = "homeostat.request."


def call(base: str, method: str, path: str, said: dict[str, Any]) -> tuple[int, Any]:
    """Return the status and the answer of one call of the REST API."""
    url, body = f"{base}/api/2.0/mlflow/{path}", None
    if method == "GET":
        url += f"?{urlencode(said)}"
    else:
        body = json.dumps(said).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(url, body, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20.0) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        text = error.read()
        return error.code, json.loads(text) if text.startswith(b"{") else text.decode()


class Pipeline:
    """Trains nothing, and registers what it is told to."""

    def __init__(self, base: str) -> None:
        self.base = base
        call(base, "POST", "registered-models/create", {"name": MODEL})  # it may be there
        call(base, "POST", "experiments/create", {"name": EXPERIMENT})
        found = self.done("GET", "experiments/get-by-name", {"experiment_name": EXPERIMENT})
        self.experiment = found["experiment"]["experiment_id"]

    def done(self, method: str, path: str, said: dict[str, Any]) -> Any:
        status, answer = call(self.base, method, path, said)
        assert status == 200, f"{method} {path}: {status} {answer}"
        return answer

    def model(self) -> Any:
        return self.done("GET", "registered-models/get", {"name": MODEL})["registered_model"]

    def requests(self) -> list[str]:
        keys = [tag["key"] for tag in self.model().get("tags", [])]
        return [key.removeprefix(PREFIX) for key in keys if key.startswith(PREFIX)]

    def run(self, key: str, status: str) -> str:
        tags = [{"key": "homeostat.request", "value": key}]
        said = {"experiment_id": self.experiment, "start_time": int(time.time() * 1000)}
        made = self.done("POST", "runs/create", said | {"tags": tags})
        run_id = str(made["run"]["info"]["run_id"])
        if status != "RUNNING":
            ended = {"run_id": run_id, "status": status, "end_time": int(time.time() * 1000)}
            self.done("POST", "runs/update", ended)
        return run_id

    def register(self, run_id: str, *, key: str = "") -> str:
        source = f"mlflow-artifacts:/{self.experiment}/{run_id}/artifacts/model"
        said: dict[str, Any] = {"name": MODEL, "source": source, "run_id": run_id}
        if key:
            said["tags"] = [{"key": "homeostat.request", "value": key}]
        made = self.done("POST", "model-versions/create", said)
        return str(made["model_version"]["version"])

    # What the conformance kit asks of a target.

    async def trainings(self) -> Sequence[str]:
        return await asyncio.to_thread(self.requests)

    async def finish(self, key: str) -> str:
        run_id = await asyncio.to_thread(self.run, key, "FINISHED")
        return await asyncio.to_thread(self.register, run_id)

    async def fail(self, key: str) -> None:
        await asyncio.to_thread(self.run, key, "FAILED")

    async def stranger(self) -> str:
        run_id = await asyncio.to_thread(self.run, "somebody-else", "FINISHED")
        return await asyncio.to_thread(self.register, run_id)

    async def takes_over(self, version: str) -> None:
        said = {"name": MODEL, "alias": ALIAS, "version": version}
        await asyncio.to_thread(self.done, "POST", "registered-models/alias", said)

    async def alias(self) -> str:
        named = (await asyncio.to_thread(self.model)).get("aliases", [])
        return next((one["version"] for one in named if one["alias"] == ALIAS), "")


def mlflow_command() -> str | None:
    """Return the path of a real `mlflow`, None if none is installed."""
    return os.environ.get("HOMEOSTAT_MLFLOW") or shutil.which("mlflow")


@contextmanager
def running_mlflow(command: str, folder: Path) -> Iterator[str]:
    """Run a real server in a process of its own; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = ["--backend-store-uri", f"sqlite:///{folder / 'db.sqlite'}"]
    where = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    options = [*store, "--artifacts-destination", str(folder / "artifacts"), *where]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [command, "server", *options],
            cwd=folder,
            env=os.environ | quiet,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield _awaited(server, f"http://127.0.0.1:{port}", folder)
    finally:
        os.killpg(server.pid, 15)
        server.wait(timeout=30.0)


def _awaited(server: subprocess.Popen[bytes], base: str, folder: Path) -> str:
    give_up = time.monotonic() + 300.0
    while time.monotonic() < give_up:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{base}/health", timeout=2.0):
                return base
        except OSError:
            time.sleep(0.2)
    raise AssertionError((folder / "server.log").read_text(errors="replace")[-2000:])
