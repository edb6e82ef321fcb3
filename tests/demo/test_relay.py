"""The metrics relay: passes pages through, or breaks all of them in one of four ways."""

import re
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from homeostat.demo import relay as relay_module
from homeostat.demo.relay import Relay

PAGE = b"""# HELP ml_requests_total Requests 5
# TYPE ml_requests_total counter
ml_requests_total{code="2xx",path="/v2/models/x y"} 41
ml_inflight 3.5
ml_batch_bucket{le="8.0"} 12
ml_batch_bucket{le="+Inf"} 17
ml_batch_sum 99.25
ml_batch_count 17
ml_odd{note="a } brace and 7 numbers"} 7
ml_nan NaN
ml_gone -Inf
ml_timed 5 1700000000000
"""


@dataclass
class Upstream:
    """The host, the servers and Envoy's page, as the relay's client sees them."""

    pages: dict[str, bytes] = field(default_factory=lambda: {"a-1": PAGE, "envoy": b"up 1\n"})
    asked: list[str] = field(default_factory=list)
    is_down: bool = False

    async def get(self, url: str) -> httpx2.Response:
        self.asked.append(url)
        if self.is_down:
            raise httpx2.ConnectError("refused")
        if url.endswith("/v1/state"):
            return httpx2.Response(200, json={"slots": [{"name": "a-1", "port": 9001}]})
        name = "a-1" if ":9001/" in url else "envoy"
        return httpx2.Response(200, content=self.pages[name])


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
def relay(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Relay:
    made = Relay("http://host", "http://envoy")
    monkeypatch.setattr(made, "_client", upstream)
    return made


async def ask(relay: Relay, path: str, method: str = "GET") -> tuple[int, bytes, bytes]:
    said: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    await relay({"type": "http", "method": method, "path": path}, None, send)
    headers = dict(said[0]["headers"])
    assert int(headers[b"content-length"]) == len(said[1]["body"])
    return said[0]["status"], said[1]["body"], headers[b"content-type"]


async def test_a_page_passes_through_byte_for_byte(relay: Relay) -> None:
    assert await ask(relay, "/pages/a-1") == (200, PAGE, b"text/plain; version=0.0.4")
    assert (await ask(relay, "/pages/envoy"))[1] == b"up 1\n"


async def test_an_unknown_replica_or_path_is_404(relay: Relay) -> None:
    assert (await ask(relay, "/pages/a-9"))[0] == 404
    assert (await ask(relay, "/elsewhere"))[0] == 404


async def test_a_page_that_cannot_be_had_is_504_and_never_an_old_one(
    relay: Relay, upstream: Upstream
) -> None:
    await ask(relay, "/pages/a-1")
    upstream.is_down = True
    status, body, _ = await ask(relay, "/pages/a-1")
    assert status == 504
    assert b"ml_requests" not in body


async def test_error_mode_answers_503_for_every_page_and_asks_nobody(
    relay: Relay, upstream: Upstream
) -> None:
    assert (await ask(relay, "/mode/error", "POST"))[0] == 200
    upstream.asked.clear()
    for name in ("a-1", "envoy"):
        assert (await ask(relay, f"/pages/{name}"))[0] == 503
    assert upstream.asked == []


async def test_html_mode_answers_200_with_a_web_page(relay: Relay) -> None:
    await ask(relay, "/mode/html", "POST")
    status, body, kind = await ask(relay, "/pages/a-1")
    assert (status, kind, body[:6]) == (200, b"text/html", b"<html>")


async def test_frozen_mode_repeats_each_page_as_it_last_was(
    relay: Relay, upstream: Upstream
) -> None:
    await ask(relay, "/pages/a-1")
    await ask(relay, "/mode/frozen", "POST")
    upstream.pages = {"a-1": b"ml_inflight 9\n", "envoy": b"up 2\n"}
    assert (await ask(relay, "/pages/a-1"))[1] == PAGE
    first = (await ask(relay, "/pages/envoy"))[1]
    upstream.pages["envoy"] = b"up 3\n"
    assert (await ask(relay, "/pages/envoy"))[1] == first == b"up 2\n", "frozen at its first sight"


async def test_after_an_outage_pages_are_fresh_again(relay: Relay, upstream: Upstream) -> None:
    await ask(relay, "/pages/a-1")
    for mode in ("error", "frozen", "zeros", "html"):
        await ask(relay, f"/mode/{mode}", "POST")
        await ask(relay, "/pages/a-1")
    upstream.pages["a-1"] = b"ml_inflight 9\n"
    await ask(relay, "/mode/ok", "POST")
    assert (await ask(relay, "/pages/a-1"))[1] == b"ml_inflight 9\n"


async def test_an_unknown_mode_is_refused_and_breaks_nothing(relay: Relay) -> None:
    assert (await ask(relay, "/mode/nonsense", "POST"))[0] == 422
    assert (await ask(relay, "/pages/a-1"))[1] == PAGE


def zeros(page: bytes) -> bytes:
    return relay_module._VALUE.sub(rb"\g<1>0", page)


async def test_zeros_mode_zeroes_every_sample_and_touches_nothing_else(relay: Relay) -> None:
    await ask(relay, "/mode/zeros", "POST")
    body = (await ask(relay, "/pages/a-1"))[1]
    before, after = PAGE.decode().splitlines(), body.decode().splitlines()
    assert [line for line in after if line[0] == "#"] == [line for line in before if line[0] == "#"]
    for old, new in zip(before, after, strict=True):
        if old[0] != "#":
            series = re.split(r" (?=[^ }]+( \d{13})?$)", old)[0]
            assert new.removesuffix(" 1700000000000") == f"{series} 0"
    assert after[-1].endswith(" 1700000000000"), "a time is no value"


@given(
    count=st.integers(1, 9),
    texts=st.lists(st.text(max_size=20), min_size=1, max_size=3, unique=True),
    values=st.lists(st.floats(allow_nan=True), min_size=1, max_size=8),
)
def test_every_sample_of_any_page_of_the_library_becomes_zero(
    count: int, texts: list[str], values: list[float]
) -> None:
    registry = CollectorRegistry()
    counter = Counter("c", "help with 5 numbers 7", ["label"], registry=registry)
    histogram = Histogram("h", "help", ["label"], buckets=(1.0, 2.5), registry=registry)
    gauge = Gauge("g", "help", registry=registry)
    for text in texts:
        counter.labels(text).inc(count)
        for value in values:
            histogram.labels(text).observe(value)
    gauge.set(values[0])
    page = generate_latest(registry)
    before = [s for f in text_string_to_metric_families(page.decode()) for s in f.samples]
    after = [s for f in text_string_to_metric_families(zeros(page).decode()) for s in f.samples]
    assert [(s.name, s.labels) for s in after] == [(s.name, s.labels) for s in before]
    assert {s.value for s in after} == {0.0}
