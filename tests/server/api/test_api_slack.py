"""Answers from Slack: only with its signature, only from people who are mapped, only once bound."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi.testclient import TestClient
from starlette.routing import Route

from homeostat.base.events import Approval
from homeostat.server.api import roles
from homeostat.server.api.doors import Clicks, Doors
from homeostat.server.people import DAY_NS, Role, Roster, add, revoke
from homeostat.server.people_file import People, editing, read
from homeostat.server.slack_signed import signature

SECRET = b"0123456789abcdef0123456789abcdef"
WALL = 1_700_000_000.0
PEOPLE = {"U0ADA": "ada", "U0EVE": "eve", "U0GONE": "gone"}


@dataclass
class Stage:
    """A server with Slack's door, and a hand that presses buttons."""

    bench: Any
    client: TestClient
    people: Path
    whispers: list[tuple[str, str]] = field(default_factory=list)

    def press(self, *, user: str = "U0ADA", **other: Any) -> int:
        return self.send(urlencode({"payload": json.dumps(payload(user, **other))}).encode())

    def send(self, body: bytes, **headers: str) -> int:
        stamp = headers.pop("stamp", str(int(WALL)))
        said = {
            "content-type": "application/x-www-form-urlencoded",
            "x-slack-request-timestamp": stamp,
            "x-slack-signature": signature(SECRET, stamp, body),
        }
        found = self.client.post("/v1/slack", content=body, headers=said | headers)
        return int(found.status_code)


def payload(
    user: str,
    *,
    action: str = "homeostat_approve",
    team: str = "T0001",
    channel: str = "C0001",
    value: Any = None,
    **more: Any,
) -> dict[str, Any]:
    bound = {"deployment": "credit", "decision": "d-0002", "action": "a" * 64, "evidence": "e" * 64}
    return {
        "type": "block_actions",
        "api_app_id": "A0001",
        "response_url": "http://169.254.169.254/latest",
        "team": {"id": team, "domain": "x"},
        "channel": {"id": channel, "name": "ml"},
        "user": {"id": user, "username": "somebody else", "name": "owner"},
        "actions": [
            {
                "type": "button",
                "block_id": "homeostat_answer",
                "action_id": action,
                "value": json.dumps(bound if value is None else value),
            }
        ],
    } | more


@pytest.fixture
def stage(bench: Any, tmp_path: Path) -> Iterator[Stage]:
    file, secret = tmp_path / "people.json", tmp_path / "signing"
    secret.write_bytes(SECRET)
    roster: Roster = ()
    for name, role in (("ada", Role.APPROVER), ("eve", Role.OPERATOR), ("gone", Role.ADMIN)):
        roster, _ = add(roster, name=name, role=role, now=bench.now, lasts_ns=DAY_NS, by="a test")
    with editing(file) as write:
        write(revoke(roster, name="gone", now=bench.now))

    async def whisper(user: str, text: str) -> None:
        made.whispers.append((user, text))

    clicks = Clicks(
        secret_file=secret,
        team="T0001",
        channel="C0001",
        people=PEOPLE,
        whisper=whisper,
        wall=lambda: WALL,
    )
    app = bench.app(people=People(file), doors=Doors(clicks=clicks))
    with TestClient(app, raise_server_exceptions=False) as client:
        made = Stage(bench, client, file)
        yield made


def test_a_yes_is_the_mapped_persons_and_bound_to_what_the_button_was_made_for(
    stage: Stage,
) -> None:
    assert stage.press() == 200
    (event,) = stage.bench.submitted
    assert isinstance(event, Approval)
    assert (event.approved, event.by, event.principal) == (True, "ada", "ada")
    assert (event.deployment, event.decision_id) == ("credit", "d-0002")
    assert (event.action_hash, event.evidence_hash) == ("a" * 64, "e" * 64)
    assert event.origin == "slack T0001 U0ADA"
    assert not stage.whispers


def test_a_no_is_one_too(stage: Stage) -> None:
    assert stage.press(action="homeostat_reject") == 200
    (event,) = stage.bench.submitted
    assert (event.approved, event.by) == (False, "ada")


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("U0BOB", "is nobody here"),
        ("U0EVE", "eve is operator"),
        ("U0GONE", "gone has no token that is good"),
    ],
)
@pytest.mark.parametrize("action", ["homeostat_approve", "homeostat_reject"])
def test_nobody_who_may_not_answer_does(stage: Stage, user: str, words: str, action: str) -> None:
    assert stage.press(user=user, action=action) == 200
    assert not stage.bench.submitted
    ((told, text),) = stage.whispers
    assert told == user
    assert words in text


def test_who_is_taken_out_of_people_cannot_answer_from_the_next_press_on(stage: Stage) -> None:
    with editing(stage.people) as write:
        write(revoke(read(stage.people), name="ada", now=stage.bench.now))
    assert stage.press() == 200
    assert not stage.bench.submitted


@pytest.mark.parametrize(
    "wrong",
    [
        {"x-slack-signature": "v0=" + "0" * 64},
        {"x-slack-signature": ""},
        {"stamp": str(int(WALL) - 301)},
        {"stamp": str(int(WALL) + 301)},
        {"stamp": "0"},
    ],
)
def test_without_slacks_signature_nothing_is_looked_at(stage: Stage, wrong: dict[str, str]) -> None:
    body = urlencode({"payload": json.dumps(payload("U0ADA"))}).encode()
    assert stage.send(body, **wrong) == 401
    assert not stage.bench.submitted
    assert not stage.whispers


def test_no_token_opens_it(stage: Stage) -> None:
    body = urlencode({"payload": json.dumps(payload("U0ADA"))}).encode()
    headers = {"x-slack-signature": "v0=" + "0" * 64, **stage.bench.auth}
    assert stage.send(body, **headers) == 401
    assert stage.client.get("/v1/slack", headers=stage.bench.auth).status_code in {404, 405}


def test_a_page_of_another_origin_is_refused_with_a_signature_too(stage: Stage) -> None:
    body = urlencode({"payload": json.dumps(payload("U0ADA"))}).encode()
    assert stage.send(body, origin="https://evil.example") == 403


@pytest.mark.parametrize("place", [{"team": "T0002"}, {"channel": "C0002"}])
def test_another_workspace_or_channel_is_refused(stage: Stage, place: dict[str, str]) -> None:
    assert stage.press(**place) == 403
    assert not stage.bench.submitted


GOOD = {"deployment": "credit", "decision": "d-0002", "action": "a" * 64, "evidence": "e" * 64}


@pytest.mark.parametrize(
    "other",
    [
        {"type": "view_submission"},
        {"actions": []},
        {"actions": [{"action_id": "homeostat_approve", "value": json.dumps(GOOD)}] * 2},
        {"action": "homeostat_undo"},
        {"value": {}},
        {"value": GOOD | {"more": 1}},
        {"value": GOOD | {"evidence": ""}},
        {"value": GOOD | {"action": "A" * 64}},
        {"value": GOOD | {"deployment": "../x"}},
        {"value": GOOD | {"decision": "d-x"}},
        {"value": []},
        {"user": None},
        {"team": None},
    ],
)
def test_what_is_no_button_of_ours_is_refused(stage: Stage, other: dict[str, Any]) -> None:
    said = payload("U0ADA", **{k: v for k, v in other.items() if k in {"action", "value"}})
    said |= {k: v for k, v in other.items() if k not in {"action", "value"}}
    assert stage.send(urlencode({"payload": json.dumps(said)}).encode()) == 400
    assert not stage.bench.submitted


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"payload",
        b"payload=",
        b"payload={",
        b"payload=%ff",
        b"payload=" + b"[" * 30_000,
        b"a=1&b=2&c=3&d=4&e=5&payload={}",
        b"payload={}&payload={}",
        b"\xff\xfe",
        json.dumps(payload("U0ADA")).encode(),
    ],
)
def test_a_body_of_another_kind_is_refused_and_harms_nothing(stage: Stage, body: bytes) -> None:
    assert stage.send(body) == 400
    assert not stage.bench.submitted


def test_a_body_that_is_too_long_is_refused(stage: Stage) -> None:
    assert stage.send(b"payload=" + b"x" * 70_000) == 413


def test_a_question_that_is_open_no_more_is_told_to_whoever_pressed(stage: Stage) -> None:
    assert stage.press(value=GOOD | {"decision": "d-0001"}) == 200
    assert not stage.bench.submitted
    ((user, text),) = stage.whispers
    assert user == "U0ADA"
    assert text.startswith("d-0001: ")


def test_what_the_loop_refuses_is_told_too(stage: Stage) -> None:
    stage.bench.refusal = "this controller is a standby"
    assert stage.press() == 200
    assert stage.whispers == [("U0ADA", "d-0002: this controller is a standby")]


def test_presses_are_limited_like_any_yes(stage: Stage) -> None:
    found = [stage.press(user="U0BOB") for _ in range(12)]
    assert found[:10] == [200] * 10
    assert found[-1] == 429


def test_where_no_answers_are_configured_there_is_no_such_path(bench: Any) -> None:
    app = bench.app()
    assert all(r.path != "/v1/slack" for r in app.routes if isinstance(r, Route))
    with TestClient(app) as client:
        assert client.post("/v1/slack", content=b"x").status_code == 401


def test_an_answer_in_slack_needs_what_any_answer_needs() -> None:
    assert roles.ROUTES["POST /v1/decisions/{decision_id}/approve"] is Role.APPROVER


def test_a_secret_that_is_gone_opens_nothing(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "signing").unlink()
    assert stage.press() == 401
