"""The state document: what a write does to it, decided without any process."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base.units import TimeNs
from homeostat.demo.host_document import (
    Accepted,
    Document,
    LeverRules,
    Patch,
    Refused,
    Repeated,
    first_document,
    from_json,
    patch,
    to_json,
    with_release,
)

RULES = LeverRules(
    replicas_max=6, version_problem=lambda name: None if name in {"v1", "v2"} else "unknown"
)


def fresh() -> Document:
    return first_document({
        "batch_max": 8,
        "batch_wait_ms": 5.0,
        "concurrency_max": 256,
        "replicas.a": 3,
        "replicas.b": 1,
        "version.a": "v2",
        "version.b": "v1",
    })


def write(document: Document, levers: dict[str, Any], **changes: Any) -> Patch:
    base: dict[str, Any] = {"expected": document.revision, "epoch": 1, "intent": "d-1.0.0"}
    return Patch(**(base | {"levers": levers} | changes))


def landed(document: Document, levers: dict[str, Any], **changes: Any) -> Document:
    answer = patch(document, write(document, levers, **changes), RULES)
    assert isinstance(answer, Accepted), answer
    return answer.document


def test_a_setting_of_one_slot_is_its_own_until_the_setting_of_all_is_written() -> None:
    some = landed(fresh(), {"batch_max.a-1": 16, "concurrency_max.a-1": 32}, intent="d-1.0.0")
    assert (some.lever("batch_max"), some.lever("batch_max.a-1")) == (8, 16)
    other = landed(some, {"replicas.a": 4}, intent="d-2.0.0")
    assert (other.lever("batch_max.a-1"), other.lever("batch_max.a-4")) == (16, 0)
    whole = landed(other, {"batch_max": 16}, intent="d-3.0.0")
    assert (whole.lever("batch_max.a-1"), whole.lever("concurrency_max.a-1")) == (0, 32)
    both = landed(other, {"batch_max": 4, "batch_max.a-1": 2}, intent="d-4.0.0")
    assert (both.lever("batch_max"), both.lever("batch_max.a-1")) == (4, 2)
    fewer = landed(both, {"replicas.a": 0}, intent="d-5.0.0")
    assert "batch_max.a-1" not in dict(fewer.levers)
    again = landed(fewer, {"replicas.a": 1}, intent="d-6.0.0")
    assert again.lever("batch_max.a-1") == 0


@pytest.mark.parametrize("levers", [
    {"batch_max.a-9": 4}, {"batch_max.a-1": -1}, {"batch_max.a-1": 1.5}, {"batch_max.a-1": True},
    {"batch_max.a-1": 10_000}, {"batch_wait_ms.a-1": 3}, {"batch_max.": 4},
])  # fmt: skip
def test_a_setting_of_no_slot_or_beyond_its_range_is_refused(levers: dict[str, Any]) -> None:
    assert isinstance(patch(fresh(), write(fresh(), levers), RULES), Refused)


def test_a_fresh_document_has_the_same_levers_for_every_slot() -> None:
    levers = dict(fresh().levers)
    slots = {name.partition(".")[2] for name in levers if name.startswith("incarnation.")}
    assert slots == {"a-1", "a-2", "a-3", "b-1"}
    assert {name.partition(".")[2] for name in levers if name.startswith("drained.")} == slots


def test_a_write_lands_once_and_raises_the_revision_by_one() -> None:
    after = landed(fresh(), {"batch_max": 4}, epoch=3)
    assert (after.revision, after.epoch, after.intent) == (2, 3, "d-1.0.0")
    assert after.lever("batch_max") == 4
    assert after.writer == "controller"


def test_a_foreign_write_clears_the_stamp_and_keeps_the_epoch() -> None:
    ours = landed(fresh(), {"batch_max": 4}, epoch=3)
    theirs = landed(ours, {"batch_max": 1}, epoch=None, intent=None)
    assert (theirs.intent, theirs.epoch, theirs.writer) == (None, 3, "foreign")


def test_a_claim_moves_epoch_and_revision_and_nothing_else() -> None:
    before = landed(fresh(), {"batch_max": 4})
    after = landed(before, {}, epoch=9, intent="claim.9.1", expected=None)
    assert (after.revision, after.epoch) == (before.revision + 1, 9)
    assert (after.levers, after.intent) == (before.levers, "d-1.0.0")


@pytest.mark.parametrize(
    ("levers", "changes"),
    [({"batch_max": 4}, {}), ({}, {"epoch": None, "intent": None})],
    ids=["levers", "foreign"],
)
def test_only_a_claim_fits_any_revision(levers: dict[str, Any], changes: dict[str, Any]) -> None:
    answer = patch(fresh(), write(fresh(), levers, expected=None, **changes), RULES)
    assert isinstance(answer, Refused)
    assert answer.status == 428


def test_an_old_revision_is_a_conflict_also_for_a_foreign_write() -> None:
    before = fresh()
    after = landed(before, {"batch_max": 4})
    for who in ({"intent": "d-2.0.0"}, {"epoch": None, "intent": None}):
        answer = patch(after, write(before, {"batch_max": 2}, **who), RULES)
        assert isinstance(answer, Refused)
        assert answer.status == 409


def test_an_older_epoch_is_refused_even_on_the_present_revision() -> None:
    document = landed(fresh(), {}, epoch=5, intent="claim")
    answer = patch(document, write(document, {"batch_max": 2}, epoch=4), RULES)
    assert isinstance(answer, Refused)
    assert answer.status == 403


def test_a_repeated_intent_answers_the_revision_it_made_whatever_came_after() -> None:
    first = write(fresh(), {"batch_max": 4})
    document = landed(landed(fresh(), {"batch_max": 4}), {"batch_max": 2}, intent="d-2.0.0")
    assert patch(document, first, RULES) == Repeated(revision=2)
    assert document.lever("batch_max") == 2


def test_an_intent_id_with_other_levers_is_refused() -> None:
    document = landed(fresh(), {"batch_max": 4})
    answer = patch(document, write(document, {"batch_max": 5}), RULES)
    assert isinstance(answer, Refused)
    assert answer.status == 422


@pytest.mark.parametrize(
    ("levers", "word"),
    [
        ({"batch_maxx": 4}, "batch_max"),
        ({"replicas.a": 7}, "6"),
        ({"replicas.a": -1}, "0"),
        ({"replicas.a": 2.5}, "whole"),
        ({"replicas.a": True}, "whole"),
        ({"replicas.c": 1}, "unknown lever"),
        ({"batch_wait_ms": float("nan")}, "nan"),
        ({"batch_wait_ms": float("inf")}, "inf"),
        ({"batch_max": 10**400}, "1024"),
        ({"batch_max": None}, "None"),
        ({"batch_max": [8]}, "8"),
        ({"version.a": "v9"}, "unknown"),
        ({"version.a": 2}, "version"),
        ({"incarnation.a-1": 0}, "from 1 to 2"),
        ({"incarnation.a-1": 3}, "from 1 to 2"),
        ({"incarnation.a-4": 1}, "unknown lever"),
        ({"drained.a-1": -1}, "0"),
    ],
)
def test_an_absurd_lever_is_refused_by_name_and_nothing_lands(
    levers: dict[str, Any], word: str
) -> None:
    answer = patch(fresh(), write(fresh(), {"batch_max": 4} | levers), RULES)
    assert isinstance(answer, Refused)
    assert answer.status == 422
    assert next(iter(levers)) in answer.reason
    assert word in answer.reason


def test_a_slot_that_returns_counts_its_incarnations_on() -> None:
    two = landed(fresh(), {"incarnation.a-3": 2})
    gone = landed(two, {"replicas.a": 2}, intent="d-2")
    assert "incarnation.a-3" not in dict(gone.levers)
    back = landed(gone, {"replicas.a": 3}, intent="d-3")
    assert back.lever("incarnation.a-3") == 3
    assert back.marks == ()


def test_a_release_is_noted_once_until_another_one_ran() -> None:
    document = with_release(fresh(), "a", "v2", TimeNs(1))
    assert with_release(document, "a", "v2", TimeNs(2)) is document
    document = with_release(document, "a", "v1", TimeNs(3))
    document = with_release(document, "a", "v2", TimeNs(4))
    assert [(r.version, r.since) for r in document.releases] == [("v2", 1), ("v1", 3), ("v2", 4)]


values = st.one_of(
    st.integers(-2, 12), st.floats(), st.text(max_size=3), st.booleans(), st.none(),
    st.sampled_from(["v1", "v2"]),
)  # fmt: skip
writes = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from([*dict(fresh().levers), "nonsense"]), values, max_size=3),
        st.integers(0, 4),  # epoch; 0 stands for a foreign write
        st.integers(0, 8),  # intent number
        st.integers(-1, 1),  # how far off the revision is
    ),
    max_size=25,
)


@given(writes)
def test_whatever_is_written_the_document_stays_whole(many: list[Any]) -> None:
    document = fresh()
    for levers, epoch, number, off in many:
        mine = epoch > 0
        one = Patch(
            expected=document.revision + off,
            epoch=epoch if mine else None,
            intent=f"d-{number}" if mine else None,
            levers=levers,
        )
        answer = patch(document, one, RULES)
        if isinstance(answer, Accepted):
            after = answer.document
            assert off == 0
            assert after.revision == document.revision + 1
            assert after.epoch >= document.epoch
            assert not mine or epoch >= document.epoch
            assert {k: dict(after.levers)[k] for k in levers if k in dict(after.levers)} == {
                k: v for k, v in levers.items() if k in dict(after.levers)
            }
            assert from_json(to_json(after)) == after
            slots = {slot for pool in after.pools() for slot in after.slots(pool)}
            named = {k.partition(".")[2] for k, _ in after.levers if k.startswith("incarnation.")}
            assert named == slots
            document = after


@given(writes)
def test_no_intent_lands_twice(many: list[Any]) -> None:
    document = fresh()
    moved = []
    for levers, _, number, _ in many:
        one = Patch(expected=document.revision, epoch=1, intent=f"d-{number}", levers=levers)
        answer = patch(document, one, RULES)
        if isinstance(answer, Accepted):
            moved.append(number)
            document = answer.document
    assert len(moved) == len(set(moved))


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"revision": 1}', "{" * 99])
def test_what_is_no_document_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a host document|Expecting"):
        from_json(text)


def test_only_the_last_intents_are_kept() -> None:
    document = fresh()
    for number in range(300):
        document = landed(document, {}, intent=f"d-{number}")
    assert len(document.landed) == 256
    assert document.landed[-1].intent == "d-299"
    assert replace(document, landed=()).revision == 301
