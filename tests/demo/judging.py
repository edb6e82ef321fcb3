"""What the judge's tests speak in: host logs, attempts and requests, in seconds since 1000."""

from typing import Any

from homeostat.demo.accesslog import Ending, Sent
from homeostat.demo.loadvalues import Request

AT = 1_000.0


def host(what: str, at: float, slot: str | None = None, **detail: Any) -> dict[str, Any]:
    """Return one line of the host's log; `at` in seconds after `AT`."""
    line: dict[str, Any] = {"n": 0, "at_ns": round((AT + at) * 1e9), "what": what}
    return line | ({"slot": slot} if slot else {}) | {"detail": detail}


def lever(at: float, name: str, old: Any, new: Any, writer: str = "controller") -> dict[str, Any]:
    """Return the line of a lever that changed."""
    return host("lever_changed", at, lever=name, old=old, new=new, writer=writer, intent=None)


def deployment() -> list[dict[str, Any]]:
    """Return the log of a deployment that came up 20 s ago: a-1 to a-3 and b-1, port 9001 on."""
    lines = []
    for n, (slot, version) in enumerate(
        [("a-1", "v2"), ("a-2", "v2"), ("a-3", "v2"), ("b-1", "v1")], start=1
    ):
        lines += [
            host("started", -20.0, f"spare-{n}", pid=100 + n, port=9000 + n),
            host("ready", -19.0, slot, pid=100 + n, version=version),
            host("in_rotation", -19.0, slot, port=9000 + n),
        ]
    return lines


def replaced(at: float, slot: str = "a-1", pid: int = 105, port: int = 9005) -> list[Any]:
    """Return what a restart of a slot writes: a replacement first, then the old one leaves."""
    return [
        host("ready", at, slot, pid=pid, version="v2"),
        host("in_rotation", at, slot, port=port),
        host("out_of_rotation", at, slot, port=9001),
        host("killed", at + 1.0, slot, pid=101, why="it is stopped"),
    ]


def spare(pid: int = 105, port: int = 9005) -> dict[str, Any]:
    """Return the line of the warm spare."""
    return host("started", -15.0, "spare-5", pid=pid, port=port)


def sent(ending: Ending, at: float, port: int | None, took: float = 0.1, name: str = "q") -> Sent:
    """Return one attempt, `at` seconds after `AT`."""
    return Sent(request_id=name, start=AT + at, end=AT + at + took, port=port, ending=ending)


def request(at: float, *, name: str = "q", attempts: int = 1, took: float = 0.1) -> Request:
    """Return one request that failed for good."""
    return Request(
        t=AT + at, id=name, latency_ms=took * 1e3, status=503, attempts=attempts, replica=None,
        replicas=(), version=None, outcome="failed", finite=None, correct=None,
    )  # fmt: skip
