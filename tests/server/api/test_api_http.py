"""Serving: loopback unless permitted, errors at the start that say what to do, a quick stop."""

import asyncio
import socket
import time
from typing import Any

import httpx2
import pytest

from homeostat.base.errors import ConfigError
from homeostat.server.http import serve_app


async def serve(app: Any, *args: Any, **more: Any) -> None:
    async with serve_app(app, *args, **more):
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.9.10"])
async def test_it_serves_on_loopback(bench: Any, host: str) -> None:
    if host == "::1" and not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        async with serve_app(bench.app(), host) as url, httpx2.AsyncClient() as web:
            answer = await web.get(f"{url}/v1/health")
            assert answer.json()["deployments"] == 1
            assert "server" not in answer.headers
    except ConfigError as error:
        if host == "::1" and "is no address of this machine" in str(error):
            pytest.skip("this machine has no IPv6 loopback")
        raise


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "192.168.0.1"])
async def test_an_address_others_can_reach_must_be_permitted(bench: Any, host: str) -> None:
    with pytest.raises(ConfigError, match=r"spec\.api\.host.*other machines.*write 127\.0\.0\.1"):
        await serve(bench.app(), host)


async def test_a_permitted_address_is_served(bench: Any) -> None:
    async with serve_app(bench.app(), "0.0.0.0", allow_remote=True) as url:
        assert url.startswith("http://0.0.0.0:")


@pytest.mark.parametrize(
    ("host", "port", "word"),
    [
        ("example.org", 0, "is not an IP address"),
        ("", 0, "is not an IP address"),
        ("203.0.113.7", 0, "is no address of this machine"),
        ("127.0.0.1", 70_000, "0..65535"),
        ("127.0.0.1", -1, "0..65535"),
    ],
)
async def test_an_address_that_cannot_be_is_an_error_that_teaches(
    bench: Any, host: str, port: int, word: str
) -> None:
    with pytest.raises(ConfigError, match=word):
        await serve(bench.app(), host, port, allow_remote=True)


async def test_a_port_in_use_is_named_with_a_way_out(bench: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"port {port} is in use.*spec.api.port"):
            await serve(bench.app(), "127.0.0.1", port)


async def test_a_stop_ends_open_streams_quickly_and_frees_the_port(bench: Any) -> None:
    app = bench.app()
    async with httpx2.AsyncClient() as web:
        async with serve_app(app) as url:
            request = web.build_request("GET", f"{url}/v1/events")
            answer = await web.send(request, stream=True)
            async with asyncio.timeout(60):
                await anext(answer.aiter_bytes())  # the stream is running
            assert app.state.streams.count == 1
            start = time.monotonic()
        took = time.monotonic() - start
        await answer.aclose()
    assert took < 60.0  # a stream that nobody ends goes on for ever
    port = int(url.rpartition(":")[2])
    async with serve_app(bench.app(), "127.0.0.1", port) as again:
        assert again == url


async def test_a_failure_inside_the_block_stops_the_server(bench: Any) -> None:
    with pytest.raises(RuntimeError, match="planted"):
        async with serve_app(bench.app()) as url:
            raise RuntimeError("planted")
    async with httpx2.AsyncClient() as web:
        with pytest.raises(httpx2.ConnectError):
            await web.get(url)
