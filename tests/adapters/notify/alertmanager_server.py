"""An Alertmanager of a test's own: a free port, a folder, no cluster."""

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

_PROGRAM: Final = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
_READY_S: Final = 60.0  # a busy machine; alone it takes less than one second

needed: Final = pytest.mark.skipif(
    _PROGRAM is None,
    reason=("no Alertmanager on this machine; `apt-get install prometheus-alertmanager` brings it"),
)


def until(found: Callable[[], bool], *, within_s: float = _READY_S) -> None:
    """Wait until something is so.

    Raises:
        AssertionError: It is not in time.
    """
    end = time.monotonic() + within_s
    while not found():
        if time.monotonic() > end:
            raise AssertionError(f"not within {within_s:g} s")
        time.sleep(0.1)


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def alerts(url: str) -> list[dict[str, Any]]:
    """Return the alerts that an Alertmanager holds."""
    with urllib.request.urlopen(f"{url}/api/v2/alerts", timeout=30) as answer:
        found = json.load(answer)
    assert isinstance(found, list)
    return found


def post(url: str, *said: dict[str, Any]) -> None:
    """Send alerts as Prometheus does."""
    request = urllib.request.Request(
        f"{url}/api/v2/alerts",
        json.dumps(said).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


@contextmanager
def running(folder: Path, *, config: str | None = None, port: int | None = None) -> Iterator[str]:
    """Run one and yield its address.

    Args:
        folder: Its data, its log, and its configuration if none is given.
        config: The text of its configuration; one that tells nobody if None.
        port: Where it listens; any free one if None.
    """
    address = f"127.0.0.1:{port or free_port()}"
    text = config or "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"
    (folder / "alertmanager.yml").write_text(text, encoding="utf-8")
    with (folder / "alertmanager.log").open("ab") as log:
        process = subprocess.Popen(
            [
                str(_PROGRAM),
                f"--config.file={folder / 'alertmanager.yml'}",
                f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address={address}",
                "--cluster.listen-address=",
                "--log.level=warn",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        until(lambda: _ready(process, f"http://{address}", folder))
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def _ready(process: "subprocess.Popen[bytes]", url: str, folder: Path) -> bool:
    if process.poll() is not None:
        raise AssertionError(f"it ended: {(folder / 'alertmanager.log').read_text()[-2000:]}")
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
