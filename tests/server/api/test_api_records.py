"""The record and the policies over HTTP: found, paged, and honest about a broken chain."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from homeostat.adapters.stores.sqlite import PART
from homeostat.base import codec
from homeostat.base.actions import ActionKind
from homeostat.base.autonomy import Grant
from homeostat.base.errors import CorruptStoreError, OutOfStepError
from homeostat.base.events import Approval, Record, UndoRequested
from homeostat.base.ports import Journal
from homeostat.base.types import KillLevel, TimeNs
from homeostat.safety.rules import RULES
from homeostat.server.auditing import Audit
from homeostat.server.kill import KillSwitch
from homeostat.server.kill_noted import NotedKill


def rows(now: TimeNs) -> list[tuple[TimeNs, str, str, bytes]]:
    off = KillLevel.OFF
    yes = Approval(
        at=now, decision_id="d-0002", approved=True, by="ada", why="seen <b>it</b>", kill=off,
        principal="ada", origin="10.0.0.7 console",
    )  # fmt: skip
    undo = UndoRequested(at=now, decision_id="d-0001", by="bob", kill=off, why="too early")
    word = Grant(
        at=now, deployment="m", kind=ActionKind.SCALE_UP, given=True, by="eve", why="59 of 59"
    )
    return [
        (now, "m", "event", codec.encode(yes)),
        (now, "n", "event", codec.encode(undo)),
        (now, "m", "command", codec.encode(Record(fact=word))),
    ]


@pytest.fixture
def journal(tmp_path: Path, bench: Any) -> Iterator[Journal]:
    made: Journal = PART.build(PART.config(path=tmp_path / "j.db"))
    made.claim_epoch("a test", bench.now)
    made.append(rows(bench.now), durable=False)
    yield made
    made.close()


@pytest.fixture
def client(bench: Any, journal: Journal) -> Iterator[TestClient]:
    with TestClient(bench.app(audit=Audit(journal))) as made:
        yield made


def read(client: TestClient, query: str = "") -> dict[str, Any]:
    answer = client.get(f"/v1/audit{query}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_the_record_says_who_what_why_and_from_where(client: TestClient) -> None:
    body = read(client)
    assert body["chain"]["state"] == "whole"
    assert len(body["chain"]["head"]) == 64
    grant, undo, yes = body["entries"]
    assert (yes["who"], yes["what"], yes["why"], yes["origin"]) == (
        "ada", "approved d-0002", "seen <b>it</b>", "10.0.0.7 console",
    )  # fmt: skip
    assert (undo["who"], undo["what"]) == ("bob", "wants d-0001 taken back")
    assert (grant["who"], grant["what"]) == ("eve", "let run unasked: scale_up")
    assert grant["seq"] > undo["seq"] > yes["seq"]


def test_entries_are_found_by_words_deployment_and_page(
    client: TestClient, journal: Journal, bench: Any
) -> None:
    assert [e["who"] for e in read(client, "?words=EARLY")["entries"]] == ["bob"]
    assert read(client, "?kind=decision")["entries"] == []
    assert client.get("/v1/audit?deployment=credit").json()["entries"] == []
    first = read(client, "?limit=2")["entries"]
    rest = read(client, f"?limit=2&before={first[-1]['seq']}")["entries"]
    assert [e["who"] for e in (*first, *rest)] == ["eve", "bob", "ada"]
    journal.append(rows(bench.now)[:1], durable=False)  # what is new is walked, no more
    assert [e["who"] for e in read(client)["entries"]] == ["ada", "eve", "bob", "ada"]


def test_a_broken_chain_is_said_and_stays_said(bench: Any) -> None:
    class Torn:
        def read(self, **_: Any) -> Iterator[Any]:
            yield from ()
            raise CorruptStoreError(7, "does not fit")

    with TestClient(bench.app(audit=Audit(Torn()))) as client:  # type: ignore[arg-type]
        for _ in range(2):
            chain = read(client)["chain"]
            assert chain["state"] == "broken"
            assert "7" in chain["problem"]
            assert "does not fit" in chain["problem"]


def test_a_policy_is_shown_with_its_rules_in_words(bench: Any, client: TestClient) -> None:
    body = client.get("/v1/policies").json()
    (shown,) = body["policies"]
    guard = bench.view.deployment("credit").managed.guard
    assert shown["auto"] == [kind.value for kind in guard.auto_kinds]
    assert len(body["built_in"]) == len(RULES)
    autonomy = next(r for r in body["built_in"] if (r["id"], r["name"]) == ("G12", "autonomy"))
    assert autonomy["words"] == "a named person's grant per kind, or an answer"
    assert (autonomy["otherwise"], autonomy["require"]) == ("ask", 'mode == "auto" && granted')


def test_a_decision_is_explained_with_what_was_known_then(bench: Any, client: TestClient) -> None:
    row = client.get("/v1/decisions/d-0001").json()
    assert row["then"]["at"] <= row["at"]
    assert row["then"]["slo_met"] is False
    assert row["then"]["suspicions"]
    now = client.get("/v1/deployments/credit").json()
    assert row["then"]["health_score"] != now["health_score"]


def test_a_thrown_kill_switch_is_on_record(
    bench: Any, client: TestClient, journal: Journal, tmp_path: Path
) -> None:
    ended: list[Exception] = []
    switch = NotedKill(KillSwitch(file=tmp_path / "kill"), journal, lambda: bench.now, ended.append)
    switch.throw(KillLevel.NOTHING, "ada: a bad deploy: stop")
    assert switch.level() is KillLevel.NOTHING
    (first, *_) = read(client, "?kind=person")["entries"]
    assert (first["who"], first["what"], first["why"]) == (
        "ada", "set the kill switch to nothing", "a bad deploy: stop",
    )  # fmt: skip
    journal.close()
    switch.throw(KillLevel.OFF, "bob")  # nothing can be noted any more: it is thrown all the same
    assert switch.level() is KillLevel.OFF
    assert ended == []


def test_a_note_that_tells_of_a_lost_step_ends_the_controller(tmp_path: Path) -> None:
    class Older:
        def append(self, *_: Any, **__: Any) -> None:
            raise OutOfStepError("the last append had been kept")

    ended: list[Exception] = []
    made: Any = Older()
    switch = NotedKill(KillSwitch(file=tmp_path / "kill"), made, lambda: TimeNs(1), ended.append)
    switch.throw(KillLevel.NOTHING, "ada")
    assert switch.level() is KillLevel.NOTHING
    assert [type(one) for one in ended] == [OutOfStepError]
