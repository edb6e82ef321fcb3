"""Sends spans on in batches, beside the loop: bounded, and nothing waits for it.

What does not fit is dropped, what cannot be delivered is given up, and both are counted. A
receiver that asks to be left alone, or does not answer, is tried again a few times.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

import structlog

from homeostat.base.errors import TracesError
from homeostat.base.spans import Span

log = structlog.get_logger()

MOST: Final = 2048
"""Spans that wait; some kilobytes each at most. OpenTelemetry's own batches hold as many."""
BATCH: Final = 256
GATHER_S: Final = 1.0
"""What comes within this goes together."""
TRIES: Final = 3
WAIT_S: Final = 2.0
"""Before the second try; doubles."""
LONGEST_WAIT_S: Final = 30.0
CLOSE_S: Final = 2.0
"""How long the end of the controller waits for the last batch."""

Send = Callable[[Sequence[Span]], Awaitable[int]]
"""Delivers a batch, and returns how many were taken."""


class Sender:
    """Spans on their way.

    Args:
        send: See `Send`; raises TracesError for what can be expected.
        sleep: Waits, seconds.
    """

    def __init__(
        self, send: Send, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._send, self._sleep = send, sleep
        self._waiting: deque[Span] = deque()
        self._some = asyncio.Event()
        self._sent = self._dropped = self._failed = self._under_way = 0
        self._problem = ""

    def put(self, span: Span) -> None:
        """Take one span, or drop it where too many wait. Never raises, never waits."""
        if len(self._waiting) >= MOST:
            self._dropped += 1
            return
        self._waiting.append(span)
        self._some.set()

    def counts(self) -> tuple[int, int, int]:
        """Return how many spans were sent, dropped and given up."""
        return self._sent, self._dropped, self._failed

    async def work(self) -> None:
        """Send until cancelled."""
        while True:
            await self._some.wait()
            await self._sleep(GATHER_S)
            while self._waiting:
                await self._deliver()
            self._some.clear()

    async def close(self) -> None:
        """Try once to send what waits; what is left then is given up. After `work` has ended."""
        self._give_up()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                while self._waiting:
                    await self._deliver(tries=1)
        self._give_up()
        self._failed += len(self._waiting)
        self._waiting.clear()

    async def _deliver(self, tries: int = TRIES) -> None:
        """Take a batch from the queue and send it, or give it up."""
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        self._under_way = len(batch)
        wait_s = WAIT_S
        for left in reversed(range(tries)):
            asked_s = await self._try(batch)
            if asked_s is None or left == 0:
                break
            await self._sleep(min(max(wait_s, asked_s), LONGEST_WAIT_S))
            wait_s *= 2
        self._give_up()

    async def _try(self, batch: list[Span]) -> float | None:
        """Try once; return how long to wait before another try, None where there is no use."""
        try:
            taken = await self._send(batch)
        except TracesError as error:
            self._say(str(error))
            return error.wait_s
        except Exception as error:  # noqa: BLE001 - whatever it is, it must end nothing
            self._say(repr(error)[:300])
            return None
        self._sent += taken
        self._under_way -= taken
        self._say("")
        return None

    def _give_up(self) -> None:
        """Count what is under way as failed; a count never goes back, so only when it is over."""
        self._failed += self._under_way
        self._under_way = 0

    def _say(self, problem: str) -> None:
        """Log a change from well to not and back, and no more."""
        if bool(problem) != bool(self._problem):
            effect = "spans are given up; nothing else is touched" if problem else "sent again"
            log.warning("traces", effect=effect, problem=problem)
        self._problem = problem
