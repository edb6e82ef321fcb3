"""Where requests go: to the host that was judged, whatever the path looks like."""

from pathlib import Path
from typing import Any

import pytest

from homeostat.adapters import _signed
from homeostat.adapters._signed import NotSentError
from homeostat.adapters.notify.webhook import WebhookSettings, build
from homeostat.testing.hostile import always, hostile_server, response
from homeostat.testing.notifier import NOTICES

# What a browser, or `urljoin`, takes for another host.
PATHS = ["//other.example/x", "///other.example/x", "//other.example:1/x?a=1", "/x//other.example"]


async def _loopback(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


@pytest.mark.parametrize("path", PATHS)
async def test_a_path_names_no_host(path: str) -> None:
    async with _signed.new_client() as client:
        asked = await _signed.request(
            client,
            "GET",
            f"http://ok.example:8080{path}",
            body=b"",
            headers={},
            allow=("ok.example:8080",),
            resolve=_loopback,
        )
    assert (asked.url.scheme, asked.url.host, asked.url.port) == ("http", "127.0.0.1", 8080)
    assert asked.url.raw_path == path.encode()
    assert asked.headers["host"] == "ok.example:8080"


@pytest.mark.parametrize("path", PATHS)
async def test_a_notice_goes_to_the_host_that_was_judged(path: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"0123456789abcdef")
    async with hostile_server(always(response(b""))) as server:
        settings: dict[str, Any] = {
            "url": f"http://ok.example:{server.port}{path}",
            "secret_file": secret,
            "allow": (f"ok.example:{server.port}",),
        }
        hook = build(WebhookSettings.model_validate(settings), resolve=_loopback)
        await hook.notify(NOTICES[0])
        await hook.close()
        (request,) = server.requests
    assert request.split(b" ")[1] == path.encode()


@pytest.mark.parametrize("path", ["/\\other.example/x", "/x y", "/x#y", "/\nx"])
def test_a_path_that_is_read_in_two_ways_is_no_address(path: str) -> None:
    with pytest.raises(ValueError, match=r"address"):
        _signed.plain_url(f"https://ok.example{path}")


async def test_an_address_that_may_not_be_sent_to_is_not_a_passing_trouble() -> None:
    async with _signed.new_client() as client:
        with pytest.raises(_signed.NotAllowedError, match="write https") as caught:
            await _signed.request(
                client,
                "GET",
                "http://public.example/",
                body=b"",
                headers={},
                allow=(),
                resolve=_loopback,
            )
    assert isinstance(caught.value, NotSentError)
