"""Raw samples of a Prometheus: what was scraped, and nothing that was not."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs

import pytest
from typing_extensions import override

from homeostat.adapters.sources.prometheus import RefusedError, Series, raw
from homeostat.base.units import MINUTE, SECOND, TimeNs

UNTIL = TimeNs(1_700_000_000 * SECOND)


class Server(BaseHTTPRequestHandler):
    """Answers as told, and keeps what it was asked."""

    said: ClassVar[tuple[int, bytes]] = (200, b"")
    asked: ClassVar[list[tuple[str, dict[str, list[str]], str | None]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.asked.append((self.path, parse_qs(body), self.headers.get("Authorization")))
        status, answer = self.said
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    @override
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    Server.asked.clear()
    made = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{made.server_address[1]}"
    made.shutdown()
    thread.join(5)
    made.server_close()


def matrix(*series: Any) -> tuple[int, bytes]:
    result = [{"metric": labels, "values": values} for labels, values in series]
    data = {"resultType": "matrix", "result": result}
    return 200, json.dumps({"status": "success", "data": data}).encode()


def read(url: str, selector: str = 'hits_total{pool="c"}', token: str = "") -> tuple[Series, ...]:
    return asyncio.run(
        raw(url, selector, until=UNTIL, span_ns=10 * MINUTE, timeout_s=5.0, token=token)
    )


def test_samples_come_as_scraped_with_their_own_times(server: str) -> None:
    labels = {"__name__": "hits_total", "instance": "c-1:80"}
    Server.said = matrix((labels, [[1_699_999_985.123, "7"], [1_699_999_970.123, "3"]]))
    (one,) = read(server, token="secret")
    assert one.labels == {"instance": "c-1:80"}
    assert [value for _, value in one.samples] == [3.0, 7.0]
    assert one.samples[0][0] == 1_699_999_970_123 * 1_000_000
    path, form, authorization = Server.asked[0]
    assert path == "/api/v1/query"
    assert form == {"query": ['hits_total{pool="c"}[600s]'], "time": ["1700000000.000"]}
    assert authorization == "Bearer secret"


def test_a_sample_on_the_far_edge_is_left_out_as_newer_versions_do(server: str) -> None:
    edge = 1_700_000_000 - 600
    Server.said = matrix(({}, [[edge, "1"], [edge + 15, "2"]]))
    assert [value for _, value in read(server)[0].samples] == [2.0]


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (400, b'{"status":"error","error":"parse error: unexpected ("}', "a query is a selector"),
        (200, b"<html>", "is this the address of a Prometheus"),
        (200, b'{"status":"success","data":{"resultType":"vector","result":[]}}', "no range"),
        (200, b'{"status":"success","data":{"resultType":"matrix","result":[{"values":[]}]}}',
         "cannot be read"),
        (200, b'{"status":"success","data":{"resultType":"matrix","result":{}}}', "no list"),
        (200, b"[]", "no JSON"),
    ],
)  # fmt: skip
def test_an_answer_that_cannot_be_used_is_refused_and_says_why(
    server: str, status: int, body: bytes, says: str
) -> None:
    Server.said = (status, body)
    with pytest.raises(RefusedError, match=says):
        read(server)


def test_nobody_there_is_no_empty_answer() -> None:
    with pytest.raises(RefusedError, match="no answer"):
        read("http://127.0.0.1:9")
