"""Is the cause of a fault gone, and which replicas had it? From outside the controller.

A fault persists until its cause is removed; recovery counts only from then. The process table and
the host's own state answer; the controller is not asked.
"""

from collections.abc import Sequence
from typing import Any, Final

from homeostat.base.policy import Objective
from homeostat.demo import loadlog
from homeostat.demo.faults import Fault, Injected
from homeostat.demo.loadlog import LoadLog
from homeostat.demo.place import Place

_RELEASES: Final = frozenset({"bad_release_errors", "bad_release_slow", "garbage_outputs"})
_VICTIMS: Final = frozenset({"slow_replica", "hung_replica", "killed_replica", "memory_leak"})
GOOD_VERSIONS: Final = frozenset({"v1", "v2"})
# A change counts as under way until this long after its last step in the host's log: answers of
# requests that were in flight then may still be coming.
AFTERMATH_S: Final = 2.0
_STEPS: Final = frozenset(
    {"lever_changed", "started", "ready", "in_rotation", "out_of_rotation", "drained", "stopped",
     "killed", "exited", "version_loaded", "settings_applied"}
)  # fmt: skip


def gone(place: Place, fault: Fault, injected: Injected) -> bool:
    """Return whether the fault's cause is no longer in the world."""
    if fault.name == "killed_replica":
        return _in_service_again(place.state(), injected)
    if fault.name in _VICTIMS:
        return not _alive(injected.pid)
    state = place.state()
    if fault.name in _RELEASES:
        slots = [slot for slot in state["slots"] if slot["pool"] == "a"]
        return all(slot["version"] in GOOD_VERSIONS for slot in slots)
    if fault.name == "batching_misconfigured":
        return int(state["levers"]["batch_max"]) > 1
    # A crowd is no fault of the deployment's: enough capacity is the cure, there is no cause.
    return fault.name == "flash_crowd"


def recovered_at(
    fault: Fault, injected_at: float, gone_at: float, log: LoadLog, objective: Objective
) -> float | None:
    """Return when service was well again, epoch seconds, None if not (yet).

    A leak is recovered from when its process is gone, since it may never have hurt anybody. A
    flash crowd must have hurt first: a deployment that was never in trouble has not recovered.
    """
    if fault.name == "memory_leak":
        return loadlog.recovered_at(log, gone_at, objective)
    broken = loadlog.SloWindow(log=log, objective=objective).broken_at(injected_at)
    if fault.name == "flash_crowd" and broken is None:
        return None
    return loadlog.recovered_at(log, injected_at, objective)


def oom_killed(host_log: Sequence[dict[str, Any]], injected: Injected) -> bool:
    """Return whether the victim ran into its limit before anybody acted."""
    return any(
        line["what"] == "oom_kill" and line["detail"].get("pid") == injected.pid
        for line in host_log
    )


def faulty(fault: Fault, injected: Injected) -> tuple[str, ...]:
    """Return the replicas that the fault broke; `*` for the whole deployment."""
    return (injected.victim,) if fault.name in _VICTIMS else ("*",)


def changes(
    host_log: Sequence[dict[str, Any]], applied: Sequence[tuple[float, str]]
) -> list[tuple[float, float]]:
    """Return (start, end) of each of our changes, from our word to the host's last step."""
    starts = [at for at, _ in applied]
    steps = [line["at_ns"] / 1e9 for line in host_log if line["what"] in _STEPS]
    found: list[tuple[float, float]] = []
    for number, start in enumerate(starts):
        until = starts[number + 1] if number + 1 < len(starts) else float("inf")
        last = max((at for at in steps if start - 1.0 <= at < until), default=start)
        found.append((start - 1.0, last + AFTERMATH_S))
    return found


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
