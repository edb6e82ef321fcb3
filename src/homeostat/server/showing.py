"""Keeps every screen (a chat, an Alertmanager) at what stands; level-triggered, one at a time.

Each screen has a task of its own: one that is slow or broken holds up no other, and never the
loop. What could not be shown is shown later, as it is by then; nothing is queued.
"""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

import structlog

from homeostat.base.bulletin import Bulletin, Showing
from homeostat.base.state import LoopState
from homeostat.server.board import Board, Matter
from homeostat.server.reading import plain

log = structlog.get_logger()

States = Callable[[str], LoopState | None]
FIRST_S: Final = 1.0
"""The first pause after a failure; it doubles, jittered."""
LONGEST_S: Final = 60.0
FAILURES: Final = 3
"""So many in a row are the screen's and not the matter's: then all of it waits."""
LOOK_S: Final = 5.0
"""How often it is looked for what is due, when nothing changes."""


class Screen:
    """One screen, and what it was shown last.

    Args:
        showing: The notifier.
        board: What stands.
        states: What the loop knows of a deployment: what a yes would be bound to.
        monotonic: Seconds that only grow.
        told: Told of each showing whether it went well.
    """

    def __init__(
        self,
        showing: Showing,
        board: Board,
        states: States,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        told: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._showing, self._board, self._states = showing, board, states
        self._monotonic, self._told = monotonic, told
        self._shown: dict[Matter, tuple[int, float]] = {}
        self._failed: dict[Matter, tuple[int, float]] = {}
        self._not_before = 0.0

    def due(self) -> list[Matter]:
        """Return what has to be shown now: what changed, and what is open and due again."""
        now, again_s = self._monotonic(), self._showing.again_s
        if now < self._not_before:
            return []
        found = []
        for matter, bulletin in self._board.bulletins.items():
            version, at = self._shown.get(matter, (0, now))
            late = again_s is not None and bulletin.is_open and now - at >= again_s
            waits = now < self._failed.get(matter, (0, 0.0))[1]
            if not waits and (late or version != self._board.versions[matter]):
                found.append(matter)
        return found

    async def catch_up(self) -> None:
        """Show what is due; what fails waits by itself, and after a few failures all of it."""
        known = self._board.bulletins
        self._shown = {one: at for one, at in self._shown.items() if one in known}
        self._failed = {one: at for one, at in self._failed.items() if one in known}
        failures = 0
        for matter in self.due():
            bulletin = known.get(matter)
            if bulletin is None:
                continue  # it made room meanwhile
            version = self._board.versions[matter]
            try:
                await self._showing.show(bound(bulletin, self._states(matter[0])))
            except Exception as error:  # noqa: BLE001 - a broken screen must not stop the others
                wait_s = self._note(matter, error)
                failures += 1
                if failures >= FAILURES or getattr(error, "wait_s", None) is not None:
                    self._not_before = self._monotonic() + wait_s
                    return
            else:
                self._told(True)
                self._failed.pop(matter, None)
                self._shown[matter] = (version, self._monotonic())

    async def keep(self) -> None:
        """Catch up whenever something changes, until cancelled."""
        news = asyncio.Event()
        stop = self._board.watch(news.set)
        try:
            while True:
                news.clear()
                await self.catch_up()
                await _until(news, self._pause())
                rest = self._not_before - self._monotonic()
                if rest > 0.0:
                    await asyncio.sleep(rest)
        finally:
            stop()

    def _pause(self) -> float:
        again_s = self._showing.again_s
        return LOOK_S if again_s is None else min(LOOK_S, again_s / 2)

    def _note(self, matter: Matter, error: Exception) -> float:
        """Note a failure and return how long to wait, seconds."""
        self._told(False)
        times = self._failed.get(matter, (0, 0.0))[0] + 1
        longest = min(LONGEST_S, FIRST_S * 2.0 ** min(times, 10))
        drawn = random.uniform(FIRST_S, longest)  # noqa: S311 - spreads load, no secret
        wait_s = max(drawn, getattr(error, "wait_s", 0.0))
        self._failed[matter] = (times, self._monotonic() + wait_s)
        name = type(self._showing).__name__
        log.warning("show", notifier=name, again_in_s=round(wait_s, 1), problem=plain(error))
        return wait_s


async def _until(news: asyncio.Event, longest_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(longest_s):
            await news.wait()


def bound(bulletin: Bulletin, state: LoopState | None) -> Bulletin:
    """Return a bulletin whose question says what a yes is bound to, if that is known."""
    asked, question = None if state is None else state.asked, bulletin.question
    if asked is None or question is None or asked.decision_id != question.decision_id:
        return bulletin
    question = replace(question, action_hash=asked.action_hash, evidence_hash=asked.evidence_hash)
    return replace(bulletin, question=question)
