"""Starts the example receiver of training orders, and speaks to it as its pipeline would."""

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "demo"))
import host_harness as harness

EXAMPLE = Path(__file__).parents[3] / "examples" / "training_receiver.py"
SECRET = "0123456789abcdef0123456789abcdef"


@dataclass(frozen=True, slots=True)
class TrainingReceiver:
    """A receiver that runs, and where it is reached."""

    port: int
    secret: Path
    numbers: Any = field(default_factory=lambda: count(1))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def put(self, path: str, said: dict[str, Any]) -> None:
        request = urllib.request.Request(
            f"{self.url}{path}", json.dumps(said).encode(), method="PUT"
        )
        with urllib.request.urlopen(request, timeout=5.0) as answer:
            assert answer.status == 200

    def begun(self) -> Any:
        with urllib.request.urlopen(f"{self.url}/begun", timeout=5.0) as answer:
            return json.loads(answer.read())

    async def trainings(self) -> Sequence[str]:
        begun: list[str] = (await asyncio.to_thread(self.begun))["begun"]
        return begun

    async def finish(self, key: str) -> str:
        version = f"v{next(self.numbers)}"
        said = {"phase": "made", "version": version}
        await asyncio.to_thread(self.put, f"/orders/{key}", said)
        return version

    async def fail(self, key: str) -> None:
        said = {"phase": "failed", "detail": "it did not converge"}
        await asyncio.to_thread(self.put, f"/orders/{key}", said)

    async def stranger(self) -> str:
        return f"v{next(self.numbers)}"  # a registry of versions is not this receiver's business

    async def takes_over(self, version: str) -> None:
        await asyncio.to_thread(self.put, "/alias", {"version": version})

    async def named(self) -> str:
        alias: str = (await asyncio.to_thread(self.begun))["alias"]
        return alias


@contextmanager
def running_training_receiver(
    folder: Path, deployment: str = "fraud"
) -> Iterator[TrainingReceiver]:
    """Run the example in a process of its own."""
    secret = folder / "training.secret"
    secret.write_text(f"{SECRET}\n", encoding="utf-8")
    port = harness.free_block(1)
    who = ["--port", str(port), "--secret-file", str(secret), "--deployment", deployment]
    process = subprocess.Popen([sys.executable, str(EXAMPLE), *who])
    try:
        give_up = time.monotonic() + 20.0
        while harness.is_free(port):
            assert process.poll() is None, "the example receiver ended"
            if time.monotonic() > give_up:
                pytest.fail("the example receiver does not listen after 20 s")
            time.sleep(0.05)
        yield TrainingReceiver(port, secret)
    finally:
        process.terminate()
        process.wait(timeout=10.0)
