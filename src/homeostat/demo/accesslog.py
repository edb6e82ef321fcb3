"""Envoy's access log: what became of each attempt of each request, and which process had it.

The load generator knows a replica by the name in its answer; a process that never answered has
none, and a restarted slot has its predecessor's. Envoy knows the port, which is one process.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from homeostat.demo.load_client import ATTEMPT_S

# Response flags of Envoy (docs: access log, %RESPONSE_FLAGS%).
_LATE: Final = frozenset({"DC", "UT", "DT", "SI"})  # the client, or the route, waited no longer
_REFUSED: Final = frozenset({"UO", "RL"})  # by a limit
# An answer that takes longer may cross with a client that is leaving: late for one, fine for the
# other.
_LATE_S: Final = 0.9 * ATTEMPT_S
_OK: Final = 200
_UNAVAILABLE: Final = 503
NOWHERE: Final = 0  # the port of an attempt that never reached the proxy


class Ending(StrEnum):
    """How one attempt failed."""

    CUT = "cut"  # the connection was refused or broke, or there was nobody to send to
    LATE = "late"  # no answer in time
    BUSY = "busy"  # the server itself said 503
    ERROR = "error"  # any other answer that is none
    REFUSED = "refused"  # by the limit of requests in flight
    FINE = "fine"  # it was answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One attempt, as the proxy saw it.

    Attributes:
        request_id: The load generator's id; a retry has the same.
        start: When the proxy had it, epoch seconds.
        end: When it was over, epoch seconds.
        port: Port of the process it went to; None when the proxy had nobody to send it to,
            `NOWHERE` when it did not even reach the proxy.
        ending: How it ended.
    """

    request_id: str
    start: float
    end: float
    port: int | None
    ending: Ending


def read_sent(path: Path, request_ids: Iterable[str]) -> dict[str, list[Sent]]:
    """Return the attempts of some requests, oldest first.

    A line that cannot be understood is left out: its request then has an attempt too few, which
    the judge holds against us.

    Args:
        path: Envoy's access log; one that is not there has no lines.
        request_ids: Which requests.
    """
    found: dict[str, list[Sent]] = {name: [] for name in request_ids}
    if not found or not path.is_file():
        return found
    with path.open("rb") as file:
        for line in file:
            sent = _sent(line)
            if sent is not None and sent.request_id in found:
                found[sent.request_id].append(sent)
    for attempts in found.values():
        attempts.sort(key=lambda sent: sent.start)
    return found


def _sent(line: bytes) -> Sent | None:
    try:
        plain = json.loads(line)
        start = datetime.fromisoformat(plain["start_time"]).timestamp()
        took_s = float(plain["duration_ms"]) / 1_000.0
        return Sent(
            request_id=str(plain["request_id"]),
            start=start,
            end=start + took_s,
            port=_port(plain.get("upstream")),
            ending=_ending(int(plain["code"]), str(plain["flags"]), took_s),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _port(upstream: Any) -> int | None:
    return int(upstream.rpartition(":")[2]) if isinstance(upstream, str) and upstream else None


def _ending(code: int, flags: str, took_s: float) -> Ending:
    """Return how an attempt ended.

    >>> [_ending(503, "UF,URX", 0.0).value, _ending(0, "DC", 1.0).value]
    ['cut', 'late']
    >>> [_ending(503, "-", 0.0).value, _ending(500, "-", 0.1).value, _ending(200, "-", 0.1).value]
    ['busy', 'error', 'fine']
    """
    named = set(flags.split(",")) - {"-", ""}
    if named & _LATE or (code == _OK and took_s >= _LATE_S):
        return Ending.LATE
    if named:
        return Ending.REFUSED if named & _REFUSED else Ending.CUT
    if code == _OK:
        return Ending.FINE
    return Ending.BUSY if code == _UNAVAILABLE else Ending.ERROR
