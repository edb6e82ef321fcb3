"""What the webhook trainer sends, where it refuses to, and what it makes of each answer."""

import hashlib
import hmac
import json
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import ValidationError

sys.path.insert(0, str(Path(__file__).parent))
from training_orders import MARK, NOW, ORDER, Answers, client, resolve, resolve_inside

from homeostat.adapters.trainers.webhook import WebhookTrainer, WebhookTrainerConfig
from homeostat.base.errors import TrainerError
from homeostat.base.intent import ReceiptStatus
from homeostat.base.training import TrainingPhase

SECRET = "0123456789abcdef0123456789abcdef"
STATE = {"deployment": "fraud", "key": ORDER.key, "phase": "absent", "alias": "16"}


def trainer(folder: Path, answers: Answers, *, inside: bool = False) -> WebhookTrainer:
    secret = folder / "training.secret"
    secret.write_text(SECRET, encoding="utf-8")
    config = WebhookTrainerConfig(
        url="https://train.example/orders",
        state="https://train.example/orders",
        secret_file=secret,
        read_timeout_s=0.5,
    )
    made = WebhookTrainer(config, resolve=resolve_inside if inside else resolve)
    made._client = client(answers)
    return made


class Receiver(Answers):
    """Takes what it is sent, or only says so."""

    def __init__(self, *, obeys: bool = True, status: int = 202) -> None:
        self.state: dict[str, Any] = dict(STATE)
        self.obeys, self.status = obeys, status
        super().__init__(self.respond)

    def respond(self, request: httpx2.Request) -> tuple[int, Any]:
        if request.method == "GET":
            return 200, self.state
        data = json.loads(request.content)["data"]
        if self.obeys and "verdict" in data:
            self.state |= {"verdict": data["verdict"], "alias": data["alias_to"]}
        elif self.obeys:
            self.state |= {"phase": "taken"}
        return self.status, {}


async def test_one_signed_event_says_who_asked_why_and_on_what_data(tmp_path: Path) -> None:
    receiver = Receiver()
    made = trainer(tmp_path, receiver)
    receipt = await made.ask(ORDER, NOW)
    assert (receipt.status, receipt.intent_id) == (ReceiptStatus.DONE, "d-0007.0.0")
    (post,) = receiver.writes
    assert (post.url.host, post.headers["host"]) == ("93.184.216.34", "train.example")
    assert post.headers["idempotency-key"] == ORDER.key
    stamp = post.headers["x-homeostat-timestamp"]
    digest = hmac.new(SECRET.encode(), f"{stamp}.".encode() + post.content, hashlib.sha256)
    assert post.headers["x-homeostat-signature"] == f"v1={digest.hexdigest()}"
    said = json.loads(post.content)
    assert (said["type"], said["id"]) == ("dev.homeostat.training.v1", ORDER.key)
    assert said["data"] == {
        "key": ORDER.key,
        "deployment": "fraud",
        "action": "d-0007",
        "incident": "i-0003",
        "reason": ["inputs moved"],
        "approvers": ["ada", "grace"],
        "data_from": "2027-01-14T08:00:00+00:00",
        "data_to": "2027-01-15T08:00:00+00:00",
        "parent": "16",
        "epoch": 3,
        "due": "2027-01-16T08:00:00+00:00",
    }
    await made.ask(ORDER, NOW)
    assert len(receiver.writes) == 1  # it stands there: nothing is sent again
    await made.close()


@pytest.mark.parametrize(
    ("status", "obeys", "want"),
    [
        (202, False, ReceiptStatus.UNKNOWN),  # a yes that the state does not bear out
        (422, False, ReceiptStatus.NOT_APPLIED),
        (409, False, ReceiptStatus.NOT_APPLIED),
        (422, True, ReceiptStatus.UNKNOWN),  # said no, and did it
        (500, False, ReceiptStatus.UNKNOWN),
        (302, False, ReceiptStatus.UNKNOWN),
        (429, False, ReceiptStatus.UNKNOWN),
    ],
)
async def test_an_answer_counts_only_if_the_state_agrees(
    tmp_path: Path, *, status: int, obeys: bool, want: ReceiptStatus
) -> None:
    made = trainer(tmp_path, Receiver(obeys=obeys, status=status))
    assert (await made.ask(ORDER, NOW)).status is want
    await made.close()


@pytest.mark.parametrize(
    ("changes", "phase", "version"),
    [
        ({"phase": "made", "version": "17"}, TrainingPhase.MADE, "17"),
        ({"phase": "made"}, TrainingPhase.UNKNOWN, ""),  # half an answer
        ({"phase": "running", "version": "17"}, TrainingPhase.UNKNOWN, ""),
        ({"phase": "made", "version": "17\n18"}, TrainingPhase.UNKNOWN, ""),
        ({"phase": "made", "version": "<script>"}, TrainingPhase.UNKNOWN, ""),
        ({"phase": "failed", "detail": "\x1b[2Jno\x00"}, TrainingPhase.FAILED, ""),
    ],
)
async def test_half_an_answer_is_unknown(
    tmp_path: Path, changes: dict[str, Any], phase: TrainingPhase, version: str
) -> None:
    receiver = Receiver()
    receiver.state |= changes
    made = trainer(tmp_path, receiver)
    sight = await made.look("fraud", ORDER.key, NOW)
    assert (sight.phase, sight.version) == (phase, version)
    assert sight.detail.isprintable()
    await made.close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"[]",
        b"[" * 100_000,
        b'{"deployment": "fraud"}',
        json.dumps(STATE | {"phase": "finished"}).encode(),
        json.dumps(STATE | {"phase": 1}).encode(),
        json.dumps(STATE | {"version": 17}).encode(),
        json.dumps(STATE | {"version": "1" * 201}).encode(),
        json.dumps(STATE | {"key": "fraud-d-0008-1"}).encode(),
        json.dumps(STATE | {"deployment": "other"}).encode(),
        json.dumps(STATE).encode() + b" " * (1 << 20),
    ],
)
async def test_what_makes_no_sense_is_no_sight_and_nothing_is_sent(
    tmp_path: Path, body: bytes
) -> None:
    answers = Answers(lambda _: (200, body))
    made = trainer(tmp_path, answers)
    with pytest.raises(TrainerError, match=r"webhook: https://train\.example"):
        await made.look("fraud", ORDER.key, NOW)
    assert (await made.ask(ORDER, NOW)).status is ReceiptStatus.NOT_APPLIED
    assert answers.writes == []
    await made.close()


async def test_nothing_is_sent_to_a_metadata_address(tmp_path: Path) -> None:
    answers = Receiver()
    made = trainer(tmp_path, answers, inside=True)
    assert (await made.ask(ORDER, NOW)).status is ReceiptStatus.NOT_APPLIED
    with pytest.raises(TrainerError, match="metadata"):
        await made.look("fraud", ORDER.key, NOW)
    assert answers.requests == []
    await made.close()


async def test_the_alias_is_moved_from_where_it_was_said_to_be_only(tmp_path: Path) -> None:
    receiver = Receiver()
    receiver.state |= {"phase": "made", "version": "17"}
    made = trainer(tmp_path, receiver)
    assert (await made.mark(MARK, NOW)).status is ReceiptStatus.DONE
    receiver.state |= {"alias": "15", "verdict": ""}
    receipt = await made.mark(MARK, NOW)
    assert (receipt.status, receipt.conflict) == (ReceiptStatus.NOT_APPLIED, True)
    assert "'15'" in receipt.detail
    assert len(receiver.writes) == 1
    await made.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://train.example/"},
        {"state": "https://train.example/orders?key=x"},
        {"url": "https://me:pass@train.example/"},
        {"unknown": 1},
        {"read_timeout_s": float("nan")},
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    good: dict[str, Any] = {
        "url": "https://a.example/",
        "state": "https://a.example/",
        "secret_file": tmp_path,
    }
    WebhookTrainerConfig(**good)
    with pytest.raises(ValidationError):
        WebhookTrainerConfig(**(good | wrong))
