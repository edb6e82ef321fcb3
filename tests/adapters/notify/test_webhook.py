"""The webhook against a receiver that misbehaves and a resolver that lies."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from homeostat.adapters.notify.webhook import Webhook, WebhookSettings, build
from homeostat.base.decisions import Notice, Urgency
from homeostat.base.errors import NotifierError
from homeostat.base.units import TimeNs
from homeostat.testing.hostile import HostileServer, always, hostile_server, never, response
from homeostat.testing.notifier import NASTY, NOTICES, check_notifier

SECRET = b"0123456789abcdef0123456789abcdef"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(SECRET + b"\n")
    return path


class Outside:
    """Resolver, sleep and clock under the test's control."""

    def __init__(self, *addresses: Sequence[str]) -> None:
        self.answers = list(addresses) or [["127.0.0.1"]]
        self.asked: list[tuple[str, int]] = []
        self.slept: list[float] = []

    async def resolve(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return list(answer)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def wall(self) -> float:
        return 1_800_000_000.7


def webhook(url: str, secret: Path, outside: Outside | None = None, **more: object) -> Webhook:
    outside = outside or Outside()
    settings = WebhookSettings.model_validate(
        {"url": url, "secret_file": secret, "timeout_s": 30.0, "deadline_s": 300.0} | more
    )
    return build(settings, resolve=outside.resolve, sleep=outside.sleep, wall=outside.wall)


def listed(server: HostileServer, host: str = "hooks.example") -> dict[str, Any]:
    return {"allow": (f"{host}:{server.port}",)}


def url(server: HostileServer, host: str = "hooks.example") -> str:
    return f"http://{host}:{server.port}/in?a=1"


def split(request: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return first, headers, body


async def test_it_keeps_the_promises_of_a_notifier(secret: Path) -> None:
    async with hostile_server(always(response(b"", status=204))) as server:
        make: Callable[[], Webhook] = lambda: webhook(url(server), secret, **listed(server))  # noqa: E731
        got = await check_notifier(make, delivered=lambda: server.requests)
    event = json.loads(split(got[-1])[2])
    assert event["data"]["title"] == NASTY
    assert len({split(request)[1]["idempotency-key"] for request in got}) == len(NOTICES)


async def test_a_notice_is_a_signed_cloud_event_sent_to_the_checked_address(secret: Path) -> None:
    outside = Outside()
    async with hostile_server(always(response(b""))) as server:
        hook = webhook(url(server), secret, outside, **listed(server))
        await hook.notify(NOTICES[0])
        await hook.close()
    first, headers, body = split(server.requests[0])
    assert first == "POST /in?a=1 HTTP/1.1"
    assert headers["host"] == f"hooks.example:{server.port}"
    assert headers["content-type"].startswith("application/cloudevents+json")
    assert headers["x-homeostat-timestamp"] == "1800000000"
    expected = hmac.new(SECRET, b"1800000000." + body, hashlib.sha256).hexdigest()
    assert headers["x-homeostat-signature"] == f"v1={expected}"
    event = json.loads(body)
    assert event["id"] == headers["idempotency-key"]
    assert {k: event[k] for k in ("specversion", "type", "source", "subject", "time")} == {
        "specversion": "1.0",
        "type": "dev.homeostat.decision.v1",
        "source": "/homeostat/deployments/credit",
        "subject": "i-0001",
        "time": "2027-01-15T08:00:00+00:00",
    }
    assert event["data"]["lines"] == ["3 rounds failed", "restarting it"]
    assert outside.asked == [("hooks.example", server.port)]


async def test_a_retry_repeats_the_same_event_after_a_growing_jittered_pause(secret: Path) -> None:
    answers = [500, 429, 503, 200]

    async def respond(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(response(b"", status=answers.pop(0)))

    outside = Outside()
    async with hostile_server(respond) as server:
        hook = webhook(url(server), secret, outside, backoff_s=1.0, **listed(server))
        await hook.notify(NOTICES[0])
        await hook.close()
    assert len(server.requests) == 4
    assert len({split(request)[2] for request in server.requests}) == 1
    assert len({split(request)[1]["idempotency-key"] for request in server.requests}) == 1
    assert all(0.0 <= pause <= top for pause, top in zip(outside.slept, (1, 2, 4), strict=True))
    assert len(outside.asked) == 4  # every attempt resolves and checks again


async def test_a_server_may_ask_for_a_longer_pause(secret: Path) -> None:
    answers = [response(b"", status=503, extra="retry-after: 7\r\n"), response(b"")]

    async def respond(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answers.pop(0))

    outside = Outside()
    async with hostile_server(respond) as server:
        hook = webhook(url(server), secret, outside, **listed(server))
        await hook.notify(NOTICES[0])
        await hook.close()
    assert outside.slept == [7.0]


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 410, 422])
async def test_a_refusal_or_redirect_is_not_repeated_nor_followed(
    secret: Path, status: int
) -> None:
    answer = response(b"", status=status, extra="location: http://169.254.169.254/\r\n")
    async with hostile_server(always(answer)) as server:
        hook = webhook(url(server), secret, **listed(server))
        with pytest.raises(NotifierError, match=str(status)):
            await hook.notify(NOTICES[0])
        await hook.close()
    assert len(server.requests) == 1


async def test_attempts_end_and_the_error_names_the_place_and_no_secret(secret: Path) -> None:
    async with hostile_server(always(response(b"", status=500))) as server:
        hook = webhook(url(server), secret, attempts=3, **listed(server))
        with pytest.raises(NotifierError, match=r"hooks\.example:\d+: status 500") as caught:
            await hook.notify(NOTICES[0])
        await hook.close()
    assert len(server.requests) == 3
    assert SECRET.decode() not in str(caught.value)


async def test_retries_share_a_budget_over_all_notices(secret: Path) -> None:
    async with hostile_server(always(response(b"", status=500))) as server:
        hook = webhook(url(server), secret, attempts=4, **listed(server))
        for _ in range(10):
            with pytest.raises(NotifierError):
                await hook.notify(NOTICES[0])
        await hook.close()
    assert len(server.requests) == 10 + 10  # one try each, and ten retries among them


async def test_a_silent_receiver_costs_the_deadline_and_no_more(secret: Path) -> None:
    async with hostile_server(never) as server:
        hook = webhook(
            url(server), secret, timeout_s=0.1, deadline_s=0.25, attempts=9, **listed(server)
        )
        loop = asyncio.get_running_loop()
        started = loop.time()
        with pytest.raises(NotifierError, match=r"no notice within 0\.25 s"):
            await hook.notify(NOTICES[0])
        assert loop.time() - started < 1.0
        await hook.close()


async def test_an_endless_answer_is_not_read(secret: Path) -> None:
    async def pour(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 4096)
            await writer.drain()

    async with hostile_server(pour) as server:
        hook = webhook(url(server), secret, timeout_s=50.0, **listed(server))
        await asyncio.wait_for(hook.notify(NOTICES[0]), 60.0)
        await hook.close()


@pytest.mark.parametrize(
    "answer",
    [["169.254.169.254"], ["127.0.0.1"], ["10.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["::1"]],
)
async def test_a_name_that_leads_inside_is_refused_by_any_of_its_addresses(
    secret: Path, answer: list[str]
) -> None:
    hook = webhook("https://inner.example/", secret, Outside(answer))
    with pytest.raises(NotifierError, match="refused"):
        await hook.notify(NOTICES[0])
    await hook.close()


async def test_metadata_stays_refused_when_the_host_is_listed(secret: Path) -> None:
    hook = webhook(
        "http://meta.example/", secret, Outside(["169.254.169.254"]), allow=("meta.example:80",)
    )
    with pytest.raises(NotifierError, match="metadata"):
        await hook.notify(NOTICES[0])
    await hook.close()


async def test_a_name_that_changes_between_check_and_retry_is_checked_again(secret: Path) -> None:
    outside = Outside(["127.0.0.1"], ["169.254.169.254"])
    async with hostile_server(always(response(b"", status=500))) as server:
        hook = webhook(url(server), secret, outside, **listed(server))
        with pytest.raises(NotifierError, match="metadata"):
            await hook.notify(NOTICES[0])
        await hook.close()
    assert len(server.requests) == 1


async def test_another_port_needs_the_list(secret: Path) -> None:
    hook = webhook("https://public.example:8080/", secret, Outside(["93.184.216.34"]))
    with pytest.raises(NotifierError, match=r"port 8080.*public\.example:8080"):
        await hook.notify(NOTICES[0])
    await hook.close()


async def test_what_is_not_encrypted_needs_the_list(secret: Path) -> None:
    outside = Outside(["93.184.216.34"])
    hook = webhook("http://public.example/", secret, outside)
    with pytest.raises(NotifierError, match=r"write https.*public\.example:80"):
        await hook.notify(NOTICES[0])
    await hook.close()
    assert outside.slept == []  # nothing that would pass


async def test_a_rotated_secret_signs_the_next_notice(secret: Path) -> None:
    async with hostile_server(always(response(b""))) as server:
        hook = webhook(url(server), secret, **listed(server))
        await hook.notify(NOTICES[0])
        await asyncio.to_thread(secret.write_bytes, b"another secret, long enough")
        await hook.notify(NOTICES[0])
        await hook.close()
    first, second = (split(r)[1]["x-homeostat-signature"] for r in server.requests)
    assert first != second


def test_a_short_or_missing_secret_fails_when_it_is_built(tmp_path: Path) -> None:
    short = tmp_path / "short"
    short.write_bytes(b"too short\n")
    with pytest.raises(NotifierError, match="9 bytes"):
        webhook("http://h/", short)
    with pytest.raises(NotifierError, match="No such file"):
        webhook("http://h/", tmp_path / "none")


async def test_less_urgent_notices_are_not_sent(secret: Path) -> None:
    outside = Outside()
    hook = webhook("http://h.example/", secret, outside)
    await hook.notify(
        Notice(key="i", deployment="m", at=TimeNs(1), urgency=Urgency.INFO, title="fyi")
    )
    await hook.close()
    assert outside.asked == []


@pytest.mark.parametrize(
    "bad",
    [
        "file:///etc/passwd", "gopher://h/", "//h/", "http://", "http://u:p@h/", "http://u@h/",
        "http://h\\@evil/", "http://h/ x", "http://h/\r\nx: y", "http://h/#f", "http://h:x/",
        "http://h:70000/", "h.example/in",
    ],
)  # fmt: skip
def test_addresses_that_are_none_are_refused(bad: str, secret: Path) -> None:
    with pytest.raises(ValidationError, match="url"):
        webhook(bad, secret)
