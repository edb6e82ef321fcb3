"""Alerts of others: let in by one token or an admin, strict, bounded, shown; no reason to act."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from homeostat.base.errors import StoreError
from homeostat.base.units import HOUR, SECOND, TimeNs
from homeostat.server.api.doors import Doors
from homeostat.server.heard import KEPT, NOTED, NOTES, QUIET_NS, Alert, Heard, noted, noting

TOKEN = "alerts-token-of-one-alertmanager"


def alert(**other: Any) -> dict[str, Any]:
    return {
        "status": "firing",
        "labels": {"alertname": "HighLatency", "severity": "page", "deployment": "credit"},
        "annotations": {"summary": "p95 over 2 s"},
        "startsAt": "2023-11-14T22:10:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "0123456789abcdef",
    } | other


def message(*alerts: Any, **other: Any) -> dict[str, Any]:
    """Return Alertmanager's webhook payload, version 4, with all the keys that it sends."""
    return {
        "receiver": "homeostat",
        "status": "firing",
        "alerts": list(alerts) or [alert()],
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager",
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
        "notification_reason": "a key of a newer Alertmanager",
    } | other


@pytest.fixture
def told() -> list[Alert]:
    return []


@pytest.fixture
def door(bench: Any, tmp_path: Path, told: list[Alert]) -> Iterator[TestClient]:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    doors = Doors(heard=Heard(on_news=told.append), alerts_token_file=tmp_path / "token")
    with TestClient(bench.app(doors=doors), raise_server_exceptions=False) as client:
        yield client


def post(client: TestClient, body: Any, token: str = TOKEN, path: str = "/v1/alerts") -> Any:
    return client.post(path, json=body, headers={"authorization": f"Bearer {token}"})


def listed(client: TestClient, query: str = "") -> list[dict[str, Any]]:
    found = client.get(f"/v1/alerts{query}").json()["alerts"]
    assert isinstance(found, list)
    return found


def test_an_alert_is_shown_and_nothing_is_handed_to_the_loop(
    bench: Any, door: TestClient, told: list[Alert]
) -> None:
    said = post(door, message())
    assert said.status_code == 200
    assert said.json() == {
        "new": 1, "changed": 0, "repeated": 0, "own": 0, "unplaced": 0, "off_record": 1,
        "truncated": 0,
    }  # fmt: skip
    (row,) = listed(door)
    assert row == {
        "fingerprint": "0123456789abcdef",
        "name": "HighLatency",
        "deployment": "credit",
        "state": "firing",
        "starts_at": 1699999800.123456,
        "ends_at": None,
        "heard_at": bench.now / SECOND,
        "severity": "page",
        "summary": "p95 over 2 s",
        "labels": {"alertname": "HighLatency", "severity": "page", "deployment": "credit"},
        "by": "alertmanager",
    }
    assert [one.words for one in told] == ["alert HighLatency (page) fires: p95 over 2 s"]
    assert not bench.submitted
    assert not bench.thrown


def test_the_token_opens_this_path_and_no_other(bench: Any, door: TestClient) -> None:
    assert post(door, message(), token="wrong" * 8).status_code == 401
    assert door.post("/v1/alerts", json=message()).status_code == 401
    for path, body in (
        ("/v1/freeze", {"level": "nothing"}),
        ("/v1/decisions/d-0002/approve", {}),
        ("/v1/labels", {"labels": []}),
        ("/v1/alerts/", message()),
    ):
        assert post(door, body, path=path).status_code == 401, path
    assert door.get("/v1/me", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 401
    assert not bench.submitted
    assert not bench.thrown


def test_a_token_file_that_is_gone_or_short_lets_nobody_in(
    door: TestClient, tmp_path: Path
) -> None:
    for text in ("", "short"):
        (tmp_path / "token").write_text(text)
        assert post(door, message(), token=text or TOKEN).status_code == 401
    (tmp_path / "token").unlink()
    assert post(door, message()).status_code == 401


def test_without_a_token_file_only_an_admin_may(bench: Any) -> None:
    with TestClient(bench.app()) as client:
        assert post(client, message()).status_code == 401
        assert post(client, message(), token=bench.token).status_code == 200
        assert listed(client)[0]["by"] == "operator"


def test_the_same_again_is_no_news_and_its_end_is(
    bench: Any, door: TestClient, told: list[Alert]
) -> None:
    post(door, message())
    bench.now = TimeNs(bench.now + 60 * SECOND)
    assert post(door, message()).json()["repeated"] == 1
    assert listed(door)[0]["heard_at"] == bench.now / SECOND
    over = alert(status="resolved", endsAt="2023-11-14T22:20:00Z")
    assert post(door, message(over, status="resolved")).json()["changed"] == 1
    (row,) = listed(door)
    assert (row["state"], row["ends_at"]) == ("resolved", 1700000400.0)
    assert len(told) == 2


def test_a_firing_that_nobody_speaks_of_any_more_is_unknown_and_never_over(
    bench: Any, door: TestClient
) -> None:
    post(door, message())
    bench.now = TimeNs(bench.now + QUIET_NS)
    assert listed(door)[0]["state"] == "firing"
    bench.now = TimeNs(bench.now + SECOND)
    assert listed(door)[0]["state"] == "unknown"


def test_our_own_alerts_that_come_back_are_not_heard(door: TestClient, told: list[Alert]) -> None:
    ours = alert(labels={"alertname": "HomeostatIncident", "source": "homeostat"})
    assert post(door, message(ours)).json()["own"] == 1
    assert not listed(door)
    assert not told


def test_an_alert_about_nothing_of_ours_is_shown_beside(door: TestClient) -> None:
    other = alert(labels={"alertname": "Disk", "deployment": "credit/../x"}, fingerprint="ab")
    assert post(door, message(other, alert())).json()["unplaced"] == 1
    assert {row["deployment"] for row in listed(door)} == {None, "credit"}
    assert [row["name"] for row in listed(door, "?deployment=credit")] == ["HighLatency"]


def test_text_from_outside_is_text(door: TestClient) -> None:
    nasty = "a\x1b[2J\r\n\u202e\x00<script>"
    post(door, message(alert(labels={"alertname": nasty, nasty: nasty})))
    shown = json.dumps(listed(door))
    assert not any(sign in shown for sign in ("\\u001b", "\\u202e", "\\n", "\\r", "\\u0000"))


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        message(version="3"),
        message(version=4),
        message(status="on fire"),
        message("no alert"),
        message(alert(status="")),
        message(alert(labels=None)),
        message(alert(labels={"a": 1})),
        message(alert(labels={"": "x"})),
        message(alert(labels={f"l{n}": "x" for n in range(65)})),
        message(alert(labels={"a": "x" * 1025})),
        message(alert(startsAt="yesterday")),
        message(alert(startsAt="2023-11-14T22:10:00")),
        message(alert(startsAt=None)),
        message(alert(fingerprint="../x")),
        message(alert(fingerprint="")),
        message(truncatedAlerts=-1),
        message(truncatedAlerts="many"),
        {**message(), "alerts": [alert()] * 501},
    ],
)
def test_what_is_no_message_of_version_4_is_refused_whole(door: TestClient, body: Any) -> None:
    assert post(door, body).status_code == 422
    assert not listed(door)


def test_bodies_are_bounded_and_plain_json(door: TestClient) -> None:
    long = alert(annotations={f"n{n}": "x" * 8000 for n in range(40)})
    assert post(door, message(long)).status_code == 413
    assert post(door, message(alert(annotations={"a": "x" * 100_000}))).status_code == 422
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    for odd in (b"\xff", b"[" * 100_000, b'{"a": NaN}', b""):
        assert door.post("/v1/alerts", content=odd, headers=headers).status_code in {400, 422}
    assert not listed(door)
    headers["content-encoding"] = "gzip"
    assert door.post("/v1/alerts", content=b"{}", headers=headers).status_code == 415


def test_a_standby_takes_none_and_says_that_it_may_be_sent_again(bench: Any) -> None:
    with TestClient(bench.app(standby=lambda: True)) as client:
        assert post(client, message(), token=bench.token).status_code == 503


def make(n: int, *, fires: bool = True, at: int = 0) -> Alert:
    return Alert(
        fingerprint=f"{n:x}", name=f"A{n}", deployment="credit", fires=fires, starts_at=TimeNs(0),
        ends_at=None, severity="", summary="", labels=(), by="x", heard_at=TimeNs(at),
    )  # fmt: skip


def test_memory_is_bounded_and_what_is_resolved_makes_room_first() -> None:
    heard = Heard()
    heard.take([make(0), make(1, fires=False)], TimeNs(0))
    heard.take([make(n) for n in range(2, KEPT + 1)], TimeNs(0))
    names = {one.name for one in heard.newest()}
    assert len(names) == KEPT
    assert "A0" in names
    assert "A1" not in names
    heard.take([make(9999)], TimeNs(0))
    assert len(heard.newest()) == KEPT
    assert heard.newest()[0].name == "A9999"


def test_the_record_takes_so_many_an_hour_and_the_rest_is_shown() -> None:
    noted_ones: list[Alert] = []
    heard = Heard(note=noted_ones.append)
    counts = heard.take([make(n) for n in range(NOTES + 5)], TimeNs(0))
    assert (len(noted_ones), counts["off_record"], counts["new"]) == (NOTES, 5, NOTES + 5)
    heard.take([make(1000)], TimeNs(HOUR))
    assert len(noted_ones) == NOTES + 1


class Broken:
    """A journal that cannot be written."""

    def append(self, *_: Any, **__: Any) -> None:
        raise StoreError("the disk is full")


def test_what_cannot_be_noted_is_shown_all_the_same() -> None:
    heard = Heard(note=noting(Broken(), lambda: TimeNs(0), lambda _: None))  # type: ignore[arg-type]
    heard.take([make(1)], TimeNs(0))
    assert [one.name for one in heard.newest()] == ["A1"]


def test_a_note_is_canonical_and_known_by_its_beginning() -> None:
    body = noted(make(1))
    assert body.startswith(NOTED)
    assert json.loads(body)["alert.heard"]["words"] == "alert A1 fires"
