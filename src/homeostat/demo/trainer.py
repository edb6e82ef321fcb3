"""The demo's trainer: somebody else's pipeline, which refits the model when it is ordered to.

    python -m homeostat.demo.trainer --port N --secret-file F --deployment credit
        --artefacts FOLDER --host URL --envoy-admin URL

Speaks the training webhook's contract (docs/how-to/retrain.md): signed orders, each key once, a
page that says how an order stands. What it learns from is posted to `/rows` with a bearer token
(`HOMEOSTAT_DEMO_ROWS_TOKEN`). A version that is better on rows that were held back is written
beside the others and brought to the pool without traffic; the controller is told `made`, and its
canary says whether it may serve.
"""

import argparse
import contextlib
import hashlib
import hmac
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Final, cast
from urllib.parse import parse_qs, urlsplit

import structlog

from homeostat.adapters.trainers.webhook import MARK, ORDER
from homeostat.demo import artefact, pipeline, refit
from homeostat.demo.load_rows import ROWS_TOKEN_VARIABLE
from homeostat.demo.population import FEATURES
from homeostat.demo.trainer_orders import NoVersionError, Orders, Wanted
from homeostat.demo.trainer_rows import RowStore

log = structlog.get_logger()

OLDEST_S: Final = 300  # a request signed longer ago, or that far ahead, is somebody's replay
LARGEST: Final = 1 << 20
TOKEN_MIN: Final = 16
_STAMP_MAX: Final = 12  # digits; nobody's clock has more
_ANSWER_S: Final = 5.0  # a request that takes longer to arrive is dropped


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What an order leads to.

    Attributes:
        rows: What may be learnt from.
        artefacts: Folder of all versions.
        host_url: The process host's API.
        envoy_admin: Envoy's admin page.
    """

    rows: RowStore
    artefacts: Path
    host_url: str
    envoy_admin: str

    def __call__(self, wanted: Wanted) -> str:
        """Refit, write the version, bring it to the pool without traffic; return its name.

        Raises:
            NoVersionError: No version came of it; says why.
            HomeostatError: What serves could not be loaded, or the version not be brought.
        """
        if not wanted.parent:
            raise NoVersionError("the order does not say which version serves, so none is better")
        serving = artefact.load(self.artefacts, wanted.parent)
        done = refit.refit(self.rows.window(wanted.data_from, wanted.data_to), serving)
        if isinstance(done, refit.Refused):
            raise NoVersionError(done.why)
        version = refit.version_of(wanted.key)
        if (self.artefacts / version).exists():
            raise NoVersionError(f"{version} is there already; what is served is not written over")
        artefact.write(self.artefacts, version, done.tensors)
        log.info("fitted", key=wanted.key, version=version, seen=done.comparison.words)
        pipeline.bring(self.host_url, self.envoy_admin, version)
        return version


class TrainerServer(ThreadingHTTPServer):
    """The trainer's pages, on loopback."""

    daemon_threads = True
    request_queue_size = 64  # connections that wait; five, the default, cost a second when exceeded

    def __init__(
        self, port: int, *, orders: Orders, rows: RowStore, secret: Path, rows_token: str
    ) -> None:
        """Listen.

        Args:
            port: 0 for any.
            orders: What is ordered.
            rows: What is learnt from.
            secret: File with the signing secret; read for each request, so that it can be rotated.
            rows_token: What opens `/rows`.

        Raises:
            ValueError: The token is too short to be one.
        """
        if len(rows_token) < TOKEN_MIN:
            raise ValueError(f"{ROWS_TOKEN_VARIABLE} must hold at least {TOKEN_MIN} characters")
        super().__init__(("127.0.0.1", port), Handler)
        self.orders, self.rows, self.rows_token = orders, rows, rows_token
        self._secret = secret

    def is_signed(self, signed: bytes, stamp: str, signature: str) -> bool:
        """Return whether a request is from whoever has the secret, and fresh."""
        if not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= _STAMP_MAX):
            return False
        if abs(time.time() - int(stamp)) > OLDEST_S:
            return False
        secret = self._secret.read_bytes().strip()
        digest = hmac.new(secret, stamp.encode() + b"." + signed, hashlib.sha256).hexdigest()
        return hmac.compare_digest(f"v1={digest}".encode(), signature.encode())


class Handler(BaseHTTPRequestHandler):
    """One request."""

    timeout: ClassVar[float | None] = _ANSWER_S

    @property
    def _trainer(self) -> TrainerServer:
        return cast("TrainerServer", self.server)

    def do_GET(self) -> None:  # the name is the standard library's
        """Say how an order stands."""
        parts = urlsplit(self.path)
        if parts.path != "/orders":
            self._answer(404, {"error": "here are /orders?key=KEY, /orders and /rows"})
        elif not self._is_signed(self.path.encode("latin-1", "replace")):
            self._answer(401, {"error": "not signed, or not by whom this trainer knows"})
        else:
            key = parse_qs(parts.query).get("key", [""])[0]
            self._answer(200, self._trainer.orders.state(key))

    def do_POST(self) -> None:  # the name is the standard library's
        """Take an order, what became of a version, or rows."""
        body = self._body()
        if body is None:
            return
        takes = {"/orders": self._order, "/rows": self._rows}.get(self.path)
        if takes is None:
            self._answer(404, {"error": "here are /orders?key=KEY, /orders and /rows"})
            return
        try:
            status, said = takes(body)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            status, said = 400, {"error": f"makes no sense: {str(error)[:200] or error!r}"}
        self._answer(status, said)

    def _order(self, body: bytes) -> tuple[int, dict[str, Any]]:
        if not self._is_signed(body):
            return 401, {"error": "not signed, or not by whom this trainer knows"}
        event = json.loads(body)
        if event["id"] != self.headers.get("idempotency-key"):
            raise ValueError("the idempotency-key is not the event's id")
        orders = self._trainer.orders
        takes = {ORDER: orders.order, MARK: orders.mark}.get(event["type"])
        if takes is None:
            raise ValueError(f"type {str(event['type'])[:80]!r} is unknown")
        if event["type"] == ORDER and event["data"]["key"] != event["id"]:
            raise ValueError("the order's key is not the event's id")
        status, said = takes(event["data"])
        return status, {"status" if status < 300 else "error": said}  # noqa: PLR2004 - HTTP

    def _rows(self, body: bytes) -> tuple[int, dict[str, Any]]:
        given = self.headers.get("authorization", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, f"Bearer {self._trainer.rows_token}".encode()):
            return 401, {"error": "another token"}
        said = json.loads(body)
        if not isinstance(said, dict) or set(said) != {"rows"}:
            raise ValueError('the body must be {"rows": [...]}')
        taken = self._trainer.rows.take(said["rows"])
        if taken.refused:
            log.warning("rows refused", count=taken.refused, why=taken.why)
        counts = {"taken": taken.taken, "known": taken.known, "refused": taken.refused}
        return 200, counts | ({"why": taken.why} if taken.why else {})

    def _body(self) -> bytes | None:
        """Return the body; None if there is none that can be read, which was answered."""
        length = self.headers.get("content-length", "")
        if not (length.isascii() and length.isdecimal() and len(length) <= _STAMP_MAX):
            self._answer(411, {"error": "content-length must say how long the body is"})
        elif int(length) > LARGEST:
            self._answer(413, {"error": f"a body is at most {LARGEST} bytes"})
        else:
            return self.rfile.read(int(length))
        self.close_connection = True
        return None

    def _is_signed(self, signed: bytes) -> bool:
        stamp = self.headers.get("x-homeostat-timestamp", "")
        return self._trainer.is_signed(signed, stamp, self.headers.get("x-homeostat-signature", ""))

    def _answer(self, status: int, said: dict[str, Any]) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True  # whoever asked is gone; it reads the state, or asks again

    def log_request(self, *_: object) -> None:  # type: ignore[explicit-override]
        """Say nothing: requests are no news."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until it is told to stop."""
    name = "homeostat.demo.trainer"
    parser = argparse.ArgumentParser(prog=name, description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--secret-file", type=Path, required=True)
    parser.add_argument("--deployment", required=True)
    parser.add_argument("--artefacts", type=Path, required=True, help="folder of all versions")
    parser.add_argument("--host", required=True, help="the process host's API")
    parser.add_argument("--envoy-admin", required=True)
    given = parser.parse_args(arguments)
    rows = RowStore(len(FEATURES))
    training = Training(
        rows=rows, artefacts=given.artefacts, host_url=given.host, envoy_admin=given.envoy_admin
    )
    server = TrainerServer(
        given.port,
        orders=Orders(given.deployment, training),
        rows=rows,
        secret=given.secret_file,
        rows_token=os.environ.get(ROWS_TOKEN_VARIABLE, ""),
    )
    with contextlib.suppress(KeyboardInterrupt):  # at a terminal it reaches every process
        server.serve_forever()


if __name__ == "__main__":
    main()
