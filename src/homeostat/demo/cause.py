"""Is the cause of a fault gone, and which failures does the fault itself explain?

A fault persists until its cause is removed; recovery counts only if it lasts beyond that. The
process table and the host's own records answer; the controller is not asked.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from homeostat.base.policy import Objective
from homeostat.demo.accesslog import NOWHERE, Ending, Sent
from homeostat.demo.faults import Fault, Injected
from homeostat.demo.loadlog import LoadLog, SloWindow
from homeostat.demo.pipeline import TRIED_IN
from homeostat.demo.place import Place
from homeostat.demo.refit import PREFIX
from homeostat.demo.timeline import Timeline

_RELEASES: Final = frozenset({"bad_release_errors", "bad_release_slow", "garbage_outputs"})
_VICTIMS: Final = frozenset({"slow_replica", "hung_replica", "killed_replica", "memory_leak"})
GOOD_VERSIONS: Final = frozenset({"v1", "v2"})
ANY: Final = frozenset({Ending.CUT, Ending.LATE, Ending.BUSY, Ending.ERROR})
OVERLOAD: Final = frozenset({Ending.LATE, Ending.BUSY})
# What a fault left in the queues is served, or given up, within two attempts of one second each.
BACKLOG_S: Final = 2.0
# The host notes a step when it has the answer, a moment after it took effect.
NOTED_S: Final = 0.5
# 64 requests must wait before a server says that it is busy: at the 150 requests/s that a replica
# gets in the worst crowd, one that has just joined cannot be.
YOUNG_S: Final = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Failures that a fault explains: of one process, of some kinds, in one span of time.

    Attributes:
        endings: Which kinds.
        start: Epoch seconds.
        end: Epoch seconds.
        port: The process; None for every one.
    """

    endings: frozenset[Ending]
    start: float
    end: float = math.inf
    port: int | None = None

    def explains(self, sent: Sent) -> bool:
        """Return whether the fault, and not an action, made this attempt fail."""
        return (
            sent.ending in self.endings
            and (self.port is None or sent.port == self.port)
            and sent.start <= self.end
            and sent.end >= self.start
        )


def damage(
    fault: Fault, injected: Injected, injected_at: float, host_log: Sequence[dict[str, Any]]
) -> tuple[Damage, ...]:
    """Return every failure that the fault itself can explain; all others are open to blame.

    A killed or hung process fails whatever it is sent. A slow one answers late or is full, but its
    connections hold: one that is cut was cut by its restart. A leak harms nobody before the kernel
    steps in. A bad version fails only in its own way and only while a process serves it.

    Args:
        fault: What was injected.
        injected: How.
        injected_at: When, epoch seconds.
        host_log: The host's log so far.
    """
    timeline = Timeline.of(host_log)
    if fault.name in _VICTIMS:
        oom_kills = _oom_kills(host_log, injected)
        port = timeline.ports.get(injected.pid, -1)
        return tuple(_of_victim(fault.name, port, injected_at, oom_kills))
    return tuple(_of_all(fault, injected_at, timeline))


def _of_victim(name: str, port: int, at: float, oom_kills: Sequence[float]) -> Iterator[Damage]:
    match name:
        case "memory_leak":
            for killed_at in oom_kills:
                yield Damage(endings=ANY, start=killed_at - NOTED_S, port=port)
        case "slow_replica":
            yield Damage(endings=OVERLOAD, start=at, port=port)
        case _:
            yield Damage(endings=ANY, start=at, port=port)


def _of_all(fault: Fault, at: float, timeline: Timeline) -> Iterator[Damage]:
    match fault.name:
        case "bad_release_errors" | "bad_canary":
            yield from _of_version(timeline, "v3-errors", frozenset({Ending.ERROR}), NOTED_S)
        case "bad_release_slow":
            yield from _of_version(timeline, "v3-slow", OVERLOAD, BACKLOG_S)
        case "batching_misconfigured":
            for port, (start, end) in timeline.with_batch(1):
                yield Damage(
                    endings=OVERLOAD, start=start - NOTED_S, end=end + BACKLOG_S, port=port
                )
        case "flash_crowd":
            yield from _of_crowd(timeline, at, at + (fault.lasts_s or math.inf) + BACKLOG_S)
        case "benign_blip":
            yield Damage(endings=OVERLOAD, start=at, end=at + (fault.lasts_s or 0.0) + BACKLOG_S)
        case _:
            pass  # nonsense, drift and missing metrics make no request fail


def _of_version(
    timeline: Timeline, version: str, endings: frozenset[Ending], after_s: float
) -> Iterator[Damage]:
    for port, (start, end) in timeline.with_version(frozenset({version})):
        yield Damage(endings=endings, start=start - NOTED_S, end=end + after_s, port=port)


def _of_crowd(timeline: Timeline, start: float, end: float) -> Iterator[Damage]:
    # More than the machine can take may not even get in; it cannot have met an action of ours.
    yield Damage(endings=frozenset({Ending.LATE}), start=start, end=end, port=NOWHERE)
    for port, joined in timeline.joined.items():
        yield Damage(endings=frozenset({Ending.LATE}), start=start, end=end, port=port)
        busy_from = start if joined < start else joined + YOUNG_S
        yield Damage(endings=frozenset({Ending.BUSY}), start=busy_from, end=end, port=port)


def gone(place: Place, fault: Fault, injected: Injected) -> bool:
    """Return whether the fault's cause is no longer in the world.

    A broken process must be gone and its slot served by another one (or be no slot any more). A
    leak that the kernel ended was not removed by anybody. That people have changed stays so; what
    does harm is a version that does not know them, and it is gone when all of the traffic goes to
    one that was fitted on them. Faults that end on schedule are gone when they are stopped, which
    their injector knows.
    """
    if fault.name in _VICTIMS:
        mended = not _alive(injected.pid) and _in_service_again(place.state(), injected)
        return mended and not (
            fault.name == "memory_leak" and oom_killed(place.host_log(), injected)
        )
    if fault.name in _RELEASES:
        slots = [slot for slot in place.state()["slots"] if slot["pool"] == "a"]
        return all(slot["version"] in GOOD_VERSIONS for slot in slots)
    if fault.name == "bad_canary":  # it was given traffic before; without any it harms nobody
        return place.weight("b") == 0
    if fault.name == "batching_misconfigured":
        return int(place.state()["levers"]["batch_max"]) > 1
    if fault.name == "covariate_drift":
        return _serves_what_was_refitted(place)
    # A crowd is no fault of the deployment's: enough capacity is the cure, there is no cause.
    return fault.name == "flash_crowd"


def _serves_what_was_refitted(place: Place) -> bool:
    share = place.weight(TRIED_IN)
    slots = place.state()["slots"]
    serving = [slot for slot in slots if (share if slot["pool"] == TRIED_IN else 100 - share) > 0]
    refitted = [slot for slot in serving if (slot["version"] or "").startswith(PREFIX)]
    return bool(serving) and len(refitted) == len(serving)


def recovered_at(
    fault: Fault, injected_at: float, gone_at: float, log: LoadLog, objective: Objective
) -> float | None:
    """Return when service was well again, epoch seconds, None if not (yet).

    That is the start of the first ten calm seconds after the cause was removed: a lull while the
    fault is in the world is no recovery. A fault may take a while to show, so they also come after
    the first second that missed the objectives, if one did. A flash crowd must have hurt: it has no
    cause to remove, and what was never ill has not recovered.
    """
    broken = SloWindow(log=log, objective=objective).broken_at(injected_at)
    if broken is None and fault.name == "flash_crowd":
        return None
    return log.recovered_at(max(injected_at, gone_at, broken or 0.0), objective=objective)


def oom_killed(host_log: Sequence[dict[str, Any]], injected: Injected) -> bool:
    """Return whether the victim ran into its limit before anybody acted."""
    return bool(_oom_kills(host_log, injected))


def _oom_kills(host_log: Sequence[dict[str, Any]], injected: Injected) -> list[float]:
    return [
        line["at_ns"] / 1e9
        for line in host_log
        if line["what"] == "oom_kill" and line["detail"].get("pid") == injected.pid
    ]


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:  # noqa: PTH123 - not a file of ours
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _in_service_again(state: dict[str, Any], injected: Injected) -> bool:
    """A killed process is gone at once; it is mended when its slot has a new one, or is none."""
    slot = next((slot for slot in state["slots"] if slot["name"] == injected.victim), None)
    if slot is None:
        return True
    return bool(slot["pid"] != injected.pid and slot["state"] == "ready")
