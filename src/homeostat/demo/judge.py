"""The judge: what happened, from the load generator's log and the world's own records.

The controller is believed for three things only: when it first recorded the incident, that it told
a person, and what it changed; a change that the host saw and the controller kept to itself is
added. Requests, recovery and losses come from the load generator's log, and whose fault a loss is
from the proxy's access log and the host's log.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from homeostat.demo.accesslog import NOWHERE, Ending, Sent
from homeostat.demo.cause import Damage
from homeostat.demo.host_document import CONTROLLER
from homeostat.demo.loadvalues import Request

ESCALATE_S: Final = 30.0  # a person knows within this where only people can allow the cure
# A change counts as under way until this long after its last step in the host's log: answers of
# requests that were in flight then may still be coming.
AFTERMATH_S: Final = 2.0
# Users who ask this much too late are the machine's doing: four times the latency objective.
STARVED_S: Final = 1.0
CONFIRMED_S: Final = 1.0  # a change is confirmed at most so long after it began to take effect
_STEPS: Final = frozenset({
    "drained", "exited", "in_rotation", "killed", "lever_changed", "out_of_rotation", "ready",
    "settings_applied", "started", "stopped", "version_loaded",
})  # fmt: skip

Line = Mapping[str, Any]
Span = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the controller's journal says of one fault's time.

    Attributes:
        detected_at: First incident after the injection, epoch seconds; None if none.
        told_at: First page or question to a person after the injection, epoch seconds; None if
            none.
        family: The incident's suspected family when last recorded, empty if none.
        applied: (epoch seconds, what) for every confirmed change to the deployment.
    """

    detected_at: float | None = None
    told_at: float | None = None
    family: str = ""
    applied: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One line of the result; times in seconds since the demo's start, or None.

    Attributes:
        load_lag_s: By how much the load generator itself was late at worst, s.
        as_expected: The outcome is the right one and nothing was lost by an action of ours.
    """

    fault: str
    detail: str
    expected: str
    injected_at: float
    detected_at: float | None
    acted_at: float | None
    recovered_at: float | None
    actions: list[str]
    lost_requests: int
    outcome: str
    diagnosis: str
    load_lag_s: float = 0.0
    as_expected: bool = field(default=False)

    @property
    def starved(self) -> bool:
        """Whether the load generator itself was so late that its numbers say nothing of users."""
        return self.load_lag_s > STARVED_S

    def to_plain(self) -> dict[str, Any]:
        """Return it as the command contract's JSON, with what else is known."""
        return asdict(self)


def outcome_of(seen: Seen, recovered_at: float | None) -> str:
    """Return `recovered`, `escalated`, `held`, or `failed`.

    Without an action a deployment that is well again has held; an escalation is a person told
    of a diagnosis that is not merely "the data cannot be believed". Failed is what nobody expects:
    something was changed, service is not well, and nobody was told.
    """
    if seen.applied and recovered_at is not None:
        return "recovered"
    if seen.told_at is not None and seen.family not in {"", "sensor"}:
        return "escalated"
    return "failed" if seen.applied else "held"


def is_as_expected(fault: str, expected: str, outcome: str, seen: Seen, injected_at: float) -> bool:
    """Return whether the outcome is the right one, and came about in the right way.

    Holding changes nothing. Whoever holds on data that cannot be believed says so. Where only
    people can allow the cure, they are told in time, and of the right diagnosis.

    Args:
        fault: Its name.
        expected: The right outcome.
        outcome: What `outcome_of` said.
        seen: What the controller did.
        injected_at: Epoch seconds.
    """
    if outcome != expected:
        return False
    match expected:
        case "held":
            said = seen.detected_at is not None or fault != "metrics_outage"
            return not seen.applied and said
        case "recovered" if fault == "covariate_drift":
            in_time = seen.told_at is not None and seen.told_at - injected_at <= ESCALATE_S
            return in_time and seen.family == "drift"
        case _:
            return True


def with_unrecorded(
    applied: Sequence[tuple[float, str]], host_log: Sequence[Line], since: float
) -> tuple[tuple[float, str], ...]:
    """Return the controller's changes, with those that only the host knows of added.

    Args:
        applied: (epoch seconds, what), as journaled.
        host_log: The host's log.
        since: Epoch seconds; earlier changes belong to another fault.
    """
    journaled = [what for _, what in applied]
    more: list[tuple[float, str]] = []
    for at, lever, new in _own_writes(host_log, since):
        match = next((what for what in journaled if f"{lever}=" in what), None)
        if match is None:
            more.append((at, f"unrecorded ({lever}={new})"))
        else:
            journaled.remove(match)
    return tuple(sorted((*applied, *more)))


def changes(
    host_log: Sequence[Line], applied: Sequence[tuple[float, str]], since: float
) -> list[Span]:
    """Return (start, end) of each of our changes: from the write to the host's last step.

    Args:
        host_log: The host's log.
        applied: (epoch seconds, what) for every confirmed change.
        since: Epoch seconds; earlier changes belong to another fault.
    """
    writes = [at for at, _, _ in _own_writes(host_log, since)]
    starts = sorted(writes + [at - CONFIRMED_S for at, _ in applied])
    steps = [line["at_ns"] / 1e9 for line in host_log if line["what"] in _STEPS]
    found: list[Span] = []
    for number, start in enumerate(starts):
        until = starts[number + 1] if number + 1 < len(starts) else float("inf")
        last = max((at for at in steps if start <= at < until), default=start + CONFIRMED_S)
        found.append((start, last + AFTERMATH_S))
    return found


def lost_by_actions(
    failed: Sequence[Request],
    sent: Mapping[str, Sequence[Sent]],
    explained: Sequence[Damage],
    spans: Sequence[Span],
) -> int:
    """Count requests lost by the controller's own actions.

    A request that failed for good is ours if any of its attempts failed while a change of ours was
    being carried out and the fault does not explain that attempt: it went to a process that the
    fault had not broken, or failed in a way the fault does not fail, as a cut connection does. An
    attempt that the proxy knows nothing of is explained by a crowd alone. Requests refused by the
    limit are counted apart and never as lost.

    Args:
        failed: Requests that failed for good, as the load generator saw them.
        sent: Their attempts, by request id.
        explained: What the fault itself makes fail.
        spans: (start, end) of every change of ours, epoch seconds.
    """
    return sum(
        any(
            start <= end_of and start_of <= end
            for start_of, end_of in _unexplained(request, sent.get(request.id, ()), explained)
            for start, end in spans
        )
        for request in failed
    )


def _unexplained(
    request: Request, sent: Sequence[Sent], explained: Sequence[Damage]
) -> Iterator[Span]:
    """Yield when each attempt that the fault does not explain was made."""
    for one in _as_the_user_saw(request, sent):
        if one.ending is not Ending.REFUSED and not any(d.explains(one) for d in explained):
            yield one.start, one.end


def _as_the_user_saw(request: Request, sent: Sequence[Sent]) -> Iterator[Sent]:
    """Yield the attempts of a request that failed for good, by the load generator's own account.

    What the proxy answered was late if the user no longer waited; only an answer that was read,
    and was none, stays what it is. An attempt that never reached the proxy went nowhere.
    """
    for number, one in enumerate(sent):
        was_read = number == len(sent) - 1 and request.status is not None
        late = one.ending is Ending.FINE and not was_read
        yield replace(one, ending=Ending.LATE) if late else one
    if len(sent) < request.attempts:
        ending = Ending.LATE if request.outcome == "timeout" else Ending.CUT
        yield Sent(
            request_id=request.id, start=request.t, end=request.end, port=NOWHERE, ending=ending
        )


def _own_writes(host_log: Sequence[Line], since: float) -> Iterator[tuple[float, str, Any]]:
    """Yield (at, lever, value) of each change of ours; levers that a new slot brings are none."""
    for line in host_log:
        at, detail = line["at_ns"] / 1e9, line["detail"]
        own = line["what"] == "lever_changed" and detail["writer"] == CONTROLLER
        if own and detail["old"] is not None and at >= since:
            yield at, detail["lever"], detail["new"]
