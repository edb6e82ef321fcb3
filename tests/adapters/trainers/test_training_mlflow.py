"""What the MLflow trainer makes of a registry's answers, and of a registry that lies."""

import asyncio
import base64
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from pydantic import ValidationError

sys.path.insert(0, str(Path(__file__).parent))
from mlflow_fake import Mlflow, running_fake
from mlflow_pipeline import ALIAS, EXPERIMENT, MODEL, Pipeline
from training_orders import MARK, NOW, ORDER, Answers, client, resolve, resolve_inside

from homeostat.adapters.trainers._mlflow_api import MlflowConfig
from homeostat.adapters.trainers.mlflow import REASON, VERDICT, MlflowTrainer
from homeostat.base.errors import TrainerError
from homeostat.base.intent import ReceiptStatus
from homeostat.base.training import TrainingPhase
from homeostat.base.units import TimeNs, ns

TAG = {"key": f"homeostat.request.{ORDER.key}", "value": "{}"}
KEY = {"key": "homeostat.request", "value": ORDER.key}
HAS_TAG = {"registered_model": {"name": MODEL, "tags": [TAG]}}
LONG = replace(ORDER, deadline=TimeNs(NOW + ns(10.0)))


@pytest.fixture
def server() -> Iterator[tuple[str, Mlflow, Pipeline]]:
    with running_fake() as (url, mlflow):
        yield url, mlflow, Pipeline(url)


def trainer(url: str, **changes: Any) -> MlflowTrainer:
    settings: dict[str, Any] = {"model": MODEL, "experiment": EXPERIMENT, "alias": ALIAS}
    settings |= {"allow": (urlsplit(url).netloc,), "read_timeout_s": 1.0}
    return MlflowTrainer(MlflowConfig(url=url, **(settings | changes)))


def lied_to(answers: Answers, *, inside: bool = False, **changes: Any) -> MlflowTrainer:
    settings: dict[str, Any] = {"model": MODEL, "alias": ALIAS, "read_timeout_s": 0.5}
    config = MlflowConfig(url="https://mlflow.example/base", **(settings | changes))
    made = MlflowTrainer(config, resolve=resolve_inside if inside else resolve)
    made.registry.client = client(answers)
    return made


def version(number: str = "3", **changes: Any) -> dict[str, Any]:
    return {"name": MODEL, "version": number, "status": "READY", "tags": [KEY], **changes}


def registry(*versions: dict[str, Any]) -> Answers:
    def answer(request: httpx2.Request) -> tuple[int, Any]:
        path = request.url.path
        if path.endswith("registered-models/get"):
            return 200, HAS_TAG
        if path.endswith("model-versions/search"):
            return 200, {"model_versions": list(versions)}
        return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"}

    return Answers(answer)


async def test_the_way_of_an_order(server: tuple[str, Mlflow, Pipeline]) -> None:
    url, _, pipeline = server
    made = trainer(url)
    assert (await made.look("fraud", ORDER.key, NOW)).phase is TrainingPhase.ABSENT
    assert (await made.ask(LONG, NOW)).status is ReceiptStatus.DONE
    assert (await made.look("fraud", ORDER.key, NOW)).phase is TrainingPhase.TAKEN
    run_id = await asyncio.to_thread(pipeline.run, ORDER.key, "RUNNING")
    assert (await made.look("fraud", ORDER.key, NOW)).phase is TrainingPhase.RUNNING
    number = await asyncio.to_thread(pipeline.register, run_id)  # tagged by its run alone
    sight = await made.look("fraud", ORDER.key, NOW)
    assert (sight.phase, sight.version, sight.alias) == (TrainingPhase.MADE, number, "")
    await made.close()


async def test_a_version_tagged_for_another_order_is_not_this_ones(
    server: tuple[str, Mlflow, Pipeline],
) -> None:
    url, _, pipeline = server
    made = trainer(url)
    await made.ask(LONG, NOW)
    run_id = await asyncio.to_thread(pipeline.run, ORDER.key, "FINISHED")
    await asyncio.to_thread(lambda: pipeline.register(run_id, key="another"))
    sight = await made.look("fraud", ORDER.key, NOW)
    assert (sight.phase, sight.version) == (TrainingPhase.RUNNING, "")
    await made.close()


async def test_a_model_that_is_not_there_takes_no_order(
    server: tuple[str, Mlflow, Pipeline],
) -> None:
    made = trainer(server[0], model="nobody")
    receipt = await made.ask(LONG, NOW)
    assert receipt.status is ReceiptStatus.NOT_APPLIED
    assert "Registered Model with name=nobody not found" in receipt.detail
    await made.close()


@pytest.mark.parametrize("how", ["token", "password"])
async def test_who_asks_is_read_from_a_file_each_time(
    server: tuple[str, Mlflow, Pipeline], tmp_path: Path, how: str
) -> None:
    url, mlflow, _ = server
    file = tmp_path / "secret"
    file.write_text("s3cret\n", encoding="utf-8")
    basic = base64.b64encode(b"ada:s3cret").decode()
    mlflow.wanted_header = "Bearer s3cret" if how == "token" else f"Basic {basic}"
    settings = (
        {"token_file": file} if how == "token" else {"username": "ada", "password_file": file}
    )
    made = trainer(url, **settings)
    assert (await made.ask(LONG, NOW)).status is ReceiptStatus.DONE
    await asyncio.to_thread(file.write_text, "old\n", encoding="utf-8")
    with pytest.raises(TrainerError, match="401") as refused:
        await made.look("fraud", ORDER.key, NOW)
    await asyncio.to_thread(file.unlink)
    with pytest.raises(TrainerError, match="cannot be read"):
        await made.look("fraud", ORDER.key, NOW)
    assert "s3cret" not in str(refused.value)
    await made.close()


@pytest.mark.parametrize(
    ("versions", "phase", "number"),
    [
        ([version()], TrainingPhase.MADE, "3"),
        ([version("3"), version("4")], TrainingPhase.UNKNOWN, ""),  # one order, two versions
        ([version(status="PENDING_REGISTRATION")], TrainingPhase.RUNNING, ""),
        ([version(status="FAILED_REGISTRATION")], TrainingPhase.FAILED, ""),
        ([version(status="SOMETHING")], TrainingPhase.UNKNOWN, ""),
        ([version("3\n4")], TrainingPhase.UNKNOWN, ""),
        # A server that does not filter: none of these came of this order.
        ([version(name="other"), version(tags=[])], TrainingPhase.TAKEN, ""),
    ],
)
async def test_a_version_is_believed_of_this_order_alone(
    versions: list[dict[str, Any]], phase: TrainingPhase, number: str
) -> None:
    made = lied_to(registry(*versions))
    sight = await made.look("fraud", ORDER.key, NOW)
    assert (sight.phase, sight.version) == (phase, number)
    await made.close()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"hello",
        b"[]",
        b"[" * 100_000,
        b'{"registered_model": {"name": "other", "tags": []}}',
        b'{"registered_model": {"name": 7}}',
        b'{"registered_model": {"name": "fraud", "tags": {}}}',
        b" " * ((1 << 20) + 1),
    ],
)
async def test_a_hostile_registry_is_no_sight_and_nothing_is_written(said: bytes) -> None:
    answers = Answers(lambda _: (200, said))
    made = lied_to(answers)
    with pytest.raises(TrainerError, match=r"mlflow: https://mlflow\.example/base of fraud"):
        await made.look("fraud", ORDER.key, NOW)
    assert (await made.ask(ORDER, NOW)).status is ReceiptStatus.NOT_APPLIED
    assert (await made.mark(MARK, NOW)).status is ReceiptStatus.NOT_APPLIED
    assert answers.writes == []
    await made.close()


async def test_pages_without_end_are_no_answer() -> None:
    pages = registry()
    first = pages.answer

    def endless(request: httpx2.Request) -> tuple[int, Any]:
        status, said = first(request)
        return status, said | ({"next_page_token": "x"} if "model_versions" in said else {})

    pages.answer = endless
    made = lied_to(pages)
    with pytest.raises(TrainerError, match="more than 10 pages"):
        await made.look("fraud", ORDER.key, NOW)
    assert len(pages.requests) <= 12
    await made.close()


async def test_nothing_is_followed_and_no_metadata_address_is_asked() -> None:
    made = lied_to(Answers(lambda _: (302, b"")))
    with pytest.raises(TrainerError, match="302"):
        await made.look("fraud", ORDER.key, NOW)
    answers = Answers(lambda _: (200, HAS_TAG))
    inside = lied_to(answers, inside=True)
    assert (await inside.ask(ORDER, NOW)).status is ReceiptStatus.NOT_APPLIED
    assert answers.requests == []
    with pytest.raises(TrainerError, match="no key of an order"):
        await made.look("fraud", "x' or name='y", NOW)
    await made.close()
    await inside.close()


class Remembering:
    """A registry that keeps what it is told, but for what one account may not write."""

    def __init__(self, forbidden: str) -> None:
        self.forbidden, self.alias, self.tags = forbidden, MARK.alias_from, dict[str, str]()

    def __call__(self, request: httpx2.Request) -> tuple[int, Any]:
        path = request.url.path.partition("/2.0/mlflow/")[2]
        if request.method == "GET" and path == "registered-models/get":
            aliases = [{"alias": ALIAS, "version": self.alias}]
            return 200, {"registered_model": {"name": MODEL, "aliases": aliases}}
        if request.method == "GET":
            tags = [{"key": key, "value": value} for key, value in self.tags.items()]
            return 200, {"model_version": version(MARK.version, tags=tags)}
        said = json.loads(request.content)
        if self.forbidden in {path, said.get("key")}:
            return 403, {"error_code": "PERMISSION_DENIED", "message": "no"}
        if path == "registered-models/alias":
            self.alias = said["version"]
        else:
            self.tags[said["key"]] = said["value"]
        return 200, {}


@pytest.mark.parametrize(
    ("forbidden", "status", "nothing"),
    [
        ("registered-models/alias", ReceiptStatus.NOT_APPLIED, True),
        (REASON, ReceiptStatus.UNKNOWN, False),
        (VERDICT, ReceiptStatus.UNKNOWN, False),
        ("nobody", ReceiptStatus.DONE, False),
    ],
)
async def test_a_yes_to_a_part_is_not_taken_for_a_no(
    forbidden: str,
    status: ReceiptStatus,
    *,
    nothing: bool,
) -> None:
    kept = Remembering(forbidden)
    made = lied_to(Answers(kept))
    receipt = await made.mark(replace(MARK, deadline=TimeNs(NOW + ns(10.0))), NOW)
    await made.close()
    assert receipt.status is status, receipt
    assert ((kept.alias, kept.tags) == (MARK.alias_from, {})) is nothing


async def test_a_no_is_a_no_where_the_registry_was_written_to_before() -> None:
    kept = Remembering("registered-models/alias")
    kept.tags = {REASON: "an older one", VERDICT: "kept_out"}
    made = lied_to(Answers(kept))
    assert (await made.mark(MARK, NOW)).status is ReceiptStatus.NOT_APPLIED
    await made.close()


async def test_a_yes_without_the_tag_is_unknown() -> None:
    made = lied_to(Answers(lambda _: (200, {"registered_model": {"name": MODEL}})))
    assert (await made.ask(ORDER, NOW)).status is ReceiptStatus.UNKNOWN
    await made.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "https://mlflow.example/api/2.0/mlflow"},
        {"url": "https://mlflow.example?x=1"},
        {"model": "x' or name='y"},
        {"alias": "1"},
        {"username": "ada"},
        {"username": "ada", "password_file": Path("p"), "token_file": Path("t")},
        {"read_timeout_s": float("inf")},
        {"unknown": 1},
    ],
)
def test_mlflow_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    good: dict[str, Any] = {"url": "https://mlflow.example", "model": "fraud"}
    MlflowConfig(**good)
    with pytest.raises(ValidationError):
        MlflowConfig(**(good | wrong))
