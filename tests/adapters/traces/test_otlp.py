"""Spans arrive at a collector as OpenTelemetry's own decoder reads them, or it is said why not.

The collector is a stand-in: an HTTP server that decodes what it is sent with opentelemetry-proto.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from pydantic import ValidationError
from typing_extensions import override

from homeostat.adapters._signed import NotSentError
from homeostat.adapters.traces.otlp import Otlp, OtlpSettings
from homeostat.base.errors import TracesError
from homeostat.base.events import Command, Event
from homeostat.base.spans import Span
from homeostat.base.types import TimeNs
from homeostat.server.plan import PartPlan
from homeostat.server.telemetry.tracing import Tracing
from homeostat.testing.story import story

ROOT = Span(
    name="homeostat.decision", trace=2**127 + 5, id=2**63 + 1, parent=None, start=TimeNs(1_000),
    end=TimeNs(5_000), failed=True,
    attributes=(("homeostat.deployment", "chat"), ("homeostat.refused", 2),
                ("homeostat.conflict", True), ("homeostat.guards", ("G3", "G5"))),
)  # fmt: skip
ACT = Span(
    name="homeostat.act", trace=ROOT.trace, id=7, parent=ROOT.id, start=TimeNs(2_000),
    end=TimeNs(3_000), outward=True,
)  # fmt: skip


@dataclass
class Collector:
    """What it was sent, and how it answers."""

    batches: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    status: int = 200
    answer: bytes = b""
    location: str = ""
    hang: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/traces"


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()
    collector.hang.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.batches.append(ExportTraceServiceRequest.FromString(body))
            collector.headers.append({k.lower(): v for k, v in self.headers.items()})
            collector.paths.append(self.path)
            collector.hang.wait(20)
            self.send_response(collector.status)
            if collector.location:
                self.send_header("Location", collector.location)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(collector.answer)))
            self.end_headers()
            self.wfile.write(collector.answer)

        @override
        def log_message(self, *_args: Any) -> None:
            """Say nothing."""

        @override
        def handle(self) -> None:
            with suppress(OSError):  # the sender did not wait
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.hang.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


def otlp(url: str, **settings: Any) -> Otlp:
    return Otlp(OtlpSettings(url=url, **settings), version="1.2.3", instance="host:1")


async def sent(to: Otlp, *spans: Span) -> int:
    try:
        return await to.send(spans)
    finally:
        await to.close()


def plain(pairs: Any) -> dict[str, Any]:
    def value(one: Any) -> Any:
        kind = one.WhichOneof("value")
        found = getattr(one, kind)
        return tuple(value(x) for x in found.values) if kind == "array_value" else found

    return {pair.key: value(pair.value) for pair in pairs}


async def test_spans_arrive_as_they_were(collector: Collector) -> None:
    assert await sent(otlp(collector.url), ROOT, ACT) == 2
    (batch,) = collector.batches
    (resource,) = batch.resource_spans
    assert plain(resource.resource.attributes) == {
        "service.name": "homeostat", "service.version": "1.2.3", "service.instance.id": "host:1",
    }  # fmt: skip
    (scope,) = resource.scope_spans
    assert (scope.scope.name, scope.scope.version) == ("homeostat", "1.2.3")
    root, act = scope.spans
    assert int.from_bytes(root.trace_id, "big") == ROOT.trace
    assert int.from_bytes(root.span_id, "big") == ROOT.id
    assert root.parent_span_id == b""
    assert act.trace_id == root.trace_id
    assert act.parent_span_id == root.span_id
    assert (root.start_time_unix_nano, root.end_time_unix_nano) == (1_000, 5_000)
    assert plain(root.attributes) == dict(ROOT.attributes)
    assert (root.name, act.name) == ("homeostat.decision", "homeostat.act")
    assert (root.status.code, act.status.code) == (2, 0)  # error, unset
    assert (root.kind, act.kind) == (1, 3)  # internal, client
    assert collector.headers[0]["content-type"] == "application/x-protobuf"
    assert collector.paths == ["/v1/traces"]
    assert "authorization" not in collector.headers[0]


async def test_a_token_is_read_anew_for_each_batch_and_is_in_no_message(
    collector: Collector, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("first-token-0123\n", encoding="utf-8")
    to = otlp(collector.url, token_file=file)
    await to.send([ACT])
    file.write_text("second-token-0123\n", encoding="utf-8")
    collector.status = 401
    with pytest.raises(TracesError) as refused:
        await sent(to, ACT)
    assert [one["authorization"] for one in collector.headers] == [
        "Bearer first-token-0123", "Bearer second-token-0123",
    ]  # fmt: skip
    assert "token-0123" not in str(refused.value)
    assert refused.value.wait_s is None


@pytest.mark.parametrize(
    ("status", "again"),
    [(429, True), (503, True), (400, False), (404, False), (302, False), (204, False)],
)
async def test_what_is_refused_says_so_and_whether_to_try_again(
    collector: Collector, status: int, *, again: bool
) -> None:
    collector.status = status
    collector.location = collector.url + "/elsewhere"
    with pytest.raises(TracesError, match=str(status)) as refused:
        await sent(otlp(collector.url), ACT)
    assert (refused.value.wait_s is not None) == again
    assert collector.paths == ["/v1/traces"]  # nothing is followed


async def test_a_collector_that_takes_only_some_is_believed(collector: Collector) -> None:
    partial = ExportTraceServiceResponse()
    partial.partial_success.rejected_spans = 1
    collector.answer = partial.SerializeToString()
    assert await sent(otlp(collector.url), ROOT, ACT) == 1
    partial.partial_success.rejected_spans = 10**9
    collector.answer = partial.SerializeToString()
    assert await sent(otlp(collector.url), ROOT, ACT) == 0
    collector.answer = b"\xff\xffnot protobuf"
    assert await sent(otlp(collector.url), ROOT, ACT) == 2


async def test_an_answer_without_end_is_cut(collector: Collector) -> None:
    collector.answer = b"x" * (3 << 20)
    with pytest.raises(TracesError, match="more than"):
        await sent(otlp(collector.url), ACT)


async def test_one_that_does_not_answer_is_given_up_on(collector: Collector) -> None:
    collector.hang.clear()
    with pytest.raises(TracesError, match=r"no answer within 0\.2 s") as late:
        await sent(otlp(collector.url, timeout_s=0.2), ACT)
    assert late.value.wait_s == 0.0


async def test_one_that_is_not_there_is_tried_again_later() -> None:
    with collecting() as gone:
        url = gone.url
    with pytest.raises(TracesError) as refused:
        await sent(otlp(url), ACT)
    assert refused.value.wait_s == 0.0


@pytest.mark.parametrize("host", ["169.254.169.254", "[fd00:ec2::254]", "0.0.0.0"])
async def test_nothing_goes_to_what_hands_out_credentials(host: str) -> None:
    with pytest.raises(TracesError, match="refused"):
        await sent(otlp(f"http://{host}:4318/v1/traces"), ACT)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": "collector:4318"}, "not an address"),
        ({"url": "http://ada:pw@collector:4318"}, "user name"),
        ({"url": "ftp://collector/x"}, "not an address"),
        ({"url": "http://collector:4318/v1/traces", "token_file": "t"}, "https"),
        ({"url": "http://127.0.0.1.evil.example/", "token_file": "t"}, "https"),
        ({"url": "http://c:4318", "retries": 3}, "Extra inputs"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        OtlpSettings(**settings)


def test_a_token_or_certificate_that_is_not_there_shows_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(NotSentError, match="cannot be read"):
        otlp("http://127.0.0.1:1/", token_file=tmp_path / "none")
    (tmp_path / "two").write_text("two words", encoding="utf-8")
    with pytest.raises(NotSentError, match="no token") as refused:
        otlp("http://127.0.0.1:1/", token_file=tmp_path / "two")
    assert "words" not in str(refused.value)
    with pytest.raises(OSError, match="No such file"):
        otlp("https://c/", ca_file=tmp_path / "none.pem")


async def test_many_at_once_are_whole(collector: Collector) -> None:
    to = otlp(collector.url)
    batches = await asyncio.gather(*(to.send([ACT] * 50) for _ in range(4)))
    await to.close()
    assert batches == [50] * 4
    spans = [
        len(scope.spans)
        for batch in collector.batches
        for resource in batch.resource_spans
        for scope in resource.scope_spans
    ]
    assert spans == [50] * 4


async def test_what_a_controller_decides_arrives_and_an_end_sends_the_rest(
    collector: Collector,
) -> None:
    settings = {"url": collector.url, "token_file": None, "ca_file": None}
    tracing = Tracing(PartPlan(part="otlp", settings=settings), "host:1")
    assert tracing.stage is not None
    assert tracing.counts is not None
    seen: list[Event | Command] = []
    observe = tracing.observing(lambda _, item: seen.append(item))
    tracing.start()
    told = 0
    for beat in story(TimeNs(10**18)):
        tracing.stage("", TimeNs(beat.at - 5), beat.at)
        tracing.stage("credit", beat.at, TimeNs(beat.at + 5))
        for item in beat.items:
            observe("credit", item)
            told += 1
    await tracing.close()
    assert len(seen) == told
    found = [
        span
        for batch in collector.batches
        for resource in batch.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert tracing.counts() == (len(found), 0, 0)
    assert {span.name.removeprefix("homeostat.") for span in found} == {
        "observe", "decide", "act", "verify", "decision",
    }  # fmt: skip
    assert len({span.trace_id for span in found}) >= 2
