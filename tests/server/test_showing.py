"""A screen is brought to what stands: nothing is queued, a broken one waits, a due one is shown."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from homeostat.base.bulletin import Bulletin, Question, Showing
from homeostat.base.decisions import Notice, Urgency
from homeostat.base.errors import NotifierError
from homeostat.base.events import Tell
from homeostat.base.state import Asked, LoopState
from homeostat.base.units import SECOND, TimeNs
from homeostat.loop import step as loop_step
from homeostat.server.board import Board
from homeostat.server.showing import FAILURES, Screen, bound
from homeostat.testing.story import managed

AT = TimeNs(1_700_000_000 * SECOND)


class Wall:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Fake:
    """A screen that remembers, and breaks when told to."""

    def __init__(self, again_s: float | None = None) -> None:
        self.again_s = again_s
        self.seen: list[Bulletin] = []
        self.broken: Callable[[Bulletin], Exception | None] = lambda _: None

    async def show(self, bulletin: Bulletin) -> None:
        error = self.broken(bulletin)
        if error is not None:
            raise error
        self.seen.append(bulletin)


def say(board: Board, key: str, title: str = "said") -> None:
    notice = Notice(key=key, deployment="credit", at=AT, urgency=Urgency.ASK, title=title)
    board.observe("credit", Tell(notice=notice))


def opened(board: Board, key: str) -> None:
    say(board, key)
    board.bulletins["credit", key] = replace(board.bulletins["credit", key], lasting=True)


def screen(fake: Fake, board: Board) -> tuple[Screen, Wall]:
    wall = Wall()
    return Screen(cast("Showing", fake), board, lambda _: None, monotonic=wall), wall


async def test_what_changed_twice_meanwhile_is_shown_once_as_it_is() -> None:
    board, fake = Board(), Fake()
    shown, _ = screen(fake, board)
    say(board, "a", "one")
    say(board, "a", "two")
    await shown.catch_up()
    await shown.catch_up()
    assert [one.title for one in fake.seen] == ["two"]


async def test_what_is_open_is_shown_again_when_it_is_due_and_nothing_else_is() -> None:
    board, fake = Board(), Fake(again_s=60.0)
    shown, wall = screen(fake, board)
    say(board, "over")
    opened(board, "open")
    await shown.catch_up()
    for passed, times in ((59.0, 2), (2.0, 3), (1.0, 3), (60.0, 4)):
        wall.now += passed
        await shown.catch_up()
        assert len(fake.seen) == times
    assert {one.key for one in fake.seen[2:]} == {"open"}


async def test_a_matter_that_is_refused_holds_up_no_other() -> None:
    board, fake = Board(), Fake()
    fake.broken = lambda b: NotifierError("no") if b.key == "bad" else None
    shown, wall = screen(fake, board)
    for key in ("bad", "good", "better"):
        say(board, key)
    await shown.catch_up()
    assert {one.key for one in fake.seen} == {"good", "better"}
    await shown.catch_up()
    assert len(fake.seen) == 2
    fake.broken = lambda _: None
    wall.now += 120.0
    await shown.catch_up()
    assert fake.seen[-1].key == "bad"


async def test_a_screen_that_is_away_is_left_alone_and_then_shown_all_of_it() -> None:
    board, fake = Board(), Fake()
    tried: list[str] = []

    def away(bulletin: Bulletin) -> Exception:
        tried.append(bulletin.key)
        return NotifierError("away")

    fake.broken = away
    shown, wall = screen(fake, board)
    for n in range(10):
        say(board, f"k{n}")
    await shown.catch_up()
    assert len(tried) == FAILURES
    await shown.catch_up()
    assert len(tried) == FAILURES
    fake.broken = lambda _: None
    wall.now += 120.0
    await shown.catch_up()
    assert len(fake.seen) == 10


async def test_a_wish_to_wait_is_kept_for_everything() -> None:
    class BusyError(NotifierError):
        wait_s = 500.0

    board, fake = Board(), Fake()
    fake.broken = lambda _: BusyError("later")
    shown, wall = screen(fake, board)
    say(board, "a")
    await shown.catch_up()
    fake.broken = lambda _: None
    say(board, "b")
    wall.now += 499.0
    await shown.catch_up()
    assert not fake.seen
    wall.now += 2.0
    await shown.catch_up()
    assert {one.key for one in fake.seen} == {"a", "b"}


async def test_a_change_during_a_showing_is_shown_after_it() -> None:
    board, fake = Board(), Fake()
    shown, _ = screen(fake, board)
    say(board, "a", "one")

    def meanwhile(bulletin: Bulletin) -> None:
        if bulletin.title == "one":
            say(board, "a", "two")

    fake.broken = meanwhile
    await shown.catch_up()
    await shown.catch_up()
    assert [one.title for one in fake.seen] == ["one", "two"]


@pytest.mark.parametrize("error", [NotifierError("no"), OSError("no"), RuntimeError("no")])
async def test_the_keeper_outlives_every_error(error: Exception) -> None:
    board, fake = Board(), Fake()
    fake.broken = lambda b: error if b.key == "bad" else None
    shown = Screen(cast("Showing", fake), board, lambda _: None)
    task = asyncio.create_task(shown.keep())
    say(board, "bad")
    await asyncio.sleep(0)
    say(board, "good")
    for _ in range(50):
        await asyncio.sleep(0)
    assert not task.done()
    assert [one.key for one in fake.seen] == ["good"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def state(**asked: Any) -> LoopState:
    found = Asked(
        **{"decision_id": "d-1", "action_hash": "a", "evidence_hash": "e", "seen": ()} | asked
    )
    return replace(loop_step.initial(managed("credit")), asked=found)


def test_a_question_is_bound_to_what_the_loop_asks_and_to_nothing_else() -> None:
    question = Question(decision_id="d-1", words="w", asked_at=AT, expires_at=AT)
    plain = Bulletin(
        key="i-1", deployment="credit", since=AT, at=AT, urgency=Urgency.ASK, title="t"
    )
    asked = replace(plain, question=question)
    now = bound(asked, state()).question
    assert now is not None
    assert (now.action_hash, now.evidence_hash) == ("a", "e")
    assert bound(asked, state(decision_id="d-2")) is asked
    assert bound(asked, None) is asked
    assert bound(plain, state()) is plain
