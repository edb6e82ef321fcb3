"""Hostile and clumsy callers get an answer that teaches; nothing they send is a 5xx."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from homeostat.base.errors import ConfigError
from homeostat.base.events import Approval, Reconfigured, UndoRequested
from homeostat.base.types import KillLevel, Mode
from homeostat.base.units import SECOND
from homeostat.server.api import changes, gate
from homeostat.server.api.app import create_app

Post = Callable[..., Any]

HOSTILE = [
    "%2e%2e%2f",
    "a/../../etc/passwd",
    "credit%00",
    "credit%0a",
    "credit\u202e",
    "<script>alert(1)</script>",
    "{{7*7}}",
    "d-1;drop",
    "d-" + "9" * 13,
    "D-1",
    "d-1\n",
    "a" * 64,
    "-a",
    "a-",
    "\udcff",
]


def _quoted(name: str) -> str:
    return quote(name, safe="/%", errors="surrogateescape")


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    "path", ["/v1/deployments/{}", "/v1/deployments/{}/series", "/v1/decisions/{}", "/d/{}"]
)
def test_hostile_names_in_paths_are_refused(shared: TestClient, path: str, name: str) -> None:
    answer = shared.get(path.format(_quoted(name)))
    assert answer.status_code in {404, 422}
    assert "<script>" not in answer.text
    assert "root:" not in answer.text


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_ids_never_reach_the_loop(bench: Any, post: Post, name: str) -> None:
    assert post(f"/v1/decisions/{_quoted(name)}/approve", {}).status_code in {404, 405, 422}
    assert post("/v1/decisions/d-0002/approve", {"deployment": ascii(name)}).status_code == 422
    assert bench.submitted == []


BOMBS = {
    "not json": b"{",
    "not an object": b"[]",
    "nothing": b"",
    "deep": b"[" * 30_000,
    "deep object": b'{"a":' * 10_000,
    "huge number": b'{"level": ' + b"9" * 20_000 + b"}",
    "nan": b'{"level": NaN}',
    "not utf-8": b'{"level": "\xff\xfe"}',
    "lone surrogate": b'{"level": "off", "why": "\\ud800"}',
    "surrogate key": b'{"level": "off", "\\ud800": 1}',
    "control characters": b'{"level": "off", "why": "a\\u0000b\\u001b[2J"}',
    "unknown key": b'{"level": "off", "levle": 1}',
    "wrong type": b'{"level": 1}',
    "long name": json.dumps({"level": "off", "by": "x" * 65}).encode(),
    "markup name": b'{"level": "off", "by": "<b>"}',
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_body_that_is_no_request_changes_nothing(
    bench: Any, client: TestClient, bomb: str
) -> None:
    headers = {**bench.auth, "content-type": "application/json"}
    answer = client.post("/v1/freeze", content=BOMBS[bomb], headers=headers)
    assert answer.status_code in {400, 422}
    assert answer.json()["detail"]
    assert bench.thrown == []


@pytest.mark.parametrize(
    ("path", "limit"), [("/v1/freeze", gate.BODY_MAX), ("/v1/labels", gate.LABELS_MAX)]
)
@pytest.mark.parametrize("announced", [True, False])
def test_a_body_over_the_limit_is_refused_whether_announced_or_not(
    bench: Any,
    client: TestClient,
    path: str,
    limit: int,
    announced: bool,  # noqa: FBT001 - a case
) -> None:
    body = b" " * (limit + 1)
    chunks = (body[i : i + 4096] for i in range(0, len(body), 4096))
    headers = {**bench.auth, "content-type": "application/json"}
    answer = client.post(path, content=body if announced else chunks, headers=headers)
    assert answer.status_code == 413
    assert str(limit) in answer.json()["detail"]


def test_an_unfinished_body_is_given_up(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "BODY_SECONDS", 0.05)
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(60)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"testserver"), (b"content-type", b"application/json")]
    headers += [(k.encode(), v.encode()) for k, v in bench.auth.items()]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/freeze",
        "headers": headers,
        "query_string": b"",
    }
    asyncio.run(bench.app()(scope, receive, send))
    assert sent[0]["status"] == 408
    assert bench.thrown == []


def test_too_many_changes_are_slowed_but_the_kill_switch_never_is(bench: Any, post: Post) -> None:
    codes = [post("/v1/decisions/d-0002/reject", {}).status_code for _ in range(40)]
    assert codes.count(202) == 30
    yes = [post("/v1/decisions/d-0002/approve", {}).status_code for _ in range(12)]
    assert yes.count(202) == 10  # whoever says yes faster has read nothing
    assert codes[-1] == 429
    assert all(post("/v1/freeze", {"level": "nothing"}).status_code == 200 for _ in range(50))
    bench.now += SECOND
    assert post("/v1/decisions/d-0002/reject", {}).status_code == 202


def test_guessing_tokens_is_slowed_and_does_not_lock_the_owner_out(
    bench: Any, client: TestClient, post: Post
) -> None:
    wrong = {"authorization": "Bearer " + "y" * 43}
    codes = [client.post("/v1/freeze", json={}, headers=wrong).status_code for _ in range(30)]
    assert codes.count(401) == 20
    assert codes[-1] == 429
    assert post("/v1/freeze", {"level": "no_new"}).status_code == 200


def test_the_gate_keeps_a_digest_and_not_the_token(bench: Any) -> None:
    app = bench.app()
    rules = next(m.kwargs["rules"] for m in app.user_middleware if m.cls is gate.Gate)
    assert rules.token_digest == hashlib.sha256(bench.token.encode()).digest()
    assert bench.token not in repr(rules)


def test_a_short_token_is_refused_at_the_start(bench: Any) -> None:
    with pytest.raises(ConfigError, match="31 characters"):
        create_app(
            view=bench.view,
            submit=bench.submit,
            kill=bench,
            labels=None,
            token="x" * 31,
            allowed_origins=(),
            clock=lambda: bench.now,
        )


def test_what_the_loop_refuses_is_a_conflict_with_its_reason(bench: Any, post: Post) -> None:
    bench.refusal = "G9 the deployment is frozen until 14:00"
    answer = post("/v1/decisions/d-0002/approve", {})
    assert answer.status_code == 409
    assert answer.json()["detail"] == bench.refusal


def test_a_loop_that_does_not_answer_is_unknown_not_refused(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(_: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(changes, "SUBMIT_SECONDS", 0.05)
    bench.submit = hang
    with TestClient(bench.app()) as client:
        answer = client.post("/v1/decisions/d-0002/approve", json={}, headers=bench.auth)
    assert answer.status_code == 504
    assert "unknown" in answer.json()["detail"]


def test_an_answer_becomes_the_event_that_the_loop_expects(bench: Any, post: Post) -> None:
    bench.level_now = KillLevel.NO_NEW
    post("/v1/decisions/d-0002/reject", {"by": "ada", "why": "deploy in progress"})
    assert bench.submitted == [
        Approval(
            at=bench.now,
            decision_id="d-0002",
            approved=False,
            by="ada",
            why="deploy in progress",
            kill=KillLevel.NO_NEW,
            deployment="credit",
            principal="owner",
            origin="testclient testclient",
        )
    ]


def test_undo_and_mode_become_events(bench: Any, post: Post) -> None:
    post("/v1/decisions/d-0001/undo", {"by": "ada"})
    post("/v1/deployments/credit/mode", {"mode": "approve"})
    undo, mode = bench.submitted
    assert isinstance(undo, UndoRequested)
    assert (undo.decision_id, undo.deployment, undo.by) == ("d-0001", "credit", "ada")
    assert isinstance(mode, Reconfigured)
    assert mode.managed.mode is Mode.APPROVE
    assert mode.managed.guard == bench.view.deployment("credit").managed.guard


def test_a_deployment_that_is_only_watched_stays_a_shadow(bench: Any, post: Post) -> None:
    state = bench.view.deployment("credit")
    state.managed = replace(state.managed, scale_actuator="observed")
    for mode in ("approve", "auto"):
        answer = post("/v1/deployments/credit/mode", {"mode": mode})
        assert answer.status_code == 409
        assert "only watched" in answer.json()["detail"]
    assert post("/v1/deployments/credit/mode", {"mode": "shadow"}).status_code == 202
    assert len(bench.submitted) == 1


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/v1/decisions/d-0001/approve", "not an open question"),
        ("/v1/decisions/d-0002/undo", "nothing to take back"),
    ],
)
def test_a_change_that_makes_no_sense_is_a_conflict(
    bench: Any, post: Post, path: str, word: str
) -> None:
    answer = post(path, {})
    assert answer.status_code == 409
    assert word in answer.json()["detail"]
    assert bench.submitted == []


def test_an_id_in_two_deployments_must_say_which(bench: Any, post: Post) -> None:
    bench.tell("fraud")
    answer = post("/v1/decisions/d-0002/approve", {})
    assert answer.status_code == 409
    assert "credit, fraud" in answer.json()["detail"]
    assert post("/v1/decisions/d-0002/approve", {"deployment": "fraud"}).status_code == 202
    assert bench.submitted[0].deployment == "fraud"


def test_a_kill_switch_that_cannot_be_set_is_said_so(bench: Any, post: Post) -> None:
    bench.broken_kill = True
    answer = post("/v1/freeze", {"level": "nothing"})
    assert answer.status_code == 503
    assert "the disk is full" in answer.json()["detail"]


def test_throwing_the_kill_switch_is_recorded_with_who_and_why(bench: Any, post: Post) -> None:
    answer = post("/v1/freeze", {"level": "nothing", "by": "ada", "why": "bad deploy"})
    assert answer.json() == {"level": "nothing"}
    assert bench.thrown == [(KillLevel.NOTHING, "ada: bad deploy")]
    assert bench.view.kill is KillLevel.NOTHING


def test_labels_reach_the_joiner_with_their_types(bench: Any, post: Post) -> None:
    rows = [
        {"prediction_id": "a/1:2", "label": True},
        {"prediction_id": "b", "label": 0.5, "observed_at": 1.5, "deployment": "credit"},
        {"prediction_id": "c", "label": "fraud"},
    ]
    assert post("/v1/labels", {"labels": rows}).json() == {"counts": {"joined": 3}}
    assert bench.labels == rows
    assert [type(row["label"]) for row in bench.labels] == [bool, float, str]


def test_labels_without_a_joiner_are_unavailable(bench: Any) -> None:
    with TestClient(bench.app(labels=False)) as client:
        answer = client.post("/v1/labels", json={"labels": []}, headers=bench.auth)
    assert answer.status_code == 503


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/v1/deployments/credt", "did you mean 'credit'?"),
        ("/v1/decisions/d-0003", "did you mean 'd-0002'?"),
        ("/v1/deployment", "did you mean /v1/deployments?"),
    ],
)
def test_a_name_that_is_nearly_right_is_suggested(client: TestClient, path: str, hint: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert hint in answer.json()["fix"]
