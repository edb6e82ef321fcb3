"""What the Envoy actuator makes of each answer, and that it never trusts its own write."""

from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.adapters.actuators.envoy import STAMP_KEY, EnvoyActuator, EnvoyConfig
from homeostat.base.errors import ActuatorError
from homeostat.base.intent import Intent, Receipt, ReceiptStatus
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Snapshot

NOW = TimeNs(1_000 * SECOND)
LIMITS = tuple(f"circuit_breakers.{pool}.default.max_requests" for pool in "ab")


class FakeEnvoy:
    """The runtime page as Envoy keeps it: strings, no questions asked."""

    def __init__(self, **keys: str) -> None:
        self.keys = {key.replace("__", "."): value for key, value in keys.items()}
        self.writes = 0
        self.answer = httpx2.Response(200, text="OK\n")
        self.ignore = False
        self.fail: Exception | None = None

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            entries = {key: {"final_value": value} for key, value in self.keys.items()}
            return httpx2.Response(200, json={"entries": entries, "layers": []})
        self.writes += 1
        if not self.ignore:
            for key, value in request.url.params.items():
                if value:
                    self.keys[key] = value
                else:
                    self.keys.pop(key, None)
        if self.fail is not None:
            raise self.fail
        return self.answer


def intent(**changes: Any) -> Intent:
    base: dict[str, Any] = {
        "id": "d-2.0.0",
        "action_id": "d-2",
        "deployment": "m",
        "actuator": "envoy",
        "epoch": 3,
        "stage": 0,
        "pre": (("weight.b", 5),),
        "post": (("weight.b", 50),),
        "token": None,
        "evidence_at": NOW,
        "deadline": TimeNs(NOW + SECOND),
    }
    return Intent(**(base | changes))


async def applied(envoy: FakeEnvoy, **changes: Any) -> Receipt:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(envoy)) as client:
        actuator = EnvoyActuator(EnvoyConfig(url="http://envoy"), client=client)
        return await actuator.apply(intent(**changes), NOW)


async def seen(envoy: FakeEnvoy) -> Snapshot:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(envoy)) as client:
        actuator = EnvoyActuator(EnvoyConfig(url="http://envoy"), client=client)
        return await actuator.read("m", NOW)


async def test_a_write_is_done_when_the_read_back_shows_it_and_the_stamp_is_ours() -> None:
    envoy = FakeEnvoy(traffic__b="5")
    assert (await applied(envoy)).status is ReceiptStatus.DONE
    world = await seen(envoy)
    assert world.levers == (("gateway_limit", 0), ("weight.b", 50))
    stamp = world.stamp("envoy")
    assert stamp is not None
    assert (stamp.intent, stamp.epoch, stamp.token) == ("d-2.0.0", 3, None)


async def test_an_ok_without_an_effect_is_unknown() -> None:
    envoy = FakeEnvoy(traffic__b="5")
    envoy.ignore = True
    receipt = await applied(envoy)
    assert receipt.status is ReceiptStatus.UNKNOWN
    assert "'weight.b': 5" in receipt.detail


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (httpx2.Response(400, text="usage"), ReceiptStatus.NOT_APPLIED),
        (httpx2.Response(403, text="no"), ReceiptStatus.NOT_APPLIED),
        (httpx2.Response(503, text="later"), ReceiptStatus.UNKNOWN),
        (httpx2.Response(200, text="invalid"), ReceiptStatus.UNKNOWN),
        (httpx2.Response(200, text=""), ReceiptStatus.UNKNOWN),
    ],
)
async def test_a_text_error_is_an_error(answer: httpx2.Response, expected: ReceiptStatus) -> None:
    envoy = FakeEnvoy(traffic__b="5")
    envoy.ignore, envoy.answer = True, answer
    assert (await applied(envoy)).status is expected


@pytest.mark.parametrize("ignore", ["lost request", "lost answer"])
async def test_a_broken_connection_after_the_write_was_sent_is_unknown(ignore: str) -> None:
    envoy = FakeEnvoy(traffic__b="5")
    envoy.ignore, envoy.fail = ignore == "lost request", httpx2.ReadError("reset")
    assert (await applied(envoy)).status is ReceiptStatus.UNKNOWN


async def test_a_lever_that_somebody_moved_meanwhile_is_a_conflict_and_not_overwritten() -> None:
    envoy = FakeEnvoy(traffic__b="70")
    receipt = await applied(envoy)
    assert (receipt.status, receipt.conflict) == (ReceiptStatus.NOT_APPLIED, True)
    assert (envoy.writes, envoy.keys) == (0, {"traffic.b": "70"})


async def test_an_older_epoch_is_refused_as_far_as_looking_first_can_tell() -> None:
    envoy = FakeEnvoy(traffic__b="5")
    await applied(envoy, epoch=4, post=(), pre=())
    receipt = await applied(envoy, epoch=3)
    assert (receipt.status, receipt.conflict) == (ReceiptStatus.NOT_APPLIED, True)
    assert envoy.keys["traffic.b"] == "5"


async def test_a_foreign_write_makes_the_stamp_false_and_keeps_the_epoch() -> None:
    envoy = FakeEnvoy(traffic__b="5")
    await applied(envoy)
    envoy.keys["traffic.b"] = "7"
    stamp = (await seen(envoy)).stamp("envoy")
    assert stamp is not None
    assert (stamp.intent, stamp.epoch) == (None, 3)


async def test_the_limit_is_set_on_every_cluster_and_zero_takes_it_away() -> None:
    envoy = FakeEnvoy(traffic__b="5")
    limit = (("gateway_limit", 40),)
    assert (await applied(envoy, pre=(), post=limit)).status is ReceiptStatus.DONE
    assert {envoy.keys[key] for key in LIMITS} == {"40"}
    none = (("gateway_limit", 0),)
    assert (await applied(envoy, pre=limit, post=none)).status is ReceiptStatus.DONE
    assert not set(LIMITS) & set(envoy.keys)


async def test_different_limits_on_two_clusters_are_unreadable() -> None:
    with pytest.raises(ActuatorError, match="different limits"):
        await seen(FakeEnvoy(traffic__b="5", **{LIMITS[0].replace(".", "__"): "4"}))


@pytest.mark.parametrize("value", [None, "", "abc", "-1", "1.5", "٣", "NaN"])
async def test_a_weight_that_is_not_set_or_no_number_is_unreadable_and_never_zero(
    value: str | None,
) -> None:
    envoy = FakeEnvoy() if value is None else FakeEnvoy(traffic__b=value)
    with pytest.raises(ActuatorError, match=r"traffic\.b"):
        await seen(envoy)
    assert (await applied(envoy)).status is ReceiptStatus.NOT_APPLIED
    assert envoy.writes == 0


@pytest.mark.slow
@given(st.text(max_size=30))
async def test_no_text_in_the_stamp_is_taken_for_a_stamp_by_chance(text: str) -> None:
    stamp = (await seen(FakeEnvoy(traffic__b="5", **{STAMP_KEY.replace(".", "__"): text}))).stamp(
        "envoy"
    )
    assert stamp is not None
    assert stamp.intent is None


@pytest.mark.parametrize(
    "body", ["", "[]", "{}", '{"entries": []}', '{"entries": {"traffic.b": 1}}']
)
async def test_a_page_that_is_no_runtime_page_is_unreadable(body: str) -> None:
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, text=body))
    async with httpx2.AsyncClient(transport=transport) as client:
        actuator = EnvoyActuator(EnvoyConfig(url="http://envoy"), client=client)
        with pytest.raises(ActuatorError, match="http://envoy"):
            await actuator.read("m", NOW)
        receipt = await actuator.apply(intent(), NOW)
        assert receipt.status is ReceiptStatus.NOT_APPLIED
