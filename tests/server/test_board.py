"""What stands of every matter follows from what was journaled, and one incident is one bulletin."""

from dataclasses import replace

import pytest

from homeostat.base.bulletin import Bulletin
from homeostat.base.decisions import Notice, Urgency
from homeostat.base.events import Record, Tell
from homeostat.base.evidence import Incident
from homeostat.base.intent import ActionRecord, ActionState
from homeostat.base.units import SECOND, TimeNs
from homeostat.loop import step as loop_step
from homeostat.server.board import KEPT, STORY, Board
from homeostat.testing.story import ASKED_AT, managed, story

START = TimeNs(1_700_000_000 * SECOND)


def told(ticks: int) -> Board:
    board = Board()
    for beat in story(START, ticks=ticks):
        for item in beat.items:
            board.observe("credit", item)
    return board


@pytest.fixture(scope="module")
def whole() -> Board:
    return told(300)


def notice(key: str, title: str, urgency: Urgency = Urgency.INFO, at: int = 0) -> Tell:
    at_ns = TimeNs(START + at * SECOND)
    return Tell(notice=Notice(key=key, deployment="credit", at=at_ns, urgency=urgency, title=title))


def test_an_incident_is_one_bulletin_from_its_onset_to_its_end(whole: Board) -> None:
    first = whole.bulletins["credit", "i-0001"]
    assert first.lasting
    assert first.over_at is not None
    assert first.over_at > first.since
    assert not first.is_open
    assert first.title == "replica at replica:a-2"
    assert any("d-0001" in line and "succeeded" in line for _, line in first.story)


def test_an_open_question_stands_in_its_incident(whole: Board) -> None:
    second = whole.bulletins["credit", "i-0002"]
    assert second.is_open
    assert second.question is not None
    assert second.question.decision_id == "d-0002"
    assert second.question.asked_at == START + ASKED_AT * SECOND
    assert second.urgency is Urgency.ASK
    assert ("credit", "d-0002") not in whole.bulletins


def asked_record() -> ActionRecord:
    found = [
        item.fact
        for beat in story(START)
        for item in beat.items
        if isinstance(item, Record) and isinstance(item.fact, ActionRecord)
    ]
    return next(one for one in reversed(found) if one.state is ActionState.AWAITING_APPROVAL)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (ActionState.INTENT, "approved by ada"),
        (ActionState.DENIED, "said no"),
        (ActionState.EXPIRED, "nobody answered"),
    ],
)
def test_a_settled_question_is_asked_no_more_and_the_story_says_how(
    state: ActionState, words: str
) -> None:
    board, record = told(300), asked_record()
    by = "ada" if state is ActionState.INTENT else ""
    reason = "" if by else words
    board.observe(
        "credit", Record(fact=replace(record, state=state, approved_by=by, reason=reason))
    )
    bulletin = board.bulletins["credit", "i-0002"]
    assert bulletin.question is None
    assert bulletin.is_open  # the incident goes on
    assert words in bulletin.story[-1][1]


def test_waiting_settles_no_question() -> None:
    board, record = told(300), asked_record()
    before = board.bulletins["credit", "i-0002"]
    board.observe("credit", Record(fact=record))
    assert board.bulletins["credit", "i-0002"] == before


def incident(number: int, *, confirmed: bool = True) -> Incident:
    found = [
        item.fact
        for beat in story(START)
        for item in beat.items
        if isinstance(item, Record) and isinstance(item.fact, Incident)
    ]
    return replace(
        found[0], id=f"i-{number:04d}", confirmed_at=found[0].opened_at if confirmed else None
    )


def test_a_suspicion_of_one_tick_is_nobodys_news() -> None:
    board = Board()
    board.observe("credit", Record(fact=incident(1, confirmed=False)))
    board.observe("credit", Record(fact=incident(1, confirmed=False), open=False))
    assert not board.bulletins


def test_a_page_is_remembered_to_the_end_and_the_urgency_never_falls() -> None:
    board = Board()
    board.observe("credit", Record(fact=incident(1)))
    board.observe("credit", notice("i-0001", "a person is needed", Urgency.PAGE, 5))
    board.observe("credit", notice("i-0001", "it is over", Urgency.INFO, 9))
    bulletin = board.bulletins["credit", "i-0001"]
    assert (bulletin.urgency, bulletin.paged_at) == (Urgency.PAGE, START + 5 * SECOND)


def test_a_notice_of_an_action_is_told_in_its_incident(whole: Board) -> None:
    board = told(300)
    board.observe("credit", notice("d-0001.repeated", "it does not last", Urgency.PAGE, 400))
    assert board.bulletins["credit", "i-0001"].story[-1][1] == "it does not last"
    assert len(board.bulletins) == len(whole.bulletins)


def test_a_word_outside_any_incident_stands_alone_and_the_next_one_takes_its_place() -> None:
    board = Board()
    board.observe("credit", notice("credit latency 14.4x", "burns", Urgency.PAGE))
    board.observe("credit", notice("credit latency 14.4x", "burns no longer"))
    (bulletin,) = board.bulletins.values()
    assert (bulletin.title, bulletin.lasting, bulletin.is_open) == ("burns no longer", False, False)
    assert [line for _, line in bulletin.story] == ["burns"]


def test_what_somebody_outside_says_is_told_in_open_incidents_of_that_deployment_alone() -> None:
    board = told(300)
    board.heard("other", "alert A fires", START)
    assert all("alert A" not in line for b in board.bulletins.values() for _, line in b.story)
    board.heard("credit", "alert A fires", START)
    assert board.bulletins["credit", "i-0002"].story[-1] == (START, "alert A fires")
    assert all("alert A" not in line for _, line in board.bulletins["credit", "i-0001"].story)


def test_only_a_change_has_a_new_version_and_wakes_those_who_watch() -> None:
    board, woken = Board(), []
    stop = board.watch(lambda: woken.append(1))
    board.observe("credit", Record(fact=incident(1)))
    versions = dict(board.versions)
    board.observe("credit", Record(fact=incident(1)))
    assert board.versions == versions
    assert len(woken) == 1
    stop()
    board.observe("credit", notice("i-0001", "more"))
    assert len(woken) == 1
    assert board.versions != versions


def test_memory_is_bounded_and_what_is_open_stays_longest() -> None:
    board = Board()
    board.observe("credit", Record(fact=incident(1)))
    for n in range(KEPT + 50):
        board.observe("credit", notice(f"key-{n}", "said"))
    assert len(board.bulletins) == len(board.versions) == KEPT
    assert ("credit", "i-0001") in board.bulletins
    for n in range(STORY + 20):
        board.observe("credit", notice("i-0001", f"line {n}"))
    assert len(board.bulletins["credit", "i-0001"].story) == STORY


def test_after_a_restart_what_is_open_is_taken_from_the_restored_state() -> None:
    state = replace(loop_step.initial(managed("credit")), incident=incident(3))
    board = Board()
    board.adopt({"credit": state})
    bulletin = board.bulletins["credit", "i-0003"]
    assert isinstance(bulletin, Bulletin)
    assert bulletin.is_open
    version = dict(board.versions)
    board.adopt({"credit": state})
    assert board.versions == version
