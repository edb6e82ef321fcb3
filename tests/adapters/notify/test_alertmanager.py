"""Alerts of one incident: the same labels to the end, sent again, ended; and who is let in."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from homeostat.adapters.notify.alertmanager import Alertmanager, AlertmanagerSettings, build
from homeostat.base.bulletin import Bulletin, Question
from homeostat.base.decisions import Notice, Urgency
from homeostat.base.errors import NotifierError
from homeostat.base.units import SECOND, TimeNs
from homeostat.testing.hostile import HostileServer, always, hostile_server, response
from homeostat.testing.notifier import check_notifier

NOW = 1_800_000_100.0
AT = TimeNs(1_800_000_000 * SECOND)
INCIDENT = Bulletin(
    key="i-0001",
    deployment="credit",
    since=AT,
    at=AT,
    urgency=Urgency.INFO,
    title="replica at replica:a-2",
    because=("it is slow",),
    lasting=True,
)
QUESTION = Question(decision_id="d-0001", words="w", asked_at=AT, expires_at=TimeNs(AT + SECOND))


@asynccontextmanager
async def manager(**more: Any) -> AsyncIterator[tuple[HostileServer, Alertmanager]]:
    async with hostile_server(always(response(b""))) as server:
        settings = AlertmanagerSettings.model_validate(
            {"url": server.url("/prefix/"), "allow": (f"127.0.0.1:{server.port}",)}
            | {"least": "info", "timeout_s": 30.0}
            | more
        )
        made = build(settings, wall=lambda: NOW)
        yield server, made
        await made.close()


def alerts(request: bytes) -> dict[str, dict[str, Any]]:
    return {one["labels"]["alertname"]: one for one in json.loads(request.split(b"\r\n\r\n", 1)[1])}


def seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()


def fires(alert: dict[str, Any]) -> bool:
    return seconds(alert["endsAt"]) > NOW


async def test_it_keeps_the_promises_of_a_notifier() -> None:
    async with manager() as (server, made):
        got = await check_notifier(lambda: made, delivered=lambda: server.requests)
    assert all(one.startswith(b"POST /prefix/api/v2/alerts HTTP/1.1\r\n") for one in got)


async def test_the_labels_of_an_incident_never_change_whatever_is_learnt_of_it() -> None:
    story = [
        INCIDENT,
        replace(INCIDENT, title="load at pool:a", because=("a rush",)),
        replace(INCIDENT, question=QUESTION),
        replace(INCIDENT, urgency=Urgency.PAGE, paged_at=TimeNs(AT + SECOND)),
        replace(INCIDENT, over_at=TimeNs(AT + 9 * SECOND), paged_at=TimeNs(AT + SECOND)),
    ]
    async with manager(labels={"team": "ml"}) as (server, made):
        for bulletin in story:
            await made.show(bulletin)
    seen = [alerts(request) for request in server.requests]
    for name in ("HomeostatIncident", "HomeostatAsks", "HomeostatNeedsAPerson"):
        labels = [json.dumps(one[name]["labels"], sort_keys=True) for one in seen if name in one]
        assert len(set(labels)) == 1, name
    assert seen[0]["HomeostatIncident"]["labels"] == {
        "alertname": "HomeostatIncident",
        "severity": "info",
        "source": "homeostat",
        "deployment": "credit",
        "incident": "i-0001",
        "team": "ml",
    }
    assert [{name: fires(alert) for name, alert in sorted(one.items())} for one in seen] == [
        {"HomeostatIncident": True},
        {"HomeostatIncident": True},
        {"HomeostatAsks": True, "HomeostatIncident": True},
        {"HomeostatAsks": False, "HomeostatIncident": True, "HomeostatNeedsAPerson": True},
        {"HomeostatIncident": False, "HomeostatNeedsAPerson": False},
    ]


async def test_an_open_alert_ends_four_sendings_from_now_so_silence_ends_it() -> None:
    async with manager(again_s=30.0) as (server, made):
        assert made.again_s == 30.0
        await made.show(INCIDENT)
    (alert,) = alerts(server.requests[0]).values()
    assert seconds(alert["startsAt"]) == AT / SECOND
    assert seconds(alert["endsAt"]) == NOW + 120.0


async def test_a_beginning_that_is_still_to_come_is_now() -> None:
    async with manager() as (server, made):
        await made.show(replace(INCIDENT, since=TimeNs(round((NOW + 500) * SECOND))))
    (alert,) = alerts(server.requests[0]).values()
    assert seconds(alert["startsAt"]) == NOW


async def test_a_word_without_an_end_ends_after_an_hour() -> None:
    async with manager() as (server, made):
        await made.notify(
            Notice(key="k", deployment="credit", at=AT, urgency=Urgency.PAGE, title="burns")
        )
    (alert,) = alerts(server.requests[0]).values()
    assert alert["labels"]["alertname"] == "HomeostatNeedsAPerson"
    assert seconds(alert["endsAt"]) == AT / SECOND + 3600.0


async def test_what_is_less_urgent_than_wanted_is_not_sent() -> None:
    async with manager(least="page") as (server, made):
        await made.show(INCIDENT)
        await made.show(replace(INCIDENT, question=QUESTION))
        assert not server.requests
        await made.show(replace(INCIDENT, paged_at=AT, urgency=Urgency.PAGE))
    assert list(alerts(server.requests[0])) == ["HomeostatNeedsAPerson"]


async def test_a_token_or_a_password_is_read_anew_for_each_sending(tmp_path: Path) -> None:
    token, password = tmp_path / "token", tmp_path / "password"
    token.write_text("first\n")
    password.write_text("pw")
    async with manager(token_file=token) as (server, made):
        await made.show(INCIDENT)
        token.write_text("second")
        await made.show(INCIDENT)
    said = [request.split(b"\r\n\r\n")[0].lower() for request in server.requests]
    assert b"authorization: bearer first" in said[0]
    assert b"authorization: bearer second" in said[1]
    async with manager(user="ada", password_file=password) as (server, made):
        await made.show(INCIDENT)
    assert b"authorization: basic ywrhonb3" in server.requests[0].lower()


async def test_a_refusal_is_an_error_that_holds_its_words_and_no_secret(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("top-secret-token")
    answer = response(b"bad \x1b[2J labels", status=400)
    async with hostile_server(always(answer)) as server:
        made = build(
            AlertmanagerSettings(
                url=server.url(),
                allow=(f"127.0.0.1:{server.port}",),
                token_file=token,
                least=Urgency.INFO,
            )
        )
        with pytest.raises(NotifierError, match=r"status 400: bad \?\[2J labels") as caught:
            await made.show(INCIDENT)
        await made.close()
    assert "top-secret" not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 307])
async def test_a_redirect_is_not_followed(status: int) -> None:
    answer = response(b"", status=status, extra="location: http://169.254.169.254/\r\n")
    async with hostile_server(always(answer)) as server:
        made = build(
            AlertmanagerSettings(
                url=server.url(), allow=(f"127.0.0.1:{server.port}",), least=Urgency.INFO
            )
        )
        with pytest.raises(NotifierError, match=str(status)):
            await made.show(INCIDENT)
        await made.close()
    assert len(server.requests) == 1


async def test_an_address_within_is_refused_unless_listed() -> None:
    for url in ("http://10.0.0.1:9093", "https://169.254.169.254", "https://[::ffff:10.0.0.1]"):
        made = build(AlertmanagerSettings(url=url, least=Urgency.INFO))
        with pytest.raises(NotifierError, match=r"refused|not allowed|not encrypted"):
            await made.show(INCIDENT)
        await made.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "alertmanager:9093"},
        {"url": "https://a:b@x"},
        {"labels": {"incident": "x"}},
        {"labels": {"0x": "x"}},
        {"labels": {"team": ""}},
        {"labels": {"team": "x" * 201}},
        {"user": "ada"},
        {"password_file": "p"},
        {"user": "ada", "password_file": "p", "token_file": "t"},
        {"again_s": float("nan")},
        {"again_s": 0},
        {"again_s": 1e9},
        {"unknown": 1},
    ],
)
def test_settings_are_strict(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AlertmanagerSettings.model_validate({"url": "https://x"} | wrong)
