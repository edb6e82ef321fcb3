"""Answers over HTTP: bound to the question, refused in words, and harmless when sent twice."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from homeostat.base.events import Approval, FleetView
from homeostat.base.intent import ActionState
from homeostat.base.state import LoopState
from homeostat.loop import approving
from homeostat.loop.step import initial, step
from homeostat.server.wiring import loop_parts

YES = "/v1/decisions/d-0002/approve"


class Loop:
    """The loop of the story's deployment, with its open question; takes answers as the real one."""

    def __init__(self, bench: Any) -> None:
        seen = bench.view.deployment("credit")
        record = seen.actions.get("d-0002").record
        assert record.state is ActionState.AWAITING_APPROVAL
        before: LoopState = replace(
            initial(seen.managed), fleet=FleetView(), evidence=seen.evidence, world=seen.world
        )
        self.state = approving.noted(before, replace(before, record=record), _Nobody())  # type: ignore[arg-type]
        self.bench = bench

    async def submit(self, event: Any) -> str | None:
        self.bench.submitted.append(event)
        self.state, commands = step(loop_parts(), self.state, event)
        for item in (event, *commands):
            self.bench.view.observe("credit", item)
        return None


class _Nobody:
    """An event that no person sent."""


@pytest.fixture
def loop(bench: Any) -> Loop:
    return Loop(bench)


@pytest.fixture
def asking(bench: Any, loop: Loop) -> Iterator[TestClient]:
    bench.submit = loop.submit
    with TestClient(bench.app(states=lambda _: loop.state), headers=bench.auth) as made:
        yield made


def asked(client: TestClient) -> dict[str, Any]:
    row = client.get("/v1/decisions/d-0002").json()
    assert row["pending"]
    question = row["question"]
    assert isinstance(question, dict)
    return question


def test_a_question_says_what_a_yes_is_bound_to(asking: TestClient, loop: Loop) -> None:
    question = asked(asking)
    assert loop.state.record is not None
    assert question["action_hash"] == approving.action_hash(loop.state.record.action)
    assert (question["needed"], question["agreed"], question["changed"]) == (1, [], [])
    assert {one["name"] for one in question["seen"]} >= {"incident", "objectives", "replicas"}


def test_the_journaled_answer_holds_both_hashes_who_why_and_where(
    asking: TestClient, bench: Any
) -> None:
    question = asked(asking)
    answer = asking.post(YES, json={"by": "ada", "why": "seen"})
    assert answer.status_code == 202, answer.text
    (event,) = bench.submitted
    assert isinstance(event, Approval)
    assert (event.action_hash, event.evidence_hash) == (
        question["action_hash"],
        question["evidence_hash"],
    )
    assert (event.by, event.principal, event.why) == ("ada", "owner", "seen")
    assert event.origin


def test_a_double_click_is_one_answer(asking: TestClient, bench: Any, loop: Loop) -> None:
    assert asking.post(YES, json={"by": "ada"}).status_code == 202
    after = loop.state
    again = asking.post(YES, json={"by": "ada"})
    assert again.status_code == 202
    assert "already" in again.json()["note"]
    assert (len(bench.submitted), loop.state) == (1, after)


def test_a_yes_to_another_evidence_is_refused_and_the_question_stays_open(
    asking: TestClient,
) -> None:
    wrong = asking.post(YES, json={"evidence_hash": "0" * 64})
    assert wrong.status_code == 409
    assert "read it again" in wrong.json()["detail"]
    assert asked(asking)
    assert asking.post(YES, json=asked_hashes(asking)).status_code == 202


def asked_hashes(client: TestClient) -> dict[str, str]:
    question = asked(client)
    return {name: question[name] for name in ("action_hash", "evidence_hash")}


def test_a_yes_after_the_evidence_changed_is_refused_in_words(
    asking: TestClient, loop: Loop, bench: Any
) -> None:
    evidence = loop.state.evidence
    assert evidence is not None
    met = {True: False, False: None, None: True}[evidence.slo_met]
    loop.state = replace(loop.state, evidence=replace(evidence, slo_met=met))
    assert "objectives was" in asked(asking)["changed"][0]
    answer = asking.post(YES, json={"by": "ada"})
    assert answer.status_code == 409
    assert "the evidence changed" in answer.json()["detail"]
    assert loop.state.record is None
    assert len(bench.submitted) == 1  # refused, and on record
    late = asking.post(YES, json={"by": "bob"})
    assert late.status_code == 409
    assert "not waiting" in late.json()["detail"]


def test_a_yes_sent_by_a_machine_is_slowed_down(asking: TestClient) -> None:
    statuses = [asking.post(YES, json={"by": f"p{i}"}).status_code for i in range(12)]
    assert statuses[0] == 202
    assert 429 in statuses
