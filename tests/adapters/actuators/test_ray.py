"""What the Ray Serve actuator sends, what it leaves alone, and what it makes of each answer."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

sys.path.insert(0, str(Path(__file__).parent))
import ray_fake as fake
from ray_server import TOKEN
from ray_targets import PATHS, head, written
from ray_ways import CODE, Ways, batch, config, model, play

from homeostat.adapters.actuators.ray import RayActuator, RayConfig
from homeostat.base.errors import ActuatorError
from homeostat.base.intent import Intent, Receipt, ReceiptStatus
from homeostat.base.units import SECOND, TimeNs, ns
from homeostat.base.world import Levers, ReplicaState, Snapshot

NOW = TimeNs(1_000 * SECOND)
SCALED = {"min_replicas": 2, "max_replicas": 6}


class Stage:
    """A stand-in that is served, and actuators pointed at it."""

    def __init__(self, served: fake.Head, port: int, folder: Path) -> None:
        self.head, self._port, self._token = served, port, written(folder)

    def actuator(self, **changes: Any) -> RayActuator:
        base: dict[str, Any] = {
            "url": f"http://127.0.0.1:{self._port}",
            "application": "chat",
            "deployment": "Model",
            "token_file": self._token,
            "settle_s": 0.05,
            **PATHS,
        }
        return RayActuator(RayConfig(**(base | changes)))

    async def read(self, **changes: Any) -> Snapshot:
        made = self.actuator(**changes)
        try:
            return await made.read("m", NOW)
        finally:
            await made.close()

    async def apply(
        self, post: Levers, *, pre: Levers = (), undo: bool = False, left_s: float = 2.0
    ) -> Receipt:
        made = self.actuator()
        told = Intent(
            id="d-2.0.0",
            action_id="d-2",
            deployment="m",
            actuator="ray",
            epoch=3,
            stage=0,
            pre=pre,
            post=post,
            token=None,
            evidence_at=NOW,
            deadline=TimeNs(NOW + ns(left_s)),
            undo=undo,
        )
        try:
            return await made.apply(told, NOW)
        finally:
            await made.close()

    @property
    def sent(self) -> list[dict[str, Any]]:
        return self.head.puts[1:]


@contextmanager
def staged(
    folder: Path, told: Mapping[str, Any] | None = None, *, settle: bool = True, **changes: Any
) -> Iterator[Stage]:
    served = head(loop_s=0.02, start_s=0.04, **changes)
    if told is not None:
        assert served.put(dict(told))[0] == 200
    if settle:
        served.settle()
    with fake.serving(served) as port:
        yield Stage(served, port, folder)


@pytest.mark.live
@pytest.mark.slow
def test_the_stand_in_does_what_a_real_ray_was_held_to() -> None:
    with fake.serving(head()) as port:
        play(Ways(f"http://127.0.0.1:{port}", TOKEN, 8000))


async def test_a_reading_has_the_replicas_that_run_and_what_was_asked_for(tmp_path: Path) -> None:
    with staged(tmp_path, config(model(num_replicas=2))) as stage:
        world = await stage.read(batch_wait_ms="batching.wait")
    assert world.levers == (("batch_max", 4), ("concurrency_max", 8), ("replicas.a", 2))
    assert [one.state for one in world.replicas] == [ReplicaState.READY] * 2
    assert not world.changing
    stamp = world.stamp("ray")
    assert stamp is not None
    assert (stamp.token, stamp.intent, stamp.epoch) == (None, None, None)


async def test_one_thing_changes_and_all_else_is_sent_back_word_for_word(tmp_path: Path) -> None:
    told = config(model(rolling=1, user_config=batch(4) | {"deep": {"list": [1, 2.5, None]}}))
    told["applications"][0] |= {"runtime_env": {"env_vars": {"KEY": "s3cret"}}, "args": {"x": 1}}
    with staged(tmp_path, told | {"target_capacity": 100}) as stage:
        before = stage.head.get()
        receipt = await stage.apply((("batch_max", 8),), pre=(("batch_max", 4),))
        after = stage.head.get()
        neighbour = after["applications"]["other0"]
    assert receipt.status is ReceiptStatus.DONE, receipt
    (sent,) = stage.sent
    expected = {name: app["deployed_app_config"] for name, app in before["applications"].items()}
    expected["chat"]["deployments"][0]["user_config"]["batching"]["max_batch_size"] = 8
    assert sent.pop("applications") == list(expected.values())
    around = ("proxy_location", "http_options", "grpc_options", "target_capacity")
    assert sent == {key: before[key] for key in around}
    slots = [one["replica_id"] for one in neighbour["deployments"]["Model"]["replicas"]]
    was = before["applications"]["other0"]["deployments"]["Model"]["replicas"]
    assert slots == [one["replica_id"] for one in was]
    assert after["applications"]["chat"]["deployments"]["Model"]["target_num_replicas"] == 1


async def test_settings_of_the_code_are_levers_once_the_deployment_is_listed(
    tmp_path: Path,
) -> None:
    with staged(tmp_path, config({"name": "Model"})) as stage:
        world = await stage.read()
        assert world.levers == (("concurrency_max", 5), ("replicas.a", 1))  # no batch is written
        receipt = await stage.apply((("concurrency_max", 9),))
        assert receipt.status is ReceiptStatus.DONE
        assert stage.sent[0]["applications"][0]["deployments"] == [
            {"name": "Model", "max_ongoing_requests": 9}
        ]


async def test_a_yes_is_not_done_before_it_is_in_force_nor_carried_out_before_replicas_run(
    tmp_path: Path,
) -> None:
    with staged(tmp_path, config()) as stage:
        stage.head.start_s = 0.5
        made = stage.actuator()
        receipt = await stage.apply((("replicas.a", 3),))
        assert receipt.status is ReceiptStatus.DONE
        world = await made.read("m", NOW)
        assert stage.head.get()["applications"]["chat"]["status"] == "RUNNING"  # and yet:
        assert world.changing
        assert [one.state for one in world.replicas].count(ReplicaState.READY) == 1
        stage.head.settle()
        assert not (await made.read("m", NOW)).changing
        stage.head.apps["chat"].status = "DEPLOYING"  # new code is built: the old one serves on
        assert (await made.read("m", NOW)).changing
        await made.close()


async def test_what_stands_there_already_is_done_and_sends_nothing(tmp_path: Path) -> None:
    with staged(tmp_path, config()) as stage:
        for post in ((("batch_max", 4),), ()):
            assert (await stage.apply(post)).status is ReceiptStatus.DONE
        assert stage.sent == []


async def test_a_value_that_somebody_else_changed_is_a_conflict(tmp_path: Path) -> None:
    with staged(tmp_path, config(model(num_replicas=3))) as stage:
        receipt = await stage.apply((("replicas.a", 2),), pre=(("replicas.a", 1),))
        assert (receipt.status, receipt.conflict) == (ReceiptStatus.NOT_APPLIED, True)
        assert stage.sent == []


async def test_an_autoscalers_floor_is_moved_up_to_its_ceiling(tmp_path: Path) -> None:
    scaled = {"name": "Model", "user_config": batch(4), "autoscaling_config": SCALED}
    with staged(tmp_path, config(scaled)) as stage:
        assert (await stage.read()).lever("replicas.a") == 2
        above = await stage.apply((("replicas.a", 7),))
        assert above.status is ReceiptStatus.NOT_APPLIED
        assert "max_replicas 6" in above.detail
        assert (await stage.apply((("replicas.a", 4),))).status is ReceiptStatus.DONE
        (sent,) = stage.sent
        assert sent["applications"][0]["deployments"] == [
            scaled | {"autoscaling_config": SCALED | {"min_replicas": 4}}
        ]
        stage.head.settle()
        assert len((await stage.read()).replicas) == 4


def unlisted() -> dict[str, Any]:
    told = config()
    told["applications"][0]["deployments"] = []
    return told


def outside() -> dict[str, Any]:
    told = config()
    told["applications"][0]["external_scaler_enabled"] = True
    return told


def begun(**more: Any) -> dict[str, Any]:
    return {"name": "Model", "user_config": batch(4), "autoscaling_config": SCALED | more}


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (unlisted(), "not listed under `deployments`"),
        (outside(), "scaled from outside"),
        (config() | {"target_capacity": 50.0}, "target_capacity"),
        (config(begun(initial_replicas=3)), "initial_replicas"),
    ],
)
async def test_where_a_write_would_do_more_than_asked_no_lever_is_reported(
    tmp_path: Path, told: dict[str, Any], said: str
) -> None:
    with staged(tmp_path, told) as stage:
        world = await stage.read()
        assert world.levers == ()
        assert world.replicas
        receipt = await stage.apply((("concurrency_max", 9),))
        assert receipt.status is ReceiptStatus.NOT_APPLIED
        assert said in receipt.detail
        assert stage.sent == []


async def test_an_application_of_serve_run_has_no_levers(tmp_path: Path) -> None:
    with staged(tmp_path, settle=False) as stage:
        stage.head.run("chat", CODE)
        stage.head.settle()
        assert (await stage.read()).levers == ()
        receipt = await stage.apply((("replicas.a", 2),))
    assert "not by serve.run" in receipt.detail


async def test_bounds_that_are_in_the_code_are_left_there(tmp_path: Path) -> None:
    with staged(tmp_path, settle=False) as stage:
        stage.head.code[CODE]["Model"]["autoscaling_config"] = fake.SCALER | SCALED
        stage.head.put(config({"name": "Model"}))
        stage.head.settle()
        assert (await stage.read()).levers == (("concurrency_max", 5),)
        receipt = await stage.apply((("replicas.a", 3),))
    assert "write autoscaling_config into the Serve config" in receipt.detail


@pytest.mark.parametrize("status", ["DEPLOYING", "DEPLOY_FAILED", "NOT_STARTED"])
async def test_a_neighbour_that_is_being_deployed_is_not_sent_again_but_undo_does_not_wait(
    tmp_path: Path, status: str
) -> None:
    with staged(tmp_path, config()) as stage:
        stage.head.apps["other0"].status = status
        receipt = await stage.apply((("batch_max", 8),))
        assert receipt.status is ReceiptStatus.NOT_APPLIED
        assert f"'other0' is {status}" in receipt.detail
        undone = await stage.apply((("batch_max", 8),), undo=True)
        assert undone.status is ReceiptStatus.DONE


async def test_an_application_that_cannot_be_read_is_not_deleted(tmp_path: Path) -> None:
    with staged(tmp_path, config()) as stage:
        stage.head.apps["other0"].config = None
        for undo in (False, True):
            receipt = await stage.apply((("batch_max", 8),), undo=undo)
            assert receipt.status is ReceiptStatus.NOT_APPLIED
            assert "a write would delete it" in receipt.detail
        stage.head.apps["other0"].source = "imperative"  # of serve.run: no PUT touches it
        assert (await stage.apply((("batch_max", 8),))).status is ReceiptStatus.DONE
        assert "other0" in stage.head.get()["applications"]


async def test_what_is_being_deleted_is_not_brought_back(tmp_path: Path) -> None:
    with staged(tmp_path, config()) as stage:
        stage.head.apps["other0"].status = "DELETING"
        assert (await stage.apply((("batch_max", 8),))).status is ReceiptStatus.DONE
        assert [one["name"] for one in stage.sent[0]["applications"]] == ["chat"]


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (400, ReceiptStatus.NOT_APPLIED),
        (307, ReceiptStatus.NOT_APPLIED),
        (403, ReceiptStatus.NOT_APPLIED),
        (500, ReceiptStatus.UNKNOWN),
        (503, ReceiptStatus.UNKNOWN),
    ],
)
async def test_a_refusal_is_believed_if_the_configuration_agrees_and_quotes_nothing(
    tmp_path: Path, status: int, result: ReceiptStatus
) -> None:
    with staged(tmp_path, config()) as stage:
        stage.head.answers["PUT"] = (status, b"http://169.254.169.254/s3cret")
        receipt = await stage.apply((("batch_max", 8),))
    assert receipt.status is result
    assert f"status {status}" in receipt.detail
    assert "s3cret" not in receipt.detail


async def test_a_yes_without_an_effect_is_unknown(tmp_path: Path) -> None:
    with staged(tmp_path, config()) as stage:
        stage.head.answers["PUT"] = (200, b"")
        receipt = await stage.apply((("batch_max", 8),), left_s=0.3)
    assert receipt.status is ReceiptStatus.UNKNOWN


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"hello", "no JSON"),
        (b"[]", "no object"),
        (b"{}", "applications"),
        (b'{"applications": {}}', "no application 'chat'; there: none"),
        (b'{"applications": {"chat": {"status": "RUNNING"}}}', "no deployment 'Model'"),
        (b"[" * 100_000, "no JSON"),
    ],
)
async def test_an_answer_that_is_none_is_an_error_that_names_the_place(
    tmp_path: Path, answer: bytes, said: str
) -> None:
    with staged(tmp_path, config()) as stage:
        stage.head.answers["GET"] = (200, answer)
        with pytest.raises(ActuatorError, match=r"ray: Ray at http://127") as caught:
            await stage.read()
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        (("user_config", "batching", "max_batch_size"), "s3cret", "user_config.batching.max"),
        (("user_config", "batching", "max_batch_size"), True, "user_config.batching.max"),
        (("user_config", "batching", "max_batch_size"), 2.5, "user_config.batching.max"),
        (("max_ongoing_requests",), "s3cret", "concurrency_max"),
        (("num_replicas",), -1, "replicas.a"),
    ],
)
async def test_a_setting_that_is_no_number_is_an_error_that_quotes_nothing(
    tmp_path: Path, where: tuple[str, ...], value: Any, said: str
) -> None:
    with staged(tmp_path, config()) as stage:
        said_of = stage.head.get()
        inner = said_of["applications"]["chat"]["deployed_app_config"]["deployments"][0]
        for key in where[:-1]:
            inner = inner[key]
        inner[where[-1]] = value
        stage.head.answers["GET"] = (200, json.dumps(said_of).encode())
        with pytest.raises(ActuatorError) as caught:
            await stage.read()
    assert said in str(caught.value)
    assert "s3cret" not in str(caught.value)


async def test_a_state_that_nobody_knows_is_an_error_and_odd_answers_quote_no_secret(
    tmp_path: Path,
) -> None:
    with staged(tmp_path, config()) as stage:
        said = stage.head.get()
        part = said["applications"]["chat"]["deployments"]["Model"]
        part["replicas"][0]["state"] = "DREAMING"
        stage.head.answers["GET"] = (200, json.dumps(said).encode())
        with pytest.raises(ActuatorError, match="'DREAMING', none of STARTING"):
            await stage.read()
        part["replicas"] = {"KEY": "s3cret"}
        stage.head.answers["GET"] = (200, json.dumps(said).encode())
        with pytest.raises(ActuatorError) as caught:
            await stage.read()
    assert "replicas" in str(caught.value)
    assert "s3cret" not in str(caught.value)


async def test_who_asks_is_told_from_a_file_and_never_shown(tmp_path: Path) -> None:
    with staged(tmp_path, config()) as stage:
        with pytest.raises(ActuatorError, match="401: it wants a token"):
            await stage.read(token_file=None)
        wrong = tmp_path / "wrong"
        wrong.write_text("s3cret\n", encoding="utf-8")
        with pytest.raises(ActuatorError, match="403") as caught:
            await stage.read(token_file=wrong)
        assert "s3cret" not in str(caught.value)
        for text in (b"", b"two words", b"\xff", b"x" * 20_000):
            wrong.write_bytes(text)
            with pytest.raises(ActuatorError, match="token file"):
                await stage.read(token_file=wrong)
        with pytest.raises(ActuatorError, match="token file"):
            await stage.read(token_file=tmp_path / "none")


async def test_redirects_are_refused_and_other_pages_are_named(tmp_path: Path) -> None:
    with staged(tmp_path, config()) as stage:
        stage.head.answers["GET"] = (302, b"http://169.254.169.254/")
        with pytest.raises(ActuatorError, match="redirects are not followed"):
            await stage.read()
        stage.head.answers["GET"] = (404, b"")
        with pytest.raises(ActuatorError, match="write the dashboard's address"):
            await stage.read()


async def test_an_answer_without_end_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("homeostat.adapters.actuators._ray_api._ANSWER_MAX", 1000)
    with staged(tmp_path, config()) as stage, pytest.raises(ActuatorError, match="more than 1000"):
        await stage.read()


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"]
)
async def test_metadata_addresses_are_refused_whatever_name_leads_there(address: str) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["10.0.0.7", address]

    settings = RayConfig(url="http://ray-head:8265", application="chat", deployment="Model")
    made = RayActuator(settings, resolve=resolve)
    with pytest.raises(ActuatorError, match="metadata"):
        await made.read("m", NOW)
    await made.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "ray-head:8265"},
        {"url": "http://me:pass@ray-head:8265"},
        {"url": "ftp://ray-head"},
        {"url": "http://ray-head:8265?x=1"},
        {"token_file": "ray.token"},  # which anybody on the way to http://ray-head could read
        {"application": ""},
        {"deployment": ""},
        {"batch_max": "a..b"},
        {"batch_max": "__class__.x y"},
        {"read_timeout_s": float("nan")},
        {"settle_s": 0},
        {"token": "x"},
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    base = {"url": "http://ray-head:8265", "application": "chat", "deployment": "Model"}
    with pytest.raises(ValidationError):
        RayConfig(**(base | changes))
