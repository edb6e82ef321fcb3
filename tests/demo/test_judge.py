"""The judge: outcomes, actions, and whose fault a lost request is."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging import AT, deployment, host, lever, replaced, request, sent, spare

from homeostat.demo.accesslog import NOWHERE, Ending, read_sent
from homeostat.demo.cause import ANY, OVERLOAD, Damage
from homeostat.demo.judge import (
    AFTERMATH_S,
    Judged,
    Seen,
    changes,
    is_as_expected,
    lost_by_actions,
    outcome_of,
    with_unrecorded,
)

ACTED = ((AT + 5.0, "restart_replica replica:a-1 (incarnation.a-1=2)"),)
RETRAINED = ((AT + 40.0, "shift_traffic pool:b (weight.b=100.0)"),)
TOLD = Seen(told_at=AT + 9.0, family="drift", applied=RETRAINED)
VICTIM = Damage(endings=ANY, start=AT, port=9001)
CHANGE = ((AT + 4.0, AT + 8.0),)


@pytest.mark.parametrize(
    ("acted", "well", "told", "family", "outcome"),
    [
        (True, True, False, "replica", "recovered"),
        (True, True, True, "replica", "recovered"),
        (True, False, True, "replica", "escalated"),
        (True, False, False, "replica", "failed"),
        (True, False, True, "sensor", "failed"),
        (False, True, False, "", "held"),
        (False, True, True, "drift", "escalated"),
        (False, False, True, "drift", "escalated"),
        (False, False, True, "sensor", "held"),
        (False, False, True, "", "held"),
        (False, False, False, "replica", "held"),
    ],
)
def test_the_outcome_follows_from_what_was_done_and_what_came_of_it(
    *, acted: bool, well: bool, told: bool, family: str, outcome: str
) -> None:
    seen = Seen(
        detected_at=AT,
        told_at=AT + 1.0 if told else None,
        family=family,
        applied=ACTED if acted else (),
    )
    assert outcome_of(seen, AT + 6.0 if well else None) == outcome


@pytest.mark.parametrize(
    ("fault", "expected", "seen", "right"),
    [
        ("killed_replica", "recovered", Seen(applied=ACTED), True),
        ("benign_blip", "held", Seen(), True),
        ("benign_blip", "held", Seen(applied=ACTED), False),
        ("metrics_outage", "held", Seen(), False),
        ("metrics_outage", "held", Seen(detected_at=AT + 3.0), True),
        ("covariate_drift", "recovered", replace(TOLD, told_at=AT + 30.0), True),
        ("covariate_drift", "recovered", replace(TOLD, told_at=AT + 30.1), False),
        ("covariate_drift", "recovered", replace(TOLD, told_at=None), False),
        ("covariate_drift", "recovered", replace(TOLD, family="output"), False),
    ],
)
def test_the_right_outcome_must_come_about_in_the_right_way(
    fault: str, expected: str, seen: Seen, *, right: bool
) -> None:
    assert is_as_expected(fault, expected, expected, seen, AT) is right


def test_another_outcome_than_the_right_one_is_never_as_expected() -> None:
    assert not is_as_expected("killed_replica", "recovered", "escalated", Seen(applied=ACTED), AT)


def test_a_change_that_only_the_host_saw_is_an_action_too() -> None:
    log = [*deployment(), lever(4.9, "incarnation.a-1", 1, 2), lever(6.0, "replicas.a", 3, 4)]
    assert with_unrecorded(ACTED, log, AT) == (*ACTED, (AT + 6.0, "unrecorded (replicas.a=4)"))


def test_foreign_earlier_and_accompanying_changes_are_no_actions_of_ours() -> None:
    log = [
        lever(-3.0, "replicas.a", 3, 4),
        lever(1.0, "version.a", "v2", "v3-slow", writer="foreign"),
        lever(4.9, "incarnation.a-1", 1, 2),
        lever(4.9, "drained.a-4", None, 0),
    ]
    assert with_unrecorded(ACTED, log, AT) == ACTED


def test_a_change_lasts_from_its_write_to_a_while_after_the_last_step() -> None:
    log = [spare(), *deployment(), lever(4.5, "incarnation.a-1", 1, 2), *replaced(5.2)]
    spans = changes(log, ACTED, AT)
    assert min(start for start, _ in spans) == AT + 4.0
    assert max(end for _, end in spans) == pytest.approx(AT + 6.2 + AFTERMATH_S)
    covered = sorted(spans)
    assert all(end >= start for (_, end), (start, _) in pairwise(covered))


def test_without_an_action_nothing_is_lost_by_actions() -> None:
    failed = [request(1.0), request(2.0, name="r")]
    assert lost_by_actions(failed, {}, (), changes(deployment(), (), AT)) == 0


@pytest.mark.parametrize(
    ("ending", "at", "port", "counts"),
    [
        (Ending.LATE, 5.0, 9001, 0),  # the victim, as the fault fails
        (Ending.CUT, 5.0, 9001, 0),
        (Ending.CUT, 5.0, 9002, 1),  # a healthy process
        (Ending.ERROR, 5.0, 9005, 1),  # the replacement in the victim's slot
        (Ending.BUSY, 5.0, None, 1),  # went nowhere: nobody was in rotation
        (Ending.FINE, 5.0, 9002, 1),  # answered, read, and yet no answer: a mix-up
        (Ending.FINE, 5.0, 9001, 1),  # the same of the victim, which fails in other ways
        (Ending.REFUSED, 5.0, 9002, 0),  # by the limit
        (Ending.CUT, 3.0, 9002, 0),  # before any change
        (Ending.CUT, 8.5, 9002, 0),  # long after it
        (Ending.CUT, 3.95, 9002, 1),  # in flight when the change began
    ],
)
def test_whose_fault_one_failed_attempt_is(
    ending: Ending, at: float, port: int | None, counts: int
) -> None:
    attempts = {"q": [sent(ending, at, port)]}
    assert lost_by_actions([request(at)], attempts, (VICTIM,), CHANGE) == counts


def test_one_attempt_of_ours_is_enough_for_a_request_to_count_and_it_counts_once() -> None:
    failed = [request(4.5, attempts=2)]
    by_fault = sent(Ending.LATE, 4.5, 9001)
    by_us = sent(Ending.CUT, 4.7, 9002)
    assert lost_by_actions(failed, {"q": [by_fault, by_us]}, (VICTIM,), CHANGE) == 1
    assert lost_by_actions(failed, {"q": [by_us, by_us]}, (VICTIM,), CHANGE) == 1
    assert lost_by_actions(failed, {"q": [by_fault, by_fault]}, (VICTIM,), CHANGE) == 0


def test_an_attempt_that_the_proxy_does_not_know_cannot_be_explained() -> None:
    by_fault = sent(Ending.LATE, 4.5, 9001)
    assert lost_by_actions([request(4.5)], {}, (VICTIM,), CHANGE) == 1
    assert lost_by_actions([request(4.5, attempts=2)], {"q": [by_fault]}, (VICTIM,), CHANGE) == 1


@given(
    st.sampled_from([one for one in Ending if one is not Ending.REFUSED]),
    st.floats(0.0, 20.0),
    st.integers(9001, 9006),
)
def test_more_explanation_never_adds_a_loss_and_more_changes_never_take_one(
    ending: Ending, at: float, port: int
) -> None:
    failed, attempts = [request(at)], {"q": [sent(ending, at, port)]}
    bare = lost_by_actions(failed, attempts, (), CHANGE)
    assert lost_by_actions(failed, attempts, (VICTIM,), CHANGE) <= bare
    assert lost_by_actions(failed, attempts, (), (*CHANGE, (AT, AT + 30.0))) == 1 >= bare


def test_an_answer_that_nobody_waited_for_was_late() -> None:
    slow = Damage(endings=OVERLOAD, start=AT, port=9001)
    gave_up = replace(request(4.5, attempts=2), status=None, outcome="timeout")
    answered = [sent(Ending.FINE, 4.5, 9001, took=0.8), sent(Ending.FINE, 5.5, 9001, took=0.8)]
    assert lost_by_actions([gave_up], {"q": answered}, (slow,), CHANGE) == 0
    elsewhere = [answered[0], replace(answered[1], port=9002)]
    assert lost_by_actions([gave_up], {"q": elsewhere}, (slow,), CHANGE) == 1
    then_broken = [answered[0], sent(Ending.BUSY, 5.5, 9001)]
    assert lost_by_actions([request(4.5, attempts=2)], {"q": then_broken}, (slow,), CHANGE) == 0


def test_what_never_reached_the_proxy_is_explained_by_a_crowd_alone_and_only_if_late() -> None:
    crowd = Damage(endings=OVERLOAD, start=AT, port=NOWHERE)
    gave_up = replace(request(4.5), status=None, outcome="timeout")
    assert lost_by_actions([gave_up], {}, (crowd,), CHANGE) == 0
    assert lost_by_actions([gave_up], {}, (VICTIM,), CHANGE) == 1
    assert lost_by_actions([request(4.5)], {}, (crowd,), CHANGE) == 1, "refused at the door"


def test_overload_explains_no_cut_connection() -> None:
    crowd = Damage(endings=OVERLOAD, start=AT)
    assert crowd.explains(sent(Ending.LATE, 5.0, 9002))
    assert not crowd.explains(sent(Ending.CUT, 5.0, 9002))


def line(**changes: object) -> str:
    plain = {
        "code": 200, "duration_ms": 40, "flags": "-", "path": "/v2/models/credit/infer",
        "pool": "a", "replica": "a-1", "request_id": "7-1",
        "start_time": "2026-11-21T03:08:36.406780Z", "upstream": "127.0.0.1:9001",
    }  # fmt: skip
    return json.dumps(plain | changes) + "\n"


def test_the_access_log_tells_each_attempt_of_the_requests_asked_for(tmp_path: Path) -> None:
    log = tmp_path / "access.jsonl"
    log.write_text(
        line(flags="UC", code=503, start_time="2026-11-21T03:08:37.500000Z")
        + line(flags="DC", code=0, duration_ms=1000)
        + line(request_id="7-2")
        + line(request_id="7-3", flags="UF,URX", code=503, upstream=None)
        + "{not json\n"
        + line(request_id="7-1")[:40],
        encoding="utf-8",
    )
    found = read_sent(log, ["7-1", "7-3", "7-9"])
    assert [(one.ending, one.port) for one in found["7-1"]] == [
        (Ending.LATE, 9001),
        (Ending.CUT, 9001),
    ]
    first = found["7-1"][0]
    assert first.end - first.start == pytest.approx(1.0)
    assert [(one.ending, one.port) for one in found["7-3"]] == [(Ending.CUT, None)]
    assert found["7-9"] == []


def test_an_answer_that_crossed_with_a_client_who_left_was_late(tmp_path: Path) -> None:
    log = tmp_path / "access.jsonl"
    log.write_text(line(duration_ms=950) + line(duration_ms=850), encoding="utf-8")
    assert [one.ending for one in read_sent(log, ["7-1"])["7-1"]] == [Ending.LATE, Ending.FINE]


def test_a_missing_access_log_explains_nothing(tmp_path: Path) -> None:
    assert read_sent(tmp_path / "none.jsonl", ["7-1"]) == {"7-1": []}


def test_a_judgement_holds_every_key_of_the_contract_and_null_for_what_did_not_happen() -> None:
    judged = Judged(
        fault="benign_blip", detail="x", expected="held", injected_at=20.0, detected_at=None,
        acted_at=None, recovered_at=None, actions=[], lost_requests=0, outcome="held",
        diagnosis="", as_expected=True,
    )  # fmt: skip
    plain = json.loads(json.dumps(judged.to_plain()))
    contract = {
        "fault", "injected_at", "detected_at", "acted_at", "recovered_at", "actions",
        "lost_requests", "outcome",
    }  # fmt: skip
    assert contract <= set(plain)
    assert [plain[key] for key in ("detected_at", "acted_at", "recovered_at")] == [None] * 3


def test_host_lines_without_a_slot_do_not_confuse_the_changes() -> None:
    assert changes([host("spare_ready", 1.0, pid=1, port=2)], ACTED, AT) == [
        (AT + 4.0, AT + 5.0 + AFTERMATH_S)
    ]
