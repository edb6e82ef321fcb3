"""Starts the example receiver of change requests, and speaks to it as its operator would."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "demo"))
import host_harness as harness

EXAMPLE = Path(__file__).parents[3] / "examples" / "webhook_receiver.py"
SECRET = "0123456789abcdef0123456789abcdef"
LEVERS = {"replicas.a": (3, 1, 8), "weight.b": (5, 0, 100)}


@dataclass(frozen=True, slots=True)
class Receiver:
    """A receiver that runs, and where it is reached."""

    port: int
    secret: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def put(self, levers: dict[str, Any]) -> None:
        """Change levers past Homeostat."""
        request = urllib.request.Request(
            f"{self.url}/levers", json.dumps(levers).encode(), method="PUT"
        )
        with urllib.request.urlopen(request, timeout=5.0) as answer:
            assert answer.status == 200


@contextmanager
def running_receiver(folder: Path, deployment: str = "credit") -> Iterator[Receiver]:
    """Run the example in a process of its own."""
    secret = folder / "webhook.secret"
    secret.write_text(f"{SECRET}\n", encoding="utf-8")
    port = harness.free_block(1)
    levers = [
        word
        for lever, numbers in LEVERS.items()
        for word in ("--lever", f"{lever}={':'.join(map(str, numbers))}")
    ]
    who = ["--port", str(port), "--secret-file", str(secret), "--deployment", deployment]
    process = subprocess.Popen([sys.executable, str(EXAMPLE), *who, *levers])
    try:
        give_up = time.monotonic() + 20.0
        while harness.is_free(port):
            assert process.poll() is None, "the example receiver ended"
            if time.monotonic() > give_up:
                pytest.fail("the example receiver does not listen after 20 s")
            time.sleep(0.05)
        yield Receiver(port, secret)
    finally:
        process.terminate()
        process.wait(timeout=10.0)
