"""How Triton is asked to batch: one server after another, nothing loaded without a need."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

sys.path.insert(0, str(Path(__file__).parent))
import triton_fake as fake

from homeostat.adapters.actuators.triton import TritonConfig, build
from homeostat.base.errors import ActuatorError
from homeostat.base.intent import Intent, Receipt, ReceiptStatus
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Levers, ReplicaState, Snapshot

NOW = TimeNs(1_000 * SECOND)
FIRST = (("batch_max", 8), ("batch_wait_ms", 2.5))
TO_4 = (("batch_max", 4),)


def settings(*ports: int, **more: Any) -> TritonConfig:
    servers = {f"a-{n}": f"http://127.0.0.1:{port}" for n, port in enumerate(ports, start=1)}
    return TritonConfig(**{"servers": servers, "model": "fraud", "read_timeout_s": 20.0, **more})


async def read(config: TritonConfig) -> Snapshot:
    actuator = build(config)
    try:
        return await actuator.read("m", NOW)
    finally:
        await actuator.close()


async def apply(
    config: TritonConfig,
    post: Levers,
    *,
    pre: Levers = FIRST,
    within_s: float = 20.0,
    **more: Any,
) -> Receipt:
    actuator = build(config)
    base: dict[str, Any] = {
        "id": "d-2.0.0",
        "action_id": "d-2",
        "deployment": "m",
        "actuator": "triton",
        "epoch": 3,
        "stage": 0,
        "pre": tuple(one for one in pre if one[0] in dict(post)),
        "post": post,
        "token": None,
        "evidence_at": NOW,
        "deadline": TimeNs(NOW + int(within_s * SECOND)),
    }
    try:
        return await actuator.apply(Intent(**(base | more)), NOW)
    finally:
        await actuator.close()


async def test_the_levers_are_the_dynamic_batchers_and_replicas_are_the_servers() -> None:
    first, second = fake.Triton(), fake.Triton()
    second.as_text = True
    with fake.serving(first, second) as ports:
        world = await read(settings(*ports, metrics_port=8002))
    assert world.levers == FIRST
    assert [(one.name, one.state, one.address) for one in world.replicas] == [
        ("a-1", ReplicaState.READY, "127.0.0.1:8002"),
        ("a-2", ReplicaState.READY, "127.0.0.1:8002"),
    ]
    assert world.changing is False
    assert first.loads == second.loads == []


@pytest.mark.parametrize(
    "file",
    [
        {key: value for key, value in fake.config().items() if key != "dynamic_batching"},
        {"name": "fraud", "max_batch_size": 0, "dynamic_batching": {}},
        {"name": "fraud"},
    ],
)
async def test_what_triton_does_not_batch_has_no_levers(file: dict[str, Any]) -> None:
    with fake.serving(fake.Triton(file)) as ports:
        assert (await read(settings(*ports))).levers == ()
        receipt = await apply(settings(*ports), TO_4)
    assert receipt.status is ReceiptStatus.NOT_APPLIED


async def test_a_load_sends_the_whole_configuration_with_nothing_else_changed() -> None:
    triton = fake.Triton()
    with fake.serving(triton) as ports:
        receipt = await apply(settings(*ports), (*TO_4, ("batch_wait_ms", 5)))
        world = await read(settings(*ports))
    assert receipt.status is ReceiptStatus.DONE, receipt
    (sent,) = triton.loads
    assert sent is not None
    stamp = sent["parameters"].pop("homeostat.stamp")["string_value"]
    assert stamp.startswith("d-2.0.0|3|")
    assert sent == fake.config(size=4, delay_us=5000)
    assert world.levers == (("batch_max", 4), ("batch_wait_ms", 5.0))
    assert (world.stamps[0].intent, world.stamps[0].epoch) == ("d-2.0.0", 3)


async def test_a_claim_is_not_worth_a_reload() -> None:
    triton = fake.Triton()
    with fake.serving(triton) as ports:
        receipt = await apply(settings(*ports), ())
    assert receipt.status is ReceiptStatus.DONE
    assert triton.loads == []


async def test_an_older_controller_is_refused_once_a_newer_one_has_written() -> None:
    triton = fake.Triton()
    with fake.serving(triton) as ports:
        await apply(settings(*ports), TO_4)
        late = await apply(settings(*ports), FIRST[:1], pre=TO_4, epoch=2, id="d-1.0.0")
    assert (late.status, late.conflict) == (ReceiptStatus.NOT_APPLIED, True)
    assert len(triton.loads) == 1


async def test_half_of_the_servers_is_unknown_and_the_rest_can_follow() -> None:
    first, second = fake.Triton(), fake.Triton()
    second.refuse = "out of memory"
    with fake.serving(first, second) as ports:
        config = settings(*ports)
        receipt = await apply(config, TO_4)
        world = await read(config)
        assert receipt.status is ReceiptStatus.UNKNOWN
        assert "out of memory" in receipt.detail
        assert world.levers == (("batch_wait_ms", 2.5),)  # on the other one they differ
        assert world.stamps[0].intent is None
        again = await apply(config, TO_4)
        assert again.status is ReceiptStatus.DONE, again
        assert (await read(config)).stamps[0].intent == "d-2.0.0"
    assert len(first.loads) == 1  # not restarted for nothing
    assert len(second.loads) == 2


async def test_half_of_the_servers_can_be_taken_back() -> None:
    first, second = fake.Triton(), fake.Triton()
    second.refuse = "out of memory"
    with fake.serving(first, second) as ports:
        config = settings(*ports)
        await apply(config, TO_4)
        undo = await apply(config, FIRST[:1], pre=TO_4, id="d-2.0.0.undo", undo=True)
        assert undo.status is ReceiptStatus.DONE, undo
        assert (await read(config)).levers == FIRST


async def test_what_the_first_server_refuses_is_not_applied_anywhere() -> None:
    first, second = fake.Triton(), fake.Triton()
    first.refuse = "out of memory"
    with fake.serving(first, second) as ports:
        receipt = await apply(settings(*ports), TO_4)
        assert (await read(settings(*ports))).levers == FIRST
    assert receipt.status is ReceiptStatus.NOT_APPLIED
    assert "out of memory" in receipt.detail
    assert second.loads == []


async def test_a_preferred_size_above_the_maximum_is_tritons_to_refuse() -> None:
    file = fake.config()
    file["dynamic_batching"]["preferred_batch_size"] = [8]
    with fake.serving(fake.Triton(file)) as ports:
        receipt = await apply(settings(*ports), TO_4)
    assert receipt.status is ReceiptStatus.NOT_APPLIED
    assert "preferred size must be <= max batch size" in receipt.detail


@pytest.mark.parametrize("state", ["LOADING", "UNLOADING", "UNAVAILABLE"])
async def test_nothing_is_loaded_while_one_does_not_serve(state: str) -> None:
    first, second = fake.Triton(), fake.Triton()
    second.state = state
    with fake.serving(first, second) as ports:
        receipt = await apply(settings(*ports), TO_4)
        world = await read(settings(*ports))
    assert receipt.status is ReceiptStatus.NOT_APPLIED
    assert "a-2 does not serve" in receipt.detail
    assert first.loads == second.loads == []
    assert world.changing is (state != "UNAVAILABLE")
    assert world.replicas[1].state is not ReplicaState.READY


async def test_what_is_not_loaded_is_gone_and_has_no_levers() -> None:
    triton = fake.Triton()
    triton.unload()
    with fake.serving(triton) as ports:
        world = await read(settings(*ports))
    assert world.levers == ()
    assert [one.state for one in world.replicas] == [ReplicaState.GONE]


async def test_a_triton_without_explicit_control_says_so() -> None:
    with fake.serving(fake.Triton(explicit=False)) as ports:
        receipt = await apply(settings(*ports), TO_4)
    assert receipt.status is ReceiptStatus.NOT_APPLIED
    assert "explicit model load / unload is not allowed" in receipt.detail


@pytest.mark.parametrize("status", [302, 500, 502, 503, 504])
async def test_what_something_in_between_says_proves_nothing(status: int) -> None:
    triton = fake.Triton()
    triton.status = status
    with fake.serving(triton) as ports:
        receipt = await apply(settings(*ports), TO_4)
    assert receipt.status is ReceiptStatus.UNKNOWN, receipt


async def test_a_load_that_outlasts_the_deadline_is_unknown_and_is_found_later() -> None:
    triton = fake.Triton()
    triton.load_s = 1.0
    with fake.serving(triton) as ports:
        receipt = await apply(settings(*ports), TO_4, within_s=0.5)
        assert receipt.status is ReceiptStatus.UNKNOWN
        await asyncio.sleep(1.0)
        world = await read(settings(*ports))
    assert world.stamps[0].intent == "d-2.0.0"
    assert dict(world.levers)["batch_max"] == 4


async def test_a_load_from_the_file_is_somebody_elses_write() -> None:
    triton = fake.Triton()
    with fake.serving(triton) as ports:
        await apply(settings(*ports), TO_4)
        triton.load(None)
        world = await read(settings(*ports))
    assert (world.levers, world.stamps[0].intent) == (FIRST, None)


async def test_a_restricted_repository_is_opened_by_its_key(tmp_path: Path) -> None:
    triton = fake.Triton()
    triton.key = "a-secret-of-the-platform"
    key = tmp_path / "triton.key"
    with fake.serving(triton) as ports:
        with pytest.raises(ActuatorError, match="403"):
            await read(settings(*ports))
        config = settings(*ports, key_header="admin-key", key_file=key)
        with pytest.raises(ActuatorError, match=r"triton\.key cannot be read"):
            await read(config)
        key.write_text("a\nb", encoding="utf-8")
        with pytest.raises(ActuatorError, match="no line of plain letters"):
            await read(config)
        key.write_text(f"{triton.key}\n", encoding="utf-8")
        assert (await apply(config, TO_4)).status is ReceiptStatus.DONE


@pytest.mark.parametrize(
    "broken",
    [
        {"name": "other"},
        {"name": "fraud", "max_batch_size": -1},
        {"name": "fraud", "max_batch_size": True},
        {"name": "fraud", "max_batch_size": float("nan"), "dynamic_batching": {}},
        {"name": "fraud", "max_batch_size": "٣", "dynamic_batching": {}},
        {"name": "fraud", "max_batch_size": 4, "dynamic_batching": {fake.DELAY: [1]}},
    ],
)
async def test_a_configuration_that_makes_no_sense_is_an_error(broken: Mapping[str, Any]) -> None:
    triton = fake.Triton()
    triton.loaded = dict(broken)
    with fake.serving(triton) as ports, pytest.raises(ActuatorError, match="a-1"):
        await read(settings(*ports))


async def test_a_model_that_is_in_no_repository_is_an_error() -> None:
    with (
        fake.serving(fake.Triton()) as ports,
        pytest.raises(ActuatorError, match="its repository has no model 'chat'"),
    ):
        await read(settings(*ports, model="chat"))


@pytest.mark.parametrize(
    "address",
    ["http://169.254.169.254:8000", "http://[::ffff:169.254.169.254]:8000", "http://0.0.0.0:8000"],
)
async def test_addresses_of_a_clouds_credentials_are_refused(address: str) -> None:
    with pytest.raises(ActuatorError, match="is refused"):
        await read(TritonConfig(servers={"a-1": address}, model="fraud"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"servers": {}},
        {"servers": {"a/1": "http://127.0.0.1:8000"}},
        {"servers": {"a-1": "127.0.0.1:8000"}},
        {"servers": {"a-1": "http://user:word@127.0.0.1:8000"}},
        {"model": "../fraud"},
        {"model": ""},
        {"key_header": "admin key"},
        {"servers": {"a-1": "http://10.0.0.1:8000"}, "key_file": "triton.key"},  # said aloud
        {"servers": {"a-1": "http://127.0.0.1:8000?a=1"}},
        {"metrics_port": 0},
        {"unknown": 1},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    base = {"servers": {"a-1": "http://127.0.0.1:8000"}, "model": "fraud"}
    with pytest.raises(ValidationError):
        TritonConfig(**(base | wrong))


def test_the_stand_in_keeps_what_is_loaded_when_a_load_fails() -> None:
    triton = fake.Triton()
    said = {"parameters": {"config": json.dumps({"name": "fraud", "batch": 1})}}
    status, answer = triton.load(said)
    assert status == 400
    assert "Cannot find field: batch" in answer["error"]
    assert triton.loaded == fake.config()
