"""The scraper against a server that sends whatever hurts."""

import asyncio
import gzip
import math
import zlib
from collections.abc import Callable

import pytest
from pydantic import ValidationError

from homeostat.adapters.sources.scrape import ScrapeSettings, build
from homeostat.base import raw
from homeostat.base.evidence import Quality, SourceReport
from homeostat.base.units import TimeNs, ns
from homeostat.testing.hostile import Respond, always, hostile_server, never, response
from homeostat.testing.source import check_source

NOW = TimeNs(1_800_000_000_000_000_000)
PAGE = b"""# TYPE ml_requests_total counter
ml_requests_total{code="200"} 90
ml_requests_total{code="400"} 5
ml_requests_total{code="500"} 3
ml_requests_total{code="503"} 2
ml_request_seconds_bucket{le="0.035"} 60
ml_request_seconds_bucket{le="+Inf"} 100
ml_request_seconds_sum 4.5
ml_feature_bucket{feature="income",le="1.0"} 7
ml_info{model="credit",version="v2"} 1
ml_queue_length 4
ml_inflight 2
process_start_time_seconds 1.7e9
python_info{implementation="CPython"} 1
"""


def settings(url: str, **more: object) -> ScrapeSettings:
    base: dict[str, object] = {
        "name": "a-1", "url": url, "deployment": "credit", "subject": "replica:a-1",
        "timeout_s": 20.0, "mapping": "homeostat_instrument",
    }  # fmt: skip
    return ScrapeSettings.model_validate(base | more)


async def scraped(respond: Respond, **more: object) -> SourceReport:
    async with hostile_server(respond) as server:
        conf = settings(server.url("/metrics"), **more)
        return await check_source(lambda: build(conf), now=NOW, within_s=conf.timeout_s)


async def page(body: bytes, **more: object) -> SourceReport:
    return await scraped(always(response(body)), **more)


def values(report: SourceReport) -> dict[tuple[str, float | None], float]:
    return {(o.key.signal, o.le): o.value for o in report.observations}


async def test_a_page_becomes_raw_signals_with_outcomes_bounds_and_epoch() -> None:
    report = await page(PAGE)
    assert report.quality is Quality.GOOD
    assert values(report) == {
        (raw.REQUESTS_ARRIVED, None): 100.0,
        (raw.REQUESTS_OK, None): 95.0,
        (raw.REQUESTS_5XX, None): 5.0,
        (raw.REQUESTS_REFUSED, None): 2.0,
        (raw.LATENCY, 35.0): 60.0,
        (raw.LATENCY, math.inf): 100.0,
        (raw.LATENCY_SUM, None): 4500.0,
        (raw.feature("income"), 1.0): 7.0,
        (raw.version("v2"), None): 1.0,
        (raw.QUEUE, None): 4.0,
        (raw.INFLIGHT, None): 2.0,
        (raw.STARTED_AT, None): 1.7e9,
    }
    assert {o.epoch for o in report.observations} == {1.7e9}
    assert {o.key.subject for o in report.observations} == {"replica:a-1"}
    assert {o.observed_at for o in report.observations} == {NOW + ns(1)}


async def test_a_labelled_counter_that_was_never_used_is_zero_only_if_its_family_is_there() -> None:
    served = values(await page(b'ml_requests_total{code="200"} 9\n'))
    assert served[raw.REQUESTS_5XX, None] == served[raw.REQUESTS_REFUSED, None] == 0.0
    absent = values(await page(b"process_cpu_seconds_total 3\n"))
    assert set(absent) == {(raw.CPU_SECONDS, None)}


@pytest.mark.parametrize("odd", ["NaN", "+Inf", "-Inf", "-3", "1e400"])
async def test_odd_numbers_pass_through_unjudged(odd: str) -> None:
    report = await page(f"ml_batches_total {odd}\n".encode())
    assert report.quality is Quality.GOOD
    assert repr(values(report)[raw.BATCHES, None]) == repr(float(odd))


HTML = b"<!doctype html><title>Sign in</title>"


@pytest.mark.parametrize(
    ("answer", "quality", "says"),
    [
        (response(HTML, content_type="text/html"), Quality.ABSURD, "text/html"),
        (response(HTML), Quality.ABSURD, "not a series"),
        (response(b"<html> 1\n"), Quality.ABSURD, "not a series"),
        (response(b"{}", content_type="application/json"), Quality.ABSURD, "application/json"),
        (response(b"oops", status=503), Quality.UNREACHABLE, "status 503"),
        (response(b"", status=302, extra="location: /\r\n"), Quality.UNREACHABLE, "status 302"),
        (response(b""), Quality.MISSING, "no series"),
        (response(b"node_load1 3\n"), Quality.MISSING, "no series"),
        (response(b"\xff\xfe"), Quality.ABSURD, "UTF-8"),
        (response(b"ml_inflight\n"), Quality.ABSURD, "not `series value"),
        (response(b"ml_inflight 1 2 3\n"), Quality.ABSURD, "not `series value"),
        (response(b"ml_inflight 1_0\n"), Quality.ABSURD, "not a number"),
        (response("ml_inflight ٣\n".encode()), Quality.ABSURD, "not a number"),
        (response(b"other zero\n"), Quality.ABSURD, "not a number"),
        (response(b"ml_inflight 1\nml_inflight 1\n"), Quality.ABSURD, "twice"),
        (
            response(b'ml_info{a="1",version="v"} 1\nml_info{version="v",a="1"} 1\n'),
            Quality.ABSURD,
            "twice",
        ),
        (
            response(b'ml_inflight{m="a"} 1\nml_inflight{m="b"} 1\n'),
            Quality.ABSURD,
            "two series",
        ),
        (response(b'ml_info{version="v} 1\n'), Quality.ABSURD, "parse"),
        (response(b'ml_info{version="a\\nb"} 1\n'), Quality.ABSURD, "not a name"),
        (response(b"ml_info 1\n"), Quality.ABSURD, "not a name"),
        (response(b'ml_prediction_bucket{le="x"} 1\n'), Quality.ABSURD, "le="),
        (response(b'ml_prediction_bucket{le="NaN"} 1\n'), Quality.ABSURD, "le="),
        (response(b"ml_prediction_bucket 1\n"), Quality.ABSURD, "le="),
        (response(b"ml_inflight 1 NaN\n"), Quality.ABSURD, "time"),
        (response(b"ml_inflight 1 -5\n"), Quality.ABSURD, "time"),
        (response(b'ml_info{a="' + b"x" * 5000 + b'"} 1\n'), Quality.ABSURD, "not a series"),
        (response(b"x" * 2000, extra="content-encoding: br\r\n"), Quality.ABSURD, "encoding"),
        (response(b"x" * 2000, extra="content-encoding: gzip\r\n"), Quality.ABSURD, "broken"),
        (
            response(gzip.compress(PAGE)[:-9], extra="content-encoding: gzip\r\n"),
            Quality.ABSURD,
            "ends early",
        ),
        (
            response(gzip.compress(PAGE) + b"x", extra="content-encoding: gzip\r\n"),
            Quality.ABSURD,
            "tail",
        ),
        (b"HTTP/1.1 200 OK\r\ncontent-length: nonsense\r\n\r\n", Quality.UNREACHABLE, "answer"),
        (b"\x00\x01\x02 not http at all\r\n\r\n", Quality.UNREACHABLE, "answer"),
    ],
)  # fmt: skip
async def test_what_is_not_a_metrics_page_is_refused_whole(
    answer: bytes, quality: Quality, says: str
) -> None:
    report = await scraped(always(answer))
    assert report.quality is quality, report
    assert says in report.detail
    assert report.subjects == ("replica:a-1",)


async def test_a_redirect_is_not_followed() -> None:
    async with hostile_server(always(response(PAGE))) as target:
        answer = response(b"", status=307, extra=f"location: {target.url('/metrics')}\r\n")
        report = await scraped(always(answer))
        assert report.quality is Quality.UNREACHABLE
        assert target.requests == []


async def test_a_gzip_page_is_read() -> None:
    packed = response(gzip.compress(PAGE), extra="content-encoding: gzip\r\n")
    assert (await scraped(always(packed))).quality is Quality.GOOD


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
async def test_a_compression_bomb_is_cut_not_unpacked(pack: Callable[[bytes], bytes]) -> None:
    bomb = pack(b"ml_inflight 1\n" + b"#" * 50_000_000)
    assert len(bomb) < 80_000
    name = "gzip" if pack is gzip.compress else "deflate"
    answer = response(bomb, extra=f"content-encoding: {name}\r\n")
    report = await scraped(always(answer), max_bytes=100_000)
    assert report.quality is Quality.ABSURD
    assert "more than 100000 bytes" in report.detail


async def test_a_page_with_too_many_series_is_refused_whole() -> None:
    body = b"".join(b'ml_info{version="v%d"} 1\n' % n for n in range(101))
    report = await page(body, max_series=100)
    assert (report.quality, report.observations) == (Quality.ABSURD, ())
    assert "more than 100 series" in report.detail
    assert (await page(body, max_series=101)).quality is Quality.GOOD


@pytest.mark.slow
async def test_a_million_series_are_refused_within_the_deadline() -> None:
    body = b"".join(b"n%d 1\n" % n for n in range(1_000_000))
    report = await page(body, max_bytes=64 * 1024 * 1024, timeout_s=2.0)
    assert report.quality is Quality.ABSURD
    assert "series" in report.detail


async def test_a_body_without_end_is_cut() -> None:
    async def pour(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\ncontent-type: text/plain\r\n\r\n")
        while True:
            writer.write(b"# filler\n" * 1000)
            await writer.drain()

    report = await scraped(pour, max_bytes=1_000_000)
    assert "more than 1000000 bytes" in report.detail


@pytest.mark.parametrize("where", ["silent", "head", "body"])
async def test_a_slow_answer_is_unreachable_after_the_deadline(where: str) -> None:
    async def trickle(_request: bytes, writer: asyncio.StreamWriter) -> None:
        if where == "body":
            writer.write(b"HTTP/1.1 200 X\r\ncontent-type: text/plain\r\n\r\n")
        for byte in PAGE * 10:
            writer.write(bytes([byte]) if where == "body" else b"H")
            await writer.drain()
            await asyncio.sleep(0.02)

    report = await scraped(never if where == "silent" else trickle, timeout_s=0.2)
    assert report.quality is Quality.UNREACHABLE
    assert "0.2 s" in report.detail or "answer" in report.detail


async def test_a_closed_port_is_unreachable() -> None:
    async with hostile_server(never) as gone:
        url = gone.url("/metrics")
    report = await check_source(lambda: build(settings(url)), now=NOW, within_s=1.0)
    assert report.quality is Quality.UNREACHABLE


@pytest.mark.parametrize(
    ("stamp_s", "seen_s"), [(1_799_999_990, 1_799_999_990), (1_900_000_000, 1_800_000_001)]
)
async def test_a_line_with_an_old_time_is_old_and_one_from_the_future_is_now(
    stamp_s: int, seen_s: int
) -> None:
    report = await page(f"ml_queue_length 1 {stamp_s}000\n".encode())
    assert [o.observed_at for o in report.observations] == [seen_s * 10**9]


async def test_open_metrics_is_read_with_its_own_rules() -> None:
    body = b'# TYPE ml_batches counter\nml_batches_total 5.0 # {trace_id="x"} 1.0\n# EOF\n'
    kind = "application/openmetrics-text; version=1.0.0"
    report = await scraped(always(response(body, content_type=kind)))
    assert values(report) == {(raw.BATCHES, None): 5.0}
    cut = await scraped(always(response(body[:-6], content_type=kind)))
    assert (cut.quality, "parse" in cut.detail) == (Quality.ABSURD, True)


async def rounds(pages: list[bytes], *, mapping: str, step_s: int) -> list[SourceReport]:
    answers = iter(pages)

    async def respond(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(response(next(answers)))

    async with hostile_server(respond) as server:
        source = build(settings(server.url("/metrics"), mapping=mapping, subject="gateway"))
        reports = [await source.observe(TimeNs(NOW + ns(step_s * n))) for n in range(len(pages))]
        await source.close()
    return reports


def epochs(reports: list[SourceReport]) -> list[float | None]:
    return [report.observations[0].epoch for report in reports]


async def test_a_restart_moves_the_epoch_and_a_page_of_zeros_has_none() -> None:
    pages = [b"process_start_time_seconds %d\n" % start for start in (5, 5, 9, 0)]
    seen = epochs(await rounds(pages, mapping="homeostat_instrument", step_s=1))
    assert seen == [5.0, 5.0, 9.0, None]


async def test_an_uptime_keeps_its_epoch_until_it_falls() -> None:
    ups = (100, 101, 101, 0, 103, 2)  # steady, frozen, zeroed, back, restarted; 10 s apart
    pages = [b"envoy_server_uptime{} %d\n" % up for up in ups]
    seen = epochs(await rounds(pages, mapping="envoy", step_s=10))
    start = NOW / 1e9 - 100
    assert seen == [start, start, start, None, start, NOW / 1e9 + 50 - 2]


async def test_a_series_that_vanishes_is_not_reported_again() -> None:
    first, second = await rounds(
        [b"ml_inflight 1\nml_queue_length 2\n", b"ml_inflight 1\n"],
        mapping="homeostat_instrument",
        step_s=1,
    )
    assert (raw.QUEUE, None) in values(first)
    assert (raw.QUEUE, None) not in values(second)


ENVOY_PAGE = b"""envoy_cluster_upstream_rq_total{envoy_cluster_name="a"} 5
envoy_cluster_upstream_rq_total{envoy_cluster_name="b"} 0
envoy_cluster_upstream_rq_total{envoy_cluster_name="xds"} 7
envoy_cluster_upstream_rq_pending_overflow{envoy_cluster_name="a"} 1
envoy_cluster_upstream_rq_active_overflow{envoy_cluster_name="a"} 4
envoy_cluster_upstream_rq_xx{envoy_response_code_class="2",envoy_cluster_name="a"} 4
envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="a"} 6
envoy_http_downstream_rq_total{envoy_http_conn_manager_prefix="admin"} 400
envoy_http_downstream_rq_total{envoy_http_conn_manager_prefix="in"} 11
envoy_http_downstream_rq_xx{envoy_response_code_class="2",envoy_http_conn_manager_prefix="in"} 4
envoy_http_downstream_rq_xx{envoy_response_code_class="5",envoy_http_conn_manager_prefix="in"} 7
envoy_http_downstream_rq_time_bucket{envoy_http_conn_manager_prefix="admin",le="0.5"} 1
envoy_http_downstream_rq_time_bucket{envoy_http_conn_manager_prefix="in",le="0.5"} 3
envoy_http_fault_aborts_injected{envoy_http_conn_manager_prefix="in"} 1
envoy_server_live{} 1
envoy_server_uptime{} 3
"""


async def test_envoy_speaks_for_the_gateway_and_its_pools_and_never_for_its_admin_page() -> None:
    report = await page(ENVOY_PAGE, mapping="envoy", subject="gateway", pools=("a", "b"))
    assert report.subjects == ("gateway", "pool:a", "pool:b")
    seen = {(o.key.subject, o.key.signal, o.le): o.value for o in report.observations}
    assert seen == {
        ("gateway", raw.REQUESTS_ARRIVED, None): 11.0,
        ("gateway", raw.REQUESTS_OK, None): 4.0,
        ("gateway", raw.REQUESTS_5XX, None): 7.0,
        ("gateway", raw.REQUESTS_REFUSED, None): 6.0,
        ("gateway", raw.LATENCY, 0.5): 3.0,
        ("gateway", raw.GATEWAY_LIVE, None): 1.0,
        ("gateway", raw.GATEWAY_UPTIME, None): 3.0,
        ("pool:a", raw.REQUESTS_ARRIVED, None): 10.0,
        ("pool:a", raw.REQUESTS_OK, None): 4.0,
        ("pool:a", raw.REQUESTS_5XX, None): 6.0,
        ("pool:a", raw.REQUESTS_REFUSED, None): 5.0,
        ("pool:b", raw.REQUESTS_ARRIVED, None): 0.0,
        ("pool:b", raw.REQUESTS_OK, None): 0.0,
        ("pool:b", raw.REQUESTS_5XX, None): 0.0,
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "file:///etc/passwd"},
        {"url": "ftp://h/x"},
        {"url": "http://"},
        {"url": "http://user:pw@h/"},
        {"url": "http://h:99999/"},
        {"url": "metrics"},
        {"mapping": "homeostat_instrumnt"},
        {"timeout_s": 0},
        {"timeout_s": math.nan},
        {"surprise": 1},
    ],
)
def test_wrong_settings_are_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        settings(**({"url": "http://h/"} | wrong))  # type: ignore[arg-type]


def test_a_misspelt_preset_is_answered_with_the_right_one() -> None:
    with pytest.raises(ValidationError, match="did you mean 'homeostat_instrument'"):
        settings("http://h/", mapping="homeostat_instrumnt")
