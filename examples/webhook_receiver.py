"""A receiver of Homeostat's change requests: the whole contract, with the standard library only.

    python webhook_receiver.py --port 8099 --secret-file F --deployment chat --lever weight.b=5:0:99

It keeps its levers in memory. Put your own service where `Service.carry_out` changes them. People
change them past Homeostat with `PUT /levers` (from this machine only), and Homeostat sees that.
"""

import argparse
import hashlib
import hmac
import json
import threading
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

OLDEST_S = 300  # a request signed longer ago, or that far ahead, is somebody's replay
KEPT_S = 86_400  # answers; far above 2 * OLDEST_S, for which a signed request can come again
LARGEST = 1 << 20
LONGEST_STAMP = 12  # digits; nobody's clock has more


class Service:
    """What is changed, and what was asked for before."""

    def __init__(self, deployment: str, levers: dict[str, tuple[float, float, float]]) -> None:
        self.deployment = deployment
        self.ranges = {lever: (low, high) for lever, (_, low, high) in levers.items()}
        self.live = {lever: value for lever, (value, _, _) in levers.items()}
        self.intent: str | None = None  # whose change stands there; nobody's after a foreign one
        self.epoch: int | None = None  # the newest controller that asked
        self.answers: dict[str, tuple[float, int, str]] = {}  # by idempotency key, noes too
        self.lock = threading.Lock()

    def state(self) -> dict[str, Any]:
        with self.lock:
            return {
                "deployment": self.deployment,
                "levers": self.live,
                "intent": self.intent,
                "epoch": self.epoch,
                "changing": False,  # true while an accepted change is still being carried out
            }

    def ask(self, key: str, data: dict[str, Any]) -> tuple[int, str]:
        """Carry out a change once; a repeated key gets the answer it got, and changes nothing.

        A no is kept, too: what was refused must not come true when somebody sends it again.
        """
        now = time.time()
        with self.lock:
            self.answers = {k: one for k, one in self.answers.items() if now - one[0] < KEPT_S}
            if key in self.answers:
                return self.answers[key][1:]
            status, said = self.judge(data, now)
            if status == 200:
                self.carry_out(data["post"])
                self.epoch = data["epoch"]
                # A request without levers only says who leads from now on.
                self.intent = key if data["post"] else self.intent
            self.answers[key] = (now, status, said)
            return status, said

    def judge(self, data: dict[str, Any], now: float) -> tuple[int, str]:
        if data["deployment"] != self.deployment:
            return 404, f"there is no {data['deployment']!r} here"
        if datetime.fromisoformat(data["deadline"]).timestamp() <= now:
            # Held up on its way: whoever asked has given it up and looked at the state since.
            return 410, f"its deadline was {data['deadline']}"
        if self.epoch is not None and data["epoch"] < self.epoch:
            return 409, f"controller {self.epoch} leads by now"
        for lever, value in data["post"].items():
            if lever not in self.ranges:
                return 422, f"there is no lever {lever!r}"
            low, high = self.ranges[lever]
            if isinstance(value, str) or not low <= value <= high:
                return 422, f"{lever} must be from {low} to {high}"
            if self.live[lever] not in (data["pre"].get(lever), value):
                return 409, f"{lever} is {self.live[lever]} by now"
        return 200, "done"

    def carry_out(self, post: dict[str, float]) -> None:
        self.live |= post  # all of it or nothing: put your own service here


class Handler(BaseHTTPRequestHandler):
    service: Service
    secret: Path

    def do_GET(self) -> None:
        if self.path != "/state":
            self.answer(404, {"error": "only /state is here"})
        elif not self.is_signed(self.path.encode()):
            self.answer(401, {"error": "not signed, or not by us"})
        else:
            self.answer(200, self.service.state())

    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("content-length", 0)), LARGEST))
        if not self.is_signed(body):
            self.answer(401, {"error": "not signed, or not by us"})
            return
        try:
            event = json.loads(body)
            key = self.headers["idempotency-key"]
            if event["type"] != "dev.homeostat.action.v1" or event["id"] != key:
                raise ValueError("another event, or another key than its id")
            status, said = self.service.ask(key, event["data"])
        except (ValueError, KeyError, TypeError) as error:
            self.answer(400, {"error": repr(error)})
            return
        self.answer(status, {"status" if status == 200 else "error": said})

    def do_PUT(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.service.lock:
            self.service.carry_out(body)
            self.service.intent = None
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


def lever(text: str) -> tuple[str, tuple[float, float, float]]:
    """Return NAME=VALUE:LOW:HIGH as its parts."""
    name, _, numbers = text.partition("=")
    value, low, high = (json.loads(number) for number in numbers.split(":"))
    return name, (value, low, high)


def main() -> None:
    """Serve until it is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--secret-file", type=Path, required=True)
    parser.add_argument("--deployment", required=True)
    parser.add_argument("--lever", type=lever, action="append", required=True)
    said = parser.parse_args()
    Handler.service = Service(said.deployment, dict(said.lever))
    Handler.secret = said.secret_file
    Server(("127.0.0.1", said.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
