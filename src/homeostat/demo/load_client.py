"""One user's request: sent, retried once at most, checked against the truth."""

import asyncio
import json
import math
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

ATTEMPT_S: Final = 1.0  # how long a user waits for one answer
_RETRY_SHARE: Final = 0.20  # of requests; more would turn an overload into a collapse
RETRY_SHARE: Final = _RETRY_SHARE
RETRY_BURST: Final = 50.0  # retries saved up at most
_PAUSE_S: Final = (0.005, 0.025)
RETRIES: Final = 1  # attempts after the first, as long as the retry budget lasts
PAUSE_MEAN_S: Final = sum(_PAUSE_S) / 2.0  # before the second attempt
_THRESHOLD: Final = 0.5
_TOO_MANY: Final = 429
_UNAVAILABLE: Final = 503


class RetryBudget:
    """Retries are at most a fifth of the requests, at any time since the start.

    >>> budget = RetryBudget()
    >>> for _ in range(10):
    ...     budget.request()
    >>> [budget.take() for _ in range(3)]
    [True, True, False]
    """

    def __init__(self) -> None:
        self._left = 0.0

    def request(self) -> None:
        """Count one request, which pays for a fifth of a retry."""
        self._left = min(RETRY_BURST, self._left + _RETRY_SHARE)

    def take(self) -> bool:
        """Take one retry, if there is one left."""
        if self._left < 1.0 - 1e-9:
            return False
        self._left -= 1.0
        return True


@dataclass(slots=True)
class Attempt:
    """What came of sending once.

    Attributes:
        outcome: `ok`, `failed`, `timeout`, `refused`.
        status: None if there was no answer.
        headers: Of the answer.
        probability: None if the answer held no finite number.
        again: Whether sending again makes sense.
    """

    outcome: str
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    probability: float | None = None
    again: bool = False


@dataclass(slots=True, kw_only=True)
class Told:
    """One request's line in the log, without its times.

    Attributes:
        attempts: What came of each attempt, in order.
        outcome: The last attempt's, except that what failed first is not merely refused.
        prediction_id: None if the answer named none.
        correct: None without an answer.
    """

    attempts: list[Attempt]
    outcome: str
    prediction_id: str | None
    correct: bool | None

    def to_plain(self) -> dict[str, Any]:
        """Return the log line's fields."""
        last = self.attempts[-1]
        answered = self.outcome == "ok"
        names = [one.headers["x-replica"] for one in self.attempts if "x-replica" in one.headers]
        return {
            "status": last.status,
            "attempts": len(self.attempts),
            "replica": last.headers.get("x-replica"),
            "replicas": names,
            "version": last.headers.get("x-version"),
            "outcome": self.outcome,
            "finite": (last.probability is not None) if answered else None,
            "correct": self.correct,
        }


class Client:
    """Sends requests to one URL."""

    def __init__(self, session: aiohttp.ClientSession, url: str, chance: random.Random) -> None:
        self._session, self._url, self._chance = session, url, chance
        self._budget = RetryBudget()

    async def ask(self, request_id: str, body: bytes, truth: int) -> Told:
        """Send one request and check its answer.

        Args:
            request_id: Must come back in the answer.
            body: The request, encoded.
            truth: The right answer, 1 or 0.
        """
        self._budget.request()
        attempts = [await self._send(request_id, body)]
        if attempts[0].again and self._budget.take():
            await asyncio.sleep(self._chance.uniform(*_PAUSE_S))
            attempts.append(await self._send(request_id, body))
        last = attempts[-1]
        outcome = last.outcome
        if outcome == "refused" and len(attempts) > 1:
            outcome = "failed"  # it had failed before the limit refused its second attempt
        correct = None
        if outcome == "ok":
            said = last.probability
            correct = said is not None and (said >= _THRESHOLD) == bool(truth)
        name = last.headers.get("x-prediction-id") if outcome == "ok" else None
        return Told(attempts=attempts, outcome=outcome, prediction_id=name, correct=correct)

    async def _send(self, request_id: str, body: bytes) -> Attempt:
        try:
            name = {"x-request-id": request_id}  # the gateway writes it into its access log
            async with self._session.post(self._url, data=body, headers=name) as answer:
                raw = await answer.read()
        except TimeoutError:
            return Attempt("timeout", again=True)
        except aiohttp.ClientError:
            return Attempt("failed", again=True)
        status, headers = answer.status, answer.headers
        limited = status == _UNAVAILABLE and "x-envoy-overloaded" in headers
        if limited or status == _TOO_MANY:
            return Attempt("refused", status, headers)
        if status != 200:  # noqa: PLR2004 - HTTP
            return Attempt("failed", status, headers, again=status >= 500)  # noqa: PLR2004 - HTTP
        try:
            return Attempt("ok", status, headers, probability=_probability(raw, request_id))
        except (ValueError, KeyError, IndexError, TypeError):
            return Attempt("failed", status, headers)  # not an answer to this request


def _probability(raw: bytes, request_id: str) -> float | None:
    """Return the answer's number, None if it says that it has none.

    Raises:
        ValueError: It is an answer to another request, or out of range.
    """
    plain = json.loads(raw)
    if plain["id"] != request_id:
        raise ValueError(f"asked {request_id}, the answer is to {plain['id']}")
    value = plain["outputs"][0]["data"][0]
    if value is None or not math.isfinite(value):
        return None
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{value} is no probability")
    return float(value)


def now() -> float:
    """Return the monotonic clock, seconds; the event loop's own is too coarse."""
    return time.monotonic()
