"""A receiver of Homeostat's training orders: the whole contract, with the standard library only.

    python training_receiver.py --port 8098 --secret-file F --deployment fraud

It keeps orders in memory and trains nothing. Put your pipeline where `Service.begin` is called:
once for each key. The pipeline tells what came of an order by `PUT /orders/KEY` with
`{"phase": "made", "version": "17"}`, from this machine only.
"""

import argparse
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

OLDEST_S = 300  # a request signed longer ago, or that far ahead, is somebody's replay
LARGEST = 1 << 20
LONGEST_STAMP = 12  # digits; nobody's clock has more
ORDER, MARK = "dev.homeostat.training.v1", "dev.homeostat.version.v1"


class Service:
    """Orders by key, and which version the serving alias names."""

    def __init__(self, deployment: str) -> None:
        self.deployment = deployment
        self.orders: dict[str, dict[str, Any]] = {}
        self.begun: list[str] = []
        self.wanted: dict[str, dict[str, Any]] = {}
        self.alias = ""
        self.lock = threading.Lock()

    def state(self, key: str) -> dict[str, Any]:
        with self.lock:
            known = self.orders.get(key, {"phase": "absent"})
            return {"deployment": self.deployment, "key": key, "alias": self.alias, **known}

    def order(self, data: dict[str, Any]) -> tuple[int, str]:
        """Begin a training once; a repeated key gets a yes and begins nothing."""
        with self.lock:
            if data["deployment"] != self.deployment:
                return 404, f"there is no {data['deployment']!r} here"
            key = str(data["key"])
            if key not in self.orders:
                self.orders[key] = {"phase": "taken"}
                self.begin(key, data)
            return 202, "taken"

    def begin(self, key: str, data: dict[str, Any]) -> None:
        # Put your pipeline here; `data` names the reason and the data to train on.
        self.wanted[key] = data
        self.begun.append(key)

    def mark(self, data: dict[str, Any]) -> tuple[int, str]:
        """Keep what became of a version; move the alias if it is where it was, or not at all."""
        with self.lock:
            order = self.orders.get(data["key"])
            if order is None or order.get("version") != data["version"]:
                return 404, "no version of that order has this name"
            wanted = data["alias_to"]
            if wanted is not None and self.alias not in (data["alias_from"], wanted):
                return 409, f"the alias names {self.alias!r} by now"
            order["verdict"] = data["verdict"]
            self.alias = self.alias if wanted is None else wanted
            return 200, "done"


class Handler(BaseHTTPRequestHandler):
    service: Service
    secret: Path

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        key = parse_qs(parts.query).get("key", [""])[0]
        if parts.path == "/begun" and self.client_address[0] == "127.0.0.1":
            self.answer(200, {"begun": self.service.begun, "alias": self.service.alias})
        elif parts.path != "/orders":
            self.answer(404, {"error": "only /orders?key=KEY is here"})
        elif not self.is_signed(self.path.encode()):
            self.answer(401, {"error": "not signed, or not by us"})
        else:
            self.answer(200, self.service.state(key))

    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("content-length", 0)), LARGEST))
        if not self.is_signed(body):
            self.answer(401, {"error": "not signed, or not by us"})
            return
        try:
            event = json.loads(body)
            if event["id"] != self.headers["idempotency-key"]:
                raise ValueError("another key than the event's id")
            kinds = {ORDER: self.service.order, MARK: self.service.mark}
            status, said = kinds[event["type"]](event["data"])
        except (ValueError, KeyError, TypeError) as error:
            self.answer(400, {"error": repr(error)})
            return
        self.answer(status, {"status" if status < 300 else "error": said})

    def do_PUT(self) -> None:
        """Let the pipeline (or a person) say what came of an order, or move the alias."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        _, _, key = self.path.rpartition("/")
        with self.service.lock:
            if self.path == "/alias":
                self.service.alias = body["version"]
            elif key in self.service.orders:
                self.service.orders[key] |= body
        self.answer(200, {"status": "done"})

    def is_signed(self, signed: bytes) -> bool:
        stamp = self.headers.get("x-homeostat-timestamp", "")
        if not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= LONGEST_STAMP):
            return False
        if abs(time.time() - int(stamp)) > OLDEST_S:
            return False
        secret = self.secret.read_bytes().strip()
        digest = hmac.new(secret, stamp.encode() + b"." + signed, hashlib.sha256).hexdigest()
        given = self.headers.get("x-homeostat-signature", "")
        return hmac.compare_digest(f"v1={digest}".encode(), given.encode())

    def answer(self, status: int, said: dict[str, Any]) -> None:
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


class Server(ThreadingHTTPServer):
    request_queue_size = 64  # connections that wait; five, the default, cost a second when exceeded


def main() -> None:
    """Serve until it is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--secret-file", type=Path, required=True)
    parser.add_argument("--deployment", required=True)
    options = parser.parse_args()
    Handler.service = Service(options.deployment)
    Handler.secret = options.secret_file
    Server(("127.0.0.1", options.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
