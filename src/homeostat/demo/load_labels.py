"""True answers that arrive late: some never, some twice, some very late, as in real life."""

import asyncio
import heapq
import os
import random
import time
from collections.abc import Callable
from typing import Any, Final

import aiohttp
import numpy as np
from numpy.typing import NDArray

from homeostat.demo.load_rows import RowPost

Asked = tuple[float, NDArray[np.float64]]
"""When a prediction was asked for, epoch seconds, and its inputs `[feature]`."""

COVERAGE: Final = 0.60  # share of predictions whose truth is ever known
_DELAY_S: Final = (1.0, 3.0)
_LATE_SHARE: Final = 0.05
_LATE_S: Final = 10.0  # on top, for late ones
DELAY_MEAN_S: Final = sum(_DELAY_S) / 2.0 + _LATE_SHARE * _LATE_S
_TWICE_SHARE: Final = 0.03
_EVERY_S: Final = 0.5
_BATCH: Final = 1_000
_WAITING_MAX: Final = 50_000  # bounds memory when nobody takes the labels
_TIMEOUT_S: Final = 2.0
_ACCEPTED: Final = range(200, 300)
TOKEN_VARIABLE: Final = "HOMEOSTAT_TOKEN"  # noqa: S105 - the name of the variable, not a token


class LabelPost:
    """Posts labels to the controller, and never gets in the way of the load."""

    def __init__(
        self,
        url: str,
        seed: int,
        note: Callable[[str, dict[str, Any]], None],
        clock: Callable[[], float] = time.monotonic,
        rows: RowPost | None = None,
    ) -> None:
        """Prepare.

        Args:
            url: Where to post; the bearer token comes from `HOMEOSTAT_TOKEN`.
            seed: Seed of which labels come, when and how often.
            note: Writes a control line to the load log.
            clock: Monotonic seconds.
            rows: Is told what was asked, too, once the truth is known; None for nobody.
        """
        self._url, self._note, self._clock, self._rows = url, note, clock, rows
        self._chance = random.Random(f"labels-{seed}")
        self._due: list[tuple[float, str, int]] = []
        self._asked: dict[str, Asked] = {}  # of what is due, until it is first told
        self._lost = 0

    def learn(self, prediction_id: str, label: int, asked: Asked | None = None) -> None:
        """Take the truth about one prediction, to be told later, or never.

        Args:
            prediction_id: As the answer named it.
            label: The truth, 1 or 0.
            asked: What was asked, for whoever learns from it.
        """
        if self._chance.random() >= COVERAGE:
            return
        times = 2 if self._chance.random() < _TWICE_SHARE else 1
        for _ in range(times):
            delay_s = self._chance.uniform(*_DELAY_S)
            if self._chance.random() < _LATE_SHARE:
                delay_s += _LATE_S
            if len(self._due) < _WAITING_MAX:
                heapq.heappush(self._due, (self._clock() + delay_s, prediction_id, label))
                if asked is not None and self._rows is not None:
                    self._asked[prediction_id] = asked
            else:
                self._lost += 1

    async def run(self) -> None:
        """Post what is due, until cancelled."""
        token = os.environ.get(TOKEN_VARIABLE, "")
        headers = {"authorization": f"Bearer {token}"} if token else {}
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
            while True:
                await asyncio.sleep(_EVERY_S)
                for batch in self._take():
                    await self._post(session, batch)

    def _take(self) -> list[list[dict[str, Any]]]:
        now, wall = self._clock(), time.time()
        labels = []
        while self._due and self._due[0][0] <= now:
            due, name, label = heapq.heappop(self._due)
            known = round(wall - (now - due), 3)
            labels.append({"prediction_id": name, "label": label, "observed_at": known})
            self._teach(name, label, known)
        return [labels[start : start + _BATCH] for start in range(0, len(labels), _BATCH)]

    def _teach(self, name: str, label: int, known: float) -> None:
        asked = self._asked.pop(name, None)
        if asked is None or self._rows is None:
            return  # nobody learns from it, or it was told before
        at, inputs = asked
        row = {"prediction_id": name, "label": label, "at": at, "known_at": known}
        self._rows.add(row | {"features": inputs.tolist()})

    async def _post(self, session: aiohttp.ClientSession, batch: list[dict[str, Any]]) -> None:
        try:
            async with session.post(self._url, json={"labels": batch}) as answer:
                why = "" if answer.status in _ACCEPTED else f"status {answer.status}"
        except (aiohttp.ClientError, TimeoutError) as error:
            why = type(error).__name__
        if why:  # the controller may be down: labels are lost then, as they would be
            self._lost += len(batch)
            self._note("labels_lost", {"count": len(batch), "lost": self._lost, "why": why})
