"""A Prometheus of a test's own: a free port, a folder, pages that a test writes, quick scrapes."""

import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from typing_extensions import override

Page = Callable[[], str]
SCRAPE_S: Final = 1.0
SELF: Final = "ITS-OWN-ADDRESS"
"""Stands for the server's own address in a configuration."""
_READY_S: Final = 60.0  # a busy machine; alone it takes less than one second

needed: Final = pytest.mark.skipif(
    shutil.which("prometheus") is None,
    reason="no prometheus on this machine; `apt-get install prometheus` brings it",
)


def ask(url: str, path: str, **params: str) -> Any:
    """Return the data of an answer."""
    with urllib.request.urlopen(f"{url}{path}?{urlencode(params)}", timeout=30) as answer:
        return json.load(answer)["data"]


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


@contextmanager
def exposed(
    pages: Mapping[str, Page], *, otherwise: Callable[[str], str] | None = None
) -> Iterator[int]:
    """Serve pages by path as metrics, all others by a function as JSON, and yield the port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            page = pages.get(self.path.strip("/"))
            kind, status, body = "text/plain; version=0.0.4", 200, b""
            if page is not None:
                body = page().encode()
            elif otherwise is not None:
                kind, body = "application/json", otherwise(self.path).encode()
            else:
                status = 404
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, *_args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Server:
    """One server; it may be killed and started again on the same folder and port."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._address = f"127.0.0.1:{free.getsockname()[1]}"
        self.url = f"http://{self._address}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        text = json.dumps(config).replace(SELF, self._address)  # JSON is YAML
        (folder / "prometheus.yml").write_text(text)

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(shutil.which("prometheus")),
                    f"--config.file={self._folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    f"--web.listen-address={self._address}",
                    "--log.level=error",
                ],
                stdout=log,
                stderr=log,
            )
        until(self._ready)

    def kill(self) -> None:
        """End it as a machine's failure would: it writes nothing any more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=30)
            self._process = None

    def _ready(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise AssertionError(f"it ended: {(self._folder / 'log').read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@contextmanager
def scraping(folder: Path, jobs: Mapping[str, Page]) -> Iterator[Server]:
    """Scrape each job's page and the server's own every second."""
    with exposed(jobs) as port:
        scrapes: list[dict[str, Any]] = [
            {
                "job_name": job,
                "metrics_path": f"/{job}",
                "honor_labels": True,
                "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
            }
            for job in jobs
        ]
        scrapes.append({"job_name": "prometheus", "static_configs": [{"targets": [SELF]}]})
        config = {"global": {"scrape_interval": f"{SCRAPE_S:g}s"}, "scrape_configs": scrapes}
        server = Server(folder, config)
        try:
            server.start()
            yield server
        finally:
            server.kill()
