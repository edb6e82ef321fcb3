"""Reading the load generator's log: requests, per-second buckets, and whether the SLO was met.

The log is the judge's only source about users. Three answers: a second without enough requests,
or whose requests have not all ended, is unknown, which is never "met".
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, Final

from homeostat.base.policy import Objective
from homeostat.demo.loadvalues import Bucket, Request

CALM_S: Final = 10  # recovered means: met for this long, stamped at its start
# Two attempts of one second each and the pause between: what no request can take longer than.
_LONGEST_S: Final = 2.5
TICK_S: Final = 1.0  # the generator writes down that often how far it got
_TICKS: Final = frozenset({"tick", "stopped"})
_FAILED: Final = frozenset({"failed", "timeout"})


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
        self._path: Path | None = None
        self._read_bytes = 0
        self._complete = -math.inf
        self._latest = -math.inf

    @classmethod
    def read(cls, path: Path) -> "LoadLog":
        """Return a file's log as it is now; `update` reads what is added later."""
        log = cls()
        log._path = path
        log.update()
        return log

    def update(self) -> None:
        """Read what was added to the file since."""
        if self._path is not None:
            with self._path.open("rb") as file:
                self._continue(file)

    def _continue(self, file: BinaryIO) -> None:
        file.seek(self._read_bytes)
        data = file.read()
        self._read_bytes += len(data)
        self.feed(data)

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
        if plain["event"] in _TICKS:
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

    @property
    def total(self) -> int:
        """Requests that have ended, refused ones too."""
        return len(self.requests)

    @property
    def errors(self) -> int:
        """Requests that failed for good."""
        return sum(request.outcome in _FAILED for request in self.requests)

    def lag_s(self, after: float = -math.inf, until: float | None = None) -> float:
        """Return by how much the generator itself was late at worst, s; 0 if it kept its times.

        Late are requests sent after they were due, and its tick of every second: a generator
        that got no processor at all writes neither.

        Args:
            after: Epoch seconds; only what was written down later counts.
            until: Epoch seconds; until when it should have ticked, None for its last tick.
        """
        heard = [plain for plain in self.events if plain["event"] in _TICKS]
        times = [float(plain["t"]) for plain in heard] + ([] if until is None else [until])
        gaps = (max(0.0, late - early - TICK_S) for early, late in pairwise(times) if late >= after)
        lags = (
            float(plain["lag_ms"]) / 1_000.0
            for plain in heard
            if "lag_ms" in plain and float(plain["t"]) >= after
        )
        return max((*gaps, *lags), default=0.0)

    def failed(self, after: float = -math.inf, before: float = math.inf) -> list[Request]:
        """Return requests due in [after, before) that failed for good; refused ones did not."""
        return [
            request
            for request in self.requests
            if request.outcome in _FAILED and after <= request.t < before
        ]

    def recovered_at(
        self, since: float, *, calm_s: float = CALM_S, objective: Objective, width_s: int = 1
    ) -> float | None:
        """Return the start of the first `calm_s` consecutive whole seconds that met the objective.

        Args:
            since: Epoch seconds; the first whole second after it is the first candidate.
            calm_s: How many consecutive seconds it takes.
            objective: What users were promised.
            width_s: See `SloWindow`.

        Returns:
            Epoch seconds, or None: not as far as the log goes.
        """
        window = SloWindow(log=self, objective=objective, width_s=width_s)
        first = math.ceil(since)
        if not self._buckets:
            return None
        last = math.floor(self.complete_until)
        run = _first_run([window.met(second) is True for second in range(first, last)], calm_s)
        return None if run is None else float(first + run)


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
        objective: What users were promised.
        width_s: How many seconds, up to and with the judged one, are pooled; more than one where
            a second has too few requests to be judged.
    """

    log: LoadLog
    objective: Objective
    width_s: int = 1

    def met(self, second: int) -> bool | None:
        """Return whether the SLO was met in this second; None if that cannot be said (yet)."""
        if second + 1 > self.log.complete_until:
            return None
        others = (self.log.bucket(second - back) for back in range(1, self.width_s))
        return self.log.bucket(second).pooled(others).meets(self.objective)

    def broken_at(self, after: float) -> float | None:
        """Return the start of the first whole second after a time in which it was not met."""
        first = math.ceil(after)
        for second in self.log.seconds():
            if second >= first and self.met(second) is False:
                return float(second)
        return None


def recovered_at(
    log: LoadLog, injected_at: float, objective: Objective, *, calm_s: int = CALM_S
) -> float | None:
    """Return when service was well again after a fault that may take a while to show.

    That is `LoadLog.recovered_at` from the first second after the injection that missed the
    objective; from the injection if none ever did.

    Args:
        log: The load generator's log.
        injected_at: Epoch seconds.
        objective: What users were promised.
        calm_s: How many consecutive seconds make a recovery.
    """
    broken = SloWindow(log=log, objective=objective).broken_at(injected_at)
    since = injected_at if broken is None else broken
    return log.recovered_at(since, calm_s=calm_s, objective=objective)


def _first_run(flags: Sequence[bool], length: float) -> int | None:
    """Return where the first run of `length` true flags starts.

    >>> _first_run([False, True, False, True, True], 2)
    3
    """
    run = 0
    for place, flag in enumerate(flags):
        run = run + 1 if flag else 0
        if run >= length:
            return place - run + 1
    return None
