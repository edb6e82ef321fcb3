"""Reading the load generator's log: requests, per-second buckets, and whether the SLO was met.

The log is the judge's only source about users. Three answers: a second without enough requests,
or whose requests have not all ended, is unknown, which is never "met".
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

HOLD_S: Final = 10  # recovered means: met for this long, stamped at its start
# Two attempts of one second each and the pause between: what no request can take longer than.
_LONGEST_S: Final = 2.5


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What users were promised; None leaves a part out.

    Attributes:
        p95_ms: 95th percentile of latency, at most.
        error_ratio: Failed, timed out or not a number / all but the refused, at most.
        accuracy: Right predictions / predictions, at least.
        requests_min: Fewer requests than this are no basis for a verdict.
    """

    p95_ms: float | None = 250.0
    error_ratio: float | None = 0.01
    accuracy: float | None = 0.80
    requests_min: int = 5


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

    def meets(self, target: Target) -> bool | None:
        """Return whether the target was met, None if that cannot be said."""
        p95, errors, right = self.p95_ms, self.error_ratio, self.accuracy
        if self.requests < target.requests_min or p95 is None or errors is None:
            return None
        if target.p95_ms is not None and p95 > target.p95_ms:
            return False
        if target.error_ratio is not None and errors > target.error_ratio:
            return False
        return target.accuracy is None or (right is not None and right >= target.accuracy)


class LoadLog:
    """A log as far as it has been read; `feed` it more as it grows.

    Attributes:
        requests: In the order in which they ended.
        events: Control lines, as they are.
        bad_lines: Lines that could not be understood.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.events: list[dict[str, Any]] = []
        self.bad_lines = 0
        self._buckets: dict[int, Bucket] = {}
        self._rest = b""
        self._complete = -math.inf
        self._latest = -math.inf

    @classmethod
    def read(cls, path: Path) -> "LoadLog":
        """Return a whole file's log."""
        log = cls()
        log.feed(path.read_bytes())
        return log

    def feed(self, data: bytes) -> None:
        """Take more bytes of the file; a line that is not complete yet waits for its rest."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.strip():
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            plain = json.loads(line)
            if "event" in plain:
                self._event(plain)
                return
            request = _request(plain)
        except (ValueError, KeyError, TypeError):
            self.bad_lines += 1
            return
        self.requests.append(request)
        self._latest = max(self._latest, request.t)
        self._buckets.setdefault(math.floor(request.t), Bucket()).add(request)

    def _event(self, plain: dict[str, Any]) -> None:
        self.events.append(plain)
        if plain["event"] in {"tick", "stopped"}:
            self._complete = max(self._complete, float(plain["complete_until"]))

    @property
    def complete_until(self) -> float:
        """Every request due before this has ended and is in the log; epoch seconds."""
        return max(self._complete, self._latest - _LONGEST_S)

    def bucket(self, second: int) -> Bucket:
        """Return what was due in one second; empty if nothing was."""
        return self._buckets.get(second, Bucket())

    def seconds(self) -> Iterator[int]:
        """Yield the seconds that are complete, from the first to the last, gaps included."""
        if self._buckets:
            yield from range(min(self._buckets), math.floor(self.complete_until))

    def failed(self, after: float = -math.inf, before: float = math.inf) -> list[Request]:
        """Return requests due in [after, before) that failed for good; refused ones did not."""
        return [
            request
            for request in self.requests
            if request.outcome in {"failed", "timeout"} and after <= request.t < before
        ]


def _request(plain: dict[str, Any]) -> Request:
    """Return one line as a request.

    Raises:
        ValueError: It is not one: an unknown outcome, or a time that is not a number.
    """
    request = Request(
        t=float(plain["t"]),
        id=str(plain["id"]),
        latency_ms=float(plain["latency_ms"]),
        status=plain["status"],
        attempts=int(plain["attempts"]),
        replica=plain["replica"],
        replicas=tuple(plain.get("replicas", ())),
        version=plain["version"],
        outcome=str(plain["outcome"]),
        finite=plain["finite"],
        correct=plain["correct"],
    )
    if request.outcome not in {"ok", "failed", "timeout", "refused"}:
        raise ValueError(f"unknown outcome {request.outcome!r}")
    if not (math.isfinite(request.t) and math.isfinite(request.latency_ms)):
        raise ValueError("a time is not a number")
    return request


@dataclass(frozen=True, slots=True, kw_only=True)
class SloWindow:
    """The verdict on each second of a log.

    Attributes:
        log: Read as far as it has got.
        target: What users were promised.
        width_s: How many seconds, up to and with the judged one, are pooled; more than one where
            a second has too few requests to be judged.
    """

    log: LoadLog
    target: Target = Target()
    width_s: int = 1

    def met(self, second: int) -> bool | None:
        """Return whether the SLO was met in this second; None if that cannot be said (yet)."""
        if second + 1 > self.log.complete_until:
            return None
        others = (self.log.bucket(second - back) for back in range(1, self.width_s))
        return self.log.bucket(second).pooled(others).meets(self.target)

    def broken_at(self, after: float) -> float | None:
        """Return the start of the first whole second after a time in which it was not met."""
        first = math.ceil(after)
        for second in self.log.seconds():
            if second >= first and self.met(second) is False:
                return float(second)
        return None


def recovered_at(
    log: LoadLog,
    injected_at: float,
    target: Target | None = None,
    *,
    hold_s: int = HOLD_S,
    width_s: int = 1,
) -> float | None:
    """Return when service was well again after a fault.

    That is the start of the first `hold_s` consecutive seconds in which the SLO was met, looked
    for from the first second that missed it (a fault may take a while to show); from the
    injection if it was never missed.

    Args:
        log: The load generator's log.
        injected_at: Epoch seconds.
        target: What users were promised; `Target()` if None.
        hold_s: How many seconds make a recovery.
        width_s: See `SloWindow`.

    Returns:
        Epoch seconds, or None: not recovered as far as the log goes.
    """
    window = SloWindow(log=log, target=target or Target(), width_s=width_s)
    broken = window.broken_at(injected_at)
    first = math.ceil(injected_at) if broken is None else math.floor(broken)
    verdicts = [window.met(second) for second in range(first, math.floor(log.complete_until))]
    run = _first_run([verdict is True for verdict in verdicts], hold_s)
    return None if run is None else float(first + run)


def _first_run(flags: Sequence[bool], length: int) -> int | None:
    """Return where the first run of `length` true flags starts.

    >>> _first_run([False, True, False, True, True], 2)
    3
    """
    run = 0
    for place, flag in enumerate(flags):
        run = run + 1 if flag else 0
        if run == length:
            return place - length + 1
    return None
