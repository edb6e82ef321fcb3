"""What the process actuator makes of each answer of the host, and of none."""

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from homeostat.adapters.actuators.process import ProcessActuator, ProcessConfig
from homeostat.base.errors import ActuatorError
from homeostat.base.intent import Intent, Receipt, ReceiptStatus
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import ReplicaState

NOW = TimeNs(1_000 * SECOND)
STATE: dict[str, Any] = {
    "revision": 7,
    "epoch": 3,
    "intent": "d-1.0.0",
    "writer": "controller",
    "levers": {"replicas.a": 1, "batch_wait_ms": 5.0, "version.a": "v2"},
    "slots": [
        {
            "name": "a-1",
            "pool": "a",
            "version": None,
            "state": "gone",
            "incarnation": 2,
            "pid": 1,
            "port": 2,
            "started_at_ns": 5,
            "memory_bytes": None,
            "memory_limit_bytes": 9,
        }
    ],
    "releases": [{"pool": "a", "version": "v2", "since_ns": 4}],
    "spares": 1,
    "changing": False,
}
Answer = Callable[[httpx2.Request], httpx2.Response]


def intent(**changes: Any) -> Intent:
    base: dict[str, Any] = {
        "id": "d-2.0.0",
        "action_id": "d-2",
        "deployment": "m",
        "actuator": "process",
        "epoch": 3,
        "stage": 0,
        "pre": (("replicas.a", 1),),
        "post": (("replicas.a", 2),),
        "token": "7",
        "evidence_at": NOW,
        "deadline": TimeNs(NOW + SECOND),
    }
    return Intent(**(base | changes))


async def with_host(answer: Answer, use: Callable[[ProcessActuator], Any]) -> Any:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as client:
        return await use(ProcessActuator(ProcessConfig(url="http://host/"), client=client))


async def applied(answer: Answer, **changes: Any) -> Receipt:
    receipt = await with_host(answer, lambda actuator: actuator.apply(intent(**changes), NOW))
    assert isinstance(receipt, Receipt)
    assert receipt.intent_id == "d-2.0.0"
    return receipt


@pytest.mark.parametrize(
    ("status", "body", "expected", "conflict"),
    [
        (200, {"revision": 8}, ReceiptStatus.DONE, "no"),
        (200, {"revision": 8, "repeated": True}, ReceiptStatus.DONE, "no"),
        (200, {}, ReceiptStatus.UNKNOWN, "no"),
        (200, {"revision": "8"}, ReceiptStatus.UNKNOWN, "no"),
        (200, [], ReceiptStatus.UNKNOWN, "no"),
        (204, None, ReceiptStatus.UNKNOWN, "no"),
        (302, None, ReceiptStatus.UNKNOWN, "no"),
        (400, {"error": "no"}, ReceiptStatus.NOT_APPLIED, "no"),
        (403, {"error": "no"}, ReceiptStatus.NOT_APPLIED, "yes"),
        (404, "nothing here", ReceiptStatus.NOT_APPLIED, "no"),
        (409, {"error": "no"}, ReceiptStatus.NOT_APPLIED, "yes"),
        (422, {"error": "no"}, ReceiptStatus.NOT_APPLIED, "no"),
        (428, {"error": "no"}, ReceiptStatus.NOT_APPLIED, "no"),
        (408, None, ReceiptStatus.UNKNOWN, "no"),
        (500, {"error": "no"}, ReceiptStatus.UNKNOWN, "no"),
        (502, "bad gateway", ReceiptStatus.UNKNOWN, "no"),
        (507, {"error": "no"}, ReceiptStatus.UNKNOWN, "no"),
    ],
)
async def test_each_answer_proves_what_it_proves(
    status: int, body: Any, expected: ReceiptStatus, conflict: str
) -> None:
    receipt = await applied(lambda _: httpx2.Response(status, json=body))
    assert receipt.status is expected
    assert receipt.conflict is (conflict == "yes")
    assert receipt.token == ("8" if expected is ReceiptStatus.DONE else None)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx2.ConnectError("refused"), ReceiptStatus.NOT_APPLIED),
        (httpx2.ReadError("reset"), ReceiptStatus.UNKNOWN),
        (httpx2.WriteError("pipe"), ReceiptStatus.UNKNOWN),
        (httpx2.RemoteProtocolError("closed"), ReceiptStatus.UNKNOWN),
        (httpx2.ReadTimeout("slow"), ReceiptStatus.UNKNOWN),
    ],
)
async def test_only_a_connection_that_never_opened_means_that_nothing_was_sent(
    error: Exception, expected: ReceiptStatus
) -> None:
    def fail(_: httpx2.Request) -> httpx2.Response:
        raise error

    receipt = await applied(fail)
    assert receipt.status is expected
    assert not receipt.conflict


async def test_a_write_carries_token_epoch_intent_and_levers() -> None:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json={"revision": 8})

    await applied(answer)
    sent = seen[0]
    assert (sent.method, str(sent.url)) == ("PATCH", "http://host/v1/state")
    assert sent.headers["if-match"] == "7"
    assert sent.headers["x-homeostat-epoch"] == "3"
    assert sent.headers["x-homeostat-intent"] == "d-2.0.0"
    assert json.loads(sent.content) == {"levers": {"replicas.a": 2}}


async def test_a_claim_without_a_token_fits_any_revision_and_a_change_without_one_is_not_sent() -> (
    None
):
    seen: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.headers["if-match"])
        return httpx2.Response(200, json={"revision": 8})

    assert (await applied(answer, post=(), token=None)).status is ReceiptStatus.DONE
    assert (await applied(answer, post=(), token="6")).status is ReceiptStatus.DONE
    assert (await applied(answer, token=None)).status is ReceiptStatus.NOT_APPLIED
    assert seen == ["*", "6"]


async def test_nothing_is_sent_after_the_deadline() -> None:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json={"revision": 8})

    receipt = await applied(answer, deadline=NOW)
    assert receipt.status is ReceiptStatus.NOT_APPLIED
    assert seen == []


async def test_the_state_becomes_a_snapshot() -> None:
    world = await with_host(
        lambda _: httpx2.Response(200, json=STATE), lambda actuator: actuator.read("m", NOW)
    )
    assert (world.deployment, world.observed_at, world.spares, world.changing) == (
        "m",
        NOW,
        1,
        False,
    )
    assert world.levers == (("batch_wait_ms", 5.0), ("replicas.a", 1), ("version.a", "v2"))
    assert world.replicas[0].state is ReplicaState.GONE
    assert world.replicas[0].version is None
    stamp = world.stamp("process")
    assert (stamp.token, stamp.intent, stamp.epoch) == ("7", "d-1.0.0", 3)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@pytest.mark.slow
@given(st.sampled_from(sorted(STATE)), junk)
async def test_a_state_with_junk_in_it_is_a_snapshot_or_an_actuator_error(
    key: str, value: Any
) -> None:
    text = json.dumps(STATE | {key: value})

    async def read(actuator: ProcessActuator) -> None:
        try:
            await actuator.read("m", NOW)
        except ActuatorError:
            return

    await with_host(lambda _: httpx2.Response(200, text=text), read)


@pytest.mark.parametrize("key", sorted(set(STATE) - {"writer"}))
async def test_a_state_that_lacks_a_part_is_unreadable_and_never_a_default(key: str) -> None:
    short = {name: value for name, value in STATE.items() if name != key}
    with pytest.raises(ActuatorError, match="no state"):
        await with_host(
            lambda _: httpx2.Response(200, json=short), lambda actuator: actuator.read("m", NOW)
        )


@pytest.mark.parametrize("status", [204, 301, 404, 500, 503])
async def test_a_host_that_does_not_answer_200_is_unreadable(status: int) -> None:
    with pytest.raises(ActuatorError, match="http://host"):
        await with_host(lambda _: httpx2.Response(status), lambda actuator: actuator.read("m", NOW))


@pytest.mark.parametrize("settings", [{}, {"url": "host:80"}, {"url": "http://h", "x": 1}])
def test_settings_are_strict(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ProcessConfig(**settings)
