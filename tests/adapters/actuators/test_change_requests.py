"""What the webhook actuator sends, where it refuses to, and what it makes of each answer."""

import asyncio
import hashlib
import hmac
import importlib.util
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import ValidationError

sys.path.insert(0, str(Path(__file__).parent))
from webhook_server import EXAMPLE, LEVERS, SECRET, Receiver, running_receiver

from homeostat.adapters.actuators.webhook import WebhookActuator, WebhookConfig
from homeostat.adapters.actuators.webhook import event as event_of
from homeostat.base.errors import ActuatorError
from homeostat.base.intent import Intent, Receipt, ReceiptStatus
from homeostat.base.units import SECOND, TimeNs, ns

NOW = TimeNs(1_000 * SECOND)
RANGES = {lever: {"low": low, "high": high} for lever, (_, low, high) in LEVERS.items()}


class FakeReceiver:
    """A receiver of one deployment that may be made to lie."""

    def __init__(self) -> None:
        self.levers: dict[str, Any] = {"replicas.a": 3, "weight.b": 5}
        self.intent: str | None = None
        self.epoch: int | None = None
        self.requests: list[httpx2.Request] = []
        self.status = 200
        self.obeys = True
        self.extra: dict[str, Any] = {}
        self.body: bytes | None = None

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        if request.method == "GET":
            said = {
                "deployment": "m",
                "levers": self.levers,
                "intent": self.intent,
                "epoch": self.epoch,
                **self.extra,
            }
            body = json.dumps(said).encode() if self.body is None else self.body
            return httpx2.Response(200, stream=httpx2.ByteStream(body))
        event = json.loads(request.content)
        if self.obeys:
            self.levers |= event["data"]["post"]
            self.intent, self.epoch = event["id"], event["data"]["epoch"]
        return httpx2.Response(self.status, stream=httpx2.ByteStream(b"{}"))

    @property
    def posts(self) -> list[httpx2.Request]:
        return [request for request in self.requests if request.method == "POST"]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "webhook.secret"
    file.write_text(f"{SECRET}\n", encoding="utf-8")
    return file


def actuator(secret: Path, fake: FakeReceiver, *addresses: str, **changes: Any) -> WebhookActuator:
    base: dict[str, Any] = {
        "url": "https://deploy.example/actions",
        "state": "https://deploy.example/state?of=m",
        "secret_file": secret,
        "levers": RANGES,
    }

    async def resolve(host: str, port: int) -> list[str]:
        return list(addresses or ("93.184.216.34",))

    made = WebhookActuator(WebhookConfig(**(base | changes)), resolve=resolve)
    made._client = httpx2.AsyncClient(transport=httpx2.MockTransport(fake))
    return made


def intent(**changes: Any) -> Intent:
    base: dict[str, Any] = {
        "id": "d-2.0.0",
        "action_id": "d-2",
        "deployment": "m",
        "actuator": "webhook",
        "epoch": 3,
        "stage": 0,
        "pre": (("replicas.a", 3),),
        "post": (("replicas.a", 4),),
        "token": None,
        "evidence_at": NOW,
        "deadline": TimeNs(NOW + ns(0.3)),
    }
    return Intent(**(base | changes))


async def applied(made: WebhookActuator, **changes: Any) -> Receipt:
    receipt = await made.apply(intent(**changes), NOW)
    await made.close()
    return receipt


async def test_one_signed_cloudevent_goes_to_the_checked_address(secret: Path) -> None:
    fake = FakeReceiver()
    assert (await applied(actuator(secret, fake))).status is ReceiptStatus.DONE
    (post,) = fake.posts
    assert (post.url.host, post.headers["host"]) == ("93.184.216.34", "deploy.example")
    assert post.headers["idempotency-key"] == "d-2.0.0"
    stamp = post.headers["x-homeostat-timestamp"]
    digest = hmac.new(SECRET.encode(), f"{stamp}.".encode() + post.content, hashlib.sha256)
    assert post.headers["x-homeostat-signature"] == f"v1={digest.hexdigest()}"
    said = json.loads(post.content)
    assert {key: said[key] for key in ("specversion", "type", "id", "source")} == {
        "specversion": "1.0",
        "type": "dev.homeostat.action.v1",
        "id": "d-2.0.0",
        "source": "/homeostat/deployments/m",
    }
    assert said["data"]["post"] == {"replicas.a": 4}
    assert said["data"]["pre"] == {"replicas.a": 3}
    get = fake.requests[0]
    stamp = get.headers["x-homeostat-timestamp"]
    digest = hmac.new(SECRET.encode(), f"{stamp}./state?of=m".encode(), hashlib.sha256)
    assert get.headers["x-homeostat-signature"] == f"v1={digest.hexdigest()}"


@pytest.mark.parametrize(
    ("addresses", "changes"),
    [
        (("10.0.0.1",), {}),
        (("93.184.216.34", "127.0.0.1"), {}),
        (("169.254.169.254",), {"allow": ("deploy.example:443",)}),
        (("64:ff9b::a9fe:a9fe",), {"allow": ("deploy.example:443",)}),
        ((), {"url": "http://deploy.example/", "state": "http://deploy.example/"}),
        ((), {"url": "https://deploy.example:8443/", "state": "https://deploy.example:8443/"}),
    ],
)
async def test_nothing_is_sent_where_nothing_may_be_sent(
    secret: Path, addresses: tuple[str, ...], changes: dict[str, Any]
) -> None:
    fake = FakeReceiver()
    assert (await applied(actuator(secret, fake, *addresses, **changes))).status is (
        ReceiptStatus.NOT_APPLIED
    )
    with pytest.raises(ActuatorError, match=r"allow|metadata"):
        await actuator(secret, fake, *addresses, **changes).read("m", NOW)
    assert fake.requests == []


async def test_a_secret_that_is_gone_or_short_sends_nothing(secret: Path) -> None:
    fake = FakeReceiver()
    made = actuator(secret, fake)
    await asyncio.to_thread(secret.write_text, "short", encoding="utf-8")
    with pytest.raises(ActuatorError, match="has 5 bytes"):
        await made.read("m", NOW)
    await asyncio.to_thread(secret.unlink)
    assert (await applied(made)).status is ReceiptStatus.NOT_APPLIED
    assert fake.requests == []


async def test_a_yes_that_the_state_does_not_bear_out_is_unknown(secret: Path) -> None:
    fake = FakeReceiver()
    fake.obeys = False
    for status in (200, 202):
        fake.status = status
        assert (await applied(actuator(secret, fake))).status is ReceiptStatus.UNKNOWN


@pytest.mark.parametrize(
    ("status", "obeys", "want", "conflict"),
    [
        (422, False, ReceiptStatus.NOT_APPLIED, False),
        (409, False, ReceiptStatus.NOT_APPLIED, True),
        (422, True, ReceiptStatus.UNKNOWN, False),  # said no, and did it
        (500, False, ReceiptStatus.UNKNOWN, False),
        (429, False, ReceiptStatus.UNKNOWN, False),
        (302, False, ReceiptStatus.UNKNOWN, False),
    ],
)
async def test_a_no_counts_only_if_the_state_agrees(
    secret: Path, *, status: int, obeys: bool, want: ReceiptStatus, conflict: bool
) -> None:
    fake = FakeReceiver()
    fake.status, fake.obeys = status, obeys
    receipt = await applied(actuator(secret, fake))
    assert (receipt.status, receipt.conflict) == (want, conflict)
    assert str(status) in receipt.detail


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"[]",
        b'{"levers": {}}',
        b'{"deployment": "other", "levers": {}, "intent": null, "epoch": null}',
        b'{"deployment": "m", "levers": {"replicas.a": NaN}, "intent": null, "epoch": null}',
        b'{"deployment": "m", "levers": {}, "intent": 7, "epoch": null}',
        b'{"deployment": "m", "levers": {}, "intent": null, "epoch": -1}',
        b"x" * (2 << 20),
        b"[" * 100_000,
    ],
    ids=lambda body: body[:24].decode() + f" {len(body)}",
)
async def test_a_state_that_is_none_is_an_error(secret: Path, body: bytes) -> None:
    fake = FakeReceiver()
    fake.body = body
    with pytest.raises(ActuatorError, match="webhook: https://deploy"):
        await actuator(secret, fake).read("m", NOW)


async def test_levers_that_are_not_ours_or_lie_between_steps_have_no_value(secret: Path) -> None:
    fake = FakeReceiver()
    fake.levers = {"replicas.a": 2.5, "weight.b": 7, "batch_max": 4}
    world = await actuator(secret, fake).read("m", NOW)
    assert world.levers == (("weight.b", 7),)
    receipt = await applied(actuator(secret, fake))
    assert receipt.status is ReceiptStatus.NOT_APPLIED
    assert "not to be read" in receipt.detail


async def test_replicas_are_told_with_the_state(secret: Path) -> None:
    fake = FakeReceiver()
    fake.extra = {
        "changing": True,
        "replicas": [
            {"name": "chat-7d.x", "pool": "a", "state": "ready", "address": "10.0.0.7:80"},
            {"name": "chat-0", "pool": "a", "state": "gone"},
        ],
    }
    world = await actuator(secret, fake).read("m", NOW)
    assert [one.name for one in world.replicas] == ["chat-0", "chat-7d.x"]
    assert world.changing
    fake.extra["replicas"][0]["state"] = "sleepy"
    with pytest.raises(ActuatorError, match=r"sleepy|state"):
        await actuator(secret, fake).read("m", NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "deploy.example"},
        {"url": "ftp://deploy.example/"},
        {"url": "https://user:secret@deploy.example/"},
        {"state": "https://deploy.example/#here"},
        {"levers": {}},
        {"levers": {"replicas.a": {"low": 5, "high": 1}}},
        {"levers": {"replicas.a": {"low": 1, "high": float("inf")}}},
        {"levers": {"replicas.a": {"low": 1, "high": 5, "step": 0}}},
        {"retries": 3},
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(
    secret: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError):
        actuator(secret, FakeReceiver(), **changes)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with running_receiver(tmp_path, "m") as running:
        yield running


@pytest.mark.live
async def test_the_example_receiver_lets_nobody_in_without_a_fresh_signature(
    receiver: Receiver,
) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{receiver.url}/state")).status_code == 401
        stamp = "1000"  # signed rightly, long ago
        digest = hmac.new(SECRET.encode(), f"{stamp}./state".encode(), hashlib.sha256)
        headers = {
            "x-homeostat-timestamp": stamp,
            "x-homeostat-signature": f"v1={digest.hexdigest()}",
        }
        assert (await client.get(f"{receiver.url}/state", headers=headers)).status_code == 401
        assert (await client.post(f"{receiver.url}/actions", content=b"{}")).status_code == 401


def example(levers: dict[str, tuple[float, float, float]]) -> Any:
    found = importlib.util.spec_from_file_location("example_receiver", EXAMPLE)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module.Service("m", levers)


def wanted(*, late_s: float = -60.0, pre: int = 3) -> dict[str, Any]:
    """Return what an action says whose deadline was that long ago."""
    event = json.loads(
        event_of(
            intent(pre=(("replicas.a", pre),), deadline=TimeNs(time.time_ns() - ns(late_s))), NOW
        )
    )
    data: dict[str, Any] = event["data"]
    return data


def test_the_example_receiver_carries_nothing_out_after_its_deadline() -> None:
    service = example({"replicas.a": (3, 1, 8)})
    status, said = service.ask("d-2.0.0", wanted(late_s=1.0))
    assert (status, service.live) == (410, {"replicas.a": 3})
    assert "deadline" in said
    assert service.ask("d-3.0.0", wanted())[0] == 200


def test_what_the_example_receiver_refused_once_does_not_come_true_later() -> None:
    service = example({"replicas.a": (5, 1, 8)})
    captured = wanted(pre=3)
    assert service.ask("d-2.0.0", captured)[0] == 409
    service.live["replicas.a"] = 3  # by now `pre` would fit
    assert service.ask("d-2.0.0", captured)[0] == 409
    assert service.live == {"replicas.a": 3}


@pytest.mark.parametrize(
    ("given", "value", "fits"),
    [
        ({"low": 0, "high": 1, "step": 0.1}, 0.3, True),
        ({"low": 0, "high": 1, "step": 0.1}, 0.7, True),
        ({"low": 0, "high": 1, "step": 0.1}, 0.35, False),
        ({"low": 0, "high": 1, "step": 0.1}, 0.3000001, False),
        ({"low": 1, "high": 9, "step": 2}, 3, True),
        ({"low": 1, "high": 9, "step": 2}, 2, False),
        ({"low": 1, "high": 9, "step": 2}, 11, False),
        ({"low": 0, "high": 1e9, "step": 0.01}, 123_456_789.01, True),
        ({"low": 0, "high": 1e9, "step": 0.01}, 123_456_789.015, False),
    ],
)
async def test_steps_count_from_the_lowest_value_and_decimals_are_decimals(
    secret: Path,
    given: dict[str, float],
    value: float,
    *,
    fits: bool,
) -> None:
    fake = FakeReceiver()
    fake.levers = {"w": given["low"]}
    made = actuator(secret, fake, levers={"w": given})
    receipt = await applied(made, pre=(("w", given["low"]),), post=(("w", value),))
    assert receipt.status is (ReceiptStatus.DONE if fits else ReceiptStatus.NOT_APPLIED), receipt
    fake.levers = {"w": value}
    made = actuator(secret, fake, levers={"w": given})
    world = await made.read("m", NOW)
    await made.close()
    assert (world.levers == (("w", value),)) is (fits or value == 11)


@pytest.mark.parametrize(
    "address", ["10.0.0.1:80/x?", "a@10.0.0.1:80", "10.0.0.1:80#", "http://x", "", "a b", "x:y"]
)
async def test_a_replicas_address_is_a_host_and_a_port(secret: Path, address: str) -> None:
    fake = FakeReceiver()
    slot = {"name": "a-1", "pool": "a", "state": "ready", "address": address}
    fake.extra = {"replicas": [slot]}
    made = actuator(secret, fake)
    with pytest.raises(ActuatorError, match="address"):
        await made.read("m", NOW)
    await made.close()
