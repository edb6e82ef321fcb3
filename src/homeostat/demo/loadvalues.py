"""What the load generator saw: one request, and the requests of one second as counts.

Reading them from the log and judging runs of seconds is `loadlog`'s.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from homeostat.base.policy import Objective

REQUESTS_MIN: Final = 5  # fewer let through in a window are no basis for a verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, as its sender saw it.

    Attributes:
        t: When it was due, epoch seconds (late sending counts as latency).
        id: Its id.
        latency_ms: From `t` to the final answer, retries included.
        status: HTTP status of the last attempt, None if it had no answer.
        attempts: How often it was sent.
        replica: Who answered last, None if nobody said so.
        replicas: Who answered each attempt, where somebody said so.
        version: The version that answered, None if nobody said so.
        outcome: `ok`, `failed`, `timeout` or `refused` (by the gateway's limit).
        finite: Whether the prediction was a number; None without an answer.
        correct: Whether it was right; None without an answer.
    """

    t: float
    id: str
    latency_ms: float
    status: int | None
    attempts: int
    replica: str | None
    replicas: tuple[str, ...]
    version: str | None
    outcome: str
    finite: bool | None
    correct: bool | None

    @property
    def end(self) -> float:
        """When it was over, epoch seconds."""
        return self.t + self.latency_ms / 1_000.0


@dataclass(slots=True)
class Bucket:
    """The requests that were due in one second."""

    latencies_ms: list[float] = field(default_factory=list)
    failed: int = 0
    refused: int = 0
    answered: int = 0
    correct: int = 0

    def add(self, request: Request) -> None:
        """Count one request."""
        if request.outcome == "refused":
            self.refused += 1
            return
        self.latencies_ms.append(request.latency_ms)
        if request.outcome != "ok" or request.finite is not True:
            self.failed += 1  # an answer that is not a number is no answer
        if request.correct is not None:
            self.answered += 1
            self.correct += request.correct

    def pooled(self, others: Iterable["Bucket"]) -> "Bucket":
        """Return this bucket and others as one."""
        whole = Bucket()
        for one in (self, *others):
            whole.latencies_ms += one.latencies_ms
            whole.failed += one.failed
            whole.refused += one.refused
            whole.answered += one.answered
            whole.correct += one.correct
        return whole

    @property
    def requests(self) -> int:
        """Requests that were let through."""
        return len(self.latencies_ms)

    @property
    def error_ratio(self) -> float | None:
        """Failed / let through; None without any."""
        return self.failed / self.requests if self.requests else None

    @property
    def accuracy(self) -> float | None:
        """Right / answered; None without answers."""
        return self.correct / self.answered if self.answered else None

    @property
    def p95_ms(self) -> float | None:
        """95th percentile by the nearest-rank rule, failed requests included."""
        if not self.latencies_ms:
            return None
        return sorted(self.latencies_ms)[math.ceil(0.95 * self.requests) - 1]

    def meets(self, objective: Objective) -> bool | None:
        """Return whether the objective was met, None if that cannot be said."""
        p95, errors, right = self.p95_ms, self.error_ratio, self.accuracy
        if self.requests < REQUESTS_MIN or p95 is None or errors is None:
            return None
        if p95 > objective.latency_p95_ms or errors > objective.error_ratio:
            return False
        return objective.accuracy is None or (right is not None and right >= objective.accuracy)
