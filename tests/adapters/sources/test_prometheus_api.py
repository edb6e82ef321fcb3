"""The client of a Prometheus is bounded, follows nothing, and keeps its secrets."""

import asyncio
import json
import math
from collections.abc import Sequence
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from homeostat.adapters.sources.prometheus_access import Access
from homeostat.adapters.sources.prometheus_answer import Answered, QueryError
from homeostat.adapters.sources.prometheus_api import PrometheusApi
from homeostat.base.evidence import Quality
from homeostat.base.units import SECOND, TimeNs
from homeostat.testing.hostile import Respond, always, hostile_server, never, response

AT = TimeNs(1_800_000_000_500_000_000)
EMPTY = b'{"status":"success","data":{"resultType":"vector","result":[]}}'
JSON = "application/json"
ENOUGH_S = 60.0  # a deadline that no busy machine reaches


def ok(body: bytes = EMPTY, *, extra: str = "") -> bytes:
    return response(body, content_type=JSON, extra=extra)


def failing(status: int, *, extra: str = "", body: bytes = b"") -> bytes:
    return response(body, status=status, content_type=JSON, extra=extra)


def in_turn(*answers: bytes) -> Respond:
    """Answer each of these once, and the last one for ever."""
    left = list(answers)

    async def respond(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])

    return respond


async def asked(respond: Respond, **settings: Any) -> tuple[Answered | QueryError, list[bytes]]:
    """Ask once; return the answer or the error, and what the server saw."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)

    async with hostile_server(respond) as server:
        api = PrometheusApi(
            Access(url=server.url(), **({"timeout_s": ENOUGH_S} | settings)), sleep=sleep
        )
        try:
            said: Answered | QueryError = await api.instant('up{job="a b"}', at=AT)
        except QueryError as refused:
            said = refused
        finally:
            await api.close()
        return said, server.requests


def refused(said: Answered | QueryError) -> QueryError:
    assert isinstance(said, QueryError), said
    return said


async def test_a_query_names_its_time_and_asks_for_all_or_nothing() -> None:
    said, (request,) = await asked(always(ok()))
    assert isinstance(said, Answered)
    first = request.split(b"\r\n")[0]
    assert first.startswith(b"GET /api/v1/query?query=up%7Bjob%3D%22a+b%22%7D&time=1800000000.500&")
    assert b"partial_response=false" in first
    assert b"deny_partial_response=1" in first


async def test_a_path_prefix_stays_and_two_slashes_name_no_other_host() -> None:
    async with hostile_server(always(ok())) as server:
        for prefix in ("/tenant/prometheus/", "//example.org"):
            api = PrometheusApi(Access(url=server.url(prefix), timeout_s=ENOUGH_S))
            await api.instant("up")
            await api.close()
        paths = [request.split(b" ")[1].partition(b"?")[0] for request in server.requests]
    assert paths == [b"/tenant/prometheus/api/v1/query", b"//example.org/api/v1/query"]


async def test_a_long_query_goes_into_the_body() -> None:
    async with hostile_server(always(ok())) as server:
        api = PrometheusApi(Access(url=server.url(), timeout_s=ENOUGH_S))
        await api.over("a" * 3000, start=TimeNs(0), end=AT, step_s=15.0)
        await api.close()
        (request,) = server.requests
    assert request.startswith(b"POST /api/v1/query_range HTTP/1.1")
    assert b"query=aaaa" in request.partition(b"\r\n\r\n")[2]
    assert b"step=15.000" in request


async def test_names_are_asked_for_by_selector() -> None:
    answer = b'{"status":"success","data":["up","vllm:num_requests_running"]}'
    async with hostile_server(always(ok(answer))) as server:
        api = PrometheusApi(Access(url=server.url(), timeout_s=ENOUGH_S))
        assert await api.names(['{job="a"}'], since=AT) == ("up", "vllm:num_requests_running")
        await api.close()
        (request,) = server.requests
    assert b"GET /api/v1/label/__name__/values?match%5B%5D=%7Bjob%3D%22a%22%7D&start=18" in request


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_a_failure_that_may_pass_is_tried_again(status: int) -> None:
    said, requests = await asked(in_turn(failing(status), ok()))
    assert isinstance(said, Answered)
    assert len(requests) == 2


@pytest.mark.parametrize(
    ("status", "fix"),
    [
        (400, "bad_data: parse error"),
        (401, "set token_file"),
        (403, "read access"),
        (404, "must be the base"),
        (422, "parse error"),
    ],
)
async def test_a_failure_that_stays_is_asked_once_and_says_what_to_do(
    status: int, fix: str
) -> None:
    told = json.dumps({"status": "error", "errorType": "bad_data", "error": "parse error"})
    said, requests = await asked(always(failing(status, body=told.encode())))
    assert fix in str(refused(said))
    assert refused(said).quality is Quality.UNREACHABLE
    assert len(requests) == 1


async def test_attempts_end() -> None:
    said, requests = await asked(always(failing(503)), attempts=3)
    assert "status 503" in str(refused(said))
    assert len(requests) == 3


async def test_retries_have_a_budget_over_all_queries() -> None:
    async with hostile_server(always(failing(503))) as server:

        async def sleep(_seconds: float) -> None:
            await asyncio.sleep(0)

        api = PrometheusApi(Access(url=server.url(), timeout_s=ENOUGH_S, attempts=3), sleep=sleep)
        for _ in range(20):
            with pytest.raises(QueryError):
                await api.instant("up")
        await api.close()
        assert len(server.requests) == 20 + 10  # ten retries, whatever is asked


async def test_a_server_is_left_alone_for_as_long_as_it_asks() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)

    asking = failing(429, extra="retry-after: 3600\r\n")
    async with hostile_server(in_turn(asking, ok())) as server:
        api = PrometheusApi(Access(url=server.url(), timeout_s=ENOUGH_S), sleep=sleep)
        await api.instant("up")
        await api.close()
    assert slept == [3600.0]


async def test_silence_ends_at_the_deadline() -> None:
    said, _ = await asked(never, timeout_s=0.1)
    assert "no answer within 0.1 s" in str(refused(said))
    assert refused(said).quality is Quality.UNREACHABLE


async def test_a_redirect_is_not_followed() -> None:
    elsewhere = failing(302, extra="location: http://127.0.0.1:1/\r\n")
    said, requests = await asked(always(elsewhere))
    assert "redirects are not followed" in str(refused(said))
    assert len(requests) == 1


async def test_a_web_page_is_not_believed() -> None:
    said, _ = await asked(always(response(b"<html>", content_type="text/html; charset=utf-8")))
    assert "'text/html', not JSON; url must be the base" in str(refused(said))
    assert refused(said).quality is Quality.ABSURD


async def test_too_many_bytes_are_refused_whole() -> None:
    said, _ = await asked(always(ok(EMPTY + b" " * 2000)), max_bytes=1024)
    assert "more than 1024 bytes" in str(refused(said))
    assert refused(said).quality is Quality.ABSURD


@pytest.mark.parametrize("ahead", [-60.0, 0.0, 45.0])
async def test_the_servers_clock_is_compared_with_ours(ahead: float) -> None:
    date = formatdate(1_800_000_000.0 + ahead, usegmt=True)
    async with hostile_server(always(ok(extra=f"date: {date}\r\n"))) as server:
        api = PrometheusApi(
            Access(url=server.url(), timeout_s=ENOUGH_S), wall=lambda: 1_800_000_000.25
        )
        said = await api.instant("up")
        await api.close()
    assert said.skew_s == pytest.approx(ahead + 0.25)


async def test_a_server_that_names_no_time_has_no_skew() -> None:
    said, _ = await asked(always(ok(extra="date: yesterday\r\n")))
    assert isinstance(said, Answered)
    assert math.isnan(said.skew_s)


async def test_a_token_is_read_anew_and_is_in_no_message(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first-token\n")
    async with hostile_server(in_turn(ok(), failing(401))) as server:
        api = PrometheusApi(Access(url=server.url(), timeout_s=ENOUGH_S, token_file=token))
        await api.instant("up")
        token.write_text("second-token\n")
        with pytest.raises(QueryError) as said:
            await api.instant("up")
        await api.close()
        heads = [request.lower() for request in server.requests]
    assert b"authorization: bearer first-token\r\n" in heads[0]
    assert b"authorization: bearer second-token\r\n" in heads[1]
    assert "second-token" not in str(said.value)


async def test_a_password_is_sent_as_basic_authentication(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("sesame\n")
    said, (request,) = await asked(
        always(ok()), username="ali", password_file=tmp_path / "password", tenant="team-a"
    )
    assert isinstance(said, Answered)
    assert b"Basic YWxpOnNlc2FtZQ==\r\n" in request
    assert b"x-scope-orgid: team-a\r\n" in request.lower()


@pytest.mark.parametrize("secret", [b"", b"a b", b"a\nb", b"\xff", b"x" * 20_000, None])
async def test_a_file_without_a_token_sends_nothing(tmp_path: Path, secret: bytes | None) -> None:
    token = tmp_path / "token"
    if secret is not None:
        token.write_bytes(secret)
    said, requests = await asked(always(ok()), token_file=token)
    assert f"token_file {token}" in str(refused(said))
    assert requests == []


async def test_a_file_of_certificates_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    bad = tmp_path / "ca.pem"
    for content in (None, "no certificate"):
        if content is not None:
            bad.write_text(content)
        said, requests = await asked(always(ok()), ca_file=bad)
        assert f"ca_file {bad}" in str(refused(said))
        assert requests == []


@pytest.mark.parametrize(
    ("reach", "addresses", "why"),
    [
        ("any", ["169.254.169.254"], "metadata"),
        ("any", ["10.0.0.1", "64:ff9b::a9fe:a9fe"], "metadata"),
        ("private", ["169.254.169.254"], "metadata"),
        ("public", ["127.0.0.1"], "private or reserved"),
        ("public", ["93.184.216.34", "::ffff:10.0.0.1"], "private or reserved"),
        ("private", ["93.184.216.34"], "is a public address"),
        ("private", ["10.0.0.1", "93.184.216.34"], "is a public address"),
    ],
)
async def test_every_address_is_judged_and_a_refused_one_is_never_asked(
    reach: str, addresses: Sequence[str], why: str
) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return list(addresses)

    async with hostile_server(always(ok())) as server:
        settings = {"url": server.url(), "timeout_s": ENOUGH_S, "reach": reach}
        api = PrometheusApi(Access.model_validate(settings), resolve=resolve)
        with pytest.raises(QueryError, match=why):
            await api.instant("up")
        await api.close()
        assert server.connections == 0


async def test_the_address_that_was_judged_is_the_one_that_is_asked() -> None:
    """A name that answers differently the second time gains nothing."""
    answers = [["127.0.0.1"], ["169.254.169.254"]]

    async def resolve(_host: str, _port: int) -> list[str]:
        return answers.pop(0)

    async with hostile_server(always(ok())) as server:
        settings = Access(
            url=f"http://prom.example:{server.port}", timeout_s=ENOUGH_S, reach="private"
        )
        api = PrometheusApi(settings, resolve=resolve)
        await api.instant("up")
        with pytest.raises(QueryError, match="metadata"):
            await api.instant("up")
        await api.close()
        assert [b"host: prom.example:" in one.lower() for one in server.requests] == [True]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"url": "prom:9090"}, "is not an address"),
        ({"url": "http://u:p@prom:9090"}, "take the user name and password out"),
        ({"url": "http://prom:9090/api/v1"}, "leave /api/v1 out"),
        ({"url": "http://prom:9090/?a=b"}, "take what follows"),
        ({"username": "ali"}, "go together"),
        ({"password_file": "p"}, "go together"),
        ({"username": "ali", "password_file": "p", "token_file": "t"}, "keep one"),
        ({"username": "a:b", "password_file": "p"}, "colon"),
        ({"tenant": "a\r\nb"}, "pattern"),
        ({"reach": "all"}, "any"),
        ({"verify": False}, "Extra"),
    ],
)
def test_wrong_settings_are_refused_by_name(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Access.model_validate({"url": "http://prom:9090", "timeout_s": 1.0} | wrong)


@pytest.mark.parametrize(
    ("start", "end", "step"), [(2, 1, 1.0), (1, 2, 0.0), (1, 2, math.nan), (1, 2, math.inf)]
)
async def test_a_stretch_that_cannot_be_is_refused_before_asking(
    start: int, end: int, step: float
) -> None:
    api = PrometheusApi(Access(url="http://prom:9090", timeout_s=1.0))
    with pytest.raises(ValueError, match="need start <= end"):
        await api.over("up", start=TimeNs(start * SECOND), end=TimeNs(end * SECOND), step_s=step)
