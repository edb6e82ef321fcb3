"""Rows to learn from: what was asked, with the answer that became known, for whoever refits.

Only predictions whose truth is ever known have a row, and none has it before. The token is another
one than that for labels: whoever may teach the model may not talk to the controller.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import aiohttp

ROWS_TOKEN_VARIABLE: Final = "HOMEOSTAT_DEMO_ROWS_TOKEN"  # noqa: S105 - the name of the variable
ROWS_BATCH: Final = 500  # a row is under 500 bytes, a body at most 1 MiB
WAITING_MAX: Final = 20_000  # bounds memory when nobody takes them
_EVERY_S: Final = 0.5
_TIMEOUT_S: Final = 2.0
_OK: Final = 200


class RowPost:
    """Posts labelled rows to a trainer, and never gets in the way of the load or the labels."""

    def __init__(self, url: str, note: Callable[[str, dict[str, Any]], None]) -> None:
        """Prepare.

        Args:
            url: Where to post; the bearer token comes from `HOMEOSTAT_DEMO_ROWS_TOKEN`.
            note: Writes a control line to the load log.
        """
        self._url, self._note = url, note
        self._waiting: deque[dict[str, Any]] = deque()
        self._lost = 0

    def add(self, row: dict[str, Any]) -> None:
        """Take one row, to be posted with the next ones; the newest is lost where too many wait."""
        if len(self._waiting) < WAITING_MAX:
            self._waiting.append(row)
        else:
            self._lost += 1

    async def run(self) -> None:
        """Post what is there, until cancelled."""
        headers = {"authorization": f"Bearer {os.environ.get(ROWS_TOKEN_VARIABLE, '')}"}
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
            while True:
                await asyncio.sleep(_EVERY_S)
                while batch := self.take():
                    await self._post(session, batch)

    def take(self) -> list[dict[str, Any]]:
        """Return the next rows to post, oldest first; none if none wait."""
        count = min(ROWS_BATCH, len(self._waiting))
        return [self._waiting.popleft() for _ in range(count)]

    async def _post(self, session: aiohttp.ClientSession, batch: list[dict[str, Any]]) -> None:
        try:
            async with session.post(self._url, json={"rows": batch}) as answer:
                why = "" if answer.status == _OK else f"status {answer.status}"
        except (aiohttp.ClientError, TimeoutError) as error:
            why = type(error).__name__
        if why:  # the trainer may be down: rows are lost then, and it says that it has too few
            self._lost += len(batch)
            self._note("rows_lost", {"count": len(batch), "lost": self._lost, "why": why})
